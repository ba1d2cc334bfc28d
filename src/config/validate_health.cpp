// SPDX-License-Identifier: Apache-2.0

/// Checks against the services that they go through, and groups that others fall back on.

#include <algorithm>

#include "base/duration.h"
#include "config/check_places.h"
#include "config/draft.h"
#include "config/rules.h"

namespace sluice::config {
namespace {

std::string group_path(const Draft& draft, std::size_t group) {
    return draft.groups[group].path + ".health.";
}

/// Index of the group that this one falls back on.
std::optional<std::size_t> next_of(const Draft& draft, std::size_t group) {
    const Health& health = draft.config.groups[group].health;
    if (health.when_none != WhenNone::fallback || health.fallback.empty()) return std::nullopt;
    const auto found = draft.groups_by_name.find(health.fallback);
    if (found == draft.groups_by_name.end()) return std::nullopt;
    return found->second;
}

/// How many groups the chain has that begins with `group`; what is said of a circle is said once,
/// at its first group in the file.
void check_chain(const Draft& draft, std::size_t group, Findings& findings) {
    std::string way = draft.config.groups[group].name;
    bool is_first = true;
    std::optional<std::size_t> at = next_of(draft, group);
    std::vector<std::size_t> seen;
    while (at && seen.size() <= kMaxFallbacks) {
        way += " to " + draft.config.groups[*at].name;
        if (*at == group) {
            if (is_first)
                findings.error(draft.groups[group].fallback, group_path(draft, group) + "fallback",
                               "goes round in a circle: " + way);
            return;
        }
        if (std::find(seen.begin(), seen.end(), *at) != seen.end()) return;  // Another's circle.
        is_first = is_first && group < *at;
        seen.push_back(*at);
        at = next_of(draft, *at);
    }
    if (seen.size() > kMaxFallbacks)
        findings.error(draft.groups[group].fallback, group_path(draft, group) + "fallback",
                       "leads through more than " + std::to_string(kMaxFallbacks) + " groups");
}

void check_fallbacks(const Draft& draft, Findings& findings) {
    for (std::size_t i = 0; i < draft.groups.size(); ++i) {
        const Health& health = draft.config.groups[i].health;
        if (health.when_none != WhenNone::fallback || health.fallback.empty()) continue;
        if (next_of(draft, i)) {
            check_chain(draft, i, findings);
            continue;
        }
        std::vector<std::string_view> known;
        constexpr std::size_t kMostCompared = 1000;  // As for services.
        for (const Group& group : draft.config.groups) {
            if (known.size() == kMostCompared) break;
            if (!group.anonymous) known.push_back(group.name);
        }
        findings.error(draft.groups[i].fallback, group_path(draft, i) + "fallback",
                       "no group " + quoted(health.fallback) + " under groups" +
                           suggestion(health.fallback, known));
    }
}

/// "tcp or both".
std::string protocols_of(const Check& check) {
    return std::string(name_of(protocol_of(check).value_or(Protocol::both))) + " or both";
}

/// One check of one group, against the services of that group.
class PlaceCheck {
 public:
    PlaceCheck(const Draft& draft, const CheckPlaces& places, std::size_t group)
        : draft_(draft), places_(places), group_(group) {}

    void run(const Check& check, const CheckNotes& notes, Findings& findings) const {
        if (check.service.empty()) return run_for_any(check, notes, findings);
        const auto services = places_.services_of(group_);
        const auto named = std::find_if(services.begin(), services.end(), [&](std::size_t index) {
            return service(index).name == check.service;
        });
        const std::string path = notes.path + ".service";
        if (named == services.end())
            return findings.error(notes.service, path, problem_with_name_of(check));
        const std::string place = draft_.service_place(*named);
        if (!CheckPlaces::fits(check, service(*named)))
            findings.error(notes.service, path,
                           std::string("a check of type ") + name_of(check.type) +
                               " needs a service with protocol " + protocols_of(check) + ": " +
                               place + " has " + name_of(service(*named).protocol));
        else if (!places_.find(group_, check))
            findings.error(notes.service, path,
                           place + " has no single port: give the check a port");
    }

 private:
    [[nodiscard]] const Service& service(std::size_t index) const {
        return draft_.config.services[index];
    }

    void run_for_any(const Check& check, const CheckNotes& notes, Findings& findings) const {
        if (places_.find(group_, check)) return;
        const auto services = places_.services_of(group_);
        const bool any_fits = std::any_of(services.begin(), services.end(), [&](std::size_t index) {
            return CheckPlaces::fits(check, service(index));
        });
        const std::string type = name_of(check.type);
        if (any_fits)
            findings.error(notes.place, notes.path,
                           "no service for a check of type " + type +
                               " has a single port: give the check a port");
        else
            findings.error(
                notes.place, notes.path,
                "a check of type " + type + " needs a service with protocol " +
                    protocols_of(check) + ", which this group has not: give it " +
                    (check.via == CheckVia::vip ? "\"via: direct\" and a port" : "a port"));
    }

