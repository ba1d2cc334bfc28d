// SPDX-License-Identifier: Apache-2.0
#include "api/config_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <optional>

#include "api/config_json.h"
#include "api/config_request.h"
#include "api/json.h"
#include "api/query.h"
#include "api/routes_of.h"

namespace sluice::api {
namespace {

using control::Configurations;
using control::GenerationStatus;
using control::NodeView;

constexpr std::string_view kGenerations = "/api/v1/config/generations/";
constexpr std::uint32_t kUsualHistory = 20;
constexpr std::uint32_t kMostHistory = 10'000;

template <typename Number>
std::optional<Number> number_in(std::string_view text, Number least, Number most) {
    Number out = 0;
    const char* end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, out);
    if (error != std::errc() || last != end || out < least || out > most) return std::nullopt;
    return out;
}

/// A body that asks for nothing is not a configuration that is invalid.
Response bad_body(const Error& error) {
    return bad_target(error);
}

/// The text that is asked about: the one in the body, or the daemon's own file.
Result<void> take_own_file(NodeView& node, ConfigBody& body) {
    control::ApplyRequest& request = body.request;
    if (body.has_text) {
        if (request.file.empty()) request.file = "-";
        return {};
    }
    if (!request.file.empty() || !request.directory.empty())
        return fail(Errc::invalid, "request: file and directory without a text",
                    "the daemon does not read other files; without all three it reads its own");
    request.text = SLC_TRY(node.configurations().file_text(), "configuration");
    request.file = node.summary().file;
    return {};
}

/// When a change that waits for its confirmation undoes itself.
std::optional<history::WallTime> confirm_by(Configurations& configurations,
                                            const control::ApplyReport& report) {
    if (!report.confirm_left) return std::nullopt;
    const auto newest = configurations.history(1);
    if (!newest || newest->empty()) return std::nullopt;
    return newest->front().record.confirm_by;
}

Response applied(NodeView& node, const Result<control::ApplyReport>& report) {
    if (!report) return refused(report.error());
    return ok(apply_json(*report, confirm_by(node.configurations(), *report)));
}

Response with_order(Response response, std::string order) {
    response.order = std::move(order);
    return response;
}

Response plan(const Request& request, NodeView& node) {
    auto body = parse_apply(request.body);
    if (!body) return bad_body(body.error());
    const auto own = take_own_file(node, *body);
    if (!own) return bad_body(own.error());
    const auto report = node.configurations().plan(body->request);
    return with_order(report ? ok(plan_json(*report)) : refused(report.error()), text_of(*body));
}

Response apply(const Request& request, NodeView& node) {
    auto body = parse_apply(request.body);
    if (!body) return bad_body(body.error());
    const auto own = take_own_file(node, *body);
    if (!own) return bad_body(own.error());
    if (body->request.author.empty()) body->request.author = request.peer;
    return with_order(applied(node, node.configurations().apply(body->request)), text_of(*body));
}

Response drift(const Request& request, NodeView& node) {
    auto body = parse_drift(request.body);
    if (!body) return bad_body(body.error());
    const auto own = take_own_file(node, *body);
    if (!own) return bad_body(own.error());
    const auto changes = node.configurations().drift(body->request.text, body->request.file);
    return changes ? ok(drift_json(body->request.file, *changes)) : refused(changes.error());
}

/// The generation that waits for its confirmation; nothing when none does.
Result<std::optional<std::uint32_t>> awaiting(Configurations& configurations) {
    const auto recent = configurations.history(kUsualHistory);
    if (!recent) return fail(recent.error());
    for (const GenerationStatus& generation : *recent)
        if (generation.record.outcome == history::Outcome::awaiting)
            return std::optional(generation.record.generation);
    return std::optional<std::uint32_t>();
}

Response confirm(const Request& request, NodeView& node) {
    const auto body = parse_generation(request.body);
    if (!body) return bad_body(body.error());
    Configurations& configurations = node.configurations();
    const auto waiting = awaiting(configurations);
    if (!waiting) return refused(waiting.error());
    if (body->generation && *waiting && *body->generation != **waiting)
        return refused(
            make_error(Errc::conflict,
                       fmt::format("generation {} waits, not {}", **waiting, *body->generation),
                       "sluice config history shows what has happened"));
    const auto done = configurations.confirm();
    return with_order(done ? ok(confirmed_json(waiting->value_or(0))) : refused(done.error()),
                      text_of(*body));
}

Response rollback(const Request& request, NodeView& node) {
    auto body = parse_generation(request.body);
    if (!body) return bad_body(body.error());
    if (body->author.empty()) body->author = request.peer;
    return with_order(applied(node, node.configurations().rollback(body->generation, body->author,
                                                                   body->message)),
                      text_of(*body));
}

Response end_canary(const Request& request, NodeView& node, bool promote) {
    if (!request.body.empty()) {
        const auto body = parse_generation(request.body);
        if (!body) return bad_body(body.error());
    }
    return applied(node, node.configurations().end_canary(promote));
}

Response promote(const Request& request, NodeView& node) {
    return end_canary(request, node, true);
}

Response take_back(const Request& request, NodeView& node) {
    return end_canary(request, node, false);
}

Response canary(const Request& /*request*/, NodeView& node) {
    const auto status = node.configurations().canary();
    if (!status) return not_found("there is no canary", "sluice config apply --canary begins one");
    return ok(canary_json(*status));
}

Response file(const Request& /*request*/, NodeView& node) {
    const auto text = node.configurations().file_text();
    if (!text) return refused(text.error());
    return ok(file_json(node.summary().file, *text));
}

Response list(NodeView& node, std::string_view query) {
    const auto words = parse_query(query);
    if (!words) return bad_target(words.error());
    std::uint32_t limit = kUsualHistory;
    for (const auto& [key, value] : *words) {
        if (key != "limit")
            return bad_target(make_error(Errc::invalid, fmt::format("query: unknown key '{}'", key),
                                         "the key is limit"));
        const auto number = number_in<std::uint32_t>(value, 1, kMostHistory);
        if (!number)
            return bad_target(make_error(
                Errc::invalid, fmt::format("limit: '{}' is not a whole number from 1 to {}", value,
                                           kMostHistory)));
        limit = *number;
    }
    const auto generations = node.configurations().history(limit);
    return generations ? ok(history_json(*generations)) : refused(generations.error());
}

Response generation(NodeView& node, std::string_view word) {
    const auto number =
        number_in<std::uint32_t>(word, 1, std::numeric_limits<std::uint32_t>::max());
    if (!number)
        return bad_target(make_error(Errc::invalid,
                                     fmt::format("'{}' is no number of a generation", word),
                                     "sluice config history shows them all"));
    const auto found = node.configurations().generation(*number);
    return found ? ok(generation_json(*found)) : refused(found.error());
}

struct Page {
    std::string_view path;
    std::string_view method;
    Response (*answer)(const Request&, NodeView&);
    bool takes_config = false;
};

constexpr Page kPages[] = {
    {"/api/v1/config/plan", "POST", plan, true},
    {"/api/v1/config/apply", "POST", apply, true},
    {"/api/v1/config/drift", "POST", drift, true},
    {"/api/v1/config/confirm", "POST", confirm},
    {"/api/v1/config/rollback", "POST", rollback},
    {"/api/v1/config/file", "GET", file},
    {"/api/v1/config/canary", "GET", canary},
    {"/api/v1/config/canary/promote", "POST", promote},
    {"/api/v1/config/canary/back", "POST", take_back},
};

}  // namespace

bool takes_config(std::string_view path) {
    return std::any_of(std::begin(kPages), std::end(kPages),
                       [path](const Page& page) { return page.takes_config && page.path == path; });
}

Response answer_config(const Request& request, NodeView& node, std::string_view path,
                       std::string_view query) {
    const bool is_history = path == "/api/v1/config/history";
    const bool is_generation = path.size() > kGenerations.size() && path.starts_with(kGenerations);
    if (is_history || is_generation) {
        if (request.method != "GET") return wrong_method(request, path, "GET");
        return is_history ? list(node, query) : generation(node, path.substr(kGenerations.size()));
    }
    for (const Page& page : kPages) {
        if (page.path != path) continue;
        if (request.method != page.method) return wrong_method(request, path, page.method);
        return page.answer(request, node);
    }
    return not_found("no such resource", "sluiced(8) lists them");
}

}  // namespace sluice::api
