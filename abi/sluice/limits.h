/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#pragma once

/*
 * Every bound of Sluice, once, for both sides. A map, a loop or a queue takes
 * its limit from here, and hitting it has a reason (reasons.def), a counter or
 * a configuration error of its own.
 */

/* Configuration. */
#define SLC_MAX_SERVICES 65536     /* ids 1..65535; 0 means "none" */
#define SLC_MAX_MEMBERS (1u << 20) /* 20 bits in a slot; id 0 means "none" */
#define SLC_MAX_GROUPS 65536
#define SLC_MAX_VIPS 65536        /* exact addresses */
#define SLC_MAX_PREFIXES 65536    /* VIP prefixes and protected prefixes, per family */
#define SLC_MAX_RANGES_PER_VIP 64 /* port ranges of one VIP and protocol; a power of two */
#define SLC_MAX_CUSTOMERS 65536
#define SLC_MAX_POLICIES 65536
#define SLC_MAX_INTERFACES 64
#define SLC_MAX_WEIGHT 1000
#define SLC_MAX_TUNNEL_PEERS 1024 /* source prefixes of balancers whose tunnels are stripped */
#define SLC_MAX_NAME_LEN 63

/* Rings: powers of two, so that growth splits slots and never reshuffles them. */
#define SLC_MIN_RING_LOG2 8
#define SLC_MAX_RING_LOG2 20
#define SLC_RING_SLOTS_PER_MEMBER 64
#define SLC_RING_SLOTS_FOR_LIGHTEST 4 /* the member of least weight */

/* Packets. */
#define SLC_MAX_VLANS 2         /* 802.1Q and 802.1ad (QinQ) */
#define SLC_MAX_EXT_HEADERS 8   /* IPv6 extension headers before the payload */
#define SLC_MAX_FRAME_LEN 16384 /* bytes; jumbo frames included */
#define SLC_TEMPLATE_LEN 96     /* bytes of outer header a template can hold */
#define SLC_VARIANTS 8          /* header templates of one member: forwarding x inner family */

/* Fragments: a first fragment is remembered for this long (RFC 791 suggests 15 s). */
#define SLC_FRAG_LIFETIME_S 15
#define SLC_FRAG_WAYS 4 /* entries of a bucket: one cache line */
#define SLC_FRAG_MIN_BUCKETS 256
#define SLC_FRAG_MAX_BUCKETS 65536

/* How much of the offending packet an ICMP error quotes, in bytes from its IP header:
 * 20 + 8 + 512 stays below the 576 of RFC 1812 4.3.2.3, 40 + 8 + 1024 below the
 * 1,280 of RFC 4443 2.4(c). Both are multiples of what bpf_csum_diff takes. */
#define SLC_ICMP4_QUOTE_LEN 512
#define SLC_ICMP6_QUOTE_LEN 1024

/* The flow table (flow.h). */
#define SLC_FLOW_WAYS 8    /* entries of a bucket: one cache line */
#define SLC_FLOW_CLASSES 4 /* enum slc_flow_class */
#define SLC_FLOW_MIN_LOG2 6
#define SLC_FLOW_MAX_LOG2 23     /* buckets: 64 M entries, 512 MiB */
#define SLC_FLOW_MIN_SHIFT 28    /* a tick of 0.27 s: a sweep has 8 s */
#define SLC_FLOW_MAX_SHIFT 40    /* 18 min */
#define SLC_FLOW_MAX_TICKS 224   /* longest lifetime; the rest of the byte tells what has expired */
#define SLC_MAX_LIFETIME_S 86400 /* a day */
#define SLC_MAX_DEADLINE_S 31536000 /* a year: of a planned change */
#define SLC_TCP_OPTIONS_LEN 40      /* most bytes of options that a TCP header holds */
