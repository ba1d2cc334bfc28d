// SPDX-License-Identifier: Apache-2.0

/// The commands that show one part of a node: services, backends, the node itself, reasons.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/backend_order.h"
#include "api/query.h"
#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace sluice::cli {
namespace {

Cell packets_cell(const Json& row, const char* key = "traffic") {
    return number_cell(number_at(member_at(row, key), "packets"));
}

Cell bytes_cell(const Json& row, const char* key = "traffic") {
    return number_cell(number_at(member_at(row, key), "bytes"));
}

Cell hop_cell(const Json& backend) {
    const std::string hop = text_at(backend, "next_hop");
    return cell(hop, hop == "resolved" || hop == "local" ? Colour::good : Colour::bad);
}

Cell state_cell(const Json& backend) {
    const std::string state = state_text(backend);
    return cell(state, state == "ready" ? Colour::none : Colour::warning);
}

/// "open 14m59s" while a change is in progress.
Cell change_cell(const Json& backend) {
    const Json& change = member_at(backend, "change");
    const std::string phase = text_at(change, "phase");
    if (phase == "settled") return cell("");
    const std::uint64_t window = number_at(change, "window_left_ms");
    return cell(window > 0 ? phase + " " + span_text(window) : phase, Colour::warning);
}

Cell right_cell(std::string text) {
    return {std::move(text), Colour::none, true};
}

Cell share_cell(const Json& backend) {
    Cell out = cell(fmt::format("{:.1f}%", fraction_at(backend, "ring_share") * 100));
    out.is_number = true;
    return out;
}

std::string words_at(const Json& row, const char* key) {
    std::string out;
    for (const Json& word : member_at(row, key))
        if (word.is_string()) out += (out.empty() ? "" : ",") + word.get<std::string>();
    return out;
}

std::string traffic_text(const Json& row, const char* key = "traffic") {
    const Json& traffic = member_at(row, key);
    return fmt::format("{} packets, {} bytes", number_at(traffic, "packets"),
                       number_at(traffic, "bytes"));
}

void print_services(const Json& services, bool is_wide) {
    std::vector<std::string> headings = {"SERVICE", "VIP",     "PROTO", "PORT",   "FORWARD",
                                         "READY",   "PACKETS", "BYTES", "DROPPED"};
    if (is_wide)
        headings.insert(headings.end(),
                        {"ID", "GROUP", "BALANCE", "AFFINITY", "SLOTS", "CUSTOMER", "POLICY"});
    Table table(headings);
    for (const Json& service : services) {
        std::vector<Cell> row = {cell(text_at(service, "name")),
                                 cell(text_at(service, "vip")),
                                 cell(text_at(service, "protocol")),
                                 cell(text_at(service, "port")),
                                 cell(text_at(service, "forward")),
                                 ready_cell(service),
                                 packets_cell(service),
                                 bytes_cell(service),
                                 packets_cell(service, "dropped")};
        if (is_wide)
            row.insert(
                row.end(),
                {cell(std::to_string(number_at(service, "id"))), cell(text_at(service, "group")),
                 cell(text_at(service, "balance")), cell(text_at(service, "affinity")),
                 cell(std::to_string(number_at(service, "ring_slots"))),
                 cell(text_at(service, "customer")), cell(text_at(service, "policy"))});
        table.add(std::move(row));
    }
    fmt::print("{}", table.text());
}

bool is_watched(const Json& backend) {
    return !text_at(backend, "health").empty();
}

Cell health_cell(const Json& backend) {
    const std::string health = text_at(backend, "health");
    return cell(health, health == "up" ? Colour::good : Colour::bad);
}

/// "down: 3 failures in a row: refused"; "up, 40% of its weight".
std::string health_text(const Json& backend) {
    const std::string why = text_at(backend, "health_why");
    const double part = static_cast<double>(number_at(backend, "part")) / 10;
    return text_at(backend, "health") + (why.empty() ? "" : ": " + why) +
           (part < 100 ? fmt::format(", {:g}% of its weight", part) : std::string());
}

/// Health has a column where some backend has checks.
void print_backends(const Json& backends, bool is_wide) {
    const bool has_health = std::any_of(backends.begin(), backends.end(), is_watched);
    std::vector<std::string> headings = {"BACKEND",  "STATE", "WEIGHT",  "REMEMBERED", "CHANGE",
                                         "NEXT_HOP", "SHARE", "PACKETS", "BYTES"};
    if (has_health) headings.insert(headings.begin() + 2, "HEALTH");
    if (is_wide) headings.insert(headings.end(), {"MEMBER", "INTERFACE", "NEXT_MAC", "SERVICES"});
    headings.emplace_back("WHY");
    Table table(headings);
    for (const Json& backend : backends) {
        std::vector<Cell> row = {cell(backend_name(backend)),
                                 state_cell(backend),
                                 right_cell(weight_text(backend)),
                                 number_cell(number_at(backend, "remembered")),
                                 change_cell(backend),
                                 hop_cell(backend),
                                 share_cell(backend),
                                 packets_cell(backend),
                                 bytes_cell(backend)};
        if (has_health) row.insert(row.begin() + 2, health_cell(backend));
        if (is_wide)
            row.insert(row.end(),
                       {cell(std::to_string(number_at(backend, "member"))),
                        cell(text_at(backend, "interface")), cell(text_at(backend, "next_mac")),
                        cell(words_at(backend, "services"))});
        row.push_back(cell(text_at(backend, "why")));
        table.add(std::move(row));
    }
    fmt::print("{}", table.text());
}

/// Only what was seen: most families and many owners never are.
void print_traffic(const std::string& heading, const Json& rows, const char* name) {
    Table table({heading, "PACKETS", "BYTES"});
    for (const Json& row : rows)
        if (number_at(member_at(row, "traffic"), "packets") > 0)
            table.add({cell(text_at(row, name)), packets_cell(row), bytes_cell(row)});
    if (!table.empty()) fmt::print("\n{}", table.text());
}

void print_node(const Json& node) {
    const Json& reload = member_at(node, "reload");
    print_facts(
        {{"node", text_at(node, "node")},
         {"version", text_at(node, "version")},
         {"started", time_for_people(text_at(node, "started"))},
         {"generation", std::to_string(number_at(node, "generation"))},
         {"configuration", text_at(node, "config_file")},
         {"digest", text_at(node, "config_digest")},
         {"last reload", fmt::format("{}, {}", time_for_people(text_at(reload, "at")),
                                     flag_at(reload, "success")
                                         ? "in force"
                                         : "refused: " + first_line(text_at(reload, "error")))},
         {"instruction set", text_at(node, "instruction_set")}});
    Table interfaces({"INTERFACE", "IFINDEX", "ATTACHED", "XDP", "DRIVER", "MTU"});
    for (const Json& interface : member_at(node, "interfaces"))
        interfaces.add({cell(text_at(interface, "name")),
                        cell(std::to_string(number_at(interface, "ifindex"))),
                        cell(flag_at(interface, "attached") ? "yes" : "no"),
                        cell(text_at(interface, "xdp_mode")), cell(text_at(interface, "driver")),
                        cell(std::to_string(number_at(interface, "mtu")))});
    if (!interfaces.empty()) fmt::print("\n{}", interfaces.text());
    Table programs({"PROGRAM", "INSTRUCTIONS", "BUILT"});
    for (const Json& program : member_at(node, "programs"))
        programs.add({cell(text_at(program, "name")),
                      right_cell(std::to_string(number_at(program, "instructions"))),
                      right_cell(std::to_string(number_at(program, "instructions_built")))});
    if (!programs.empty()) fmt::print("\n{}", programs.text());
    print_traffic("FAMILY", member_at(node, "families"), "family");
    print_traffic("CUSTOMER", member_at(node, "customers"), "name");
    print_traffic("POLICY", member_at(node, "policies"), "name");
}

Error with_service_suggestion(Error error, const Options& options) {
    if (error.code != Errc::not_found) return error;
    const auto all = fetch(options, "/api/v1/services");
    if (!all) return error;
    std::vector<std::string> names;
    for (const Json& row : member_at(*all, "services")) names.push_back(text_at(row, "name"));
    error.hint = suggestion(options.name, names, error.hint);
    return error;
}

void print_service(const Json& service, bool is_wide) {
    print_facts({{"service", text_at(service, "name")},
                 {"vip", text_at(service, "vip")},
                 {"protocol", text_at(service, "protocol")},
                 {"port", text_at(service, "port")},
                 {"forward", text_at(service, "forward")},
                 {"affinity", text_at(service, "affinity")},
                 {"group", text_at(service, "group")},
                 {"balance", fmt::format("{}, {} slots", text_at(service, "balance"),
                                         number_at(service, "ring_slots"))},
                 {"backends ready", fmt::format("{} of {}", number_at(service, "backends_ready"),
                                                number_at(service, "backends_total"))},
                 {"customer", text_at(service, "customer")},
                 {"policy", text_at(service, "policy")},
                 {"traffic", traffic_text(service)},
                 {"dropped", traffic_text(service, "dropped")}});
    if (member_at(service, "backends").empty()) return;
    fmt::print("\n");
    print_backends(member_at(service, "backends"), is_wide);
}

/// How long what was ordered at runtime stays in force.
std::string override_text(const Json& backend) {
    if (!flag_at(backend, "overridden")) return {};
    const std::uint64_t left = number_at(backend, "override_left_s");
    if (left == 0) return "until sluice backend reset";
    return "for another " + text_of_duration(std::chrono::seconds(left));
}

void print_backend(const Json& backend) {
    std::vector<std::pair<std::string, std::string>> facts = {
        {"backend", backend_name(backend)},
        {"member", std::to_string(number_at(backend, "member"))},
        {"state", state_text(backend)},
        {"weight", weight_text(backend)},
        {"set at runtime", override_text(backend)},
        {"change", change_text(member_at(backend, "change"))},
        {"remembered", flows_text(number_at(backend, "remembered"))},
        {"cut", flows_text(number_at(backend, "cut"))},
        {"next hop", text_at(backend, "next_hop")},
        {"why", text_at(backend, "why")},
        {"interface", text_at(backend, "interface")},
        {"next MAC", text_at(backend, "next_mac")},
        {"share of ring", fmt::format("{:.2f}%", fraction_at(backend, "ring_share") * 100)},
        {"services", words_at(backend, "services")},
        {"traffic", traffic_text(backend)}};
    if (is_watched(backend)) facts.insert(facts.begin() + 3, {"health", health_text(backend)});
    print_facts(facts);
}

}  // namespace

