/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage reject: a packet of a service that has no backend and says so (when_none: reject), so that
 * clients learn it at once and not after their own timeouts.
 *
 * Reads    pkt: addresses, protocol, l4_off, frag_first; the TCP or UDP header.
 * Leaves   a reset (RFC 9293 3.10.7.1), or ICMP port unreachable (RFC 1122 3.2.2.1, RFC 4443 3.1)
 *          that quotes as much of the packet as the answers of stage too_big do, or all of it.
 * Goes to  exit.
 * Reasons  REJECTED_RESET, REJECTED_UNREACHABLE, REJECTED_UNANSWERED.
 *
 * What comes here is TCP or UDP, whole or a first fragment, from an address that a sender may have
 * (parse). As a host would, nothing is said about what is damaged, nor to a reset. Of a fragmented
 * segment nobody knows here where it ends, so it is not answered.
 *
 * Senders may be spoofed. A reset is no longer than what provoked it, and ICMP longer by its
 * headers only; both take from a limit of rejections alone, before anything is summed up.
 */

#include "lib/csum_frame.h"
#include "lib/icmp_types.h"
#include "lib/limiter.h"
#include "stage/answer.h"
#include "stage/parse.h"

#define SLC_ICMP4_PORT_UNREACHABLE 3
#define SLC_ICMP6_PORT_UNREACHABLE 4

/* Bytes that the checksum of the transport covers, and whether there is one. */
SLC_INLINE int slc_summed_len(struct xdp_md *ctx, const struct slc_pkt *pkt, __u32 *len)
{
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l4_off, 4096);
    struct slc_udp *udp;

    *len = slc_l4_len(pkt);
    if (pkt->proto == IPPROTO_TCP)
        return 1;
    udp = slc_take(&cur, sizeof *udp);
    if (!udp)
        return 1;
    *len = bpf_ntohs(udp->len_be);
    return udp->csum != 0;
}

/* Whether all sums are right. That of a fragment covers what is not here; UDP over IPv6 must have
 * one (RFC 8200 8.1). */
SLC_INLINE int slc_rejected_sound(struct xdp_md *ctx, const struct slc_pkt *pkt)
{
    __u32 len;
    __s64 sum;

    if (!pkt->is_ip6 &&
        slc_csum_frame(ctx, pkt->l3_off, (__u32)pkt->l4_off - pkt->l3_off) != 0xffff)
        return 0;
    if (pkt->frag_first)
        return 1;
    if (!slc_summed_len(ctx, pkt, &len))
        return !pkt->is_ip6;
    sum = slc_csum_frame(ctx, pkt->l4_off, len);
    return sum >= 0 && slc_csum_fold((__u64)sum + slc_pseudo_sum(pkt, pkt->proto, len)) == 0xffff;
}

/* The answer to the segment in the frame. */
SLC_INLINE int slc_make_reset(struct xdp_md *ctx, const struct slc_pkt *pkt, struct slc_tcp *reset)
{
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l4_off, 4096);
    const struct slc_tcp *tcp = slc_take(&cur, sizeof *tcp);
    __u32 len;

    if (!tcp)
        return -1;
    reset->sport_be = tcp->dport_be;
    reset->dport_be = tcp->sport_be;
    reset->offset = sizeof *reset / 4 << 4;
    if (tcp->flags & SLC_TCP_ACK) {
        reset->seq_be = tcp->ack_be;
        reset->flags = SLC_TCP_RST;
    } else {
        len = slc_l4_len(pkt) - (tcp->offset >> 4) * 4;
        len += !!(tcp->flags & SLC_TCP_SYN) + !!(tcp->flags & SLC_TCP_FIN);
        reset->ack_be = bpf_htonl(bpf_ntohl(tcp->seq_be) + len);
        reset->flags = SLC_TCP_RST | SLC_TCP_ACK;
    }
    reset->csum = ~slc_csum_fold(slc_pseudo_sum(pkt, IPPROTO_TCP, sizeof *reset) + reset->sport_be +
                                 reset->dport_be + slc_csum_word32(reset->seq_be) +
                                 slc_csum_word32(reset->ack_be) + *(__u16 *)&reset->offset);
    return 0;
}

