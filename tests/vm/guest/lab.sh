# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034  # LB_XDP is read by the scripts that include this file
#
# A small network in namespaces, for the tests inside the emulated machine:
#
#   client --- router --- lb
#                 \------ backend
#
#   client   198.51.100.2, 2001:db8:c::2
#   lb       10.0.1.2, fd00:1::2: the balancer; its links depend on the lab (lab_up)
#   backend  10.0.2.2, fd00:2::2: carries the VIPs on lo, answers to the client directly
#   VIPs     203.0.113.10, 2001:db8:f::10, which the router sends to lb
#
# The links of lb and backend take 1,600 bytes, so that a full packet fits with its outer header.

VIP4=203.0.113.10
VIP6=2001:db8:f::10
BACKEND4=10.0.2.2
BACKEND6=fd00:2::2
BLOB=/tmp/blob
BLOB_BYTES=${BLOB_BYTES:-2000000}

fail() {
    echo "FAILED: $*"
    exit 1
}

# within SECONDS COMMAND...: waits until the command succeeds.
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || { "$@"; return 1; }
        # Between two looks: reading from a pipe into which nobody writes.
        read -r -t 0.05 <> <(:) || true
    done
}

at() { ip netns exec "$@"; }

# wire NAMESPACE DEVICE NAMESPACE DEVICE MTU: a cable between two namespaces. Frames travel as on a
# real wire: checksums complete, VLAN tags inside, and both ends able to take what XDP sends.
wire() {
    ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
    plug "$1" "$2" "$5"
    plug "$3" "$4" "$5"
}

plug() {
    ip -n "$1" link set dev "$2" mtu "$3" up
    at "$1" ethtool -K "$2" tx off txvlan off tx-vlan-stag-hw-insert off gro on >/dev/null
}

# listen DEVICE: the router takes what the balancer sends by XDP there (pass.bpf.c says why).
listen() {
    ip -n router link set dev "$1" xdpdrv object "$SLUICE_BUILD/tests/vm/pass.bpf.o" section xdp
}

# address NAMESPACE DEVICE IPV4/LEN IPV6/LEN
address() {
    ip -n "$1" link set dev "$2" up
    ip -n "$1" addr add "$3" dev "$2"
    ip -n "$1" addr add "$4" dev "$2" nodad
}

# via NAMESPACE GATEWAY4 GATEWAY6: default routes.
via() {
    ip -n "$1" route replace default via "$2"
    ip -n "$1" -6 route replace default via "$3"
}

namespace() {
    ip netns add "$1"
    ip -n "$1" link set dev lo up
    at "$1" sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=0 \
        net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.all.accept_dad=0 \
        net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0
}

# The balancer's links, one function for each kind of lab. LB_XDP is what sluiced attaches to.
links_plain() {
    wire router to-lb lb eth0 1600
    listen to-lb
    address router to-lb 10.0.1.1/24 fd00:1::1/64
    address lb eth0 10.0.1.2/24 fd00:1::2/64
    via lb 10.0.1.1 fd00:1::1
    LB_XDP=eth0
}

# trunk DEVICE_AT_ROUTER DEVICE_AT_LB: VIPs arrive in VLAN 100, the backend is behind VLAN 200.
trunk() {
    trunk_end router "$1" 1
    trunk_end lb "$2" 2
    via lb 10.0.1.1 fd00:1::1
    ip -n lb route add 10.0.2.0/24 via 10.0.3.1
    ip -n lb route add fd00:2::/64 via fd00:3::1
}

trunk_end() {
    ip -n "$1" link add link "$2" name "$2.100" type vlan id 100
    ip -n "$1" link add link "$2" name "$2.200" type vlan id 200
    address "$1" "$2.100" "10.0.1.$3/24" "fd00:1::$3/64"
    address "$1" "$2.200" "10.0.3.$3/24" "fd00:3::$3/64"
}

links_vlan() {
    wire router to-lb lb eth0 1600
    listen to-lb
    trunk to-lb eth0
    LB_XDP=eth0
}

links_qinq() {
    wire router to-lb lb eth0 1604
    listen to-lb
    ip -n router link add link to-lb name to-s type vlan protocol 802.1ad id 300
    ip -n lb link add link eth0 name s type vlan protocol 802.1ad id 300
    ip -n router link set dev to-s up
    ip -n lb link set dev s up
    trunk to-s s
    LB_XDP=eth0
}

links_bond() {
    local end
    ip -n router link add to-lb type bridge
    ip -n router link set dev to-lb mtu 1600
    ip -n lb link add bond0 type bond mode active-backup miimon 50
    for end in 0 1; do
        wire router "to-lb$end" lb "eth$end" 1600
        listen "to-lb$end"
        ip -n router link set dev "to-lb$end" master to-lb
        ip -n lb link set dev "eth$end" down
        ip -n lb link set dev "eth$end" master bond0
    done
    ip -n lb link set dev bond0 mtu 1600
    address router to-lb 10.0.1.1/24 fd00:1::1/64
    address lb bond0 10.0.1.2/24 fd00:1::2/64
    via lb 10.0.1.1 fd00:1::1
    LB_XDP=bond0
}

