// SPDX-License-Identifier: Apache-2.0

/// `sluice announce list`, `sluice node drain|ready`: what routers are told, and whether this node
/// wants traffic.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/announce_routes.h"
#include "api/client.h"
#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/announce_text.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/wait.h"

namespace sluice::cli {
namespace {

constexpr const char* kPage = "/api/v1/announcements";

Colour colour_of(const Json& vip) {
    const std::string state = text_at(vip, "state");
    if (state == "failing") return Colour::bad;
    if (state == "announced") return Colour::good;
    return Colour::warning;
}

/// "bird announced, bgp 192.0.2.1 failing"
std::string ways_text(const Json& vip) {
    std::string out;
    for (const Json& way : member_at(vip, "ways"))
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ", text_at(way, "way"),
                           text_at(way, "state"));
    return out;
}

void print_vips(const Json& page, bool is_wide) {
    std::vector<std::string> headings = {"VIP", "STATE", "SINCE"};
    if (is_wide) headings.emplace_back("WAYS");
    headings.emplace_back("WHY");
    Table table(headings);
    for (const Json& vip : member_at(page, "announcements")) {
        std::vector<Cell> row = {cell(text_at(vip, "vip")),
                                 cell(text_at(vip, "state"), colour_of(vip)),
                                 cell(time_for_people(text_at(vip, "since")))};
        if (is_wide) row.push_back(cell(ways_text(vip)));
        row.push_back(cell(text_at(vip, "why")));
        table.add(std::move(row));
    }
    fmt::print("{}", table.text());
}

void print_ways(const Json& page) {
    Table table({"WAY", "STATE", "SINCE", "RESETS", "LAST_ERROR"});
    for (const Json& way : member_at(page, "ways"))
        table.add({cell(text_at(way, "way")),
                   cell(text_at(way, "state"), flag_at(way, "up") ? Colour::good : Colour::bad),
                   cell(time_for_people(text_at(way, "since"))),
                   number_cell(number_at(way, "resets")), cell(text_at(way, "last_error"))});
    if (!table.empty()) fmt::print("\n{}", table.text());
}

void print_outcome(const Options& options, const Json& page) {
    if (is_document(options.format))
        print_document(page, options.format);
    else
        fmt::print("{}\n", announcements_text(page));
}

Result<int> carry_out(const Options& options, const std::string& verb, const std::string& body) {
    const std::string command = "node " + verb;
    const api::Client client(options.socket);
    const auto answer = client.post("/api/v1/node/" + verb, body);
    if (!answer) return fail(Error(answer.error()).in(command));
    Json page = SLC_TRY(parse_document(*answer), command);
    if (!options.wait) {
        print_outcome(options, page);
        return kExitDone;
    }
    const WaitView view{.text = announcements_text, .key = announcements_key};
    const WaitEnd end =
        SLC_TRY(wait_until_settled(options, kPage, page, std::nullopt, view), command);
    if (end == WaitEnd::interrupted)
        fmt::print(stderr, "it goes on without this command: sluice announce list\n");
    print_outcome(options, page);
    return end == WaitEnd::settled ? kExitDone : kExitFailed;
}

}  // namespace

Result<int> run_announce_list(const Options& options) {
    const Json page = SLC_TRY(fetch(options, kPage), "announce list");
    if (is_document(options.format)) {
        print_document(page, options.format);
        return kExitDone;
    }
    const std::string state = text_at(member_at(page, "node_state"), "state");
    if (state != "ready") fmt::print("{}\n\n", node_state_text(page));
    if (!flag_at(page, "configured")) {
        fmt::print("nothing announces VIPs: the configuration has no section announce\n");
        return kExitDone;
    }
    print_vips(page, options.format == Format::wide);
    print_ways(page);
    return kExitDone;
}

/// The words of the command line are checked by the tree: none of these can be wrong here.
Result<int> run_node_drain(const Options& options) {
    control::NodeOrder order;
    order.drain = true;
    order.until_quiet = options.wait;
    if (!options.node.keep.empty())
        order.keep = SLC_TRY(parse_duration(options.node.keep), "--for");
    if (!options.node.deadline.empty())
        order.deadline = SLC_TRY(parse_duration(options.node.deadline), "--deadline");
    return carry_out(options, "drain", api::drain_json(order));
}

Result<int> run_node_ready(const Options& options) {
    return carry_out(options, "ready", {});
}

}  // namespace sluice::cli
