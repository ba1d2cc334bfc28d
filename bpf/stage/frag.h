/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage frag: fragments of a packet for a VIP, IPv4 and IPv6.
 *
 * Reads    pkt: proto, l4_off; the fragment fields; the fragment table.
 * Leaves   an entry for a first fragment.
 * Goes to  follow, forward or reject for the first fragment, forward for the later ones.
 * Reasons  FRAG_TINY, FRAG_UNKNOWN, FRAG_ICMP, FORWARDED_FRAGMENT, PROTOCOL_UNSUPPORTED.
 *
 * Only the first fragment has ports; where it went is remembered under a keyed hash of (addresses,
 * identification, protocol) for SLC_FRAG_LIFETIME_S. The table is shared and small: a bucket of
 * four is one cache line, an expired or else the oldest entry gives way, so a flood of fragments
 * costs fragments and nothing else. A fragment that comes before its first one is dropped and
 * counted: keeping it would be a queue that an attacker fills.
 */

#include "stage/steer.h"

#define SLC_FRAG_STAMP_MASK 0xfffu

SLC_INLINE __u32 slc_now_s(const struct slc_pkt *pkt)
{
    return (__u32)(slc_clock_ns(pkt) / 1000000000ull) & SLC_FRAG_STAMP_MASK;
}

SLC_INLINE __u32 slc_frag_age(const struct slc_frag *entry, __u32 now)
{
    return (now - (entry->member_stamp >> 20)) & SLC_FRAG_STAMP_MASK;
}

/* RFC 8200 4.5: fragments of IPv6 belong together by addresses and identification; only the first
 * one's next header counts. */
SLC_INLINE __u64 slc_frag_tag(const struct slc_pkt *pkt)
{
    __u64 tag = slc_frag_hash(slc_node.ring_key[0], slc_node.ring_key[1], pkt->src, pkt->dst,
                              pkt->frag_id_be, pkt->is_ip6 ? 0 : pkt->proto);

    return tag ? tag : 1;
}

SLC_INLINE struct slc_frag_bucket *slc_frag_bucket_of(__u64 tag)
{
    __u32 index = (__u32)(tag >> 32) & slc_node.frag_mask;

    return bpf_map_lookup_elem(&slc_frags, &index);
}

/* The entry that gives way: one of this very tag, a free one, or the oldest. */
SLC_INLINE __u32 slc_frag_victim(const struct slc_frag_bucket *bucket, __u64 tag, __u32 now)
{
    __u32 victim = 0, victim_age = 0;

#pragma unroll
    for (__u32 i = 0; i < SLC_FRAG_WAYS; i++) {
        const struct slc_frag *entry = &bucket->entry[i];
        __u32 age = entry->tag == tag ? ~0u : !entry->tag ? ~1u : slc_frag_age(entry, now);

        if (age >= victim_age) {
            victim = i;
            victim_age = age;
        }
    }
    return victim;
}

SLC_INLINE void slc_frag_remember(const struct slc_pkt *pkt, __u64 tag)
{
    struct slc_frag_bucket *bucket = slc_frag_bucket_of(tag);
    __u32 now = slc_now_s(pkt);
    volatile struct slc_frag *entry;

    if (!bucket)
        return;
    entry = &bucket->entry[slc_frag_victim(bucket, tag, now) & (SLC_FRAG_WAYS - 1)];
    entry->tag = 0;
    entry->member_stamp = pkt->rec.member | now << 20;
    entry->service = pkt->rec.service;
    entry->tag = tag;
}

/* Sets rec.service and rec.member of a later fragment; 0 where its first one is not known. */
SLC_INLINE int slc_frag_recall(struct slc_pkt *pkt)
{
    __u64 tag = slc_frag_tag(pkt);
    struct slc_frag_bucket *bucket = slc_frag_bucket_of(tag);
    __u32 now = slc_now_s(pkt);

    if (!bucket)
        return 0;
#pragma unroll
    for (__u32 i = 0; i < SLC_FRAG_WAYS; i++) {
        volatile struct slc_frag *entry = &bucket->entry[i];

        if (entry->tag != tag)
            continue;
        if (slc_frag_age((const struct slc_frag *)entry, now) > SLC_FRAG_LIFETIME_S)
            continue;
        pkt->rec.member = entry->member_stamp & SLC_SLOT_MEMBER_MASK;
        pkt->rec.service = entry->service;
        if (entry->tag == tag)
            return 1;
        break;
    }
    pkt->rec.member = 0;
    pkt->rec.service = 0;
    return 0;
}