    [[nodiscard]] std::string problem_with_name_of(const Check& check) const {
        const auto& all = draft_.config.services;
        const auto other = std::find_if(all.begin(), all.end(), [&](const Service& item) {
            return item.name == check.service;
        });
        if (other != all.end())
            return draft_.service_place(static_cast<std::size_t>(other - all.begin())) +
                   " does not use this group";
        std::vector<std::string_view> known;
        constexpr std::size_t kMostCompared = 1000;  // As for groups.
        for (const std::size_t index : places_.services_of(group_)) {
            if (known.size() == kMostCompared) break;
            known.push_back(service(index).name);
        }
        return "no service " + quoted(check.service) + suggestion(check.service, known);
    }

    const Draft& draft_;
    const CheckPlaces& places_;
    std::size_t group_;
};

void check_places(const Draft& draft, Findings& findings) {
    const CheckPlaces places = places_of(draft);
    for (std::size_t i = 0; i < draft.groups.size(); ++i) {
        const auto& checks = draft.config.groups[i].health.checks;
        const auto services = places.services_of(i);
        const bool all_good = std::all_of(services.begin(), services.end(), [&](std::size_t index) {
            return draft.services[index].has_target;
        });
        if (services.empty() || !all_good) continue;
        const PlaceCheck check(draft, places, i);
        for (std::size_t at = 0; at < checks.size(); ++at) {
            const CheckNotes& notes = draft.groups[i].checks[at];
            if (notes.has_type && notes.has_parts) check.run(checks[at], notes, findings);
        }
    }
}

/// What is odd about one check of a group of so many backends.
void warn_check(const Check& check, const CheckNotes& notes, std::size_t backends,
                Findings& findings) {
    constexpr std::size_t kManyBackends = 100;
    constexpr std::chrono::milliseconds kShort{1000};
    constexpr std::uint64_t kManyPrograms = 20;  // In a second.
    const bool is_near = check.timeout * 4 > check.interval * 3;
    if (is_near && backends >= kManyBackends) {
        const Mark mark = notes.timeout.line != 0 ? notes.timeout : notes.place;
        findings.warning(mark, notes.path + ".timeout",
                         text_of_millis(check.timeout) + " is near the interval of " +
                             text_of_millis(check.interval) + ": if they hang, " +
                             std::to_string(backends) +
                             " backends keep as many checks open at nearly all times");
    }
    const auto interval_ms = static_cast<std::uint64_t>(check.interval.count());
    if (check.type == CheckType::command &&
        (check.interval < kShort || backends * 1000 > kManyPrograms * interval_ms)) {
        const Mark mark = notes.interval.line != 0 ? notes.interval : notes.place;
        findings.warning(mark, notes.path + ".interval",
                         "starts a program for each of " + std::to_string(backends) +
                             " backends every " + text_of_millis(check.interval));
    }
    if (check.tls.enabled && check.tls.verify && check.tls.server_name.empty() &&
        check.http.host.empty())
        findings.warning(notes.tls.line != 0 ? notes.tls : notes.place, notes.path,
                         std::string("the certificate has to be for ") +
                             (check.via == CheckVia::vip ? "the VIP" : "the backend's address") +
                             " itself: give host or tls.server_name if it is for a name");
}

/// Whether something of the group is announced by this node, and so can be withdrawn.
bool is_announced(const Draft& draft, const CheckPlaces& places, std::size_t group) {
    const auto services = places.services_of(group);
    return draft.config.announce.has_value() &&
           std::any_of(services.begin(), services.end(),
                       [&](std::size_t index) { return draft.config.services[index].announce; });
}

}  // namespace

CheckPlaces places_of(const Draft& draft) {
    std::vector<bool> left_out(draft.services.size());
    for (std::size_t i = 0; i < left_out.size(); ++i)
        left_out[i] = !draft.services[i].has_group || !draft.services[i].has_forward;
    return CheckPlaces(draft.config, left_out);
}

void validate_health(const Draft& draft, Findings& findings) {
    check_fallbacks(draft, findings);
    check_places(draft, findings);
}

void warn_health(const Draft& draft, Findings& findings) {
    const CheckPlaces places = places_of(draft);
    bool any_check = false;
    for (std::size_t i = 0; i < draft.groups.size(); ++i) {
        const GroupNotes& notes = draft.groups[i];
        const Group& group = draft.config.groups[i];
        if (notes.health.line == 0) continue;
        any_check = any_check || !group.health.checks.empty();
        if (group.health.checks.empty())
            findings.warning(notes.health, notes.path + ".health",
                             "no checks: backends fail only when somebody says so (sluice backend "
                             "set OWNER/ADDR --state down)");
        else if (group.health.min_healthy == 100)
            findings.warning(notes.min_healthy, group_path(draft, i) + "min_healthy",
                             "100%: a backend that fails always stays in, checks have no effect");
        for (std::size_t at = 0; at < group.health.checks.size(); ++at)
            warn_check(group.health.checks[at], notes.checks[at], group.backends.size(), findings);
        if (group.health.when_none == WhenNone::withdraw && !is_announced(draft, places, i))
            findings.warning(notes.when_none, group_path(draft, i) + "when_none",
                             "withdraw: this node announces no VIP of this group, so that packets "
                             "come and are dropped");
    }
    if (draft.check_defaults_mark.line != 0 && !any_check)
        findings.warning(draft.check_defaults_mark, "health", "has no effect: no group has checks");
}

}  // namespace sluice::config
