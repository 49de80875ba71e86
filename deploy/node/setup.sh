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
# A routing table that nothing leads to and nobody else has, in which ranges are tried.
SCRATCH_TABLE=$((100000 + $(od -An -N3 -tu4 /dev/urandom)))
# The mark that Envoy gives what it sends for clients that keep their address only if they are pods of this node.
PODS_ONLY_MARK=0x53
# The network namespace of Envoy's listeners, and the two ends of the way there; Seaway knows the inner addresses
# (translator/src/policy/namespace.rs).
NAMESPACE=seaway
NAMESPACE_FILE=/run/netns/$NAMESPACE
LINK=sw0
OUTER4=169.254.83.1 INNER4=169.254.83.2
OUTER6=fe80::83:1 VIA6=fe80::83:2 INNER6=fd83::2
# The group that Envoy runs as: its packets are told by it.
GROUP=8383

usage() {
    cat <<'USAGE'
usage: setup.sh up --node-address IP [--node-address IP6] --service-cidr CIDR... [--vip-cidr CIDR...]
                   [--capture bind|redirect|namespace|namespace-redirect] [--redirect PORT]
                   [--node-ports FIRST-LAST] [--nodeport-addresses all|primary|CIDR,...] [--group GID]
                   [--keep-source [--pod-cidr CIDR...]] [--max-files N] [--listener-files N]
       setup.sh down
       setup.sh show

  up                 makes the node ready; may be repeated, also with other arguments
  down               takes away what `up` made; stop Envoy first
  show               prints what is there now

  --node-address IP  the Node's address, one per family; source of connections the node itself makes to Services
  --service-cidr     a range of cluster IPs; as given to seaway (repeatable)
  --vip-cidr         a range of external and load-balancer addresses; as given to seaway (repeatable)
  --capture          as given to `seaway serve` (default bind). namespace: Envoy's listeners are in the network namespace
                     /run/netns/seaway, where they meet no other process of the node
  --redirect PORT    the port of Envoy to which the captures with `redirect` send TCP (default 15006); without --capture it
                     means redirect
  --node-ports A-B   the node ports that are sent to Envoy (default 30000-32767; "none" leaves them alone; not for bind)
  --nodeport-addresses   the addresses on which they are, as given to seaway (default all; for the captures with namespace)
  --group GID        the group that Envoy runs as (default 8383): what it sends to a Service address is refused, or it could
                     connect to itself without end. "none": Envoy has no group of its own
  --keep-source      for `seaway serve --keep-source`: answers to a client whose address Envoy has taken over come to Envoy, and where
                     they would not come back to this node, Envoy's connection comes from the node instead
  --pod-cidr         a range of pod addresses; as given to seaway (repeatable). Without one no pod keeps its address

  --max-files N      how many files Envoy may have open, from which follows what one client may take, and all together (default: as many
                     as this script may; "none": there are no limits)
  --listener-files N how many of them are for listeners (default: an eighth), as given to `seaway bootstrap`

The variables SEAWAY_NODE_ADDRESS, SEAWAY_SERVICE_CIDR, SEAWAY_VIP_CIDR and SEAWAY_POD_CIDR, with commas between several, add to the
options; SEAWAY_CAPTURE, SEAWAY_NODEPORT_ADDRESSES, SEAWAY_MAX_FILES and SEAWAY_LISTENER_FILES stand in for theirs.

Needs root (CAP_NET_ADMIN; CAP_SYS_ADMIN and nsenter too for the captures with namespace), iproute2, and nft: without it `bind` works,
but processes of the node may answer on Service addresses, and nothing limits what one client takes.
USAGE
}

fail() {
    echo "setup.sh: $*" >&2
    exit 2
}

# What is worth knowing, and does not keep Services from working.
warn() {
    echo "setup.sh: warning: $*" >&2
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

# Our routes of a family in a table (`local` or `main`), one range per line.
our_routes() {
    ip_of "$1" route show table "$2" proto "$PROTO" 2>/dev/null | sed 's/^local //; s/ .*//'
}

# Ours that are not wanted go.
unroute() {
    family=$1 table=$2 wanted=$3 type=unicast
    [ "$table" != local ] || type=local
    for range in $(our_routes "$family" "$table"); do
        # `ip` prints a single address without its length.
        case " $wanted " in
        *" $range "* | *" $range/32 "* | *" $range/128 "*) ;;
        *) ip_of "$family" route del "$type" "$range" table "$table" proto "$PROTO" ;;
        esac
    done
}

# Every range is local to this node, so that a listener on any address of it answers and an address without one refuses.
local_routes() {
    family=$1 source=$2
    for range in $3; do
        present=$(ip_of "$family" route show table local exact "$range" proto "$PROTO" src "$source" 2>/dev/null || true)
        [ -n "$present" ] || ip_of "$family" route replace local "$range" dev lo table local src "$source" proto "$PROTO"
    done
}

# Every range is on the other end of the link.
namespace_routes() {
    family=$1 source=$2 via=$INNER4
    [ "$family" = 4 ] || via=$VIA6
    for range in $3; do
        ip_of "$family" route replace "$range" via "$via" dev "$LINK" src "$source" proto "$PROTO"
    done
}

