// SPDX-License-Identifier: Apache-2.0

/// The half of the controller that follows the health of backends: what is watched, what comes of
/// what was found, and what of it a restart must not forget.

#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "control/controller.h"
#include "kernel/doctor_probes.h"

namespace sluice::control {
namespace {

using Json = nlohmann::json;

constexpr std::uint32_t kSchemaVersion = 1;
constexpr std::chrono::seconds kFollowRoutes{5};

/// What Linux would choose towards the backend itself, whose answers then come from there.
std::optional<IpAddress> source_towards(const Loaded& loaded, const std::string& member,
                                        bool is_ip6) {
    const auto address = loaded.addresses.find(loaded.ids.members.find(member));
    if (address == loaded.addresses.end()) return std::nullopt;
    const auto hop = loaded.hops.find(address->second);
    if (hop == loaded.hops.end()) return std::nullopt;
    const IpAddress& source = hop->second.preferred_source;
    if (source.is_ip6 != is_ip6 || source.is_unspecified()) return std::nullopt;
    return source;
}

HealthWatch::Time steady_now() {
    return HealthWatch::Time::clock::now();
}

/// Times by the wall clock, in seconds: the other one begins anew with the machine.
std::string write_failures(const HealthWatch::Failures& failures) {
    Json down = Json::object();
    for (const auto& [member, failed] : failures) {
        const auto at = std::chrono::system_clock::now() - (steady_now() - failed.since);
        const auto since = std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch());
        down[member] = {{"since", since.count()}, {"out", failed.is_out}};
    }
    return Json{{"schema_version", kSchemaVersion}, {"down", down}}.dump(2) + "\n";
}

std::optional<HealthWatch::Failures> read_failures(const std::string& text) {
    const Json parsed = Json::parse(text, nullptr, false);
    if (!parsed.is_object() || parsed.value("schema_version", Json()) != kSchemaVersion ||
        !parsed.contains("down") || !parsed["down"].is_object())
        return std::nullopt;
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::system_clock::now().time_since_epoch());
    constexpr std::int64_t kLongest{10 * 365 * 24 * 3600};
    HealthWatch::Failures out;
    for (const auto& [member, failed] : parsed["down"].items()) {
        if (!failed.is_object() || !failed.value("since", Json()).is_number_integer() ||
            !failed.value("out", Json()).is_boolean())
            return std::nullopt;
        const std::int64_t age = now.count() - failed["since"].get<std::int64_t>();
        out[member] = {
            steady_now() - std::chrono::seconds(std::clamp(age, std::int64_t{0}, kLongest)),
            failed["out"].get<bool>()};
    }
    return out;
}

}  // namespace

void Controller::on_wake() {
    if (live_) take_health();
    announcing_.take();
}

/// Operators say what shall be, health what can be: who failed is down, for whoever wants it in.
void Controller::merge_overrides() {
    merged_ = overrides_.overrides();
    for (const auto& [name, found] : health_.overrides()) {
        plan::Override& into = merged_[name];
        if (found.state) into.state = found.state;
        into.part = found.part;
        into.fall_back = found.fall_back;
    }
}

/// What is watched follows what is in force, and a canary.
void Controller::follow_health() {
    std::vector<const config::Config*> configs;
    std::set<IpAddress> vips;
    if (live_) configs.push_back(&live_->config);
    if (canary_) configs.push_back(&canary_->loaded.config);
    for (const config::Config* config : configs) vips.merge(marked_vips(checks_of(*config)));
    probes_.begin(std::move(vips));
    probes_followed_ = Clock::now();
    std::string deaf;
    const auto local = network_->local_addresses();
    const std::set<IpAddress> own(local.begin(), local.end());
    const MarkOf mark = [&](const std::string& member, config::Forward forward,
                            const IpAddress& vip) -> std::optional<ProbeMark> {
        const auto found = mark_of(member, forward, vip.is_ip6);
        if (!found) return std::nullopt;
        ProbeMark out{.mark = *found};
        if (out.mark == 0) return out;
        if (own.contains(vip) && !takes_answers_of(vip, member)) {
            deaf = vip.text();
            return std::nullopt;
        }
        out.source = source_towards(*live_, member, vip.is_ip6);
        return out;
    };
    if (live_) health_.hear_errors(live_->config.node.gue_port);
    auto changed = health_.follow(configs, overrides_.overrides(), mark, steady_now());
    probes_.end();
    followed_addresses_ = network_->revision().addresses;
    note_deaf(deaf);
    enforce_health(changed);
    follow_announcements();
    if (live_) follow_vips();
}

/// Whether Linux takes what a backend answers in the name of a VIP that is this node's own, too.
bool Controller::takes_answers_of(const IpAddress& vip, const std::string& member) const {
    if (vip.is_ip6) return true;
    const auto address = IpAddress::parse(member.substr(member.rfind('/') + 1));
    const auto hop = address ? live_->hops.find(*address) : live_->hops.end();
    return hop == live_->hops.end() || kernel::read_answers(hop->second.interface).accept_local;
}

