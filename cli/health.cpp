// SPDX-License-Identifier: Apache-2.0

/// `sluice health list|show`: what checks found out about backends, and what comes of it.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/backend_order.h"
#include "api/query.h"
#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/table.h"

namespace sluice::cli {
namespace {

constexpr std::uint64_t kWholePart = 1000;
constexpr const char* kNoChecks = "checks are configured under health: of a group";

/// "412us", "12.7ms", "20s".
std::string duration_text(std::uint64_t microseconds) {
    if (microseconds < 1000) return fmt::format("{}us", microseconds);
    if (microseconds < 1'000'000)
        return fmt::format("{:.3g}ms", static_cast<double>(microseconds) / 1e3);
    return fmt::format("{:.3g}s", static_cast<double>(microseconds) / 1e6);
}

/// "640ms ago", "1h2m5s ago".
std::string ago(std::uint64_t milliseconds) {
    if (milliseconds < 1000)
        return text_of_millis(std::chrono::milliseconds(milliseconds)) + " ago";
    return text_of_duration(std::chrono::seconds(milliseconds / 1000)) + " ago";
}

Colour state_colour(const std::string& state) {
    if (state == "up") return Colour::good;
    return state == "down" ? Colour::bad : Colour::warning;
}

/// Of its weight: "100%", "40%", "out".
std::string part_text(const Json& backend) {
    if (flag_at(backend, "out")) return "out";
    return fmt::format("{:g}%", static_cast<double>(number_at(backend, "part")) / 10);
}

bool has_ended(const Json& check) {
    return !text_at(check, "result").empty();
}

/// "12.7ms passed" of the check that says most: one that fails before the others, else the
/// slowest.
std::string last_text(const Json& backend) {
    const Json* told = nullptr;
    const auto rank = [](const Json& check) {
        return std::pair(text_at(check, "result") != "passed", number_at(check, "duration_us"));
    };
    for (const Json& check : member_at(backend, "checks"))
        if (has_ended(check) && (told == nullptr || rank(check) > rank(*told))) told = &check;
    if (told == nullptr) return {};
    return duration_text(number_at(*told, "duration_us")) + " " + text_at(*told, "result");
}

/// What its services do with nobody healthy.
std::string policy_text(const Json& group) {
    const std::string policy = text_at(group, "when_none");
    const std::string fallback = text_at(group, "fallback");
    if (policy == "reject") return "its services refuse";
    if (policy == "withdraw") return "its VIPs are withdrawn";
    if (policy != "fallback") return "those stay in that failed last";
    return fallback.empty() ? "no other group takes over" : "group " + fallback + " takes over";
}

/// "degraded, 1 of 3 healthy"; with what comes of it where that is more.
std::string condition_text(const Json& group) {
    const std::string condition = text_at(group, "condition");
    std::string out = fmt::format("{}, {} of {} healthy", condition, number_at(group, "healthy"),
                                  number_at(group, "counted"));
    if (condition == "panic")
        out += fmt::format(", less than {}%: failed ones stay in", number_at(group, "min_healthy"));
    if (condition == "none") out += ": " + policy_text(group);
    const std::string trouble = text_at(group, "trouble");
    if (!trouble.empty()) out += "; this node cannot make its checks: " + trouble;
    return out;
}

void print_groups(const Json& groups) {
    bool is_any = false;
    for (const Json& group : groups) {
        const std::string condition = text_at(group, "condition");
        if (condition == "healthy" && text_at(group, "trouble").empty()) continue;
        const Colour colour =
            condition == "degraded" || condition == "healthy" ? Colour::warning : Colour::bad;
        fmt::print("group {}: {}\n", text_at(group, "group"),
                   painted(condition_text(group), colour));
        is_any = true;
    }
    if (is_any) fmt::print("\n");
}

void print_backends(const Json& backends, bool is_wide) {
    std::vector<std::string> headings = {"BACKEND", "STATE", "SINCE", "PART", "LAST"};
    if (is_wide) headings.insert(headings.end(), {"CHECKS", "FAILURES"});
    headings.emplace_back("WHY");
    Table table(headings);
    for (const Json& backend : backends) {
        const std::string state = text_at(backend, "health");
        std::vector<Cell> row = {cell(backend_name(backend)),
                                 cell(state, state_colour(state)),
                                 {ago(number_at(backend, "age_ms")), Colour::none, true},
                                 {part_text(backend), Colour::none, true},
                                 cell(last_text(backend))};
        if (is_wide)
            row.insert(row.end(), {number_cell(member_at(backend, "checks").size()),
                                   number_cell(number_at(backend, "recent_failures"))});
        row.push_back(cell(state == "up" ? "" : text_at(backend, "why")));
        table.add(std::move(row));
    }
    fmt::print("{}", table.text());
}

void print_checks(const Json& checks) {
    Table table({"CHECK", "VIA", "TARGET", "RESULT", "DURATION", "ENDED", "TEXT"});
    for (const Json& check : checks) {
        const bool ended = has_ended(check);
        const std::string result = text_at(check, "result");
        table.add(
            {cell(text_at(check, "type")),
             cell(text_at(check, "via")),
             cell(text_at(check, "target")),
             cell(result, result == "passed" ? Colour::good : Colour::bad),
             {ended ? duration_text(number_at(check, "duration_us")) : "", Colour::none, true},
             {ended ? ago(number_at(check, "age_ms")) : "", Colour::none, true},
             cell(text_at(check, "text"))});
    }
    if (!table.empty()) fmt::print("\n{}", table.text());
}

void print_history(const Json& history) {
    Table table({"AT", "FROM", "TO", "RESULT", "WHY"});
    for (const Json& each : history) {
        const std::string to = text_at(each, "to");
        table.add({cell(time_for_people(text_at(each, "at"))), cell(text_at(each, "from")),
                   cell(to, state_colour(to)), cell(text_at(each, "result")),
                   cell(text_at(each, "text"))});
    }
    if (!table.empty()) fmt::print("\n{}", table.text());
}

std::string takes_text(const Json& backend) {
    if (flag_at(backend, "out")) return "nothing";
    if (number_at(backend, "part") == kWholePart) return "all of its weight";
    return part_text(backend) + " of its weight: slow start, or its load";
}

void print_backend(const Json& backend, const Json& groups) {
    const std::string condition = groups.empty() ? std::string() : condition_text(*groups.begin());
    print_facts({{"backend", backend_name(backend)},
                 {"health", text_at(backend, "health")},
                 {"since", ago(number_at(backend, "age_ms"))},
                 {"why", text_at(backend, "why")},
                 {"takes", takes_text(backend)},
                 {"recent failures", std::to_string(number_at(backend, "recent_failures"))},
                 {"group", condition}});
    print_checks(member_at(backend, "checks"));
    print_history(member_at(backend, "history"));
}

}  // namespace

Result<int> run_health_list(const Options& options) {
    const std::string target =
        "/api/v1/health" + (options.name.empty() ? "" : "/" + api::encode(options.name));
    if (options.name.find('/') != std::string::npos)
        return usage_error(
            make_error(Errc::invalid, fmt::format("'{}' is not a group", options.name),
                       "sluice health show GROUP/ADDRESS shows one backend"),
            "health list");
    const Json document = SLC_TRY(fetch(options, target), "health list");
    if (is_document(options.format)) {
        print_document(document, options.format);
        return kExitDone;
    }
    const Json& groups = member_at(document, "groups");
    if (groups.empty()) {
        fmt::print("No backend is watched.\n");
        print_hint(kNoChecks);
        return kExitDone;
    }
    print_groups(groups);
    print_backends(member_at(document, "backends"), options.format == Format::wide);
    return kExitDone;
}

Result<int> run_health_show(const Options& options) {
    const auto name = api::parse_backend_name(options.name);
    if (!name) return usage_error(name.error(), "health show");
    auto document = fetch(options, "/api/v1/health/" + api::encode(options.name));
    if (!document)
        return fail(
            with_backend_suggestion(std::move(document).error(), options).in("health show"));
    const Json& backends = member_at(*document, "backends");
    if (backends.empty())
        return fail(Errc::not_found,
                    fmt::format("health show: {} is not watched: it has no checks", options.name),
                    kNoChecks);
    if (is_document(options.format))
        print_document(*document, options.format);
    else
        print_backend(backends[0], member_at(*document, "groups"));
    return kExitDone;
}

}  // namespace sluice::cli
