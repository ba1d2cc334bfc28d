# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# sluiced on the lab's balancer: a service for each way to forward, on a port of its own, for both
# VIPs, all to the one backend. Pins are on a bpffs of its own, because `ip netns exec` hides the
# one below /sys.

SLUICED=$SLUICE_BUILD/daemon/sluiced
SLUICE=$SLUICE_BUILD/cli/sluice
BPFFS=/run/bpf
SOCKET=/run/sluice/sluice.sock
CONFIG=/tmp/sluice.yaml
FROM4=10.255.0.0/24
FROM6=fd00:ff::/64

# port: forward and backend
declare -A FORWARD=([8001]="ipip be4" [8002]="ipip be6" [8003]="gre be4" [8004]="gre be6"
    [8005]="gue be4" [8006]="gue be6")

balancer_config() {
    cat <<END
version: 1
node:
  name: vm
  interfaces: [$LB_XDP]
  xdp_mode: native
  tunnel_source: {ipv4: $FROM4, ipv6: "$FROM6"}
  ring_secret: 000102030405060708090a0b0c0d0e0f
groups:
  be4: {backends: [$BACKEND4]}
  be6: {backends: ["$BACKEND6"]}
services:
END
    local port vip number=0
    for port in "${!FORWARD[@]}"; do
        for vip in $VIP4 $VIP6; do
            number=$((number + 1))
            # shellcheck disable=SC2086
            set -- ${FORWARD[$port]}
            echo "  - {name: s$number, vip: \"$vip\", protocol: tcp, port: $port, forward: $1, group: $2}"
        done
    done
}

BALANCER_COMMAND=(ip netns exec lb "$SLUICED" -f "$CONFIG" --bpffs "$BPFFS" --socket "$SOCKET")

# Starts sluiced and waits until every backend is resolved (exit code 0: healthy, not degraded).
balancer_up() {
    mkdir -p $BPFFS /run/sluice /var/lib/sluice
    grep -q " $BPFFS bpf " /proc/mounts || mount -t bpf bpf $BPFFS
    balancer_config >$CONFIG
    "${BALANCER_COMMAND[@]}" >/tmp/sluiced.log 2>&1 &
    BALANCER=$!
    within 60 "$SLUICE" --socket $SOCKET status || { balancer_report; fail "sluiced is not healthy"; }
    "$SLUICE" --socket $SOCKET -j node show | grep -q '"instruction_set": "v3"' ||
        fail "sluiced has not chosen the objects that this kernel takes"
}

# Stops sluiced and takes its data plane away; nothing may stay on the interface.
balancer_down() {
    kill "$BALANCER"
    wait "$BALANCER" || fail "sluiced ended with $?"
    at lb ip link show dev "$LB_XDP" | grep -q xdp || fail "stopping sluiced took the data plane away"
    "${BALANCER_COMMAND[@]}" --detach || fail "sluiced --detach"
    if at lb ip link show | grep xdp; then fail "an XDP program stays attached"; fi
    [ -z "$(find $BPFFS -type f -o -name 'gen*')" ] || fail "pins stay: $(find $BPFFS)"
}

# What helps to understand a failure.
balancer_report() {
    tail -n 40 /tmp/sluiced.log
    "$SLUICE" --socket $SOCKET status
    "$SLUICE" --socket $SOCKET reasons
    "$SLUICE" --socket $SOCKET backend list
    at lb ip -br addr
    at lb ip neigh
    at backend ip -s -br link
    true
}
