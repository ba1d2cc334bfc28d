/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * traffic_send     live frames: writes the next packet of a flood and sends it
 * traffic_filter   behind the balancer: takes floods out again, so that the backends' own stacks,
 *                  which share the machine, do not have to
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "traffic.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define TRAFFIC_INLINE static __always_inline

const volatile struct traffic_flood traffic_flood SEC(".rodata.flood");
const volatile __u64 traffic_pass_every SEC(".rodata.filter") = 1;

struct traffic_numbered traffic_sent SEC(".bss");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, struct traffic_numbered);
} traffic_arrived SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, TRAFFIC_FILTER_COUNTS);
    __type(key, __u32);
    __type(value, __u64);
} traffic_counts SEC(".maps");

/* A bijection of 64 bits, so that no two packets of a flood are of one flow. */
TRAFFIC_INLINE __u64 traffic_mix(__u64 value) {
    value = (value ^ value >> 33) * 0xff51afd7ed558ccdull;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ull;
    return value ^ value >> 33;
}

TRAFFIC_INLINE __u32 traffic_fold(__u64 sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

struct traffic_source {
    __u32 addr_be[4]; /* IPv4 in [3] */
    __u32 port;
    __u32 flags;
};

TRAFFIC_INLINE void traffic_choose(__u64 index, __u64 random, struct traffic_source* out) {
    __u64 at;

    for (int i = 0; i < 4; i++) out->addr_be[i] = traffic_flood.source_be[i];
    if (!traffic_flood.addresses) {
        out->flags = traffic_flood.flags[0];
        out->port = 1024 + (random >> 17 & 0x7fff);
        if (traffic_flood.is_ip6) {
            out->addr_be[0] = bpf_htonl(TRAFFIC_SPOOFED6_0);
            out->addr_be[1] = bpf_htonl(TRAFFIC_SPOOFED6_1);
            out->addr_be[3] = (__u32)random;
            return;
        }
        out->addr_be[3] = bpf_htonl(TRAFFIC_SPOOFED4 | (random & ~TRAFFIC_SPOOFED4_MASK));
        return;
    }
    out->addr_be[3] = bpf_htonl(bpf_ntohl(out->addr_be[3]) + index % traffic_flood.addresses);
    at = index / traffic_flood.addresses;
    out->port = traffic_flood.first_port + at % traffic_flood.ports;
    out->flags =
        traffic_flood
            .flags[at / traffic_flood.ports % traffic_flood.flag_kinds & (TRAFFIC_MAX_FLAGS - 1)];
}

TRAFFIC_INLINE __u32 traffic_tos(void) {
    if (traffic_flood.window) return TRAFFIC_NUMBERED_TOS;
    return traffic_flood.addresses ? TRAFFIC_SWEEP_TOS : 0;
}

TRAFFIC_INLINE __u64 traffic_write_ip4(volatile __u32* ip, const struct traffic_source* source) {
    __u32 len = traffic_flood.frame_len - 14;
    __u32 protocol = traffic_flood.is_udp ? 17 : 6;
    __u64 sum;

    ip[0] = bpf_htonl(0x45u << 24 | traffic_tos() << 16 | len);
    ip[1] = bpf_htonl(0x4000);
    ip[2] = bpf_htonl(64u << 24 | protocol << 16);
    ip[3] = source->addr_be[3];
    ip[4] = traffic_flood.dst_be[3];
    sum = (__u64)ip[0] + ip[1] + ip[2] + ip[3] + ip[4];
    ip[2] = ip[2] | (__u32)(__u16)~traffic_fold(sum) << 16;
    return (__u64)ip[3] + ip[4] + bpf_htonl(protocol << 16 | (len - 20));
}

TRAFFIC_INLINE __u64 traffic_write_ip6(volatile __u32* ip, const struct traffic_source* source) {
    __u32 len = traffic_flood.frame_len - 54;
    __u32 protocol = traffic_flood.is_udp ? 17 : 6;
    __u64 sum = (__u64)bpf_htonl(len) + bpf_htonl(protocol);

    ip[0] = bpf_htonl(6u << 28 | traffic_tos() << 20);
    ip[1] = bpf_htonl(len << 16 | protocol << 8 | 64);
    for (int i = 0; i < 4; i++) {
        ip[2 + i] = source->addr_be[i];
        ip[6 + i] = traffic_flood.dst_be[i];
        sum += (__u64)ip[2 + i] + ip[6 + i];
    }
    return sum;
}

TRAFFIC_INLINE void traffic_write_transport(volatile __u32* l4, const struct traffic_source* source,
                                            __u64 random, __u64 sum) {
    __u32 flags = source->flags;

    l4[0] = bpf_htonl(source->port << 16 | traffic_flood.dst_port);
    if (traffic_flood.is_udp) {
        __u32 len = traffic_flood.frame_len - (traffic_flood.is_ip6 ? 54 : 34);
        __u16 csum;

        l4[1] = bpf_htonl(len << 16);
        l4[2] = (__u32)traffic_sent.packets;
        l4[3] = (__u32)(traffic_sent.packets >> 32);
        l4[4] = 0;
        csum = ~traffic_fold(sum + l4[0] + l4[1] + l4[2] + l4[3]);
        l4[1] = l4[1] | (__u32)(csum ?: 0xffff) << 16;
        return;
    }
    l4[1] = (__u32)(random >> 32);
    l4[2] = flags & 0x10 ? (__u32)(random >> 13) : 0;
    l4[3] = bpf_htonl(0x50000000u | flags << 16 | 0x4000);
    l4[4] = 0;
    sum += (__u64)l4[0] + l4[1] + l4[2] + l4[3];
    l4[4] = (__u16)~traffic_fold(sum);
}

/* Whether so many are on their way that the next one must wait: what a queue between here and the
 * other end could not hold would be lost by nobody's fault. */
TRAFFIC_INLINE int traffic_must_wait(void) {
    __u32 family = traffic_flood.is_ip6;
    volatile struct traffic_numbered* arrived;

    if (!traffic_flood.window) return 0;
    arrived = bpf_map_lookup_elem(&traffic_arrived, &family);
    return !arrived || (__s64)(traffic_sent.packets - traffic_sent.given_up - arrived->packets) >=
                           (__s64)traffic_flood.window;
}

SEC("xdp.frags")
int traffic_send(struct xdp_md* ctx) {
    __u32 header_len = 14 + (traffic_flood.is_ip6 ? 40 : 20) + 20;
    void* frame = (void*)(long)ctx->data;
    struct traffic_source source;
    __u64 index = traffic_sent.packets;
    __u64 random, sum;

    if (frame + 14 + 40 + 20 > (void*)(long)ctx->data_end) return XDP_ABORTED;
    if (traffic_must_wait()) return XDP_DROP;
    random = traffic_mix(traffic_flood.seed +
                         (traffic_flood.flows ? index % traffic_flood.flows : index));
    traffic_choose(index, random, &source);
    for (int i = 0; i < 6; i++) {
        ((volatile __u8*)frame)[i] = traffic_flood.dst_mac[i];
        ((volatile __u8*)frame)[6 + i] = traffic_flood.src_mac[i];
    }
    *(volatile __u16*)(frame + 12) = bpf_htons(traffic_flood.is_ip6 ? 0x86dd : 0x0800);
    if (traffic_flood.is_ip6)
        sum = traffic_write_ip6(frame + 14, &source);
    else
        sum = traffic_write_ip4(frame + 14, &source);
    traffic_write_transport(frame + header_len - 20, &source, random, sum);
    traffic_sent.packets++;
    traffic_sent.fingerprint += traffic_mix(index + 1);
    return XDP_TX;
}

TRAFFIC_INLINE void traffic_count(__u32 what) {
    __u64* count = bpf_map_lookup_elem(&traffic_counts, &what);

    if (count) ++*count;
}

/* Takes in a numbered packet; whether it is one. */
TRAFFIC_INLINE int traffic_take_numbered(void* frame, void* end) {
    __u32* ip = frame + 14;
    struct traffic_numbered* arrived;
    __u32 family, word;
    __u64 number;

    if (frame + 14 + 40 + 16 > end) return 0;
    word = bpf_ntohl(ip[0]);
    family = *(__u16*)(frame + 12) == bpf_htons(0x86dd);
    if (!family && *(__u16*)(frame + 12) != bpf_htons(0x0800)) return 0;
    if ((family ? word >> 20 & 0xff : word >> 16 & 0xff) != TRAFFIC_NUMBERED_TOS) return 0;
    arrived = bpf_map_lookup_elem(&traffic_arrived, &family);
    if (!arrived) return 0;
    ip = frame + 14 + (family ? 40 : 20) + 8;
    number = (__u64)ip[1] << 32 | ip[0];
    __sync_fetch_and_add(&arrived->fingerprint, traffic_mix(number + 1));
    __sync_fetch_and_add(&arrived->packets, 1);
    return 1;
}

/* 0: none of ours, 1: spoofed, 2: of a sweep. */
TRAFFIC_INLINE int traffic_kind(void* frame, void* end) {
    __u32* ip = frame + 14;
    __u32 word;

    if (frame + 14 + 20 > end) return 0;
    word = bpf_ntohl(ip[0]);
    if (*(__u16*)(frame + 12) == bpf_htons(0x0800)) {
        if ((bpf_ntohl(ip[3]) & TRAFFIC_SPOOFED4_MASK) == TRAFFIC_SPOOFED4) return 1;
        return (word >> 16 & 0xff) == TRAFFIC_SWEEP_TOS ? 2 : 0;
    }
    if (*(__u16*)(frame + 12) != bpf_htons(0x86dd)) return 0;
    if (ip[2] == bpf_htonl(TRAFFIC_SPOOFED6_0) && ip[3] == bpf_htonl(TRAFFIC_SPOOFED6_1)) return 1;
    return (word >> 20 & 0xff) == TRAFFIC_SWEEP_TOS ? 2 : 0;
}

SEC("xdp.frags")
int traffic_filter(struct xdp_md* ctx) {
    void* frame = (void*)(long)ctx->data;
    int kind;

    if (traffic_take_numbered(frame, (void*)(long)ctx->data_end)) return XDP_DROP;
    kind = traffic_kind(frame, (void*)(long)ctx->data_end);
    if (kind == 1) {
        traffic_count(TRAFFIC_SPOOFED);
        return XDP_DROP;
    }
    if (kind == 2) {
        traffic_count(TRAFFIC_SWEEP);
        if (bpf_get_prandom_u32() % traffic_pass_every) return XDP_DROP;
        traffic_count(TRAFFIC_SWEEP_PASSED);
        return XDP_PASS;
    }
    traffic_count(TRAFFIC_OTHER);
    return XDP_PASS;
}
