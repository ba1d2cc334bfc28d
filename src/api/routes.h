// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the API answers, without HTTP: a pure function of the request and the node. The server
/// (api/server.h) does the bytes, and takes the steps of what cannot be answered at once.
///
///   GET   /livez                          the process answers
///   GET   /readyz                         a generation is in force
///   GET   /metrics                        in Prometheus' format: api/metrics.h
///   GET   /api/v1/status | services[/NAME] | backends | node | reasons | config | maps | top
///   GET   /api/v1/announcements           VIPs and how they are announced (api/announce_routes.h)
///   POST  /api/v1/node/drain | ready      whether the node wants traffic
///   GET   /api/v1/node/drops              where packets got lost (api/node_routes.h)
///   GET   /api/v1/backends/OWNER/ADDRESS  one backend and the change it is in
///   PATCH /api/v1/backends/OWNER/ADDRESS  an order for it (api/backend_order.h)
///   GET   /api/v1/health[/GROUP[/ADDRESS]]  what checks found; of one backend with its history
///   GET   /api/v1/flows[/count]?...       remembered flows, one a line; or how many
///   POST  /api/v1/flows/purge?...         forgets them
///   GET   /api/v1/flow?tuple=...[&id=...] where a packet would go, and why
///   /api/v1/capture?...                   packets as they pass: api/capture_stream.h
///   POST  /api/v1/reload[?wait=1]         with wait, answers when it is in force or refused
///   GET   /api/v1/events?... | observe?.. what happens, as it comes: api/watch_routes.h
///   /api/v1/config/...                    changes of the configuration: api/config_routes.h

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/query.h"
#include "api/stream.h"
#include "base/result.h"
#include "control/status.h"

namespace sluice::api {

struct Request {
    std::string method;           ///< "GET".
    std::string target;           ///< As received: percent-encoded, with its query.
    std::string body;             ///< PATCH and the requests about configurations read it.
    std::string peer{};           ///< Who asks, when a request does not say it: "uid 1000".
    std::string accept{};         ///< The header; empty: none.
    std::string last_event_id{};  ///< Likewise: where a client of server-sent events was.
};

struct Response {
    unsigned status = 200;
    std::string body;  ///< Of `content_type`.
    std::string content_type = "application/json";
    std::string allow;          ///< With status 405: the methods that would be right.
    bool reload_after = false;  ///< The node is to be reloaded when this answer is on its way.
    std::string order;          ///< What was ordered, for the log; empty: nothing.
    /// Set: the answer is made in steps, and nothing above counts.
    std::unique_ptr<Stream> stream;
};

Response answer(const Request& request, control::NodeView& node);
/// The same for anybody: GET of /metrics, /livez and /readyz, and nothing else.
Response answer_scrape(const Request& request, control::NodeView& node);

/// It changes nothing, whatever its method: a question that is too long for a target is a POST.
bool only_asks(const Request& request);

/// Bytes of body that a request to this target may have, where it may have more than others.
std::optional<std::uint64_t> max_body_len(std::string_view target);

Response error_response(const Error& error, unsigned status);
/// What HTTP calls an error of the node.
unsigned status_of(Errc code);

}  // namespace sluice::api
