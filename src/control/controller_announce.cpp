// SPDX-License-Identifier: Apache-2.0

/// The half of the controller that decides which VIPs this node announces, and whether it wants
/// traffic at all.

#include <algorithm>

#include "base/log.h"
#include "config/parse.h"
#include "control/controller.h"
#include "control/metrics_source.h"

namespace sluice::control {

/// From any thread.
void Controller::wake_loop() const {
    if (options_.wake) options_.wake();
}

std::vector<bool> Controller::services_served() const {
    const config::Config& config = live_->config;
    std::vector<bool> groups;
    groups.reserve(config.groups.size());
    for (const auto& group : config.groups) groups.push_back(health_.is_served(group.name));
    std::vector<bool> out;
    out.reserve(config.services.size());
    for (const auto& service : config.services)
        out.push_back(service.forward == config::Forward::local || groups[service.group]);
    return out;
}

/// One is enough: where an interface is gone no packets come in either.
bool Controller::is_attached() const {
    return std::any_of(live_->attachments.begin(), live_->attachments.end(),
                       [this](const auto& each) { return instance_->is_attached(each.interface); });
}

void Controller::follow_announcements() {
    if (!live_) return;
    announcements_due_ = false;
    was_attached_ = is_attached();
    auto followed = announcing_.follow(
        live_->config.announce,
        vip_wishes(live_->config, services_served(), was_attached_, duty_.standing().state));
    if (!followed)
        log_event(LogLevel::error, "announce.failed", {{"error", followed.error().what}});
}

void Controller::tick_announcements() {
    const bool waits = duty_.standing().state == NodeState::draining;
    const bool has_passed = duty_.pass(wall_now(), waits && is_quiet());
    if (has_passed || announcements_due_ || is_attached() != was_attached_) follow_announcements();
    announcing_.take();
}

/// VIPs that the next configuration has not, before packets for them are not handled any more. A
/// tick brings them back should it come to nothing.
void Controller::announce_less(const config::Config& next) {
    if (!live_) return;
    std::set<IpPrefix> kept;
    if (next.announce)
        for (const auto& service : next.services)
            if (service.announce) kept.insert(service.vip);
    announcing_.leave_all_but(kept);
    announcements_due_ = true;
}

/// What the daemon before this one had in force, as history has it.
std::optional<config::Config> Controller::former_config() const {
    const auto last = history_->in_force();
    if (!last || !*last) return std::nullopt;
    config::ParseOutcome outcome = config::parse((*last)->text, (*last)->file);
    if (!outcome.ok()) return std::nullopt;
    return std::move(outcome.config);
}

/// What that one was to keep announced, by ways that are not in force any more, is nobody's else.
void Controller::leave_former_ways(config::Config former) const {
    if (!former.announce) return;
    const config::Announce now = live_->config.announce.value_or(config::Announce{});
    if (former.announce->bird == now.bird) former.announce->bird.reset();
    if (former.announce->kernel == now.kernel) former.announce->kernel.reset();
    if (auto left = Announcing::withdraw_leftovers(former); !left)
        log_event(LogLevel::error, "announce.failed", {{"error", left.error().what}});
}

/// Whether packets for VIPs have ceased.
bool Controller::is_quiet() {
    const auto counters = state_->services();
    std::uint64_t packets = 0;
    for (const std::uint32_t id : live_->image.service_ids)
        if (id < counters.size()) packets += counters[id].packets;
    const auto at = Clock::now();
    if (packets != packets_seen_ || packets_seen_since_ == Clock::time_point{}) {
        packets_seen_ = packets;
        packets_seen_since_ = at;
    }
    return at - packets_seen_since_ >= NodeDuty::kQuiet;
}

AnnounceStatus Controller::announcements() {
    announcing_.take();
    AnnounceStatus out = announcing_.status();
    out.node = duty_.standing();
    return out;
}

/// Losses of ways that a daemon before this one counted are theirs: the ledger goes on from them.
void Controller::fill_announce_metrics(MetricsSource& out) {
    const AnnounceStatus status = announcements();
    out.is_draining = status.node.state != NodeState::ready;
    for (const VipAnnouncement& vip : status.vips)
        out.vips.push_back(
            {vip.vip, vip.wish.wish != announce::Wish::withdraw, is_out(vip.report.state)});
    for (const announce::WayReport& way : status.ways)
        out.ways.push_back(
            {way.name, way.is_up, ledger().steady("announce/" + way.name, way.resets)});
}

Result<AnnounceStatus> Controller::order_node(const NodeOrder& order) {
    if (!live_)
        return fail(Errc::conflict, "no configuration is in force", "sluice status says why");
    if (order.drain && !live_->config.announce)
        return fail(Errc::conflict, "nothing announces the VIPs of this node",
                    "the configuration has no section announce: routers have to be told another "
                    "way");
    const auto drain = live_->config.announce.value_or(config::Announce{}).drain;
    SLC_CHECK(duty_.order(order, drain, wall_now()), "node");
    packets_seen_since_ = {};
    follow_announcements();
    return announcements();
}

}  // namespace sluice::control
