// SPDX-License-Identifier: Apache-2.0

/// The half of the controller that follows the health of backends: what is watched, what comes of
/// what was found, and what of it a restart must not forget.

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "control/controller.h"

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
    const MarkOf mark = [this](const std::string& member, config::Forward forward,
                               bool is_ip6) -> std::optional<ProbeMark> {
        const auto found = mark_of(member, forward, is_ip6);
        if (!found) return std::nullopt;
        ProbeMark out{.mark = *found};
        if (out.mark != 0) out.source = source_towards(*live_, member, is_ip6);
        return out;
    };
    if (live_) health_.hear_errors(live_->config.node.gue_port);
    auto changed = health_.follow(configs, overrides_.overrides(), mark, steady_now());
    probes_.end();
    enforce_health(changed);
    follow_announcements();
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
    if (Clock::now() - probes_followed_ < kFollowRoutes) return;
    probes_followed_ = Clock::now();
    probes_.follow_routes();
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

/// Names only. What cannot be read is said, and nothing is taken for down.
Result<void> Controller::load_health() {
    const std::string path = options_.state_dir + "/health.json";
    auto text = read_whole_file(path);
    if (!text && text.error().code == Errc::not_found) return {};
    if (!text) return fail(std::move(text).error());
    const Json parsed = Json::parse(*text, nullptr, false);
    const bool is_sound = parsed.is_object() &&
                          parsed.value("schema_version", Json()) == kSchemaVersion &&
                          parsed.contains("down") && parsed["down"].is_array();
    if (!is_sound) {
        log_event(LogLevel::error, "health.failed",
                  {{"error", path + " is not what this version writes: nobody is taken for down"}});
        return {};
    }
    for (const Json& member : parsed["down"])
        if (member.is_string()) kept_down_.insert(member.get<std::string>());
    health_.assume_down(kept_down_);
    return {};
}

/// A second late at most; a daemon that starts from older news finds the rest out again.
void Controller::save_health() {
    std::set<std::string> down = health_.down();
    if (down == kept_down_) return;
    const Json whole{{"schema_version", kSchemaVersion}, {"down", down}};
    auto saved = write_file(options_.state_dir + "/health.json", whole.dump(2) + "\n");
    if (saved) kept_down_ = std::move(down);
    if (!saved && !health_failed_)
        log_event(LogLevel::error, "health.failed", {{"error", saved.error().what}});
    health_failed_ = !saved;
}

}  // namespace sluice::control
