/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#pragma once

/*
 * What a proof twin (SLC_FEATURE_PROOF, src/kernel/twin.h) is told, and answers: the verdict, and
 * how it came to it. Nothing of this is in a program that carries traffic.
 */

#include "types.h"

/* What the id in a packet says of its backend (bpf/stage/identity.h). */
#define SLC_PROOF_ID_ASKED (1u << 0)     /* packets of this service may carry one */
#define SLC_PROOF_ID_READ (1u << 1)      /* it carries one: `id` */
#define SLC_PROOF_ID_BY_SERVER (1u << 2) /* a server should have chosen it */

/* The hand-overs of a packet in the order in which they came: four bits each, the last one lowest,
 * 1 + enum slc_tail (bpf/lib/maps.h). Five are the most that there are. */
#define SLC_PROOF_TRAIL_BITS 4
#define SLC_PROOF_TRAIL_MASK ((1ull << SLC_PROOF_TRAIL_BITS) - 1)

/* The only value of slc_proof_value. */
struct slc_proof {
    slc_u64 clock_ns;  /* in: CLOCK_MONOTONIC as the program shall see it */
    slc_u64 hash;      /* out, all below: flow hash, 0 when none was made */
    slc_u64 slot_word; /* of the slot that was read; 0 when none was */
    slc_u32 slot;      /* its place in the slot pool */
    slc_u32 cell;      /* header template that was copied in front; 0: none */
    slc_u32 ring;      /* index of its descriptor */
    slc_u32 answered;  /* 1: a packet has left since user space cleared it */
    struct slc_exit_record rec;
    slc_u64 trail;     /* SLC_PROOF_TRAIL_*: stages that it was handed to */
    slc_u32 vip;       /* 1 + place of the destination's record in slc_vips; 0: it has none */
    slc_u32 vip_flags; /* SLC_VIP_* of that record */
    /* The flow table: struct slc_flow_answer, and whether it was asked at all. */
    slc_u32 flow_member;
    slc_u8 flow_asked;
    slc_u8 flow_how;    /* enum slc_flow_how */
    slc_u8 flow_insert; /* enum slc_flow_insert */
    slc_u8 flow_held;
    slc_u32 id_flags;  /* SLC_PROOF_ID_* */
    slc_u32 id_member; /* whom `id` names, whatever has become of it; 0: nobody */
    struct slc_server_id id;
    slc_u32 zero;
};
SLC_ASSERT_SIZE(struct slc_proof, 128);
