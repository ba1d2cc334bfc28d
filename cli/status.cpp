// SPDX-License-Identifier: Apache-2.0

/// `sluice status`: the page for somebody who was woken up. What is wrong comes first, and all of
/// it fits one screen unless `-o wide` asks for every row.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/exit_code.h"
#include "cli/announce_text.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/table.h"

namespace sluice::cli {
namespace {

constexpr std::size_t kMaxProblems = 6;
constexpr std::size_t kMaxServices = 10;
constexpr std::size_t kMaxDrops = 5;

/// The first `count` of `rows` in the order of `is_before`; what is equal keeps its order.
template <typename Less>
std::vector<const Json*> top(const Json& rows, std::size_t count, Less is_before) {
    std::vector<const Json*> out;
    for (const Json& row : rows) out.push_back(&row);
    std::stable_sort(out.begin(), out.end(),
                     [&](const Json* a, const Json* b) { return is_before(*a, *b); });
    if (out.size() > count) out.resize(count);
    return out;
}

std::uint64_t packets_of(const Json& row) {
    return number_at(member_at(row, "traffic"), "packets");
}

/// 0: no backend, 1: some of them missing, 2: well.
int rank_of(const Json& service) {
    if (text_at(service, "forward") == "local") return 2;
    const std::uint64_t ready = number_at(service, "backends_ready");
    if (ready == 0) return 0;
    return ready < number_at(service, "backends_total") ? 1 : 2;
}

void print_rest(std::size_t shown, std::size_t total, std::string_view where) {
    if (total > shown) fmt::print("  and {} more: {}\n", total - shown, where);
}

void print_head(const Json& status) {
    const bool is_degraded = text_at(status, "state") == "degraded";
    fmt::print("{}: {}\n", text_at(status, "node"),
               painted(text_at(status, "state"), is_degraded ? Colour::bad : Colour::good));
    const std::uint64_t generation = number_at(status, "generation");
    const Json& reload = member_at(status, "reload");
    if (generation == 0)
        fmt::print("no generation of {} is in force\n", text_at(status, "config_file"));
    else if (flag_at(reload, "success"))
        fmt::print("generation {} of {}, in force since {}\n", generation,
                   text_at(status, "config_file"), time_for_people(text_at(reload, "at")));
    else
        fmt::print("generation {} of {}; the reload of {} was refused: {}\n", generation,
                   text_at(status, "config_file"), time_for_people(text_at(reload, "at")),
                   first_line(text_at(reload, "error")));
    fmt::print("sluiced {}, running since {}\n", text_at(status, "version"),
               time_for_people(text_at(status, "started")));
    if (const std::string state = node_state_text(status); !state.empty())
        fmt::print("{}\n", painted("node " + state, Colour::warning));
}

void print_problems(const Json& status, bool show_all) {
    std::vector<std::string> problems;
    for (const Json& problem : member_at(status, "problems"))
        if (problem.is_string()) problems.push_back(problem.get<std::string>());
    if (problems.empty()) return;
    fmt::print("\n{}\n", painted("PROBLEMS", Colour::bad));
    const std::size_t shown = show_all ? problems.size() : std::min(kMaxProblems, problems.size());
    for (std::size_t i = 0; i < shown; ++i) fmt::print("  {}\n", problems[i]);
    print_rest(shown, problems.size(), "sluice status -o wide");
}

void print_interfaces(const Json& status) {
    Table table({"INTERFACE", "ATTACHED", "XDP", "DRIVER", "MTU"});
    for (const Json& interface : member_at(status, "interfaces")) {
        const bool is_attached = flag_at(interface, "attached");
        const std::string mode = text_at(interface, "xdp_mode");
        table.add({cell(text_at(interface, "name")),
                   cell(is_attached ? "yes" : "no", is_attached ? Colour::good : Colour::bad),
                   cell(mode, mode == "generic" ? Colour::warning : Colour::none),
                   cell(text_at(interface, "driver")),
                   cell(std::to_string(number_at(interface, "mtu")))});
    }
    if (!table.empty()) fmt::print("\n{}", table.text());
}

void print_services(const Json& status, bool show_all) {
    const Json& services = member_at(status, "services");
    Table table(
        {"SERVICE", "VIP", "PROTO", "PORT", "FORWARD", "READY", "PACKETS", "BYTES", "DROPPED"});
    const auto rows =
        top(services, show_all ? services.size() : kMaxServices, [](const Json& a, const Json& b) {
            const int left = rank_of(a);
            const int right = rank_of(b);
            return left != right ? left < right : packets_of(a) > packets_of(b);
        });
    for (const Json* service : rows)
        table.add({cell(text_at(*service, "name")), cell(text_at(*service, "vip")),
                   cell(text_at(*service, "protocol")), cell(text_at(*service, "port")),
                   cell(text_at(*service, "forward")), ready_cell(*service),
                   number_cell(packets_of(*service)),
                   number_cell(number_at(member_at(*service, "traffic"), "bytes")),
                   number_cell(number_at(member_at(*service, "dropped"), "packets"))});
    if (table.empty()) return;
    fmt::print("\n{}", table.text());
    print_rest(rows.size(), services.size(), "sluice service list");
}

void print_drops(const Json& status, bool show_all) {
    Json drops = Json::array();
    for (const Json& reason : member_at(status, "reasons"))
        if (text_at(reason, "outcome") == "dropped" && packets_of(reason) > 0)
            drops.push_back(reason);
    const auto rows =
        top(drops, show_all ? drops.size() : kMaxDrops,
            [](const Json& a, const Json& b) { return packets_of(a) > packets_of(b); });
    // One line of an ordinary terminal each: the remedy says more than the meaning.
    std::vector<std::string> headings = {"DROPPED", "PACKETS", "REMEDY"};
    if (show_all) headings.emplace_back("MEANING");
    Table table(headings);
    for (const Json* reason : rows) {
        const std::string remedy = text_at(*reason, "remedy");
        std::vector<Cell> row = {cell(text_at(*reason, "reason")), number_cell(packets_of(*reason)),
                                 cell(remedy.empty() ? text_at(*reason, "text") : remedy)};
        if (show_all) row.push_back(cell(text_at(*reason, "text")));
        table.add(std::move(row));
    }
    if (table.empty()) {
        fmt::print("\nNothing was dropped.\n");
        return;
    }
    fmt::print("\n{}", table.text());
    print_rest(rows.size(), drops.size(), "sluice reasons");
}

}  // namespace

Result<int> run_status(const Options& options) {
    const Json status = SLC_TRY(fetch(options, "/api/v1/status"), "status");
    const int code = text_at(status, "state") == "degraded" ? kExitDegraded : kExitDone;
    if (is_document(options.format)) {
        print_document(status, options.format);
        return code;
    }
    const bool show_all = options.format == Format::wide;
    print_head(status);
    print_problems(status, show_all);
    print_interfaces(status);
    print_services(status, show_all);
    print_drops(status, show_all);
    return code;
}

}  // namespace sluice::cli
