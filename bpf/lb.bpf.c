/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The balancer. Reached from the root program (root.bpf.c) by a tail call.
 *
 *   slc_lb       entry, parse, service, pick, forward: the steady path, one inlined program
 *   slc_lb6      the same of IPv6: both together are more than Linux 6.1 verifies
 *   slc_icmp     ICMP to a VIP: echo, errors about flows
 *   slc_frag     fragments
 *   slc_ext      IPv6 extension headers
 *   slc_too_big  answers what would not fit the egress
 *   slc_decap    tunnels of other balancers that end here
 *   slc_follow   fragments and the like in marked slots: the flow table
 *   slc_reject   answers for services that have no backend
 *
 * The stages are in stage/, in walk order; each opens with its contract. Map sizes and .rodata come
 * from the loader (src/kernel/generation.h). All programs are xdp.frags: a program array takes
 * either kind, never both, and jumbo frames need this one.
 */
#include "stage/entry.h"

#include "stage/decap.h"
#include "stage/ext.h"
#include "stage/follow.h"
#include "stage/frag.h"
#include "stage/icmp.h"
#include "stage/reject.h"
#include "stage/steer.h"
#include "stage/too_big.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* A destination that has a record, but is no VIP. */
SLC_INLINE int slc_not_vip(struct xdp_md *ctx, struct slc_pkt *pkt, const struct slc_vip *vip)
{
    if (SLC_HAS(DECAP) && (vip->flags & SLC_VIP_ENDPOINT)) {
        if (pkt->proto == IPPROTO_IPIP || pkt->proto == IPPROTO_IPV6 || pkt->proto == IPPROTO_GRE ||
            pkt->proto == IPPROTO_UDP)
            return slc_continue(ctx, pkt, SLC_STAGE_DECAP, SLC_TAIL_DECAP);
        return slc_pass(ctx, pkt, SLC_STAGE_SERVICE, SLC_REASON_NOT_OURS);
    }
    slc_take_owners(pkt, vip->customer, vip->policy);
    return slc_pass(ctx, pkt, SLC_STAGE_SERVICE, SLC_REASON_NOT_OURS);
}

#define SLC_VIP_NOT_VIP (SLC_VIP_ENDPOINT | SLC_VIP_PROTECTED)

