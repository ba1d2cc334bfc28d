// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The health of the backends of one configuration: what checks find becomes a judgement of each
/// backend, and that becomes overrides of states and weights, beside those of operators. Owned by
/// the controller, on its thread; the checks themselves run on another (health/checker.h).
///
///   watch.follow(scopes, orders, mark_of, now);   // after every change
///   for (auto& group : watch.take(now)) aim(group);  // when the checker has something
///   for (auto& group : watch.tick(now)) aim(group);  // when time does
///
/// Invariants:
///  - Operators come first: who is in drain or maint is there for their sake, whatever checks find;
///    who failed is down, whether ready or draining.
///  - Who was down stays so until checks say otherwise: over a change of configuration, a removal
///    and a return, a rollback, a restart. Nothing is revived because nobody looked. Only where its
///    group has no checks any more nothing is known of it.
///  - Without any check there is no thread.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "control/health_status.h"
#include "control/health_targets.h"
#include "health/checker.h"
#include "health/effects.h"
#include "health/judge.h"
#include "health/load_parts.h"
#include "plan/image.h"

namespace sluice::control {

class HealthWatch {
 public:
    using Time = health::Judge::Time;
    using Groups = std::set<std::string>;

    /// `wake` is called from another thread when take() has something.
    explicit HealthWatch(std::function<void()> wake) : wake_(std::move(wake)) {}

    /// Errors of the network about our tunnels are suspicions; where GUE's go. Before follow().
    void hear_errors(std::uint16_t gue_port) { gue_port_ = gue_port; }

    /// A member that is down or held.
    struct Failed {
        Time since{};
        bool is_out = true;  ///< Takes nothing; else its group keeps it for want of others.
        bool operator==(const Failed&) const = default;
    };
    using Failures = std::map<std::string, Failed>;

    /// Members that were down when the daemon before this one ended; before the first follow().
    void assume_down(const Failures& members);
    /// All members that are down or held now, those of former configurations included.
    [[nodiscard]] Failures down() const;

    /// Watches the backends of these configurations; where two have the same group, the first
    /// one's rules hold. Groups whose effects have changed. `orders` are the operators'.
    Groups follow(const std::vector<const config::Config*>& configs, const plan::Overrides& orders,
                  const MarkOf& mark_of, Time now);
    /// What operators said has changed.
    Groups reconsider(const plan::Overrides& orders, Time now);
    /// What checks have found since the last call.
    Groups take(Time now);
    /// What time alone has changed: holds, slow starts, loads.
    Groups tick(Time now);

    /// State and part by member name, and groups that others stand in for (plan::fallback_key).
    [[nodiscard]] const plan::Overrides& overrides() const { return overrides_; }
    /// Whether a group's services have somebody to go to, or a policy that keeps their VIPs
    /// announced without. Groups that nobody watches do.
    [[nodiscard]] bool is_served(const std::string& group) const;
    /// Null where the backend is not watched.
    [[nodiscard]] const health::Judge* judge_of(const std::string& member) const;

    /// Of one group or, where the name is empty, of all. Waits for the checker's thread for as long
    /// as it takes to answer.
    [[nodiscard]] HealthStatus status(const std::string& group,
                                      const std::optional<IpAddress>& backend, bool history,
                                      Time now) const;
    [[nodiscard]] bool is_watching() const { return !groups_.empty(); }
    /// The same without backends: of one group or, where the name is empty, of all.
    [[nodiscard]] std::vector<GroupHealth> groups(const std::string& name = {}) const;
    /// Waits likewise.
    [[nodiscard]] CheckerStatus checker() const;

 private:
    struct Backend {
        config::Backend configured;
        std::unique_ptr<health::Judge> judge;
        Time since{};  ///< Of the judge's state.
        bool was_out = false;
        bool is_stale = false;  ///< Within follow(): nobody has named it yet.
        std::vector<std::optional<health::Outcome>> last;  ///< By check.
    };
    struct Group {
        config::Health rules;
        GroupChecks checks;
        std::map<std::string, Backend> backends;  ///< By member name.
        std::optional<health::LoadParts> loads;
        Time next_load{};  ///< When they are looked at again.
        health::Effects effects;
        CheckDurations durations;
        std::map<std::string, std::uint64_t> outcomes;
        std::string troubled;  ///< The check that said it.
        std::string trouble;   ///< Why this node cannot make its checks; empty while it can.
    };

    void start_checker();
    void hear_errors();
    void adopt(Group& group, const config::Group& configured, Time now);
    void forget_unwatched(const std::vector<const config::Config*>& configs);
    void leave(const std::string& member, const Backend& backend);
    [[nodiscard]] bool is_out(const std::string& member) const;
    void note(const std::string& member, std::size_t check, health::Outcome outcome, Time now,
              Groups& changed);
    static void note_trouble(const std::string& name, Group& group, const health::Outcome& outcome);
    void on_transition(const std::string& group, const std::string& member, Backend& backend,
                       const health::Transition& transition);
    /// Whether anything is different.
    bool judge(const std::string& name, Group& group, Time now);
    Groups judge_all(Time now);
    void publish();
    void set_due();
    [[nodiscard]] bool is_ready(const std::string& member, const Backend& backend) const;

    std::function<void()> wake_;
    std::map<std::string, Group> groups_;
    struct Gone {
        Failed failed;
        std::uint64_t order = 0;  ///< Who left first has the least.
    };
    std::map<std::string, Gone> gone_;  ///< Members of no configuration now that were down.
    std::uint64_t gone_count_ = 0;
    plan::Overrides orders_;
    plan::Overrides overrides_;
    std::uint16_t gue_port_ = 0;        ///< 0: errors are not heard.
    std::uint16_t heard_gue_port_ = 0;  ///< By the checker that runs.
    std::optional<Time> due_;           ///< When time alone may change something.
    /// Before what it wakes may call: destroyed first.
    std::unique_ptr<health::Checker> checker_;
};

}  // namespace sluice::control
