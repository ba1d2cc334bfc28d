/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage forward: the member's header template in front of the packet, and out.
 *
 * Reads    pkt: l3_off, ip_len, tos, hash; the member's record and template.
 * Leaves   the frame with its outer header (encapsulation) or its new Ethernet header (L2).
 * Goes to  exit, or too_big.
 * Reasons  FORWARDED and its kin, DELIVERED_LOCAL, BACKEND_UNRESOLVED, HEADROOM, MAP_MISSED.
 *
 * The template is copied whole and five fields are patched: length, DSCP and ECN, source entropy,
 * checksum, and for GUE the source port. ECN follows RFC 6040 (normal mode: outer is inner).
 */

#include "lib/csum_frame.h"
#include "lib/cursor.h"
#include "lib/exit.h"

/*
 * The sum of the whole packet as it will be the payload of GUE. Where the transport checksum
 * covers everything, transport and pseudo header sum to zero, so the sum is that of the IP header
 * less the pseudo header: no byte of payload is read (as "local checksum offload" in Linux,
 * Documentation/networking/checksum-offloads.rst). Otherwise the packet is read.
 */
SLC_INLINE __s64 slc_payload_sum(struct xdp_md *ctx, const struct slc_pkt *pkt, __u32 offset)
{
    __u64 pseudo;

    if (!pkt->whole || (pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_UDP))
        return slc_csum_frame(ctx, offset, pkt->ip_len);
    pseudo = bpf_htons(slc_l4_len(pkt)) + bpf_htons(pkt->proto);
    if (!pkt->is_ip6) {
        pseudo += slc_csum_word32(pkt->src[3]) + slc_csum_word32(pkt->dst[3]);
        return (__u16)~slc_csum_fold(pseudo);
    }
    struct slc_cursor cur = slc_cursor_at(ctx, offset, 128);
    __u32 *words = slc_take(&cur, 8);

    if (!words)
        return -1;
    return slc_csum_fold(slc_csum_word32(words[0]) + slc_csum_word32(words[1]) +
                         (__u16)~slc_csum_fold(pseudo));
}

/* GUE over IPv4 needs no checksum (RFC 768), over IPv6 it does (RFC 8200 8.1). */
SLC_INLINE int slc_patch_udp(struct xdp_md *ctx, const struct slc_pkt *pkt, struct slc_udp *udp,
                             const struct slc_template *tmpl, __u32 entropy, __u64 source_sum)
{
    __u16 len_be = bpf_htons(SLC_GUE_LEN + pkt->ip_len);
    __s64 payload;
    __u16 csum;

    udp->sport_be = 0x00c0 | (__u16)entropy; /* 49152..65535 */
    udp->len_be = len_be;
    if (!(tmpl->flags & SLC_TEMPLATE_IP6))
        return 0;
    __u64 sum = (__u64)tmpl->udp_sum + udp->sport_be + len_be + len_be + source_sum;

    payload = slc_payload_sum(ctx, pkt, tmpl->len);
    if (payload < 0)
        return -1;
    csum = ~slc_csum_fold(sum + (__u64)payload);
    /* The pointer is taken again: the sum may have come from a helper. */
    struct slc_cursor cur = slc_cursor_at(ctx, tmpl->l2_len + SLC_IP6_LEN, 128);

    udp = slc_take(&cur, sizeof *udp);
    if (!udp)
        return -1;
    udp->csum = csum ? csum : 0xffff;
    return 0;
}

SLC_INLINE __u8 slc_outer_tos(const struct slc_pkt *pkt, const struct slc_service *service)
{
    if (SLC_HAS(DSCP_COPY) && (service->flags & SLC_SERVICE_DSCP_COPY))
        return pkt->tos;
    return (pkt->tos & 3) | service->dscp << 2;
}

