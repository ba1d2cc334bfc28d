/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Writes the next packet of the scenario into a frame. Every packet is valid, checksums included.
 *
 * The kernel gives a program under test the frame that the run before left behind, so every header
 * is written again for each packet. It is written in the words in which programs read it: a load
 * that covers two stores stalls until both have left the store buffer, which a packet that came by
 * DMA never does.
 */

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "scenario.h"

#define BENCH_INLINE static __always_inline

const volatile struct bench_scenario bench_scenario SEC(".rodata.scenario");

/* Next flow of each CPU, on a cache line of its own. */
struct bench_turn {
    __u64 next;
    __u64 paced;  /* packets asked for, sent or not */
    __u64 due_ns; /* when the next 64 may go */
    __u64 early;
    __u64 stride; /* from one flow to the next, below the number of flows; 0 is 1 */
    __u64 zero[3];
};
struct bench_turn bench_turns[64] SEC(".bss");

BENCH_INLINE __u16 bench_fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

BENCH_INLINE __u32 bench_words(__u32 word)
{
    return (word & 0xffff) + (word >> 16);
}

/* A bijection of 32 bits. */
BENCH_INLINE __u32 bench_spread(__u32 value)
{
    value *= 0x9e3779b1u;
    value ^= value >> 15;
    value *= 0x85ebca6bu;
    return value ^ (value >> 13);
}

BENCH_INLINE __u32 bench_next_flow(void)
{
    struct bench_turn *turn = &bench_turns[bpf_get_smp_processor_id() & 63];
    __u64 index = turn->next;

    turn->next = index + (turn->stride ?: 1);
    if (turn->next >= bench_scenario.flows)
        turn->next -= bench_scenario.flows;
    return bench_spread((__u32)(index + bench_scenario.first_flow));
}

BENCH_INLINE void bench_write_mac(void *link)
{
    const volatile __u8 *dst = bench_scenario.dst_mac;

    *(volatile __u32 *)link = *(const volatile __u32 *)dst;
    *(volatile __u16 *)(link + 4) = *(const volatile __u16 *)(dst + 4);
    *(volatile __u16 *)(link + 6) = *(const volatile __u16 *)(dst + 6);
    *(volatile __u32 *)(link + 8) = *(const volatile __u32 *)(dst + 8);
}

BENCH_INLINE void bench_write_transport(volatile __u32 *words, __u32 ports, __u32 sum)
{
    __u16 csum = ~bench_fold(sum);

    words[0] = ports;
    if (bench_scenario.is_udp) {
        __u16 len_be = bpf_htons(bench_scenario.frame_len - 14 - (bench_scenario.is_ip6 ? 40 : 20));

        words[1] = (__u32)(csum ? csum : 0xffff) << 16 | len_be;
        return;
    }
    words[1] = 0x01000000;
    words[2] = 0x01000000;
    words[3] = bench_scenario.tcp_flags_be;
    words[4] = csum;
}

/* `frame` has at least frame_len bytes. */
BENCH_INLINE void bench_write(void *frame)
{
    __u32 flow = bench_next_flow();
    __u32 ports = (__u32)bench_scenario.dport_be << 16 |
                  bpf_htons((__u16)(BENCH_SPORT_BASE + (flow & 0x7fff)));
    __u32 dst_be = bench_scenario.dst_be[3];
    volatile __u32 *ip = frame + 14;
    __u32 src_be, changed;

    if (bench_scenario.spread_dst)
        dst_be |= (flow & 0xff) << 24;
    bench_write_mac(frame);
    if (bench_scenario.is_ip6) {
        src_be = bpf_htonl(flow >> 15);
        changed = bench_words(src_be) + (ports & 0xffff) +
                  (bench_scenario.spread_dst ? (flow & 0xff) << 8 : 0);
        *(volatile __u16 *)(frame + 12) = bpf_htons(0x86dd);
        ip[0] = bpf_htonl(6u << 28);
        ip[1] = bpf_htonl((bench_scenario.frame_len - 54) << 16 |
                          (bench_scenario.is_udp ? 17 : 6) << 8 | 64);
        *(volatile __u64 *)(ip + 2) =
            (__u64)bpf_htonl(BENCH_SOURCE_NET6_1) << 32 | bpf_htonl(BENCH_SOURCE_NET6_0);
        *(volatile __u64 *)(ip + 4) = (__u64)src_be << 32;
        *(volatile __u64 *)(ip + 6) =
            (__u64)bench_scenario.dst_be[1] << 32 | bench_scenario.dst_be[0];
        *(volatile __u64 *)(ip + 8) = (__u64)dst_be << 32 | bench_scenario.dst_be[2];
        bench_write_transport(ip + 10, ports, bench_scenario.l4_sum + changed);
        return;
    }
    src_be = bpf_htonl(BENCH_SOURCE_NET | flow >> 15);
    changed = bench_words(src_be) + (bench_scenario.spread_dst ? (flow & 0xff) << 8 : 0);
    *(volatile __u16 *)(frame + 12) = bpf_htons(0x0800);
    ip[0] = bpf_htonl(0x45u << 24 | (bench_scenario.frame_len - 14));
    ip[1] = bpf_htonl(0x4000);
    ip[2] = (__u32)(__u16)~bench_fold(bench_scenario.ip_sum + changed) << 16 |
            (bench_scenario.is_udp ? 17 : 6) << 8 | 64;
    ip[3] = src_be;
    ip[4] = dst_be;
    bench_write_transport(ip + 5, ports, bench_scenario.l4_sum + changed + (ports & 0xffff));
}
