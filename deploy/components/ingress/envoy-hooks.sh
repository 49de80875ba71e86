#!/bin/bash
# What Kubernetes runs inside an Envoy's container: whether it is ready, and how it ends without breaking requests. Envoy's admin
# interface listens on loopback alone, where the kubelet does not reach it, and the image has no HTTP client.
#
#   envoy-hooks.sh ready            ends with 0 if Envoy is
#   envoy-hooks.sh drain SECONDS    connections are asked to go elsewhere for so long; ends when they had that time
set -euo pipefail

port=${ENVOY_ADMIN_PORT:-19000}

# Asks the admin interface and prints the status line.
ask() {
    exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
    printf '%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' "$1" "$2" >&3
    local status=''
    IFS=$'\r' read -r status _ <&3
    exec 3>&-
    echo "$status"
}

must() {
    local status
    status=$(ask "$@") || return 1
    [[ $status == "HTTP/1.1 200 "* ]] || { echo "$2: $status" >&2; return 1; }
}

case ${1:-} in
ready) must GET /ready ;;
drain)
    # More and more answers carry `connection: close` or GOAWAY over --drain-time-s; new connections are still taken.
    must POST '/drain_listeners?graceful&skip_exit'
    sleep "$2"
    ;;
*) echo "usage: envoy-hooks.sh ready | drain SECONDS" >&2; exit 2 ;;
esac
