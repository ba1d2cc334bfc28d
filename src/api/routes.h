// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the API answers, without HTTP: a pure function of the request and the node. The server
/// (api/server.h) does the bytes.
///
///   GET  /livez                          the process answers
///   GET  /readyz                         a generation is in force
///   GET  /api/v1/status | services[/NAME] | backends[/GROUP/ADDRESS] | node | reasons | config
///   POST /api/v1/reload[?wait=1]         with wait, answers when it is in force or refused

#include <string>
#include <string_view>

#include "base/result.h"
#include "control/status.h"

namespace sluice::api {

struct Request {
    std::string method;  ///< "GET".
    std::string target;  ///< As received: percent-encoded, with its query.
};

struct Response {
    unsigned status = 200;
    std::string body;           ///< JSON.
    std::string allow;          ///< With status 405: the methods that would be right.
    bool reload_after = false;  ///< The node is to be reloaded when this answer is on its way.
};

Response answer(const Request& request, control::NodeView& node);

Response error_response(const Error& error, unsigned status);
/// Percent-decoding (RFC 3986 2.1). Errc::invalid for a broken escape or a NUL.
Result<std::string> decode(std::string_view text);
/// The same, the other way: everything but unreserved characters and ':' is escaped.
std::string encode(std::string_view text);

}  // namespace sluice::api
