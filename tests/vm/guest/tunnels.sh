#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Connections through sluiced to a backend that knows nothing of Sluice: the kernel's own tunnel
# devices take the packets apart. For each kind of link of the balancer that is named (plain, vlan,
# qinq, bond): every way to forward, both families inside and outside, a transfer in each direction
# whose digest must match, and proof that the device meant for it took the packets in.
set -eu
. tests/vm/guest/lab.sh
. tests/vm/guest/balancer.sh

# device PORT FAMILY: the backend's device that must see the packets.
device() {
    case ${FORWARD[$1]}-$2 in
        "ipip be4-4" | "gue be4-4") echo ipip4 ;;
        "ipip be4-6" | "gue be4-6") echo sit4 ;;
        "ipip be6"-* | "gue be6"-*) echo any6 ;;
        "gre be4"-*) echo gre4 ;;
        "gre be6"-*) echo gre6 ;;
    esac
}

# through PORT FAMILY HOST
through() {
    local seen before
    seen=$(device "$1" "$2")
    before=$(received "$seen")
    transfer "$3" "$1" || { balancer_report; fail "$LINKS: ${FORWARD[$1]}, IPv$2"; }
    [ $(($(received "$seen") - before)) -ge "$BLOB_BYTES" ] ||
        fail "$LINKS: ${FORWARD[$1]}, IPv$2: $seen saw $(($(received "$seen") - before)) bytes"
}

all_ways() {
    local port
    for port in "${!FORWARD[@]}"; do
        through "$port" 4 $VIP4
        through "$port" 6 "[$VIP6]"
        echo "  ${FORWARD[$port]} carries both families"
    done
    at client ping -c 1 -W 5 $VIP4 >/dev/null || fail "$LINKS: no answer to a ping"
    at client ping -c 1 -W 5 $VIP6 >/dev/null || fail "$LINKS: no answer to a ping over IPv6"
    echo "  both VIPs answer pings"
}

[ $# -gt 0 ] || set -- plain vlan qinq bond
for LINKS in "$@"; do
    echo "balancer's links: $LINKS"
    lab_up "$LINKS"
    kernel_tunnels
    web "${!FORWARD[@]}"
    balancer_up
    all_ways
    if [ "$LINKS" = bond ]; then
        active=$(at lb cat /sys/class/net/bond0/bonding/active_slave)
        ip -n lb link set dev "$active" down
        echo "  $active is down, now $(at lb cat /sys/class/net/bond0/bonding/active_slave)"
        all_ways
    fi
    balancer_down
    lab_down
done
