// SPDX-License-Identifier: Apache-2.0
#include "plan/fallback.h"

#include <string_view>
#include <unordered_map>

#include "config/rules.h"

namespace sluice::plan {

Fallbacks::Fallbacks(const config::Config& config)
    : next_(config.groups.size()), rejects_(config.groups.size()) {
    std::unordered_map<std::string_view, std::size_t> by_name;
    for (std::size_t g = 0; g < config.groups.size(); ++g)
        if (!config.groups[g].anonymous) by_name.emplace(config.groups[g].name, g);
    for (std::size_t g = 0; g < config.groups.size(); ++g) {
        const config::Health& health = config.groups[g].health;
        rejects_[g] = health.when_none == config::WhenNone::reject;
        if (health.when_none != config::WhenNone::fallback) continue;
        if (const auto found = by_name.find(health.fallback); found != by_name.end())
            next_[g] = found->second;
    }
}

std::optional<std::size_t> Fallbacks::next_of(std::size_t group) const {
    return next_[group];
}

std::size_t Fallbacks::last_of(std::size_t group) const {
    for (std::size_t step = 0; step < config::kMaxFallbacks && next_[group]; ++step)
        group = *next_[group];
    return group;
}

bool Fallbacks::rejects(std::size_t group) const {
    return rejects_[last_of(group)];
}

void Fallbacks::spread(std::vector<std::uint32_t>& needs) const {
    const std::vector<std::uint32_t> own = needs;
    for (std::size_t g = 0; g < own.size(); ++g) {
        std::size_t at = g;
        for (std::size_t step = 0; step < config::kMaxFallbacks && next_[at]; ++step) {
            at = *next_[at];
            needs[at] |= own[g];
        }
    }
}

}  // namespace sluice::plan
