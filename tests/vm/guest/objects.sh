#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The BPF objects and this kernel's verifier. Those for instruction set v3 load, whatever the
# configuration asks of them; those for v4 are refused here, which is why the loader probes, and
# `sluice doctor` says so.
set -eu
. tests/vm/guest/lab.sh
objects=$SLUICE_BUILD/bpf

"$SLUICE_BUILD/tests/vm/vm_verify" "$objects"/{root,root_canary,lb,agent,probe}_v3.bpf.o || fail "v3 is refused"

# The one that is no XDP program is attached as well.
bpftool prog load "$objects/probe_v3.bpf.o" /sys/fs/bpf/probe type classifier
tc qdisc add dev lo clsact
tc filter add dev lo egress prio 1 bpf direct-action object-pinned /sys/fs/bpf/probe ||
    fail "the program for probes cannot be attached"
tc filter show dev lo egress | grep -q direct-action || fail "the program for probes is not there"

if "$SLUICE_BUILD/tests/vm/vm_verify" "$objects/lb_v4.bpf.o" >/tmp/v4; then
    fail "this kernel takes v4: it is not the oldest supported one"
fi
grep -q 'unknown opcode' /tmp/v4 || fail "v4 is refused for another reason: $(cat /tmp/v4)"
echo "v4 is refused: $(grep -m 1 'unknown opcode' /tmp/v4)"

# What this kernel lacks is said before anything is attached, and is no reason to fail.
doctor=$("$SLUICE_BUILD/cli/sluice" doctor) || fail "sluice doctor finds this kernel unfit: $doctor"
for told in 'instruction set v3; v4 came with Linux 6.6' 'no tcx links (Linux 6.6)'; do
    grep -qF "$told" <<<"$doctor" || fail "sluice doctor does not say '$told': $doctor"
done
grep -E 'instruction set|tcx' <<<"$doctor"
