/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The part of stage pick that reads what a packet says itself: QUIC connection ids and TCP server
 * ids, for services that ask for it. Servers write their id into what their clients send back, so
 * that packets find them whatever has become of addresses, rings and tables.
 *
 * Reads    pkt: l4_off, proto, tcp_flags, looks_only; the service's record; the bytes behind the
 *          transport header; slc_server_ids.
 * Leaves   rec.member and picked, when the id names a live member of the service's group: one in
 *          drain too. Else slc_flow_counter.ids_unknown, when a server should have chosen the id.
 * Reasons  FORWARDED_CONNECTION_ID, FORWARDED_SERVER_ID (in picked).
 *
 * TCP. An option of kind 0xB7, length 6 and 32 bits in network byte order, as Katran has it,
 * anywhere among the options of everything but a SYN, whose sender knows no server yet. The first
 * malformed option ends the search. What carries no such option goes by the ring and is no unknown
 * id. A connection whose packets carry the option now and then only is not safe across a change:
 * what is routed by id renews nothing in the flow table.
 *
 * QUIC (RFC 8999 5). The destination connection id: behind its length in long headers, behind the
 * first byte in short ones, whose length only the server knows.
 *   QUIC-LB  draft-ietf-quic-load-balancers-21, without a key: three bits of configuration
 *            rotation, five that are the server's, the server id. Rotation 7 is unroutable.
 *   Katran   at least 8 bytes; the first two bits are the version: 1 has 16 bits of id behind them,
 *            2 has 24 and 3 has 32 bits from the second byte on. Katran's own code takes ids from
 *            2^31 on for none; here all 32 bits count.
 *
 * Ids of a client's choice. The destination of the first Initial and of 0-RTT packets is random.
 * Katran never looks at these two types, and neither do we in its format: with short ids a random
 * one would often name somebody. The draft routes whatever is routable, Initial or not: the client
 * sends the same id until a server has answered, and its second Initial carries one that the server
 * chose. So there a backend that such a packet names gets it; but one that names none is not
 * counted as an unknown id: there is one with each new connection, and they would hide the ids that
 * a configuration lacks.
 *
 * A fragment's bytes are those of the first one, which frag remembers for the others. In frames of
 * several buffers the first holds all that is read here (slc_frame_len).
 */

#include "lib/cursor.h"
#include "lib/proof.h"

#define SLC_TCP_OPTION_END 0
#define SLC_TCP_OPTION_NOP 1
#define SLC_TCP_OPTION_SERVER_ID 0xb7
#define SLC_TCP_OPTION_SERVER_ID_LEN 6

#define SLC_QUIC_LONG 0x80
#define SLC_QUIC_VERSION_2 bpf_htonl(0x6b3343cf) /* RFC 9369 */
#define SLC_QUIC_0RTT 1                          /* Initial is 0 */
#define SLC_KATRAN_ID_LEN 8                      /* least bytes of a connection id */

/* First byte, version, length of the destination connection id. */
struct slc_quic_long {
    __u8 first;
    __u8 version_be[4];
    __u8 dcid_len;
};

/* What a packet says. */
struct slc_claim {
    struct slc_server_id id;
    __u8 is_read;      /* `id` is filled */
    __u8 is_by_server; /* a server should have chosen it */
};

/* Whether packets of this protocol to this service may carry an id. */
SLC_INLINE int slc_routes_by_id(const struct slc_pkt *pkt, const struct slc_service *service)
{
    if (SLC_LIKELY(!(pkt->features & (SLC_FEATURE_TCP_SERVER_ID | SLC_FEATURE_CONNECTION_ID))))
        return 0;
    if (pkt->proto == IPPROTO_TCP)
        return SLC_HAS(TCP_SERVER_ID) && service->id_format == SLC_ID_TCP_OPTION;
    return SLC_HAS(CONNECTION_ID) && service->id_format >= SLC_ID_QUIC_LB;
}

