/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Helpers of tests/packet/internals_test.cpp.
 *
 *   headroom_none  moves a frame of 128 bytes to the front of its buffer, as a driver without
 *                  headroom would deliver it, and tail-calls what the test put into headroom_next
 *   foreign_next   stands for the operator's own program behind Sluice
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} headroom_next SEC(".maps");

#define FRAME_LEN 128
#define ROOM 200 /* of the 256 bytes of a test run, the kernel keeps some for itself */

SEC("xdp.frags")
int headroom_none(struct xdp_md* ctx) {
    void *data, *end;

    if (bpf_xdp_adjust_head(ctx, -ROOM)) return XDP_PASS;
    data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
    if (data + ROOM + FRAME_LEN > end) return XDP_PASS;
    __builtin_memcpy(data, data + ROOM, FRAME_LEN);
    if (bpf_xdp_adjust_tail(ctx, -ROOM)) return XDP_PASS;
    bpf_tail_call(ctx, &headroom_next, 0);
    return XDP_PASS;
}

SEC("xdp.frags")
int foreign_next(struct xdp_md* ctx) {
    return XDP_ABORTED;
}
