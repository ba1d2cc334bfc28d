// SPDX-License-Identifier: Apache-2.0

/// The part of the controller that finds out who else answers for its VIPs: a backend that does
/// draws traffic past the balancer.

#include <algorithm>

#include "base/log.h"
#include "control/controller.h"

namespace sluice::control {
namespace {

kernel::VipWatch::Time steady_now() {
    return kernel::VipWatch::Time::clock::now();
}

const char* heard_as(kernel::NeighbourClaim::Kind kind) {
    switch (kind) {
        case kernel::NeighbourClaim::Kind::arp_request:
            return "ARP request";
        case kernel::NeighbourClaim::Kind::arp_reply:
            return "ARP reply";
        case kernel::NeighbourClaim::Kind::advertisement:
            return "neighbour advertisement";
    }
    return "";
}

}  // namespace

/// Of the VIPs in force those that this node is in charge of: it has the address, or it announces
/// them. Others, of a standby's (docs/l2.md), are rightly answered for by somebody else.
std::vector<IpAddress> Controller::own_vips() const {
    const auto local = network_->local_addresses();
    const bool announces = live_->config.announce && duty_.standing().state == NodeState::ready;
    std::vector<IpAddress> out;
    for (const auto& service : live_->config.services) {
        const IpAddress& vip = service.vip.address;
        if (service.vip.len != vip.bits()) continue;
        const bool is_announced = announces && service.announce;
        if (is_announced || std::find(local.begin(), local.end(), vip) != local.end())
            out.push_back(vip);
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

/// A node that may not look goes on without.
void Controller::follow_vips() {
    std::vector<IpAddress> vips = own_vips();
    if (vips.empty() && !vip_watch_) return;  // Nothing is opened for nobody.
    if (vips == watched_vips_ && watched_interfaces_ == live_->config.node.interfaces) return;
    watched_vips_ = vips;
    watched_interfaces_ = live_->config.node.interfaces;
    const auto followed = [&]() -> Result<void> {
        if (!vip_watch_) vip_watch_ = SLC_TRY(kernel::VipWatch::open(), "conflicts of VIPs");
        return vip_watch_->follow(live_->config.node.interfaces, std::move(vips), steady_now());
    }();
    if (!followed && !vip_watch_failed_)
        log_event(LogLevel::warning, "vip.unwatched", {{"error", followed.error().what}});
    vip_watch_failed_ = !followed;
    vip_watch_due_ = {};
}

void Controller::watch_vips() {
    if (!vip_watch_) return;
    const auto at = steady_now();
    for (const kernel::VipConflict& conflict : vip_watch_->process(at))
        log_event(LogLevel::error, "vip.conflict",
                  {{"vip", conflict.vip.text()},
                   {"interface", conflict.interface},
                   {"mac", conflict.mac.text()},
                   {"heard", heard_as(conflict.kind)}});
    if (at >= vip_watch_due_) vip_watch_due_ = vip_watch_->tick(at);
}

}  // namespace sluice::control