SLC_INLINE int slc_put_outer4(struct xdp_md *ctx, struct slc_pkt *pkt, struct slc_cursor *cur,
                              const struct slc_template *tmpl, __u8 tos, __u32 overhead)
{
    const void *from = tmpl->hdr + (tmpl->l2_len & 31);
    __u32 entropy = slc_entropy_of(pkt->hash);
    __u32 host = entropy & slc_node.tunnel4_host_mask_be;
    __u16 len_be = bpf_htons(pkt->ip_len + overhead);
    struct slc_ip4 *ip = slc_take(cur, SLC_IP4_LEN);

    if (!ip)
        return -1;
    slc_copy(ip, from, SLC_IP4_LEN);
    ip->tos = tos;
    ip->len_be = len_be;
    ip->src_be |= host;
    ip->csum =
        ~slc_csum_fold32(tmpl->ip_sum + len_be + ((__u32)tos << 8) + (__u32)slc_csum_word32(host));
    if (SLC_HAS(GRE) && overhead == SLC_IP4_LEN + SLC_GRE_LEN) {
        void *gre = slc_take(cur, SLC_GRE_LEN);

        if (!gre)
            return -1;
        slc_copy(gre, from + SLC_IP4_LEN, SLC_GRE_LEN);
    }
    if (SLC_HAS(GUE) && overhead == SLC_IP4_LEN + SLC_GUE_LEN) {
        void *udp = slc_take(cur, SLC_GUE_LEN);

        if (!udp)
            return -1;
        slc_copy(udp, from + SLC_IP4_LEN, SLC_GUE_LEN);
        return slc_patch_udp(ctx, pkt, udp, tmpl, entropy, 0);
    }
    return 0;
}

SLC_INLINE int slc_put_outer6(struct xdp_md *ctx, struct slc_pkt *pkt, struct slc_cursor *cur,
                              const struct slc_template *tmpl, __u8 tos, __u32 overhead)
{
    const void *from = tmpl->hdr + (tmpl->l2_len & 31);
    __u32 entropy = slc_entropy_of(pkt->hash);
    __u64 host = pkt->hash & slc_node.tunnel6_host_mask_be;
    struct slc_ip6 *ip = slc_take(cur, SLC_IP6_LEN);

    if (!ip)
        return -1;
    slc_copy(ip, from, SLC_IP6_LEN);
    /* Flow label: RFC 6438, so that routers on the way spread tunnels too. */
    ip->version_class_flow_be = bpf_htonl(6u << 28 | (__u32)tos << 20 | (entropy & 0xfffff));
    ip->payload_len_be = bpf_htons(pkt->ip_len + overhead - SLC_IP6_LEN);
    ip->src_be[2] |= (__u32)host;
    ip->src_be[3] |= (__u32)(host >> 32);
    if (SLC_HAS(GRE) && overhead == SLC_IP6_LEN + SLC_GRE_LEN) {
        void *gre = slc_take(cur, SLC_GRE_LEN);

        if (!gre)
            return -1;
        slc_copy(gre, from + SLC_IP6_LEN, SLC_GRE_LEN);
    }
    if (SLC_HAS(GUE) && overhead == SLC_IP6_LEN + SLC_GUE_LEN) {
        void *udp = slc_take(cur, SLC_GUE_LEN);

        if (!udp)
            return -1;
        slc_copy(udp, from + SLC_IP6_LEN, SLC_GUE_LEN);
        return slc_patch_udp(ctx, pkt, udp, tmpl, entropy,
                             slc_csum_word32((__u32)host) + slc_csum_word32(host >> 32));
    }
    return 0;
}

/* Ethernet padding beyond the IP packet would travel inside; it matters only where it could push
 * the frame past the MTU, so frames of the least length are left as they are. */
SLC_INLINE void slc_trim(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    __u32 len = pkt->l3_off + pkt->ip_len;

    if (SLC_UNLIKELY(pkt->frame_len > len && pkt->frame_len > 64))
        bpf_xdp_adjust_tail(ctx, (int)(len - pkt->frame_len));
}

