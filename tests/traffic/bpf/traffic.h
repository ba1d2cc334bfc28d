/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#pragma once

/*
 * What the tools and their BPF programs say to each other. Both sides include this file.
 */

#include <linux/types.h>

/* Sources of spoofed packets: 198.18.0.0/15 (RFC 2544) and 2001:db8:cc::/48. */
#define TRAFFIC_SPOOFED4 0xc6120000u
#define TRAFFIC_SPOOFED4_MASK 0xfffe0000u
#define TRAFFIC_SPOOFED6_0 0x20010db8u
#define TRAFFIC_SPOOFED6_1 0x00cc0000u

/* Type of service, or traffic class, of packets that carry somebody else's tuple: so that the
 * filter in front of the backends knows them. */
#define TRAFFIC_SWEEP_TOS 0x04u

/* Of packets that carry a number and are counted at both ends. */
#define TRAFFIC_NUMBERED_TOS 0x08u

#define TRAFFIC_MAX_FLAGS 4

/* What a flood sends, in .rodata. Addresses as in packets, IPv4 in [3]. */
struct traffic_flood {
    __u32 is_ip6;
    __u32 is_udp;
    __u32 frame_len;
    __u32 addresses;  /* live sources, one after the other; 0: spoofed ones */
    __u32 window;     /* numbered packets that may be on their way; 0: none has a number */
    __u32 flows;      /* of spoofed sources that packets are of in turn; 0: each of its own */
    __u32 first_port; /* live source ports */
    __u32 ports;
    __u32 flag_kinds; /* 1..TRAFFIC_MAX_FLAGS */
    __u32 dst_port;
    __u32 source_be[4]; /* the first live one */
    __u32 dst_be[4];
    __u64 seed;
    __u8 flags[TRAFFIC_MAX_FLAGS]; /* of TCP, taken in turn */
    __u8 dst_mac[6];
    __u8 src_mac[6];
};

/* What has left or arrived: sent in .bss, arrived in the map
 * traffic_arrived, indexed by whether it is IPv6. */
struct traffic_numbered {
    __u64 packets;
    __u64 fingerprint; /* Sum of their mixed numbers: equal at both ends if the packets are. */
    __u64 given_up;    /* At the sender: they hold no place in the window any more. */
};

/* Indexes of what the filter counts. */
enum traffic_filter_count {
    TRAFFIC_SPOOFED = 0, /* dropped */
    TRAFFIC_SWEEP = 1,   /* seen */
    TRAFFIC_SWEEP_PASSED = 2,
    TRAFFIC_OTHER = 3, /* passed */
    TRAFFIC_FILTER_COUNTS,
};
