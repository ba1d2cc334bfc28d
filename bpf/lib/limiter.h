/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Token buckets of what the node answers itself, two for each CPU, each of icmp_rate per second and
 * icmp_burst at once. Rejections have one of their own: a service that nobody serves gets all that
 * its clients, or a flood, send, and must not take from the "too big" that flows of others need.
 * The clock moves every tick: tokens come in steps of a few milliseconds, which a burst of at least
 * a tick's worth hides.
 */

#include "lib/proof.h"

/* Takes a token; 0 where there is none. */
SLC_INLINE int slc_take_token(const struct slc_pkt *pkt, struct slc_limiter *limiter)
{
    __u64 now = slc_clock_ns(pkt);
    __u64 full = (__u64)slc_node.icmp_burst * 1000;
    __u64 elapsed_us;

    if (!limiter)
        return 0;
    elapsed_us = (now - limiter->refilled_ns) / 1000;
    if (elapsed_us) {
        /* A second fills any bucket: bounds the product below. */
        if (elapsed_us > 1000000)
            elapsed_us = 1000000;
        limiter->tokens_milli += elapsed_us * slc_node.icmp_rate / 1000;
        if (limiter->tokens_milli > full)
            limiter->tokens_milli = full;
        limiter->refilled_ns = now;
    }
    if (limiter->tokens_milli < 1000)
        return 0;
    limiter->tokens_milli -= 1000;
    return 1;
}

/* For an answer to ICMP, or "too big". */
SLC_INLINE int slc_icmp_allowed(const struct slc_pkt *pkt)
{
    __u32 zero = 0;

    return slc_take_token(pkt, bpf_map_lookup_elem(&slc_limiters, &zero));
}

SLC_INLINE int slc_reject_allowed(const struct slc_pkt *pkt)
{
    __u32 zero = 0;

    return slc_take_token(pkt, bpf_map_lookup_elem(&slc_reject_limiters, &zero));
}
