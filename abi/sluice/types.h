/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#pragma once

/*
 * What the data plane and user space say to each other: the layout of every map
 * value, once. Both sides include this file; no struct is ever mirrored.
 *
 * Rules: fixed widths, explicit zero fields, sizes asserted, `_be` for network
 * byte order. Records that a packet reads are sized so that one lookup touches
 * one cache line.
 *
 *   packet --> slc_vip (address) --> slc_port (protocol, port) --> slc_service
 *                                                                     |
 *        slc_template <-- slc_member <-- slot <-- ring descriptor <---+
 */

#include "limits.h"

#ifdef __cplusplus
#include <cstdint>
using slc_u8 = std::uint8_t;
using slc_u16 = std::uint16_t;
using slc_u32 = std::uint32_t;
using slc_u64 = std::uint64_t;
using slc_s32 = std::int32_t;
using slc_s64 = std::int64_t;
#define SLC_ASSERT_SIZE(type, size) static_assert(sizeof(type) == (size), #type)
#else
#include <linux/types.h>
typedef __u8 slc_u8;
typedef __u16 slc_u16;
typedef __u32 slc_u32;
typedef __u64 slc_u64;
typedef __s32 slc_s32;
typedef __s64 slc_s64;
#define SLC_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif

/* Changes whenever a layout or a meaning below does; kept in the instance's metadata. */
#define SLC_ABI_VERSION 4

/* ---- verdicts, stages, reasons ---- */

enum slc_verdict {
    SLC_VERDICT_DROP = 0,     /* XDP_DROP */
    SLC_VERDICT_PASS = 1,     /* XDP_PASS: Linux goes on with it */
    SLC_VERDICT_TX = 2,       /* XDP_TX: back out of the interface it came from */
    SLC_VERDICT_REDIRECT = 3, /* XDP_REDIRECT: out of another interface */
};

enum slc_stage {
    SLC_STAGE_ENTRY = 0,
    SLC_STAGE_PARSE = 1,
    SLC_STAGE_GUARD = 2,
    SLC_STAGE_SERVICE = 3,
    SLC_STAGE_PICK = 4,
    SLC_STAGE_FORWARD = 5,
    SLC_STAGE_ICMP = 6,
    SLC_STAGE_FRAG = 7,
    SLC_STAGE_TOO_BIG = 8,
    SLC_STAGE_DECAP = 9,
    SLC_STAGE_REJECT = 10,
    SLC_STAGE_COUNT,
};

enum slc_reason {
#define SLC_REASON(symbol, label, text, remedy) SLC_REASON_##symbol,
#include "reasons.def"
#undef SLC_REASON
    SLC_REASON_COUNT,
};

/* Family and protocol of a packet, as far as it was read: one index of the counters. */
enum slc_famproto {
    SLC_FAMPROTO_OTHER = 0, /* not IP, or unreadable */
    SLC_FAMPROTO_IP4_TCP = 1,
    SLC_FAMPROTO_IP4_UDP = 2,
    SLC_FAMPROTO_IP4_ICMP = 3,
    SLC_FAMPROTO_IP4_OTHER = 4,
    SLC_FAMPROTO_IP6_TCP = 5,
    SLC_FAMPROTO_IP6_UDP = 6,
    SLC_FAMPROTO_IP6_ICMP = 7,
    SLC_FAMPROTO_IP6_OTHER = 8,
    SLC_FAMPROTO_COUNT = 16, /* a power of two: rows of slc_reason_counters */
};

/* What is known of a packet when it leaves. Zero: not known, or none. */
struct slc_exit_record {
    slc_u8 verdict;   /* enum slc_verdict */
    slc_u8 stage;     /* enum slc_stage: the one that decided */
    slc_u16 reason;   /* enum slc_reason */
    slc_u32 service;  /* service id */
    slc_u32 member;   /* member id */
    slc_u32 customer; /* customer id */
    slc_u32 policy;   /* policy id */
    slc_u32 mitigation;
    slc_u32 famproto; /* enum slc_famproto */
    slc_u32 len;      /* bytes of the frame as received, Ethernet header included */
};
SLC_ASSERT_SIZE(struct slc_exit_record, 32);

/* One per CPU in every counter map. Counts only ever grow. */
struct slc_counter {
    slc_u64 packets;
    slc_u64 bytes; /* of frames as received, Ethernet header included, FCS not */
};
SLC_ASSERT_SIZE(struct slc_counter, 16);

