// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Chance for the model: equal on every machine and compiler, so that a seed is a history.

#include <cstdint>

namespace sluice::model {

/// SplitMix64 (Steele, Lea and Flood 2014).
class Random {
 public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ull;
        std::uint64_t word = state_;
        word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ull;
        word = (word ^ (word >> 27)) * 0x94d049bb133111ebull;
        return word ^ (word >> 31);
    }
    /// 0..count - 1.
    std::uint64_t below(std::uint64_t count) { return next() % count; }
    /// first..last
    std::int64_t between(std::int64_t first, std::int64_t last) {
        return first +
               static_cast<std::int64_t>(below(static_cast<std::uint64_t>(last - first) + 1));
    }
    bool chance(std::uint32_t percent) { return below(100) < percent; }

 private:
    std::uint64_t state_;
};

}  // namespace sluice::model
