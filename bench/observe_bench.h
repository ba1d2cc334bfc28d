// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench observe`: what packets pay while somebody follows their samples. Packets come at a
/// given rate, in bursts of a tenth of a second, on the last CPU; the daemon and its reader are
/// on the first. Needs root; works in a namespace of its own.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/harness.h"

namespace sluice::bench {

struct ObserveOptions {
    double mpps = 5;
    unsigned rounds = 9;
    unsigned bursts = 20;  ///< Of a round, alone and beside a reader.
    std::string json;
};

/// Prints the table; answers to what was asked for go to `asked`.
Result<nlohmann::json> run_observe(const ObserveOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
