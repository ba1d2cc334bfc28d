/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * What a twin differs in (SLC_FEATURE_PROOF, src/kernel/twin.h): it is told what time it is, and it
 * says how it came to its verdict. Both are in one value of a map that no other program has. All
 * else of a twin is what runs: it writes its state as that does, and has a copy of its own.
 */

#include "lib/maps.h"

SLC_MAP(slc_proof_value, BPF_MAP_TYPE_ARRAY, __u32, struct slc_proof, BPF_F_MMAPABLE);

/* The value, in a twin; else NULL, which leaves nothing of the branch that asks. */
SLC_INLINE struct slc_proof *slc_proof_of(const struct slc_pkt *pkt)
{
    __u32 zero = 0;

    return SLC_HAS(PROOF) ? bpf_map_lookup_elem(&slc_proof_value, &zero) : NULL;
}

/* CLOCK_MONOTONIC, coarse: 4 ns to read, moves every tick. The only clock of this folder by which
 * anything is decided. */
SLC_INLINE __u64 slc_clock_ns(const struct slc_pkt *pkt)
{
    if (SLC_HAS(PROOF)) {
        const struct slc_proof *proof = slc_proof_of(pkt);

        return proof ? *(volatile __u64 *)&proof->clock_ns : 0;
    }
    return bpf_ktime_get_coarse_ns();
}
