// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench live`: packets per second over a veth pair, with the kernel's live frames.
///
///   client namespace                          balancer namespace
///   writes packets, XDP_TX out of c0  ----->  l0: the program under test
///   c0: counts what comes back, drops <-----      XDP_TX
///
/// Sender, balancer and counter share the cores that are used, so this is a throughput of the whole
/// way; the bare reflector, which does nothing but XDP_TX, is the most that the way can carry.

#include <cstdint>
#include <string>

#include "bench/harness.h"

namespace sluice::bench {

struct LiveOptions {
    std::uint32_t packets = 300'000;  ///< Of one burst, on each core; the best of four counts.
    unsigned rounds = 7;
    bool peers = true;  ///< Linux forwarding and nftables too.
    std::string json;
};

Result<nlohmann::json> run_live(const LiveOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