# The routes of a family, to the namespace or to the node itself. New ones are there before those of another capture go.
routes() {
    family=$1 source=$2 ranges=$3
    if in_namespace; then
        inner=''
        if [ "$family" = 6 ] && [ -n "$source" ]; then inner=$INNER6/128; fi
        namespace_routes "$family" "$source" "$ranges $inner"
        unroute "$family" local ''
        unroute "$family" main "$ranges $inner"
    else
        local_routes "$family" "$source" "$ranges"
        unroute "$family" local "$ranges"
        unroute "$family" main ''
    fi
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

# Words as an nft set.
set_of() {
    echo "$1" | tr '\n' ' ' | sed 's/^ *//; s/ *$//; s/  */, /g; s/^/{ /; s/$/ }/'
}

# A family: the names that nft has for it, the node's address and the ranges.
family_names() {
    if [ "$1" = 6 ]; then
        name=ip6 nfproto=ipv6 loopback=::1 source=$source6 ranges=$ranges6
    else
        name=ip nfproto=ipv4 loopback=127.0.0.0/8 source=$source4 ranges=$ranges4
    fi
}

# The rules of one family that send TCP to Envoy's port. DNAT to the node's address rather than REDIRECT: the latter drops what
# comes in on an interface without an address, such as the veth of a pod.
redirect_rules() {
    family=$1
    family_names "$family"
    [ -n "$source" ] || return 0
    target=$source
    [ "$family" = 4 ] || target="[$source]"
    if [ -n "$ranges" ]; then
        echo "    $name daddr $(set_of "$ranges") meta l4proto tcp dnat $name to $target:$redirect"
    fi
    if [ "$node_ports" != none ]; then
        echo "    meta nfproto $nfproto $name daddr != $loopback tcp dport $node_ports fib daddr type local dnat $name to $target:$redirect"
    fi
}

# `capture: redirect`. What Envoy itself sends is left alone, for the guard to refuse. Before the DNAT of others (-100): a node port is
# nobody else's, and of chains with one priority the one that came last would be first.
redirected() {
    rules=$(redirect_rules 4 && redirect_rules 6)
    echo "  chain incoming { type nat hook prerouting priority -105; policy accept;"
    echo "$rules"
    echo "  }"
    echo "  chain own { type nat hook output priority -105; policy accept;"
    not_envoy
    echo "$rules"
    echo "  }"
}

not_envoy() {
    if [ "$group" != none ]; then echo "    meta skgid $group return"; fi
}

# The rules that send what is for a node port of this node to the namespace. Not loopback, and not what comes out of there.
node_port_rules() {
    [ "$node_ports" != none ] || return 0
    for family in 4 6; do
        family_names "$family"
        [ -n "$source" ] || continue
        where=''
        case $nodeport_addresses in
        all) ;;
        primary) where=" $name daddr $source" ;;
        *)
            # A family without a range of its own is open on all addresses (as in Seaway).
            own=$(of_family "$family" "$(echo "$nodeport_addresses" | tr ',' ' ')")
            [ -z "$own" ] || where=" $name daddr $(set_of "$own")"
            ;;
        esac
        echo "    meta nfproto $nfproto $name daddr != $loopback$where meta l4proto { tcp, udp } th dport $node_ports fib daddr type local jump to_envoy"
    done
}

# What is for a node port goes into the namespace, wherever it comes from. Before the DNAT of others: a node port is nobody else's.
node_port_chains() {
    to_envoy
    rules=$(node_port_rules)
    echo "  chain incoming { type nat hook prerouting priority -105; policy accept;"
    echo "    iifname \"$LINK\" return"
    echo "$rules"
    echo "  }"
    echo "  chain own { type nat hook output priority -105; policy accept;"
    not_envoy
    echo "$rules"
    echo "  }"
}

to_envoy() {
    echo "  chain to_envoy { dnat ip to $INNER4; dnat ip6 to $INNER6; }"
}

# An external address may be the node's own: what no process of the node has a socket for is Envoy's. Behind the DNAT of others, such as
# that of host ports.
unclaimed() {
    echo "  chain unclaimed { type nat hook prerouting priority -90; policy accept;"
    echo "    iifname { \"$LINK\", \"lo\" } return"
    for family in 4 6; do
        own=$(of_family "$family" "$addresses")
        [ -n "$own" ] || continue
        family_names "$family"
        echo "    $name daddr $(set_of "$own") meta l4proto { tcp, udp } jump no_socket"
    done
    echo "  }"
    echo "  chain no_socket {"
    echo "    meta l4proto tcp socket wildcard { 0, 1 } return; meta l4proto udp socket wildcard { 0, 1 } return"
    echo "    jump to_envoy"
    echo "  }"
}

# Translated to itself, a client's address is left alone by a network plugin that would masquerade it (at 100).
keep_client() {
    echo "  chain keep_client { type nat hook postrouting priority 95; policy accept;"
    echo "    oifname \"$LINK\" snat ip to ip saddr; oifname \"$LINK\" snat ip6 to ip6 saddr"
    echo "  }"
}

