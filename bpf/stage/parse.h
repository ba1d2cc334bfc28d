/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage parse: Ethernet, VLAN and QinQ, IPv4 and IPv6, TCP and UDP.
 *
 * Reads    the frame.
 * Leaves   pkt: offsets, addresses, lengths, protocol, ports, fragment fields.
 * Goes to  the caller. Nothing here leaves the program: a function returns 0, or the reason why the
 *          packet is faulty.
 *
 * The order matters: link and addresses are read first, so that what is not for a VIP goes to Linux
 * after one table look-up and before anything is judged (slc_check_*). Whether a packet that is not
 * ours is well formed is none of our business.
 */

#include "lib/cursor.h"

/* Ethernet and up to two VLAN tags; leaves l3_off. *proto_be is the Ethernet type below the tags.
 */
SLC_INLINE __u16 slc_parse_link(struct slc_cursor *cur, struct slc_pkt *pkt, __u16 *proto_be)
{
    struct ethhdr *eth = slc_take(cur, sizeof *eth);
    __u16 proto;

    if (!eth)
        return SLC_REASON_HDR_TRUNCATED;
    proto = *(__u16 *)((void *)eth + 12);
    pkt->l3_off = sizeof *eth;
#pragma unroll
    for (int i = 0; i < SLC_MAX_VLANS; i++) {
        __u16 *tag;

        if (proto != SLC_ETH_8021Q && proto != SLC_ETH_8021AD)
            break;
        tag = slc_take(cur, 4);
        if (!tag)
            return SLC_REASON_HDR_TRUNCATED;
        proto = tag[1];
        pkt->l3_off += 4;
    }
    *proto_be = proto;
    if (proto == SLC_ETH_8021Q || proto == SLC_ETH_8021AD)
        return SLC_REASON_VLAN_DEPTH;
    return 0;
}

SLC_INLINE __u8 slc_famproto4(__u8 proto)
{
    return proto == IPPROTO_TCP    ? SLC_FAMPROTO_IP4_TCP
           : proto == IPPROTO_UDP  ? SLC_FAMPROTO_IP4_UDP
           : proto == IPPROTO_ICMP ? SLC_FAMPROTO_IP4_ICMP
                                   : SLC_FAMPROTO_IP4_OTHER;
}

SLC_INLINE __u8 slc_famproto6(__u8 proto)
{
    return proto == IPPROTO_TCP      ? SLC_FAMPROTO_IP6_TCP
           : proto == IPPROTO_UDP    ? SLC_FAMPROTO_IP6_UDP
           : proto == IPPROTO_ICMPV6 ? SLC_FAMPROTO_IP6_ICMP
                                     : SLC_FAMPROTO_IP6_OTHER;
}

SLC_INLINE void slc_read_ip4(const struct slc_ip4 *ip, struct slc_pkt *pkt)
{
    pkt->is_ip6 = 0;
    pkt->src[3] = ip->src_be;
    pkt->dst[3] = ip->dst_be;
    pkt->proto = ip->proto;
    pkt->tos = ip->tos;
    pkt->ip_len = bpf_ntohs(ip->len_be);
    pkt->l4_off = pkt->l3_off + (ip->version_ihl & 0xf) * 4;
    pkt->whole = !(ip->frag_be & bpf_htons(SLC_IP4_MF | SLC_IP4_OFFSET));
    pkt->rec.famproto = slc_famproto4(ip->proto);
}

SLC_INLINE void slc_read_ip6(const struct slc_ip6 *ip, struct slc_pkt *pkt)
{
    pkt->is_ip6 = 1;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        pkt->src[i] = ip->src_be[i];
        pkt->dst[i] = ip->dst_be[i];
    }
    pkt->proto = ip->next;
    pkt->tos = bpf_ntohl(ip->version_class_flow_be) >> 20;
    pkt->ip_len = bpf_ntohs(ip->payload_len_be) + sizeof *ip;
    pkt->l4_off = pkt->l3_off + sizeof *ip;
    pkt->whole = 1;
    pkt->rec.famproto = slc_famproto6(ip->next);
}

