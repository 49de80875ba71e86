#!/usr/bin/env bash
# Installs what check.sh needs below .tools, where there is a network. Where PyPI cannot be reached nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

here=tests/api
tools=${TOOLS:-.tools}/api-check
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A virtual environment, made anew when the requirements change.
if ! cmp -s "$here/requirements.txt" "$tools/venv/requirements.txt"; then
    rm -rf "$tools/venv"
    mkdir -p "$tools"
    python3 -m venv "$tools/venv"
    if ! "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --timeout 20 --retries 1 \
        --requirement "$here/requirements.txt" >"$work/said" 2>&1; then
        rm -rf "$tools/venv"
        # What can be reached, and yet not installed, is a fault of the list.
        if curl --silent --fail --max-time 20 --output /dev/null https://pypi.org/simple/schemathesis/; then
            cat "$work/said" >&2
            exit 1
        fi
        exit 0
    fi
    cp "$here/requirements.txt" "$tools/venv/requirements.txt"
fi
