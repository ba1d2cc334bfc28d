/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * What is written down of a packet beside counts: a sample of it (SLC_FEATURE_SAMPLE), or the
 * twin's answer (SLC_FEATURE_PROOF). Called by slc_exit for few packets, or by no program that
 * carries traffic; so the record comes in registers, because a structure whose address goes to
 * another function lies on the stack whole, and steady packets would pay for that.
 */

#include "lib/proof.h"
#include "lib/talkers.h"
#include "stage/parse.h"

/* The registers. */
#define SLC_NOTE_WHAT(rec)                                                            \
    ((__u64)(rec)->verdict | (__u64)(rec)->stage << 4 | (__u64)(rec)->famproto << 8 | \
     (__u64)(rec)->reason << 16 | (__u64)(rec)->service << 32)
#define SLC_NOTE_DUE (1ull << 13)   /* means nothing to slc_note */
#define SLC_NOTE_EXTRA (1ull << 12) /* see SLC_SAMPLE_EXTRA */
#define SLC_NOTE_PAIR(low, high) ((__u64)(low) | (__u64)(high) << 32)
#define SLC_NOTE_ARGUMENTS(pkt)                                                        \
    SLC_NOTE_WHAT(&(pkt)->rec), SLC_NOTE_PAIR((pkt)->rec.member, (pkt)->rec.customer), \
        SLC_NOTE_PAIR((pkt)->rec.policy, (pkt)->rec.mitigation),                       \
        SLC_NOTE_PAIR((pkt)->rec.len, (pkt)->hash)

SLC_INLINE void slc_note_record(struct slc_exit_record *rec, __u64 what, __u64 whom, __u64 owners,
                                __u64 size)
{
    rec->verdict = what & 0xf;
    rec->stage = (what >> 4) & 0xf;
    rec->reason = (__u16)(what >> 16);
    rec->service = (__u32)(what >> 32);
    rec->member = (__u32)whom;
    rec->customer = (__u32)(whom >> 32);
    rec->policy = (__u32)owners;
    rec->mitigation = (__u32)(owners >> 32);
    rec->famproto = (what >> 8) & 0xf;
    rec->len = (__u32)size;
}

/* Bytes of outer header, `ip_len` of them IP, that a packet of this service has got. */
SLC_INLINE int slc_sample_outer(const struct slc_pkt *pkt, __u32 service_id, __u32 ip_len)
{
    const struct slc_service *service = slc_services_at(pkt, service_id);

    if (!service)
        return -1;
    switch (service->forward) {
        case SLC_FORWARD_IPIP:
            return ip_len;
        case SLC_FORWARD_GRE:
            return ip_len + SLC_GRE_LEN;
        case SLC_FORWARD_GUE:
            return ip_len + SLC_GUE_LEN;
        default:
            return 0;
    }
}

/*
 * Finds the packet that was received in the frame that leaves: its IP header's offset, 0 where it
 * was rewritten or is gone, and its Ethernet type. It follows from how the packet leaves, so nobody
 * has to carry it there.
 */
SLC_INLINE __u32 slc_sample_find(struct xdp_md *ctx, struct slc_pkt *pkt,
                                 const struct slc_exit_record *rec, __u16 *type_be)
{
    struct slc_cursor cur = slc_cursor_start(ctx);
    __u32 ip_len;
    int outer;

    if (slc_parse_link(&cur, pkt, type_be) || rec->reason == SLC_REASON_DECAPSULATED ||
        rec->reason == SLC_REASON_ECHO_REPLIED || rec->reason == SLC_REASON_REJECTED_RESET)
        return 0;
    if (rec->verdict != SLC_VERDICT_TX && rec->verdict != SLC_VERDICT_REDIRECT)
        return pkt->l3_off;
    ip_len = *type_be == SLC_ETH_IP6 ? sizeof(struct slc_ip6) : sizeof(struct slc_ip4);
    /* The answer quotes it. */
    if (rec->stage == SLC_STAGE_TOO_BIG || rec->stage == SLC_STAGE_REJECT)
        return pkt->l3_off + ip_len + sizeof(struct slc_icmp);
    outer = slc_sample_outer(pkt, rec->service, ip_len);
    if (outer < 0)
        return 0;
    *type_be = rec->famproto >= SLC_FAMPROTO_IP6_TCP ? SLC_ETH_IP6 : SLC_ETH_IP4;
    return pkt->l3_off + outer;
}