/* Per service: what was handled, and the part of it that was dropped. */
struct slc_service_counter {
    slc_u64 packets;
    slc_u64 bytes;
    slc_u64 dropped_packets;
    slc_u64 dropped_bytes;
};
SLC_ASSERT_SIZE(struct slc_service_counter, 32);

/*
 * Rows of slc_reason_counters: reason and family of packets, apart for each interface they came by,
 * as far as interfaces differ in ifindex modulo SLC_INTERFACE_ROWS. One look-up counts all three. A
 * map of the versions before has the first of the interface rows alone.
 */
#define SLC_INTERFACE_ROWS 8 /* a power of two */
#define SLC_REASON_ROWS 128
#define SLC_REASON_INDEX(ifindex, reason, famproto)                                   \
    ((((ifindex) & (SLC_INTERFACE_ROWS - 1)) * SLC_REASON_ROWS + (slc_u32)(reason)) * \
         SLC_FAMPROTO_COUNT +                                                         \
     ((famproto) & (SLC_FAMPROTO_COUNT - 1)))

/* slc_drop_counters: drops of a service (0: none) by reason, at service * SLC_DROP_ROWS +
 * slc_drop_row(). A reason that is not named here shares row 0. */
#define SLC_DROP_ROWS 16
#define SLC_DROP_REASONS(X)    \
    X(1, NO_BACKEND)           \
    X(2, BACKEND_UNRESOLVED)   \
    X(3, TOO_BIG_DF_CLEAR)     \
    X(4, TOO_BIG_UNANSWERED)   \
    X(5, HEADROOM)             \
    X(6, MAP_MISSED)           \
    X(7, TAIL_MISSED)          \
    X(8, FRAG_UNKNOWN)         \
    X(9, ICMP_RATE)            \
    X(10, ICMP_QUOTE_MISMATCH) \
    X(11, REJECTED_UNANSWERED)

/* ---- the node ---- */

/* What the loaded program can do. What is not set here is not in the program after loading: the
 * verifier removes branches on constants of .rodata. */
#define SLC_FEATURE_IP4 (1u << 0)     /* some VIP is IPv4 */
#define SLC_FEATURE_IP6 (1u << 1)     /* some VIP is IPv6 */
#define SLC_FEATURE_PREFIX4 (1u << 2) /* IPv4 VIP prefixes or protected prefixes */
#define SLC_FEATURE_PREFIX6 (1u << 3)
#define SLC_FEATURE_RANGES (1u << 4)   /* services on port ranges */
#define SLC_FEATURE_ANY_PORT (1u << 5) /* services on any port */
#define SLC_FEATURE_DECAP (1u << 6)    /* strips tunnels of other balancers (co-located) */
#define SLC_FEATURE_NEXT (1u << 7)     /* a foreign program receives what goes to Linux */
#define SLC_FEATURE_OWNERS (1u << 8)   /* some service or prefix has a customer or a policy */
#define SLC_FEATURE_IPIP (1u << 9)
#define SLC_FEATURE_GRE (1u << 10)
#define SLC_FEATURE_GUE (1u << 11)
#define SLC_FEATURE_L2 (1u << 12)
#define SLC_FEATURE_LOCAL (1u << 13)
#define SLC_FEATURE_OUTER4 (1u << 14) /* some template has an IPv4 outer header */
#define SLC_FEATURE_OUTER6 (1u << 15)
#define SLC_FEATURE_DSCP_COPY (1u << 16)
#define SLC_FEATURE_AFFINITY_SOURCE (1u << 17)
#define SLC_FEATURE_AFFINITY_SOURCE_PORT (1u << 18)
#define SLC_FEATURE_TRACKING (1u << 19)      /* some service remembers flows */
#define SLC_FEATURE_FLOWS_OLD (1u << 20)     /* a flow table of another size is being left */
#define SLC_FEATURE_CONNECTION_ID (1u << 21) /* some service routes QUIC by connection id */
#define SLC_FEATURE_TCP_SERVER_ID (1u << 22) /* some service routes TCP by server id */
#define SLC_FEATURE_PROOF (1u << 23)  /* a twin: the clock and the answer are in slc_proof_value */
#define SLC_FEATURE_SAMPLE (1u << 24) /* one packet of 2^sample_log2 is kept in slc_samples */
#define SLC_FEATURE_TAP (1u << 25)    /* somebody captures: packets go to slc_tap_events, too */
#define SLC_FEATURE_UNCOUNTED (1u << 26) /* of benchmarks only: what counting costs */
#define SLC_FEATURE_REJECT (1u << 27)    /* some service answers while it has no backend */

