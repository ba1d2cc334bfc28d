/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The steady path in one piece: a TCP or UDP packet for a VIP, its addresses known, goes through
 * service, pick and forward. The three programs that can find such a packet (lb, ext, frag) call
 * this.
 *
 * Reasons  NO_SUCH_PORT, PORT_PASSED, and those of pick and forward.
 */

#include "lib/exit.h"
#include "stage/forward.h"
#include "stage/parse.h"
#include "stage/pick.h"
#include "stage/service.h"

/* A VIP that has no service for this packet. */
SLC_INLINE int slc_unmatched(struct xdp_md *ctx, struct slc_pkt *pkt, const struct slc_vip *vip,
                             __u16 reason)
{
    slc_take_owners(pkt, vip->customer, vip->policy);
    if (vip->flags & SLC_VIP_PASS_UNMATCHED)
        return slc_pass(ctx, pkt, SLC_STAGE_SERVICE, SLC_REASON_PORT_PASSED);
    return slc_drop(ctx, pkt, SLC_STAGE_SERVICE, reason);
}

/* Ports are in pkt. */
SLC_INLINE int slc_steer(struct xdp_md *ctx, struct slc_pkt *pkt, const struct slc_vip *vip,
                         int here)
{
    struct slc_service *service;
    __u16 fault;

    pkt->rec.service = slc_find_service(pkt, vip, pkt->proto, pkt->dport_be);
    if (!pkt->rec.service)
        return slc_unmatched(ctx, pkt, vip, SLC_REASON_NO_SUCH_PORT);
    fault = slc_pick(ctx, pkt, &service, here);
    if (SLC_HAS(TRACKING) && SLC_UNLIKELY(fault == SLC_PICK_FOLLOW))
        return slc_continue(ctx, pkt, SLC_STAGE_PICK, SLC_TAIL_FOLLOW);
    if (SLC_HAS(REJECT) && SLC_UNLIKELY(fault == SLC_PICK_REJECT))
        return slc_continue(ctx, pkt, SLC_STAGE_PICK, SLC_TAIL_REJECT);
    if (SLC_UNLIKELY(fault))
        return slc_drop(ctx, pkt, SLC_STAGE_PICK, fault);
    return slc_forward(ctx, pkt, service, pkt->picked);
}

/* The transport header is at l4_off, and it is TCP or UDP. */
SLC_INLINE int slc_steer_transport(struct xdp_md *ctx, struct slc_pkt *pkt,
                                   const struct slc_vip *vip, struct slc_cursor *cur, int here)
{
    __u16 fault = slc_parse_transport(cur, pkt, 0);

    if (SLC_UNLIKELY(fault))
        return slc_drop(ctx, pkt, SLC_STAGE_PARSE, fault);
    return slc_steer(ctx, pkt, vip, here);
}
