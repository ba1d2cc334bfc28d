// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Who sends most, as the data plane's sketch says (struct slc_talker in types.h): one for each
/// CPU, merged here. The counts of a way begin anew when it changes hands, so only what has been
/// added since an earlier reading tells who sends most now. The controller reads it every few
/// seconds, and asks TalkerHistory.

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "sluice/types.h"

namespace sluice::kernel {

/// Whose count it is: IPv4 in word 3 of the address, as in slc_talker.
struct TalkerKey {
    std::array<slc_u32, 4> addr_be{};
    slc_u32 service = 0;
    auto operator<=>(const TalkerKey&) const = default;
};

/// Estimates: samples, each for all packets of which it is one.
struct TalkerCount {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped_packets = 0;
};

/// One way of one CPU's sketch.
struct TalkerWay {
    std::uint64_t number = 0;
    slc_talker talker{};
};
/// Ascending.
using TalkerWays = std::vector<TalkerWay>;

/// All ways in use of the map behind `fd`; empty when it cannot be read. Bounded by the sketch:
/// 2,048 for each CPU.
TalkerWays read_talkers(int fd);

/// What was added to each talker between two readings. A way with another owner, or whose count
/// went back, was taken meanwhile: all of it is new.
std::map<TalkerKey, TalkerCount> talkers_between(const TalkerWays& before, const TalkerWays& after);

/// The last readings, so that there is always one to compare with. Bounded: kReadings.
class TalkerHistory {
 public:
    using Instant = std::chrono::milliseconds;  ///< Of a clock that never goes back.
    struct Talker {
        TalkerKey key;
        TalkerCount since_taken;  ///< Since its way was taken, all CPUs.
        TalkerCount lately;       ///< In `window()` before the last reading.
    };

    /// When at least kPause have passed since the last one; `read` is called then only.
    template <typename Read>
    void note(Instant now, const Read& read) {
        if (!readings_.empty() && now - readings_.back().at < kPause) return;
        readings_.push_back({now, read()});
        if (readings_.size() > kReadings) readings_.pop_front();
    }
    /// Most packets lately first, at most `limit`. `ways`: a reading of now.
    [[nodiscard]] std::vector<Talker> top(Instant now, const TalkerWays& ways,
                                          std::size_t limit) const;
    /// What `lately` of top(now, ..) is about; zero before there is anything to compare with.
    [[nodiscard]] std::chrono::milliseconds window(Instant now) const;

    static constexpr std::chrono::milliseconds kPause{5000};
    static constexpr std::size_t kReadings = 3;

 private:
    struct Reading {
        Instant at{0};
        TalkerWays ways;
    };
    std::deque<Reading> readings_;
};

}  // namespace sluice::kernel
