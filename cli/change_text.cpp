// SPDX-License-Identifier: Apache-2.0
#include "cli/change_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/duration.h"
#include "cli/daemon.h"
#include "cli/table.h"

namespace sluice::cli {
namespace {

constexpr std::size_t kMaxRows = 20;  ///< Of rings and tables, unless all are asked for.

double part_of(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

Colour colour_of(const std::string& kind) {
    if (kind == "added") return Colour::good;
    return kind == "removed" ? Colour::bad : Colour::warning;
}

char sign_of(const std::string& kind) {
    if (kind == "added") return '+';
    return kind == "removed" ? '-' : '~';
}

/// "weight 1 -> 5"; what was added or removed as it is written.
std::string difference_of(const Json& change) {
    const std::string before = text_at(change, "before");
    const std::string after = text_at(change, "after");
    const std::string kind = text_at(change, "kind");
    if (kind == "added") return after;
    if (kind == "removed") return before;
    const auto shown = [](const std::string& value) { return value.empty() ? "nothing" : value; };
    return fmt::format("{} {} -> {}", text_at(change, "field"), shown(before), shown(after));
}

/// "front" of "backend front/10.0.0.5", "web" of "service web".
std::string owner_of(const std::string& what) {
    const std::size_t blank = what.find(' ');
    if (blank == std::string::npos) return what;
    return what.substr(blank + 1, what.find('/', blank) - blank - 1);
}

/// The changes of one owner beside each other, owners as they come.
std::vector<const Json*> grouped(const Json& changes) {
    std::unordered_map<std::string, std::size_t> places;
    std::vector<std::pair<std::size_t, const Json*>> placed;
    for (const Json& change : changes)
        placed.emplace_back(
            places.emplace(owner_of(text_at(change, "what")), places.size()).first->second,
            &change);
    std::stable_sort(placed.begin(), placed.end(),
                     [](const auto& left, const auto& right) { return left.first < right.first; });
    std::vector<const Json*> out;
    out.reserve(placed.size());
    for (const auto& [place, change] : placed) out.push_back(change);
    return out;
}

using Whys = std::vector<std::pair<std::string, std::string>>;

/// Each road's reasons, once.
Whys whys_of(const Json& changes) {
    Whys out;
    for (const Json& change : changes) {
        const std::pair<std::string, std::string> why = {text_at(change, "road"),
                                                         text_at(change, "why")};
        if (!why.second.empty() && std::find(out.begin(), out.end(), why) == out.end())
            out.push_back(why);
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& left, const auto& right) { return left.first < right.first; });
    return out;
}

/// "87 of 65536 slots (0.13%)"; empty when there are none.
std::string share_text(std::uint64_t part, std::uint64_t whole, const char* noun) {
    if (whole == 0) return {};
    return fmt::format("{} of {}{} ({})", part, whole, noun, percent_text(part_of(part, whole)));
}

std::string slots_of(const Json& plan, const char* noun) {
    return share_text(number_at(plan, "moved_slots"), number_at(plan, "slots"), noun);
}

std::string sampled_of(const Json& proof, const char* noun) {
    return share_text(number_at(proof, "moved"), number_at(proof, "replayed"), noun);
}

std::string packets_fact(const Json& proof, const char* noun) {
    std::string out = sampled_of(proof, noun);
    if (out.empty()) return "none were sampled";
    out += " go elsewhere";
    if (!member_at(proof, "max_moved").is_null())
        out += fmt::format(", {} may", percent_text(fraction_at(proof, "max_moved")));
    const std::uint64_t changed = number_at(proof, "changed");
    if (changed > 0) out += fmt::format("; {} get another verdict or reason", changed);
    return out;
}

std::string tests_fact(const Json& proof) {
    const std::uint64_t tests = number_at(proof, "tests");
    if (tests == 0) return "none";
    const std::size_t failed = member_at(proof, "failures").size();
    const std::string of = fmt::format("{}, {}", counted(tests, "test"),
                                       counted(number_at(proof, "packets"), "packet"));
    if (failed > 0) return fmt::format("{}: {} failed", of, failed);
    return fmt::format("{}: {}", of, tests == 1 ? "it holds" : "all hold");
}

/// "map 1.2 ms, program 41.3 ms; entry is not consistent".
std::string time_fact(const Json& plan) {
    std::string out;
    std::string not_consistent;
    std::size_t without = 0;
    for (const Json& road : member_at(plan, "roads")) {
        const std::string name = text_at(road, "road");
        if (flag_at(road, "consistent")) {
            out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name,
                               measured_text(number_at(road, "time_us")));
        } else {
            not_consistent += (without == 0 ? "" : " and ") + name;
            ++without;
        }
    }
    if (out.empty() || without == 0) return out;
    return fmt::format("{}; {} {} not consistent", out, not_consistent,
                       without == 1 ? "is" : "are");
}

/// "backends 34%, services 12%": those that somebody might have to think about.
std::string fullest(const Json& tables) {
    constexpr double kWorthSaying = 0.01;
    constexpr std::size_t kMost = 5;
    std::vector<std::pair<double, std::string>> uses;
    for (const Json& row : tables) {
        const double use = part_of(number_at(row, "used"), number_at(row, "capacity"));
        if (use >= kWorthSaying) uses.emplace_back(use, text_at(row, "name"));
    }
    if (tables.empty()) return {};
    if (uses.empty()) return "all under 1% of their limits";
    std::stable_sort(uses.begin(), uses.end(),
                     [](const auto& left, const auto& right) { return left.first > right.first; });
    if (uses.size() > kMost) uses.resize(kMost);
    std::string out;
    for (const auto& [use, name] : uses)
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, percent_text(use));
    return out + " of their limits";
}