/* In place of the segment, which is not shorter. */
SLC_INLINE int slc_reply_reset(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    __u32 ip_len = pkt->is_ip6 ? sizeof(struct slc_ip6) : sizeof(struct slc_ip4);
    struct slc_tcp reset = {};
    struct slc_cursor cur;
    struct ethhdr *eth;
    void *ip, *tcp;

    if (slc_make_reset(ctx, pkt, &reset))
        return -1;
    if (bpf_xdp_adjust_tail(ctx, (int)(pkt->l3_off + ip_len + sizeof reset) - (int)pkt->frame_len))
        return -1;
    cur = slc_cursor_start(ctx);
    eth = slc_take(&cur, sizeof *eth);
    if (!eth)
        return -1;
    slc_swap_macs(eth);
    cur = slc_cursor_at(ctx, pkt->l3_off, 32);
    if (pkt->is_ip6) {
        ip = slc_take(&cur, sizeof(struct slc_ip6));
        if (!ip)
            return -1;
        slc_answer_ip6(ip, pkt, IPPROTO_TCP, sizeof reset);
    } else {
        ip = slc_take(&cur, sizeof(struct slc_ip4));
        if (!ip)
            return -1;
        slc_answer_ip4(ip, pkt, IPPROTO_TCP, sizeof reset, SLC_IP4_DF);
    }
    tcp = slc_take(&cur, sizeof reset);
    if (!tcp)
        return -1;
    __builtin_memcpy(tcp, &reset, sizeof reset);
    return 0;
}

/* Writes both headers of the answer, but for the sum of ICMP. */
SLC_INLINE int slc_put_unreachable(struct xdp_md *ctx, const struct slc_pkt *pkt, __u32 len)
{
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l3_off, 32);
    struct slc_icmp *icmp;
    void *ip;

    if (pkt->is_ip6) {
        ip = slc_take(&cur, sizeof(struct slc_ip6));
        if (!ip)
            return -1;
        slc_answer_ip6(ip, pkt, IPPROTO_ICMPV6, len);
    } else {
        ip = slc_take(&cur, sizeof(struct slc_ip4));
        if (!ip)
            return -1;
        slc_answer_ip4(ip, pkt, IPPROTO_ICMP, len, 0);
    }
    icmp = slc_take(&cur, sizeof *icmp);
    if (!icmp)
        return -1;
    icmp->type = pkt->is_ip6 ? SLC_ICMP6_UNREACHABLE : SLC_ICMP4_UNREACHABLE;
    icmp->code = pkt->is_ip6 ? SLC_ICMP6_PORT_UNREACHABLE : SLC_ICMP4_PORT_UNREACHABLE;
    icmp->csum = 0;
    icmp->id_be = 0;
    icmp->seq_be = 0;
    return 0;
}

SLC_INLINE int slc_reply_unreachable(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    __u32 ip_len = pkt->is_ip6 ? sizeof(struct slc_ip6) : sizeof(struct slc_ip4);
    __u32 most = pkt->is_ip6 ? SLC_ICMP6_QUOTE_LEN : SLC_ICMP4_QUOTE_LEN;
    __u32 quote_len = pkt->ip_len < most ? pkt->ip_len : most;
    __u32 len = SLC_ICMP_LEN + quote_len;
    struct slc_cursor cur;
    struct slc_icmp *icmp;
    __s64 sum;

    if (slc_make_room(ctx, pkt, ip_len + SLC_ICMP_LEN, quote_len) ||
        slc_put_unreachable(ctx, pkt, len))
        return -1;
    sum = slc_csum_frame(ctx, pkt->l3_off + ip_len, len);
    if (sum < 0)
        return -1;
    if (pkt->is_ip6)
        sum += slc_pseudo_sum(pkt, IPPROTO_ICMPV6, len);
    cur = slc_cursor_at(ctx, pkt->l3_off + ip_len, 128);
    icmp = slc_take(&cur, sizeof *icmp);
    if (!icmp)
        return -1;
    icmp->csum = ~slc_csum_fold(sum);
    return 0;
}

SLC_INLINE int slc_stage_reject(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    __u8 is_tcp = pkt->proto == IPPROTO_TCP;

    if ((is_tcp && ((pkt->tcp_flags & SLC_TCP_RST) || pkt->frag_first)) || !slc_by_unicast(ctx) ||
        !slc_reject_allowed(pkt) || !slc_rejected_sound(ctx, pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_REJECT, SLC_REASON_REJECTED_UNANSWERED);
    if (is_tcp ? slc_reply_reset(ctx, pkt) : slc_reply_unreachable(ctx, pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_REJECT, SLC_REASON_REJECTED_UNANSWERED);
    return slc_exit(ctx, pkt, SLC_VERDICT_TX, SLC_STAGE_REJECT,
                    is_tcp ? SLC_REASON_REJECTED_RESET : SLC_REASON_REJECTED_UNREACHABLE);
}
