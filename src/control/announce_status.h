// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a node says of its announcements: plain values, rendered by api/announce_json.h.

#include <vector>

#include "announce/announcement.h"
#include "control/node_state.h"
#include "control/vip_wishes.h"

namespace sluice::control {

struct VipAnnouncement {
    IpPrefix vip;
    VipWish wish;
    announce::PrefixReport report;  ///< Of the way that does worst.
    std::chrono::system_clock::time_point since{};
    std::vector<announce::PrefixReport> by_way{};  ///< In the order of AnnounceStatus::ways.
};

struct AnnounceStatus {
    bool is_configured = false;
    NodeStanding node;
    std::vector<VipAnnouncement> vips;  ///< In the order of their addresses.
    std::vector<announce::WayReport> ways;
};

/// Routers have been told, or who speaks to them.
inline bool is_out(announce::PrefixState state) {
    return state == announce::PrefixState::announced || state == announce::PrefixState::draining;
}

}  // namespace sluice::control
