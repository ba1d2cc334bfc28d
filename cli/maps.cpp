// SPDX-License-Identifier: Apache-2.0

/// `sluice map list|show`: how full the tables are and for how long there is room; which changes
/// keep flows remembered.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/progress.h"
#include "cli/rate_text.h"
#include "cli/table.h"

namespace sluice::cli {
namespace {

/// Of its capacity; empty where nothing is counted.
std::string use_text(const Json& map) {
    return member_at(map, "pressure").is_number()
               ? fmt::format("{:.1f}%", fraction_at(map, "pressure") * 100)
               : std::string();
}

/// What the daemon says of a table that fills and empties; of others, only what is full.
Colour use_colour(const Json& map) {
    const std::string level = text_at(member_at(map, "trend"), "level");
    if (level == "critical") return Colour::bad;
    return level.empty() || level == "none" ? Colour::none : Colour::warning;
}

Cell use_cell(const Json& map) {
    return {use_text(map), use_colour(map), true};
}

/// Over the shortest window; empty where it is not known.
Cell rate_cell(const Json& map, const char* key) {
    const Json& rates = member_at(member_at(map, "trend"), key);
    if (!rates.is_array() || rates.empty() || !rates[0].is_number())
        return {"", Colour::none, true};
    return {rate_text(rates[0].get<double>()), Colour::none, true};
}

/// "never", "now", "4m10s"; empty where nobody watches.
std::string full_text(const Json& trend) {
    if (!trend.is_object()) return {};
    const Json& left = member_at(trend, "full_in_s");
    if (!left.is_number()) return "never";
    const std::uint64_t seconds = number_at(trend, "full_in_s");
    return seconds == 0 ? "now" : text_of_duration(std::chrono::seconds(seconds));
}

void print_maps(const Json& maps) {
    Table table({"MAP", "KIND", "ENTRIES", "CAPACITY", "USED", "INSERTS/S", "REFUSED/S", "FULL_IN",
                 "BYTES"});
    for (const Json& map : maps)
        table.add({cell(text_at(map, "name")), cell(text_at(map, "kind")),
                   flag_at(map, "counted") ? number_cell(number_at(map, "entries")) : cell(""),
                   number_cell(number_at(map, "capacity")), use_cell(map),
                   rate_cell(map, "inserts_per_s"), rate_cell(map, "refused_per_s"),
                   cell(full_text(member_at(map, "trend")), use_colour(map)),
                   number_cell(number_at(map, "bytes"))});
    fmt::print("{}", table.text());
}

/// Of the flow table: by class and by group.
void print_users(const Json& map) {
    Table classes({"CLASS", "ENTRIES"});
    for (const Json& use : member_at(map, "classes"))
        classes.add({cell(text_at(use, "class")), number_cell(number_at(use, "entries"))});
    if (!classes.empty()) fmt::print("\n{}", classes.text());
    Table table({"GROUP", "ENTRIES", "SHARE", "CEILING", "FULL_IN", "HITS", "MISSES", "INSERTS",
                 "FULL", "AT_CEILING", "HELD", "UNKNOWN_IDS"});
    for (const Json& use : member_at(map, "groups")) {
        std::vector<Cell> row = {cell(text_at(use, "group"))};
        for (const char* key : {"entries", "share", "ceiling"})
            row.push_back(number_cell(number_at(use, key)));
        row.push_back(cell(full_text(member_at(use, "trend")), use_colour(use)));
        for (const char* key : {"hits", "misses", "inserts", "refused_full", "refused_ceiling",
                                "refused_held", "ids_unknown"})
            row.push_back(number_cell(number_at(use, key)));
        table.add(std::move(row));
    }
    if (!table.empty()) fmt::print("\n{}", table.text());
}

/// Of the flow table: one line of what is always worth knowing, and with -o wide who uses it.
void print_use(const Json& map, bool is_wide) {
    const Json& groups = member_at(map, "groups");
    if (!groups.is_array()) return;
    std::uint64_t refused = 0;
    for (const Json& group : groups)
        for (const char* key : {"refused_full", "refused_ceiling", "refused_held"})
            refused += number_at(group, key);
    fmt::print("\n{}: {} refused, oldest flow {}, as counted {} ago\n", text_at(map, "name"),
               flows_text(refused),
               text_of_duration(std::chrono::seconds(number_at(map, "oldest_ms") / 1000)),
               text_of_duration(std::chrono::seconds(number_at(map, "swept_ms") / 1000)));
    const std::uint64_t leaving = number_at(map, "leaving");
    if (leaving > 0)
        fmt::print("{} still in the table of another size that is being left\n",
                   flows_text(leaving));
    if (is_wide) print_users(map);
}

void print_changes(const Json& changes) {
    if (changes.empty()) return;
    Table table({"CHANGING", "BALANCE", "SLOTS", "CHANGE"});
    for (const Json& ring : changes)
        table.add({cell(text_at(ring, "group")),
                   cell(text_at(ring, "balance")),
                   {std::to_string(number_at(ring, "ring_slots")), Colour::none, true},
                   cell(change_text(member_at(ring, "change")))});
    fmt::print("\n{}", table.text());
}

void print_trend(const Json& trend) {
    if (!trend.is_object()) return;
    const Json& windows = member_at(trend, "windows_s");
    std::vector<std::string> headings = {"PER_SECOND"};
    for (const Json& window : windows)
        headings.push_back("LAST_" +
                           text_of_duration(std::chrono::seconds(window.get<std::uint64_t>())));
    Table table(headings);
    for (const char* what : {"growth", "inserts", "refused", "expired", "evicted"}) {
        const Json& rates = member_at(trend, (std::string(what) + "_per_s").c_str());
        if (!rates.is_array() || rates.size() != windows.size()) continue;
        std::vector<Cell> row = {cell(what)};
        for (const Json& rate : rates)
            row.push_back(
                {rate_text(rate.is_number() ? rate.get<double>() : 0), Colour::none, true});
        table.add(std::move(row));
    }
    fmt::print("\n{}", table.text());
}

void print_ages(const Json& map) {
    Table table({"LAST_PACKET", "ENTRIES"});
    std::string before;
    for (const Json& age : member_at(map, "ages")) {
        const bool is_last = !member_at(age, "below_s").is_number();
        const auto below = text_of_duration(std::chrono::seconds(number_at(age, "below_s")));
        table.add({cell(is_last ? before + " ago or more" : "less than " + below + " ago"),
                   number_cell(number_at(age, "entries"))});
        before = below;
    }
    if (!table.empty()) {
        table.add({cell("expired, not freed yet"), number_cell(number_at(map, "expired"))});
        fmt::print("\n{}", table.text());
    }
    Table services({"SERVICE", "ENTRIES"});
    for (const Json& use : member_at(map, "services"))
        services.add({cell(text_at(use, "service")), number_cell(number_at(use, "entries"))});
    if (!services.empty()) fmt::print("\n{}", services.text());
}

void print_map(const Json& map) {
    std::vector<std::pair<std::string, std::string>> facts = {{"map", text_at(map, "name")},
                                                              {"kind", text_at(map, "kind")}};
    const auto capacity = number_at(map, "capacity");
    facts.emplace_back("entries", flag_at(map, "counted")
                                      ? fmt::format("{} of {} ({})", number_at(map, "entries"),
                                                    capacity, use_text(map))
                                      : fmt::format("{}, all of them always there", capacity));
    facts.emplace_back("memory", short_number(number_at(map, "bytes")) + " bytes");
    const Json& trend = member_at(map, "trend");
    if (trend.is_object()) {
        facts.emplace_back("pressure", text_at(trend, "level"));
        facts.emplace_back("full in", full_text(trend));
    }
    if (member_at(map, "oldest_ms").is_number())
        facts.emplace_back(
            "oldest", text_of_duration(std::chrono::seconds(number_at(map, "oldest_ms") / 1000)));
    print_facts(facts);
    print_trend(trend);
    print_ages(map);
    if (member_at(map, "groups").is_array()) print_users(map);
}

}  // namespace

Result<int> run_map_show(const Options& options) {
    const Json document = SLC_TRY(fetch(options, "/api/v1/maps"), "map show");
    std::vector<std::string> names;
    for (const Json& map : member_at(document, "maps")) {
        if (text_at(map, "name") != options.name) {
            names.push_back(text_at(map, "name"));
            continue;
        }
        if (is_document(options.format)) {
            Json out = {{"schema_version", number_at(document, "schema_version")}};
            out.update(map);
            print_document(out, options.format);
        } else {
            print_map(map);
        }
        return kExitDone;
    }
    return fail(Errc::not_found, fmt::format("no map '{}'", options.name),
                suggestion(options.name, names, "sluice map list shows them all"));
}

Result<int> run_map_list(const Options& options) {
    const Json document = SLC_TRY(fetch(options, "/api/v1/maps"), "map list");
    if (is_document(options.format)) {
        print_document(document, options.format);
        return kExitDone;
    }
    print_maps(member_at(document, "maps"));
    for (const Json& map : member_at(document, "maps"))
        print_use(map, options.format == Format::wide);
    print_changes(member_at(document, "changes"));
    return kExitDone;
}

}  // namespace sluice::cli
