// SPDX-License-Identifier: Apache-2.0
#include "health/load_parts.h"

#include <algorithm>
#include <cmath>

namespace sluice::health {
namespace {

/// A new word counts a quarter: with a check a second, half of a jump is seen after 2.4 s.
constexpr double kSmooth = 0.25;
/// Below the one nobody has anything to do, above the other everybody has too much: who then moved
/// load would only pass it on, and get it back.
constexpr double kIdle = 10, kSaturated = 95;
constexpr double kMostStep = 0.1;  ///< Of the whole, at a time.
constexpr double kDeadBand = 0.1;  ///< Loads this close to the mean, of the mean, are equal to it.

}  // namespace

void LoadParts::note(const std::string& backend, double load, Time now) {
    if (!(load >= 0 && load <= 100)) return;
    const auto [found, is_new] = backends_.try_emplace(backend);
    Backend& known = found->second;
    const bool is_first = is_new || now - known.at > kStale;
    known.load = is_first ? load : known.load + kSmooth * (load - known.load);
    known.at = now;
}

void LoadParts::forget(const std::string& backend) {
    backends_.erase(backend);
}

/// Of those that said something lately; nothing: loads tell nobody apart.
std::optional<double> LoadParts::mean(Time now) const {
    double sum = 0, least = 100;
    std::size_t count = 0;
    for (const auto& [name, backend] : backends_) {
        if (now - backend.at > kStale) continue;
        sum += backend.load;
        least = std::min(least, backend.load);
        ++count;
    }
    const double mean = count == 0 ? 0 : sum / static_cast<double>(count);
    if (count < 2 || mean < kIdle || least >= kSaturated) return std::nullopt;
    return mean;
}

std::uint32_t LoadParts::wanted(const Backend& backend, std::optional<double> mean,
                                Time now) const {
    const double part = static_cast<double>(backend.part) / kWhole;
    double aim = part;
    if (!mean || now - backend.at > kStale)
        aim = 1;
    else if (std::abs(backend.load - *mean) > kDeadBand * *mean)
        aim = part * *mean / std::max(backend.load, 1.0);
    aim = std::clamp(aim, bounds_.least, bounds_.most);
    const double next = part + std::clamp(aim - part, -kMostStep, kMostStep);
    return static_cast<std::uint32_t>(std::lround(next * kWhole));
}

bool LoadParts::step(Time now) {
    if (stepped_ && now - *stepped_ < kPause) return false;
    const std::optional<double> common = mean(now);
    bool is_changed = false;
    for (auto& [name, backend] : backends_) {
        const std::uint32_t next = wanted(backend, common, now);
        is_changed = is_changed || next != backend.part;
        backend.part = next;
    }
    if (is_changed || !stepped_) stepped_ = now;
    return is_changed;
}

std::uint32_t LoadParts::part(const std::string& backend) const {
    const auto found = backends_.find(backend);
    return found == backends_.end() ? kWhole : found->second.part;
}

}  // namespace sluice::health
