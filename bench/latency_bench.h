// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench latency`: what Sluice adds to a round trip.
///
///   client c0 --- l0  balancer  l1 --- b0 backend (VIP on lo, agent)
///                 l2 --- g0 generator: load for another port of the VIP, reflected
///
/// The same echo over the same wires, once with Linux forwarding to the VIP and once with Sluice
/// tunnelling to it and its agent stripping; answers go straight back by Linux in both. Idle, and
/// while the generator sends 80 % of what the balancer's core could take: through Sluice, or, for
/// Linux forwarding, through a bare reflector at the same rate.

#include <cstdint>
#include <string>

#include "bench/harness.h"

namespace sluice::bench {

struct LatencyOptions {
    std::uint32_t echoes = 20'000;  ///< Of one measurement.
    unsigned rounds = 5;
    std::string json;
};

Result<nlohmann::json> run_latency(const LatencyOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
