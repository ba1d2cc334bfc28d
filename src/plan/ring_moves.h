// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Which slots of which rings get another owner between what runs and what is to run: part of
/// change_plan.h. Rings are built anew only where their candidates differ.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "plan/change_diff.h"
#include "plan/change_plan.h"

namespace sluice::plan {

struct RingMoves {
    std::vector<RingMove> moves;     ///< Rings of which slots move.
    std::uint64_t slots = 0;         ///< Of all rings as they will be.
    std::uint64_t moved = 0;         ///< Of them.
    std::uint32_t changed = 0;       ///< Rings whose candidates differ, or that are new.
    std::uint64_t built = 0;         ///< Slots of those.
    std::vector<std::string> notes;  ///< Services whose connections a move cuts, and rings kept.
};

/// The slots of neither image are read: what they hold may be what is in force for a while yet.
RingMoves ring_moves(const Running& running, const config::Config& next, const Image& image,
                     const IdStore& ids);

/// Rings of `next` for which what is laid out has too few slots, by group; `slots` sums what they
/// ask for together.
std::unordered_map<std::string, RingGrowth> ring_growths(const Running& running,
                                                         const config::Config& next,
                                                         const Image& image, std::uint64_t& slots);

}  // namespace sluice::plan
