/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Probes of health checks on their way to a VIP at one very backend. The checker marks their
 * packets with the member's id (SO_MARK); the program at TC egress (bpf/probe.bpf.c) finds the
 * member's header template in slc_probe_targets and sends them as the balancer would. User space
 * writes an entry whenever the template of a watched member changes, and removes it with its
 * checks: a probe without an entry is dropped, never sent in the clear.
 */

#include "sluice/types.h"

#define SLC_PROBE_MARK 0x51000000u
#define SLC_PROBE_MARK_MASK 0xfff00000u
#define SLC_PROBE_MEMBER_MASK 0x000fffffu

/* Why a probe did not leave, or that it did: index of slc_probe_counters. */
enum slc_probe_outcome {
    SLC_PROBE_SENT = 0,
    SLC_PROBE_NO_TARGET = 1, /* the member has no template: unresolved, or not watched any more */
    SLC_PROBE_NOT_IP = 2,
    SLC_PROBE_NO_ROOM = 3, /* the kernel would not grow the packet */
    SLC_PROBE_OUTCOMES = 4,
};

/* Value of slc_probe_targets; key: member id. Source entropy is zero: a probe is no flow. */
struct slc_probe_target {
    struct slc_template tmpl;
};

SLC_ASSERT_SIZE(struct slc_probe_target, 128);