/* Constants of the program, in .rodata: the specialisation. */
struct slc_node {
    slc_u64 ring_key[2];  /* secret of the flow hash and of fragment tags; equal in a whole fleet */
    slc_u64 table_key[2]; /* secret of this generation's own tables (VIPs, ports) */
    slc_u64 tunnel6_host_mask_be; /* low 64 bits of an IPv6 outer source that carry entropy */
    slc_u32 tunnel4_host_mask_be; /* bits of an IPv4 outer source that carry entropy */
    slc_u32 features;             /* SLC_FEATURE_* */
    slc_u32 vip_mask;             /* slots of the VIP table, minus one */
    slc_u32 port_mask;            /* buckets of the port table, minus one */
    slc_u32 frag_mask;            /* buckets of the fragment table, minus one */
    slc_u32 icmp_rate;            /* answers to ICMP per second and CPU, 1.. */
    slc_u32 icmp_burst;           /* answers at once, 1..icmp_rate */
    slc_u32 generation;
    /* The tables: where each lies in slc_plan or slc_live, in bytes, and how many records it has.
     * The VIPs start slc_plan, the ring descriptors slc_live. */
    slc_u32 vips;
    slc_u32 ports;
    slc_u32 ports_at;
    slc_u32 services;
    slc_u32 services_at;
    slc_u32 rings;
    slc_u32 slots;
    slc_u32 slots_at;
    slc_u32 members;
    slc_u32 members_at;
    slc_u32 templates;
    slc_u32 templates_at;
    slc_u32 accounts; /* one for each group, and [0], what none of them has reserved */
    slc_u32 accounts_at;
    slc_u16 gue_port_be; /* destination port of GUE, 6080 by IANA */
    /* The flow table (flow.h): log2 of its buckets, and of the nanoseconds of its tick. */
    slc_u8 flow_log2;
    slc_u8 flow_shift;
    slc_u8 flow_old_log2; /* of the table that is being left; see SLC_FEATURE_FLOWS_OLD */
    slc_u8 flow_old_shift;
    slc_u8 sample_log2; /* one packet of 2^sample_log2 with each reason and family is sampled */
    slc_u8 zero[1];
};
SLC_ASSERT_SIZE(struct slc_node, 136);

/* Constants of the canary's root program, in .rodata.canary. The hash of a source address is that
 * of hash.h over its words and this key; those whose high 32 bits are below `share` are the
 * canary's. */
struct slc_canary {
    slc_u64 key[2];
    slc_u64 share; /* 0..2^32; 2^32: all, also what is not IP */
};
SLC_ASSERT_SIZE(struct slc_canary, 24);

/* ---- destination -> service ---- */

#define SLC_VIP_USED (1u << 0)
#define SLC_VIP_IP6 (1u << 1)
#define SLC_VIP_MORE (1u << 2) /* some address that hashes here first lives in its second slot */
#define SLC_VIP_PASS_UNMATCHED (1u << 3) /* no such port: pass to Linux instead of a drop */
#define SLC_VIP_RANGES (1u << 4)         /* some service of it is on a port range */
#define SLC_VIP_PROTECTED \
    (1u << 5) /* a protected prefix: no VIP, but customer and policy are counted */
#define SLC_VIP_ENDPOINT (1u << 6) /* an address of this node where tunnels of balancers end */

/*
 * A virtual address. The first vip_mask + 1 records are a table with two possible slots for each
 * address (slc_vip_hash); the records after it are those of prefixes, reached through an LPM trie
 * whose value is the record's index. IPv4 addresses lie in addr_be[3], the rest is zero.
 */
struct slc_vip {
    slc_u32 addr_be[4];
    slc_u32 flags;   /* SLC_VIP_* */
    slc_u32 vip;     /* number of this VIP in slc_port and slc_ranges, 1.. */
    slc_u32 any_tcp; /* service id for any TCP port, or 0 */
    slc_u32 any_udp;
    slc_u32 ranges_tcp; /* index into slc_ranges, or 0 */
    slc_u32 ranges_udp;
    slc_u32 customer;
    slc_u32 policy;
    slc_u32 zero[4];
};
SLC_ASSERT_SIZE(struct slc_vip, 64);