/* Whether the IPv4 header is sound. */
SLC_INLINE __u16 slc_check_ip4(const struct slc_pkt *pkt)
{
    __u32 ihl = (__u32)pkt->l4_off - pkt->l3_off;
    __u8 first = pkt->src[3] & 0xff;

    if (ihl < sizeof(struct slc_ip4) || ihl > pkt->ip_len)
        return SLC_REASON_IP_HEADER_LEN;
    if (pkt->ip_len + pkt->l3_off > pkt->frame_len)
        return SLC_REASON_IP_TOTAL_LEN;
    if (first == 0 || first == 127 || first >= 224)
        return SLC_REASON_IP_SOURCE_INVALID;
    if (pkt->src[3] == pkt->dst[3])
        return SLC_REASON_LAND;
    return 0;
}

SLC_INLINE __u16 slc_check_ip6(const struct slc_pkt *pkt)
{
    __u32 high = pkt->src[0] | pkt->src[1] | pkt->src[2];

    if (pkt->ip_len + pkt->l3_off > pkt->frame_len)
        return SLC_REASON_IP_TOTAL_LEN;
    if ((pkt->src[0] & 0xff) == 0xff)
        return SLC_REASON_IP_SOURCE_INVALID;
    if (!high && (!pkt->src[3] || pkt->src[3] == bpf_htonl(1)))
        return SLC_REASON_IP_SOURCE_INVALID;
    if (!((pkt->src[0] ^ pkt->dst[0]) | (pkt->src[1] ^ pkt->dst[1]) | (pkt->src[2] ^ pkt->dst[2]) |
          (pkt->src[3] ^ pkt->dst[3])))
        return SLC_REASON_LAND;
    return 0;
}

/*
 * Which of the 64 combinations of URG ACK PSH RST SYN FIN no TCP sends (bit set: invalid): neither
 * SYN, ACK nor RST (null, FIN alone, xmas); SYN with FIN or RST; FIN with RST (RFC 9293 3.10.7).
 */
SLC_INLINE __u64 slc_invalid_flags(void)
{
    __u64 invalid = 0;

#pragma unroll
    for (__u32 flags = 0; flags < 64; flags++) {
        __u32 fin = flags & 1, syn = flags & 2, rst = flags & 4, ack = flags & 16;

        if ((!syn && !ack && !rst) || (syn && (fin || rst)) || (fin && rst))
            invalid |= 1ull << flags;
    }
    return invalid;
}

/* Bytes from the transport header to the end of the packet, as the IP header says. */
SLC_INLINE __u32 slc_l4_len(const struct slc_pkt *pkt)
{
    return pkt->ip_len + pkt->l3_off - pkt->l4_off;
}

/*
 * TCP or UDP: ports, lengths, flags. `part` is set for the first fragment of a packet, whose
 * lengths speak of the whole. Truncation is FRAG_TINY there.
 */
SLC_INLINE __u16 slc_parse_transport(struct slc_cursor *cur, struct slc_pkt *pkt, __u8 part)
{
    __u32 len = slc_l4_len(pkt);
    __u16 short_reason = part ? SLC_REASON_FRAG_TINY : SLC_REASON_HDR_TRUNCATED;

    if (pkt->proto == IPPROTO_TCP) {
        struct slc_tcp *tcp = slc_take(cur, sizeof *tcp);
        __u32 header_len;

        if (!tcp || len < sizeof *tcp)
            return short_reason;
        header_len = (tcp->offset >> 4) * 4;
        if (header_len < sizeof *tcp || (!part && header_len > len))
            return SLC_REASON_TCP_HEADER_LEN;
        if ((slc_invalid_flags() >> (tcp->flags & 0x3f)) & 1)
            return SLC_REASON_TCP_FLAGS_INVALID;
        pkt->tcp_flags = tcp->flags;
        pkt->sport_be = tcp->sport_be;
        pkt->dport_be = tcp->dport_be;
    } else {
        struct slc_udp *udp = slc_take(cur, sizeof *udp);
        __u32 udp_len;

        if (!udp || len < sizeof *udp)
            return short_reason;
        udp_len = bpf_ntohs(udp->len_be);
        if (udp_len < sizeof *udp || (!part && udp_len > len))
            return SLC_REASON_UDP_LEN;
        /* Nothing covers what lies behind the datagram in its packet. */
        if (!udp->csum || udp_len != len)
            pkt->whole = 0;
        pkt->sport_be = udp->sport_be;
        pkt->dport_be = udp->dport_be;
    }
    return 0;
}
