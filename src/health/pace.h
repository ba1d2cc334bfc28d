// SPDX-License-Identifier: Apache-2.0
#pragma once

/// At which times checks are due: evenly spread, jittered, in ticks. Has no clock.

#include <chrono>
#include <cstdint>

#include "config/health.h"

namespace sluice::health {

class Pace {
 public:
    using Time = std::chrono::steady_clock::time_point;
    /// Checks begin at multiples of this: a thread that wakes for several at once spends half as
    /// much on each as one that wakes for every single one.
    static constexpr std::chrono::milliseconds kTick{4};

    explicit Pace(std::uint64_t seed) : random_(seed | 1) {}

    /// Of a new target: within an interval. Of targets that come one after the other each is a
    /// golden ratio further, which spreads any number of them evenly.
    Time first(Time now, const config::Check& check) {
        constexpr double kGoldenRatio = 0.6180339887498949;
        phase_ += kGoldenRatio;
        if (phase_ >= 1) phase_ -= 1;
        return tick_of(now + part_of(check.interval, phase_));
    }

    /// Of the check that follows the one that was due at `due`: at most an interval later, so that
    /// `fall` failures never take longer than so many intervals; jitter makes that shorter.
    Time next(Time due, const config::Check& check) {
        const double jitter = static_cast<double>(check.jitter) / 100 * random_part();
        return tick_of(due + part_of(check.interval, 1 - jitter));
    }

 private:
    static std::chrono::nanoseconds part_of(std::chrono::milliseconds whole, double part) {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(
            std::chrono::duration<double, std::milli>(static_cast<double>(whole.count()) * part));
    }
    /// The tick at `time` or before it.
    static Time tick_of(Time time) {
        return time - time.time_since_epoch() % std::chrono::nanoseconds(kTick);
    }
    /// 0 to below 1: xorshift64*; evenness is all that is asked of it.
    double random_part() {
        random_ ^= random_ >> 12;
        random_ ^= random_ << 25;
        random_ ^= random_ >> 27;
        return static_cast<double>((random_ * 0x2545f4914f6cdd1dULL) >> 11) * 0x1.0p-53;
    }

    std::uint64_t random_;
    double phase_ = 0;
};

}  // namespace sluice::health
