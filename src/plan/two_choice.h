// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Places keys in a table where each key may live in one of two buckets (cuckoo hashing, Pagh and
/// Rodler 2004, with buckets of several entries). The data plane then reads one bucket for almost
/// every key and never more than two.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sluice::plan {

struct TwoChoiceKey {
    std::uint32_t first = 0;   ///< Bucket looked at first.
    std::uint32_t second = 0;  ///< Bucket looked at when the first one says that there is more.
};

/// For each key the bucket it was given, or nothing when some key found no room: the caller tries
/// another hash key or a larger table. Deterministic.
std::optional<std::vector<std::uint32_t>> place_two_choice(std::span<const TwoChoiceKey> keys,
                                                           std::uint32_t buckets,
                                                           std::uint32_t ways);

}  // namespace sluice::plan