/* (VIP, protocol, port) -> service; four to a bucket, two possible buckets for each key. */
struct slc_port {
    slc_u32 vip; /* 0: free */
    slc_u16 port_be;
    slc_u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
    slc_u8 more;  /* entry 0 only: some key that hashes here first is in its second bucket */
    slc_u32 service;
    slc_u32 zero;
};
SLC_ASSERT_SIZE(struct slc_port, 16);

#define SLC_PORT_WAYS 4
struct slc_port_bucket {
    struct slc_port entry[SLC_PORT_WAYS];
};
SLC_ASSERT_SIZE(struct slc_port_bucket, 64);

/* Port ranges of one VIP and protocol, ascending, without overlap; host byte order, inclusive.
 * Unused places hold first = 0xffff, last = 0. Searched by bisection: the same cost for all. */
struct slc_ranges {
    slc_u16 first[SLC_MAX_RANGES_PER_VIP];
    slc_u16 last[SLC_MAX_RANGES_PER_VIP];
    slc_u32 service[SLC_MAX_RANGES_PER_VIP];
};
SLC_ASSERT_SIZE(struct slc_ranges, 512);

enum slc_forward {
    SLC_FORWARD_IPIP = 0,  /* protocol 4 or 41 in IPv4 or IPv6 */
    SLC_FORWARD_GRE = 1,   /* RFC 2784, no key, no sequence */
    SLC_FORWARD_GUE = 2,   /* draft-ietf-intarea-gue variant 0, no extension */
    SLC_FORWARD_L2 = 3,    /* Ethernet header rewritten, IP untouched */
    SLC_FORWARD_LOCAL = 4, /* passed to this node's Linux */
};

enum slc_affinity {
    SLC_AFFINITY_FIVE_TUPLE = 0,
    SLC_AFFINITY_SOURCE = 1,
    SLC_AFFINITY_SOURCE_PORT = 2,
};

#define SLC_SERVICE_DSCP_COPY                                          \
    (1u << 0) /* outer DSCP from the packet (RFC 2983 uniform); else 0 \
               */

#define SLC_SERVICE_TRACK_ALWAYS (1u << 1) /* every new flow is remembered */
#define SLC_SERVICE_TRACK_NEVER                                      \
    (1u << 2) /* none is: packets follow `current`, whatever happens \
               */

/* Without a backend that may take traffic its packets are answered: TCP with a reset, UDP with ICMP
 * port unreachable. */
#define SLC_SERVICE_REJECT (1u << 3)

/* How a packet may name its backend itself. */
enum slc_id_format {
    SLC_ID_NONE = 0,
    SLC_ID_TCP_OPTION = 1, /* Katran's TCP option: kind 0xB7, length 6, 32 bits */
    SLC_ID_QUIC_LB = 2,    /* draft-ietf-quic-load-balancers, plaintext */
    SLC_ID_KATRAN = 3,     /* Katran's QUIC connection ids, versions 1, 2 and 3 */
};

/* Index: service id. */
struct slc_service {
    slc_u32 ring;    /* index into slc_rings */
    slc_u8 forward;  /* enum slc_forward */
    slc_u8 affinity; /* enum slc_affinity */
    slc_u8 flags;    /* SLC_SERVICE_* */
    slc_u8 dscp;     /* outer DSCP, 0..63, when not copied */
    slc_u32 customer;
    slc_u32 policy;
    slc_u32 group;                     /* number of the group in this generation, 1.. */
    slc_u8 lifetime[SLC_FLOW_CLASSES]; /* ticks of the flow table, by enum slc_flow_class */
    slc_u8 id_format;                  /* enum slc_id_format */
    slc_u8 id_len;                     /* QUIC-LB: bytes of the server id, 1..15 */
    slc_u8 id_rotation;                /* QUIC-LB: value of the first three bits, 0..6 */
    slc_u8 zero;
    slc_u32 family; /* of its group; see slc_member */
};
SLC_ASSERT_SIZE(struct slc_service, 32);

/* ---- rings, slots, members ---- */

/*
 * A ring descriptor: where its slots start in the slot pool and how many there are, in one
 * aligned word, so that one store moves both (a ring's size is never kept beside it).
 * Bits 0..31 offset, bits 32..39 log2 of the size, bit 40 how it was built (for user space that
 * finds the ring without its configuration), bit 63 set when the ring exists.
 */
