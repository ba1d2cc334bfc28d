/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage ext: IPv6 extension headers of a packet for a VIP, RFC 8200 section 4.
 *
 * Reads    pkt: l4_off at the first extension header, proto its type.
 * Leaves   pkt: l4_off and proto of the transport, fragment fields.
 * Goes to  steer, frag or icmp.
 * Reasons  EXT_HEADER_CHAIN, HDR_TRUNCATED, PROTOCOL_UNSUPPORTED.
 *
 * At most SLC_MAX_EXT_HEADERS; hop-by-hop only first; one fragment header. A routing header with
 * segments left would make a VIP a router on the way (RFC 5095; RFC 8200 4.4) and is refused, and
 * so is what would hide the transport header beyond the frame (RFC 7112).
 */

#include "stage/steer.h"

SLC_INLINE int slc_is_ext(__u8 proto)
{
    return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_FRAGMENT ||
           proto == IPPROTO_DSTOPTS || proto == IPPROTO_AH;
}

/* One header. Returns 0 with l4_off and proto moved behind it, or the reason for a drop. */
SLC_INLINE __u16 slc_ext_step(struct xdp_md *ctx, struct slc_pkt *pkt, __u32 step,
                              __u8 *fragment_seen)
{
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l4_off, 4096);
    __u8 *hdr = slc_take(&cur, 8);
    __u32 len;

    if (!hdr)
        return SLC_REASON_HDR_TRUNCATED;
    len = (hdr[1] + 1) * 8;
    switch (pkt->proto) {
        case IPPROTO_FRAGMENT: {
            __u16 frag = bpf_ntohs(*(__u16 *)(hdr + 2));

            if (*fragment_seen)
                return SLC_REASON_EXT_HEADER_CHAIN;
            *fragment_seen = 1;
            len = 8;
            pkt->frag_off = frag & 0xfff8;
            pkt->frag_first = (frag & 1) && !pkt->frag_off;
            pkt->frag_id_be = *(__u32 *)(hdr + 4);
            break;
        }
        case IPPROTO_AH:
            len = (hdr[1] + 2) * 4;
            break;
        case IPPROTO_HOPOPTS:
            if (step)
                return SLC_REASON_EXT_HEADER_CHAIN;
            break;
        case IPPROTO_ROUTING:
            if (hdr[3])
                return SLC_REASON_EXT_HEADER_CHAIN;
            break;
        default:
            break;
    }
    pkt->proto = hdr[0];
    if (len + pkt->l4_off > pkt->l3_off + pkt->ip_len || len + pkt->l4_off >= 4096)
        return SLC_REASON_EXT_HEADER_CHAIN;
    pkt->l4_off += len;
    return 0;
}

SLC_INLINE int slc_stage_ext(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_vip *vip = slc_vips_at(pkt, pkt->vip_index);
    __u8 fragment_seen = 0;
    __u16 fault = 0;

    if (!vip)
        return slc_drop(ctx, pkt, SLC_STAGE_PARSE, SLC_REASON_MAP_MISSED);
    pkt->whole = 0;
    for (__u32 i = 0; i < SLC_MAX_EXT_HEADERS; i++) {
        /* What follows a later fragment's header is payload. */
        if (!slc_is_ext(pkt->proto) || pkt->frag_off)
            break;
        fault = slc_ext_step(ctx, pkt, i, &fragment_seen);
        if (fault)
            return slc_drop(ctx, pkt, SLC_STAGE_PARSE, fault);
    }
    if (slc_is_ext(pkt->proto) && !pkt->frag_off)
        return slc_drop(ctx, pkt, SLC_STAGE_PARSE, SLC_REASON_EXT_HEADER_CHAIN);
    pkt->rec.famproto = slc_famproto6(pkt->proto);
    if (pkt->frag_off || pkt->frag_first)
        return slc_continue(ctx, pkt, SLC_STAGE_PARSE, SLC_TAIL_FRAG);
    if (pkt->proto == IPPROTO_ICMPV6)
        return slc_continue(ctx, pkt, SLC_STAGE_PARSE, SLC_TAIL_ICMP);
    if (pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_UDP)
        return slc_unmatched(ctx, pkt, vip, SLC_REASON_PROTOCOL_UNSUPPORTED);
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l4_off, 4096);

    return slc_steer_transport(ctx, pkt, vip, &cur, 0);
}
