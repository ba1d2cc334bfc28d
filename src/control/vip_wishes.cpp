// SPDX-License-Identifier: Apache-2.0
#include "control/vip_wishes.h"

#include <cassert>
#include <cstddef>

namespace sluice::control {
namespace {

using announce::Wish;

/// What the services of a VIP have come to.
struct Tally {
    std::size_t watched = 0;          ///< Services with checks.
    std::vector<std::string> down{};  ///< Those of them that nobody serves.
};

bool has_checks(const config::Config& config, const config::Service& service) {
    return service.forward != config::Forward::local &&
           !config.groups[service.group].health.checks.empty();
}

VipWish wish_of(const Tally& tally, config::AnnounceWhile rule, bool is_attached, NodeState state) {
    if (!is_attached) return {Wish::withdraw, "the data plane is attached to no interface"};
    if (state == NodeState::drained) return {Wish::withdraw, "the node is drained"};
    const bool is_down = rule == config::AnnounceWhile::all
                             ? !tally.down.empty()
                             : tally.watched > 0 && tally.down.size() == tally.watched;
    if (is_down)
        return {Wish::withdraw, tally.down.size() == 1
                                    ? "service " + tally.down.front() + " has no healthy backend"
                                    : "services " + tally.down.front() + " and " +
                                          std::to_string(tally.down.size() - 1) +
                                          " more have no healthy backend"};
    if (state == NodeState::draining) return {Wish::drain, "the node is being drained"};
    return {Wish::announce, {}};
}

}  // namespace

VipWishes vip_wishes(const config::Config& config, const std::vector<bool>& served,
                     bool is_attached, NodeState state) {
    assert(served.size() == config.services.size());
    VipWishes out;
    if (!config.announce) return out;
    std::map<IpPrefix, Tally> tallies;
    for (std::size_t i = 0; i < config.services.size(); ++i) {
        const config::Service& service = config.services[i];
        if (!service.announce) continue;
        Tally& tally = tallies[service.vip];
        if (!has_checks(config, service)) continue;
        ++tally.watched;
        if (!served[i]) tally.down.push_back(service.name);
    }
    for (const auto& [vip, tally] : tallies)
        out[vip] = wish_of(tally, config.announce->while_healthy, is_attached, state);
    return out;
}

announce::PrefixWishes plain(const VipWishes& wishes) {
    announce::PrefixWishes out;
    for (const auto& [vip, wish] : wishes) out[vip] = wish.wish;
    return out;
}

}  // namespace sluice::control
