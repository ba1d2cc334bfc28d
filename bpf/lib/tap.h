/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The tap (SLC_FEATURE_TAP, src/kernel/tap.h): a packet is copied when it comes in and when it
 * leaves, and handed to user space with what was decided, if it is what somebody asked for. In
 * programs that nobody looks through nothing of this is left.
 *
 * A packet stays on its CPU until it leaves, so that its first copy waits in a value of that CPU.
 */

#include "lib/note.h"

struct slc_tap_scratch {
    struct slc_tap_event event;
    __u8 data[2 * SLC_TAP_MAX_SNAP]; /* as received, as sent */
};

SLC_MAP(slc_tap_counts, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_tap_count, 0);
SLC_MAP(slc_tap_scratches, BPF_MAP_TYPE_ARRAY, __u32, struct slc_tap_scratch, 0);

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} slc_tap_events SEC(".maps");

/* A section of its own, found by the loader as ".rodata.tap". */
const volatile struct slc_tap slc_tap SEC(".rodata.tap");

SLC_INLINE struct slc_tap_scratch *slc_tap_scratch_of(void)
{
    __u32 cpu = bpf_get_smp_processor_id();

    return bpf_map_lookup_elem(&slc_tap_scratches, &cpu);
}

/* Copies the frame as it is now; how much of it. */
SLC_INLINE __u32 slc_tap_copy(struct xdp_md *ctx, __u8 *to, __u32 len)
{
    __u64 size = len < slc_tap.snap ? len : slc_tap.snap;

    if (!size)
        return 0;
    /* 1..SLC_TAP_MAX_SNAP: see slc_sample_bytes. */
    size--;
    SLC_BARRIER(size);
    if (size >= SLC_TAP_MAX_SNAP)
        size = SLC_TAP_MAX_SNAP - 1;
    SLC_BARRIER(size);
    size++;
    SLC_BARRIER(size);
    return bpf_xdp_load_bytes(ctx, 0, to, size) ? 0 : size;
}

/* The first thing that happens to a packet. Linux 6.1 judges a function that is not static also
 * where nobody calls it, and then the maps of the tap are not there: hence the question here too.
 */
__noinline int slc_tap_enter(struct xdp_md *ctx)
{
    struct slc_tap_scratch *scratch;
    struct slc_tap_event *event;

    if (!(slc_node.features & SLC_FEATURE_TAP))
        return 0;
    scratch = slc_tap_scratch_of();
    if (!scratch)
        return 0;
    event = &scratch->event;
    event->time_ns = bpf_ktime_get_ns();
    event->ifindex = ctx->ingress_ifindex;
    event->queue = ctx->rx_queue_index;
    event->generation = slc_node.generation;
    event->cpu = bpf_get_smp_processor_id();
    event->in_len = bpf_xdp_get_buff_len(ctx);
    event->in_cap =
        slc_tap.at & SLC_TAP_ENTRY ? slc_tap_copy(ctx, scratch->data, event->in_len) : 0;
    return 0;
}

SLC_INLINE int slc_tap_is_one(const volatile __u32 *ids, __u32 count, __u32 id)
{
    if (!count)
        return 1;
    for (__u32 i = 0; i < SLC_TAP_MAX_IDS; i++) {
        if (i >= count)
            break;
        if (ids[i] == id)
            return 1;
    }
    return 0;
}

SLC_INLINE int slc_tap_matches(const struct slc_exit_record *rec)
{
    return (slc_tap.verdicts >> (rec->verdict & 3) & 1) &&
           (slc_tap.reasons[rec->reason >> 6 & 3] >> (rec->reason & 63) & 1) &&
           slc_tap_is_one(slc_tap.service, slc_tap.services, rec->service) &&
           slc_tap_is_one(slc_tap.member, slc_tap.members, rec->member);
}

/* What leaves, behind what came. */
SLC_INLINE __u32 slc_tap_copy_out(struct xdp_md *ctx, struct slc_tap_scratch *scratch)
{
    __u32 at = scratch->event.in_cap;

    SLC_BARRIER(at);
    if (at > SLC_TAP_MAX_SNAP)
        at = SLC_TAP_MAX_SNAP;
    return slc_tap_copy(ctx, scratch->data + at, scratch->event.out_len);
}

/* The last thing that happens to a packet: it is as it will leave. */
__noinline int slc_tap_leave(struct xdp_md *ctx, __u64 what, __u64 whom, __u64 owners, __u64 size)
{
    __u32 zero = 0;
    struct slc_tap_scratch *scratch;
    struct slc_tap_count *count;
    struct slc_tap_event *event;
    __u64 len;

    if (!(slc_node.features & SLC_FEATURE_TAP))
        return 0;
    scratch = slc_tap_scratch_of();
    count = bpf_map_lookup_elem(&slc_tap_counts, &zero);
    if (!scratch || !count)
        return 0;
    event = &scratch->event;
    slc_note_record(&event->rec, what, whom, owners, size);
    count->seen++;
    if (!slc_tap_matches(&event->rec))
        return 0;
    event->number = ++count->matched;
    if (slc_tap.one_in > 1 && event->number % slc_tap.one_in) {
        count->skipped++;
        return 0;
    }
    event->out_len = 0;
    event->out_cap = 0;
    if (event->rec.verdict != SLC_VERDICT_DROP) {
        event->out_len = bpf_xdp_get_buff_len(ctx);
        if (slc_tap.at & SLC_TAP_EXIT)
            event->out_cap = slc_tap_copy_out(ctx, scratch);
    }
    len = sizeof *event + event->in_cap + event->out_cap;
    SLC_BARRIER(len);
    if (len > sizeof *scratch)
        len = sizeof *scratch;
    if (bpf_ringbuf_output(&slc_tap_events, scratch, len, 0))
        count->lost++;
    return 0;
}
