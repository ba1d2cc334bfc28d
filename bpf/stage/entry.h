/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Stage entry: from the wire to the first decision. Shared by the balancer and the agent; what a
 * packet for one of our addresses goes on to is theirs to say.
 *
 * Reads    the frame: link, then addresses.
 * Leaves   pkt filled, and *vip: the record of its destination.
 * Goes to  the caller with SLC_ENTRY_OURS, or says with SLC_ENTRY_PASS or _DROP which reason ends
 * it.
 */

#include "lib/proof.h"
#include "stage/parse.h"
#include "stage/service.h"

enum slc_entry {
    SLC_ENTRY_OURS,
    SLC_ENTRY_PASS,
    SLC_ENTRY_DROP,
};

SLC_INLINE enum slc_entry slc_entry_ip4(struct slc_cursor *cur, struct slc_pkt *pkt,
                                        struct slc_vip **vip, __u16 *reason)
{
    struct slc_ip4 *ip = slc_take(cur, sizeof *ip);

    *reason = SLC_REASON_HDR_TRUNCATED;
    if (!ip)
        return SLC_ENTRY_DROP;
    *reason = SLC_REASON_IP_VERSION;
    if (ip->version_ihl >> 4 != 4)
        return SLC_ENTRY_DROP;
    slc_read_ip4(ip, pkt);
    *vip = slc_find_vip(pkt, pkt->dst, 0, &pkt->vip_index);
    slc_tell_vip(pkt, *vip);
    *reason = SLC_REASON_NOT_OURS;
    return *vip ? SLC_ENTRY_OURS : SLC_ENTRY_PASS;
}

SLC_INLINE enum slc_entry slc_entry_ip6(struct slc_cursor *cur, struct slc_pkt *pkt,
                                        struct slc_vip **vip, __u16 *reason)
{
    struct slc_ip6 *ip = slc_take(cur, sizeof *ip);

    *reason = SLC_REASON_HDR_TRUNCATED;
    if (!ip)
        return SLC_ENTRY_DROP;
    *reason = SLC_REASON_IP_VERSION;
    if ((bpf_ntohl(ip->version_class_flow_be) >> 28) != 6)
        return SLC_ENTRY_DROP;
    slc_read_ip6(ip, pkt);
    *vip = slc_find_vip(pkt, pkt->dst, 1, &pkt->vip_index);
    slc_tell_vip(pkt, *vip);
    *reason = SLC_REASON_NOT_OURS;
    return *vip ? SLC_ENTRY_OURS : SLC_ENTRY_PASS;
}

/* A frame that has more than one buffer has at least this in its first: what drivers copy there
 * when they split (256 bytes in mlx5, a page less its rooms elsewhere). */
#define SLC_LEAST_SPLIT_LEN 256

/* Bytes of the frame with all its buffers. A small frame has one, and is spared the call. */
SLC_INLINE __u32 slc_frame_len(struct xdp_md *ctx)
{
    __u32 len = ctx->data_end - ctx->data;

    return SLC_LIKELY(len < SLC_LEAST_SPLIT_LEN) ? len : (__u32)bpf_xdp_get_buff_len(ctx);
}
