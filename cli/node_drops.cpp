// SPDX-License-Identifier: Apache-2.0

/// `sluice node drops`: where packets get lost, from the wire to our own decision, in one table.

#include "cli/node_drops.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/table.h"

namespace sluice::cli {
namespace {

constexpr const char* kTarget = "/api/v1/node/drops";

/// What makes two rows the same one at two times.
std::string key_of(const Json& row) {
    std::string key;
    for (const char* name : {"layer", "interface", "queue", "cpu", "counter", "source"}) {
        const Json& value = member_at(row, name);
        key += (value.is_string() ? value.get_ref<const std::string&>() : value.dump()) + '\n';
    }
    return key;
}

void add_rates(const Json& before, Json& now, double seconds) {
    std::map<std::string, std::uint64_t> packets;
    if (before.is_array())
        for (const Json& row : before) packets[key_of(row)] = number_at(row, "packets");
    for (Json& row : now) {
        const auto found = packets.find(key_of(row));
        const std::uint64_t was = found == packets.end() ? 0 : found->second;
        const std::uint64_t is = number_at(row, "packets");
        const std::uint64_t grown = is < was ? 0 : is - was;
        row["packets_per_second"] =
            seconds > 0 ? std::round(static_cast<double>(grown) / seconds * 10) / 10 : 0.0;
    }
}

Cell rate_cell(const Json& row) {
    const double rate = fraction_at(row, "packets_per_second");
    const Colour colour = rate > 0 ? Colour::warning : Colour::none;
    if (rate > 0 && rate < 10) return {fmt::format("{:.1f}", rate), colour, true};
    return {short_number(static_cast<std::uint64_t>(rate)), colour, true};
}

std::string place_of(const Json& row) {
    const Json& cpu = member_at(row, "cpu");
    if (cpu.is_number()) return "CPU " + cpu.dump();
    std::string out = text_at(row, "interface");
    const Json& queue = member_at(row, "queue");
    if (queue.is_number()) out += " queue " + queue.dump();
    return out;
}

void print_layers(const Json& document) {
    Table table({"LAYER", "PACKETS", "PER_SECOND", "LOST_BECAUSE"});
    for (const Json& layer : member_at(document, "layers"))
        table.add({cell(text_at(layer, "layer")), number_cell(number_at(layer, "packets")),
                   rate_cell(layer), cell(text_at(layer, "text"))});
    fmt::print("{}", table.text());
}

void print_losses(const Json& losses) {
    Table table({"LAYER", "WHERE", "COUNTER", "SOURCE", "PACKETS", "PER_SECOND"});
    for (const Json& row : losses) {
        const char* unit = flag_at(row, "is_loss") ? "" : " (times)";
        table.add({cell(text_at(row, "layer")), cell(place_of(row)),
                   cell(text_at(row, "counter") + unit), cell(text_at(row, "source")),
                   number_cell(number_at(row, "packets")), rate_cell(row)});
    }
    fmt::print("\n{}\n", table.text());
    std::set<std::string> said;
    for (const Json& row : losses) {
        const std::string remedy = text_at(row, "remedy");
        const std::string counter = text_at(row, "counter");
        if (!remedy.empty() && said.insert(counter).second) fmt::print("{}: {}\n", counter, remedy);
    }
}

void print_page(const Json& document) {
    print_layers(document);
    const Json& losses = member_at(document, "losses");
    if (losses.is_array() && !losses.empty())
        print_losses(losses);
    else
        fmt::print("\nnothing was lost\n");
    for (const Json& interface : member_at(document, "interfaces"))
        if (!flag_at(interface, "is_known"))
            fmt::print(
                "{}: driver {} has counters of its own that Sluice does not know: see "
                "ethtool -S {}\n",
                text_at(interface, "name"), text_at(interface, "driver"),
                text_at(interface, "name"));
}

void print_one(const Json& document, Format format, bool is_one_of_many) {
    if (format == Format::json && is_one_of_many)
        fmt::print("{}\n", document.dump(-1, ' ', false, Json::error_handler_t::replace));
    else if (is_document(format))
        print_document(document, format);
    else
        print_page(document);
    std::fflush(stdout);
}

}  // namespace

Json with_rates(const Json& before, Json now, double seconds) {
    for (const char* name : {"layers", "losses"})
        if (now.contains(name)) add_rates(member_at(before, name), now[name], seconds);
    return now;
}

Result<int> run_node_drops(const Options& options) {
    using Clock = std::chrono::steady_clock;
    const std::chrono::seconds interval =
        SLC_TRY(parse_duration(options.node.interval), "node drops");
    if (options.node.watch && interval.count() == 0)
        return usage_error(make_error(Errc::invalid, "--watch needs an --interval"), "node drops");
    auto read_at = Clock::now();
    Json before = SLC_TRY(fetch(options, kTarget), "node drops");
    if (interval.count() == 0) {
        print_one(with_rates(before, before, 0), options.format, false);
        return kExitDone;
    }
    do {
        std::this_thread::sleep_until(read_at + interval);
        const auto now_at = Clock::now();
        const Json now = SLC_TRY(fetch(options, kTarget), "node drops");
        const double seconds = std::chrono::duration<double>(now_at - read_at).count();
        if (options.node.watch && !is_document(options.format)) fmt::print("\n");
        print_one(with_rates(before, now, seconds), options.format, options.node.watch);
        before = now;
        read_at = now_at;
    } while (options.node.watch);
    return kExitDone;
}

}  // namespace sluice::cli
