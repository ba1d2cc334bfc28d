/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Probes of health checks, at TC egress: packets that the checker has marked get the header in
 * front that clients' packets would get, and leave by the interface that the header says. All
 * others go on as they are, after one comparison.
 *
 * The inner checksum need not be there yet (CHECKSUM_PARTIAL): the kernel or the NIC completes it,
 * knowing where it is. GUE over IPv6 needs a checksum over all of that, which follows from the
 * pseudo header alone ("local checksum offload", Documentation/networking/checksum-offloads.rst):
 * whole TCP, UDP and ICMPv6 sum up to their IP header less their pseudo header, IPv4 with ICMP to
 * nothing.
 */
#include "lib/csum.h"

#include <linux/pkt_cls.h>

#include "sluice/probe.h"

char _license[] SEC("license") = "Dual BSD/GPL";

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, struct slc_probe_target);
} slc_probe_targets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SLC_PROBE_OUTCOMES);
    __type(key, __u32);
    __type(value, struct slc_counter);
} slc_probe_counters SEC(".maps");

/* The packet as the checker sent it. */
struct slc_probe {
    __u64 sum; /* of its bytes from the IP header on, as its checksums leave it */
    __u32 len; /* of the same */
    int is_ip6;
};

SLC_INLINE void slc_probe_count(__u32 outcome, __u32 len)
{
    struct slc_counter *counter = bpf_map_lookup_elem(&slc_probe_counters, &outcome);

    if (!counter)
        return;
    counter->packets++;
    counter->bytes += len;
}

/* The pseudo header: addresses, length and protocol (RFC 9293 3.1, RFC 8200 8.1). */
SLC_INLINE __u64 slc_probe_pseudo6(const struct slc_ip6 *ip)
{
    __u64 sum = ip->payload_len_be + bpf_htons(ip->next);

    for (int i = 0; i < 4; i++)
        sum += slc_csum_word32(ip->src_be[i]) + slc_csum_word32(ip->dst_be[i]);
    return sum;
}

SLC_INLINE __u64 slc_probe_words6(const struct slc_ip6 *ip)
{
    __u64 sum = slc_csum_word32(ip->version_class_flow_be) + ip->payload_len_be;

    sum += bpf_htons((__u16)(ip->next << 8 | ip->hop_limit));
    for (int i = 0; i < 4; i++)
        sum += slc_csum_word32(ip->src_be[i]) + slc_csum_word32(ip->dst_be[i]);
    return sum;
}

SLC_INLINE int slc_probe_read(struct __sk_buff *skb, struct slc_probe *probe)
{
    probe->len = skb->len - ETH_HLEN;
    probe->is_ip6 = skb->protocol == SLC_ETH_IP6;
    if (probe->is_ip6) {
        struct slc_ip6 ip;

        if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof ip))
            return -1;
        probe->sum = slc_probe_words6(&ip) + (__u16)~slc_csum_fold(slc_probe_pseudo6(&ip));
        return 0;
    }
    if (skb->protocol == SLC_ETH_IP4) {
        struct slc_ip4 ip;
        __u64 pseudo;

        if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof ip))
            return -1;
        /* Its header sums up to nothing, and so does ICMP. */
        pseudo = slc_csum_word32(ip.src_be) + slc_csum_word32(ip.dst_be) + bpf_htons(ip.proto) +
                 bpf_htons((__u16)(probe->len - (ip.version_ihl & 15) * 4));
        probe->sum = ip.proto == IPPROTO_ICMP ? 0 : (__u16)~slc_csum_fold(pseudo);
        return 0;
    }
    return -1;
}

/* Ethernet, and the tags: the inner one first. */
SLC_INLINE int slc_probe_put_link(struct __sk_buff *skb, const struct slc_template *tmpl)
{
    __u16 type_be = *(const __u16 *)(tmpl->hdr + ((tmpl->l2_len - 2) & 31));

    if (bpf_skb_store_bytes(skb, 0, tmpl->hdr, 2 * ETH_ALEN, 0) ||
        bpf_skb_store_bytes(skb, 2 * ETH_ALEN, &type_be, sizeof type_be, 0))
        return -1;
    for (int at = 18; at >= 14; at -= 4) {
        const __u16 *tag = (const __u16 *)(tmpl->hdr + at - 2);

        if (tmpl->l2_len < at + 4)
            continue;
        if (bpf_skb_vlan_push(skb, tag[0], bpf_ntohs(tag[1])))
            return -1;
    }
    return 0;
}

