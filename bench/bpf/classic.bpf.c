/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The baseline: a layer-4 balancer in the classic design, written for this benchmark and meant to
 * be a fair one. Kernel hash map of VIPs; per-CPU kernel LRU maps of flows; a ring of 65,537 slots
 * for each VIP; outer headers built field by field; per-CPU statistics; XDP_TX.
 *
 * As in balancers of this kind: a SYN is not looked up, any other packet is, and a flow that is not
 * known is remembered unless more than classic_new_flows_per_s new ones came in this second.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "scenario.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define CLASSIC_INLINE static __always_inline

const volatile __u32 classic_source_be = 0; /* IPv4 outer source, without entropy */
const volatile __u32 classic_source6_be[4] = {};
const volatile __u8 classic_gateway_mac[8] = {}; /* six, and padding */
__u64 classic_new_flows_per_s = 125000; /* raised while the benchmark fills the flow table */

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 512);
    __type(key, struct classic_vip_key);
    __type(value, struct classic_vip);
} classic_vips SEC(".maps");

struct classic_lru {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(struct classic_flow_key));
    __uint(value_size, sizeof(struct classic_flow));
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, CLASSIC_MAX_CPUS);
    __type(key, __u32);
    __array(values, struct classic_lru);
} classic_flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, CLASSIC_RING_SLOTS);
    __type(key, __u32);
    __type(value, __u32);
} classic_rings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, CLASSIC_MAX_REALS);
    __type(key, __u32);
    __type(value, struct classic_real);
} classic_reals SEC(".maps");

#define CLASSIC_STATISTICS(name, entries)        \
    struct {                                     \
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
        __uint(max_entries, entries);            \
        __type(key, __u32);                      \
        __type(value, struct classic_counter);   \
    } name SEC(".maps")

CLASSIC_STATISTICS(classic_vip_stats, 512);
CLASSIC_STATISTICS(classic_real_stats, CLASSIC_MAX_REALS);
CLASSIC_STATISTICS(classic_global, CLASSIC_GLOBALS);
CLASSIC_STATISTICS(classic_second, 1); /* first: new flows in the second that began at `second` */

struct classic_packet {
    struct classic_flow_key flow;
    __u16 ip_len;
    __u8 tos;
    __u8 is_ip6;
    __u8 is_syn;
};

/* jhash of three words, as the kernel has it (include/linux/jhash.h). */
#define CLASSIC_ROTATE(word, by) ((word) << (by) | (word) >> (32 - (by)))
CLASSIC_INLINE __u32 classic_jhash(__u32 a, __u32 b, __u32 c)
{
    c ^= b;
    c -= CLASSIC_ROTATE(b, 14);
    a ^= c;
    a -= CLASSIC_ROTATE(c, 11);
    b ^= a;
    b -= CLASSIC_ROTATE(a, 25);
    c ^= b;
    c -= CLASSIC_ROTATE(b, 16);
    a ^= c;
    a -= CLASSIC_ROTATE(c, 4);
    b ^= a;
    b -= CLASSIC_ROTATE(a, 14);
    c ^= b;
    c -= CLASSIC_ROTATE(b, 24);
    return c;
}

CLASSIC_INLINE __u32 classic_hash(const struct classic_packet *pkt)
{
    __u32 ports = (__u32)pkt->flow.sport_be << 16 | pkt->flow.dport_be;
    __u32 src = pkt->flow.src_be[0];

    if (pkt->is_ip6) {
        src = classic_jhash(src, pkt->flow.src_be[1], 0xdeadbef3);
        src = classic_jhash(src, pkt->flow.src_be[2], pkt->flow.src_be[3]);
    }
    return classic_jhash(src + 0xdeadbefb, ports, 0xdeadbefb);
}

CLASSIC_INLINE void classic_count(void *map, __u32 index, __u64 first, __u64 second)
{
    struct classic_counter *counter = bpf_map_lookup_elem(map, &index);

    if (!counter)
        return;
    counter->first += first;
    counter->second += second;
}

/* More new flows in this second than may be remembered? */
CLASSIC_INLINE int classic_flooded(__u64 *now)
{
    __u32 zero = 0;
    struct classic_counter *window = bpf_map_lookup_elem(&classic_second, &zero);

    if (!window)
        return 1;
    *now = bpf_ktime_get_ns();
    if (*now - window->second > 1000000000ull) {
        window->first = 1;
        window->second = *now;
        return 0;
    }
    window->first++;
    return window->first > classic_new_flows_per_s;
}

