/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage service: destination address -> VIP; (VIP, protocol, port) -> service.
 *
 * Reads    pkt: dst, then proto and dport_be.
 * Leaves   pkt: vip_index, rec.customer, rec.policy, rec.service.
 * Goes to  the caller.
 * Reasons  none of its own: the caller says NOT_OURS, NO_SUCH_PORT or PORT_PASSED.
 *
 * The most specific VIP owns an address whole: an exact VIP hides the prefix around it on every
 * port. Within a VIP an exact port comes before a range, a range before any port. Every way costs
 * at most two cache lines of each table, whatever is asked for; only VIP prefixes cost a trie walk.
 */

#include "lib/maps.h"

SLC_INLINE int slc_vip_is(const struct slc_vip *vip, const __u32 *addr, __u8 is_ip6)
{
    __u32 kind = vip->flags & (SLC_VIP_USED | SLC_VIP_IP6);

    if (!is_ip6)
        return vip->addr_be[3] == addr[3] && kind == SLC_VIP_USED;
    return !((vip->addr_be[3] ^ addr[3]) | (vip->addr_be[2] ^ addr[2]) |
             (vip->addr_be[1] ^ addr[1]) | (vip->addr_be[0] ^ addr[0])) &&
           kind == (SLC_VIP_USED | SLC_VIP_IP6);
}

/* The record of the longest VIP prefix or protected prefix that holds the address. */
SLC_INLINE struct slc_vip *slc_vip_prefix(const struct slc_pkt *pkt, const __u32 *addr, __u8 is_ip6,
                                          __u32 *index)
{
    __u32 *found = NULL;

    if (!is_ip6 && SLC_HAS(PREFIX4)) {
        struct slc_lpm4 lpm = {.prefix_len = 32, .addr_be = addr[3]};

        found = bpf_map_lookup_elem(&slc_prefixes4, &lpm);
    }
    if (is_ip6 && SLC_HAS(PREFIX6)) {
        struct slc_lpm6 lpm = {.prefix_len = 128, .addr_be = {addr[0], addr[1], addr[2], addr[3]}};

        found = bpf_map_lookup_elem(&slc_prefixes6, &lpm);
    }
    if (!found)
        return NULL;
    *index = *found;
    return slc_vips_at(pkt, *index);
}

/* The VIP, protected prefix or tunnel endpoint that `addr` belongs to, or NULL. */
SLC_INLINE struct slc_vip *slc_find_vip(const struct slc_pkt *pkt, const __u32 *addr, __u8 is_ip6,
                                        __u32 *index)
{
    __u64 hash = is_ip6 ? slc_vip_hash(slc_node.table_key[0], slc_node.table_key[1], addr)
                        : slc_vip_hash4(slc_node.table_key[0], slc_node.table_key[1], addr[3]);
    struct slc_vip *vip;

    *index = slc_first_of(hash, slc_node.vip_mask);
    vip = slc_vips_at(pkt, *index);
    if (!vip)
        return NULL;
    if (slc_vip_is(vip, addr, is_ip6))
        return vip;
    if (SLC_UNLIKELY(vip->flags & SLC_VIP_MORE)) {
        *index = slc_second_of(hash, slc_node.vip_mask);
        vip = slc_vips_at(pkt, *index);
        if (vip && slc_vip_is(vip, addr, is_ip6))
            return vip;
    }
    return slc_vip_prefix(pkt, addr, is_ip6, index);
}

/* The service id in one bucket of the port table, or 0. */
SLC_INLINE __u32 slc_port_in(const struct slc_port_bucket *bucket, __u64 wanted)
{
#pragma unroll
    for (int i = 0; i < SLC_PORT_WAYS; i++) {
        __u64 entry = *(const __u64 *)&bucket->entry[i] & 0x00ffffffffffffffull;

        if (entry == wanted)
            return bucket->entry[i].service;
    }
    return 0;
}

SLC_INLINE __u32 slc_find_port(const struct slc_pkt *pkt, __u32 vip, __u8 proto, __u16 port_be)
{
    __u64 hash = slc_port_hash(slc_node.table_key[0], slc_node.table_key[1], vip, proto, port_be);
    __u64 wanted = (__u64)vip | (__u64)port_be << 32 | (__u64)proto << 48;
    __u32 index = slc_first_of(hash, slc_node.port_mask);
    struct slc_port_bucket *bucket = slc_ports_at(pkt, index);
    __u32 service;

    if (!bucket)
        return 0;
    service = slc_port_in(bucket, wanted);
    if (SLC_LIKELY(service) || !bucket->entry[0].more)
        return service;
    index = slc_second_of(hash, slc_node.port_mask);
    bucket = slc_ports_at(pkt, index);
    return bucket ? slc_port_in(bucket, wanted) : 0;
}

/* Bisection over SLC_MAX_RANGES_PER_VIP sorted ranges: six steps for every port. */
SLC_INLINE __u32 slc_find_range(__u32 ranges_index, __u16 port_be)
{
    struct slc_ranges *ranges = bpf_map_lookup_elem(&slc_port_ranges, &ranges_index);
    __u16 port = bpf_ntohs(port_be);
    __u32 at = 0;

    if (!ranges)
        return 0;
#pragma unroll
    for (__u32 step = SLC_MAX_RANGES_PER_VIP / 2; step; step /= 2) {
        __u32 probe = (at + step) & (SLC_MAX_RANGES_PER_VIP - 1);

        /* Unused places begin at 65535 and end at 0: port 65535 must not stray into them. */
        if (ranges->first[probe] <= port && ranges->last[probe])
            at = probe;
    }
    at &= SLC_MAX_RANGES_PER_VIP - 1;
    if (port < ranges->first[at] || port > ranges->last[at])
        return 0;
    return ranges->service[at];
}

SLC_INLINE __u32 slc_find_service(const struct slc_pkt *pkt, const struct slc_vip *vip, __u8 proto,
                                  __u16 port_be)
{
    __u32 service = slc_find_port(pkt, vip->vip, proto, port_be);
    __u8 is_tcp = proto == IPPROTO_TCP;

    if (SLC_LIKELY(service))
        return service;
    if (SLC_HAS(RANGES) && (vip->flags & SLC_VIP_RANGES)) {
        __u32 ranges = is_tcp ? vip->ranges_tcp : vip->ranges_udp;

        if (ranges)
            service = slc_find_range(ranges, port_be);
        if (service)
            return service;
    }
    if (SLC_HAS(ANY_PORT))
        return is_tcp ? vip->any_tcp : vip->any_udp;
    return 0;
}
