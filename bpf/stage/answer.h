/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * What the answers of stages have in common that go back to a packet's sender, from the VIP: who
 * may be answered at all, room for the new headers, and the IP header. Each is sent out of the
 * interface by which the packet came, with the MAC addresses exchanged.
 */

#include "lib/csum.h"
#include "lib/cursor.h"

#define SLC_ICMP_LEN 8

/* Whether the frame came to one interface alone. What came by a link-layer broadcast or multicast
 * is not answered (RFC 1122 3.2.2), nor could it be: the answer would name the group as its sender.
 */
SLC_INLINE int slc_by_unicast(struct xdp_md *ctx)
{
    struct slc_cursor cur = slc_cursor_start(ctx);
    struct ethhdr *eth = slc_take(&cur, sizeof *eth);

    return eth && !(eth->h_dest[0] & 1);
}

SLC_INLINE void slc_swap_macs(struct ethhdr *eth)
{
    __u8 mac[ETH_ALEN];

    __builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
    __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
    __builtin_memcpy(eth->h_source, mac, ETH_ALEN);
}

/* Where the frame starts in an answer that quotes the packet: Ethernet, tags, new IP header, ICMP
 * header, quote. */
SLC_INLINE int slc_make_room(struct xdp_md *ctx, const struct slc_pkt *pkt, __u32 header_len,
                             __u32 quote_len)
{
    __u8 link[22];
    struct slc_cursor cur = slc_cursor_start(ctx);
    void *from = slc_take(&cur, sizeof link);
    void *to;

    if (!from)
        return -1;
    __builtin_memcpy(link, from, sizeof link);
    if (bpf_xdp_adjust_tail(ctx, (int)(pkt->l3_off + quote_len) - (int)pkt->frame_len))
        return -1;
    if (bpf_xdp_adjust_head(ctx, -(int)header_len))
        return -1;
    cur = slc_cursor_start(ctx);
    to = slc_take(&cur, sizeof link);
    if (!to)
        return -1;
    __builtin_memcpy(to, link, sizeof link);
    slc_swap_macs(to);
    return 0;
}

/* The header of an answer to `pkt` with `len` bytes behind it; `frag` are the bits of its fragment
 * field, host byte order. */
SLC_INLINE void slc_answer_ip4(struct slc_ip4 *ip, const struct slc_pkt *pkt, __u8 proto, __u32 len,
                               __u16 frag)
{
    __builtin_memset(ip, 0, sizeof *ip);
    ip->version_ihl = 0x45;
    ip->len_be = bpf_htons(sizeof *ip + len);
    ip->frag_be = bpf_htons(frag);
    ip->ttl = 64;
    ip->proto = proto;
    ip->src_be = pkt->dst[3];
    ip->dst_be = pkt->src[3];
    ip->csum = ~slc_csum_fold((__u64)bpf_htons(0x4500) + ip->len_be + ip->frag_be +
                              bpf_htons(64 << 8 | proto) + slc_csum_word32(ip->src_be) +
                              slc_csum_word32(ip->dst_be));
}

SLC_INLINE void slc_answer_ip6(struct slc_ip6 *ip, const struct slc_pkt *pkt, __u8 proto, __u32 len)
{
    ip->version_class_flow_be = bpf_htonl(6u << 28);
    ip->payload_len_be = bpf_htons(len);
    ip->next = proto;
    ip->hop_limit = 64;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        ip->src_be[i] = pkt->dst[i];
        ip->dst_be[i] = pkt->src[i];
    }
}

/* The sum of the pseudo header over `len` bytes of `proto`, the same in both directions. */
SLC_INLINE __u64 slc_pseudo_sum(const struct slc_pkt *pkt, __u8 proto, __u32 len)
{
    __u64 sum = (__u64)bpf_htons(proto) + bpf_htons(len);

    if (!pkt->is_ip6)
        return sum + slc_csum_word32(pkt->src[3]) + slc_csum_word32(pkt->dst[3]);
#pragma unroll
    for (int i = 0; i < 4; i++) sum += slc_csum_word32(pkt->src[i]) + slc_csum_word32(pkt->dst[i]);
    return sum;
}
