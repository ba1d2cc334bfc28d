/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage too_big: a packet that would not fit the egress MTU with its outer header.
 *
 * Reads    pkt: mtu, the longest packet that would have fitted; DF of an IPv4 header.
 * Leaves   ICMP "fragmentation needed" (RFC 1191 section 4) or ICMPv6 "packet too big" (RFC 4443
 *          3.2) to the sender, from the VIP, quoting a constant number of bytes.
 * Goes to  exit.
 * Reasons  TOO_BIG_REPLIED, TOO_BIG_DF_CLEAR, TOO_BIG_UNANSWERED.
 *
 * Such a packet is longer than the quote, so every answer has one length, and is shorter than what
 * provoked it: nothing is amplified. The least MTU that is told is 68 (RFC 791) or 1,280 (RFC
 * 8200).
 */

#include "lib/icmp_types.h"
#include "lib/limiter.h"
#include "stage/answer.h"

#define SLC_ICMP4_FRAG_NEEDED 4

SLC_INLINE int slc_reply_too_big4(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    const __u32 headers = sizeof(struct slc_ip4) + SLC_ICMP_LEN;
    struct slc_cursor cur;
    struct slc_ip4 *ip;
    struct slc_icmp *icmp;
    void *quote;
    __s64 sum;

    if (slc_make_room(ctx, pkt, headers, SLC_ICMP4_QUOTE_LEN))
        return -1;
    cur = slc_cursor_at(ctx, pkt->l3_off, 32);
    ip = slc_take(&cur, sizeof *ip);
    icmp = slc_take(&cur, sizeof *icmp);
    quote = slc_take(&cur, SLC_ICMP4_QUOTE_LEN);
    if (!ip || !icmp || !quote)
        return -1;
    slc_answer_ip4(ip, pkt, IPPROTO_ICMP, SLC_ICMP_LEN + SLC_ICMP4_QUOTE_LEN, 0);
    icmp->type = SLC_ICMP4_UNREACHABLE;
    icmp->code = SLC_ICMP4_FRAG_NEEDED;
    icmp->csum = 0;
    icmp->id_be = 0;
    icmp->seq_be = bpf_htons(pkt->mtu < 68 ? 68 : pkt->mtu);
    sum = bpf_csum_diff(NULL, 0, quote, SLC_ICMP4_QUOTE_LEN, 0);
    if (sum < 0)
        return -1;
    icmp->csum = ~slc_csum_fold((__u64)(__u32)sum + *(__u16 *)&icmp->type + icmp->seq_be);
    return 0;
}

SLC_INLINE int slc_reply_too_big6(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    const __u32 headers = sizeof(struct slc_ip6) + SLC_ICMP_LEN;
    const __u32 len = SLC_ICMP_LEN + SLC_ICMP6_QUOTE_LEN;
    struct slc_cursor cur;
    struct slc_ip6 *ip;
    struct slc_icmp *icmp;
    void *quote;
    __u64 sum;
    __s64 part;

    if (slc_make_room(ctx, pkt, headers, SLC_ICMP6_QUOTE_LEN))
        return -1;
    cur = slc_cursor_at(ctx, pkt->l3_off, 32);
    ip = slc_take(&cur, sizeof *ip);
    icmp = slc_take(&cur, sizeof *icmp);
    quote = slc_take(&cur, SLC_ICMP6_QUOTE_LEN);
    if (!ip || !icmp || !quote)
        return -1;
    slc_answer_ip6(ip, pkt, IPPROTO_ICMPV6, len);
    sum = slc_pseudo_sum(pkt, IPPROTO_ICMPV6, len);
    icmp->type = SLC_ICMP6_TOO_BIG;
    icmp->code = 0;
    icmp->csum = 0;
    icmp->id_be = 0;
    icmp->seq_be = bpf_htons(pkt->mtu < 1280 ? 1280 : pkt->mtu);
    sum += *(__u16 *)&icmp->type + icmp->seq_be;
#pragma unroll
    for (int i = 0; i < SLC_ICMP6_QUOTE_LEN / SLC_SUM_CHUNK; i++) {
        part = bpf_csum_diff(NULL, 0, quote + i * SLC_SUM_CHUNK, SLC_SUM_CHUNK, 0);
        if (part < 0)
            return -1;
        sum += (__u32)part;
    }
    icmp->csum = ~slc_csum_fold(sum);
    return 0;
}

SLC_INLINE int slc_dont_fragment(struct xdp_md *ctx, const struct slc_pkt *pkt)
{
    struct slc_cursor cur = slc_cursor_at(ctx, pkt->l3_off, 32);
    struct slc_ip4 *ip = slc_take(&cur, sizeof *ip);

    return ip && (ip->frag_be & bpf_htons(SLC_IP4_DF));
}

SLC_INLINE int slc_stage_too_big(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    __u32 quote_len = pkt->is_ip6 ? SLC_ICMP6_QUOTE_LEN : SLC_ICMP4_QUOTE_LEN;

    if (!pkt->is_ip6 && !slc_dont_fragment(ctx, pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_TOO_BIG, SLC_REASON_TOO_BIG_DF_CLEAR);
    /* Never an error about an error (RFC 1122 3.2.2) or a later fragment. */
    if (pkt->proto == (pkt->is_ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) || pkt->frag_off ||
        pkt->ip_len < quote_len || !slc_by_unicast(ctx) || !slc_icmp_allowed(pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_TOO_BIG, SLC_REASON_TOO_BIG_UNANSWERED);
    if (pkt->is_ip6 ? slc_reply_too_big6(ctx, pkt) : slc_reply_too_big4(ctx, pkt))
        return slc_drop(ctx, pkt, SLC_STAGE_TOO_BIG, SLC_REASON_TOO_BIG_UNANSWERED);
    return slc_exit(ctx, pkt, SLC_VERDICT_TX, SLC_STAGE_TOO_BIG, SLC_REASON_TOO_BIG_REPLIED);
}
