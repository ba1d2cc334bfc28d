/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a neighbour of the balancer carries in the lab: on Linux 6.1 a veth device delivers frames
 * that the other end has sent by XDP_TX only when it has an XDP program itself (veth_xdp_flush);
 * without one they lie in its ring until something else wakes it.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int pass(struct xdp_md* ctx) {
    (void)ctx;
    return XDP_PASS;
}
