/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Who sends most (struct slc_talker): a sketch in the manner of Misra and Gries (Finding repeated
 * elements, 1982), in buckets of four, so that a sample costs one cache line or three, however many
 * senders there are. Only regular samples come here: nothing is paid for a packet that is none.
 */

#include "lib/maps.h"

/* The source of the packet that a sample holds; 0 where it holds none. */
SLC_INLINE int slc_talker_source(const struct slc_sample *sample, __u32 *addr_be)
{
    const struct slc_ip4 *ip4 = (const void *)sample->data;
    const struct slc_ip6 *ip6 = (const void *)sample->data;

    if (sample->proto_be == SLC_ETH_IP4 && sample->cap_len >= sizeof *ip4) {
        addr_be[0] = addr_be[1] = addr_be[2] = 0;
        addr_be[3] = ip4->src_be;
        return 1;
    }
    if (sample->proto_be == SLC_ETH_IP6 && sample->cap_len >= sizeof *ip6) {
        __builtin_memcpy(addr_be, ip6->src_be, sizeof ip6->src_be);
        return 1;
    }
    return 0;
}

SLC_INLINE int slc_talker_is(const struct slc_talker *talker, const __u32 *addr_be, __u32 service)
{
    return talker->service == service && talker->addr_be[3] == addr_be[3] &&
           talker->addr_be[2] == addr_be[2] && talker->addr_be[1] == addr_be[1] &&
           talker->addr_be[0] == addr_be[0];
}

/* Its way, or that of the weakest: `*is_known` says which. */
SLC_INLINE struct slc_talker *slc_talker_find(struct slc_talker_bucket *bucket,
                                              const __u32 *addr_be, __u32 service, int *is_known)
{
    struct slc_talker *weakest = &bucket->way[0];

    *is_known = 1;
#pragma unroll
    for (int i = 0; i < SLC_TALKER_WAYS; i++) {
        if (slc_talker_is(&bucket->way[i], addr_be, service))
            return &bucket->way[i];
        if (bucket->way[i].rank < weakest->rank)
            weakest = &bucket->way[i];
    }
    *is_known = 0;
    return weakest;
}

SLC_INLINE void slc_talker_heard(const struct slc_sample *sample)
{
    __u32 addr_be[4];
    __u32 service = sample->rec.service;
    struct slc_talker_bucket *bucket;
    struct slc_talker *talker;
    __u64 state;
    __u32 index;
    int is_known;

    if (!slc_talker_source(sample, addr_be))
        return;
    state = slc_mix(slc_node.ring_key[0], ((__u64)addr_be[0] << 32) | addr_be[1]);
    state = slc_mix(state ^ service, ((__u64)addr_be[2] << 32) | addr_be[3]);
    index = slc_finish(state, slc_node.ring_key[1]) & (SLC_TALKER_BUCKETS - 1);
    bucket = bpf_map_lookup_elem(&slc_talkers, &index);
    if (!bucket)
        return;
    talker = slc_talker_find(bucket, addr_be, service, &is_known);
    if (!is_known) {
        if (talker->rank) {
            talker->rank--;
            return;
        }
        __builtin_memset(talker, 0, sizeof *talker);
        __builtin_memcpy(talker->addr_be, addr_be, sizeof addr_be);
        talker->service = service;
    }
    if (talker->rank < SLC_TALKER_MAX_RANK)
        talker->rank++;
    talker->packets += 1ull << slc_node.sample_log2;
    talker->bytes += (__u64)sample->rec.len << slc_node.sample_log2;
    if (sample->rec.verdict == SLC_VERDICT_DROP)
        talker->dropped_packets += 1ull << slc_node.sample_log2;
}
