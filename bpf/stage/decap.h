/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage decap: a tunnel packet of a balancer that ends on this host. Shared by the agent of a
 * backend and by a balancer that is a backend too (co-located).
 *
 * Reads    pkt: addresses, proto, l4_off of the outer header; the tunnel header; inner addresses.
 * Leaves   the frame without its outer header, its Ethernet header and VLAN tags kept.
 * Goes to  Linux, never to service or pick: a stripped packet is not balanced again.
 * Reasons  DECAPSULATED, DECAP_SOURCE_REFUSED, DECAP_HEADER, DECAP_UNKNOWN_VIP, DECAP_ECN,
 *          DECAP_VIA_FRAGMENT, NOT_OURS.
 *
 * Understood are IP in IP (RFC 2003, 2473, 4213), GRE without options (RFC 2784), and GUE of
 * variant 0 without extensions and of variant 1 (draft-ietf-intarea-gue). What comes from elsewhere
 * than a known balancer is left to Linux as it is: it may be a tunnel of the host's own.
 */

#include "lib/cursor.h"
#include "lib/exit.h"
#include "stage/parse.h"
#include "stage/service.h"

#define SLC_ECN_ECT1 1
#define SLC_ECN_ECT0 2
#define SLC_ECN_CE 3

SLC_INLINE int slc_is_peer(const struct slc_pkt *pkt)
{
    if (!pkt->is_ip6) {
        struct slc_lpm4 lpm = {.prefix_len = 32, .addr_be = pkt->src[3]};

        return !!bpf_map_lookup_elem(&slc_peers4, &lpm);
    }
    struct slc_lpm6 lpm = {.prefix_len = 128,
                           .addr_be = {pkt->src[0], pkt->src[1], pkt->src[2], pkt->src[3]}};

    return !!bpf_map_lookup_elem(&slc_peers6, &lpm);
}

SLC_INLINE int slc_is_tunnel(struct xdp_md *ctx, const struct slc_pkt *pkt)
{
    if (pkt->proto == IPPROTO_UDP) {
        struct slc_cursor cur = slc_cursor_at(ctx, pkt->l4_off, 1024);
        struct slc_udp *udp = slc_take(&cur, sizeof *udp);

        return udp && udp->dport_be == slc_node.gue_port_be;
    }
    return pkt->proto == IPPROTO_IPIP || pkt->proto == IPPROTO_IPV6 || pkt->proto == IPPROTO_GRE;
}

/* 4 or 6 by the version of the header at `offset`, or 0. */
SLC_INLINE __u8 slc_version_at(struct xdp_md *ctx, __u32 offset)
{
    struct slc_cursor cur = slc_cursor_at(ctx, offset, 1024);
    __u8 *first = slc_take(&cur, 1);

    return first ? *first >> 4 : 0;
}

/* Where the inner packet starts and its family. 0, or the reason for a drop. */
SLC_INLINE __u16 slc_tunnel_header(struct xdp_md *ctx, const struct slc_pkt *pkt, __u32 *inner,
                                   __u8 *family)
{
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l4_off, 1024);
    __u8 want = 0;

    *inner = pkt->l4_off;
    if (pkt->proto == IPPROTO_IPIP || pkt->proto == IPPROTO_IPV6) {
        want = pkt->proto == IPPROTO_IPIP ? 4 : 6;
    } else if (pkt->proto == IPPROTO_GRE) {
        __u16 *gre = slc_take(&cur, 4);

        if (!gre)
            return SLC_REASON_HDR_TRUNCATED;
        want = gre[1] == SLC_ETH_IP4 ? 4 : gre[1] == SLC_ETH_IP6 ? 6 : 0;
        if (gre[0] || !want)
            return SLC_REASON_DECAP_HEADER;
        *inner += 4;
    } else {
        __u8 *gue = slc_take(&cur, sizeof(struct slc_udp) + 4);

        if (!gue)
            return SLC_REASON_HDR_TRUNCATED;
        gue += sizeof(struct slc_udp);
        *inner += sizeof(struct slc_udp);
        if (gue[0] >> 6 == 0) {
            want = gue[1] == IPPROTO_IPIP ? 4 : gue[1] == IPPROTO_IPV6 ? 6 : 0;
            if (gue[0] || gue[2] || gue[3] || !want)
                return SLC_REASON_DECAP_HEADER;
            *inner += 4;
        } else if (gue[0] >> 6 == 1) {
            want = gue[0] >> 4;
        }
    }
    *family = want;
    if (want != 4 && want != 6)
        return SLC_REASON_DECAP_HEADER;
    return slc_version_at(ctx, *inner) == want ? 0 : SLC_REASON_DECAP_HEADER;
}