#define SLC_RING_VALID (1ull << 63)
#define SLC_RING_RENDEZVOUS (1ull << 40)
#define SLC_RING_OFFSET(ring) ((slc_u32)(ring))
#define SLC_RING_LOG2(ring) ((slc_u32)((ring) >> 32) & 0x1f)
#define SLC_RING_MAKE(offset, log2) \
    (SLC_RING_VALID | ((slc_u64)(log2) << 32) | (slc_u64)(slc_u32)(offset))

/*
 * A slot: bits 0..19 current member, 20..39 previous member, then flags. Unmarked, only `current`
 * is read. One aligned word: user space moves it by compare-and-exchange, because the data plane
 * sets REFUSED in it. What the flags mean to a packet is said in flow.h, who sets them when in
 * src/plan/transition.h.
 */
#define SLC_SLOT_MEMBER_MASK 0xfffffull
#define SLC_SLOT_MARKED (1ull << 40)  /* the flow table is asked */
#define SLC_SLOT_OPEN (1ull << 41)    /* what nobody remembers is old: it goes to `previous` */
#define SLC_SLOT_REFUSED (1ull << 42) /* set by the data plane: a flow found no room */
#define SLC_SLOT_HELD (1ull << 43)    /* new flows go to `previous` too, until refusals cease */
#define SLC_SLOT_CURRENT(slot) ((slc_u32)((slot) & SLC_SLOT_MEMBER_MASK))
#define SLC_SLOT_PREVIOUS(slot) ((slc_u32)(((slot) >> 20) & SLC_SLOT_MEMBER_MASK))
#define SLC_SLOT_MAKE(current, previous, flags) \
    ((slc_u64)(current) | ((slc_u64)(previous) << 20) | (flags))

/* Which header template of a member a packet takes. */
#define SLC_VARIANT(forward, inner_is_ip6) (((forward) << 1) | (inner_is_ip6))

/* Index: member id. A cell of 0 means: not resolved. One aligned store moves a member to a
 * freshly written cell; the old one is reused after a grace period. */
struct slc_member {
    slc_u32 cell[SLC_VARIANTS]; /* index into slc_templates, by SLC_VARIANT */
    slc_u32 flags;              /* SLC_MEMBER_* */
    slc_u32 group;              /* number in this generation; 0: no such member */
    /* Not read by packets: so that a configuration can be read back from its maps alone. */
    slc_u32 addr_be[4]; /* IPv4 in word 3, the rest zero */
    slc_u16 weight;     /* as configured */
    slc_u8 state;       /* as configured: enum slc_member_state; RETIRED: no backend any more */
    slc_u8 is_ip6;
    /* Groups that fall back on one another, directly or not, are a family, called after the last
     * one of their chain: flows of their services may be remembered for members of each. */
    slc_u32 family;
};

enum slc_member_state {
    SLC_MEMBER_STATE_READY = 0,
    SLC_MEMBER_STATE_DRAIN = 1,
    SLC_MEMBER_STATE_MAINT = 2,
    SLC_MEMBER_STATE_RETIRED = 3,
};

SLC_ASSERT_SIZE(struct slc_member, 64);

/* Of a member or a service, also of one that an earlier version has written without it. */
#define SLC_FAMILY_OF(record) ((record).family ? (record).family : (record).group)

#define SLC_MEMBER_DOWN (1u << 1) /* failed: what is remembered for it is void */

#define SLC_MEMBER_LOCAL                                                    \
    (1u << 0) /* the backend is this very node: deliver, do not encapsulate \
               */

#define SLC_TEMPLATE_IP6 (1u << 0) /* the outer header is IPv6 */
#define SLC_TEMPLATE_UDP (1u << 1) /* GUE: a UDP header follows the outer IP header */
#define SLC_TEMPLATE_L2 (1u << 2)  /* no outer IP header */

/*
 * A whole outer header, ready to be copied: Ethernet, VLAN tags, IP, then GRE or UDP and GUE.
 * The data plane patches length, source entropy, traffic class and checksum:
 *   - IPv4: `ip_sum` is the one's-complement sum (not folded into 16 bits twice, not inverted) of
 *     the outer header with total length, TOS, checksum and the entropy bits of the source zero.
 *   - GUE over IPv6: `udp_sum` is the sum of the pseudo header (source with its entropy bits zero,
 *     destination, protocol), the ports with a zero source port, and the GUE header;
 *     lengths are added by the data plane. GUE over IPv4 carries checksum 0 (RFC 768).
 */