std::string facts_text(const Json& plan) {
    const Json& proof = member_at(plan, "proof");
    const Json& estimate = member_at(plan, "estimate");
    std::string out;
    const auto put = [&out](const char* name, const std::string& value) {
        if (!value.empty()) out += fmt::format("{:<9} {}\n", std::string(name) + ":", value);
    };
    if (!member_at(plan, "changes").empty()) {
        const std::string slots = slots_of(plan, "");
        put("slots", slots.empty() ? slots : slots + " go to another backend");
        put("packets", packets_fact(proof, " sampled"));
        put("time", time_fact(plan));
        const std::uint64_t memory = number_at(estimate, "memory_bytes");
        put("memory", memory == 0 ? "" : short_number(memory) + " bytes more");
        put("tables", fullest(member_at(plan, "tables")));
    }
    put("tests", tests_fact(proof));
    if (flag_at(plan, "loses_rollback"))
        put("rollback", "not at once any more: a table of another size or layout");
    return out;
}

std::string rest_text(std::size_t shown, std::size_t total) {
    return total > shown ? fmt::format("  and {} more: -o wide\n", total - shown) : std::string();
}

std::string rings_text(const Json& rings, std::size_t most) {
    Table table({"RING", "BALANCE", "SLOTS", "MOVED", "SHARE"});
    std::size_t shown = 0;
    for (const Json& ring : rings) {
        if (shown == most) break;
        ++shown;
        const std::uint64_t slots = number_at(ring, "ring_slots");
        const std::uint64_t moved = number_at(ring, "moved_slots");
        table.add({cell(text_at(ring, "group")),
                   cell(text_at(ring, "balance")),
                   number_cell(slots),
                   number_cell(moved),
                   {percent_text(part_of(moved, slots)), Colour::none, true}});
    }
    return table.empty() ? std::string() : "\n" + table.text() + rest_text(shown, rings.size());
}

std::string tables_text(const Json& tables) {
    Table table({"TABLE", "USED", "CAPACITY", "USE", "BYTES"});
    for (const Json& row : tables) {
        const std::uint64_t used = number_at(row, "used");
        const std::uint64_t capacity = number_at(row, "capacity");
        const double use = part_of(used, capacity);
        table.add({cell(text_at(row, "name")),
                   number_cell(used),
                   capacity == 0 ? Cell{"memory", Colour::none, true} : number_cell(capacity),
                   {capacity == 0 ? "" : percent_text(use),
                    use > 0.9 ? Colour::warning : Colour::none, true},
                   number_cell(number_at(row, "bytes"))});
    }
    return table.empty() ? std::string() : "\n" + table.text();
}

std::string replay_text(const Json& differences) {
    Table table({"PACKETS", "WAS", "WILL BE", "FOR EXAMPLE"});
    for (const Json& row : differences)
        table.add({number_cell(number_at(row, "count")), cell(text_at(row, "was")),
                   cell(text_at(row, "now")), cell(text_at(row, "packet"))});
    return table.empty() ? std::string() : "\n" + table.text();
}

std::string failures_text(const Json& failures) {
    std::string out;
    for (const Json& failure : failures)
        out += fmt::format("{} {}: {}: {}\n", painted("FAILED", Colour::bad),
                           text_at(failure, "where"), text_at(failure, "test"),
                           text_at(failure, "text"));
    return out.empty() ? out : "\n" + out;
}

std::string parts_text(const Json& plan) {
    std::string out;
    for (const Json& part : member_at(plan, "parts"))
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ", text_at(part, "part"),
                           measured_text(number_at(part, "took_us")));
    return out.empty() ? out : fmt::format("{:<9} {}\n", "took:", out);
}

/// " by the map road"; `otherwise` for what packets never see.
std::string by_road(const Json& plan, const char* otherwise = ", none that a packet sees") {
    const std::string road = text_at(plan, "road");
    return road.empty() || road == "none" ? otherwise : fmt::format(" by the {} road", road);
}

}  // namespace

