/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Every map of the balancer. The sizes written here are the least; the loader sets them from the
 * configuration before the object is loaded.
 *
 * generation  written whole before the swap, owned by one generation
 * live        written by user space while packets read (aligned words, see types.h)
 * state       survives generations; pinned beside them and reused
 */

#include "lib/packet.h"

#define SLC_MAP(name, map_type, key_type, value_type, flags) \
    struct {                                                 \
        __uint(type, map_type);                              \
        __uint(max_entries, 1);                              \
        __uint(map_flags, flags);                            \
        __type(key, key_type);                               \
        __type(value, value_type);                           \
    } name SEC(".maps")

/*
 * A table: an array map whose one value holds all records, so that a record's address is one
 * addition. A look-up with the record's number as the map's key would send that number through the
 * stack, some five cycles each time, and a packet's way is a chain of seven look-ups. Its accessor
 * `name_at(index)` is NULL beyond the last record, which only an inconsistent table can ask for.
 */
#define SLC_TABLE(name, element)                         \
    struct {                                             \
        __uint(type, BPF_MAP_TYPE_ARRAY);                \
        __uint(max_entries, 1);                          \
        __uint(map_flags, BPF_F_MMAPABLE);               \
        __type(key, __u32);                              \
        __uint(value_size, sizeof(element));             \
    } slc_##name SEC(".maps");                           \
    SLC_INLINE element *slc_##name##_at(__u32 index)     \
    {                                                    \
        __u32 zero = 0;                                  \
        element *first;                                  \
                                                         \
        first = bpf_map_lookup_elem(&slc_##name, &zero); \
        if (!first || index >= slc_node.name)            \
            return NULL;                                 \
        return first + index;                            \
    }

/* generation */
SLC_TABLE(vips, struct slc_vip)
SLC_TABLE(ports, struct slc_port_bucket)
SLC_TABLE(services, struct slc_service)
SLC_MAP(slc_prefixes4, BPF_MAP_TYPE_LPM_TRIE, struct slc_lpm4, __u32, BPF_F_NO_PREALLOC);
SLC_MAP(slc_prefixes6, BPF_MAP_TYPE_LPM_TRIE, struct slc_lpm6, __u32, BPF_F_NO_PREALLOC);
SLC_MAP(slc_port_ranges, BPF_MAP_TYPE_ARRAY, __u32, struct slc_ranges, BPF_F_MMAPABLE);
SLC_MAP(slc_peers4, BPF_MAP_TYPE_LPM_TRIE, struct slc_lpm4, __u32, BPF_F_NO_PREALLOC);
SLC_MAP(slc_peers6, BPF_MAP_TYPE_LPM_TRIE, struct slc_lpm6, __u32, BPF_F_NO_PREALLOC);

/* live */
SLC_TABLE(rings, __u64)
SLC_TABLE(slots, __u64)
SLC_TABLE(members, struct slc_member)
SLC_TABLE(templates, struct slc_template)

/* state */
SLC_MAP(slc_frags, BPF_MAP_TYPE_ARRAY, __u32, struct slc_frag_bucket, BPF_F_MMAPABLE);
SLC_MAP(slc_limiters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_limiter, 0);
SLC_MAP(slc_reason_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_service_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_service_counter, 0);
SLC_MAP(slc_member_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_customer_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_policy_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_mitigation_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);

/* The packet, handed from a stage to the one it tail-calls. */
SLC_MAP(slc_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_pkt, 0);

/* Stages that are too rare or too heavy for the steady path. The loader fills the array with those
 * that the configuration needs. */
enum slc_tail {
    SLC_TAIL_ICMP = 0,
    SLC_TAIL_FRAG = 1,
    SLC_TAIL_EXT = 2,
    SLC_TAIL_TOO_BIG = 3,
    SLC_TAIL_DECAP = 4,
    SLC_TAIL_COUNT,
};

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, SLC_TAIL_COUNT);
    __type(key, __u32);
    __type(value, __u32);
} slc_stages SEC(".maps");

/* Slot 0: the operator's own program, which receives what Sluice leaves to Linux. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} slc_next SEC(".maps");