struct slc_template {
    slc_u32 ifindex; /* interface the packet leaves by */
    slc_u32 ip_sum;  /* see above; sum of 16-bit words in network order, as __wsum */
    slc_u32 udp_sum;
    slc_u16 mtu;   /* of the egress: longest IP packet it takes, bytes */
    slc_u8 len;    /* bytes of `hdr` in use */
    slc_u8 l2_len; /* of them Ethernet and VLAN: 14, 18 or 22 */
    slc_u8 flags;  /* SLC_TEMPLATE_* */
    slc_u8 zero[15];
    slc_u8 hdr[SLC_TEMPLATE_LEN];
};
SLC_ASSERT_SIZE(struct slc_template, 128);

/* ---- remembered flows (flow.h) ---- */

/*
 * How much of the flow table a group may use. Entries up to `share` are its own; beyond, up to
 * `ceiling`, it takes from account 0, whose `ceiling` is what no group has reserved. `used` is
 * raised by the data plane with each entry made and lowered by whoever frees one.
 */
struct slc_account {
    slc_u64 used;
    slc_u64 share;
    slc_u64 ceiling;
    slc_u64 zero[5];
};
SLC_ASSERT_SIZE(struct slc_account, 64);

/* Per service and CPU. Counts of packets in marked slots and of services tracked always. */
struct slc_flow_counter {
    slc_u64 hits;
    slc_u64 misses;
    slc_u64 inserts;
    slc_u64 refused_full;    /* every place of the bucket is taken by a live flow */
    slc_u64 refused_ceiling; /* the group, or all groups together, may not take more */
    slc_u64 held;            /* new flows that went to `previous` because others were refused */
    slc_u64 ids_unknown;     /* connection ids and server ids that name no backend */
    slc_u64 zero;
};
SLC_ASSERT_SIZE(struct slc_flow_counter, 64);

/* Key of slc_server_ids: what a packet calls its backend. The value is a member id. */
struct slc_server_id {
    slc_u32 group; /* number in this generation */
    slc_u8 len;    /* bytes of `id`; 4 for all but QUIC-LB */
    slc_u8 id[15]; /* network byte order, left-aligned, the rest zero */
};
SLC_ASSERT_SIZE(struct slc_server_id, 20);

/* ---- fragments ---- */

/* `tag` is the keyed 64-bit hash of (source, destination, identification, protocol); 0 is free.
 * A writer clears tag, writes the rest, then sets tag; a reader checks tag again afterwards. */
struct slc_frag {
    slc_u64 tag;
    slc_u32 member_stamp; /* bits 0..19 member id, 20..31 seconds of the boot clock, modulo 4096 */
    slc_u32 service;
};
SLC_ASSERT_SIZE(struct slc_frag, 16);

struct slc_frag_bucket {
    struct slc_frag entry[SLC_FRAG_WAYS];
};
SLC_ASSERT_SIZE(struct slc_frag_bucket, 64);

/* ---- rate limiter, one per CPU ---- */

struct slc_limiter {
    slc_u64 refilled_ns; /* CLOCK_MONOTONIC, coarse */
    slc_u64 tokens_milli;
};
SLC_ASSERT_SIZE(struct slc_limiter, 16);

/* ---- samples ---- */

#define SLC_SAMPLES_PER_CPU 256 /* a power of two; the oldest give way */
#define SLC_SAMPLE_LEN 192

/*
 * A packet as it was received, from its IP header on, and what became of it. Index into
 * slc_samples: cpu * SLC_SAMPLES_PER_CPU + (n & (SLC_SAMPLES_PER_CPU - 1)), where `n` counts the
 * samples of that CPU. A writer sets `seq` to 0, writes the rest, then sets it to n + 1; a reader
 * takes what has the same seq, not 0, before and after.
 */
struct slc_sample {
    slc_u64 seq;
    slc_u64 time_ns; /* CLOCK_MONOTONIC, coarse */
    struct slc_exit_record rec;
    slc_u32 ifindex;  /* by which it came */
    slc_u16 proto_be; /* Ethernet type of what `data` holds */
    slc_u16 cap_len;  /* bytes of `data` in use */
    slc_u32 hash;     /* flow hash, low bits; 0: none was made */
    slc_u16 queue;    /* of the interface */
    slc_u16 flags;    /* SLC_SAMPLE_* */
    slc_u8 data[SLC_SAMPLE_LEN];
};
SLC_ASSERT_SIZE(struct slc_sample, 256);