# Where Service addresses are the node's, a process of it that listens on all addresses would answer there.
foreign() {
    echo "  chain foreign { type filter hook input priority -5; policy accept;"
    for family in 4 6; do
        family_names "$family"
        [ -n "$ranges" ] || continue
        echo "    $name daddr $(set_of "$ranges") meta l4proto tcp socket wildcard 1 reject with tcp reset"
        echo "    $name daddr $(set_of "$ranges") meta l4proto udp socket wildcard 1 reject"
    done
    echo "  }"
}

# What Envoy sends to a Service address or to a node port of this node would come back to it: an endpoint that is a Service, directly
# or around several, must not cost it all its files.
guard() {
    echo "  chain guard { type filter hook output priority 0; policy accept;"
    echo "    meta skgid $group ct direction original jump not_twice"
    echo "  }"
    echo "  chain not_twice {"
    for family in 4 6; do
        family_names "$family"
        [ -n "$ranges" ] || continue
        echo "    $name daddr $(set_of "$ranges") jump refuse"
    done
    # Nobody else is behind the link: its inner addresses may be an endpoint's, too.
    if in_namespace; then echo "    oifname \"$LINK\" jump refuse"; fi
    if [ "$node_ports" != none ]; then
        echo "    meta l4proto { tcp, udp } th dport $node_ports fib daddr type local jump refuse"
    fi
    echo "  }"
    echo "  chain refuse { meta l4proto tcp reject with tcp reset; reject; }"
}

# All pairs of equal bytes: nft before 1.0.7 has no comparison of two fields of a packet.
equal_bytes() {
    equal='' byte=0
    while [ "$byte" -lt 256 ]; do
        equal="$equal $byte . $byte," byte=$((byte + 1))
    done
    echo "  set same { typeof @nh,96,8 . @nh,128,8; elements = {${equal%,} } }"
}

# Matches packets whose $3 bytes from bit $1 of the network header are those from bit $2.
same_bytes() {
    at=0
    while [ "$at" -lt "$(($3 * 8))" ]; do
        printf ' @nh,%d,8 . @nh,%d,8 @same' $(($1 + at)) $(($2 + at))
        at=$((at + 8))
    done
}

# The pods' ranges of a family. One of all addresses says nothing about who is a pod.
pod_ranges() {
    of_family "$1" "$pods" | grep -v '/0$' | sort -u
}

# The links behind which other machines are, as nft writes names: those with the node's addresses and those of its default routes.
uplinks() {
    {
        for address in $addresses; do
            ip -o addr show to "$address" 2>/dev/null | sed -n 's/^[0-9]*: *\([^ @]*\).*/"\1"/p'
        done
        for family in 4 6; do
            ip_of "$family" route show default 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/"\1"/p'
        done
    } | sort -u
}

# Whether a packet's link ($1: iif or oif) leads to pods of this node: they are behind veth pairs or a bridge. So may be other machines
# where a node is a container itself or has virtual machines.
to_pods() {
    echo "meta ${1}kind { \"veth\", \"bridge\" }${links:+ ${1}name != $(set_of "$links")}"
}

# Which pods are on this node is what their packets tell: the last new connection of a pod's address came in on a pod's link. What is
# remembered of a flow of datagrams may be gone while the flow goes on.
pod_rules() {
    echo "  set pods4 { type ipv4_addr; flags dynamic, timeout; timeout 1d; size 65535; }"
    echo "  set pods6 { type ipv6_addr; flags dynamic, timeout; timeout 1d; size 65535; }"
    echo "  chain pods {"
    echo "    iif lo return"
    echo "    $(to_pods iif) goto here"
    echo "    ct state new delete @pods4 { ip saddr }"
    echo "    ct state new delete @pods6 { ip6 saddr }"
    echo "  }"
    echo "  chain here {"
    echo "    ct state new update @pods4 { ip saddr }"
    echo "    ct state new update @pods6 { ip6 saddr }"
    echo "    meta l4proto udp ip saddr != @pods4 add @pods4 { ip saddr }"
    echo "    meta l4proto udp ip6 saddr != @pods6 add @pods6 { ip6 saddr }"
    echo "  }"
}

# Envoy's sockets that use a foreign address are transparent. Their connections are marked, and with them all answers: those of pods
# and other machines come in, those of this node's own processes go out.
answers() {
    echo "  chain answers { type filter hook prerouting priority -150; policy accept;"
    echo "    ct direction reply ct mark $REPLY_MARK meta mark set $REPLY_MARK"
    for family in 4 6; do
        own=$(pod_ranges "$family")
        [ -n "$own" ] || continue
        family_names "$family"
        echo "    ct direction original $name saddr $(set_of "$own") jump pods"
    done
    echo "  }"
    echo "  chain made { type route hook output priority -150; policy accept;"
    echo "    ct state new socket transparent 1 ct mark set $REPLY_MARK"
    echo "    ct direction reply ct mark $REPLY_MARK meta mark set $REPLY_MARK"
    echo "  }"
}