/* RFC 6040 figure 4: the ECN field of the inner header once the outer one is off, or -1 where the
 * packet must be dropped. */
SLC_INLINE int slc_decap_ecn(__u8 outer, __u8 inner)
{
    outer &= 3;
    inner &= 3;
    if (outer == SLC_ECN_CE)
        return inner ? SLC_ECN_CE : -1;
    if (outer == SLC_ECN_ECT1 && inner == SLC_ECN_ECT0)
        return SLC_ECN_ECT1;
    return inner;
}

SLC_INLINE __u16 slc_check_inner4(struct slc_cursor *cur, const struct slc_pkt *pkt, __u32 room,
                                  __u32 *vip)
{
    struct slc_ip4 *ip = slc_take(cur, sizeof *ip);
    __u32 dst[4] = {};
    struct slc_vip *found;
    __u16 old_word;
    int ecn;

    if (!ip)
        return SLC_REASON_HDR_TRUNCATED;
    if (bpf_ntohs(ip->len_be) > room || bpf_ntohs(ip->len_be) < sizeof *ip)
        return SLC_REASON_DECAP_HEADER;
    dst[3] = ip->dst_be;
    found = slc_find_vip(pkt, dst, 0, vip);
    if (!found || (found->flags & (SLC_VIP_ENDPOINT | SLC_VIP_PROTECTED)))
        return SLC_REASON_DECAP_UNKNOWN_VIP;
    ecn = slc_decap_ecn(pkt->tos, ip->tos);
    if (ecn < 0)
        return SLC_REASON_DECAP_ECN;
    if (ecn != (ip->tos & 3)) {
        old_word = *(__u16 *)ip;
        ip->tos = (ip->tos & ~3) | ecn;
        ip->csum = slc_csum_replace(ip->csum, old_word, *(__u16 *)ip);
    }
    return 0;
}

SLC_INLINE __u16 slc_check_inner6(struct slc_cursor *cur, const struct slc_pkt *pkt, __u32 room,
                                  __u32 *vip)
{
    struct slc_ip6 *ip = slc_take(cur, sizeof *ip);
    __u32 dst[4];
    struct slc_vip *found;
    int ecn;

    if (!ip)
        return SLC_REASON_HDR_TRUNCATED;
    if (bpf_ntohs(ip->payload_len_be) + sizeof *ip > room)
        return SLC_REASON_DECAP_HEADER;
#pragma unroll
    for (int i = 0; i < 4; i++) dst[i] = ip->dst_be[i];
    found = slc_find_vip(pkt, dst, 1, vip);
    if (!found || (found->flags & (SLC_VIP_ENDPOINT | SLC_VIP_PROTECTED)))
        return SLC_REASON_DECAP_UNKNOWN_VIP;
    ecn = slc_decap_ecn(pkt->tos, bpf_ntohl(ip->version_class_flow_be) >> 20);
    if (ecn < 0)
        return SLC_REASON_DECAP_ECN;
    ip->version_class_flow_be =
        (ip->version_class_flow_be & ~bpf_htonl(3u << 20)) | bpf_htonl((__u32)ecn << 20);
    return 0;
}