SLC_INLINE int slc_probe_put_udp(struct __sk_buff *skb, const struct slc_probe *probe,
                                 const struct slc_template *tmpl, __u32 at)
{
    __u16 len_be = bpf_htons((__u16)(SLC_GUE_LEN + probe->len));
    __u16 sport_be = 0x00c0; /* 49152, what an entropy of zero makes */
    __u16 csum = 0;

    if (tmpl->flags & SLC_TEMPLATE_IP6) {
        csum = ~slc_csum_fold((__u64)tmpl->udp_sum + sport_be + len_be + len_be + probe->sum);
        csum = csum ? csum : 0xffff;
    }
    if (bpf_skb_store_bytes(skb, at, &sport_be, 2, 0) ||
        bpf_skb_store_bytes(skb, at + 4, &len_be, 2, 0) ||
        bpf_skb_store_bytes(skb, at + 6, &csum, 2, 0))
        return -1;
    return 0;
}

/* The outer IP header and what follows it; `overhead` is their length. */
SLC_INLINE int slc_probe_put_outer(struct __sk_buff *skb, const struct slc_probe *probe,
                                   const struct slc_template *tmpl, __u32 overhead)
{
    const void *from = tmpl->hdr + (tmpl->l2_len & 31);
    int is_ip6 = tmpl->flags & SLC_TEMPLATE_IP6;
    __u32 ip_len = is_ip6 ? SLC_IP6_LEN : SLC_IP4_LEN;
    __u16 len_be = bpf_htons((__u16)(probe->len + overhead - (is_ip6 ? SLC_IP6_LEN : 0)));
    int failed;

    failed = is_ip6 ? bpf_skb_store_bytes(skb, ETH_HLEN, from, SLC_IP6_LEN, 0)
                    : bpf_skb_store_bytes(skb, ETH_HLEN, from, SLC_IP4_LEN, 0);
    if (overhead == ip_len + SLC_GRE_LEN)
        failed |= bpf_skb_store_bytes(skb, ETH_HLEN + ip_len,
                                      from + (is_ip6 ? SLC_IP6_LEN : SLC_IP4_LEN), SLC_GRE_LEN, 0);
    if (overhead == ip_len + SLC_GUE_LEN)
        failed |= bpf_skb_store_bytes(skb, ETH_HLEN + ip_len,
                                      from + (is_ip6 ? SLC_IP6_LEN : SLC_IP4_LEN), SLC_GUE_LEN, 0);
    if (is_ip6) {
        failed |= bpf_skb_store_bytes(
            skb, ETH_HLEN + __builtin_offsetof(struct slc_ip6, payload_len_be), &len_be, 2, 0);
    } else {
        __u16 csum = ~slc_csum_fold32(tmpl->ip_sum + len_be);

        failed |= bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct slc_ip4, len_be),
                                      &len_be, 2, 0);
        failed |= bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct slc_ip4, csum),
                                      &csum, 2, 0);
    }
    if (!failed && (tmpl->flags & SLC_TEMPLATE_UDP))
        failed = slc_probe_put_udp(skb, probe, tmpl, ETH_HLEN + ip_len);
    return failed ? -1 : 0;
}

SLC_INLINE __u64 slc_probe_growth(const struct slc_template *tmpl, __u32 overhead)
{
    int is_ip6 = tmpl->flags & SLC_TEMPLATE_IP6;
    __u64 flags = is_ip6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;

    if (tmpl->flags & SLC_TEMPLATE_UDP)
        flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
    else if (overhead == (is_ip6 ? SLC_IP6_LEN : SLC_IP4_LEN) + SLC_GRE_LEN)
        flags |= BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
    return flags;
}

/* Returns 0, or why the probe cannot leave. */
SLC_INLINE __u32 slc_probe_encapsulate(struct __sk_buff *skb, const struct slc_template *tmpl)
{
    __u32 overhead = tmpl->len - tmpl->l2_len;
    struct slc_probe probe;

    if (slc_probe_read(skb, &probe))
        return SLC_PROBE_NOT_IP;
    if (!(tmpl->flags & SLC_TEMPLATE_L2)) {
        if (bpf_skb_adjust_room(skb, (int)overhead, BPF_ADJ_ROOM_MAC,
                                slc_probe_growth(tmpl, overhead)) ||
            slc_probe_put_outer(skb, &probe, tmpl, overhead))
            return SLC_PROBE_NO_ROOM;
    }
    return slc_probe_put_link(skb, tmpl) ? SLC_PROBE_NO_ROOM : 0;
}

SEC("tc")
int slc_probe(struct __sk_buff *skb)
{
    __u32 mark = skb->mark, member = mark & SLC_PROBE_MEMBER_MASK, len = skb->len;
    struct slc_probe_target *target;
    __u32 failed;

    if ((mark & SLC_PROBE_MARK_MASK) != SLC_PROBE_MARK)
        return TC_ACT_UNSPEC;
    target = bpf_map_lookup_elem(&slc_probe_targets, &member);
    failed = target ? slc_probe_encapsulate(skb, &target->tmpl) : SLC_PROBE_NO_TARGET;
    slc_probe_count(failed, len);
    if (failed || !target)
        return TC_ACT_SHOT;
    skb->mark = 0; /* Not again where it leaves. */
    return bpf_redirect(target->tmpl.ifindex, 0);
}
