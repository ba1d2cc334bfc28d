// SPDX-License-Identifier: Apache-2.0

/// How the backends of a group are watched: `health`, but for single checks (parse_checks.cpp).

#include <algorithm>

#include "base/duration.h"
#include "config/draft.h"
#include "config/parse_checks.h"
#include "config/rules.h"

namespace sluice::config {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::array kVias = {CheckVia::vip, CheckVia::direct};
constexpr std::array kWhenNones = {WhenNone::keep, WhenNone::reject, WhenNone::withdraw,
                                   WhenNone::fallback};

void parse_flapping(const Reader& in, const YamlNode& node, const Path& path, Health& out) {
    const MapReader map(in, node, path, keys::kFlapping);
    if (const YamlNode* limit = map.find("limit"))
        out.flap_limit =
            read_number(in, *limit, path.at("limit"), "a number of failures", 0, kMaxFlapLimit)
                .value_or(out.flap_limit);
    for (const auto& [key, value] :
         {std::pair<std::string_view, seconds*>{"window", &out.flap_window},
          {"hold", &out.flap_hold}})
        if (const YamlNode* duration = map.find(key))
            *value = read_duration(in, *duration, path.at(key), "a duration", seconds(1), hours(24))
                         .value_or(*value);
}

/// One check, or a list of them.
void parse_checks(const Reader& in, const YamlNode& node, const Path& path, const Check& defaults,
                  Health& out, GroupNotes& notes) {
    const auto add = [&](const YamlNode& item, const Path& at) {
        CheckNotes check_notes;
        check_notes.place = item.mark;
        check_notes.path = at.text();
        out.checks.push_back(parse_check(in, item, at, defaults, check_notes));
        notes.checks.push_back(std::move(check_notes));
    };
    if (node.kind == NodeKind::map || node.kind == NodeKind::scalar) return add(node, path);
    if (!expect_list(in, node, path)) return;
    if (node.children > kMaxChecks)
        return in.error(node, path,
                        "has " + std::to_string(node.children) + " checks, at most " +
                            std::to_string(kMaxChecks) + " are possible");
    std::size_t index = 0;
    for (const YamlNode* item = in.tree.first(node); item != nullptr; item = in.tree.next(*item))
        add(*item, path.at(index++));
}

void parse_when_none(const Reader& in, const MapReader& map, Health& out, GroupNotes& notes) {
    const Path& path = map.path();
    bool is_good = true;
    if (const YamlNode* when_none = map.find("when_none")) {
        const auto value = read_word(in, *when_none, path.at("when_none"), kWhenNones);
        notes.when_none = when_none->mark;
        is_good = value.has_value();
        out.when_none = value.value_or(out.when_none);
    }
    const YamlNode* fallback = map.find("fallback");
    if (fallback != nullptr) {
        notes.fallback = fallback->mark;
        out.fallback = read_name(in, *fallback, path.at("fallback")).value_or("");
        if (is_good && out.when_none != WhenNone::fallback)
            in.error(*fallback, path.at("fallback"),
                     std::string("has no effect with when_none: ") + name_of(out.when_none) +
                         ", it needs when_none: fallback");
    } else if (out.when_none == WhenNone::fallback) {
        in.findings.error(notes.when_none, path.at("fallback").text(),
                          "missing: when_none: fallback needs the name of a group");
    }
}

}  // namespace

void parse_pace(const Reader& in, const MapReader& map, Check& out, CheckNotes& notes) {
    using std::chrono::milliseconds;
    const Path& path = map.path();
    assign_word(in, map, "via", kVias, out.via);
    bool is_good = true;
    const YamlNode* interval = map.find("interval");
    if (interval != nullptr) {
        notes.interval = interval->mark;
        const auto value = read_millis(in, *interval, path.at("interval"), "an interval",
                                       milliseconds(100), hours(1));
        is_good = value.has_value();
        out.interval = value.value_or(out.interval);
        // What nobody wrote here is no reason to refuse what somebody wrote.
        out.timeout = std::min(out.timeout, out.interval);
    }
    if (const YamlNode* timeout = map.find("timeout")) {
        notes.timeout = timeout->mark;
        const auto value =
            read_millis(in, *timeout, path.at("timeout"), "a timeout", milliseconds(10), hours(1));
        if (value && is_good && *value > out.interval)
            in.error(*timeout, path.at("timeout"),
                     timeout->scalar + " is longer than the interval, which is " +
                         text_of_millis(out.interval) + ": a check ends before the next begins");
        else
            out.timeout = value.value_or(out.timeout);
    }
    if (const YamlNode* jitter = map.find("jitter"))
        out.jitter = read_percent(in, *jitter, path.at("jitter"), "a jitter", 0, kMaxJitter)
                         .value_or(out.jitter);
    for (const auto& [key, value] :
         {std::pair<std::string_view, std::uint32_t*>{"rise", &out.rise}, {"fall", &out.fall}})
        if (const YamlNode* count = map.find(key))
            *value = read_number(in, *count, path.at(key), "a number of checks", 1, kMaxRiseFall)
                         .value_or(*value);
}

void parse_check_defaults(const Reader& in, const YamlNode& node, Draft& draft) {
    const Path root;
    const Path path = root.at("health");
    const MapReader map(in, node, path, keys::kCheckDefaults);
    draft.check_defaults_mark = node.mark;
    CheckNotes notes;
    parse_pace(in, map, draft.check_defaults, notes);
}

void parse_health(const Reader& in, const YamlNode& node, const Path& path, const Check& defaults,
                  Health& out, GroupNotes& notes) {
    notes.health = node.mark;
    const MapReader map(in, node, path, keys::kHealth);
    if (const YamlNode* checks = map.find("checks"))
        parse_checks(in, *checks, path.at("checks"), defaults, out, notes);
    if (const YamlNode* least = map.find("min_healthy")) {
        notes.min_healthy = least->mark;
        out.min_healthy =
            read_percent(in, *least, path.at("min_healthy"), "a part of the backends", 0)
                .value_or(out.min_healthy);
    }
    parse_when_none(in, map, out, notes);
    if (const YamlNode* slow_start = map.find("slow_start")) {
        notes.slow_start = slow_start->mark;
        out.slow_start = read_duration(in, *slow_start, path.at("slow_start"), "a duration",
                                       seconds(0), hours(1))
                             .value_or(out.slow_start);
    }
    if (const YamlNode* flapping = map.find("flapping")) {
        notes.flapping = flapping->mark;
        parse_flapping(in, *flapping, path.at("flapping"), out);
    }
}

}  // namespace sluice::config
