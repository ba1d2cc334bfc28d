// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What /metrics tells (api/metrics.h): plain values of one moment, gathered in time that grows
/// with what is exported and not with slots or flows: tables are read from memory or in batches,
/// and no text is made here but names.
///
/// Counts are those that a name has had since its instance began, whatever became of its id in
/// between (counter_ledger.h): they never go back.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/process.h"
#include "config/model.h"
#include "control/status.h"
#include "kernel/interface_counts.h"
#include "kernel/probe_path.h"
#include "node/nic_counters.h"
#include "sluice/types.h"

namespace sluice::control {

/// Series of a page, where nothing else is asked for.
inline constexpr std::size_t kMaxSeries = 200'000;

struct InterfaceMetrics {
    std::string name;
    bool attached = false;
    bool generic = false;  ///< XDP in generic mode.
    /// By enum slc_verdict. Nothing: another interface counts in its row (types.h).
    std::optional<kernel::InterfaceCounts> counts;
};

struct ServiceMetrics {
    std::string name;
    IpPrefix vip;
    config::Protocol protocol = config::Protocol::tcp;
    config::Ports ports;
    config::Forward forward = config::Forward::ipip;
    std::optional<std::uint32_t> group;  ///< Index into MetricsSource::groups; none: local.
    std::string customer;
    std::string policy;
    bool tracked = false;  ///< Some of its flows are remembered.
    slc_service_counter counts{};
    slc_flow_counter flows{};
    std::uint32_t backends = 0;
    std::uint32_t backends_ready = 0;  ///< In state ready, with weight, and resolved or local.
};

/// Drops of a service for a reason of SLC_DROP_REASONS. Only where there were some.
struct DropMetrics {
    std::optional<std::uint32_t> service;  ///< Index into MetricsSource::services; none: unknown.
    slc_reason reason = SLC_REASON_NONE;
    slc_counter counts{};
};

struct BackendMetrics {
    std::uint32_t group = 0;  ///< Index into MetricsSource::groups.
    IpAddress address;
    std::uint32_t weight = 0;  ///< In force; 0 for what is no backend any more.
    bool up = false;           ///< Not down, and its packets can be sent: resolved or local.
    std::uint64_t remembered = 0;
    slc_counter counts{};
    /// What its checks say; nothing where it has none, or none has said anything yet.
    std::optional<bool> healthy{};
};

struct OwnerMetrics {
    std::string name;
    slc_counter counts{};
};

struct CanaryMetrics {
    std::uint32_t generation = 0;
    double share = 0;  ///< 0 for a canary of whole interfaces.
    std::chrono::system_clock::time_point since;
};

struct VipMetrics {
    IpPrefix vip;
    bool wanted = false;     ///< To be announced, if only as draining.
    bool announced = false;  ///< Likewise.
};

struct WayMetrics {
    std::string name;
    bool up = false;
    std::uint64_t resets = 0;
};

/// What the daemon's own accounts say; they go on where they were after a restart.
struct DaemonMetrics {
    /// False: only of this run, because the others' cannot be had. Not to be told: they would go
    /// back.
    bool is_whole = true;
    std::uint64_t samples_lost = 0;   ///< Overwritten before a reader had them.
    std::uint64_t captures_lost = 0;  ///< Packets that a capture asked for and had no room for.
    std::uint64_t events_missed = 0;  ///< Given up before a reader had them.
    std::uint64_t flows_cut = 0;      ///< Remembered flows that deadlines and purges took.
    std::uint64_t cpu_us = 0;
};

struct MetricsSource {
    std::chrono::nanoseconds at{0};  ///< CLOCK_MONOTONIC, when the counters were read.
    NodeSummary summary;
    std::string version;
    std::string instruction_set;
    ReloadStatus reload;
    std::optional<std::uint32_t> awaiting;  ///< Generation that waits to be confirmed.
    double confirm_left_s = 0;
    std::optional<CanaryMetrics> canary;
    std::uint32_t sampled_one_in = 0;
    bool is_draining = false;  ///< Or drained.
    std::vector<VipMetrics> vips;
    std::vector<WayMetrics> ways;
    std::vector<InterfaceMetrics> interfaces;
    std::vector<slc_counter> reasons;  ///< reason * SLC_FAMPROTO_COUNT + famproto.
    std::vector<ServiceMetrics> services;
    std::vector<DropMetrics> drops;
    std::vector<std::string> groups;
    std::vector<BackendMetrics> backends;
    /// Groups that are watched. Counts are of this run of the daemon.
    std::vector<GroupHealth> health;
    CheckerStatus checker;                      ///< Without such a group nothing.
    std::optional<kernel::ProbeCounts> probes;  ///< Where checks go to VIPs.
    std::uint64_t vip_conflicts = 0;
    std::vector<OwnerMetrics> customers;
    std::vector<OwnerMetrics> policies;
    MapsStatus maps;
    std::vector<node::NicCounter> nic;
    std::vector<node::CpuBacklog> backlogs;
    DaemonMetrics daemon;
    ProcessFigures process;
    double gather_s = 0;  ///< What it took.
    std::size_t max_series = kMaxSeries;
};

}  // namespace sluice::control
