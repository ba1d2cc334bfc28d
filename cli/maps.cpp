// SPDX-License-Identifier: Apache-2.0

/// `sluice map list`: how full the tables are, and which changes keep flows remembered.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace sluice::cli {
namespace {

Cell use_cell(const Json& map) {
    const std::uint64_t capacity = number_at(map, "capacity");
    if (!flag_at(map, "counted") || capacity == 0) return cell("");
    const double used =
        static_cast<double>(number_at(map, "entries")) / static_cast<double>(capacity);
    constexpr double kFull = 0.9;
    return {fmt::format("{:.1f}%", used * 100), used < kFull ? Colour::none : Colour::warning,
            true};
}

void print_maps(const Json& maps) {
    Table table({"MAP", "KIND", "ENTRIES", "CAPACITY", "USED", "BYTES"});
    for (const Json& map : maps)
        table.add({cell(text_at(map, "name")), cell(text_at(map, "kind")),
                   flag_at(map, "counted") ? number_cell(number_at(map, "entries")) : cell(""),
                   number_cell(number_at(map, "capacity")), use_cell(map),
                   number_cell(number_at(map, "bytes"))});
    fmt::print("{}", table.text());
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
    if (!is_wide) return;
    Table classes({"CLASS", "ENTRIES"});
    for (const Json& use : member_at(map, "classes"))
        classes.add({cell(text_at(use, "class")), number_cell(number_at(use, "entries"))});
    if (!classes.empty()) fmt::print("\n{}", classes.text());
    Table table({"GROUP", "ENTRIES", "SHARE", "CEILING", "HITS", "MISSES", "INSERTS", "FULL",
                 "AT_CEILING", "HELD", "UNKNOWN_IDS"});
    for (const Json& use : groups) {
        std::vector<Cell> row = {cell(text_at(use, "group"))};
        for (const char* key : {"entries", "share", "ceiling", "hits", "misses", "inserts",
                                "refused_full", "refused_ceiling", "refused_held", "ids_unknown"})
            row.push_back(number_cell(number_at(use, key)));
        table.add(std::move(row));
    }
    if (!table.empty()) fmt::print("\n{}", table.text());
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

}  // namespace

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