Result<int> run_service_list(const Options& options) {
    const Json document = SLC_TRY(fetch(options, "/api/v1/services"), "service list");
    if (is_document(options.format))
        print_document(document, options.format);
    else
        print_services(member_at(document, "services"), options.format == Format::wide);
    return kExitDone;
}

Result<int> run_service_show(const Options& options) {
    auto document = fetch(options, "/api/v1/services/" + api::encode(options.name));
    if (!document)
        return fail(
            with_service_suggestion(std::move(document).error(), options).in("service show"));
    if (is_document(options.format))
        print_document(*document, options.format);
    else
        print_service(*document, options.format == Format::wide);
    return kExitDone;
}

Result<int> run_backend_list(const Options& options) {
    const Json document = SLC_TRY(fetch(options, "/api/v1/backends"), "backend list");
    if (is_document(options.format))
        print_document(document, options.format);
    else
        print_backends(member_at(document, "backends"), options.format == Format::wide);
    return kExitDone;
}

Result<int> run_backend_show(const Options& options) {
    const auto name = api::parse_backend_name(options.name);
    if (!name) return usage_error(name.error(), "backend show");
    auto document = fetch(options, "/api/v1/backends/" + api::encode(options.name));
    if (!document)
        return fail(
            with_backend_suggestion(std::move(document).error(), options).in("backend show"));
    if (is_document(options.format))
        print_document(*document, options.format);
    else
        print_backend(*document);
    return kExitDone;
}

