/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The flow table's part of stage pick: a packet of a marked slot, or of a service that is tracked
 * always. Steady traffic never comes here, and pays nothing for it: what decides is a function with
 * registers of its own.
 *
 * Reads    pkt: hash, tcp_flags, looks_only; the service's record, the slot, the flow table.
 * Leaves   rec.member, picked; an entry made, renewed or shortened; the slot's REFUSED flag.
 * Reasons  FORWARDED_REMEMBERED, FORWARDED_PREVIOUS.
 *
 * What is decided is in abi/sluice/flow_decide.h, where user space and the model find it too.
 */

#include "lib/proof.h"

/* SLC_FAMILY_OF a member that may be written meanwhile: each word is read once. */
SLC_INLINE __u32 slc_flow_family_of(const struct slc_member *record)
{
    __u32 family = *(volatile __u32 *)&record->family;

    return family ? family : *(volatile __u32 *)&record->group;
}

SLC_INLINE int slc_flow_member_fit(const struct slc_pkt *pkt, __u32 member, __u32 family)
{
    const struct slc_member *record = slc_members_at(pkt, member);

    if (!record || slc_flow_family_of(record) != family)
        return SLC_FLOW_FOREIGN;
    return *(volatile __u32 *)&record->flags & SLC_MEMBER_DOWN ? SLC_FLOW_DEAD : SLC_FLOW_FITS;
}

SLC_INLINE struct slc_account *slc_flow_account_of(const struct slc_pkt *pkt, __u32 member)
{
    const struct slc_member *record = slc_members_at(pkt, member);

    return record && record->group ? slc_accounts_at(pkt, record->group) : NULL;
}

#define SLC_FLOW_ENV const struct slc_pkt
#define SLC_FLOW_MEMBER(env, member, family) slc_flow_member_fit(env, member, family)
#define SLC_FLOW_ACCOUNT(env, member) slc_flow_account_of(env, member)
#include "sluice/flow_decide.h"

SLC_INLINE __u8 slc_flow_kind_of(const struct slc_pkt *pkt)
{
    if (pkt->looks_only)
        return SLC_FLOW_LOOK;
    if (pkt->proto == IPPROTO_UDP)
        return SLC_FLOW_UDP;
    if ((pkt->tcp_flags & (SLC_TCP_SYN | SLC_TCP_ACK)) == SLC_TCP_SYN)
        return SLC_FLOW_SYN;
    return pkt->tcp_flags & (SLC_TCP_FIN | SLC_TCP_RST) ? SLC_FLOW_END : SLC_FLOW_PACKET;
}

/* Both buckets, the accounts and the clock; 0 where a map is missing. */
SLC_INLINE int slc_flow_places_of(const struct slc_pkt *pkt, __u32 group, struct slc_flow_ask *ask,
                                  struct slc_flow_places *at)
{
    __u32 index = slc_flow_bucket_of(ask->hash, slc_node.flow_log2);
    __u64 now_ns;

    at->bucket = bpf_map_lookup_elem(&slc_flows, &index);
    if (!at->bucket)
        return 0;
    /* The bucket is on its way from memory while the rest is made ready. */
    *(volatile __u64 *)at->bucket->entry;
    now_ns = slc_clock_ns(pkt);
    ask->tick = now_ns >> slc_node.flow_shift;
    at->account = slc_accounts_at(pkt, group);
    at->pool = slc_accounts_at(pkt, 0);
    if (SLC_HAS(FLOWS_OLD)) {
        index = slc_flow_bucket_of(ask->hash, slc_node.flow_old_log2);
        at->old_tick = now_ns >> slc_node.flow_old_shift;
        at->old_coarser = slc_node.flow_old_shift - slc_node.flow_shift;
        at->old = bpf_map_lookup_elem(&slc_flows_old, &index);
    }
    return at->account && at->pool;
}

/* What slc_follow_flow is asked beside the hash, in one word: the slot's, and above its flags the
 * kind of the packet. Its answer: the member, and above it `how`, `insert` and `held`. */
#define SLC_FLOW_QUERY(slot, kind) (((slot) & ((1ull << 44) - 1)) | ((__u64)(kind) << 44))
#define SLC_FLOW_ANSWER(member, how, insert, held) \
    ((__u64)(member) | (__u64)(how) << 32 | (__u64)(insert) << 40 | (__u64)(held) << 48)
#define SLC_FLOW_ANSWER_HOW(answer) ((__u8)((answer) >> 32))
#define SLC_FLOW_ANSWER_INSERT(answer) ((__u8)((answer) >> 40))
#define SLC_FLOW_ANSWER_HELD(answer) ((__u8)((answer) >> 48))
#define SLC_FLOW_NO_ANSWER (~0ull) /* a map is missing */
_Static_assert(SLC_SLOT_HELD < 1ull << 44, "room for the kind");