/* Copies what there is from `offset` on; returns how much. */
SLC_INLINE __u16 slc_sample_bytes(struct xdp_md *ctx, struct slc_sample *sample, __u32 offset)
{
    __u32 len = bpf_xdp_get_buff_len(ctx);
    __u64 size;

    if (!offset || offset >= len)
        return 0;
    /* 1..192, which Linux 6.1 believes only after arithmetic, and only in this order: see
     * slc_csum_frame. */
    size = len - offset - 1;
    SLC_BARRIER(size);
    if (size >= SLC_SAMPLE_LEN)
        size = SLC_SAMPLE_LEN - 1;
    SLC_BARRIER(size);
    size++;
    SLC_BARRIER(size);
    return bpf_xdp_load_bytes(ctx, offset, sample->data, size) ? 0 : size;
}

SLC_INLINE struct slc_sample *slc_sample_next(__u64 *seq)
{
    __u32 zero = 0, index;
    __u64 *count = bpf_map_lookup_elem(&slc_sample_counts, &zero);

    if (!count)
        return NULL;
    index = bpf_get_smp_processor_id() * SLC_SAMPLES_PER_CPU +
            ((__u32)*count & (SLC_SAMPLES_PER_CPU - 1));
    *seq = ++*count;
    return bpf_map_lookup_elem(&slc_samples, &index);
}

SLC_INLINE void slc_sample_take(struct xdp_md *ctx, struct slc_pkt *pkt, __u64 what, __u64 whom,
                                __u64 owners, __u64 size)
{
    __u32 l3_off;
    __u16 type_be = 0;
    __u64 seq = 0;
    struct slc_sample *sample = slc_sample_next(&seq);

    if (!sample)
        return;
    *(volatile __u64 *)&sample->seq = 0;
    asm volatile("" ::: "memory");
    slc_note_record(&sample->rec, what, whom, owners, size);
    sample->time_ns = bpf_ktime_get_coarse_ns();
    sample->ifindex = ctx->ingress_ifindex;
    sample->queue = (__u16)ctx->rx_queue_index;
    sample->flags = what & SLC_NOTE_EXTRA ? SLC_SAMPLE_EXTRA : 0;
    sample->hash = (__u32)(size >> 32);
    l3_off = slc_sample_find(ctx, pkt, &sample->rec, &type_be);
    sample->cap_len = slc_sample_bytes(ctx, sample, l3_off);
    sample->proto_be = sample->cap_len ? type_be : 0;
    if (!(what & SLC_NOTE_EXTRA))
        slc_talker_heard(sample);
    asm volatile("" ::: "memory");
    *(volatile __u64 *)&sample->seq = seq;
}

/* The header template that forward has put in front: in a twin nobody changes it meanwhile. */
SLC_INLINE __u32 slc_proof_cell(const struct slc_pkt *pkt, const struct slc_exit_record *rec)
{
    const struct slc_service *service = slc_services_at(pkt, rec->service);
    const struct slc_member *member = slc_members_at(pkt, rec->member);
    __u32 variant;

    if (!service || !member || rec->stage != SLC_STAGE_FORWARD ||
        (rec->verdict != SLC_VERDICT_TX && rec->verdict != SLC_VERDICT_REDIRECT))
        return 0;
    variant = SLC_VARIANT(service->forward, rec->famproto >= SLC_FAMPROTO_IP6_TCP);
    SLC_BARRIER(variant);
    return member->cell[variant & (SLC_VARIANTS - 1)];
}

SLC_INLINE void slc_proof_answer(const struct slc_pkt *pkt, struct slc_proof *proof)
{
    proof->cell = slc_proof_cell(pkt, &proof->rec);
    proof->answered = 1;
}

/* Not static: judged once by the verifier, not for each of the states of two dozen callers. */
__noinline int slc_note(struct xdp_md *ctx, __u64 what, __u64 whom, __u64 owners, __u64 size)
{
    struct slc_pkt view = {};
    struct slc_pkt *pkt = &view;
    struct slc_proof *proof;

    if (!slc_open(pkt))
        return 0;
    proof = slc_proof_of(pkt);
    if (proof) {
        slc_note_record(&proof->rec, what, whom, owners, size);
        slc_proof_answer(pkt, proof);
    } else if (SLC_HAS(SAMPLE)) {
        slc_sample_take(ctx, pkt, what, whom, owners, size);
    }
    return 0;
}
