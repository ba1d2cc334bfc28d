// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Which VIPs of a configuration this node should announce, and why not the others. Pure.

#include <map>
#include <string>
#include <vector>

#include "announce/announcement.h"
#include "config/model.h"
#include "control/node_state.h"

namespace sluice::control {

struct VipWish {
    announce::Wish wish = announce::Wish::withdraw;
    std::string why{};  ///< Why it is not `announce`; else empty.
    bool operator==(const VipWish&) const = default;
};

using VipWishes = std::map<IpPrefix, VipWish>;

/// The VIPs of all services with `announce: true`; none where nothing is configured to announce
/// them. `served`: by service, whether it has somebody to go to; services without checks are taken
/// to have. `is_attached`: packets for the VIPs would be handled.
VipWishes vip_wishes(const config::Config& config, const std::vector<bool>& served,
                     bool is_attached, NodeState state);

/// As the announcer takes them.
announce::PrefixWishes plain(const VipWishes& wishes);

}  // namespace sluice::control