/* A function with a frame of its own, because there are not registers enough. Not the packet, but
 * what is asked of it comes in registers: a structure whose address goes to another function lies
 * on the stack whole. */
static __noinline __u64 slc_follow_flow(void *live, const struct slc_service *service, __u64 hash,
                                        __u64 query)
{
    const struct slc_pkt pkt = {.live = live, .features = slc_node.features};
    struct slc_flow_places at = {};
    struct slc_flow_answer answer = {};
    struct slc_flow_ask ask = {
        .hash = hash,
        .slot = query & ((1ull << 44) - 1),
        .family = SLC_FAMILY_OF(*service),
        .kind = query >> 44,
        .shared = service->affinity != SLC_AFFINITY_FIVE_TUPLE,
        .always = service->flags & SLC_SERVICE_TRACK_ALWAYS,
    };

    __builtin_memcpy(ask.lifetime, service->lifetime, sizeof ask.lifetime);
    if (!slc_flow_places_of(&pkt, service->group, &ask, &at))
        return SLC_FLOW_NO_ANSWER;
    slc_flow_decide(&at, &ask, &pkt, &answer);
    return SLC_FLOW_ANSWER(answer.member, answer.how, answer.insert, answer.held);
}

SLC_INLINE void slc_flow_count(__u32 service, __u64 answer)
{
    struct slc_flow_counter *counter = bpf_map_lookup_elem(&slc_flow_counters, &service);
    __u8 insert = SLC_FLOW_ANSWER_INSERT(answer);

    if (!counter)
        return;
    if (SLC_FLOW_ANSWER_HOW(answer) == SLC_FLOW_BY_MEMORY)
        counter->hits++;
    else
        counter->misses++;
    counter->inserts += insert == SLC_FLOW_INSERTED;
    counter->refused_full += insert == SLC_FLOW_REFUSED_FULL;
    counter->refused_ceiling += insert == SLC_FLOW_REFUSED_CEILING;
    counter->held += SLC_FLOW_ANSWER_HELD(answer);
}

/* Of pkt->picked. */
SLC_INLINE __u16 slc_flow_reason(__u64 answer)
{
    if (SLC_FLOW_ANSWER_HOW(answer) == SLC_FLOW_BY_MEMORY)
        return SLC_REASON_FORWARDED_REMEMBERED;
    if (SLC_FLOW_ANSWER_HOW(answer) == SLC_FLOW_BY_PREVIOUS)
        return SLC_REASON_FORWARDED_PREVIOUS;
    return SLC_REASON_FORWARDED;
}

/* Not a reason: nobody takes the packet, and its service is one that answers then (reject.h). */
#define SLC_PICK_REJECT 0xfffe

/* What becomes of a packet that no backend takes; what only looks is never answered. */
SLC_INLINE __u16 slc_nobody(const struct slc_pkt *pkt, const struct slc_service *service)
{
    return SLC_HAS(REJECT) && (service->flags & SLC_SERVICE_REJECT) && !pkt->looks_only
               ? SLC_PICK_REJECT
               : SLC_REASON_NO_BACKEND;
}

/* Asks the table where the packet goes, for its slot `*word` that read as `slot`. 0 with rec.member
 * and, unless looks_only, picked set; SLC_PICK_REJECT, or the reason for a drop. */
SLC_INLINE __u16 slc_ask_flows(struct slc_pkt *pkt, const struct slc_service *service, __u64 *word,
                               __u64 slot)
{
    __u64 answer =
        slc_follow_flow(pkt->live, service, pkt->hash, SLC_FLOW_QUERY(slot, slc_flow_kind_of(pkt)));

    if (answer == SLC_FLOW_NO_ANSWER)
        return SLC_REASON_MAP_MISSED;
    if (SLC_FLOW_ANSWER_INSERT(answer) > SLC_FLOW_INSERTED && (slot & SLC_SLOT_OPEN) &&
        !(slot & SLC_SLOT_REFUSED))
        __sync_fetch_and_or(word, SLC_SLOT_REFUSED);
    slc_flow_count(pkt->rec.service, answer);
    slc_tell_flow(pkt, (__u32)answer, SLC_FLOW_ANSWER_HOW(answer), SLC_FLOW_ANSWER_INSERT(answer),
                  SLC_FLOW_ANSWER_HELD(answer));
    pkt->rec.member = (__u32)answer;
    if (!pkt->looks_only)
        pkt->picked = slc_flow_reason(answer);
    return pkt->rec.member ? 0 : slc_nobody(pkt, service);
}
