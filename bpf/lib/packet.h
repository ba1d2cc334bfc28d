/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * What every stage shares: the headers of the kernel, and the packet as the stages before have
 * understood it. A stage that is reached by a tail call finds it in slc_scratch (maps.h).
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "sluice/flow.h"
#include "sluice/hash.h"
#include "sluice/types.h"

#define SLC_INLINE static __always_inline
#define SLC_LIKELY(x) __builtin_expect(!!(x), 1)
#define SLC_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Keeps the compiler from undoing a bound that the verifier needs to see. */
#define SLC_BARRIER(variable) asm volatile("" : "+r"(variable))

/* The constants this program was specialised with: see struct slc_node. A section of its own, so
 * that user space finds it as map ".rodata.node". */
const volatile struct slc_node slc_node SEC(".rodata.node");

/* Whether the configuration asks for something; `pkt` must be in scope. A copy, because each read
 * of a volatile constant stays in the program when the branch on it is gone. */
#define SLC_HAS(feature) (pkt->features & SLC_FEATURE_##feature)

/*
 * Offsets count from the start of the frame. Addresses and ports are in network byte order; IPv4
 * addresses lie in word 3.
 */
struct slc_pkt {
    __u32 src[4];
    __u32 dst[4];
    struct slc_exit_record rec;
    __u64 hash;      /* flow hash, once pick has run */
    __u32 ip_len;    /* bytes from the IP header on, as it says itself */
    __u32 frame_len; /* bytes as received, fragments of a multi-buffer frame included */
    __u16 l3_off;    /* IP header; also the length of Ethernet and VLAN tags */
    __u16 l4_off;    /* transport header */
    __u16 sport_be;
    __u16 dport_be;
    __u8 proto; /* transport protocol */
    __u8 is_ip6;
    __u8 tos;        /* DSCP and ECN */
    __u8 whole;      /* the transport checksum covers what is here: no fragment, no ext headers */
    __u8 frag_first; /* first fragment */
    __u8 tcp_flags;
    __u8 looks_only; /* asks where a flow goes: must not be remembered by it */
    __u16 picked;    /* enum slc_reason: how pick came to its member */
    __u16 frag_off;  /* bytes; 0 for the first */
    __u32 frag_id_be;
    __u32 vip_index; /* into slc_vips */
    __u32 mtu;       /* too_big: longest IP packet that would fit */
    /* Not handed on to another stage, which finds them itself: */
    void *plan;     /* the value of slc_plan */
    void *live;     /* the value of slc_live */
    __u64 features; /* of slc_node */
};

/* IPv4, RFC 791. Our own definitions, because bit-fields hide the byte order. */
struct slc_ip4 {
    __u8 version_ihl;
    __u8 tos;
    __u16 len_be;
    __u16 id_be;
    __u16 frag_be;
    __u8 ttl;
    __u8 proto;
    __u16 csum;
    __u32 src_be;
    __u32 dst_be;
};

/* IPv6, RFC 8200. */
struct slc_ip6 {
    __u32 version_class_flow_be;
    __u16 payload_len_be;
    __u8 next;
    __u8 hop_limit;
    __u32 src_be[4];
    __u32 dst_be[4];
};

struct slc_tcp {
    __u16 sport_be;
    __u16 dport_be;
    __u32 seq_be;
    __u32 ack_be;
    __u8 offset;
    __u8 flags;
    __u16 window_be;
    __u16 csum;
    __u16 urgent_be;
};

#define SLC_TCP_FIN 0x01
#define SLC_TCP_SYN 0x02
#define SLC_TCP_RST 0x04
#define SLC_TCP_ACK 0x10

struct slc_udp {
    __u16 sport_be;
    __u16 dport_be;
    __u16 len_be;
    __u16 csum;
};

struct slc_icmp {
    __u8 type;
    __u8 code;
    __u16 csum;
    __u16 id_be;
    __u16 seq_be;
};

#define SLC_IP4_DF 0x4000
#define SLC_IP4_MF 0x2000
#define SLC_IP4_OFFSET 0x1fff
#define SLC_PROTO_NONE 59
/* Of outer headers, which have no options. */
#define SLC_IP4_LEN 20
#define SLC_IP6_LEN 40
#define SLC_GRE_LEN 4
#define SLC_GUE_LEN 12 /* UDP and GUE headers */
#define SLC_ETH_8021Q bpf_htons(0x8100)
#define SLC_ETH_8021AD bpf_htons(0x88a8)
#define SLC_ETH_IP4 bpf_htons(0x0800)
#define SLC_ETH_IP6 bpf_htons(0x86dd)
