// SPDX-License-Identifier: Apache-2.0
#include "control/announcing.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "kernel/own_routes.h"
#include "kernel/vip_watch.h"

namespace sluice::control {

using announce::AnnounceReport;
using announce::PrefixState;
using announce::PrefixStatus;
using announce::WayReport;
using announce::Wish;

/// The kernel as the announcer sees it. Opened by the first call, on the announcer's thread.
class Announcing::Kernel : public announce::KernelRoutes {
 public:
    Result<void> add_address(const std::string& interface, const IpPrefix& prefix) override {
        SLC_CHECK(open(), "kernel");
        SLC_CHECK(routes_->add_address(interface, prefix), "kernel");
        if (prefix.len == prefix.address.bits()) fresh_[interface][prefix.address] = kClaims;
        claim(interface);
        return {};
    }
    Result<void> remove_address(const std::string& interface, const IpPrefix& prefix) override {
        SLC_CHECK(open(), "kernel");
        fresh_[interface].erase(prefix.address);
        return routes_->remove_address(interface, prefix);
    }
    Result<void> add_blackhole(std::uint32_t table, const IpPrefix& prefix) override {
        SLC_CHECK(open(), "kernel");
        return routes_->add_blackhole(table, prefix);
    }
    Result<void> remove_blackhole(std::uint32_t table, const IpPrefix& prefix) override {
        SLC_CHECK(open(), "kernel");
        return routes_->remove_blackhole(table, prefix);
    }
    Result<std::vector<IpPrefix>> addresses(const std::string& interface) override {
        SLC_CHECK(open(), "kernel");
        claim(interface);
        return routes_->addresses(interface);
    }
    Result<std::vector<IpPrefix>> blackholes(std::uint32_t table) override {
        SLC_CHECK(open(), "kernel");
        return routes_->blackholes(table);
    }

 private:
    Result<void> open() {
        if (!routes_) routes_ = SLC_TRY(kernel::OwnRoutes::open(), "netlink");
        return {};
    }

    /// Neighbours that knew the VIP elsewhere are told, as often as for a link that has just come
    /// up and loses the first ones. Where they cannot be, they find out by themselves, later.
    void claim(const std::string& interface) {
        auto& fresh = fresh_[interface];
        std::vector<IpAddress> vips;
        for (auto& [vip, left] : fresh) {
            vips.push_back(vip);
            --left;
        }
        std::erase_if(fresh, [](const auto& each) { return each.second == 0; });
        if (!vips.empty() && interface != kLoopback)
            (void)kernel::announce_to_neighbours(interface, vips);
    }

    static constexpr int kClaims = 3;
    static constexpr std::string_view kLoopback = "lo";

