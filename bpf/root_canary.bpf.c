/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The canary's root program: on the links whose packets a canary may take, for as long as there is
 * one, in the place of root.bpf.c. Clients whose keyed hash is below the canary's share go to slot
 * 1, so that a client always meets the same generation; all others, what is not IP, and everything
 * while slot 1 is empty, to slot 0.
 *
 * The client is the source of a packet, so that its fragments and its tunnels need no thought. Of
 * an ICMP error it is whom the quoted packet was sent to: the flow that it speaks of is known where
 * the client's own packets go, and not where the router's would.
 */
#include "lib/icmp_types.h"
#include "lib/root_exit.h"
#include "stage/parse.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* A section of its own, found by the loader as ".rodata.canary". */
const volatile struct slc_canary slc_canary SEC(".rodata.canary");

#define SLC_CANARY_ALL (1ull << 32)

/* The packet that an ICMP error at `offset` quotes, its first `size` bytes; NULL where this is no
 * error, or quotes less. */
SLC_INLINE void *slc_quoted(struct xdp_md *ctx, __u32 offset, int is_ip6, __u32 size)
{
    struct slc_cursor cur = slc_cursor_at(ctx, offset, 128);
    struct slc_icmp *icmp = slc_take(&cur, sizeof *icmp);

    if (!icmp || !slc_icmp_type_is_error(is_ip6, icmp->type))
        return NULL;
    return slc_take(&cur, size);
}

SLC_INLINE __u64 slc_client4(struct xdp_md *ctx, __u32 l3_off, const struct slc_ip4 *ip)
{
    __u32 client_be = ip->src_be;

    if (ip->proto == IPPROTO_ICMP && !(ip->frag_be & bpf_htons(SLC_IP4_OFFSET))) {
        __u32 offset = l3_off + (ip->version_ihl & 0xf) * 4;
        const struct slc_ip4 *quoted = slc_quoted(ctx, offset, 0, sizeof *quoted);

        if (quoted)
            client_be = quoted->dst_be;
    }
    return slc_mix(slc_canary.key[0], client_be);
}

SLC_INLINE __u64 slc_client6(struct xdp_md *ctx, __u32 l3_off, const struct slc_ip6 *ip)
{
    const __u32 *client_be = ip->src_be;
    __u64 state = slc_canary.key[0];

    if (ip->next == IPPROTO_ICMPV6) {
        const struct slc_ip6 *quoted = slc_quoted(ctx, l3_off + sizeof *ip, 1, sizeof *quoted);

        if (quoted)
            client_be = quoted->dst_be;
    }
    state = slc_mix(state, ((__u64)client_be[0] << 32) | client_be[1]);
    return slc_mix(state, ((__u64)client_be[2] << 32) | client_be[3]);
}

/* High bits of the hash of the packet's client; SLC_CANARY_ALL, which is below no share, where
 * there is none. */
SLC_INLINE __u64 slc_client_hash(struct xdp_md *ctx)
{
    struct slc_cursor cur = slc_cursor_start(ctx);
    struct slc_pkt pkt;
    __u64 state;
    __u16 proto_be;

    if (slc_parse_link(&cur, &pkt, &proto_be))
        return SLC_CANARY_ALL;
    if (proto_be == SLC_ETH_IP4) {
        struct slc_ip4 *ip = slc_take(&cur, sizeof *ip);

        if (!ip)
            return SLC_CANARY_ALL;
        state = slc_client4(ctx, pkt.l3_off, ip);
    } else if (proto_be == SLC_ETH_IP6) {
        struct slc_ip6 *ip = slc_take(&cur, sizeof *ip);

        if (!ip)
            return SLC_CANARY_ALL;
        state = slc_client6(ctx, pkt.l3_off, ip);
    } else {
        return SLC_CANARY_ALL;
    }
    return slc_finish(state, slc_canary.key[1]) >> 32;
}

SEC("xdp.frags")
int slc_root_canary(struct xdp_md *ctx)
{
    if (slc_canary.share >= SLC_CANARY_ALL || slc_client_hash(ctx) < slc_canary.share)
        bpf_tail_call(ctx, &slc_root_progs, SLC_ROOT_CANARY);
    bpf_tail_call(ctx, &slc_root_progs, SLC_ROOT_LIVE);
    return slc_root_leave();
}