std::string counted(std::uint64_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string measured_text(std::uint64_t microseconds) {
    if (microseconds < 1000) return fmt::format("{} us", microseconds);
    const double milliseconds = static_cast<double>(microseconds) / 1000;
    if (milliseconds < 100) return fmt::format("{:.1f} ms", milliseconds);
    if (milliseconds < 1000) return fmt::format("{:.0f} ms", milliseconds);
    return fmt::format("{:.1f} s", milliseconds / 1000);
}

std::string percent_text(double part) {
    const double percent = part * 100;
    if (percent > 99 && percent < 100) return "over 99%";
    if (percent == 0 || percent >= 10) return fmt::format("{:.0f}%", percent);
    if (percent >= 1) return fmt::format("{:.2g}%", percent);
    return percent >= 0.01 ? fmt::format("{:.2g}%", percent) : std::string("under 0.01%");
}

std::string changes_text(const Json& changes, std::size_t most) {
    constexpr std::size_t kMaxWidth = 80;  // A long line does not push the roads of all others.
    std::vector<const Json*> rows = grouped(changes);
    if (rows.size() > most) rows.resize(most);
    std::size_t width = 0;
    std::vector<std::string> lines;
    for (const Json* change : rows) {
        lines.push_back(text_at(*change, "what") + " " + difference_of(*change));
        if (lines.back().size() <= kMaxWidth) width = std::max(width, lines.back().size());
    }
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string kind = text_at(*rows[i], "kind");
        out += fmt::format("  {} {:<{}}  [{}]\n",
                           painted(std::string(1, sign_of(kind)), colour_of(kind)), lines[i], width,
                           text_at(*rows[i], "road"));
    }
    out += rest_text(lines.size(), changes.size());
    const Whys whys = whys_of(changes);
    if (!whys.empty()) out += "\n";
    for (const auto& [road, why] : whys) out += fmt::format("{:<9} {}\n", road + ":", why);
    return out;
}

std::string plan_text(const Json& plan, bool is_wide) {
    constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
    const Json& changes = member_at(plan, "changes");
    const Json& proof = member_at(plan, "proof");
    const std::uint64_t base = number_at(plan, "base");
    std::string out;
    if (changes.empty())
        out = fmt::format("nothing changes: generation {} does what this configuration says\n\n",
                          base);
    else
        out = fmt::format("{} to {}{}\n\n{}\n", counted(changes.size(), "change"),
                          base == 0 ? std::string("nothing") : fmt::format("generation {}", base),
                          by_road(plan), changes_text(changes, is_wide ? kAll : kMaxChanges));
    out += facts_text(plan);
    if (is_wide) out += parts_text(plan);
    out += rings_text(member_at(plan, "rings"), is_wide ? kAll : kMaxRows);
    if (is_wide) out += tables_text(member_at(plan, "tables"));
    out += replay_text(member_at(proof, "differences"));
    std::string notes;
    for (const Json& note : member_at(plan, "notes"))
        if (note.is_string()) notes += "note: " + note.get<std::string>() + "\n";
    if (!notes.empty()) out += "\n" + notes;
    return out + failures_text(member_at(proof, "failures"));
}

std::string plan_summary(const Json& plan) {
    const Json& proof = member_at(plan, "proof");
    std::string out = counted(member_at(plan, "changes").size(), "change") + by_road(plan);
    const std::string slots = slots_of(plan, " slots");
    const std::string packets = sampled_of(proof, " sampled packets");
    if (!slots.empty() || !packets.empty())
        out += fmt::format(": {}{}{} go elsewhere", slots,
                           slots.empty() || packets.empty() ? "" : " and ", packets);
    const std::uint64_t tests = number_at(proof, "tests");
    if (tests > 0)
        out += fmt::format("; {} {}", counted(tests, "test"), tests == 1 ? "holds" : "hold");
    return out;
}

std::string objection(const Json& plan) {
    const Json& proof = member_at(plan, "proof");
    if (flag_at(plan, "holds")) return {};
    const std::size_t failed = member_at(proof, "failures").size();
    if (failed > 0)
        return fmt::format(
            "{} of {} not hold", failed,
            counted(number_at(proof, "tests"), "test") + (failed == 1 ? " does" : " do"));
    return packets_fact(proof, " sampled packets");
}

std::string outcome_text(const Json& applied) {
    const Json& plan = member_at(applied, "plan");
    const std::uint64_t generation = number_at(applied, "generation");
    const std::uint64_t base = number_at(plan, "base");
    const std::string outcome = text_at(applied, "outcome");
    if (generation == 0) return fmt::format("generation {} stays in force\n", base);
    const std::uint64_t took_us = number_at(plan, "took_us");
    const std::string took = took_us == 0 ? "" : " in " + measured_text(took_us);
    if (outcome == "canary")
        return fmt::format("generation {} is a canary{}: sluice config canary show\n", generation,
                           took);
    std::string out =
        fmt::format("generation {} is in force{}{}\n", generation, by_road(plan, ""), took);
    if (outcome == "awaiting")
        out += fmt::format(
            "waits for `sluice config confirm` until {}, {} left; else generation {} comes back\n",
            time_for_people(text_at(applied, "confirm_by")),
            text_of_duration(std::chrono::seconds(number_at(applied, "confirm_left_s"))), base);
    return out;
}

}  // namespace sluice::cli
