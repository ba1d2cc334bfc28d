/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage follow: a packet whose slot is marked, or whose service is tracked always, asks the flow
 * table where it goes. Tail-called by every stage that picks.
 *
 * Reads    pkt: hash, rec.service, and what flow reads; for an ICMP error, those of the flow that
 *          it speaks of, with looks_only set and picked what to count.
 * Leaves   rec.member, picked; what is remembered of the first of a packet's fragments.
 * Goes to  forward.
 * Reasons  NO_BACKEND, MAP_MISSED, and those of flow.
 */

#include "stage/flow.h"
#include "stage/forward.h"
#include "stage/frag.h"
#include "stage/pick.h"

SLC_INLINE int slc_stage_follow(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_service *service = slc_services_at(pkt, pkt->rec.service);
    __u8 stage = pkt->looks_only ? SLC_STAGE_ICMP : SLC_STAGE_PICK;
    __u16 fault = SLC_REASON_MAP_MISSED;
    __u64 *word = service ? slc_slot_word(pkt, service, &fault) : NULL;
    __u64 slot, answer;

    if (!word)
        return slc_drop(ctx, pkt, stage, fault);
    slot = *(volatile __u64 *)word;
    answer =
        slc_follow_flow(pkt->live, service, pkt->hash, SLC_FLOW_QUERY(slot, slc_flow_kind_of(pkt)));
    if (answer == SLC_FLOW_NO_ANSWER)
        return slc_drop(ctx, pkt, stage, SLC_REASON_MAP_MISSED);
    if (SLC_FLOW_ANSWER_INSERT(answer) > SLC_FLOW_INSERTED && (slot & SLC_SLOT_OPEN) &&
        !(slot & SLC_SLOT_REFUSED))
        __sync_fetch_and_or(word, SLC_SLOT_REFUSED);
    slc_flow_count(pkt->rec.service, answer);
    pkt->rec.member = (__u32)answer;
    if (!pkt->rec.member)
        return slc_drop(ctx, pkt, stage, SLC_REASON_NO_BACKEND);
    if (!pkt->looks_only)
        pkt->picked = slc_flow_reason(answer);
    if (pkt->frag_first)
        slc_frag_remember(pkt);
    return slc_forward(ctx, pkt, service, pkt->picked);
}
