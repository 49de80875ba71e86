#!/usr/bin/env bash
# Installs grpcio for the tests of proxyless gRPC clients below .tools, where there is a network. Where PyPI cannot be reached nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

here=tests/grpc
tools=${TOOLS:-.tools}/grpc
# A virtual environment, made anew when the requirements change.
cmp -s "$here/requirements.txt" "$tools/venv/requirements.txt" && exit 0
rm -rf "$tools/venv"
mkdir -p "$tools"
python3 -m venv "$tools/venv"
if ! "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --timeout 20 --retries 1 \
    --requirement "$here/requirements.txt" >"$tools/said" 2>&1; then
    rm -rf "$tools/venv"
    # What can be reached, and yet not installed, is a fault of the list.
    if curl --silent --fail --max-time 20 --output /dev/null https://pypi.org/simple/grpcio/; then
        cat "$tools/said" >&2
        exit 1
    fi
    exit 0
fi
cp "$here/requirements.txt" "$tools/venv/requirements.txt"
