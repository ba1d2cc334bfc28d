/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * What bench/flow_programs.h and bench/bpf/flow.bpf.c say to each other. Both sides include this
 * file. One job for each CPU, in a map that user space has in its memory.
 */

#include "sluice/flow.h"
#include "sluice/types.h"

/* Which table a program asks. */
enum bench_flow_table {
    BENCH_FLOW_NONE = 0,          /* none: what choosing flows costs */
    BENCH_FLOW_SLUICE = 1,        /* abi/sluice/flow_decide.h */
    BENCH_FLOW_LRU = 2,           /* the kernel's LRU hash, one list for all CPUs */
    BENCH_FLOW_LRU_NO_COMMON = 3, /* the same with BPF_F_NO_COMMON_LRU */
    BENCH_FLOW_LRU_PER_CPU = 4,   /* one LRU hash for each CPU, in an array of maps */
    BENCH_FLOW_TABLES,
};

/* What becomes of flows that are not there. Sluice's table is told by slot and kind, and always
 * looks first. */
enum bench_flow_insert {
    BENCH_FLOW_FIND = 0,        /* nothing */
    BENCH_FLOW_INSERT = 1,      /* inserted without a look */
    BENCH_FLOW_FIND_INSERT = 2, /* looked for, then inserted */
};

#define BENCH_FLOW_CPUS 64
#define BENCH_FLOW_MEMBERS 1024
#define BENCH_FLOW_OUTCOMES 4096 /* packets of a job whose outcomes are kept */

/* `count` packets, each of the next flow: from `next` on in steps of `stride`, modulo `flows`. */
struct bench_flow_job {
    slc_u64 next;
    slc_u64 stride;
    slc_u64 flows;
    slc_u64 first; /* added to each: where these flows begin among all that there are */
    slc_u64 slot;  /* what the ring says: previous, current, flags */
    slc_u64 ns;    /* out: how long it took */
    slc_u64 good;  /* out: packets that hit or, but for FIND, that were inserted */
    slc_u32 count;
    slc_u32 tick;
    slc_u32 gate;  /* begin when this many CPUs have arrived, all jobs together; 0: at once */
    slc_u8 kind;   /* enum slc_flow_kind */
    slc_u8 insert; /* enum bench_flow_insert */
    slc_u8 keep;   /* outcomes */
    slc_u8 zero[1];
    slc_u64 zero2[7];
};
SLC_ASSERT_SIZE(struct bench_flow_job, 128);

struct bench_flow_shared {
    struct bench_flow_job job[BENCH_FLOW_CPUS];
    slc_u32 arrived;
    slc_u32 zero[15];
    struct slc_account account[2];                        /* the pool and group 1 */
    slc_u32 group[BENCH_FLOW_MEMBERS];                    /* of each member */
    slc_u8 outcome[BENCH_FLOW_CPUS][BENCH_FLOW_OUTCOMES]; /* enum slc_flow_insert of each packet */
};

/* The flow hash's keys. */
#define BENCH_FLOW_KEY0 0x0706050403020100ull
#define BENCH_FLOW_KEY1 0x0f0e0d0c0b0a0908ull
#define BENCH_FLOW_VIP_BE 0x0a0200c0u /* 192.0.2.10 */

/* A flow as the kernel's hash has it: IPv4, the least key that tells connections apart. */
struct bench_flow_key {
    slc_u32 src_be;
    slc_u32 dst_be;
    slc_u16 sport_be;
    slc_u16 dport_be;
    slc_u32 proto;
};

struct bench_flow_value {
    slc_u32 member;
    slc_u32 zero;
    slc_u64 used_ns;
};

/* The flow of a number: all 2^32 differ, in no order that a table would see. */
SLC_HASH_FN struct bench_flow_key bench_flow_of(slc_u64 number)
{
    slc_u32 value = (slc_u32)number * 0x9e3779b1u;
    struct bench_flow_key key = {0, BENCH_FLOW_VIP_BE, 0, 0x5000, 6};

    value ^= value >> 15;
    value *= 0x85ebca6bu;
    value ^= value >> 13;
    key.src_be = value;
    key.sport_be = (slc_u16)(1024 + (value & 0x7fff));
    return key;
}

SLC_HASH_FN slc_u64 bench_flow_hash(const struct bench_flow_key *key)
{
    return slc_flow_hash4(BENCH_FLOW_KEY0, BENCH_FLOW_KEY1, key->src_be, key->dst_be, key->sport_be,
                          key->dport_be, (slc_u8)key->proto);
}
