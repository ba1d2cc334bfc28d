// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench flow`: what the flow table costs, beside the kernel's LRU hash: one list for all
/// CPUs, BPF_F_NO_COMMON_LRU, and one hash for each CPU in an array of maps.

#include <string>
#include <vector>

#include "bench/harness.h"

namespace sluice::bench {

struct FlowOptions {
    std::vector<unsigned> sizes{1u << 10, 1u << 17, 1u << 20, 1u << 22};  ///< Powers of two.
    unsigned packets = 200'000;  ///< Of a measurement, on each core.
    unsigned rounds = 7;
    std::string json;
};

/// Prints the tables; the answer to what was asked for goes to `asked`.
Result<nlohmann::json> run_flow(const FlowOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