CLASSIC_INLINE struct classic_real *classic_real_of(struct classic_packet *pkt,
                                                    const struct classic_vip *vip, __u32 *number)
{
    __u32 cpu = bpf_get_smp_processor_id();
    void *flows = bpf_map_lookup_elem(&classic_flows, &cpu);
    struct classic_flow *known, fresh = {};
    __u32 slot, *entry;
    __u64 now;
    int flooded;

    if (!flows)
        return NULL;
    if (!pkt->is_syn) {
        known = bpf_map_lookup_elem(flows, &pkt->flow);
        classic_count(&classic_global, CLASSIC_FLOW_LOOKUPS, 1, !known);
        if (known) {
            *number = known->real;
            if (pkt->flow.proto == IPPROTO_UDP)
                known->used_ns = bpf_ktime_get_ns();
            return bpf_map_lookup_elem(&classic_reals, number);
        }
    }
    flooded = classic_flooded(&now);
    slot = vip->number * CLASSIC_RING_SLOTS + classic_hash(pkt) % CLASSIC_RING_SLOTS;
    entry = bpf_map_lookup_elem(&classic_rings, &slot);
    if (!entry)
        return NULL;
    *number = *entry;
    if (!flooded) {
        fresh.real = *number;
        fresh.used_ns = pkt->flow.proto == IPPROTO_UDP ? now : 0;
        bpf_map_update_elem(flows, &pkt->flow, &fresh, BPF_ANY);
    }
    classic_count(&classic_global, CLASSIC_NEW_FLOWS, 1, flooded);
    return bpf_map_lookup_elem(&classic_reals, number);
}

CLASSIC_INLINE void classic_put_link(struct ethhdr *fresh, const struct ethhdr *old, __u16 proto)
{
    __builtin_memcpy(fresh->h_source, old->h_dest, 6);
    for (int i = 0; i < 6; i++) fresh->h_dest[i] = classic_gateway_mac[i];
    fresh->h_proto = bpf_htons(proto);
}

CLASSIC_INLINE __u16 classic_ip_csum(const struct iphdr *ip)
{
    const __u16 *words = (const __u16 *)ip;
    __u32 sum = 0;

#pragma unroll
    for (int i = 0; i < 10; i++) sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return ~((sum & 0xffff) + (sum >> 16));
}

CLASSIC_INLINE int classic_encap4(struct xdp_md *ctx, const struct classic_packet *pkt,
                                  const struct classic_real *real)
{
    struct ethhdr *fresh, *old;
    struct iphdr *ip;

    if (bpf_xdp_adjust_head(ctx, -(int)sizeof *ip))
        return XDP_DROP;
    fresh = (void *)(long)ctx->data;
    old = (void *)fresh + sizeof *ip;
    ip = (void *)(fresh + 1);
    if ((void *)(old + 1) > (void *)(long)ctx->data_end ||
        (void *)(ip + 1) > (void *)(long)ctx->data_end)
        return XDP_DROP;
    classic_put_link(fresh, old, ETH_P_IP);
    ip->version = 4;
    ip->ihl = 5;
    ip->tos = pkt->tos;
    ip->tot_len = bpf_htons(pkt->ip_len + sizeof *ip);
    ip->id = 0;
    ip->frag_off = 0;
    ip->ttl = 64;
    ip->protocol = pkt->is_ip6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
    ip->check = 0;
    ip->saddr = classic_source_be | (pkt->flow.src_be[0] ^ pkt->flow.sport_be) << 16;
    ip->daddr = real->addr_be[0];
    ip->check = classic_ip_csum(ip);
    return XDP_TX;
}

