/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#pragma once

/*
 * What the benchmark and its BPF programs say to each other: which packets to write, and the
 * settings of the baseline. Both sides include this file.
 */

#ifdef __cplusplus
#include <cstdint>
using bench_u8 = std::uint8_t;
using bench_u16 = std::uint16_t;
using bench_u32 = std::uint32_t;
using bench_u64 = std::uint64_t;
#else
#include <linux/types.h>
typedef __u8 bench_u8;
typedef __u16 bench_u16;
typedef __u32 bench_u32;
typedef __u64 bench_u64;
#endif

/*
 * The packets of a scenario, in .rodata of the programs that write them, so that the verifier
 * leaves only the writes of this scenario. `_sum` fields are one's-complement sums of 16-bit words
 * as loaded, of everything that does not change from packet to packet.
 */
struct bench_scenario {
    bench_u64 flows;      /* taken in turn; a flood has 2^32, which never come round */
    bench_u64 first_flow; /* floods begin where no steady scenario has been */
    bench_u64 pace_ns;    /* live frames: time for 64 packets; 0: as fast as it goes */
    bench_u32 is_ip6;
    bench_u32 is_udp;
    bench_u32 frame_len;    /* bytes, Ethernet header included */
    bench_u32 tcp_flags_be; /* offset, flags and window as one word */
    bench_u32 dst_be[4];    /* IPv4 in [3] */
    bench_u32 spread_dst;   /* 1: the last eight bits of the destination vary too */
    bench_u32 ip_sum;       /* IPv4 header without source and varying destination */
    bench_u32 l4_sum;       /* pseudo header, transport header and payload without the same */
    bench_u16 dport_be;
    bench_u8 dst_mac[6];
    bench_u8 src_mac[6];
    bench_u8 zero[6];
};

/* What bench_count has seen, on each CPU. The clock is read for every 64th packet only. */
struct bench_count {
    bench_u64 packets;
    bench_u64 first_ns; /* of the first look at the clock */
    bench_u64 last_ns;
    bench_u64 timed; /* packets between the two looks */
};

/* The flow's source address and port: 32 bits that differ for all 2^32 flows, spread so that no
 * table sees an order. */
#define BENCH_SOURCE_NET 0xc6120000u /* 198.18.0.0/15, RFC 2544: 17 bits of the flow */
#define BENCH_SOURCE_NET6_0 0x20010db8u
#define BENCH_SOURCE_NET6_1 0x00cc0000u
#define BENCH_SPORT_BASE 1024 /* and 15 bits in the port */

/* ---- the classic baseline ---- */

#define CLASSIC_RING_SLOTS 65537
#define CLASSIC_MAX_REALS 4096
#define CLASSIC_MAX_CPUS 64

struct classic_vip_key {
    bench_u32 addr_be[4]; /* IPv4 in [0] */
    bench_u16 port_be;
    bench_u8 proto;
    bench_u8 is_ip6;
};

struct classic_vip {
    bench_u32 flags;
    bench_u32 number; /* of its ring and statistics */
};

struct classic_flow_key {
    bench_u32 src_be[4];
    bench_u32 dst_be[4];
    bench_u16 sport_be;
    bench_u16 dport_be;
    bench_u8 proto;
    bench_u8 zero[3];
};

struct classic_flow {
    bench_u32 real;
    bench_u32 zero;
    bench_u64 used_ns;
};

struct classic_real {
    bench_u32 addr_be[4]; /* IPv4 in [0] */
    bench_u32 is_ip6;
    bench_u32 zero[3];
};

struct classic_counter {
    bench_u64 first; /* packets, or what the index says */
    bench_u64 second;
};

/* Indexes of classic_global: what the whole node counts. */
enum classic_global_index {
    CLASSIC_FLOW_LOOKUPS = 0, /* and misses */
    CLASSIC_NEW_FLOWS = 1,    /* and those not remembered because of the rate limit */
    CLASSIC_GLOBALS,
};
