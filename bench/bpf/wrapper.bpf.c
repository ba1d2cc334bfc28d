/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What drives a program under test, and the yardsticks that are run beside it.
 *
 *   bench_wrap        undoes the head, writes the next packet, tail-calls the program under test
 *   bench_wrap_plain  the same for programs that are not xdp.frags (an array takes one kind only)
 *   bench_nothing     a program under test that does nothing
 *   bench_there_back  one that moves the head and moves it back
 *   bench_generate    live frames: writes the next packet and sends it
 *   bench_count       live frames: counts what comes back
 *   bench_reflect     live frames: the bare reflector
 *   bench_pass        what a veth needs on its peer
 *
 * The cost of bench_wrap is that of a run with bench_nothing; where the program under test moves
 * the head, the wrapper also undoes that by one bpf_xdp_adjust_head, whose cost is half of what
 * bench_there_back adds. What the program under test itself pays for moving the head stays its own.
 */
#include "writer.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define BENCH_ARRAY(name)                      \
    struct {                                   \
        __uint(type, BPF_MAP_TYPE_PROG_ARRAY); \
        __uint(max_entries, 1);                \
        __type(key, __u32);                    \
        __type(value, __u32);                  \
    } name SEC(".maps")

BENCH_ARRAY(bench_target);
BENCH_ARRAY(bench_target_plain);

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct bench_count);
} bench_counted SEC(".maps");

/* The frame as it was before the last program under test, with the next packet in it. */
BENCH_INLINE int bench_prepare(struct xdp_md *ctx)
{
    long moved = (long)ctx->data_end - (long)ctx->data - bench_scenario.frame_len;
    void *frame;

    if (moved && bpf_xdp_adjust_head(ctx, (int)moved))
        return -1;
    frame = (void *)(long)ctx->data;
    if (frame + bench_scenario.frame_len > (void *)(long)ctx->data_end)
        return -1;
    bench_write(frame);
    return 0;
}

SEC("xdp.frags")
int bench_wrap(struct xdp_md *ctx)
{
    if (!bench_prepare(ctx))
        bpf_tail_call(ctx, &bench_target, 0);
    return XDP_ABORTED;
}

SEC("xdp")
int bench_wrap_plain(struct xdp_md *ctx)
{
    if (!bench_prepare(ctx))
        bpf_tail_call(ctx, &bench_target_plain, 0);
    return XDP_ABORTED;
}

SEC("xdp.frags")
int bench_nothing(struct xdp_md *ctx)
{
    return XDP_PASS;
}

SEC("xdp.frags")
int bench_there_back(struct xdp_md *ctx)
{
    if (bpf_xdp_adjust_head(ctx, -20) || bpf_xdp_adjust_head(ctx, 20))
        return XDP_ABORTED;
    return XDP_PASS;
}

/* Is the next packet ahead of its time? Looked at for 64 packets together, as they travel. */
BENCH_INLINE int bench_early(void)
{
    struct bench_turn *turn = &bench_turns[bpf_get_smp_processor_id() & 63];
    __u64 now;

    if (!bench_scenario.pace_ns)
        return 0;
    if (turn->paced++ & 63)
        return turn->early != 0;
    now = bpf_ktime_get_ns();
    turn->early = now < turn->due_ns;
    if (turn->early)
        return 1;
    turn->due_ns += bench_scenario.pace_ns;
    /* What was missed, while something else ran here, is not made up for. */
    if (turn->due_ns + 1000000 < now)
        turn->due_ns = now;
    return 0;
}

SEC("xdp.frags")
int bench_generate(struct xdp_md *ctx)
{
    if (bench_early())
        return XDP_DROP;
    return bench_prepare(ctx) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp.frags")
int bench_count(struct xdp_md *ctx)
{
    __u32 zero = 0;
    struct bench_count *count = bpf_map_lookup_elem(&bench_counted, &zero);

    if (!count || ++count->packets & 63)
        return XDP_DROP;
    count->last_ns = bpf_ktime_get_ns();
    if (count->first_ns)
        count->timed += 64;
    else
        count->first_ns = count->last_ns;
    return XDP_DROP;
}

SEC("xdp.frags")
int bench_reflect(struct xdp_md *ctx)
{
    return XDP_TX;
}

SEC("xdp.frags")
int bench_pass(struct xdp_md *ctx)
{
    return XDP_PASS;
}
