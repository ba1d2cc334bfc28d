/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * What the root programs share: the array of what they call, and their door. They have no packet
 * record to count by (lib/exit.h), only that they found nobody to hand the packet to.
 */

#include "lib/packet.h"

/* Slots: what is live, a canary, and the programs of a tap, which only the tap's own root program
 * calls (src/kernel/packet_filter.h). */
#define SLC_ROOT_LIVE 0
#define SLC_ROOT_CANARY 1
#define SLC_ROOT_TAP 2

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 3);
    __type(key, __u32);
    __type(value, __u32);
} slc_root_progs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} slc_root_missed SEC(".maps");

SLC_INLINE int slc_root_leave(void)
{
    __u32 zero = 0;
    __u64 *missed = bpf_map_lookup_elem(&slc_root_missed, &zero);

    if (missed)
        (*missed)++;
    return XDP_PASS;
}
