/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Somebody else's XDP program, which knows nothing of Sluice: counts packets and bytes of each
 * source, and verdicts. Built once for each of its versions:
 *
 *   1  counts
 *   2  drops the echo service (UDP port 7, RFC 862) too
 *   3  drops all of UDP, by mistake
 *   4  like 2, with room for more sources, and the time at which each was last seen
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

struct source {
    __u64 packets;
    __u64 bytes;
#if VERSION >= 4
    __u64 seen_ns;
#endif
};

struct address {
    __u32 word_be[4]; /* IPv4 as ::ffff:a.b.c.d */
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, VERSION >= 4 ? 65536 : 1024);
    __type(key, struct address);
    __type(value, struct source);
} sources SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u64);
} verdicts SEC(".maps");

static __always_inline void count(const struct address* from, __u64 bytes) {
    struct source* source = bpf_map_lookup_elem(&sources, from);

    if (!source) {
        struct source first = {};

        bpf_map_update_elem(&sources, from, &first, BPF_NOEXIST);
        source = bpf_map_lookup_elem(&sources, from);
    }
    if (!source) return; /* the map is full */
    __sync_fetch_and_add(&source->packets, 1);
    __sync_fetch_and_add(&source->bytes, bytes);
#if VERSION >= 4
    source->seen_ns = bpf_ktime_get_ns();
#endif
}

static __always_inline int judge(__u8 proto, struct udphdr* udp, void* end) {
    if (VERSION < 2 || proto != IPPROTO_UDP) return XDP_PASS;
    if (VERSION == 3) return XDP_DROP;
    return (void*)(udp + 1) <= end && udp->dest == bpf_htons(7) ? XDP_DROP : XDP_PASS;
}

static __always_inline int handle(struct xdp_md* ctx) {
    struct ethhdr* eth = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct address from = {};

    if ((void*)(eth + 1) > end) return XDP_PASS;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = (void*)(eth + 1);

        if ((void*)(ip + 1) > end) return XDP_PASS;
        from.word_be[2] = bpf_htonl(0xffff);
        from.word_be[3] = ip->saddr;
        count(&from, end - (void*)eth);
        return judge(ip->protocol, (void*)ip + ip->ihl * 4, end);
    }
    if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip = (void*)(eth + 1);

        if ((void*)(ip + 1) > end) return XDP_PASS;
        __builtin_memcpy(&from, &ip->saddr, sizeof from);
        count(&from, end - (void*)eth);
        return judge(ip->nexthdr, (void*)(ip + 1), end);
    }
    return XDP_PASS;
}

SEC("xdp.frags")
int filter(struct xdp_md* ctx) {
    __u32 verdict = handle(ctx);
    __u64* counter = bpf_map_lookup_elem(&verdicts, &verdict);

    if (counter) (*counter)++;
    return verdict;
}
