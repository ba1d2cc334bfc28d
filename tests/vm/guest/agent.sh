#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Connections through sluiced to a backend that runs our agent and has no tunnel device at all.
set -eu
. tests/vm/guest/lab.sh
. tests/vm/guest/balancer.sh

AGENT_PINS=/run/bpf/agent

agent_up() {
    mkdir -p $BPFFS
    grep -q " $BPFFS bpf " /proc/mounts || mount -t bpf bpf $BPFFS
    ip netns exec backend "$SLUICE" agent run --interface eth0 --vip $VIP4 --vip $VIP6 \
        --from $FROM4 --from $FROM6 --bpffs $AGENT_PINS --xdp-mode native >/tmp/agent.log 2>&1 &
    AGENT=$!
    within 60 agent_attached || { cat /tmp/agent.log; fail "the agent does not attach"; }
}

agent_attached() { at backend ip link show dev eth0 | grep -q xdp; }

lab_up plain
web "${!FORWARD[@]}"
agent_up
balancer_up
for port in "${!FORWARD[@]}"; do
    for host in $VIP4 "[$VIP6]"; do
        transfer "$host" "$port" || {
            balancer_report
            cat /tmp/agent.log
            "$SLUICE" agent status --bpffs $AGENT_PINS
            fail "${FORWARD[$port]} to $host"
        }
    done
    echo "  ${FORWARD[$port]} carries both families"
done
"$SLUICE" agent status --bpffs $AGENT_PINS
kill "$AGENT"
wait "$AGENT" || fail "the agent ended with $?"
if agent_attached; then fail "the agent stays attached"; fi
balancer_down # which finds no pin of either
lab_down