/// Such backends are not checked, and what is known of them stays: checks that fail for this node's
/// sake would withdraw the VIP, pass, and announce it again.
void Controller::note_deaf(const std::string& vip) {
    if (vip == deaf_vip_) return;
    deaf_vip_ = vip;
    log_event(vip.empty() ? LogLevel::info : LogLevel::error, "health.probes",
              {{"error", deaf_problem()}});
}

std::string Controller::deaf_problem() const {
    if (deaf_vip_.empty()) return {};
    return "VIP " + deaf_vip_ +
           " is an address of this node, which refuses answers in its own name: set "
           "net.ipv4.conf.all.accept_local=1, or check via: direct";
}

std::optional<std::uint32_t> Controller::mark_of(const std::string& member, config::Forward forward,
                                                 bool inner_is_ip6) {
    const std::uint32_t id = live_->ids.members.find(member);
    if (id == 0) return std::nullopt;
    const kernel::Generation* generation = &*live_->generation;
    if (!live_->addresses.contains(id) && canary_) generation = &*canary_->loaded.generation;
    const auto members = generation->members();
    if (id < members.size() && (members[id].flags & SLC_MEMBER_LOCAL) != 0) return 0;
    const std::uint32_t variant =
        SLC_VARIANT(static_cast<std::uint32_t>(forward), inner_is_ip6 ? 1u : 0u);
    return probes_.mark_of({id, variant}, generation->header(id, variant));
}

/// After the header templates of an address have changed.
void Controller::renew_probes(const IpAddress& address) {
    const auto renew = [&](const Loaded& loaded) {
        const auto found = loaded.members_at.find(address);
        if (found == loaded.members_at.end()) return;
        for (const std::size_t index : found->second) {
            const std::uint32_t id = loaded.image.members[index].id;
            for (std::uint32_t variant = 0; variant < SLC_VARIANTS; ++variant)
                probes_.renew({id, variant}, loaded.generation->header(id, variant));
        }
    };
    if (canary_) renew(canary_->loaded);
    renew(*live_);
}

void Controller::take_health() {
    enforce_health(health_.take(steady_now()));
}

void Controller::tick_health() {
    take_health();
    save_health();
    follow_vips();
    if (network_->revision().addresses != followed_addresses_) follow_health();
    if (Clock::now() - probes_followed_ < kFollowRoutes) return;
    probes_followed_ = Clock::now();
    if (deaf_vip_.empty())
        probes_.follow_routes();
    else
        follow_health();  // Perhaps somebody has mended that.
}

/// By the entry road: a failed backend leaves its slots at once, one that came back is a planned
/// change.
void Controller::enforce_health(const HealthWatch::Groups& changed) {
    if (changed.empty()) return;
    merge_overrides();
    follow_announcements();
    if (!live_ || !live_->changes) return;
    for (std::size_t g = 0; g < live_->config.groups.size(); ++g)
        if (changed.contains(live_->config.groups[g].name)) aim(g);
    if (!canary_) return;
    for (const auto& group : canary_->loaded.config.groups)
        if (changed.contains(group.name) && !find_group(group.name)) aim_canary(group.name);
}

Result<HealthStatus> Controller::health(const HealthQuery& query) {
    std::string group;
    if (!query.owner.empty())
        group = live_->config.groups[SLC_TRY(find_group(query.owner), "health")].name;
    if (query.backend) SLC_CHECK(find_member(query.owner, *query.backend), "health");
    take_health();
    return health_.status(group, query.backend, query.history, steady_now());
}

void Controller::describe_health(const std::string& member, BackendStatus& out) const {
    const auto found = merged_.find(member);
    if (found != merged_.end()) out.part = found->second.part.value_or(plan::kWholePart);
    const health::Judge* judge = health_.judge_of(member);
    if (judge == nullptr) return;
    out.health = health::word_of(judge->state());
    if (judge->state() != health::State::up) out.health_why = judge->explanation();
}

// ---- over a restart ----

/// What cannot be read is said, and nothing is taken for down.
Result<void> Controller::load_health() {
    const std::string path = health_file();
    auto text = read_whole_file(path);
    const bool is_missing = !text && text.error().code == Errc::not_found;
    if (!text && !is_missing) return fail(std::move(text).error());
    const auto kept = is_missing ? HealthWatch::Failures{} : read_failures(*text);
    if (!kept)
        log_event(LogLevel::error, "health.failed",
                  {{"error", path + " is not what this version writes: nobody is taken for down"}});
    kept_down_ = kept.value_or(HealthWatch::Failures{});
    health_.assume_down(kept_down_);
    merge_overrides();
    return {};
}

/// A second late at most; a daemon that starts from older news finds the rest out again. Old news
/// is worse than none: who has come back since would be cut at a restart.
void Controller::save_health() {
    HealthWatch::Failures down = health_.down();
    if (down == kept_down_) return;
    auto saved = write_file(health_file(), write_failures(down));
    if (saved) kept_down_ = std::move(down);
    if (!saved) (void)::unlink(health_file().c_str());
    if (!saved && !health_failed_)
        log_event(LogLevel::error, "health.failed", {{"error", saved.error().what}});
    health_failed_ = !saved;
}

std::string Controller::health_file() const {
    return options_.state_dir + "/health.json";
}

}  // namespace sluice::control
