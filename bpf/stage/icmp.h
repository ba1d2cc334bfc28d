/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage icmp: ICMP and ICMPv6 to a VIP.
 *
 * Reads    pkt: l4_off at the ICMP header; the quoted packet of an error.
 * Leaves   an echo reply in the frame, or rec.service and rec.member of the quoted flow.
 * Goes to  forward for errors.
 * Reasons  ECHO_REPLIED, ICMP_RATE, ICMP_CHECKSUM, ICMP_TYPE, ICMP_QUOTE_TRUNCATED,
 *          ICMP_QUOTE_MISMATCH, ICMP_QUOTE_UNDECIDED, FORWARDED_ICMP_ERROR, FORWARDED_ICMP_UNSURE,
 * PORT_PASSED, NEIGHBOUR_DISCOVERY.
 *
 * An error speaks of a packet that a backend sent from the VIP to a client. Its flow is the quoted
 * one read backwards, and eight quoted bytes of transport header (RFC 792) hold both ports.
 */

#include "lib/csum_frame.h"
#include "lib/icmp_types.h"
#include "lib/limiter.h"
#include "stage/answer.h"
#include "stage/steer.h"

/* Whether the checksum over the ICMP message (and the pseudo header, for ICMPv6) is right, and that
 * of the IPv4 header, which the answer inherits. */
SLC_INLINE int slc_icmp_sound(struct xdp_md *ctx, const struct slc_pkt *pkt)
{
    __s64 sum = slc_csum_frame(ctx, pkt->l4_off, slc_l4_len(pkt));
    __u64 pseudo = 0;

    if (sum < 0)
        return 0;
    if (pkt->is_ip6)
        pseudo = slc_pseudo_sum(pkt, IPPROTO_ICMPV6, slc_l4_len(pkt));
    if (slc_csum_fold((__u64)sum + pseudo) != 0xffff)
        return 0;
    return pkt->is_ip6 ||
           slc_csum_frame(ctx, pkt->l3_off, (__u32)pkt->l4_off - pkt->l3_off) == 0xffff;
}

/* The IP header of an answer made in place: addresses swapped, TTL renewed. */
SLC_INLINE int slc_turn_ip(struct xdp_md *ctx, const struct slc_pkt *pkt)
{
    struct slc_cursor cur = slc_cursor_start(ctx);
    struct ethhdr *eth = slc_take(&cur, sizeof *eth);

    if (!eth)
        return -1;
    slc_swap_macs(eth);
    cur = slc_cursor_at(ctx, pkt->l3_off, 32);
    if (pkt->is_ip6) {
        struct slc_ip6 *ip = slc_take(&cur, sizeof *ip);

        if (!ip)
            return -1;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            ip->src_be[i] = pkt->dst[i];
            ip->dst_be[i] = pkt->src[i];
        }
        ip->hop_limit = 64;
        return 0;
    }
    struct slc_ip4 *ip = slc_take(&cur, sizeof *ip);
    __u16 *ttl_word;
    __u16 old_word;

    if (!ip)
        return -1;
    ip->src_be = pkt->dst[3];
    ip->dst_be = pkt->src[3];
    ttl_word = (__u16 *)&ip->ttl;
    old_word = *ttl_word;
    ip->ttl = 64;
    ip->csum = slc_csum_replace(ip->csum, old_word, *ttl_word);
    return 0;
}

