// SPDX-License-Identifier: Apache-2.0
#include "api/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "api/announce_routes.h"
#include "api/backend_order.h"
#include "api/capture_stream.h"
#include "api/config_request.h"
#include "api/config_routes.h"
#include "api/explain_routes.h"
#include "api/flow_json.h"
#include "api/flow_pass.h"
#include "api/health_json.h"
#include "api/json.h"
#include "api/metrics.h"
#include "api/node_routes.h"
#include "api/routes_of.h"
#include "api/table_json.h"
#include "api/top_json.h"
#include "api/tuple.h"
#include "api/watch_routes.h"

namespace sluice::api {
namespace {

using control::NodeStatus;
using control::NodeView;
using control::ServiceStatus;

constexpr std::string_view kServices = "/api/v1/services/";
constexpr std::string_view kBackends = "/api/v1/backends/";
constexpr std::string_view kHealth = "/api/v1/health";

Response livez(NodeView&) {
    return ok(ok_json());
}

Response readyz(NodeView& node) {
    if (node.summary().generation > 0) return ok(ok_json());
    return refused(make_error(Errc::unreachable, "no configuration is in force yet",
                              "sluice status says what is missing"));
}

Response status(NodeView& node) {
    return ok(status_json(node.status()));
}

Response services(NodeView& node) {
    return ok(services_json(node.status()));
}

Response backends(NodeView& node) {
    return ok(backends_json(node.status()));
}

Response node_page(NodeView& node) {
    return ok(node_json(node.status()));
}

Response reasons(NodeView& node) {
    return ok(reasons_json(node.status()));
}

Response config(NodeView& node) {
    return ok(config_json(node.status(), node.config_text()));
}

Response service(NodeView& node, std::string_view encoded) {
    const auto name = decode(encoded);
    if (!name) return bad_target(name.error());
    const NodeStatus status = node.status();
    for (const ServiceStatus& service : status.services)
        if (service.name == *name) return ok(service_json(status, service));
    return not_found(fmt::format("no service '{}'", *name), "sluice service list shows them all");
}

Response maps(NodeView& node) {
    return ok(maps_json(node.maps()));
}

Response top(NodeView& node) {
    return ok(top_json(node.metrics(), node.observation().talkers(), *node.observation().names()));
}

/// The name in a path or query, its port checked against the services.
Result<BackendName> named_backend(NodeView& node, std::string_view text) {
    auto name = parse_backend_name(text);
    if (!name || !name->port) return name;
    auto checked = check_port(node.status(), *name);
    if (!checked) return fail(std::move(checked).error());
    return name;
}

Response set_backend(NodeView& node, const BackendName& name, const std::string& body) {
    auto order = parse_order(body);
    if (!order) return refused(order.error());
    order->owner = name.owner;
    order->address = name.address;
    const auto done = node.order(*order);
    Response out = done ? ok(backend_json(*done)) : refused(done.error());
    out.order = text_of(*order);
    return out;
}

Response backend(const Request& request, NodeView& node, std::string_view path) {
    if (request.method != "GET" && request.method != "PATCH")
        return wrong_method(request, path, "GET, PATCH");
    const auto text = decode(path.substr(kBackends.size()));
    if (!text) return bad_target(text.error());
    const auto name = named_backend(node, *text);
    if (!name) return bad_target(name.error());
    if (request.method == "PATCH") return set_backend(node, *name, request.body);
    const auto found = node.backend(name->owner, name->address);
    return found ? ok(backend_json(*found)) : refused(found.error());
}

/// Of all, of a group, or of one backend: then with its history.
Response health(const Request& request, NodeView& node, std::string_view path) {
    if (request.method != "GET") return wrong_method(request, path, "GET");
    control::HealthQuery query;
    if (path.size() > kHealth.size()) {
        const auto text = decode(path.substr(kHealth.size() + 1));
        if (!text) return bad_target(text.error());
        query.owner = *text;
        if (text->find('/') != std::string::npos) {
            const auto name = named_backend(node, *text);
            if (!name) return bad_target(name.error());
            query = {.owner = name->owner, .backend = name->address, .history = true};
        }
        if (query.owner.empty()) return not_found("no such resource", "sluiced(8) lists them");
    }
    const auto found = node.health(query);
    return found ? ok(health_json(*found, query.history)) : refused(found.error());
}

struct FlowPage {
    std::string_view path;
    std::string_view method;
    control::FlowAction action;
};

constexpr FlowPage kFlowPages[] = {
    {"/api/v1/flows", "GET", control::FlowAction::list},
    {"/api/v1/flows/count", "GET", control::FlowAction::count},
    {"/api/v1/flows/purge", "POST", control::FlowAction::purge},
};

Response flows(NodeView& node, const FlowPage& page, std::string_view query) {
    const auto parsed = parse_query(query);
    if (!parsed) return bad_target(parsed.error());
    auto request = parse_flow_request(*parsed, page.action == control::FlowAction::list);
    if (!request) return bad_target(request.error());
    if (!request->backend.empty()) {
        const auto name = named_backend(node, request->backend);
        if (!name) return bad_target(name.error());
    }
    Response out;
    out.stream = std::make_unique<FlowPass>(std::move(*request), page.action);
    return out;
}

Result<control::FlowTuple> asked_tuple(std::string_view query) {
    const Query words = SLC_TRY(parse_query(query), "flow");
    control::FlowTuple out;
    const auto tuple = words.find("tuple");
    if (tuple == words.end())
        return fail(Errc::invalid, "flow: no tuple",
                    "?tuple=tcp 198.51.100.7:1234 > 192.0.2.10:443, percent-encoded");
    out = SLC_TRY(parse_tuple(tuple->second), "flow");
    for (const auto& [key, value] : words) {
        if (key == "id")
            out.id = SLC_TRY(parse_id(value), "id");
        else if (key != "tuple")
            return fail(Errc::invalid, fmt::format("query: unknown key '{}'", key),
                        "the keys are tuple and id");
    }
    return out;
}

Response flow(NodeView& node, std::string_view query) {
    const auto tuple = asked_tuple(query);
    if (!tuple) return bad_target(tuple.error());
    const auto found = node.flow(*tuple);
    return found ? ok(flow_json(*tuple, *found)) : refused(found.error());
}

Response metrics(NodeView&) {
    Response out;
    out.stream = std::make_unique<MetricsStream>();
    return out;
}

struct Page {
    std::string_view path;
    Response (*answer)(NodeView&);
};

constexpr Page kPages[] = {
    {"/livez", livez},
    {"/readyz", readyz},
    {"/metrics", metrics},
    {"/api/v1/status", status},
    {"/api/v1/services", services},
    {"/api/v1/backends", backends},
    {"/api/v1/node", node_page},
    {"/api/v1/node/drops", node_drops},
    {"/api/v1/announcements", announcements},
    {"/api/v1/reasons", reasons},
    {"/api/v1/config", config},
    {"/api/v1/maps", maps},
    {"/api/v1/top", top},
};

Response reload(const Request& request, NodeView& node, std::string_view query) {
    if (request.method != "POST") return wrong_method(request, "/api/v1/reload", "POST");
    if (query.empty() || query == "wait=0") {
        Response out = ok(accepted_json());
        out.status = 202;
        out.reload_after = true;
        return out;
    }
    if (query != "wait=1")
        return bad_target(
            make_error(Errc::invalid, fmt::format("query '{}'", query), "wait=0 or wait=1"));
    const auto done = node.reload();
    if (!done) return refused(done.error());
    return ok(reloaded_json(node.status()));
}

}  // namespace

unsigned status_of(Errc code) {
    switch (code) {
        case Errc::invalid:
            return 422;
        case Errc::not_found:
            return 404;
        case Errc::conflict:
            return 409;
        case Errc::denied:
            return 403;
        case Errc::unsupported:
            return 501;
        case Errc::limit:
            return 507;
        case Errc::unreachable:
            return 503;
        default:
            return 500;
    }
}

Response ok(std::string body) {
    Response out;
    out.body = std::move(body);
    return out;
}

Response refused(const Error& error) {
    return error_response(error, status_of(error.code));
}

Response bad_target(const Error& error) {
    return error_response(error, error.code == Errc::invalid ? 400 : status_of(error.code));
}

Response not_found(std::string what, std::string hint) {
    return refused(make_error(Errc::not_found, std::move(what), std::move(hint)));
}

Response wrong_method(const Request& request, std::string_view path, std::string_view allow) {
    Response response = error_response(
        make_error(Errc::invalid, fmt::format("{} does not take {}", path, request.method),
                   fmt::format("use {}", allow)),
        405);
    response.allow = allow;
    return response;
}

Response error_response(const Error& error, unsigned status) {
    Response out;
    out.status = status;
    out.body = error_json(error);
    return out;
}

std::optional<std::uint64_t> max_body_len(std::string_view target) {
    const std::string_view path = target.substr(0, target.find('?'));
    if (takes_config(path) || path == kExplainPath) return kMaxConfigBodyLen;
    return std::nullopt;
}

bool only_asks(const Request& request) {
    static constexpr std::string_view kQuestions[] = {kExplainPath, "/api/v1/config/plan",
                                                      "/api/v1/config/drift"};
    const std::string_view path =
        std::string_view(request.target).substr(0, request.target.find('?'));
    return request.method == "GET" || (request.method == "POST" &&
                                       std::ranges::find(kQuestions, path) != std::end(kQuestions));
}

Response answer(const Request& request, NodeView& node) {
    const std::string_view target = request.target;
    const std::size_t question = target.find('?');
    const std::string_view path = target.substr(0, question);
    const std::string_view query =
        question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    if (path.starts_with(kConfigPaths)) return answer_config(request, node, path, query);
    if (path == "/api/v1/reload") return reload(request, node, query);
    if (path == kExplainPath) return answer_explain(request, node);
    if (path == kCapturePath) return answer_capture(request, node, query);
    if (auto watched = answer_watching(request, path, query)) return std::move(*watched);
    if (auto ordered = answer_node_order(request, node, path)) return std::move(*ordered);
    if (path.size() > kBackends.size() && path.starts_with(kBackends))
        return backend(request, node, path);
    if (path == kHealth || path.starts_with(std::string(kHealth) + '/'))
        return health(request, node, path);
    for (const FlowPage& page : kFlowPages)
        if (page.path == path)
            return request.method == page.method ? flows(node, page, query)
                                                 : wrong_method(request, path, page.method);

    const auto page = std::find_if(std::begin(kPages), std::end(kPages),
                                   [&](const Page& candidate) { return candidate.path == path; });
    const bool is_service = path.size() > kServices.size() && path.starts_with(kServices);
    const bool is_flow = path == "/api/v1/flow";
    if (page == std::end(kPages) && !is_service && !is_flow)
        return not_found("no such resource", "sluiced(8) lists them");
    if (request.method != "GET") return wrong_method(request, path, "GET");
    if (is_flow) return flow(node, query);
    if (is_service) return service(node, path.substr(kServices.size()));
    return page->answer(node);
}

Response answer_scrape(const Request& request, NodeView& node) {
    const std::string_view path =
        std::string_view(request.target).substr(0, request.target.find('?'));
    for (const Page& page : kPages) {
        if (page.path != path || path.starts_with("/api/")) continue;
        return request.method == "GET" ? page.answer(node) : wrong_method(request, path, "GET");
    }
    return not_found("no such resource on this port",
                     "/metrics, /livez and /readyz; all else is on the unix socket");
}

}  // namespace sluice::api
