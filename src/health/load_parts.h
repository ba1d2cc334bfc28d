// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What part of its weight each backend of a group takes, from what backends say of their load. Off
/// unless a check asks for loads (config::CheckLoad).
///
/// A backend that is loaded more than its group's mean gets less, one that is loaded less gets
/// more, within the bounds of the configuration. Loads are smoothed; parts follow in small steps,
/// only when they are clearly off, and not before the last step can be seen in the loads: each step
/// moves slots, and moved slots are remembered flows. Where everybody is saturated, or idle, loads
/// tell nobody apart, and parts go back to the whole.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "config/health.h"
#include "health/judge.h"

namespace sluice::health {

class LoadParts {
 public:
    using Time = Judge::Time;

    explicit LoadParts(config::CheckLoad bounds) : bounds_(std::move(bounds)) {}

    [[nodiscard]] const config::CheckLoad& bounds() const { return bounds_; }
    /// What one backend says, 0..100.
    void note(const std::string& backend, double load, Time now);
    /// A backend that is out, or gone: what it said does not count, and it begins anew.
    void forget(const std::string& backend);
    /// Takes the next step when it is due; whether any part has changed.
    bool step(Time now);

    /// Thousandths; the whole where nothing is known.
    [[nodiscard]] std::uint32_t part(const std::string& backend) const;

    static constexpr std::uint32_t kWhole = 1000;
    /// From step to step: time enough for clients to come and loads to show it.
    static constexpr std::chrono::seconds kPause{30};
    static constexpr std::chrono::seconds kStale{60};  ///< Nothing was said for so long.

 private:
    struct Backend {
        double load = 0;  ///< Smoothed.
        Time at{};        ///< Of the last word.
        std::uint32_t part = kWhole;
    };

    [[nodiscard]] std::optional<double> mean(Time now) const;
    [[nodiscard]] std::uint32_t wanted(const Backend& backend, std::optional<double> mean,
                                       Time now) const;

    config::CheckLoad bounds_;
    std::map<std::string, Backend> backends_;
    std::optional<Time> stepped_;
};

}  // namespace sluice::health
