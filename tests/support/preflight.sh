#!/usr/bin/env bash
# Says in one line what this machine lacks to build Seaway and to run its demo and tests.
set -euo pipefail

missing=()
command -v cargo >/dev/null || missing+=("cargo (Rust, https://rustup.rs)")
command -v python3 >/dev/null || missing+=("python3")
command -v cc >/dev/null || missing+=("cc (a C compiler)")
if [ "${1:-}" = network ]; then
    command -v ip >/dev/null || missing+=("ip (package iproute2)")
    command -v unshare >/dev/null && command -v setpriv >/dev/null || missing+=("unshare and setpriv (package util-linux)")
    unshare --net --mount true 2>/dev/null || unshare --user --map-root-user --net --mount true 2>/dev/null \
        || missing+=("network namespaces (run as root, or allow unprivileged user namespaces)")
fi

if [ ${#missing[@]} -gt 0 ]; then
    printf -v list '%s, ' "${missing[@]}"
    echo "missing: ${list%, }" >&2
    exit 1
fi
