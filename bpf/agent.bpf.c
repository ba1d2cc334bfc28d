/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The backend's agent: strips the tunnels of known balancers in front of packets for the VIPs of
 * this host, and passes everything else up as it came. Its tables are the balancer's: the VIP
 * table holds VIPs; any destination address of the host may be a tunnel's end, since only known
 * sources are stripped.
 */
#define SLC_COUNTED_INTERFACE(ctx) 0
#include "stage/decap.h"
#include "stage/entry.h"

char _license[] SEC("license") = "Dual BSD/GPL";

SLC_INLINE int slc_agent_ip4(struct xdp_md *ctx, struct slc_pkt *pkt, struct slc_cursor *cur)
{
    struct slc_ip4 *ip = slc_take(cur, sizeof *ip);

    if (!ip)
        return slc_pass(ctx, pkt, SLC_STAGE_PARSE, SLC_REASON_NOT_OURS);
    slc_read_ip4(ip, pkt);
    if (ip->version_ihl >> 4 != 4)
        return slc_pass(ctx, pkt, SLC_STAGE_PARSE, SLC_REASON_NOT_OURS);
    return slc_stage_decap(ctx, pkt);
}

SLC_INLINE int slc_agent_ip6(struct xdp_md *ctx, struct slc_pkt *pkt, struct slc_cursor *cur)
{
    struct slc_ip6 *ip = slc_take(cur, sizeof *ip);

    if (!ip)
        return slc_pass(ctx, pkt, SLC_STAGE_PARSE, SLC_REASON_NOT_OURS);
    slc_read_ip6(ip, pkt);
    if (bpf_ntohl(ip->version_class_flow_be) >> 28 != 6)
        return slc_pass(ctx, pkt, SLC_STAGE_PARSE, SLC_REASON_NOT_OURS);
    return slc_stage_decap(ctx, pkt);
}

SEC("xdp.frags")
int slc_agent(struct xdp_md *ctx)
{
    struct slc_pkt pkt = {};
    struct slc_cursor cur = slc_cursor_start(ctx);
    __u16 proto_be = 0;

    pkt.frame_len = slc_frame_len(ctx);
    if (!slc_open(&pkt))
        return slc_drop(ctx, &pkt, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED);
    if (!slc_parse_link(&cur, &pkt, &proto_be)) {
        if (proto_be == SLC_ETH_IP4)
            return slc_agent_ip4(ctx, &pkt, &cur);
        if (proto_be == SLC_ETH_IP6)
            return slc_agent_ip6(ctx, &pkt, &cur);
    }
    return slc_pass(ctx, &pkt, SLC_STAGE_PARSE, SLC_REASON_NOT_IP);
}