# What is part of no connection has no mark, such as a segment out of its window. Its client knows nothing of Envoy's connection, and would
# end it. (Unless told not to, kernels look for its socket before they forward it, and Envoy has it.)
strays() {
    echo "  chain strays { type filter hook forward priority 0; policy accept;"
    echo "    meta l4proto tcp ct state invalid ip daddr @pods4 drop"
    echo "    meta l4proto tcp ct state invalid ip6 daddr @pods6 drop"
    echo "  }"
}

# What Envoy sends from a client's address goes on as the node's own unless an answer to the client comes back here. It does to pods of
# this node, and from endpoints on this node; a pod that is led to itself would drop what comes from its own address.
sources() {
    echo "  chain sources { type nat hook postrouting priority 100; policy accept;"
    echo "    ct mark != $REPLY_MARK return"
    echo "    meta nfproto ipv4$(same_bytes 96 128 4) goto from_node"
    echo "    meta nfproto ipv6$(same_bytes 64 192 16) goto from_node"
    echo "    ip saddr @pods4 accept"
    echo "    ip6 saddr @pods6 accept"
    echo "    meta mark $PODS_ONLY_MARK goto from_node"
    echo "    oif lo accept"
    echo "    $(to_pods oif) accept"
    echo "    goto from_node"
    echo "  }"
    from_node
}

# On this node from its address, elsewhere from that of the way there, which may be a tunnel.
from_node() {
    echo "  chain from_node {"
    for link in "oif lo" "$(to_pods oif)"; do
        if [ -n "$source4" ]; then echo "    $link meta nfproto ipv4 snat ip to $source4"; fi
        if [ -n "$source6" ]; then echo "    $link meta nfproto ipv6 snat ip6 to $source6"; fi
    done
    echo "    masquerade"
    echo "  }"
}

# `--keep-source`: connections that Envoy makes from its clients' addresses.
kept_sources() {
    links=$(uplinks)
    equal_bytes
    pod_rules
    answers
    strays
    sources
}

# In the namespace one port takes all TCP, as `redirected` has it on the node.
redirected_inside() {
    echo "  chain incoming { type nat hook prerouting priority -100; policy accept;"
    echo "    meta l4proto tcp dnat ip to $INNER4:$redirect; meta l4proto tcp dnat ip6 to [$INNER6]:$redirect"
    echo "  }"
}

# Adds the chains that a function prints to the rules, if this nft and this kernel can have them; otherwise says what is amiss.
add_chains() {
    chains=$("$1")
    more="$rules_so_far$chains
"
    if told=$(printf 'table inet %s-try {\n%s}\n' "$TABLE" "$more" | nft -c -f - 2>&1); then
        rules_so_far=$more
    else
        warn "$2: $(echo "$told" | head -n 1) ($(nft -v))"
    fi
}

# How many files a process started here may have open, as Envoy will if it is.
own_limit() {
    limit=$(sed -n 's/^Max open files *[^ ]* *\([^ ]*\) .*/\1/p' /proc/self/limits)
    # Ten million and more are as good as no limit, and what the kernel remembers of clients is to stay within bounds.
    case $limit in unlimited | ????????*) echo 1048576 ;; *) echo "$limit" ;; esac
}

# What follows from the number of files that Envoy may have open. The bootstrap has the same shares (src/commands/bootstrap/files.rs): an eighth is
# for listeners, and of the rest three quarters for flows of UDP, a quarter for connections, which take two each.
shares() {
    [ -n "$listener_files" ] || listener_files=$((max_files / 8))
    rest=$((max_files - listener_files - 1000))
    [ "$rest" -ge 800 ] || return 1
    flows=$((rest * 3 / 4)) connections=$((rest / 8))
    # A set for each family.
    if [ -n "$ranges4" ] && [ -n "$ranges6" ]; then flows=$((flows / 2)); fi
    # Of these one client has half the connections. Of flows it has less than three quarters at a time, even if it keeps all of them: an eighth
    # at first, then so many a second, each for as long as it has been paid for and until it is forgotten (the kernel takes its time): one second
    # and two and a half at the port of DNS, one minute and two elsewhere.
    client_connections=$((connections / 2)) burst=$((flows / 8))
    dns_rate=$((flows / 7)) rate=$((flows * 3 / 968))
    [ "$dns_rate" -lt 10000 ] || dns_rate=10000
    [ "$rate" -ge 1 ] || rate=1
}

