// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a packet would do now, stage by stage: the answer to `sluice explain`.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"

namespace sluice::control {

struct ExplanationRequest {
    std::vector<std::uint8_t> frame;  ///< Ethernet header included.
    std::string interface;            ///< By which it comes; empty: any.
    std::string against;              ///< Text of a configuration to compare with; empty: none.
    std::string file;                 ///< Of `against`, for messages.
    std::string directory;            ///< Of `against`: where its relative paths begin.
};

/// One step of the walk: "service", "192.0.2.10 tcp port 443 is service web".
struct ExplanationStep {
    std::string stage;
    std::string text;
};

/// One outcome, of what runs or of the configuration compared with.
struct Walk {
    std::uint32_t generation = 0;
    std::vector<ExplanationStep> steps;
    std::string verdict, stage, reason, text, remedy;
    std::string service, group, backend, customer, policy, mitigation;
    std::string encapsulation;  ///< "ipip"; empty: none.
    std::string egress;         ///< Interface that it leaves by.
    std::uint64_t hash = 0;
    std::optional<std::uint32_t> slot;  ///< Within its ring.
    std::vector<std::uint8_t> out;      ///< The frame that leaves; empty for drops.
    std::string out_text;               ///< In the notation of packets.
    /// What live traffic may find otherwise, because it depends on time, rate or CPU: "the limit of
    /// answers to ICMP was taken as full".
    std::vector<std::string> assumptions;
};

struct Explanation {
    std::string packet;  ///< As it was read, in the notation.
    Walk now;
    std::optional<Walk> planned;
    std::vector<std::string> differences;  ///< "backend 10.0.0.5, planned 10.0.0.6".
};

}  // namespace sluice::control
