/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The part of stage pick that reads what a packet says itself: QUIC connection ids and TCP server
 * ids, for services that ask for it.
 *
 * Reads    pkt: l4_off, proto, looks_only; the service's record; the bytes behind the transport
 *          header.
 * Leaves   rec.member and picked, when the id names a live member.
 * Reasons  FORWARDED_CONNECTION_ID, FORWARDED_SERVER_ID (in picked).
 */

#include "lib/cursor.h"
#include "lib/maps.h"

/* Whether packets of this protocol to this service may carry an id. */
SLC_INLINE int slc_routes_by_id(const struct slc_pkt *pkt, const struct slc_service *service)
{
    if (SLC_HAS(TCP_SERVER_ID) && service->id_format == SLC_ID_TCP_OPTION)
        return pkt->proto == IPPROTO_TCP;
    if (SLC_HAS(CONNECTION_ID) && service->id_format >= SLC_ID_QUIC_LB)
        return pkt->proto == IPPROTO_UDP;
    return 0;
}

/* Non-zero with rec.member and picked set, when the packet names a live member. */
SLC_INLINE int slc_pick_by_id(struct xdp_md *ctx, struct slc_pkt *pkt,
                              const struct slc_service *service)
{
    return 0;
}