SLC_INLINE int slc_frag_later(struct xdp_md *ctx, struct slc_pkt *pkt, const struct slc_vip *vip)
{
    struct slc_service *service;

    /* RFC 1858 3.2.1: an offset of one would overwrite the flags of the first fragment. */
    if (pkt->proto == IPPROTO_TCP && pkt->frag_off == 8)
        return slc_drop(ctx, pkt, SLC_STAGE_FRAG, SLC_REASON_FRAG_TINY);
    /* Where Linux has the ports that no service takes, it had the first fragment too. */
    if (!slc_frag_recall(pkt))
        return slc_unmatched(ctx, pkt, vip, SLC_REASON_FRAG_UNKNOWN);
    service = slc_services_at(pkt, pkt->rec.service);
    if (!service)
        return slc_drop(ctx, pkt, SLC_STAGE_FRAG, SLC_REASON_FRAG_UNKNOWN);
    slc_take_owners(pkt, service->customer, service->policy);
    if (!pkt->rec.member && service->forward != SLC_FORWARD_LOCAL)
        return slc_drop(ctx, pkt, SLC_STAGE_FRAG, SLC_REASON_FRAG_UNKNOWN);
    pkt->hash = slc_frag_tag(pkt);
    return slc_forward(ctx, pkt, service, SLC_REASON_FORWARDED_FRAGMENT);
}

SLC_INLINE int slc_frag_first(struct xdp_md *ctx, struct slc_pkt *pkt, const struct slc_vip *vip)
{
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l4_off, 4096);
    struct slc_service *service;
    __u16 fault = slc_parse_transport(&cur, pkt, 1);

    pkt->whole = 0;
    if (fault)
        return slc_drop(ctx, pkt, SLC_STAGE_FRAG, fault);
    pkt->rec.service = slc_find_service(pkt, vip, pkt->proto, pkt->dport_be);
    if (!pkt->rec.service)
        return slc_unmatched(ctx, pkt, vip, SLC_REASON_NO_SUCH_PORT);
    fault = slc_pick(ctx, pkt, &service, 0);
    if (SLC_HAS(TRACKING) && fault == SLC_PICK_FOLLOW)
        return slc_continue(ctx, pkt, SLC_STAGE_PICK, SLC_TAIL_FOLLOW);
    if (SLC_HAS(REJECT) && fault == SLC_PICK_REJECT)
        return slc_continue(ctx, pkt, SLC_STAGE_PICK, SLC_TAIL_REJECT);
    if (fault)
        return slc_drop(ctx, pkt, SLC_STAGE_PICK, fault);
    slc_frag_remember(pkt, slc_frag_tag(pkt));
    return slc_forward(ctx, pkt, service, pkt->picked);
}

/* The fragment fields of IPv4; those of IPv6 were read on the way through its headers (ext.h). */
SLC_INLINE __u16 slc_read_frag4(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l3_off, 32);
    struct slc_ip4 *ip = slc_take(&cur, sizeof *ip);
    __u16 frag;

    if (!ip)
        return SLC_REASON_HDR_TRUNCATED;
    frag = bpf_ntohs(ip->frag_be);
    pkt->frag_off = (frag & SLC_IP4_OFFSET) * 8;
    pkt->frag_first = !pkt->frag_off;
    pkt->frag_id_be = ip->id_be;
    return 0;
}

SLC_INLINE int slc_stage_frag(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_vip *vip = slc_vips_at(pkt, pkt->vip_index);
    __u8 icmp = pkt->is_ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    __u16 fault = pkt->is_ip6 ? 0 : slc_read_frag4(ctx, pkt);

    if (!vip)
        return slc_drop(ctx, pkt, SLC_STAGE_FRAG, SLC_REASON_MAP_MISSED);
    if (fault)
        return slc_drop(ctx, pkt, SLC_STAGE_FRAG, fault);
    if (pkt->proto == icmp)
        return slc_unmatched(ctx, pkt, vip, SLC_REASON_FRAG_ICMP);
    /* A later fragment of IPv6 may name an extension header that only the first one holds. */
    if (pkt->is_ip6 && pkt->frag_off)
        return slc_frag_later(ctx, pkt, vip);
    if (pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_UDP)
        return slc_unmatched(ctx, pkt, vip, SLC_REASON_PROTOCOL_UNSUPPORTED);
    if (pkt->frag_off)
        return slc_frag_later(ctx, pkt, vip);
    return slc_frag_first(ctx, pkt, vip);
}
