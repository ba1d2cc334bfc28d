/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The one door. Every packet leaves by slc_exit with a verdict, a stage and a reason; it is counted
 * here and nowhere else, and no other file returns an XDP action.
 */

#include "lib/csum.h"
#include "lib/note.h"
#include "lib/tap.h"

/* How many that makes, or 0 where there is no such counter. */
SLC_INLINE __u64 slc_count(void *map, __u32 index, __u32 len)
{
    struct slc_counter *counter = bpf_map_lookup_elem(map, &index);

    if (!counter)
        return 0;
    counter->bytes += len;
    return ++counter->packets;
}

SLC_INLINE void slc_count_service(const struct slc_exit_record *rec)
{
    __u32 index = rec->service;
    struct slc_service_counter *counter = bpf_map_lookup_elem(&slc_service_counters, &index);

    if (!counter)
        return;
    counter->packets++;
    counter->bytes += rec->len;
    if (rec->verdict == SLC_VERDICT_DROP) {
        counter->dropped_packets++;
        counter->dropped_bytes += rec->len;
    }
}

/* Customer, policy and mitigation: a node without any of them does not carry this. */
SLC_INLINE void slc_count_owners(const struct slc_exit_record *rec, __u64 features)
{
    if (!(features & SLC_FEATURE_OWNERS))
        return;
    if (rec->customer)
        slc_count(&slc_customer_counters, rec->customer, rec->len);
    if (rec->policy)
        slc_count(&slc_policy_counters, rec->policy, rec->len);
    if (rec->mitigation)
        slc_count(&slc_mitigation_counters, rec->mitigation, rec->len);
}

#define SLC_SAMPLE_USUAL_LOG2 10

/* Whether packet number `nth` of its reason and family is written down. A twin's sample_log2 is 0:
 * one question for both, because every packet is asked. */
SLC_INLINE int slc_is_noted(__u64 features, __u64 nth)
{
    if (!(features & (SLC_FEATURE_PROOF | SLC_FEATURE_SAMPLE)))
        return 0;
    /* For the default the mask is an immediate, and neither shift nor comparison is left. */
    if (slc_node.sample_log2 == SLC_SAMPLE_USUAL_LOG2)
        return SLC_UNLIKELY(!(nth & ((1ull << SLC_SAMPLE_USUAL_LOG2) - 1)));
    return SLC_UNLIKELY(!(nth & ((1ull << slc_node.sample_log2) - 1)));
}

SLC_INLINE int slc_action(struct xdp_md *ctx, const struct slc_pkt *pkt, __u8 verdict)
{
    switch (verdict) {
        case SLC_VERDICT_PASS:
            if (SLC_HAS(NEXT))
                bpf_tail_call(ctx, &slc_next, 0);
            return XDP_PASS;
        case SLC_VERDICT_TX:
            return XDP_TX;
        case SLC_VERDICT_REDIRECT:
            return XDP_REDIRECT;
        default:
            return XDP_DROP;
    }
}

/* The agent has one row for all interfaces. */
#ifndef SLC_COUNTED_INTERFACE
#define SLC_COUNTED_INTERFACE(ctx) ((ctx)->ingress_ifindex)
#endif

/* Counts the packet; which of its interface, reason and family it is. */
SLC_INLINE __u64 slc_count_packet(const struct xdp_md *ctx, const struct slc_exit_record *rec,
                                  __u64 features)
{
    __u64 nth;

    if (features & SLC_FEATURE_UNCOUNTED)
        return 1;
    nth = slc_count(&slc_reason_counters,
                    SLC_REASON_INDEX(SLC_COUNTED_INTERFACE(ctx), rec->reason, rec->famproto),
                    rec->len);
    if (rec->service)
        slc_count_service(rec);
    if (rec->member)
        slc_count(&slc_member_counters, rec->member, rec->len);
    slc_count_owners(rec, features);
    return nth;
}

/* Counts the packet, and writes down what is to be. */
SLC_INLINE void slc_record_packet(struct xdp_md *ctx, const struct slc_pkt *pkt)
{
    __u64 nth = slc_count_packet(ctx, &pkt->rec, pkt->features);

    if (slc_is_noted(pkt->features, nth))
        slc_note(ctx, SLC_NOTE_ARGUMENTS(pkt));
    if (SLC_HAS(TAP))
        slc_tap_leave(ctx, SLC_NOTE_ARGUMENTS(pkt));
}

SLC_INLINE __u32 slc_drop_row(__u16 reason)
{
    switch (reason) {
#define SLC_DROP_ROW(row, symbol) \
    case SLC_REASON_##symbol:     \
        return row;
        SLC_DROP_REASONS(SLC_DROP_ROW)
#undef SLC_DROP_ROW
        default:
            return 0;
    }
}

