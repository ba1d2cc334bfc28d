#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Tuning of NICs with queues, rings and interrupts of their own: a virtio NIC with four queues, and an
# e1000e. What is changed is asked of ethtool and /proc, not of Sluice.
set -eu
. tests/vm/guest/lab.sh

SLUICE=$SLUICE_BUILD/cli/sluice
STATE=/tmp/state
PASS=$(find "$SLUICE_BUILD/tests/vm" -name pass.bpf.o)

for module in virtio_pci virtio_net e1000e; do modprobe $module; done

# nic_of DRIVER: the interface that it drives.
nic_of() {
    local device
    for device in /sys/class/net/*; do
        [ "$(basename "$(readlink -f "$device/device/driver" 2>/dev/null)")" = "$1" ] && basename "$device"
    done
    true
}

tune() { "$SLUICE" node tune --state-dir $STATE "$@"; }
channels() { ethtool -l "$1" | grep Combined: | tail -n 1 | tr -dc 0-9; }
ring() { ethtool -g "$1" | grep "^RX:" | tail -n 1 | tr -dc 0-9; }
# affinity INTERFACE QUEUE of a virtio NIC
affinity() {
    local device number
    device=$(basename "$(readlink -f "/sys/class/net/$1/device")")
    number=$(grep "$device-input.$2\$" /proc/interrupts | tr -d ' ' | cut -d: -f1)
    cat "/proc/irq/$number/smp_affinity_list"
}
# is WHAT HAVE WANT
is() { [ "$2" = "$3" ] || fail "$1 is $2 and not $3"; }

VIRTIO=$(nic_of virtio_net)
E1000E=$(nic_of e1000e)
[ -n "$VIRTIO" ] || fail "no virtio NIC"
[ -n "$E1000E" ] || fail "no e1000e"
ip link set "$VIRTIO" up
ip link set "$E1000E" up
echo "$VIRTIO: virtio_net, $E1000E: e1000e"

ethtool -L "$VIRTIO" combined 1
echo 2 >/proc/irq/"$(grep input.2\$ /proc/interrupts | tr -d ' ' | cut -d: -f1)"/smp_affinity_list
before=$(affinity "$VIRTIO" 2)
tune -i "$VIRTIO"
tune -i "$VIRTIO" --apply
is "queues" "$(channels "$VIRTIO")" 4
for queue in 0 1 2 3; do is "affinity of queue $queue" "$(affinity "$VIRTIO" $queue)" $queue; done
[ "$(tune -i "$VIRTIO" -j | grep -c '"setting"')" = 0 ] || fail "a second run finds more to do"
tune --undo
is "queues after undoing" "$(channels "$VIRTIO")" 1
is "affinity after undoing" "$(affinity "$VIRTIO" 2)" "$before"
[ ! -e $STATE/tuning.json ] || fail "the record stays"

echo "$VIRTIO with XDP"
ip link set "$VIRTIO" xdpdrv obj "$PASS" sec xdp
tune -i "$VIRTIO" | grep "refuses it while XDP is attached" || fail "other queues are planned under XDP"
if ethtool -L "$VIRTIO" combined 4; then fail "this kernel takes other queues under XDP"; fi
ip link set "$VIRTIO" xdp off

echo "$E1000E"
is "ring" "$(ring "$E1000E")" 256
tune -i "$E1000E" --apply
is "ring" "$(ring "$E1000E")" 1024
# A kill between two steps: what was recorded is put back by the next who is asked to.
cp $STATE/tuning.json /tmp/tuning.json
tune --undo
is "ring after undoing" "$(ring "$E1000E")" 256
ethtool -G "$E1000E" rx 1024
sed 's/"made": "[^"]*"/"made": ""/' /tmp/tuning.json >$STATE/tuning.json
tune --undo
is "ring after a record that was cut short" "$(ring "$E1000E")" 256

"$SLUICE" doctor -i "$VIRTIO" -i "$E1000E" -o wide || true
echo "well"
