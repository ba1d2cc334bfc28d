/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage follow: a packet whose slot is marked, or whose service is tracked always, asks the flow
 * table where it goes. Tail-called by the rarer stages that pick, whose stack has no room for the
 * question; the steady path asks at once.
 *
 * Reads    pkt: hash, rec.service, and what flow reads; for an ICMP error, those of the flow that
 *          it speaks of, with looks_only set and picked what to count.
 * Leaves   rec.member, picked; what is remembered of the first of a packet's fragments.
 * Goes to  forward, or reject.
 * Reasons  NO_BACKEND, MAP_MISSED, and those of flow.
 */

#include "stage/flow.h"
#include "stage/forward.h"
#include "stage/frag.h"
#include "stage/pick.h"

/* The tag is made of what was handed on, because the stack of this stage is full. */
SLC_INLINE void slc_follow_remember(const struct slc_pkt *pkt)
{
    __u32 zero = 0;
    const struct slc_pkt *handed = bpf_map_lookup_elem(&slc_scratch, &zero);

    if (handed)
        slc_frag_remember(pkt, slc_frag_tag(handed));
}

SLC_INLINE int slc_stage_follow(struct xdp_md *ctx, struct slc_pkt *pkt)
{
    struct slc_service *service = slc_services_at(pkt, pkt->rec.service);
    __u16 fault = SLC_REASON_MAP_MISSED;
    __u64 *word = service ? slc_slot_word(pkt, service, &fault) : NULL;

    if (word)
        fault = slc_ask_flows(pkt, service, word, *(volatile __u64 *)word);
    if (SLC_HAS(REJECT) && fault == SLC_PICK_REJECT)
        return slc_continue(ctx, pkt, SLC_STAGE_PICK, SLC_TAIL_REJECT);
    if (fault || !service)
        return slc_drop(ctx, pkt, pkt->looks_only ? SLC_STAGE_ICMP : SLC_STAGE_PICK, fault);
    if (pkt->frag_first)
        slc_follow_remember(pkt);
    return slc_forward(ctx, pkt, service, pkt->picked);
}
