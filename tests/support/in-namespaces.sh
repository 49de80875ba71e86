#!/usr/bin/env bash
# Runs a command as the root of a private network: nothing it does to addresses, routes, sockets or /run/netns reaches the
# machine, and all of it is gone when the command and its children are. Works as root, and as a user where the kernel allows
# unprivileged user namespaces.
set -euo pipefail

if [ "$(id -u)" = 0 ] && unshare --net --mount true 2>/dev/null; then
    unshare=(unshare --net --mount)
    enter="nsenter --net -t"
elif unshare --user --map-root-user --net --mount true 2>/dev/null; then
    unshare=(unshare --user --map-root-user --net --mount)
    enter="nsenter --preserve-credentials --user --net -t"
else
    echo "missing: network namespaces (run as root, or allow unprivileged user namespaces)" >&2
    exit 1
fi

export SEAWAY_REQUIRE_NAMESPACES=1 SEAWAY_ENTER="$enter"
# A private /run, because `ip netns` keeps its names there.
exec "${unshare[@]}" bash -c 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"' in-namespaces "$@"