/* Makes room and writes the template. Returns 0, or the reason for a drop. */
SLC_INLINE __u16 slc_put_template(struct xdp_md *ctx, struct slc_pkt *pkt,
                                  const struct slc_service *service,
                                  const struct slc_template *tmpl)
{
    __u32 overhead = tmpl->len - tmpl->l2_len;
    __u8 tos = slc_outer_tos(pkt, service);
    struct slc_cursor cur;
    void *link;
    int failed = 1;

    if (bpf_xdp_adjust_head(ctx, (int)pkt->l3_off - tmpl->len))
        return SLC_REASON_HEADROOM;
    cur = slc_cursor_start(ctx);
    link = slc_take(&cur, 14);
    if (!link)
        return SLC_REASON_HDR_TRUNCATED;
    slc_copy(link, tmpl->hdr, 14);
    if (SLC_UNLIKELY(tmpl->l2_len != 14)) {
        void *tag = slc_take(&cur, 4);

        if (!tag)
            return SLC_REASON_HDR_TRUNCATED;
        slc_copy(tag, tmpl->hdr + 14, 4);
        if (tmpl->l2_len == 22) {
            tag = slc_take(&cur, 4);
            if (!tag)
                return SLC_REASON_HDR_TRUNCATED;
            slc_copy(tag, tmpl->hdr + 18, 4);
        }
    }
    if (SLC_HAS(L2) && (tmpl->flags & SLC_TEMPLATE_L2))
        return 0;
    if (SLC_HAS(OUTER6) && (tmpl->flags & SLC_TEMPLATE_IP6))
        failed = slc_put_outer6(ctx, pkt, &cur, tmpl, tos, overhead);
    else if (SLC_HAS(OUTER4))
        failed = slc_put_outer4(ctx, pkt, &cur, tmpl, tos, overhead);
    return failed ? SLC_REASON_HDR_TRUNCATED : 0;
}

/* Sends the packet to rec.member. `reason` is the one to count when it left. */
SLC_INLINE int slc_forward(struct xdp_md *ctx, struct slc_pkt *pkt,
                           const struct slc_service *service, __u16 reason)
{
    struct slc_member *member;
    struct slc_template *tmpl;
    __u32 overhead, variant, cell;
    __u16 fault;

    if (SLC_HAS(LOCAL) && service->forward == SLC_FORWARD_LOCAL)
        return slc_pass(ctx, pkt, SLC_STAGE_FORWARD, SLC_REASON_DELIVERED_LOCAL);
    member = slc_members_at(pkt, pkt->rec.member);
    if (!member)
        return slc_drop(ctx, pkt, SLC_STAGE_FORWARD, SLC_REASON_MAP_MISSED);
    if (SLC_UNLIKELY(member->flags & SLC_MEMBER_LOCAL))
        return slc_pass(ctx, pkt, SLC_STAGE_FORWARD, SLC_REASON_DELIVERED_LOCAL);
    variant = SLC_VARIANT(service->forward, pkt->is_ip6);
    /* After the "or": Linux 6.1 forgets the bounds of both its sides. */
    SLC_BARRIER(variant);
    cell = *(volatile __u32 *)&member->cell[variant & (SLC_VARIANTS - 1)];
    tmpl = cell ? slc_templates_at(pkt, cell) : NULL;
    if (!tmpl)
        return slc_drop(ctx, pkt, SLC_STAGE_FORWARD, SLC_REASON_BACKEND_UNRESOLVED);
    overhead = tmpl->len - tmpl->l2_len;
    if (SLC_UNLIKELY(pkt->ip_len + overhead > tmpl->mtu)) {
        pkt->mtu = tmpl->mtu > overhead ? tmpl->mtu - overhead : 0;
        return slc_continue(ctx, pkt, SLC_STAGE_FORWARD, SLC_TAIL_TOO_BIG);
    }
    slc_trim(ctx, pkt);
    fault = slc_put_template(ctx, pkt, service, tmpl);
    if (SLC_UNLIKELY(fault))
        return slc_drop(ctx, pkt, SLC_STAGE_FORWARD, fault);
    if (tmpl->ifindex == ctx->ingress_ifindex)
        return slc_exit(ctx, pkt, SLC_VERDICT_TX, SLC_STAGE_FORWARD, reason);
    bpf_redirect(tmpl->ifindex, 0);
    return slc_exit(ctx, pkt, SLC_VERDICT_REDIRECT, SLC_STAGE_FORWARD, reason);
}
