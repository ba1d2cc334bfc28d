/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * What a twin differs in (SLC_FEATURE_PROOF, src/kernel/twin.h): it is told what time it is, and it
 * says how it came to its verdict. Both are in one value of a map that no other program has. All
 * else of a twin is what runs: it writes its state as that does, and has a copy of its own.
 */

#include "lib/maps.h"
#include "sluice/proof.h"

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

/* The record that the destination was found in, if it was. */
SLC_INLINE void slc_tell_vip(const struct slc_pkt *pkt, const struct slc_vip *vip)
{
    struct slc_proof *proof = slc_proof_of(pkt);

    if (!proof || !vip)
        return;
    proof->vip = pkt->vip_index + 1;
    proof->vip_flags = vip->flags;
}

/* The stage that the packet goes on to. */
SLC_INLINE void slc_tell_tail(const struct slc_pkt *pkt, __u32 tail)
{
    struct slc_proof *proof = slc_proof_of(pkt);

    if (proof)
        proof->trail = proof->trail << SLC_PROOF_TRAIL_BITS | (tail + 1);
}

/* What the flow table said. */
SLC_INLINE void slc_tell_flow(const struct slc_pkt *pkt, __u32 member, __u8 how, __u8 insert,
                              __u8 held)
{
    struct slc_proof *proof = slc_proof_of(pkt);

    if (!proof)
        return;
    proof->flow_asked = 1;
    proof->flow_member = member;
    proof->flow_how = how;
    proof->flow_insert = insert;
    proof->flow_held = held;
}

/* What the packet says of its backend, and whom that names. */
SLC_INLINE void slc_tell_id(const struct slc_pkt *pkt, const struct slc_server_id *id, __u8 is_read,
                            __u8 is_by_server, const __u32 *named)
{
    struct slc_proof *proof = slc_proof_of(pkt);

    if (!proof)
        return;
    proof->id_flags = SLC_PROOF_ID_ASKED | (is_read ? SLC_PROOF_ID_READ : 0) |
                      (is_by_server ? SLC_PROOF_ID_BY_SERVER : 0);
    proof->id_member = named ? *named : 0;
    __builtin_memcpy(&proof->id, id, sizeof *id);
}