/* Taken beside the regular ones, because nothing of its reason was for a while: it stands for
 * itself alone, not for 2^sample_log2 packets. Only of drops, so that rare ones are seen. */
#define SLC_SAMPLE_EXTRA (1u << 0)

/*
 * Who sends most: a sketch that regular samples fill, one for each CPU. A sample raises its way, or
 * lowers the rank of the weakest of its bucket, whose place it takes when that is zero; so that
 * whoever sends much stays, and memory is bounded. Counts are weighted by 2^sample_log2, and begin
 * anew when a way changes hands. Zero packets: free.
 */
#define SLC_TALKER_WAYS 4
#define SLC_TALKER_BUCKETS 512 /* a power of two */
#define SLC_TALKER_MAX_RANK 1024

struct slc_talker {
    slc_u32 addr_be[4]; /* source; IPv4 in word 3, the rest zero */
    slc_u32 service;
    slc_u32 rank;
    slc_u64 packets;
    slc_u64 bytes;
    slc_u64 dropped_packets;
};
SLC_ASSERT_SIZE(struct slc_talker, 48);

struct slc_talker_bucket {
    struct slc_talker way[SLC_TALKER_WAYS];
};
SLC_ASSERT_SIZE(struct slc_talker_bucket, 192);

/* ---- the tap: packets that somebody captures (SLC_FEATURE_TAP) ---- */

#define SLC_TAP_ENTRY (1u << 0) /* as received */
#define SLC_TAP_EXIT (1u << 1)  /* as it leaves; nothing of what is dropped */
#define SLC_TAP_MAX_SNAP 16384  /* bytes, a power of two; SLC_MAX_FRAME_LEN */
#define SLC_TAP_MAX_IDS 16      /* services and members that can be asked for */

/* Constants of the tapped programs, in .rodata.tap. Every condition must hold. */
struct slc_tap {
    slc_u64 reasons[4]; /* a bit for each; all set: any */
    slc_u32 verdicts;   /* a bit for each */
    slc_u32 at;         /* SLC_TAP_ENTRY, SLC_TAP_EXIT */
    slc_u32 snap;       /* bytes of each packet, 1..SLC_TAP_MAX_SNAP */
    slc_u32 one_in;     /* of the packets that match, 1.. */
    slc_u32 services;   /* entries of service[] in use; 0: any */
    slc_u32 members;    /* likewise */
    slc_u32 service[SLC_TAP_MAX_IDS];
    slc_u32 member[SLC_TAP_MAX_IDS];
};
SLC_ASSERT_SIZE(struct slc_tap, 184);

/* In slc_tap_events. Behind it in_cap bytes as received, then out_cap bytes as sent. */
struct slc_tap_event {
    slc_u64 time_ns; /* CLOCK_MONOTONIC, at entry */
    slc_u64 number;  /* of this CPU, 1.. */
    struct slc_exit_record rec;
    slc_u32 ifindex; /* by which it came */
    slc_u32 queue;
    slc_u32 generation;
    slc_u32 cpu;
    slc_u32 in_len; /* of the whole frame; rec.len */
    slc_u32 in_cap;
    slc_u32 out_len;
    slc_u32 out_cap;
};
SLC_ASSERT_SIZE(struct slc_tap_event, 80);

/* One for each CPU: matched = written into the ring + lost + skipped. */
struct slc_tap_count {
    slc_u64 seen;    /* packets that met the tapped programs */
    slc_u64 matched; /* of them, every condition held */
    slc_u64 skipped; /* of them, left out because of one_in */
    slc_u64 lost;    /* of the rest, the ring was full */
};
SLC_ASSERT_SIZE(struct slc_tap_count, 32);

/* ---- keys of LPM tries ---- */

struct slc_lpm4 {
    slc_u32 prefix_len;
    slc_u32 addr_be;
};
SLC_ASSERT_SIZE(struct slc_lpm4, 8);

struct slc_lpm6 {
    slc_u32 prefix_len;
    slc_u32 addr_be[4];
};
SLC_ASSERT_SIZE(struct slc_lpm6, 20);