# The limits of one family: who may begin how many flows and connections to Services, and how many flows there are in all. Envoy forgets a
# flow after two seconds at port 53 and 120 elsewhere at the latest, a moment before it is forgotten here. A flow that goes on is paid for
# again and again, as a new one is: otherwise a client that keeps its flows would have all there are some day.
limit_rules() {
    family=$1
    family_names "$family"
    [ -n "$ranges" ] || return 0
    ranges=$(set_of "$ranges") type=${nfproto}_addr
    ask="$name saddr . udp sport . $name daddr . udp dport" answer="$name daddr . udp dport . $name saddr . udp sport"
    cat <<RULES
  set flows$family { type $type . inet_service . $type . inet_service; size $flows; flags dynamic,timeout; timeout 121s; gc-interval 500ms; }
  set paid$family { type $type . inet_service . $type . inet_service; size $flows; flags dynamic,timeout; timeout 60s; gc-interval 500ms; }
  set dns_clients$family { type $type; size 65536; flags dynamic,timeout; timeout 2m; }
  set udp_clients$family { type $type; size 65536; flags dynamic,timeout; timeout 2m; }
  set tcp_clients$family { type $type; size 65536; flags dynamic; }
  chain limit$family {
    $name daddr $ranges jump count$family
    $name saddr $ranges meta l4proto udp jump answer$family
RULES
    if [ "$node_ports" != none ]; then
        echo "    $name daddr != $loopback meta l4proto { tcp, udp } th dport $node_ports fib daddr type local jump count$family"
    fi
    cat <<RULES
  }
  chain count$family {
    tcp flags & (syn | ack) == syn add @tcp_clients$family { $name saddr ct count over $client_connections } counter name connections_of_one_client jump refuse_connection
    meta l4proto != udp return
    $ask @flows$family $ask @paid$family udp dport 53 update @flows$family { $ask timeout 2500ms } return
    $ask @flows$family $ask @paid$family update @flows$family { $ask } return
    udp dport 53 update @dns_clients$family { $name saddr limit rate over $dns_rate/second burst $burst packets } counter name flows_of_one_client jump drop_flow
    udp dport != 53 update @udp_clients$family { $name saddr limit rate over $rate/second burst $burst packets } counter name flows_of_one_client jump drop_flow
    udp dport 53 update @flows$family { $ask timeout 2500ms } add @paid$family { $ask timeout 1s } return
    update @flows$family { $ask } add @paid$family { $ask } return
    counter name flows_of_all jump drop_flow
  }
  chain answer$family {
    $answer != @flows$family return
    $answer @paid$family udp sport 53 update @flows$family { $answer timeout 2500ms } return
    $answer @paid$family update @flows$family { $answer } return
    udp sport 53 update @dns_clients$family { $name daddr limit rate over $dns_rate/second burst $burst packets } counter name flows_of_one_client drop
    udp sport != 53 update @udp_clients$family { $name daddr limit rate over $rate/second burst $burst packets } counter name flows_of_one_client drop
    udp sport 53 update @flows$family { $answer timeout 2500ms } add @paid$family { $answer timeout 1s } return
    update @flows$family { $answer } add @paid$family { $answer }
  }
RULES
}

# What one client may take, and all together.
limits() {
    cat <<RULES
  counter connections_of_one_client { }
  counter flows_of_one_client { }
  counter flows_of_all { }
  chain refuse_connection {
    limit rate 10/minute log prefix "seaway: too many connections: "
    meta l4proto tcp reject with tcp reset
  }
  chain drop_flow {
    limit rate 10/minute log prefix "seaway: too many UDP flows: "
    drop
  }
RULES
    limit_rules 4
    limit_rules 6
    echo "  chain limit_incoming { type filter hook prerouting priority -110; policy accept;"
    echo "    iif lo return"
    [ -z "$ranges4" ] || echo "    meta nfproto ipv4 jump limit4"
    [ -z "$ranges6" ] || echo "    meta nfproto ipv6 jump limit6"
    echo "  }"
    echo "  chain limit_own { type filter hook output priority -110; policy accept;"
    [ -z "$ranges4" ] || echo "    meta nfproto ipv4 jump limit4"
    [ -z "$ranges6" ] || echo "    meta nfproto ipv6 jump limit6"
    echo "  }"
}

packet_rules() {
    rules_so_far=''
    [ "$max_files" = none ] || add_chains limits "nothing limits what one client takes, because the rules against it are refused"
    if in_namespace; then
        add_chains node_port_chains "node ports are not served, because their rules are refused"
        add_chains unclaimed "external addresses that are this node's own are not served, because their rules are refused"
        add_chains keep_client "a network plugin may hide clients from Services, because the rule against it is refused"
    else
        [ -z "$redirect" ] || add_chains redirected "TCP to Services is not served, because its rules are refused"
        add_chains foreign "processes of the node that listen on all addresses answer on Service addresses, because the rules against it are refused"
    fi
    if [ "$group" != none ]; then
        add_chains guard "Envoy may connect to itself without end, because the rules against it are refused"
    fi
    if [ "$keep_source" = yes ]; then
        add_chains kept_sources "the rules of --keep-source are refused"
        case $rules_so_far in *"chain sources "*) ;; *) fail "without them connections of Services would have no answers" ;; esac
    fi
}

