// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a generation that is in force says of itself through its pins: for a daemon that finds it
/// running. Read only.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sluice/types.h"

namespace sluice::kernel {

struct PinnedRing {
    std::uint64_t descriptor = 0;
    std::vector<std::uint64_t> slots;
};

struct PinnedGeneration {
    std::vector<PinnedRing> rings;  ///< By index; those that do not exist have no slots.
    /// Service id and index of its ring.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> services;
};

/// Reads gen/<n> at `directory`. Nothing when another version of Sluice has written it, whose
/// layouts this one does not know. Errors: those of opening and mapping the pins.
Result<std::optional<PinnedGeneration>> read_pinned_generation(const std::string& directory);

}  // namespace sluice::kernel