/* Moves Ethernet and VLAN tags up to the inner packet and takes off what is before them. */
SLC_INLINE __u16 slc_strip(struct xdp_md *ctx, const struct slc_pkt *pkt, __u32 inner,
                           __u16 type_be)
{
    __u32 l2_len = pkt->l3_off;
    struct slc_cursor cur = slc_cursor_start(ctx);
    __u8 link[22];
    void *from = slc_take(&cur, sizeof link);
    void *to;

    if (!from)
        return SLC_REASON_HDR_TRUNCATED;
    __builtin_memcpy(link, from, sizeof link);
    if (bpf_xdp_adjust_head(ctx, (int)(inner - l2_len)))
        return SLC_REASON_HDR_TRUNCATED;
    cur = slc_cursor_start(ctx);
    to = slc_take(&cur, 14);
    if (!to)
        return SLC_REASON_HDR_TRUNCATED;
    __builtin_memcpy(to, link, 12);
    if (l2_len != 14) {
        __u8 *tag = slc_take(&cur, 4);

        if (!tag)
            return SLC_REASON_HDR_TRUNCATED;
        __builtin_memcpy(to + 12, link + 12, 4);
        if (l2_len == 22) {
            tag = slc_take(&cur, 4);
            if (!tag)
                return SLC_REASON_HDR_TRUNCATED;
            __builtin_memcpy(to + 16, link + 16, 4);
            *(__u16 *)(to + 20) = type_be;
            return 0;
        }
        *(__u16 *)(to + 16) = type_be;
        return 0;
    }
    *(__u16 *)(to + 12) = type_be;
    return 0;
}

SLC_INLINE int slc_stage_decap(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_cursor cur;
    __u32 inner = 0, vip = 0, room;
    __u16 fault;
    __u8 family = 0;

    if (!slc_is_tunnel(ctx, pkt))
        return slc_pass(ctx, pkt, SLC_STAGE_DECAP, SLC_REASON_NOT_OURS);
    /* A faulty outer header is Linux's to judge, like all that is not for a VIP. */
    if (pkt->is_ip6 ? slc_check_ip6(pkt) : slc_check_ip4(pkt))
        return slc_pass(ctx, pkt, SLC_STAGE_DECAP, SLC_REASON_NOT_OURS);
    if (!slc_is_peer(pkt))
        return slc_pass(ctx, pkt, SLC_STAGE_DECAP, SLC_REASON_DECAP_SOURCE_REFUSED);
    if (!pkt->whole)
        return slc_pass(ctx, pkt, SLC_STAGE_DECAP, SLC_REASON_DECAP_VIA_FRAGMENT);
    fault = slc_tunnel_header(ctx, pkt, &inner, &family);
    if (fault)
        return slc_drop(ctx, pkt, SLC_STAGE_DECAP, fault);
    /* Bytes of the outer packet from the inner one on; what follows is padding of Ethernet. */
    room = pkt->l3_off + pkt->ip_len - inner;
    if (inner >= pkt->l3_off + pkt->ip_len)
        return slc_drop(ctx, pkt, SLC_STAGE_DECAP, SLC_REASON_DECAP_HEADER);
    cur = slc_cursor_at(ctx, inner, 1024);
    fault = family == 4 ? slc_check_inner4(&cur, pkt, room, &vip)
                        : slc_check_inner6(&cur, pkt, room, &vip);
    if (fault)
        return slc_drop(ctx, pkt, SLC_STAGE_DECAP, fault);
    fault = slc_strip(ctx, pkt, inner, family == 4 ? SLC_ETH_IP4 : SLC_ETH_IP6);
    if (fault)
        return slc_drop(ctx, pkt, SLC_STAGE_DECAP, fault);
    return slc_pass(ctx, pkt, SLC_STAGE_DECAP, SLC_REASON_DECAPSULATED);
}
