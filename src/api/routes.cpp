// SPDX-License-Identifier: Apache-2.0
#include "api/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>
#include <optional>

#include "api/json.h"

namespace sluice::api {
namespace {

using control::BackendStatus;
using control::NodeStatus;
using control::NodeView;
using control::ServiceStatus;

constexpr std::string_view kServices = "/api/v1/services/";
constexpr std::string_view kBackends = "/api/v1/backends/";

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
    return {200, std::move(body), {}, false};
}

Response not_found(std::string what, std::string hint) {
    return error_response(make_error(Errc::not_found, std::move(what), std::move(hint)), 404);
}

Response livez(NodeView&) {
    return ok(ok_json());
}

Response readyz(NodeView& node) {
    if (node.status().generation > 0) return ok(ok_json());
    return error_response(make_error(Errc::unreachable, "no configuration is in force yet",
                                     "sluice status says what is missing"),
                          503);
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
    if (!name) return error_response(name.error(), 400);
    const NodeStatus status = node.status();
    for (const ServiceStatus& service : status.services)
        if (service.name == *name) return ok(service_json(status, service));
    return not_found(fmt::format("no service '{}'", *name), "sluice service list shows them all");
}

Response backend(NodeView& node, std::string_view encoded) {
    const auto name = decode(encoded);
    if (!name) return error_response(name.error(), 400);
    const std::size_t slash = name->find('/');
    const auto address = slash == std::string::npos
                             ? std::optional<IpAddress>()
                             : IpAddress::parse(std::string_view(*name).substr(slash + 1));
    if (!address)
        return error_response(
            make_error(Errc::invalid, fmt::format("'{}' is not GROUP/ADDRESS", *name),
                       "for example web/10.0.0.5"),
            400);
    const NodeStatus status = node.status();
    for (const BackendStatus& backend : status.backends)
        if (backend.address == *address && name->compare(0, slash, backend.group) == 0)
            return ok(backend_json(backend));
    return not_found(fmt::format("no backend '{}'", *name), "sluice backend list shows them all");
}

struct Page {
    std::string_view path;
    Response (*answer)(NodeView&);
};

constexpr Page kPages[] = {
    {"/livez", livez},
    {"/readyz", readyz},
    {"/api/v1/status", status},
    {"/api/v1/services", services},
    {"/api/v1/backends", backends},
    {"/api/v1/node", node_page},
    {"/api/v1/reasons", reasons},
    {"/api/v1/config", config},
};

Response wrong_method(const Request& request, std::string_view path, std::string_view allow) {
    Response response = error_response(
        make_error(Errc::invalid, fmt::format("{} does not take {}", path, request.method),
                   fmt::format("use {}", allow)),
        405);
    response.allow = allow;
    return response;
}

Response reload(const Request& request, NodeView& node, std::string_view query) {
    if (request.method != "POST") return wrong_method(request, "/api/v1/reload", "POST");
    if (query.empty() || query == "wait=0") return {202, accepted_json(), {}, true};
    if (query != "wait=1")
        return error_response(
            make_error(Errc::invalid, fmt::format("query '{}'", query), "wait=0 or wait=1"), 400);
    const auto done = node.reload();
    if (!done) return error_response(done.error(), status_of(done.error().code));
    return ok(reloaded_json(node.status()));
}

std::optional<unsigned> hex_digit(char c) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(&c, &c + 1, value, 16);
    return error == std::errc() ? std::optional(value) : std::nullopt;
}

}  // namespace

Response error_response(const Error& error, unsigned status) {
    return {status, error_json(error), {}, false};
}

Result<std::string> decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
        const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
        if (!high || !low || (*high == 0 && *low == 0))
            return fail(Errc::invalid, "the path has a broken percent escape");
        out += static_cast<char>(*high * 16 + *low);
        i += 2;
    }
    return out;
}

std::string encode(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || std::string_view("-._~:").find(c) != std::string_view::npos)
            out += c;
        else
            out += fmt::format("%{:02X}", byte);
    }
    return out;
}

Response answer(const Request& request, NodeView& node) {
    const std::string_view target = request.target;
    const std::size_t question = target.find('?');
    const std::string_view path = target.substr(0, question);
    const std::string_view query =
        question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    if (path == "/api/v1/reload") return reload(request, node, query);

    const auto page = std::find_if(std::begin(kPages), std::end(kPages),
                                   [&](const Page& candidate) { return candidate.path == path; });
    const bool is_service = path.size() > kServices.size() && path.starts_with(kServices);
    const bool is_backend = path.size() > kBackends.size() && path.starts_with(kBackends);
    if (page == std::end(kPages) && !is_service && !is_backend)
        return not_found("no such resource", "sluiced(8) lists them");
    if (request.method != "GET") return wrong_method(request, path, "GET");
    if (is_service) return service(node, path.substr(kServices.size()));
    if (is_backend) return backend(node, path.substr(kBackends.size()));
    return page->answer(node);
}

}  // namespace sluice::api