/* 2^4 jiffies: 64 ms at 250 a second. */
#define SLC_RARE_SHIFT 4

/* Whether nothing dropped for this reason was written down by this CPU for a while. */
SLC_INLINE int slc_is_rare(__u32 reason)
{
    __u64 *stamp = bpf_map_lookup_elem(&slc_drop_stamps, &reason);
    __u64 now = bpf_jiffies64() >> SLC_RARE_SHIFT;

    if (!stamp || *stamp == now)
        return 0;
    *stamp = now;
    return 1;
}

/* Counts a packet that is dropped; what is to be added to `what` for slc_note, or 0: nothing. */
__noinline __u64 slc_count_dropped(struct xdp_md *ctx, __u64 what, __u64 whom, __u64 owners,
                                   __u64 size)
{
    struct slc_exit_record rec;
    __u64 features = slc_node.features;
    __u64 nth;

    slc_note_record(&rec, what, whom, owners, size);
    nth = slc_count_packet(ctx, &rec, features);
    if (!(features & SLC_FEATURE_UNCOUNTED))
        slc_count(&slc_drop_counters, rec.service * SLC_DROP_ROWS + slc_drop_row(rec.reason),
                  rec.len);
    if (slc_is_noted(features, nth))
        return SLC_NOTE_DUE;
    if ((features & SLC_FEATURE_SAMPLE) && slc_is_rare(rec.reason))
        return SLC_NOTE_DUE | SLC_NOTE_EXTRA;
    return 0;
}

/* The same as slc_record_packet for what is dropped. There are dozens of places where that happens:
 * inlined in each, it would be a fifth of what the verifier walks, and the steady path be longer
 * for it. Nothing lies on its stack: slc_icmp's and slc_note's leave no room between them. */
__noinline int slc_record_dropped(struct xdp_md *ctx, __u64 what, __u64 whom, __u64 owners,
                                  __u64 size)
{
    __u64 due = slc_count_dropped(ctx, what, whom, owners, size);

    if (due)
        slc_note(ctx, what | due, whom, owners, size);
    if (slc_node.features & SLC_FEATURE_TAP)
        slc_tap_leave(ctx, what, whom, owners, size);
    return 0;
}

SLC_INLINE void slc_decide(struct slc_pkt *pkt, __u8 verdict, __u8 stage, __u16 reason)
{
    struct slc_exit_record *rec = &pkt->rec;

    rec->verdict = verdict;
    rec->stage = stage;
    rec->reason = reason;
    rec->len = pkt->frame_len;
}

/* Counts the packet and returns the XDP action of `verdict`, which is no drop. A redirect's target
 * has been set by bpf_redirect before. */
SLC_INLINE int slc_exit(struct xdp_md *ctx, struct slc_pkt *pkt, __u8 verdict, __u8 stage,
                        __u16 reason)
{
    slc_decide(pkt, verdict, stage, reason);
    slc_record_packet(ctx, pkt);
    return slc_action(ctx, pkt, verdict);
}

SLC_INLINE int slc_drop(struct xdp_md *ctx, struct slc_pkt *pkt, __u8 stage, __u16 reason)
{
    slc_decide(pkt, SLC_VERDICT_DROP, stage, reason);
    slc_record_dropped(ctx, SLC_NOTE_ARGUMENTS(pkt));
    return XDP_DROP;
}

SLC_INLINE int slc_pass(struct xdp_md *ctx, struct slc_pkt *pkt, __u8 stage, __u16 reason)
{
    return slc_exit(ctx, pkt, SLC_VERDICT_PASS, stage, reason);
}

#define SLC_PKT_HANDED_ON __builtin_offsetof(struct slc_pkt, plan)

/* Hands the packet to another stage. Returns only when that stage is missing, which is a bug with a
 * reason of its own. */
SLC_INLINE int slc_continue(struct xdp_md *ctx, struct slc_pkt *pkt, __u8 stage, __u32 tail)
{
    __u32 zero = 0;
    struct slc_pkt *scratch = bpf_map_lookup_elem(&slc_scratch, &zero);

    if (scratch) {
        __builtin_memcpy(scratch, pkt, SLC_PKT_HANDED_ON);
        slc_tell_tail(pkt, tail);
        bpf_tail_call(ctx, &slc_stages, tail);
    }
    return slc_drop(ctx, pkt, stage, SLC_REASON_TAIL_MISSED);
}

/* The beginning of a stage that was tail-called; 0 where there are no tables. */
SLC_INLINE int slc_resume(struct slc_pkt *pkt)
{
    __u32 zero = 0;
    struct slc_pkt *scratch = bpf_map_lookup_elem(&slc_scratch, &zero);

    if (scratch)
        __builtin_memcpy(pkt, scratch, SLC_PKT_HANDED_ON);
    return slc_open(pkt);
}