# One transaction: there is no moment without rules.
packets() {
    if ! command -v nft >/dev/null; then
        warn "nft is missing (package nftables): processes of the node that listen on all addresses answer on Service addresses"
        return
    fi
    packet_rules
    { echo "table inet $TABLE"; echo "delete table inet $TABLE"; printf 'table inet %s {\n%s}\n' "$TABLE" "$rules_so_far"; } | nft -f -
    if in_namespace; then
        rules_so_far=''
        [ -z "$redirect" ] || add_chains redirected_inside "TCP to Services is not served, because its rules are refused"
        { echo "table inet $TABLE"; echo "delete table inet $TABLE"; printf 'table inet %s {\n%s}\n' "$TABLE" "$rules_so_far"; } | inside nft -f -
        look_at_forwarding
    fi
}

# What pods send to Services is forwarded to the namespace. A firewall that forwards nothing of its own accord would swallow it, and only
# a rule in that very chain helps.
look_at_forwarding() {
    nft list chains 2>/dev/null | awk '
        $1 == "table" { table = $2 " " $3 }
        $1 == "chain" { chain = $2 }
        /hook forward/ && /policy drop/ { print table, chain }
    ' | while read -r family table chain; do
        nft list table "$family" "$table" | grep -q "oifname \"$LINK\".* accept" ||
            warn "chain $chain of nft's table $family $table drops what pods send to Services, unless it is told otherwise: nft insert rule $family $table $chain oifname $LINK accept"
    done
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

in_namespace() {
    case $capture in namespace*) return 0 ;; *) return 1 ;; esac
}

# Runs a command in the namespace.
inside() {
    nsenter "--net=$NAMESPACE_FILE" "$@"
}

# Gives a setting of the kernel a value, unless it has it; where that is not allowed, what is amiss without it is said.
setting() {
    [ "$(cat "/proc/sys/$1" 2>/dev/null || true)" = "$2" ] || (echo "$2" >"/proc/sys/$1") 2>/dev/null ||
        warn "$1 cannot be set to $2: $3"
}

is_namespace() {
    [ "$(stat -f -c %t "$NAMESPACE_FILE" 2>/dev/null || true)" = 6e736673 ]
}

# Only a namespace that is mounted is one. An Envoy that runs keeps the one it began with: it is never made anew while there is one.
make_namespace() {
    # Two pods that take one another's place may both be at it: then the other one makes it.
    tries=0
    while ! is_namespace; do
        tries=$((tries + 1))
        rm -f "$NAMESPACE_FILE" 2>/dev/null || true
        ip netns add "$NAMESPACE" 2>/dev/null || sleep 0.2
        [ "$tries" -lt 10 ] || fail "cannot make the network namespace $NAMESPACE_FILE (needs CAP_SYS_ADMIN, and nothing else at that path)"
    done
    # Somebody who made the namespace anew has left the link with the old one.
    if ip link show "$LINK" >/dev/null 2>&1 && ! inside ip link show "$LINK" >/dev/null 2>&1; then
        warn "$NAMESPACE_FILE was made anew by somebody: an Envoy that was started before has to be started again"
        ip link del "$LINK"
    fi
    ip link show "$LINK" >/dev/null 2>&1 || ip link add "$LINK" type veth peer name "$LINK" netns "$NAMESPACE" 2>/dev/null ||
        ip link show "$LINK" >/dev/null || fail "cannot join $NAMESPACE_FILE to the node"
}

# The greatest packets that the node's own interface takes: larger ones would have to be cut for everybody outside.
link_mtu() {
    device=$(ip -o addr show to "${source4:-$source6}" | awk 'NR == 1 { print $2 }')
    mtu=$(ip -o link show dev "${device:-lo}" | sed -n 's/.* mtu \([0-9]*\) .*/\1/p')
    # A node's address may be on `lo`, whose packets are as large as can be.
    if [ "${mtu:-65536}" -gt 9216 ]; then echo 1500; else echo "$mtu"; fi
}

# The namespace with its link: in there every range is local, and everything else is behind the link.
namespace() {
    make_namespace
    mtu=$(link_mtu)
    inside ip link set lo up
    ip link set "$LINK" mtu "$mtu" up
    inside ip link set "$LINK" mtu "$mtu" up
    ip addr replace "$OUTER4/30" dev "$LINK"
    inside ip addr replace "$INNER4/30" dev "$LINK"
    inside ip route replace default via "$OUTER4"
    ranges_inside 4 "$ranges4"
    setting net/ipv4/ip_forward 1 "pods reach no Service"
    if has_ipv6; then
        ip -6 addr replace "$OUTER6/64" dev "$LINK" nodad
        inside ip -6 addr replace "$VIA6/64" dev "$LINK" nodad
        inside ip -6 addr replace "$INNER6/128" dev "$LINK" nodad
        inside ip -6 route replace default via "$OUTER6" dev "$LINK"
        ranges_inside 6 "$ranges6"
        # Who forwards takes no router advertisements, unless an interface is told to (accept_ra=2).
        setting net/ipv6/conf/all/forwarding 1 "pods reach no Service by IPv6"
    fi
    # Envoy needs no capability for ports below 1024 in there, and what waits for an Envoy that ends goes to the next.
    inside sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start && echo 1 >/proc/sys/net/ipv4/tcp_migrate_req' 2>/dev/null ||
        warn "settings of the namespace cannot be changed: Envoy needs CAP_NET_BIND_SERVICE, and connections that wait for one that ends are reset"
}

