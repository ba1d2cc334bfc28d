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
 * The tables that every packet asks. They lie one behind the other in the only value of two array
 * maps, so that a record's address is an addition and a comparison: a look-up for each, with the
 * record's number as its key, would cost a dozen instructions and send that number through the
 * stack, and a packet's way is a chain of seven of them.
 *
 *   slc_plan  vips, ports, services           generation
 *   slc_live  rings, slots, members, templates, accounts  live
 *
 * slc_open finds both once (the steady path the second when it needs it); `slc_<table>_at(pkt,
 * index)` is a record, or NULL beyond the last one, which only an inconsistent table can ask for.
 */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __uint(value_size, sizeof(__u64));
} slc_plan SEC(".maps"), slc_live SEC(".maps");

/*
 * The comparison is one instruction whose register is what the address is made of. Written in C,
 * clang multiplies before it compares ("R6 unbounded memory access", 6.18), or compares one copy
 * and uses another that it had spilled, whose bounds Linux 6.1 then does not know ("R4 unbounded
 * memory access").
 */
#define SLC_TABLE(name, map, element, offset)                                   \
    SLC_INLINE element *slc_##name##_at(const struct slc_pkt *pkt, __u32 index) \
    {                                                                           \
        __u64 place = index;                                                    \
        __u64 count = slc_node.name;                                            \
                                                                                \
        asm goto("if %[place] >= %[count] goto %l[beyond]"                      \
                 : [place] "+r"(place)                                          \
                 : [count] "r"(count)                                           \
                 :                                                              \
                 : beyond);                                                     \
        return (element *)(pkt->map + (offset)) + place;                        \
    beyond:                                                                     \
        return NULL;                                                            \
    }

SLC_TABLE(vips, plan, struct slc_vip, 0)
SLC_TABLE(ports, plan, struct slc_port_bucket, slc_node.ports_at)
SLC_TABLE(services, plan, struct slc_service, slc_node.services_at)
SLC_TABLE(rings, live, __u64, 0)
SLC_TABLE(slots, live, __u64, slc_node.slots_at)
SLC_TABLE(members, live, struct slc_member, slc_node.members_at)
SLC_TABLE(templates, live, struct slc_template, slc_node.templates_at)
SLC_TABLE(accounts, live, struct slc_account, slc_node.accounts_at)

/* Must be the first thing a program does with its packet. Nothing to answer: an array with one
 * entry has it. */
SLC_INLINE int slc_open_plan(struct slc_pkt *pkt)
{
    __u32 zero = 0;

    pkt->plan = bpf_map_lookup_elem(&slc_plan, &zero);
    pkt->features = slc_node.features;
    return !!pkt->plan;
}

/* What the packets that are not ours never ask. */
SLC_INLINE int slc_open_live(struct slc_pkt *pkt)
{
    __u32 zero = 0;

    pkt->live = bpf_map_lookup_elem(&slc_live, &zero);
    return !!pkt->live;
}

SLC_INLINE int slc_open(struct slc_pkt *pkt)
{
    return slc_open_plan(pkt) && slc_open_live(pkt);
}

/* generation */
SLC_MAP(slc_prefixes4, BPF_MAP_TYPE_LPM_TRIE, struct slc_lpm4, __u32, BPF_F_NO_PREALLOC);
SLC_MAP(slc_prefixes6, BPF_MAP_TYPE_LPM_TRIE, struct slc_lpm6, __u32, BPF_F_NO_PREALLOC);
SLC_MAP(slc_port_ranges, BPF_MAP_TYPE_ARRAY, __u32, struct slc_ranges, BPF_F_MMAPABLE);
SLC_MAP(slc_peers4, BPF_MAP_TYPE_LPM_TRIE, struct slc_lpm4, __u32, BPF_F_NO_PREALLOC);
SLC_MAP(slc_peers6, BPF_MAP_TYPE_LPM_TRIE, struct slc_lpm6, __u32, BPF_F_NO_PREALLOC);
SLC_MAP(slc_server_ids, BPF_MAP_TYPE_HASH, struct slc_server_id, __u32, 0);

/* state */
SLC_MAP(slc_flows, BPF_MAP_TYPE_ARRAY, __u32, struct slc_flow_bucket, BPF_F_MMAPABLE);
SLC_MAP(slc_flows_old, BPF_MAP_TYPE_ARRAY, __u32, struct slc_flow_bucket, BPF_F_MMAPABLE);
SLC_MAP(slc_flow_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_flow_counter, 0);
SLC_MAP(slc_frags, BPF_MAP_TYPE_ARRAY, __u32, struct slc_frag_bucket, BPF_F_MMAPABLE);
SLC_MAP(slc_limiters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_limiter, 0);
SLC_MAP(slc_reject_limiters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_limiter, 0);
SLC_MAP(slc_reason_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_service_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_service_counter, 0);
SLC_MAP(slc_member_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_customer_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_policy_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_mitigation_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_drop_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_counter, 0);
SLC_MAP(slc_drop_stamps, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 0);
SLC_MAP(slc_talkers, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_talker_bucket, 0);
SLC_MAP(slc_samples, BPF_MAP_TYPE_ARRAY, __u32, struct slc_sample, BPF_F_MMAPABLE);
SLC_MAP(slc_sample_counts, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 0);

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
    SLC_TAIL_FOLLOW = 5,
    SLC_TAIL_LB6 = 6,
    SLC_TAIL_REJECT = 7,
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
