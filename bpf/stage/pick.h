/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage pick: service -> the id that a packet carries, or ring slot -> member.
 *
 * Reads    pkt: addresses, ports, protocol; the service's record, ring and slot.
 * Leaves   pkt: hash, rec.member, rec.customer, rec.policy, picked.
 * Goes to  forward, to follow when the slot is marked, or to reject when nobody takes the packet.
 * Reasons  FORWARDED (in picked), NO_BACKEND, MAP_MISSED, and those of identity.
 *
 * In an unmarked slot nothing is written and nothing is kept for a flow: the same packet finds the
 * same slot on every node that has the same revision. Only a marked slot asks the flow table.
 */

#include "stage/flow.h"
#include "stage/identity.h"

SLC_INLINE __u64 slc_flow_hash(const struct slc_pkt *pkt, __u8 affinity)
{
    __u8 tuple = 1, ports = 1;

    if (SLC_HAS(AFFINITY_SOURCE) && affinity == SLC_AFFINITY_SOURCE)
        tuple = ports = 0;
    if (SLC_HAS(AFFINITY_SOURCE_PORT) && affinity == SLC_AFFINITY_SOURCE_PORT)
        tuple = 0;
    if (!pkt->is_ip6)
        return slc_flow_hash4(slc_node.ring_key[0], slc_node.ring_key[1], pkt->src[3],
                              tuple ? pkt->dst[3] : 0, ports ? pkt->sport_be : 0,
                              tuple ? pkt->dport_be : 0, tuple ? pkt->proto : 0);
    if (tuple)
        return slc_flow_hash6(slc_node.ring_key[0], slc_node.ring_key[1], pkt->src, pkt->dst,
                              pkt->sport_be, pkt->dport_be, pkt->proto);

    const __u32 none[4] = {};

    return slc_flow_hash6(slc_node.ring_key[0], slc_node.ring_key[1], pkt->src, none,
                          ports ? pkt->sport_be : 0, 0, 0);
}

SLC_INLINE void slc_take_owners(struct slc_pkt *pkt, __u32 customer, __u32 policy)
{
    if (!SLC_HAS(OWNERS))
        return;
    pkt->rec.customer = customer;
    pkt->rec.policy = policy;
}

SLC_INLINE int slc_is_tracked(const struct slc_service *service, __u64 slot)
{
    if (slot & SLC_SLOT_MARKED)
        return !(service->flags & SLC_SERVICE_TRACK_NEVER);
    return service->flags & SLC_SERVICE_TRACK_ALWAYS;
}

/* What a twin is asked beside the verdict. `word` is the slot, or NULL where none is read. */
SLC_INLINE void slc_tell_slot(const struct slc_pkt *pkt, __u32 ring, const __u64 *word)
{
    struct slc_proof *proof = slc_proof_of(pkt);

    if (!proof)
        return;
    proof->hash = pkt->hash;
    if (!word)
        return;
    proof->ring = ring;
    proof->slot = ((void *)word - pkt->live - slc_node.slots_at) / sizeof *word;
    proof->slot_word = *word;
}

/* The slot of pkt's hash, or NULL with *fault, as slc_pick returns it. */
SLC_INLINE __u64 *slc_slot_word(const struct slc_pkt *pkt, const struct slc_service *service,
                                __u16 *fault)
{
    __u64 *word = slc_rings_at(pkt, service->ring);
    __u64 ring;

    *fault = SLC_REASON_MAP_MISSED;
    if (!word)
        return NULL;
    ring = *(volatile __u64 *)word;
    if (!(ring & SLC_RING_VALID)) {
        *fault = slc_nobody(pkt, service);
        return NULL;
    }
    return slc_slots_at(pkt, SLC_RING_OFFSET(ring) + slc_slot_of(pkt->hash, SLC_RING_LOG2(ring)));
}

/* Not a reason: the packet's slot is marked, and stage follow decides. It always does where packets
 * may name their backend, and while a flow table is being left: all of it on one way is more than
 * the verifier has patience for. */
#define SLC_PICK_FOLLOW 0xffff

/* 0 with *service and rec.member set, SLC_PICK_FOLLOW unless the table may be asked `here`,
 * SLC_PICK_REJECT, or the reason for a drop. */
SLC_INLINE __u16 slc_pick(struct xdp_md *ctx, struct slc_pkt *pkt, struct slc_service **service,
                          int here)
{
    struct slc_service *found = slc_services_at(pkt, pkt->rec.service);
    __u16 fault;
    __u64 *word;
    __u64 slot;

    if (!found)
        return SLC_REASON_MAP_MISSED;
    *service = found;
    slc_take_owners(pkt, found->customer, found->policy);
    pkt->hash = slc_flow_hash(pkt, found->affinity);
    slc_tell_slot(pkt, 0, NULL);
    pkt->picked = SLC_REASON_FORWARDED;
    if (SLC_HAS(LOCAL) && found->forward == SLC_FORWARD_LOCAL)
        return 0;
    if (slc_routes_by_id(pkt, found) && slc_pick_by_id(ctx, pkt, found))
        return 0;
    word = slc_slot_word(pkt, found, &fault);
    if (!word)
        return fault;
    slc_tell_slot(pkt, found->ring, word);
    slot = *(volatile __u64 *)word;
    if (SLC_HAS(TRACKING) && SLC_UNLIKELY(slc_is_tracked(found, slot)))
        return here && !SLC_HAS(FLOWS_OLD) && !SLC_HAS(CONNECTION_ID) && !SLC_HAS(TCP_SERVER_ID)
                   ? slc_ask_flows(pkt, found, word, slot)
                   : SLC_PICK_FOLLOW;
    pkt->rec.member = SLC_SLOT_CURRENT(slot);
    return pkt->rec.member ? 0 : slc_nobody(pkt, found);
}