# In table local, because an answer cannot be sent from an address that is not.
ranges_inside() {
    family=$1
    for range in $(inside ip "-$family" route show table local proto "$PROTO" | sed -n 's/^local \([^ ]*\).*/\1/p'); do
        case " $(echo "$2" | tr '\n' ' ') " in
        *" $range "* | *" $range/32 "* | *" $range/128 "*) ;;
        *) inside ip "-$family" route del local "$range" dev lo table local proto "$PROTO" ;;
        esac
    done
    for range in $2; do
        inside ip "-$family" route replace local "$range" dev lo table local proto "$PROTO"
    done
}

no_namespace() {
    ip link del "$LINK" 2>/dev/null || true
    if [ -e "$NAMESPACE_FILE" ]; then ip netns del "$NAMESPACE"; fi
}

# As pods get it: variables of `seaway serve`, too, but for the node's address.
from_environment() {
    addresses=$(echo "${SEAWAY_NODE_ADDRESS:-}" | tr ',' ' ')
    pods=$(echo "${SEAWAY_POD_CIDR:-}" | tr ',' ' ')
    ranges=$(echo "${SEAWAY_SERVICE_CIDR:-} ${SEAWAY_VIP_CIDR:-}" | tr ',' ' ')
    capture=${SEAWAY_CAPTURE:-}
    nodeport_addresses=${SEAWAY_NODEPORT_ADDRESSES:-all}
}

arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --node-address) value "$1" $#; addresses="$addresses $(echo "$2" | tr ',' ' ')"; shift 2 ;;
        --service-cidr | --vip-cidr) value "$1" $#; ranges="$ranges $(echo "$2" | tr ',' ' ')"; shift 2 ;;
        --capture) value "$1" $#; capture=$2; shift 2 ;;
        --redirect) value "$1" $#; redirect=$2; shift 2 ;;
        --node-ports) value "$1" $#; node_ports=$2; shift 2 ;;
        --nodeport-addresses) value "$1" $#; nodeport_addresses=$2; shift 2 ;;
        --group) value "$1" $#; group=$2; shift 2 ;;
        --keep-source) keep_source=yes; shift ;;
        --max-files) value "$1" $#; max_files=$2; shift 2 ;;
        --listener-files) value "$1" $#; listener_files=$2; shift 2 ;;
        --pod-cidr) value "$1" $#; pods="$pods $(echo "$2" | tr ',' ' ')"; shift 2 ;;
        *) fail "unknown argument $1 (see setup.sh help)" ;;
        esac
    done
}

# The ranges of a family as the kernel writes them, each tried where it changes nothing.
canonical() {
    family=$1
    for range in $(of_family "$family" "$2"); do
        case $range in */0) fail "$range is everything: not a range of Services" ;; esac
        ip_of "$family" route add blackhole "$range" table "$SCRATCH_TABLE" proto "$PROTO" 2>/dev/null ||
            [ -n "$(ip_of "$family" route show table "$SCRATCH_TABLE" exact "$range" 2>/dev/null)" ] ||
            { ip_of "$family" route flush table "$SCRATCH_TABLE" 2>/dev/null || true; fail "$range is not a range"; }
    done
    # Words, not lines: they are looked for with spaces around them.
    ip_of "$family" route show table "$SCRATCH_TABLE" 2>/dev/null | sed 's/^blackhole //; s/ .*//' | tr '\n' ' '
    ip_of "$family" route flush table "$SCRATCH_TABLE" 2>/dev/null || true
}

# A range must be free: a route of somebody else's would be lost, and the node's own addresses have to stay the node's.
check_free() {
    family=$1
    for range in $2; do
        for table in main local; do
            taken=$(ip_of "$family" route show table "$table" exact "$range" 2>/dev/null | grep -v "proto $PROTO" | head -n 1)
            [ -z "$taken" ] || fail "$range has a route already, which is not setup.sh's: $taken"
        done
        for address in $(of_family "$family" "$addresses"); do
            if ip_of "$family" -o addr show to "$range" | grep -q " ${address}/"; then fail "$range has the node's own address $address"; fi
        done
    done
}

# Numbers as options have them.
number() {
    case $2 in '' | *[!0-9]* | ???????????*) fail "$1 $2: expected a number" ;; esac
}

check_numbers() {
    [ -z "$redirect" ] || number --redirect "$redirect"
    [ "$group" = none ] || number --group "$group"
    if [ "$node_ports" != none ]; then
        number --node-ports "${node_ports%-*}"
        number --node-ports "${node_ports#*-}"
        if [ "${node_ports%-*}" -gt "${node_ports#*-}" ] || [ "${node_ports#*-}" -gt 65535 ]; then
            fail "--node-ports $node_ports: expected FIRST-LAST"
        fi
    fi
    case $max_files in none | '') ;; *) number --max-files "$max_files" ;; esac
    [ -z "$listener_files" ] || number --listener-files "$listener_files"
}

