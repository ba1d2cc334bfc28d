/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The root program: what is attached to every interface, and hardly ever changes. It tail-calls
 * slot 0 of one program array, so that storing one slot moves all interfaces to another generation
 * at the same instant, for a nanosecond a packet.
 *
 * While there is a canary, root_canary.bpf.c is in its place on the links concerned, so that nobody
 * else pays for it.
 *
 * With an empty slot packets go to Linux: a host that lost its balancer must stay reachable. That
 * is counted in slc_root_missed, the only count of this program.
 */
#include "lib/root_exit.h"

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp.frags")
int slc_root(struct xdp_md *ctx)
{
    bpf_tail_call(ctx, &slc_root_progs, SLC_ROOT_LIVE);
    return slc_root_leave();
}