# lab_up plain|vlan|qinq|bond
lab_up() {
    local name
    for name in client router lb backend; do namespace "$name"; done
    at router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    wire client eth0 router to-client 1500
    address client eth0 198.51.100.2/24 2001:db8:c::2/64
    address router to-client 198.51.100.1/24 2001:db8:c::1/64
    via client 198.51.100.1 2001:db8:c::1
    wire backend eth0 router to-backend 1600
    address backend eth0 $BACKEND4/24 $BACKEND6/64
    address router to-backend 10.0.2.1/24 fd00:2::1/64
    via backend 10.0.2.1 fd00:2::1
    address backend lo $VIP4/32 $VIP6/128
    "links_$1"
    ip -n router route add $VIP4/32 via 10.0.1.2
    ip -n router -6 route add $VIP6/128 via fd00:1::2
    within 10 at lb ping -c 1 -W 1 $BACKEND4 || fail "lb does not reach the backend"
    within 10 at lb ping -c 1 -W 1 $BACKEND6 || fail "lb does not reach the backend over IPv6"
    within 10 at router ping -c 1 -W 1 10.0.1.2 || fail "the router does not reach lb"
}

# Everything that lab_up made, and every process that runs in it.
lab_down() {
    local name pid
    for name in client router lb backend; do
        for pid in $(ip netns pids "$name" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
    done
    for name in client router lb backend; do
        within 10 no_process_in "$name" || fail "processes stay in $name"
        ip netns del "$name"
    done
}

no_process_in() { [ -z "$(ip netns pids "$1")" ]; }

# The kernel's own tunnel devices at the backend, for any sender: what a backend without our agent
# has. GUE is unwrapped first and then goes to the same devices.
kernel_tunnels() {
    ip -n backend link add ipip4 type ipip local $BACKEND4
    ip -n backend link add sit4 type sit local $BACKEND4
    ip -n backend link add any6 type ip6tnl mode any local $BACKEND6
    ip -n backend link add gre4 type gre local $BACKEND4
    ip -n backend link add gre6 type ip6gre local $BACKEND6
    modprobe fou
    modprobe fou6
    at backend ip fou add port 6080 gue
    at backend ip -6 fou add port 6080 gue
    local device
    for device in ipip4 sit4 any6 gre4 gre6; do ip -n backend link set dev "$device" up; done
}

# What helps to understand why packets do not arrive.
lab_report() {
    local name
    for name in client router lb backend; do
        echo "---- $name"
        ip -n "$name" -s link | awk '/^[0-9]+:/ {name = $2} /RX:|TX:/ {way = $1; getline;
            if ($2 > 0) print name, way, $2, "packets,", $3, "errors,", $4, "dropped"}'
        ip -n "$name" neigh
        at "$name" netstat -tn | tail -n +3
    done
    bridge -n router fdb show 2>/dev/null | grep -v permanent || true
    at lb cat /proc/net/bonding/bond0 2>/dev/null | grep -E 'Active|Slave|MII|addr' || true
}

# received DEVICE: bytes that a device of the backend has taken in.
received() { at backend cat "/sys/class/net/$1/statistics/rx_bytes"; }

# web PORT...: web servers at the backend; /blob is random, /cgi-bin/digest digests what is posted.
web() {
    local port
    mkdir -p /tmp/www/cgi-bin
    # Text: busybox wget posts nothing after a zero byte.
    [ -e $BLOB ] || base64 /dev/urandom | head -c "$BLOB_BYTES" >$BLOB
    ln -sf $BLOB /tmp/www/blob
    echo yes >/tmp/www/ready
    cat >/tmp/www/cgi-bin/digest <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
head -c "$CONTENT_LENGTH" | sha256sum
END
    chmod +x /tmp/www/cgi-bin/digest
    for port in "$@"; do
        ip netns exec backend httpd -f -p "$port" -h /tmp/www &
        disown
        within 10 at backend timeout 5 wget -q -O - "http://127.0.0.1:$port/ready" || fail "no web server on port $port"
    done
}

# transfer HOST PORT: posts and fetches the blob; both must arrive whole.
transfer() {
    local want got
    want=$(sha256sum <$BLOB)
    got=$(at client timeout 60 wget -q -O - --post-file=$BLOB "http://$1:$2/cgi-bin/digest") ||
        { echo "upload to $1:$2 failed"; return 1; }
    [ "$got" = "$want" ] || { echo "upload to $1:$2: digest $got, not $want"; return 1; }
    got=$(at client timeout 60 wget -q -O - "http://$1:$2/blob" | sha256sum)
    [ "$got" = "$want" ] || { echo "download from $1:$2: digest $got, not $want"; return 1; }
}
