// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench packet`: nanoseconds per packet of the real program in the kernel's test run.
///
/// Each figure is the CPU time of a run less that of the wrapper that wrote the packets, measured
/// in the same round. Rounds go over all scenarios, and within a scenario over all programs, so
/// that a slow moment of the machine falls on everybody; ratios are taken round by round.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/harness.h"

namespace sluice::bench {

struct PacketOptions {
    std::uint32_t repeat = 1'000'000;
    unsigned rounds = 7;
    std::uint32_t flow_table = 12'000'000;  ///< Entries of the baseline's LRU map.
    std::vector<std::string> pinned;        ///< NAME=PATH
    std::vector<std::string> only;          ///< Scenarios whose name contains one; empty: all.
    bool classic = true;
    bool classic_many = true;  ///< The baseline at 10 M flows too: half a minute.
    std::string json;
};

Result<nlohmann::json> run_packet(const PacketOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
