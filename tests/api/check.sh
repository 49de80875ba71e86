#!/usr/bin/env bash
# Holds the inspection API of a running Seaway against docs/openapi.json, by requests that schemathesis makes up: nothing is a server error,
# every answer is as it is described, and what cannot be read is refused. Where PyPI cannot be reached it says `skipped:`.
set -euo pipefail
cd "$(dirname "$0")/../.."

here=tests/api
tools=${TOOLS:-.tools}/api-check
SEAWAY=${SEAWAY:-target/debug/seaway}
[ -x "$SEAWAY" ] || { echo "missing: $SEAWAY (make api-check makes it)" >&2; exit 1; }
work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi; rm -rf "$work"' EXIT

if [ ! -e "$tools/venv/requirements.txt" ]; then
    echo "skipped: the inspection API against its description, since pip cannot reach PyPI"
    exit 0
fi

# In a network of its own (make api-check) nobody else has these ports.
"$SEAWAY" serve --files deploy/demo --xds-listen 127.0.0.1:18000 --admin-listen 127.0.0.1:18001 2>"$work/log" &
server=$!
for _ in $(seq 100); do
    "$SEAWAY" ready >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done

# It leaves files where it runs.
root=$PWD
case $tools in /*) ;; *) tools=$root/$tools ;; esac
if ! (cd "$work" && timeout 90 "$tools/venv/bin/schemathesis" --config-file "$root/$here/schemathesis.toml" run "$root/docs/openapi.json" \
    --url http://127.0.0.1:18001 \
    --phases coverage,fuzzing --max-examples 15 --seed 1 --generation-database none --no-color) >"$work/said" 2>&1; then
    cat "$work/said" >&2
    exit 1
fi
grep generated, "$work/said"
kill -0 "$server" 2>/dev/null || { echo "Seaway has ended:" >&2; cat "$work/log" >&2; exit 1; }
! grep -q panicked "$work/log" || { cat "$work/log" >&2; exit 1; }
echo "ok: the inspection API is as docs/openapi.json describes it"
