// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What must hold for every frame whatever is in it.
///
///   1  exactly one reason counts it, once, with all its bytes
///   2  the verdict is drop, pass, tx or redirect, and the one that its reason stands for
///   3  what is passed is untouched, or lacks its tunnel header and nothing else
///   4  what is sent is well formed from Ethernet to the inner IP header, with right sums; carries
///      the packet that came in, whole; and is no longer than its way out takes
///   5  an answer is no longer than its request, and goes back to who asked
///   6  nothing is dropped that is not for a VIP, unless it ends inside a header that says for whom

#include <optional>
#include <string>
#include <vector>

#include "config/model.h"
#include "tests/packet/harness.h"

namespace sluice::packet {

struct World {
    std::vector<IpPrefix> vips;
    std::vector<IpAddress> endpoints;  ///< Where tunnels end; empty with `agent`: everywhere.
    std::vector<IpPrefix> peers;
    std::uint16_t gue_port = 6080;
    bool agent = false;

    static World of(const config::Config& config);
};

/// Which of the above `frame` breaks, in words, or nothing.
std::optional<std::string> violated(const World& world, const Bytes& in, const RunResult& run,
                                    const ReasonMove& move);

}  // namespace sluice::packet