SLC_INLINE int slc_lb_ip4(struct xdp_md *ctx, struct slc_pkt *pkt, struct slc_cursor *cur)
{
    struct slc_vip *vip = NULL;
    __u16 reason;
    enum slc_entry entry = slc_entry_ip4(cur, pkt, &vip, &reason);

    if (entry == SLC_ENTRY_PASS)
        return slc_pass(ctx, pkt, SLC_STAGE_SERVICE, reason);
    if (SLC_UNLIKELY(entry == SLC_ENTRY_DROP))
        return slc_drop(ctx, pkt, SLC_STAGE_PARSE, reason);
    if (SLC_UNLIKELY(vip->flags & SLC_VIP_NOT_VIP))
        return slc_not_vip(ctx, pkt, vip);
    if (!slc_open_live(pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_SERVICE, SLC_REASON_MAP_MISSED);
    reason = slc_check_ip4(pkt);
    if (SLC_UNLIKELY(reason))
        return slc_drop(ctx, pkt, SLC_STAGE_PARSE, reason);
    if (SLC_UNLIKELY(!pkt->whole))
        return slc_continue(ctx, pkt, SLC_STAGE_PARSE, SLC_TAIL_FRAG);
    if (SLC_LIKELY(pkt->proto == IPPROTO_TCP || pkt->proto == IPPROTO_UDP)) {
        *cur = slc_cursor_at(ctx, pkt->l4_off, 128);
        return slc_steer_transport(ctx, pkt, vip, cur, 1);
    }
    if (pkt->proto == IPPROTO_ICMP)
        return slc_continue(ctx, pkt, SLC_STAGE_PARSE, SLC_TAIL_ICMP);
    return slc_unmatched(ctx, pkt, vip, SLC_REASON_PROTOCOL_UNSUPPORTED);
}

SLC_INLINE int slc_lb_ip6(struct xdp_md *ctx, struct slc_pkt *pkt, struct slc_cursor *cur)
{
    struct slc_vip *vip = NULL;
    __u16 reason;
    enum slc_entry entry = slc_entry_ip6(cur, pkt, &vip, &reason);

    if (entry == SLC_ENTRY_PASS)
        return slc_pass(ctx, pkt, SLC_STAGE_SERVICE, reason);
    if (SLC_UNLIKELY(entry == SLC_ENTRY_DROP))
        return slc_drop(ctx, pkt, SLC_STAGE_PARSE, reason);
    if (SLC_UNLIKELY(vip->flags & SLC_VIP_NOT_VIP))
        return slc_not_vip(ctx, pkt, vip);
    if (!slc_open_live(pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_SERVICE, SLC_REASON_MAP_MISSED);
    reason = slc_check_ip6(pkt);
    if (SLC_UNLIKELY(reason))
        return slc_drop(ctx, pkt, SLC_STAGE_PARSE, reason);
    if (SLC_LIKELY(pkt->proto == IPPROTO_TCP || pkt->proto == IPPROTO_UDP))
        return slc_steer_transport(ctx, pkt, vip, cur, 1);
    if (pkt->proto == IPPROTO_ICMPV6)
        return slc_continue(ctx, pkt, SLC_STAGE_PARSE, SLC_TAIL_ICMP);
    if (slc_is_ext(pkt->proto))
        return slc_continue(ctx, pkt, SLC_STAGE_PARSE, SLC_TAIL_EXT);
    return slc_unmatched(ctx, pkt, vip, SLC_REASON_PROTOCOL_UNSUPPORTED);
}

SLC_INLINE int slc_enter(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_cursor cur = slc_cursor_start(ctx);
    __u16 proto_be = 0;
    __u16 reason;

    pkt->frame_len = slc_frame_len(ctx);
    if (!slc_open_plan(pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    reason = slc_parse_link(&cur, pkt, &proto_be);
    if (SLC_UNLIKELY(reason == SLC_REASON_VLAN_DEPTH))
        return slc_pass(ctx, pkt, SLC_STAGE_PARSE, reason);
    if (SLC_UNLIKELY(reason))
        return slc_drop(ctx, pkt, SLC_STAGE_PARSE, reason);
    if (proto_be == SLC_ETH_IP4) {
        if (SLC_HAS(IP4))
            return slc_lb_ip4(ctx, pkt, &cur);
        pkt->rec.famproto = SLC_FAMPROTO_IP4_OTHER;
        return slc_pass(ctx, pkt, SLC_STAGE_SERVICE, SLC_REASON_NOT_OURS);
    }
    if (proto_be == SLC_ETH_IP6) {
        if (SLC_HAS(IP6)) {
            bpf_tail_call(ctx, &slc_stages, SLC_TAIL_LB6);
            return slc_drop(ctx, pkt, SLC_STAGE_ENTRY, SLC_REASON_TAIL_MISSED);
        }
        pkt->rec.famproto = SLC_FAMPROTO_IP6_OTHER;
        return slc_pass(ctx, pkt, SLC_STAGE_SERVICE, SLC_REASON_NOT_OURS);
    }
    return slc_pass(ctx, pkt, SLC_STAGE_PARSE, SLC_REASON_NOT_IP);
}

SEC("xdp.frags")
int slc_lb(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};

    if (slc_node.features & SLC_FEATURE_TAP)
        slc_tap_enter(ctx);
    return slc_enter(ctx, &pkt);
}

/* Looks at the link again, which costs less than to be handed on what slc_lb saw of it. */
SLC_INLINE int slc_enter_ip6(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_cursor cur = slc_cursor_start(ctx);
    __u16 proto_be = 0;
    __u16 reason;

    pkt->frame_len = slc_frame_len(ctx);
    if (!slc_open_plan(pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    reason = slc_parse_link(&cur, pkt, &proto_be);
    if (SLC_UNLIKELY(reason))
        return slc_drop(ctx, pkt, SLC_STAGE_PARSE, reason);
    return slc_lb_ip6(ctx, pkt, &cur);
}

SEC("xdp.frags")
int slc_lb6(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};

    return slc_enter_ip6(ctx, &pkt);
}

SEC("xdp.frags")
int slc_icmp(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};

    if (!slc_resume(&pkt))
        return slc_drop(ctx, &pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    return slc_stage_icmp(ctx, &pkt);
}

SEC("xdp.frags")
int slc_frag(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};

    if (!slc_resume(&pkt))
        return slc_drop(ctx, &pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    return slc_stage_frag(ctx, &pkt);
}

SEC("xdp.frags")
int slc_ext(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};

    if (!slc_resume(&pkt))
        return slc_drop(ctx, &pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    return slc_stage_ext(ctx, &pkt);
}

SEC("xdp.frags")
int slc_too_big(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};

    if (!slc_resume(&pkt))
        return slc_drop(ctx, &pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    return slc_stage_too_big(ctx, &pkt);
}

SEC("xdp.frags")
int slc_decap(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};

    if (!slc_resume(&pkt))
        return slc_drop(ctx, &pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    return slc_stage_decap(ctx, &pkt);
}

SEC("xdp.frags")
int slc_follow(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};

    if (!slc_resume(&pkt))
        return slc_drop(ctx, &pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    return slc_stage_follow(ctx, &pkt);
}

SEC("xdp.frags")
int slc_reject(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};

    if (!slc_resume(&pkt))
        return slc_drop(ctx, &pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    return slc_stage_reject(ctx, &pkt);
}
