// SPDX-License-Identifier: Apache-2.0
#include "api/watch_routes.h"

#include "api/event_stream.h"
#include "api/observe_stream.h"
#include "api/routes_of.h"

namespace sluice::api {
namespace {

Result<std::unique_ptr<Stream>> events(const Request& request, std::string_view query) {
    const Query words = SLC_TRY(parse_query(query), "events");
    return std::make_unique<EventStream>(
        SLC_TRY(parse_event_request(words, request.accept, request.last_event_id), "events"));
}

Result<std::unique_ptr<Stream>> decisions(const Request&, std::string_view query) {
    const Query words = SLC_TRY(parse_query(query), "observe");
    return std::make_unique<ObserveStream>(SLC_TRY(parse_observe_request(words), "observe"));
}

}  // namespace

std::optional<Response> answer_watching(const Request& request, std::string_view path,
                                        std::string_view query) {
    const bool is_events = path == "/api/v1/events";
    if (!is_events && path != "/api/v1/observe") return std::nullopt;
    if (request.method != "GET") return wrong_method(request, path, "GET");
    auto stream = is_events ? events(request, query) : decisions(request, query);
    if (!stream) return bad_target(stream.error());
    Response out;
    out.stream = std::move(*stream);
    return out;
}

}  // namespace sluice::api