Result<int> run_node_show(const Options& options) {
    const Json document = SLC_TRY(fetch(options, "/api/v1/node"), "node show");
    if (is_document(options.format))
        print_document(document, options.format);
    else
        print_node(document);
    return kExitDone;
}

Result<int> run_reasons(const Options& options) {
    const Json document = SLC_TRY(fetch(options, "/api/v1/reasons"), "reasons");
    if (is_document(options.format)) {
        print_document(document, options.format);
        return kExitDone;
    }
    const bool is_wide = options.format == Format::wide;
    std::vector<std::string> headings = {"REASON", "OUTCOME", "PACKETS", "BYTES", "MEANING"};
    if (is_wide) headings.emplace_back("REMEDY");
    Table table(headings);
    for (const Json& reason : member_at(document, "reasons")) {
        if (!options.all && number_at(member_at(reason, "traffic"), "packets") == 0) continue;
        const std::string outcome = text_at(reason, "outcome");
        std::vector<Cell> row = {
            cell(text_at(reason, "reason")),
            cell(outcome, outcome == "dropped" ? Colour::warning : Colour::none),
            packets_cell(reason), bytes_cell(reason), cell(text_at(reason, "text"))};
        if (is_wide) row.push_back(cell(text_at(reason, "remedy")));
        table.add(std::move(row));
    }
    fmt::print("{}", table.text());
    return kExitDone;
}

}  // namespace sluice::cli
