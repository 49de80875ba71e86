#!/bin/sh
# Prepares a node once for an Envoy with Seaway's role `node`; README.md beside this file says what each step is for.
# Everything it makes is marked as its own (routes and rules by protocol, packet rules by table), so that `up` may run any number
# of times and with other arguments, and `down` takes away exactly what it made.
set -eu

# The protocol number of our routes and rules. /etc/iproute2/rt_protos names none with this number.
PROTO=83
# The nft table that holds our packet rules.
TABLE=seaway
# The routing table and the mark, of connections and packets, that lead answers back to Envoy when it uses the client's source address.
REPLY_TABLE=1783
REPLY_MARK=0x5ea

usage() {
    cat <<'USAGE'
usage: setup.sh up --node-address IP [--node-address IP6] --service-cidr CIDR... [--vip-cidr CIDR...]
                   [--redirect PORT] [--node-ports FIRST-LAST] [--keep-source]
       setup.sh down
       setup.sh show

  up                 makes the node ready; may be repeated, also with other arguments
  down               takes away what `up` made
  show               prints what is there now

  --node-address IP  the Node's address, one per family; source of connections the node itself makes to Services
  --service-cidr     a range of cluster IPs; as given to seaway (repeatable)
  --vip-cidr         a range of external and load-balancer addresses; as given to seaway (repeatable)
  --redirect PORT    for `capture: redirect`: TCP to these ranges and to node ports goes to Envoy's port PORT
  --node-ports A-B   the node ports that --redirect means (default 30000-32767; "none" leaves them alone)
  --keep-source      for `seaway serve --keep-source`: what is sent to a client's own address, because Envoy connected from it, comes
                     to Envoy

The variables SEAWAY_NODE_ADDRESS, SEAWAY_SERVICE_CIDR and SEAWAY_VIP_CIDR, with commas between several, add to the options.

Needs root (CAP_NET_ADMIN), iproute2, and nft for --redirect and --keep-source.
USAGE
}

fail() {
    echo "setup.sh: $*" >&2
    exit 2
}

# The value of an option, or an error.
value() {
    [ "$2" -ge 2 ] || fail "$1 needs a value"
}

is_v6() {
    case $1 in *:*) return 0 ;; *) return 1 ;; esac
}

# The words of $2 that are addresses or ranges of family $1 (4 or 6).
of_family() {
    for word in $2; do
        if is_v6 "$word"; then family=6; else family=4; fi
        if [ "$family" = "$1" ]; then echo "$word"; fi
    done
}

# Runs `ip` for a family: ip_of 6 route show ..
ip_of() {
    family=$1
    shift
    ip "-$family" "$@"
}

# Ours among the local routes of a family, one range per line.
our_routes() {
    ip_of "$1" route show table local proto "$PROTO" 2>/dev/null | sed -n 's/^local \([^ ]*\).*/\1/p'
}

# Every range is local to this node, so that a listener on any address of it answers and an address without one refuses.
routes() {
    family=$1 source=$2 wanted=$3
    for range in $(our_routes "$family"); do
        # `ip` prints a single address without its length.
        case " $wanted " in
        *" $range "* | *" $range/32 "* | *" $range/128 "*) ;;
        *) ip_of "$family" route del local "$range" dev lo table local proto "$PROTO" ;;
        esac
    done
    for range in $wanted; do
        present=$(ip_of "$family" route show table local exact "$range" proto "$PROTO" src "$source" 2>/dev/null || true)
        [ -n "$present" ] || ip_of "$family" route replace local "$range" dev lo table local src "$source" proto "$PROTO"
    done
}

# Packets marked as answers to Envoy are for this node, whatever address they are sent to.
reply_routes() {
    family=$1 all=$2
    rule=$(ip_of "$family" rule show | grep -c "fwmark $REPLY_MARK lookup $REPLY_TABLE" || true)
    [ "$rule" -gt 0 ] || ip_of "$family" rule add fwmark "$REPLY_MARK" lookup "$REPLY_TABLE" protocol "$PROTO"
    ip_of "$family" route replace local "$all" dev lo table "$REPLY_TABLE" proto "$PROTO"
}

