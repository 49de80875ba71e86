#!/usr/bin/env bash
# install-venv.sh REQUIREMENTS VENV PACKAGE: makes a virtual environment with what a file requires, anew when that changes. Where PyPI cannot
# be reached nothing is installed, and that is no error: who needs it says `skipped:`.
set -euo pipefail
requirements=$1 venv=$2 package=$3

cmp -s "$requirements" "$venv/requirements.txt" && exit 0
said=$(mktemp)
trap 'rm -f "$said"' EXIT
rm -rf "$venv"
mkdir -p "$(dirname "$venv")"
python3 -m venv "$venv"
if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --timeout 20 --retries 1 \
    --requirement "$requirements" >"$said" 2>&1; then
    rm -rf "$venv"
    # What can be reached, and yet not installed, is a fault of the list.
    if curl --silent --fail --max-time 20 --output /dev/null "https://pypi.org/simple/$package/"; then
        cat "$said" >&2
        exit 1
    fi
    exit 0
fi
cp "$requirements" "$venv/requirements.txt"
