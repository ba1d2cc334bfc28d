#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Proves the lab itself, without Sluice: a kernel tunnel device at lb does the balancer's work, for
# each kind of tunnel and each kind of link. When this fails, so would everything built on it.
set -eu
. tests/vm/guest/lab.sh

# kernel_balancer KIND: lb sends the VIPs into a tunnel of its own to the backend.
kernel_balancer() {
    local ends4="local 10.0.1.2 remote $BACKEND4"
    local ends6="local fd00:1::2 remote $BACKEND6 encaplimit none"
    local gue="encap gue encap-sport auto encap-dport 6080"
    ip -n lb link del t4 2>/dev/null || true
    ip -n lb link del t6 2>/dev/null || true
    case $1 in
        ip-in-4) tunnel t4 ipip "$ends4"; tunnel t6 sit "$ends4" ;;
        ip-in-6) tunnel t6 "ip6tnl mode any" "$ends6" ;;
        gue-in-4) tunnel t4 ipip "$ends4 $gue"; tunnel t6 sit "$ends4 $gue" ;;
        gue-in-6) tunnel t6 "ip6tnl mode any" "$ends6 $gue encap-udp6-csum" ;;
        gre-in-4) tunnel t4 gre "$ends4" ;;
        gre-in-6) tunnel t6 ip6gre "$ends6" ;;
    esac
    # A device that carries both families stands in for the one that is missing.
    ip -n lb route replace $VIP4/32 dev t4 2>/dev/null || ip -n lb route replace $VIP4/32 dev t6
    ip -n lb route replace $VIP6/128 dev t6 2>/dev/null || ip -n lb route replace $VIP6/128 dev t4
}

# tunnel DEVICE TYPE OPTIONS
tunnel() {
    # shellcheck disable=SC2086
    ip -n lb link add "$1" type $2 $3
    ip -n lb link set dev "$1" up
}

[ $# -gt 0 ] || set -- plain vlan qinq bond
for links in "$@"; do
    echo "lab: $links"
    lab_up "$links"
    kernel_tunnels
    web 80
    at lb sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    for kind in ip-in-4 ip-in-6 gre-in-4 gre-in-6 gue-in-4 gue-in-6; do
        kernel_balancer "$kind"
        transfer $VIP4 80 || { lab_report; fail "$links, $kind, IPv4"; }
        transfer "[$VIP6]" 80 || { lab_report; fail "$links, $kind, IPv6"; }
        echo "  $kind carries both families"
    done
    lab_down
done
