#!/usr/bin/env bash
# Builds the images and runs the tests of tests/docker on them; the arguments go to the test program (names of tests). Without a Docker engine
# that is said in one line, and all is well. With DOCKERD=start an engine is started for as long as this runs, with its data in
# /var/lib/docker-seaway, which stays (as root, with docker.io or docker-ce installed).
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! docker version >/dev/null 2>&1 && [ "${DOCKERD:-}" = start ] && command -v dockerd >/dev/null; then
    work=$(mktemp -d)
    dockerd --data-root /var/lib/docker-seaway --exec-root "$work/exec" --pidfile "$work/pid" >"$work/log" 2>&1 &
    engine=$!
    # It does not always take away the mounts of its network namespaces. That the folder stays would be no failure of a test.
    stop() {
        kill "$engine" && wait "$engine" || true
        for mounted in "$work"/exec/netns/*; do
            umount "$mounted" 2>/dev/null || true
        done
        rm -rf "$work" || true
    }
    trap stop EXIT
    for _ in $(seq 60); do
        docker version >/dev/null 2>&1 && break
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.5
    done
    docker version >/dev/null 2>&1 || { echo "dockerd does not start:" >&2; tail -n 5 "$work/log" >&2; exit 1; }
fi
if ! docker version >/dev/null 2>&1; then
    echo "skipped: no Docker engine (DOCKERD=start starts one)"
    exit 0
fi
if ! docker compose version >/dev/null 2>&1 && ! command -v docker-compose >/dev/null; then
    echo "skipped: no docker compose"
    exit 0
fi

tests/docker/base-images.sh
# A builder that asks a registry for the base images would not find those made here.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
docker build --quiet --tag seaway:dev . >/dev/null
docker build --quiet --tag seaway-node-setup:dev --target node-setup . >/dev/null
cargo test --quiet --package seaway --test docker -- --ignored --nocapture --test-threads 1 "$@"