    std::optional<kernel::OwnRoutes> routes_;
    /// By interface: VIPs that are new there, and how often they are still to be told.
    std::map<std::string, std::map<IpAddress, int>> fresh_;
};

/// Where the announcer's thread leaves its last report.
struct Announcing::Slot {
    std::mutex mutex;
    std::optional<AnnounceReport> report;
    std::function<void()> wake;
};

namespace {

constexpr std::chrono::seconds kLeftovers{2};  ///< To withdraw them.

const PrefixStatus* find(const AnnounceReport& report, const IpPrefix& prefix) {
    const auto found = std::lower_bound(
        report.prefixes.begin(), report.prefixes.end(), prefix,
        [](const PrefixStatus& status, const IpPrefix& key) { return status.prefix < key; });
    return found == report.prefixes.end() || found->prefix != prefix ? nullptr : &*found;
}

const WayReport* find(const AnnounceReport& report, const std::string& way) {
    const auto found = std::find_if(report.ways.begin(), report.ways.end(),
                                    [&](const WayReport& each) { return each.name == way; });
    return found == report.ways.end() ? nullptr : &*found;
}

}  // namespace

Announcing::Announcing(std::function<void()> wake)
    : slot_(std::make_shared<Slot>()), kernel_(std::make_unique<Kernel>()) {
    slot_->wake = std::move(wake);
}

Announcing::~Announcing() = default;

Result<void> Announcing::follow(const std::optional<config::Announce>& config, VipWishes wishes) {
    if (!announcer_) {
        if (!config) return {};
        announcer_ =
            SLC_TRY(announce::Announcer::start(*config, kernel_.get(),
                                               [slot = slot_](AnnounceReport report) {
                                                   {
                                                       const std::lock_guard lock(slot->mutex);
                                                       slot->report = std::move(report);
                                                   }
                                                   if (slot->wake) slot->wake();
                                               }),
                    "announce");
        announcer_->want(plain(wishes));
    } else {
        // Nobody to announce by takes every way down, and all with it.
        if (config != config_) announcer_->configure(config.value_or(config::Announce{}));
        if (wishes != wishes_) announcer_->want(plain(wishes));
    }
    config_ = config;
    wishes_ = std::move(wishes);
    return {};
}

void Announcing::leave_all_but(const std::set<IpPrefix>& vips) {
    const auto gone =
        std::erase_if(wishes_, [&](const auto& each) { return !vips.contains(each.first); });
    if (gone > 0 && announcer_) announcer_->want(plain(wishes_));
}

void Announcing::take() {
    std::optional<AnnounceReport> report;
    {
        const std::lock_guard lock(slot_->mutex);
        report.swap(slot_->report);
    }
    if (!report) return;
    log_ways(*report);
    log_vips(*report);
    last_ = std::move(*report);
}

void Announcing::log_ways(const AnnounceReport& next) const {
    for (const WayReport& way : next.ways) {
        const WayReport* before = find(last_, way.name);
        const bool was_up = before != nullptr && before->is_up;
        if (way.is_up && !was_up) log_event(LogLevel::info, "announce.way_up", {{"way", way.name}});
        // One that never was up is told when it is known why.
        const bool is_news = before == nullptr || before->last_error.empty();
        if (!way.is_up && (was_up || (is_news && !way.last_error.empty())))
            log_event(LogLevel::warning, "announce.way_down",
                      {{"way", way.name}, {"state", way.state}, {"error", way.last_error}});
    }
}

/// What is on its way is no news, whether it comes from being well or from failing.
void Announcing::log_vips(const AnnounceReport& next) {
    const auto why = [this](const IpPrefix& prefix) {
        const auto found = wishes_.find(prefix);
        return found == wishes_.end() ? std::string("no service announces it") : found->second.why;
    };
    for (const PrefixStatus& status : next.prefixes) {
        const PrefixState is = status.report.state;
        PrefixState& told = told_.try_emplace(status.prefix, PrefixState::withdrawn).first->second;
        if (is == PrefixState::wanted || is == told) continue;
        told = is;
        const LogField vip{"vip", status.prefix.text()};
        if (is == PrefixState::announced)
            log_event(LogLevel::info, "vip.announced", {vip});
        else if (is == PrefixState::draining)
            log_event(LogLevel::info, "vip.draining", {vip, {"why", why(status.prefix)}});
        else if (is == PrefixState::withdrawn)
            log_event(LogLevel::info, "vip.withdrawn", {vip, {"why", why(status.prefix)}});
        else
            log_event(LogLevel::warning, "vip.failing",
                      {vip, {"wish", name_of(status.wish)}, {"why", status.report.why}});
    }
    std::erase_if(told_, [&](const auto& each) {
        if (find(next, each.first) != nullptr) return false;
        if (is_out(each.second))
            log_event(LogLevel::info, "vip.withdrawn",
                      {{"vip", each.first.text()}, {"why", why(each.first)}});
        return true;
    });
}

AnnounceStatus Announcing::status() const {
    AnnounceStatus out;
    out.is_configured = config_.has_value();
    out.ways = last_.ways;
    for (const auto& [vip, wish] : wishes_) {
        VipAnnouncement entry;
        entry.vip = vip;
        entry.wish = wish;
        // The announcer has not got to it yet.
        if (wish.wish == Wish::withdraw) entry.report.state = PrefixState::withdrawn;
        if (const PrefixStatus* status = find(last_, vip)) {
            entry.report = status->report;
            entry.since = status->since;
            entry.by_way = status->by_way;
        }
        out.vips.push_back(std::move(entry));
    }
    return out;
}

Result<void> Announcing::withdraw_leftovers(const config::Config& config) {
    if (!config.announce || (!config.announce->bird && !config.announce->kernel)) return {};
    config::Announce local = *config.announce;
    local.bgp.reset();
    local.on_daemon_exit = config::OnExit::withdraw;
    announce::PrefixWishes nothing;
    for (const config::Service& service : config.services) nothing[service.vip] = Wish::withdraw;
    Kernel kernel;
    std::mutex mutex;
    std::condition_variable changed;
    std::string why;  // Why something is not withdrawn yet.
    bool is_withdrawn = false;
    const auto note = [&](const AnnounceReport& report) {
        const std::lock_guard lock(mutex);
        const auto bad = std::find_if(report.prefixes.begin(), report.prefixes.end(),
                                      [](const PrefixStatus& status) {
                                          return status.report.state != PrefixState::withdrawn;
                                      });
        is_withdrawn = bad == report.prefixes.end();
        why = is_withdrawn ? "" : bad->report.why;
        changed.notify_all();
    };
    // What is announced of no service any more goes with its end.
    const auto announcer =
        SLC_TRY(announce::Announcer::start(std::move(local), &kernel, note), "announce");
    announcer->want(std::move(nothing));
    std::unique_lock lock(mutex);
    if (changed.wait_for(lock, kLeftovers, [&] { return is_withdrawn; })) return {};
    return fail(Errc::unreachable, "not all is known to be withdrawn: " + why,
                "what does not run announces nothing either");
}

}  // namespace sluice::control
