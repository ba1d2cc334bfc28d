/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Flow tables side by side: the one of Sluice, by the very functions that the data plane runs
 * (abi/sluice/flow_decide.h), and the kernel's LRU hashes. Each program runs the job of its CPU
 * (flow.h): so and so many packets in one run, timed by itself. What choosing flows costs is
 * measured by flow_none and subtracted.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "flow.h"

char _license[] SEC("license") = "Dual BSD/GPL";

struct bench_flow_shared bench_flow_shared SEC(".bss");
const volatile __u32 bench_flow_log2 SEC(".rodata.log2") = SLC_FLOW_MIN_LOG2;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1 << SLC_FLOW_MIN_LOG2);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct slc_flow_bucket);
} bench_flows SEC(".maps");

struct bench_flow_lru {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 64);
    __type(key, struct bench_flow_key);
    __type(value, struct bench_flow_value);
};

struct bench_flow_lru bench_lru SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(map_flags, BPF_F_NO_COMMON_LRU);
    __uint(max_entries, 64);
    __type(key, struct bench_flow_key);
    __type(value, struct bench_flow_value);
} bench_lru_no_common SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, BENCH_FLOW_CPUS);
    __type(key, __u32);
    __array(values, struct bench_flow_lru);
} bench_lru_per_cpu SEC(".maps");

/* ---- who members are ---- */

static __always_inline int bench_fit(__u32 member, __u32 group)
{
    __u32 *record = &bench_flow_shared.group[member & (BENCH_FLOW_MEMBERS - 1)];

    return *(volatile __u32 *)record == group ? SLC_FLOW_FITS : SLC_FLOW_FOREIGN;
}

#define SLC_FLOW_ENV struct bench_flow_shared
#define SLC_FLOW_MEMBER(env, member, family) bench_fit(member, family)
#define SLC_FLOW_ACCOUNT(env, member) (&bench_flow_shared.account[1])
#include "sluice/flow_decide.h"

/* ---- a packet ---- */

static __always_inline struct bench_flow_key bench_next(struct bench_flow_job *job)
{
    __u64 index = job->next;

    job->next = index + job->stride;
    if (job->next >= job->flows)
        job->next -= job->flows;
    return bench_flow_of(index + job->first);
}

static __always_inline void bench_ask_sluice(struct bench_flow_job *job,
                                             const struct bench_flow_key *key,
                                             struct slc_flow_answer *answer)
{
    struct slc_flow_places at = {.account = &bench_flow_shared.account[1],
                                 .pool = &bench_flow_shared.account[0]};
    struct slc_flow_ask ask = {.hash = bench_flow_hash(key),
                               .slot = job->slot,
                               .tick = job->tick,
                               .family = 1,
                               .lifetime = {SLC_FLOW_MAX_TICKS, SLC_FLOW_MAX_TICKS,
                                            SLC_FLOW_MAX_TICKS, SLC_FLOW_MAX_TICKS},
                               .kind = job->kind};
    __u32 index = slc_flow_bucket_of(ask.hash, bench_flow_log2);

    at.bucket = bpf_map_lookup_elem(&bench_flows, &index);
    if (at.bucket)
        slc_flow_decide(&at, &ask, &bench_flow_shared, answer);
}

/* A hit renews the flow's place in the list by itself; an insert takes the oldest one's. A flow is
 * new when it was not found: BENCH_FLOW_FIND_INSERT asks first, as every user must. */
static __always_inline int bench_ask_lru(struct bench_flow_job *job, void *lru,
                                         const struct bench_flow_key *key)
{
    struct bench_flow_value fresh = {.member = 1};
    struct bench_flow_value *known;

    if (job->insert != BENCH_FLOW_INSERT) {
        known = bpf_map_lookup_elem(lru, key);
        if (job->insert == BENCH_FLOW_FIND)
            return known && known->member;
        if (known)
            return 0;
    }
    return !bpf_map_update_elem(lru, key, &fresh, BPF_ANY);
}

#define BENCH_JOB(cpu) (&bench_flow_shared.job[(cpu) & (BENCH_FLOW_CPUS - 1)])

static long bench_step_none(__u64 i, __u32 *cpu)
{
    struct bench_flow_job *job = BENCH_JOB(*cpu);
    struct bench_flow_key key = bench_next(job);

    job->good += key.src_be & 1;
    return 0;
}

static long bench_step_sluice(__u64 i, __u32 *cpu)
{
    struct bench_flow_job *job = BENCH_JOB(*cpu);
    struct bench_flow_key key = bench_next(job);
    struct slc_flow_answer answer = {};

    bench_ask_sluice(job, &key, &answer);
    job->good +=
        job->insert ? answer.insert == SLC_FLOW_INSERTED : answer.how == SLC_FLOW_BY_MEMORY;
    if (job->keep)
        bench_flow_shared.outcome[*cpu & (BENCH_FLOW_CPUS - 1)][i & (BENCH_FLOW_OUTCOMES - 1)] =
            answer.insert;
    return 0;
}

static long bench_step_lru(__u64 i, __u32 *cpu)
{
    struct bench_flow_job *job = BENCH_JOB(*cpu);
    struct bench_flow_key key = bench_next(job);

    job->good += bench_ask_lru(job, &bench_lru, &key);
    return 0;
}

static long bench_step_lru_no_common(__u64 i, __u32 *cpu)
{
    struct bench_flow_job *job = BENCH_JOB(*cpu);
    struct bench_flow_key key = bench_next(job);

    job->good += bench_ask_lru(job, &bench_lru_no_common, &key);
    return 0;
}

static long bench_step_lru_per_cpu(__u64 i, __u32 *cpu)
{
    struct bench_flow_job *job = BENCH_JOB(*cpu);
    struct bench_flow_key key = bench_next(job);
    void *lru = bpf_map_lookup_elem(&bench_lru_per_cpu, cpu);

    if (lru)
        job->good += bench_ask_lru(job, lru, &key);
    return 0;
}

/* Until every CPU is here, so that they run side by side. */
static long bench_step_gate(__u64 i, __u32 *gate)
{
    return *(volatile __u32 *)&bench_flow_shared.arrived >= *gate;
}

#define BENCH_FLOW_PROGRAM(name, step)                           \
    SEC("xdp")                                                   \
    int name(struct xdp_md *ctx)                                 \
    {                                                            \
        __u32 cpu = bpf_get_smp_processor_id();                  \
        struct bench_flow_job *job = BENCH_JOB(cpu);             \
        __u32 gate = job->gate;                                  \
        __u64 began;                                             \
                                                                 \
        if (gate) {                                              \
            __sync_fetch_and_add(&bench_flow_shared.arrived, 1); \
            bpf_loop(1 << 22, bench_step_gate, &gate, 0);        \
        }                                                        \
        job->good = 0;                                           \
        began = bpf_ktime_get_ns();                              \
        bpf_loop(job->count, step, &cpu, 0);                     \
        job->ns = bpf_ktime_get_ns() - began;                    \
        return XDP_PASS;                                         \
    }

BENCH_FLOW_PROGRAM(flow_none, bench_step_none)
BENCH_FLOW_PROGRAM(flow_sluice, bench_step_sluice)
BENCH_FLOW_PROGRAM(flow_lru, bench_step_lru)
BENCH_FLOW_PROGRAM(flow_lru_no_common, bench_step_lru_no_common)
BENCH_FLOW_PROGRAM(flow_lru_per_cpu, bench_step_lru_per_cpu)