no_reply_routes() {
    while ip_of "$1" rule del fwmark "$REPLY_MARK" lookup "$REPLY_TABLE" 2>/dev/null; do :; done
    ip_of "$1" route flush table "$REPLY_TABLE" 2>/dev/null || true
}

# The rules of one family that send TCP to Envoy's port. DNAT to the node's address rather than REDIRECT: the latter drops what
# comes in on an interface without an address, such as the veth of a pod.
redirect_rules() {
    family=$1 source=$2 ranges=$(echo "$3" | tr '\n' ' ' | sed 's/ *$//; s/  */, /g')
    [ -n "$source" ] || return 0
    if [ "$family" = 6 ]; then name=ip6 nfproto=ipv6 target="[$source]" loopback=::1; else
        name=ip nfproto=ipv4 target=$source loopback=127.0.0.0/8
    fi
    if [ -n "$ranges" ]; then
        echo "    $name daddr { $ranges } meta l4proto tcp dnat $name to $target:$redirect"
    fi
    if [ "$node_ports" != none ]; then
        echo "    meta nfproto $nfproto $name daddr != $loopback tcp dport $node_ports fib daddr type local dnat $name to $target:$redirect"
    fi
}

# A pod that is led to itself would drop what comes from its own address: such connections come from the node. nft before 1.0.7 has no
# comparison of two fields of a packet, so they are looked up byte by byte among all pairs of equal bytes.
hairpin() {
    equal='' byte=0
    while [ "$byte" -lt 256 ]; do
        equal="$equal $byte . $byte," byte=$((byte + 1))
    done
    echo "  set same { typeof @nh,96,8 . @nh,128,8; elements = {${equal%,} } }"
    echo "  chain hairpin { type nat hook postrouting priority 100; policy accept;"
    if [ -n "$source4" ]; then
        echo "    ct mark $REPLY_MARK meta nfproto ipv4$(same_bytes 96 128 4) snat ip to $source4"
    fi
    if [ -n "$source6" ]; then
        echo "    ct mark $REPLY_MARK meta nfproto ipv6$(same_bytes 64 192 16) snat ip6 to $source6"
    fi
    echo "  }"
}

# Matches packets whose $3 bytes from bit $1 of the network header are those from bit $2.
same_bytes() {
    at=0
    while [ "$at" -lt "$(($3 * 8))" ]; do
        printf ' @nh,%d,8 . @nh,%d,8 @same' $(($1 + at)) $(($2 + at))
        at=$((at + 8))
    done
}

packet_rules() {
    echo "table inet $TABLE {"
    if [ -n "$redirect" ]; then
        rules=$(redirect_rules 4 "$source4" "$ranges4" && redirect_rules 6 "$source6" "$ranges6")
        echo "  chain incoming { type nat hook prerouting priority -100; policy accept;"
        echo "$rules"
        echo "  }"
        echo "  chain own { type nat hook output priority -100; policy accept;"
        echo "$rules"
        echo "  }"
    fi
    if [ "$keep_source" = yes ]; then
        # Envoy's sockets that use a foreign address are transparent. Their connections are marked, and with them all answers: those
        # of pods and other machines come in, those of this node's own processes go out.
        echo "  chain answers { type filter hook prerouting priority -150; policy accept;"
        echo "    ct direction reply ct mark $REPLY_MARK meta mark set $REPLY_MARK"
        echo "  }"
        echo "  chain made { type route hook output priority -150; policy accept;"
        echo "    ct state new socket transparent 1 ct mark set $REPLY_MARK"
        echo "    ct direction reply ct mark $REPLY_MARK meta mark set $REPLY_MARK"
        echo "  }"
        hairpin
    fi
    echo "}"
}

# One transaction: there is no moment without rules.
packets() {
    if [ -z "$redirect" ] && [ "$keep_source" != yes ]; then
        no_packets
        return
    fi
    { echo "table inet $TABLE"; echo "delete table inet $TABLE"; packet_rules; } | nft -f -
}