SLC_INLINE void slc_claim_number(struct slc_claim *claim, __u32 number)
{
    claim->id.len = 4;
    claim->id.id[0] = number >> 24;
    claim->id.id[1] = number >> 16;
    claim->id.id[2] = number >> 8;
    claim->id.id[3] = number;
    claim->is_read = 1;
}

/* The header at `cur`; `len` bytes of the packet from there on. As long as a search can go on there
 * is room for the option that it is for: one comparison a step is enough. */
SLC_INLINE void slc_read_tcp_option(struct slc_cursor *cur, __u32 len, struct slc_claim *claim)
{
    struct slc_tcp *tcp = slc_take(cur, sizeof *tcp);
    __u32 at = 0;

    if (!tcp)
        return;
    if (len > (__u32)(tcp->offset >> 4) * 4)
        len = (tcp->offset >> 4) * 4;
#pragma clang loop unroll(disable)
    for (int i = 0; i <= SLC_TCP_OPTIONS_LEN - SLC_TCP_OPTION_SERVER_ID_LEN; i++) {
        struct slc_cursor options = *cur;
        __u8 *option;
        __u32 step;

        if (at + sizeof *tcp + SLC_TCP_OPTION_SERVER_ID_LEN > len)
            return;
        at &= 63;
        SLC_BARRIER(at);
        options.pos += at & 63;
        option = slc_take(&options, SLC_TCP_OPTION_SERVER_ID_LEN);
        if (!option || option[0] == SLC_TCP_OPTION_END)
            return;
        if (option[0] == SLC_TCP_OPTION_SERVER_ID) {
            claim->is_by_server = 1;
            if (option[1] == SLC_TCP_OPTION_SERVER_ID_LEN)
                slc_claim_number(
                    claim, (__u32)option[2] << 24 | option[3] << 16 | option[4] << 8 | option[5]);
            return;
        }
        step = option[0] == SLC_TCP_OPTION_NOP ? 1 : option[1];
        if (!step || (step == 1 && option[0] != SLC_TCP_OPTION_NOP))
            return;
        at += step;
    }
}

/* The first `len` bytes at `cur` are a connection id. */
SLC_INLINE void slc_read_quic_lb(struct slc_cursor *cur, __u32 len,
                                 const struct slc_service *service, struct slc_claim *claim)
{
    __u8 *byte = slc_take(cur, 1);
    __u32 id_len = service->id_len;

    if (!byte || len <= id_len || *byte >> 5 != service->id_rotation)
        return;
#pragma unroll
    for (__u32 i = 0; i < sizeof claim->id.id; i++) {
        if (i >= id_len)
            continue;
        byte = slc_take(cur, 1);
        if (!byte)
            return;
        claim->id.id[i] = *byte;
    }
    claim->id.len = id_len;
    claim->is_read = 1;
}

SLC_INLINE void slc_read_katran(struct slc_cursor *cur, __u32 len, struct slc_claim *claim)
{
    __u8 *id = slc_take(cur, SLC_KATRAN_ID_LEN);

    if (!id || len < SLC_KATRAN_ID_LEN)
        return;
    switch (id[0] >> 6) {
        case 1:
            slc_claim_number(claim, (id[0] & 0x3f) << 10 | id[1] << 2 | id[2] >> 6);
            break;
        case 2:
            slc_claim_number(claim, id[1] << 16 | id[2] << 8 | id[3]);
            break;
        case 3:
            slc_claim_number(claim, (__u32)id[1] << 24 | id[2] << 16 | id[3] << 8 | id[4]);
            break;
        default:
            break;
    }
}

/* Initial or 0-RTT. Versions number their types as version 1 does, but for version 2. */
SLC_INLINE int slc_is_by_client(const struct slc_quic_long *hdr)
{
    __u32 version = *(__u32 *)hdr->version_be;
    __u32 type = hdr->first >> 4;

    if (version == SLC_QUIC_VERSION_2)
        type--;
    return (type & 3) <= SLC_QUIC_0RTT;
}

