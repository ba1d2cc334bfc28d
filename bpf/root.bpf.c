/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The root program: what is attached to every interface, and hardly ever changes. It tail-calls
 * slot 0 of one program array, so that storing one slot moves all interfaces to another generation
 * at the same instant, for a nanosecond a packet.
 *
 * With an empty slot packets go to Linux: a host that lost its balancer must stay reachable. That
 * is counted in slc_root_missed, the only count of this program.
 */
#include "lib/root_exit.h"

char _license[] SEC("license") = "Dual BSD/GPL";

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} slc_root_progs SEC(".maps");

SEC("xdp.frags")
int slc_root(struct xdp_md *ctx)
{
    bpf_tail_call(ctx, &slc_root_progs, 0);
    return slc_root_leave();
}
