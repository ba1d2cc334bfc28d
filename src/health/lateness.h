// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How late checks begin after the time that they were due, as a histogram.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice::health {

class Lateness {
 public:
    /// Upper bounds of the cells, inclusive; one more cell holds what is above all of them.
    static constexpr std::array<std::chrono::microseconds, 15> kBounds = [] {
        constexpr std::int64_t kMicroseconds[] = {50,      100,     200,     500,       1'000,
                                                  2'000,   5'000,   10'000,  20'000,    50'000,
                                                  100'000, 200'000, 500'000, 1'000'000, 5'000'000};
        std::array<std::chrono::microseconds, 15> out{};
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = std::chrono::microseconds(kMicroseconds[i]);
        return out;
    }();

    void add(std::chrono::microseconds late);

    [[nodiscard]] const std::array<std::uint64_t, kBounds.size() + 1>& cells() const {
        return cells_;
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::chrono::microseconds sum() const { return sum_; }
    [[nodiscard]] std::chrono::microseconds most() const { return most_; }
    /// An upper bound of the given part (0..1) of all: that of its cell, or most().
    [[nodiscard]] std::chrono::microseconds quantile(double part) const;

 private:
    std::array<std::uint64_t, kBounds.size() + 1> cells_{};
    std::uint64_t count_ = 0;
    std::chrono::microseconds sum_{0};
    std::chrono::microseconds most_{0};
};

}  // namespace sluice::health
