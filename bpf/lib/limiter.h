/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The token bucket of answers to ICMP, one for each CPU: icmp_rate per second, icmp_burst at once.
 * The clock moves every tick: tokens come in steps of a few milliseconds, which a burst of at least
 * a tick's worth hides.
 */

#include "lib/proof.h"

/* Takes a token; 0 where there is none. */
SLC_INLINE int slc_icmp_allowed(const struct slc_pkt *pkt)
{
    __u32 zero = 0;
    struct slc_limiter *limiter = bpf_map_lookup_elem(&slc_limiters, &zero);
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