SLC_INLINE int slc_icmp_echo(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_cursor cur;
    struct slc_icmp *icmp;
    __u16 *type_word;
    __u16 old_word;

    if (!slc_by_unicast(ctx))
        return slc_drop(ctx, pkt, SLC_STAGE_ICMP, SLC_REASON_ICMP_TYPE);
    if (!slc_icmp_allowed(pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_ICMP, SLC_REASON_ICMP_RATE);
    if (!slc_icmp_sound(ctx, pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_ICMP, SLC_REASON_ICMP_CHECKSUM);
    if (slc_turn_ip(ctx, pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_ICMP, SLC_REASON_HDR_TRUNCATED);
    cur = slc_cursor_at(ctx, pkt->l4_off, 4096);
    icmp = slc_take(&cur, sizeof *icmp);
    if (!icmp)
        return slc_drop(ctx, pkt, SLC_STAGE_ICMP, SLC_REASON_HDR_TRUNCATED);
    type_word = (__u16 *)&icmp->type;
    old_word = *type_word;
    icmp->type = pkt->is_ip6 ? SLC_ICMP6_ECHO_REPLY : SLC_ICMP4_ECHO_REPLY;
    /* The swapped addresses of the pseudo header leave the sum as it was. */
    icmp->csum = slc_csum_replace(icmp->csum, old_word, *type_word);
    return slc_exit(ctx, pkt, SLC_VERDICT_TX, SLC_STAGE_ICMP, SLC_REASON_ECHO_REPLIED);
}

/* The flow that the quoted packet belongs to. */
struct slc_quote {
    __u32 src[4];
    __u32 dst[4];
    __u32 l4_off;
    __u8 proto;
};

SLC_INLINE __u16 slc_read_quote4(struct xdp_md *ctx, __u32 offset, struct slc_quote *quote)
{
    struct slc_cursor cur = slc_cursor_at(ctx, offset, 4096);
    struct slc_ip4 *ip = slc_take(&cur, sizeof *ip);
    __u32 ihl;

    if (!ip)
        return SLC_REASON_ICMP_QUOTE_TRUNCATED;
    ihl = (ip->version_ihl & 0xf) * 4;
    if (ip->version_ihl >> 4 != 4 || ihl < sizeof *ip)
        return SLC_REASON_ICMP_QUOTE_MISMATCH;
    if (bpf_ntohs(ip->frag_be) & SLC_IP4_OFFSET)
        return SLC_REASON_ICMP_QUOTE_UNDECIDED;
    quote->src[3] = ip->src_be;
    quote->dst[3] = ip->dst_be;
    quote->proto = ip->proto;
    quote->l4_off = offset + ihl;
    return 0;
}

/* One quoted extension header; *done once the transport is reached. */
SLC_INLINE __u16 slc_quote_step6(struct xdp_md *ctx, struct slc_quote *quote)
{
    struct slc_cursor cur = slc_cursor_at(ctx, quote->l4_off, 4096);
    __u8 *hdr = slc_take(&cur, 8);
    __u32 len;

    if (!hdr)
        return SLC_REASON_ICMP_QUOTE_TRUNCATED;
    len = (hdr[1] + 1) * 8;
    if (quote->proto == IPPROTO_AH)
        len = (hdr[1] + 2) * 4;
    if (quote->proto == IPPROTO_FRAGMENT) {
        len = 8;
        if (bpf_ntohs(*(__u16 *)(hdr + 2)) & 0xfff8)
            return SLC_REASON_ICMP_QUOTE_UNDECIDED;
    }
    quote->proto = hdr[0];
    quote->l4_off += len;
    return quote->l4_off >= 4096 ? SLC_REASON_ICMP_QUOTE_TRUNCATED : 0;
}

SLC_INLINE __u16 slc_read_quote6(struct xdp_md *ctx, __u32 offset, struct slc_quote *quote)
{
    struct slc_cursor cur = slc_cursor_at(ctx, offset, 4096);
    struct slc_ip6 *ip = slc_take(&cur, sizeof *ip);
    __u16 fault;

    if (!ip || offset + sizeof *ip >= 4096)
        return SLC_REASON_ICMP_QUOTE_TRUNCATED;
    if (bpf_ntohl(ip->version_class_flow_be) >> 28 != 6)
        return SLC_REASON_ICMP_QUOTE_MISMATCH;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        quote->src[i] = ip->src_be[i];
        quote->dst[i] = ip->dst_be[i];
    }
    quote->proto = ip->next;
    quote->l4_off = offset + sizeof *ip;
    for (int i = 0; i < SLC_MAX_EXT_HEADERS; i++) {
        if (quote->proto != IPPROTO_HOPOPTS && quote->proto != IPPROTO_ROUTING &&
            quote->proto != IPPROTO_FRAGMENT && quote->proto != IPPROTO_DSTOPTS &&
            quote->proto != IPPROTO_AH)
            break;
        fault = slc_quote_step6(ctx, quote);
        if (fault)
            return fault;
    }
    return 0;
}

/* The packet as its client would have sent it: what service and pick look at. */
SLC_INLINE __u16 slc_reverse_quote(struct xdp_md *ctx, struct slc_pkt *pkt,
                                   const struct slc_quote *quote, struct slc_pkt *flow)
{
    struct slc_cursor cur = slc_cursor_at(ctx, quote->l4_off, 4096);
    __u16 *ports = slc_take(&cur, 8);
    __u32 differs = 0;

#pragma unroll
    for (int i = 0; i < 4; i++) {
        differs |= quote->src[i] ^ pkt->dst[i];
        flow->src[i] = quote->dst[i];
        flow->dst[i] = quote->src[i];
    }
    if (differs || (quote->proto != IPPROTO_TCP && quote->proto != IPPROTO_UDP))
        return SLC_REASON_ICMP_QUOTE_MISMATCH;
    if (!ports || quote->l4_off + 8 > (__u32)pkt->l3_off + pkt->ip_len)
        return SLC_REASON_ICMP_QUOTE_TRUNCATED;
    flow->sport_be = ports[1];
    flow->dport_be = ports[0];
    flow->proto = quote->proto;
    flow->is_ip6 = pkt->is_ip6;
    return 0;
}

SLC_INLINE int slc_icmp_error(struct xdp_md *ctx, struct slc_pkt *pkt, const struct slc_vip *vip)
{
    __u32 offset = pkt->l4_off + sizeof(struct slc_icmp);
    struct slc_quote quote = {};
    struct slc_pkt flow = {
        .plan = pkt->plan, .live = pkt->live, .features = pkt->features, .looks_only = 1};
    struct slc_service *service;
    __u16 fault;

    fault =
        pkt->is_ip6 ? slc_read_quote6(ctx, offset, &quote) : slc_read_quote4(ctx, offset, &quote);
    if (!fault)
        fault = slc_reverse_quote(ctx, pkt, &quote, &flow);
    if (fault)
        return slc_drop(ctx, pkt, SLC_STAGE_ICMP, fault);
    flow.rec.service = slc_find_service(pkt, vip, flow.proto, flow.dport_be);
    if (!flow.rec.service)
        return slc_unmatched(ctx, pkt, vip, SLC_REASON_ICMP_QUOTE_MISMATCH);
    fault = slc_pick(ctx, &flow, &service, 0);
    pkt->rec.service = flow.rec.service;
    pkt->rec.member = flow.rec.member;
    pkt->rec.customer = flow.rec.customer;
    pkt->rec.policy = flow.rec.policy;
    pkt->hash = flow.hash;
    if (fault && fault != SLC_PICK_FOLLOW)
        return slc_drop(ctx, pkt, SLC_STAGE_ICMP, fault);
    pkt->looks_only = 1;
    pkt->picked = slc_routes_by_id(&flow, service) ? SLC_REASON_FORWARDED_ICMP_UNSURE
                                                   : SLC_REASON_FORWARDED_ICMP_ERROR;
    if (SLC_HAS(TRACKING) && fault == SLC_PICK_FOLLOW)
        return slc_continue(ctx, pkt, SLC_STAGE_ICMP, SLC_TAIL_FOLLOW);
    return slc_forward(ctx, pkt, service, pkt->picked);
}

SLC_INLINE int slc_stage_icmp(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l4_off, 4096);
    struct slc_icmp *icmp = slc_take(&cur, sizeof *icmp);
    struct slc_vip *vip = slc_vips_at(pkt, pkt->vip_index);
    __u8 echo = pkt->is_ip6 ? SLC_ICMP6_ECHO : SLC_ICMP4_ECHO;

    if (!vip)
        return slc_drop(ctx, pkt, SLC_STAGE_ICMP, SLC_REASON_MAP_MISSED);
    if (!icmp || slc_l4_len(pkt) < sizeof *icmp)
        return slc_drop(ctx, pkt, SLC_STAGE_ICMP, SLC_REASON_HDR_TRUNCATED);
    if (icmp->type == echo && icmp->code == 0) {
        slc_take_owners(pkt, vip->customer, vip->policy);
        return slc_icmp_echo(ctx, pkt);
    }
    if (slc_icmp_type_is_error(pkt->is_ip6, icmp->type))
        return slc_icmp_error(ctx, pkt, vip);
    /* RFC 4861 7.3: a router probes by unicast the neighbour that it knows. Linux answers. */
    if (pkt->is_ip6 && icmp->type >= SLC_ICMP6_ROUTER_SOLICITATION &&
        icmp->type <= SLC_ICMP6_REDIRECT)
        return slc_pass(ctx, pkt, SLC_STAGE_ICMP, SLC_REASON_NEIGHBOUR_DISCOVERY);
    return slc_unmatched(ctx, pkt, vip, SLC_REASON_ICMP_TYPE);
}
