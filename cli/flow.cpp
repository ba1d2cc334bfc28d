// SPDX-License-Identifier: Apache-2.0

/// `sluice flow list|count|purge|show`: what the node remembers, and where a packet would go.

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "api/backend_order.h"
#include "api/client.h"
#include "api/query.h"
#include "api/tuple.h"
#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/progress.h"

namespace sluice::cli {
namespace {

/// The words of the command line as the API wants them.
Result<api::Query> query_of(const FlowOptions& options) {
    api::Query out;
    const auto put = [&out](const char* key, const std::string& value) {
        if (!value.empty()) out.emplace(key, value);
    };
    put("group", options.group);
    put("class", options.flow_class);
    if (!options.backend.empty()) {
        SLC_TRY(api::parse_backend_name(options.backend), "--backend");
        put("backend", options.backend);
    }
    for (const auto& [key, option, word] : {std::tuple("min_age_s", "--min-age", options.min_age),
                                            std::tuple("max_age_s", "--max-age", options.max_age)})
        if (!word.empty()) put(key, std::to_string(SLC_TRY(parse_duration(word), option).count()));
    if (options.limit > 0) put("limit", std::to_string(options.limit));
    return out;
}

void print_flow_row(const Json& flow, bool is_wide) {
    fmt::print("{:<28}  {:<11}  {:>9}  {:>9}", backend_name(flow), text_at(flow, "class"),
               text_of_duration(std::chrono::seconds(number_at(flow, "age_ms") / 1000)),
               span_text(number_at(flow, "expires_ms")));
    if (is_wide) fmt::print("  {:>9}  {}", number_at(flow, "bucket"), text_at(flow, "fingerprint"));
    fmt::print("\n");
}

/// A column's width is fixed: the rows go out as they come.
void print_flow_heading(bool is_wide) {
    fmt::print("{:<28}  {:<11}  {:>9}  {:>9}", "BACKEND", "CLASS", "AGE", "EXPIRES");
    if (is_wide) fmt::print("  {:>9}  {}", "BUCKET", "FINGERPRINT");
    fmt::print("\n");
}

Result<void> print_flow(std::string_view line, Format format) {
    if (format == Format::json) {
        std::fwrite(line.data(), 1, line.size(), stdout);
        std::fputc('\n', stdout);
        return {};
    }
    const Json flow = SLC_TRY(parse_document(std::string(line)), "flow");
    if (format == Format::yaml)
        fmt::print("---\n{}", yaml_text(flow));
    else
        print_flow_row(flow, format == Format::wide);
    return {};
}

/// The answer to a request that takes options of FlowOptions.
Result<Json> ask_flows(const Options& options, const std::string& path, bool is_change) {
    const api::Query query = SLC_TRY(query_of(options.flow), "options");
    const api::Client client(options.socket);
    const std::string target = path + api::text_of(query);
    auto body = is_change ? client.post(target) : client.get(target);
    if (!body) return fail(std::move(body).error());
    return parse_document(*body);
}

/// What the daemon, or this command, calls invalid is the command line.
Result<int> refused(Error error, const char* command) {
    if (error.code == Errc::invalid) return usage_error(std::move(error), command);
    return fail(std::move(error).in(command));
}

void print_route(const Json& flow) {
    const std::string address = text_at(flow, "address");
    if (address.empty())
        fmt::print("{}\ngoes to no backend ({})", text_at(flow, "tuple"), text_at(flow, "why"));
    else
        fmt::print("{}\ngoes to {} ({})", text_at(flow, "tuple"), address, text_at(flow, "why"));
    const std::string text = text_at(flow, "text");
    fmt::print("{}{}\n", text.empty() ? "" : ": ", text);
}

void print_slot(const Json& flow) {
    if (number_at(flow, "ring_slots") == 0) return;
    const std::string current = text_at(flow, "current");
    const std::string previous = text_at(flow, "previous");
    fmt::print("Service {} on group {}: hash {}, slot {} of {}, which is {}.\n",
               text_at(flow, "service"), text_at(flow, "group"), text_at(flow, "hash"),
               number_at(flow, "slot"), number_at(flow, "ring_slots"),
               current.empty() ? "nobody's" : current + "'s");
    if (!flag_at(flow, "marked")) {
        fmt::print("The slot is not in transition: no remembered flow is looked for.\n");
        return;
    }
    if (flag_at(flow, "open"))
        fmt::print(
            "The slot is in transition and open: what nobody remembers goes to {}, as before.\n",
            previous.empty() ? "nobody" : previous);
    else
        fmt::print(
            "The slot is in transition: flows that are remembered for another backend stay "
            "there.\n");
    if (flag_at(flow, "held"))
        fmt::print("New flows stay there too for now: some found no room to be remembered.\n");
}

void print_memory(const Json& flow) {
    const Json& record = member_at(flow, "remembered");
    if (!record.is_object()) {
        if (flag_at(flow, "marked")) fmt::print("The flow is not remembered.\n");
        return;
    }
    fmt::print(
        "The flow is remembered for {} ({}): last packet {} ago, forgotten in {} without "
        "another.\n",
        text_at(record, "address"), text_at(record, "class"),
        text_of_duration(std::chrono::seconds(number_at(record, "age_ms") / 1000)),
        span_text(number_at(record, "expires_ms")));
}

}  // namespace

Result<int> run_flow_list(const Options& options) {
    const auto query = query_of(options.flow);
    if (!query) return usage_error(query.error(), "flow list");
    bool has_heading = is_document(options.format);
    const bool is_wide = options.format == Format::wide;
    const auto put_heading = [&] {
        if (!has_heading) print_flow_heading(is_wide);
        has_heading = true;
    };
    auto listed = api::Client(options.socket)
                      .stream("/api/v1/flows" + api::text_of(*query), [&](std::string_view line) {
                          put_heading();
                          return print_flow(line, options.format);
                      });
    if (!listed) return refused(std::move(listed).error(), "flow list");
    put_heading();
    return kExitDone;
}

Result<int> run_flow_count(const Options& options) {
    const auto document = ask_flows(options, "/api/v1/flows/count", false);
    if (!document) return refused(document.error(), "flow count");
    if (is_document(options.format))
        print_document(*document, options.format);
    else
        fmt::print("{}\n", number_at(*document, "matched"));
    return kExitDone;
}

Result<int> run_flow_purge(const Options& options) {
    const FlowOptions& flow = options.flow;
    if (!options.all && flow.group.empty() && flow.backend.empty() && flow.flow_class.empty() &&
        flow.min_age.empty() && flow.max_age.empty())
        return usage_error(
            make_error(Errc::invalid, "which flows?",
                       "--group, --backend, --class, --min-age, --max-age; or --all"),
            "flow purge");
    const auto document = ask_flows(options, "/api/v1/flows/purge", true);
    if (!document) return refused(document.error(), "flow purge");
    if (is_document(options.format))
        print_document(*document, options.format);
    else
        fmt::print("purged: {}\n", flows_text(number_at(*document, "purged")));
    return kExitDone;
}

Result<int> run_flow_show(const Options& options) {
    const auto tuple = api::parse_tuple(options.name);
    if (!tuple) return usage_error(tuple.error(), "flow show");
    api::Query query = {{"tuple", api::text_of(*tuple)}};
    if (!options.flow.id.empty()) {
        const auto id = api::parse_id(options.flow.id);
        if (!id) return usage_error(id.error(), "flow show: --id");
        query.emplace("id", options.flow.id);
    }
    const auto document = fetch(options, "/api/v1/flow" + api::text_of(query));
    if (!document) return refused(document.error(), "flow show");
    if (is_document(options.format)) {
        print_document(*document, options.format);
        return kExitDone;
    }
    print_route(*document);
    print_slot(*document);
    print_memory(*document);
    return kExitDone;
}

}  // namespace sluice::cli
