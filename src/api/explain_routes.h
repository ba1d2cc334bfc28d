// SPDX-License-Identifier: Apache-2.0
#pragma once

/// POST /api/v1/explain: what a packet would do, asked of control/observation.h. routes.cpp calls
/// it. Nothing that carries traffic is touched, so it is no change.
///
///   {"packet": "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn", "interface": "eth0",
///    "against": {"text": "version: 2\n...", "file": "/etc/sluice/new.yaml",
///                "directory": "/etc/sluice"}}

#include <string>
#include <string_view>

#include "api/routes.h"
#include "base/result.h"
#include "control/explanation.h"

namespace sluice::api {

inline constexpr std::string_view kExplainPath = "/api/v1/explain";

Response answer_explain(const Request& request, control::NodeView& node);

/// What a request says of a packet: in the notation, or pasted bytes (packet/pasted.h).
struct ExplainBody {
    std::string packet;
    control::ExplanationRequest request;  ///< Without its frame.
};
/// Errors: invalid names the key; limit beyond the longest body.
Result<ExplainBody> parse_explain(std::string_view body);
Result<std::string> explain_body(const ExplainBody& body);

std::string explanation_json(const control::Explanation& explanation);

}  // namespace sluice::api
