// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench scale`: what a large configuration costs before the kernel has seen any of it,
/// part by part, and the configuration itself for other programs.

#include <string>
#include <vector>

#include "bench/harness.h"

namespace sluice::bench {

struct ScaleOptions {
    unsigned services = 1000;
    unsigned backends = 100'000;  ///< Of all services together.
    unsigned rounds = 5;
    unsigned shift = 0;  ///< First address: another one for a configuration to replace it by.
    std::string write;   ///< Write the configuration to this file, and do nothing else.
    std::string json;
};

/// `services` services, each on a group of its own, and `backends` backends from 10.64.0.0 +
/// `shift` on, every tenth of them of weight 2.
std::string scale_config(const ScaleOptions& options);

/// Prints the table; the answer to what was asked for goes to `asked`.
Result<nlohmann::json> run_scale(const ScaleOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