no_packets() {
    if command -v nft >/dev/null && nft list table inet "$TABLE" >/dev/null 2>&1; then
        nft delete table inet "$TABLE"
    fi
}

# Also where the kernel knows IPv6, it may be switched off, as it is in most containers.
has_ipv6() {
    [ -e /proc/net/if_inet6 ] && [ "$(cat /proc/sys/net/ipv6/conf/lo/disable_ipv6 2>/dev/null || echo 1)" = 0 ]
}

# As pods get it: SEAWAY_SERVICE_CIDR and SEAWAY_VIP_CIDR are also variables of `seaway serve`.
from_environment() {
    addresses=$(echo "${SEAWAY_NODE_ADDRESS:-}" | tr ',' ' ')
    ranges=$(echo "${SEAWAY_SERVICE_CIDR:-} ${SEAWAY_VIP_CIDR:-}" | tr ',' ' ')
}

up() {
    addresses='' ranges='' redirect='' node_ports=30000-32767 keep_source=no
    from_environment
    while [ $# -gt 0 ]; do
        case $1 in
        --node-address) value "$1" $#; addresses="$addresses $(echo "$2" | tr ',' ' ')"; shift 2 ;;
        --service-cidr | --vip-cidr) value "$1" $#; ranges="$ranges $(echo "$2" | tr ',' ' ')"; shift 2 ;;
        --redirect) value "$1" $#; redirect=$2; shift 2 ;;
        --node-ports) value "$1" $#; node_ports=$2; shift 2 ;;
        --keep-source) keep_source=yes; shift ;;
        *) fail "unknown argument $1 (see setup.sh help)" ;;
        esac
    done
    case $ranges in *[!\ ]*) ;; *) fail "up needs a --service-cidr" ;; esac
    for word in $addresses $ranges; do
        case $word in *[!0-9a-fA-F:./]*) fail "$word is not an address or a range" ;; esac
    done
    source4=$(of_family 4 "$addresses") source6=$(of_family 6 "$addresses")
    ranges4=$(of_family 4 "$ranges" | sort -u) ranges6=$(of_family 6 "$ranges" | sort -u)
    # Before anything is changed.
    if [ -n "$ranges4" ] && [ -z "$source4" ]; then fail "IPv4 ranges need an IPv4 --node-address"; fi
    if [ -n "$ranges6" ] && [ -z "$source6" ]; then fail "IPv6 ranges need an IPv6 --node-address"; fi
    if [ -n "$redirect" ] || [ "$keep_source" = yes ]; then
        command -v nft >/dev/null || fail "nft is needed for --redirect and --keep-source (package nftables)"
    fi
    # Words, not lines: they are looked for with spaces around them.
    routes 4 "$source4" "$(echo "$ranges4" | tr '\n' ' ')"
    if has_ipv6; then routes 6 "$source6" "$(echo "$ranges6" | tr '\n' ' ')"; fi
    if [ "$keep_source" = yes ]; then
        reply_routes 4 0.0.0.0/0
        if has_ipv6; then reply_routes 6 ::/0; fi
    else
        no_reply_routes 4
        if has_ipv6; then no_reply_routes 6; fi
    fi
    packets
}

down() {
    no_packets
    for family in 4 6; do
        [ "$family" = 4 ] || has_ipv6 || continue
        no_reply_routes "$family"
        for range in $(our_routes "$family"); do
            ip_of "$family" route del local "$range" dev lo table local proto "$PROTO"
        done
    done
}

show() {
    for family in 4 6; do
        [ "$family" = 4 ] || has_ipv6 || continue
        ip_of "$family" route show table local proto "$PROTO"
        ip_of "$family" rule show | grep "lookup $REPLY_TABLE" || true
    done
    if command -v nft >/dev/null; then nft list table inet "$TABLE" 2>/dev/null || true; fi
}

case ${1:-help} in
up) shift; up "$@" ;;
down) [ $# = 1 ] || fail "down takes no arguments"; down ;;
show) [ $# = 1 ] || fail "show takes no arguments"; show ;;
help | -h | --help) usage ;;
*) fail "unknown command $1 (see setup.sh help)" ;;
esac