CLASSIC_INLINE int classic_encap6(struct xdp_md *ctx, const struct classic_packet *pkt,
                                  const struct classic_real *real)
{
    struct ethhdr *fresh, *old;
    struct ipv6hdr *ip;

    if (bpf_xdp_adjust_head(ctx, -(int)sizeof *ip))
        return XDP_DROP;
    fresh = (void *)(long)ctx->data;
    old = (void *)fresh + sizeof *ip;
    ip = (void *)(fresh + 1);
    if ((void *)(old + 1) > (void *)(long)ctx->data_end ||
        (void *)(ip + 1) > (void *)(long)ctx->data_end)
        return XDP_DROP;
    classic_put_link(fresh, old, ETH_P_IPV6);
    ip->version = 6;
    ip->priority = pkt->tos >> 4;
    __builtin_memset(ip->flow_lbl, 0, sizeof ip->flow_lbl);
    ip->payload_len = bpf_htons(pkt->ip_len);
    ip->nexthdr = pkt->is_ip6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
    ip->hop_limit = 64;
    for (int i = 0; i < 3; i++) ip->saddr.in6_u.u6_addr32[i] = classic_source6_be[i];
    ip->saddr.in6_u.u6_addr32[3] = pkt->flow.src_be[3] ^ pkt->flow.sport_be;
    for (int i = 0; i < 4; i++) ip->daddr.in6_u.u6_addr32[i] = real->addr_be[i];
    return XDP_TX;
}

/* 0: go on; -1: to Linux; 1: drop. */
CLASSIC_INLINE int classic_read_ip(void **pos, void *end, __u16 proto, struct classic_packet *pkt)
{
    if (proto == bpf_htons(ETH_P_IP)) {
        struct iphdr *ip = *pos;

        if ((void *)(ip + 1) > end || ip->ihl != 5 || (ip->frag_off & bpf_htons(0x3fff)))
            return 1;
        pkt->flow.src_be[0] = ip->saddr;
        pkt->flow.dst_be[0] = ip->daddr;
        pkt->flow.proto = ip->protocol;
        pkt->tos = ip->tos;
        pkt->ip_len = bpf_ntohs(ip->tot_len);
        *pos = ip + 1;
        return 0;
    }
    if (proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr *ip = *pos;

        if ((void *)(ip + 1) > end || ip->nexthdr == IPPROTO_FRAGMENT)
            return 1;
        __builtin_memcpy(pkt->flow.src_be, &ip->saddr, 16);
        __builtin_memcpy(pkt->flow.dst_be, &ip->daddr, 16);
        pkt->flow.proto = ip->nexthdr;
        pkt->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
        pkt->ip_len = bpf_ntohs(ip->payload_len) + sizeof *ip;
        pkt->is_ip6 = 1;
        *pos = ip + 1;
        return 0;
    }
    return -1;
}

CLASSIC_INLINE int classic_read_transport(void *pos, void *end, struct classic_packet *pkt)
{
    struct tcphdr *tcp = pos;
    struct udphdr *udp = pos;

    if (pkt->flow.proto == IPPROTO_TCP) {
        if ((void *)(tcp + 1) > end)
            return 1;
        pkt->is_syn = tcp->syn && !tcp->ack;
        pkt->flow.sport_be = tcp->source;
        pkt->flow.dport_be = tcp->dest;
        return 0;
    }
    if (pkt->flow.proto == IPPROTO_UDP) {
        if ((void *)(udp + 1) > end)
            return 1;
        pkt->flow.sport_be = udp->source;
        pkt->flow.dport_be = udp->dest;
        return 0;
    }
    return -1;
}

SEC("xdp.frags")
int classic_lb(struct xdp_md *ctx)
{
    void *pos = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = pos;
    struct classic_packet pkt = {};
    struct classic_vip_key key = {};
    struct classic_vip *vip;
    struct classic_real *real;
    __u32 number = 0;
    int outcome;

    if ((void *)(eth + 1) > end)
        return XDP_DROP;
    pos = eth + 1;
    outcome = classic_read_ip(&pos, end, eth->h_proto, &pkt);
    if (!outcome)
        outcome = classic_read_transport(pos, end, &pkt);
    if (outcome)
        return outcome < 0 ? XDP_PASS : XDP_DROP;
    __builtin_memcpy(key.addr_be, pkt.flow.dst_be, 16);
    key.port_be = pkt.flow.dport_be;
    key.proto = pkt.flow.proto;
    key.is_ip6 = pkt.is_ip6;
    vip = bpf_map_lookup_elem(&classic_vips, &key);
    if (!vip)
        return XDP_PASS;
    real = classic_real_of(&pkt, vip, &number);
    if (!real)
        return XDP_DROP;
    classic_count(&classic_vip_stats, vip->number, 1, pkt.ip_len);
    classic_count(&classic_real_stats, number, 1, pkt.ip_len);
    return real->is_ip6 ? classic_encap6(ctx, &pkt, real) : classic_encap4(ctx, &pkt, real);
}
