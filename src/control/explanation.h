// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a packet would do now, stage by stage: the answer to `sluice explain`.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proof/walk.h"

namespace sluice::control {

using proof::Walk;
using ExplanationStep = proof::WalkStep;

struct ExplanationRequest {
    std::vector<std::uint8_t> frame;  ///< Ethernet header included.
    std::string interface;            ///< By which it comes; empty: the first of the node's.
    std::string against;              ///< Text of a configuration to compare with; empty: none.
    std::string file;                 ///< Of `against`, for messages.
    std::string directory;            ///< Of `against`: where its relative paths begin.
};

struct Explanation {
    std::string packet;  ///< As it was read, in the notation.
    std::vector<std::uint8_t> frame;
    std::string interface;  ///< By which it was taken to come.
    Walk now;
    std::optional<Walk> planned;
    std::vector<std::string> differences;  ///< "backend web/10.0.0.5, planned web/10.0.0.6".
};

}  // namespace sluice::control
