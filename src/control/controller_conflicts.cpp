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

/// What is in force says which VIPs, and through which interfaces their packets come. A node that
/// may not look goes on without.
void Controller::follow_vips() {
    if (!live_) return;
    std::vector<IpAddress> vips;
    for (const auto& service : live_->config.services)
        if (service.vip.len == service.vip.address.bits()) vips.push_back(service.vip.address);
    std::sort(vips.begin(), vips.end());
    vips.erase(std::unique(vips.begin(), vips.end()), vips.end());
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
