// SPDX-License-Identifier: Apache-2.0
#include "control/health_watch.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "config/rules.h"
#include "plan/inherit.h"

namespace sluice::control {
namespace {

using health::Condition;
using health::State;

/// Members of no configuration that are remembered as down: those that left last.
constexpr std::size_t kMostGone = 4096;
constexpr std::chrono::seconds kLoadPause{1};

health::JudgeRules rules_of(const config::Health& rules) {
    health::JudgeRules out;
    for (const config::Check& check : rules.checks)
        out.checks.push_back({.rise = check.rise, .fall = check.fall});
    out.flap_limit = rules.flap_limit;
    out.flap_window = rules.flap_window;
    out.flap_hold = rules.flap_hold;
    return out;
}

bool is_failed(State state) {
    return state == State::down || state == State::held;
}

/// Groups of what `one` says and `other` does not.
void add_differing(const plan::Overrides& one, const plan::Overrides& other,
                   HealthWatch::Groups& out) {
    for (const auto& [name, said] : one)
        if (const auto found = other.find(name); found == other.end() || !(found->second == said))
            out.insert(plan::group_of(name));
}

const config::CheckLoad* load_of(const config::Health& rules) {
    for (const config::Check& check : rules.checks)
        if (check.load) return &*check.load;
    return nullptr;
}

}  // namespace

void HealthWatch::assume_down(const Failures& members) {
    gone_.clear();
    for (const auto& [member, failed] : members) gone_[member] = {failed, ++gone_count_};
    publish();
}

HealthWatch::Failures HealthWatch::down() const {
    Failures out;
    for (const auto& [member, gone] : gone_) out[member] = gone.failed;
    for (const auto& [name, group] : groups_)
        for (const auto& [member, backend] : group.backends)
            if (is_failed(backend.judge->state())) out[member] = {backend.since, is_out(member)};
    return out;
}

bool HealthWatch::is_out(const std::string& member) const {
    const auto found = overrides_.find(member);
    return found != overrides_.end() && found->second.state == config::BackendState::down;
}

void HealthWatch::start_checker() {
    if (checker_) return;
    auto started = health::Checker::start({}, wake_);
    if (started)
        checker_ = std::move(*started);
    else
        log_event(LogLevel::error, "health.failed", {{"error", started.error().what}});
}

/// Checks find out without them, later.
void HealthWatch::hear_errors() {
    if (!checker_) heard_gue_port_ = 0;
    if (!checker_ || gue_port_ == heard_gue_port_) return;
    heard_gue_port_ = gue_port_;
    if (auto heard = checker_->hear_errors(gue_port_); !heard)
        log_event(LogLevel::warning, "health.failed", {{"error", heard.error().what}});
}

HealthWatch::Groups HealthWatch::follow(const std::vector<const config::Config*>& configs,
                                        const plan::Overrides& orders, const MarkOf& mark_of,
                                        Time now) {
    std::map<std::string, Group> before = std::exchange(groups_, {});
    std::vector<health::Target> targets;
    for (const config::Config* config : configs) {
        for (GroupChecks& checks : checks_of(*config)) {
            const config::Group& configured = config->groups[checks.group];
            auto [found, is_new] = groups_.try_emplace(configured.name);
            Group& group = found->second;
            if (is_new) {
                if (const auto was = before.find(configured.name); was != before.end())
                    group = std::move(was->second);
                before.erase(configured.name);
                group.rules = configured.health;
                group.checks = checks;
                for (auto& [member, backend] : group.backends) backend.is_stale = true;
            }
            adopt(group, configured, now);
            for (const config::Backend& backend : configured.backends)
                add_targets(configured, group.checks, backend, mark_of, targets);
        }
    }
    for (auto& [name, group] : before)
        for (auto& [member, backend] : group.backends) leave(member, backend);
    for (auto& [name, group] : groups_) {
        for (const auto& [member, backend] : group.backends)
            if (backend.is_stale) leave(member, backend);
        std::erase_if(group.backends, [](const auto& each) { return each.second.is_stale; });
    }
    forget_unwatched(configs);
    // A backend of two configurations is checked once.
    std::sort(targets.begin(), targets.end(),
              [](const auto& a, const auto& b) { return a.key < b.key; });
    targets.erase(std::unique(targets.begin(), targets.end(),
                              [](const auto& a, const auto& b) { return a.key == b.key; }),
                  targets.end());
    if (!targets.empty()) start_checker();
    if (checker_ && targets.empty()) checker_.reset();
    hear_errors();
    if (checker_) checker_->set(std::move(targets));
    orders_ = orders;
    return judge_all(now);
}

/// Of a group without checks nothing is known; one that no service uses now may have some again.
void HealthWatch::forget_unwatched(const std::vector<const config::Config*>& configs) {
    if (gone_.empty()) return;
    std::set<std::string> unwatched;
    for (const config::Config* config : configs)
        for (const config::Group& group : config->groups)
            if (group.health.checks.empty() && !groups_.contains(group.name))
                for (const config::Backend& backend : group.backends)
                    unwatched.insert(plan::member_name(group, backend));
    std::erase_if(gone_, [&](const auto& each) { return unwatched.contains(each.first); });
}

/// What two configurations have in common is taken from the first.
void HealthWatch::adopt(Group& group, const config::Group& configured, Time now) {
    if (const config::CheckLoad* load = load_of(group.rules); load == nullptr)
        group.loads.reset();
    else if (!group.loads || !(group.loads->bounds() == *load))
        group.loads.emplace(*load);
    for (const config::Backend& each : configured.backends) {
        const std::string member = plan::member_name(configured, each);
        auto [found, is_new] = group.backends.try_emplace(member);
        Backend& backend = found->second;
        if (!is_new && !backend.is_stale) continue;
        backend.is_stale = false;
        backend.configured = each;
        backend.last.resize(group.rules.checks.size());
        if (backend.judge) {
            backend.judge->set_rules(rules_of(group.rules));
            continue;
        }
        backend.judge = std::make_unique<health::Judge>(rules_of(group.rules));
        backend.since = now;
        if (const auto gone = gone_.find(member); gone != gone_.end()) {
            backend.since = gone->second.failed.since;
            backend.was_out = true;
            backend.judge->assume_down("was down when it was watched last", backend.since);
            gone_.erase(gone);
        } else if (group.effects.condition == Condition::none) {
            // Hope alone is no reason to send it everything.
            backend.was_out = true;
            backend.judge->assume_down("not checked yet, and nobody else of its group is healthy",
                                       now);
        }
    }
}

void HealthWatch::leave(const std::string& member, const Backend& backend) {
    if (!is_failed(backend.judge->state())) return;
    gone_[member] = {{backend.since, is_out(member)}, ++gone_count_};
    if (gone_.size() <= kMostGone) return;
    gone_.erase(std::min_element(gone_.begin(), gone_.end(), [](const auto& a, const auto& b) {
        return a.second.order < b.second.order;
    }));
}

HealthWatch::Groups HealthWatch::reconsider(const plan::Overrides& orders, Time now) {
    orders_ = orders;
    return judge_all(now);
}

HealthWatch::Groups HealthWatch::take(Time now) {
    Groups touched;
    if (!checker_) return touched;
    for (health::Outcome& outcome : checker_->take()) {
        TargetKey key = parse_target_key(outcome.key);
        note(key.member, key.check, std::move(outcome), now, touched);
    }
    Groups changed;
    for (const std::string& name : touched)
        if (judge(name, groups_.at(name), now)) changed.insert(name);
    if (!changed.empty()) publish();
    if (!touched.empty()) set_due();
    return changed;
}

void HealthWatch::note(const std::string& member, std::size_t check, health::Outcome outcome,
                       Time now, Groups& changed) {
    const auto group = groups_.find(plan::group_of(member));
    if (group == groups_.end()) return;
    const auto found = group->second.backends.find(member);
    if (found == group->second.backends.end() || check >= found->second.last.size()) return;
    Backend& backend = found->second;
    group->second.durations.note(outcome.duration);
    ++group->second.outcomes[std::string(health::word_of(outcome.why))];
    note_trouble(group->first, group->second, outcome);
    if (outcome.load && group->second.loads) group->second.loads->note(member, *outcome.load, now);
    const auto transition = backend.judge->observe(check, outcome, now);
    backend.last[check] = std::move(outcome);
    if (!transition) return;
    on_transition(group->first, member, backend, *transition);
    changed.insert(group->first);
}

/// Said once, and when it is over: checks that cannot be made change nothing else.
void HealthWatch::note_trouble(const std::string& name, Group& group,
                               const health::Outcome& outcome) {
    const bool is_trouble = outcome.why == health::Why::local;
    if (is_trouble == !group.trouble.empty()) return;
    if (!is_trouble && outcome.key != group.troubled) return;
    group.troubled = outcome.key;
    group.trouble = is_trouble ? outcome.text : "";
    log_event(is_trouble ? LogLevel::error : LogLevel::info, "health.trouble",
              {{"group", name}, {"check", outcome.key}, {"error", group.trouble}});
}

void HealthWatch::on_transition(const std::string& group, const std::string& member,
                                Backend& backend, const health::Transition& transition) {
    backend.since = transition.at;
    backend.was_out = backend.was_out || is_failed(transition.to);
    if (auto& loads = groups_.at(group).loads; loads && is_failed(transition.to))
        loads->forget(member);
    const bool is_good = transition.to == State::up;
    log_event(is_good ? LogLevel::info : LogLevel::warning,
              is_good                        ? "backend.up"
              : transition.to == State::held ? "backend.held"
                                             : "backend.down",
              {{"backend", member},
               {"was", std::string(health::word_of(transition.from))},
               {"why", std::string(health::word_of(transition.why))},
               {"text", transition.text}});
}

HealthWatch::Groups HealthWatch::tick(Time now) {
    Groups changed;
    if (!due_ || now < *due_) return changed;
    for (auto& [name, group] : groups_) {
        for (auto& [member, backend] : group.backends) {
            const auto deadline = backend.judge->deadline();
            if (!deadline || now < *deadline) continue;
            if (const auto transition = backend.judge->tick(now))
                on_transition(name, member, backend, *transition);
        }
        if (group.loads && now >= group.next_load) {
            (void)group.loads->step(now);
            group.next_load = now + kLoadPause;
        }
        if (judge(name, group, now)) changed.insert(name);
    }
    if (!changed.empty()) publish();
    set_due();
    return changed;
}

/// Rules, too, may be others now, and groups may have left.
HealthWatch::Groups HealthWatch::judge_all(Time now) {
    Groups changed;
    for (auto& [name, group] : groups_)
        if (judge(name, group, now)) changed.insert(name);
    const plan::Overrides before = std::exchange(overrides_, {});
    publish();
    add_differing(before, overrides_, changed);
    add_differing(overrides_, before, changed);
    set_due();
    return changed;
}

bool HealthWatch::is_ready(const std::string& member, const Backend& backend) const {
    const auto order = orders_.find(member);
    const plan::Override said = order == orders_.end() ? plan::Override{} : order->second;
    return said.state.value_or(backend.configured.state) == config::BackendState::ready &&
           said.weight.value_or(backend.configured.weight) > 0;
}

bool HealthWatch::judge(const std::string& name, Group& group, Time now) {
    std::vector<health::Member> members;
    members.reserve(group.backends.size());
    for (const auto& [member, backend] : group.backends)
        members.push_back(
            {.state = backend.judge->state(),
             .since = backend.since,
             .was_out = backend.was_out,
             .counts = is_ready(member, backend),
             .part = group.loads ? group.loads->part(member) : health::LoadParts::kWhole});
    health::Effects now_is = health::effects_of(group.rules, members, now);
    if (now_is.condition != group.effects.condition)
        log_event(now_is.condition == Condition::healthy ? LogLevel::info : LogLevel::warning,
                  "group.health",
                  {{"group", name},
                   {"from", std::string(health::word_of(group.effects.condition))},
                   {"to", std::string(health::word_of(now_is.condition))},
                   {"healthy", std::to_string(now_is.healthy)},
                   {"of", std::to_string(now_is.counted)},
                   {"when_none", config::name_of(group.rules.when_none)}});
    const bool is_other =
        now_is.members != group.effects.members || now_is.condition != group.effects.condition;
    group.effects = std::move(now_is);
    return is_other;
}

void HealthWatch::publish() {
    overrides_.clear();
    for (const auto& [member, gone] : gone_)
        if (gone.failed.is_out) overrides_[member].state = config::BackendState::down;
    for (const auto& [name, group] : groups_) {
        std::size_t i = 0;
        for (const auto& [member, backend] : group.backends) {
            const health::Effect& effect = group.effects.members[i++];
            const auto order = orders_.find(member);
            const auto state = order != orders_.end() && order->second.state
                                   ? *order->second.state
                                   : backend.configured.state;
            if (effect.is_out && state != config::BackendState::maint)
                overrides_[member].state = config::BackendState::down;
            if (effect.part != plan::kWholePart) overrides_[member].part = effect.part;
        }
        if (group.effects.condition == Condition::none &&
            group.rules.when_none == config::WhenNone::fallback)
            overrides_[plan::fallback_key(name)].fall_back = true;
    }
}

void HealthWatch::set_due() {
    due_.reset();
    const auto at = [this](Time time) { due_ = due_ ? std::min(*due_, time) : time; };
    for (const auto& [name, group] : groups_) {
        if (group.loads) at(group.next_load);
        if (group.effects.next) at(*group.effects.next);
        for (const auto& [member, backend] : group.backends)
            if (const auto deadline = backend.judge->deadline()) at(*deadline);
    }
}

bool HealthWatch::is_served(const std::string& group) const {
    std::string name = group;
    for (std::size_t step = 0; step <= config::kMaxFallbacks; ++step) {
        const auto found = groups_.find(name);
        if (found == groups_.end() || found->second.effects.condition != Condition::none)
            return true;
        const config::Health& rules = found->second.rules;
        if (rules.when_none == config::WhenNone::withdraw) return false;
        if (rules.when_none != config::WhenNone::fallback) return true;
        name = rules.fallback;
    }
    return false;
}

const health::Judge* HealthWatch::judge_of(const std::string& member) const {
    const auto group = groups_.find(plan::group_of(member));
    if (group == groups_.end()) return nullptr;
    const auto found = group->second.backends.find(member);
    return found == group->second.backends.end() ? nullptr : found->second.judge.get();
}

}  // namespace sluice::control