/* The UDP header at `cur`; `len` bytes of the packet from there on. */
SLC_INLINE void slc_read_connection_id(struct slc_cursor *cur, __u32 len,
                                       const struct slc_service *service, struct slc_claim *claim)
{
    struct slc_udp *udp = slc_take(cur, sizeof *udp);
    struct slc_cursor payload = *cur;
    __u8 *first = slc_take(cur, 1);
    struct slc_quic_long *hdr;

    if (!udp || !first)
        return;
    if (len > bpf_ntohs(udp->len_be))
        len = bpf_ntohs(udp->len_be);
    if (len <= sizeof *udp)
        return;
    len -= sizeof *udp;
    if (*first & SLC_QUIC_LONG) {
        *cur = payload;
        hdr = slc_take(cur, sizeof *hdr);
        if (!hdr || len < sizeof *hdr)
            return;
        len -= sizeof *hdr;
        if (len > hdr->dcid_len)
            len = hdr->dcid_len;
        claim->is_by_server = !slc_is_by_client(hdr);
        if (!claim->is_by_server && service->id_format == SLC_ID_KATRAN)
            return;
    } else {
        len--;
        claim->is_by_server = 1;
    }
    if (service->id_format == SLC_ID_KATRAN)
        slc_read_katran(cur, len, claim);
    else
        slc_read_quic_lb(cur, len, service, claim);
}

/* What slc_named_member is asked, in one word. */
#define SLC_ID_QUERY(l4_off, l4_len, service) \
    ((__u64)(l4_off) | (__u64)(l4_len) << 16 | (__u64)(service) << 32)

/*
 * The live member that the packet names, or 0. A function of its own, asked by registers alone, for
 * the reason that slc_follow_flow has (flow.h).
 */
static __noinline __u32 slc_named_member(struct xdp_md *ctx, void *live,
                                         const struct slc_service *service, __u64 query)
{
    const struct slc_pkt at = {.live = live, .features = slc_node.features};
    const struct slc_pkt *pkt = &at;
    struct slc_cursor cur = slc_cursor_at(ctx, query & 0xffff, 4096);
    struct slc_claim claim = {.id = {.group = service->group}};
    struct slc_flow_counter *counter;
    __u32 len = query >> 16 & 0xffff;
    __u32 index = query >> 32;
    __u32 *named = NULL;

    if (SLC_HAS(TCP_SERVER_ID) && service->id_format == SLC_ID_TCP_OPTION)
        slc_read_tcp_option(&cur, len, &claim);
    else if (SLC_HAS(CONNECTION_ID))
        slc_read_connection_id(&cur, len, service, &claim);
    if (claim.is_read)
        named = bpf_map_lookup_elem(&slc_server_ids, &claim.id);
    slc_tell_id(pkt, &claim.id, claim.is_read, claim.is_by_server, named);
    if (named) {
        const struct slc_member *member = slc_members_at(pkt, *named);

        if (member && *(volatile __u32 *)&member->group == service->group &&
            !(*(volatile __u32 *)&member->flags & SLC_MEMBER_DOWN))
            return *named;
    }
    if (!claim.is_by_server)
        return 0;
    counter = bpf_map_lookup_elem(&slc_flow_counters, &index);
    if (counter)
        counter->ids_unknown++;
    return 0;
}

/* Non-zero with rec.member and picked set, when the packet names a live member. */
SLC_INLINE int slc_pick_by_id(struct xdp_md *ctx, struct slc_pkt *pkt,
                              const struct slc_service *service)
{
    __u8 is_tcp = pkt->proto == IPPROTO_TCP;
    __u32 member;

    if (pkt->looks_only || (is_tcp && (pkt->tcp_flags & SLC_TCP_SYN)))
        return 0;
    member = slc_named_member(
        ctx, pkt->live, service,
        SLC_ID_QUERY(pkt->l4_off, pkt->ip_len + pkt->l3_off - pkt->l4_off, pkt->rec.service));
    if (!member)
        return 0;
    pkt->rec.member = member;
    pkt->picked = is_tcp ? SLC_REASON_FORWARDED_SERVER_ID : SLC_REASON_FORWARDED_CONNECTION_ID;
    return 1;
}