# What was asked for, made whole; all that is wrong with it is found before anything is changed.
check() {
    check_numbers
    case $capture:$redirect in
    bind:?* | :?*) capture=redirect ;;
    namespace:?*) capture=namespace-redirect ;;
    : | bind:) capture=bind ;;
    redirect: | namespace-redirect:) redirect=15006 ;;
    redirect:?* | namespace: | namespace-redirect:?*) ;;
    *) fail "--capture $capture is unknown; expected bind, redirect, namespace or namespace-redirect" ;;
    esac
    case $ranges in *[!\ ]*) ;; *) fail "up needs a --service-cidr" ;; esac
    for word in $addresses $ranges $pods; do
        case $word in *[!0-9a-fA-F:./]*) fail "$word is not an address or a range" ;; esac
    done
    case $nodeport_addresses in
    all | primary) ;;
    *[!0-9a-fA-F:./,]*) fail "--nodeport-addresses $nodeport_addresses: expected all, primary or ranges" ;;
    esac
    source4=$(of_family 4 "$addresses" | head -n 1) source6=$(of_family 6 "$addresses" | head -n 1)
    ranges4=$(of_family 4 "$ranges") ranges6=$(of_family 6 "$ranges")
    if [ -n "$ranges4" ] && [ -z "$source4" ]; then fail "IPv4 ranges need an IPv4 --node-address"; fi
    if [ -n "$ranges6" ] && [ -z "$source6" ]; then fail "IPv6 ranges need an IPv6 --node-address"; fi
    if [ "$capture" != bind ] || [ "$keep_source" = yes ]; then
        command -v nft >/dev/null || fail "nft is needed for --capture $capture and --keep-source (package nftables)"
    fi
    if in_namespace; then command -v nsenter >/dev/null || fail "nsenter is needed for --capture $capture (package util-linux)"; fi
    if ! has_ipv6; then source6='' ranges6=''; fi
    [ -n "$ranges4$ranges6" ] || fail "there is no IPv6 here, and no range of IPv4"
    for address in $source4 $source6; do
        case $address in */*) fail "--node-address $address: expected an address, not a range" ;; esac
        [ -n "$(ip -o addr show to "$address" 2>/dev/null)" ] || fail "--node-address $address is no address of this machine"
    done
    ranges4=$(canonical 4 "$ranges4") || exit 2
    check_free 4 "$ranges4"
    if has_ipv6; then
        ranges6=$(canonical 6 "$ranges6") || exit 2
        check_free 6 "$ranges6"
    fi
    given=$max_files
    [ -n "$given" ] || max_files=$(own_limit)
    if [ "$max_files" != none ] && ! shares; then
        too_few="$max_files files (--max-files) are too few to share out beside $listener_files for listeners"
        [ -z "$given" ] || fail "$too_few"
        warn "$too_few: nothing limits what one client takes"
        max_files=none
    fi
}

up() {
    redirect='' node_ports=30000-32767 group=$GROUP keep_source=no
    max_files=${SEAWAY_MAX_FILES:-} listener_files=${SEAWAY_LISTENER_FILES:-}
    from_environment
    arguments "$@"
    check
    # What waits for an Envoy that ends goes to the next one.
    setting net/ipv4/tcp_migrate_req 1 "connections that wait for an Envoy that ends are reset"
    if in_namespace; then namespace; fi
    routes 4 "$source4" "$ranges4"
    if has_ipv6; then routes 6 "$source6" "$ranges6"; fi
    if [ "$keep_source" = yes ]; then
        reply_routes 4 0.0.0.0/0
        if has_ipv6; then reply_routes 6 ::/0; fi
    else
        no_reply_routes 4
        if has_ipv6; then no_reply_routes 6; fi
    fi
    packets
    in_namespace || no_namespace
}

down() {
    no_packets
    for family in 4 6; do
        [ "$family" = 4 ] || has_ipv6 || continue
        no_reply_routes "$family"
        unroute "$family" local ''
        unroute "$family" main ''
    done
    no_namespace
}

show() {
    for family in 4 6; do
        [ "$family" = 4 ] || has_ipv6 || continue
        ip_of "$family" route show table local proto "$PROTO"
        ip_of "$family" route show table main proto "$PROTO"
        ip_of "$family" rule show | grep "lookup $REPLY_TABLE" || true
    done
    if command -v nft >/dev/null; then nft list table inet "$TABLE" 2>/dev/null || true; fi
    if [ -e "$NAMESPACE_FILE" ]; then
        echo "in $NAMESPACE_FILE:"
        inside ip addr show "$LINK"
        inside ip route show table local proto "$PROTO"
        inside ip -6 route show table local proto "$PROTO"
        inside nft list table inet "$TABLE" 2>/dev/null || true
    fi
}

case ${1:-help} in
up) shift; up "$@" ;;
down) [ $# = 1 ] || fail "down takes no arguments"; down ;;
show) [ $# = 1 ] || fail "show takes no arguments"; show ;;
help | -h | --help) usage ;;
*) fail "unknown command $1 (see setup.sh help)" ;;
esac
