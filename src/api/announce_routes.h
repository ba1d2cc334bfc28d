// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The pages about announcements, and the orders for the node:
///
///   GET  /api/v1/announcements   VIPs, the ways they are announced by, the node's state
///   POST /api/v1/node/drain      {"until_quiet": true, "deadline_s": 600, "keep_s": 3600} or
///   nothing POST /api/v1/node/ready      nothing
///
/// Both orders answer with the first page. docs/reference/api.md lists the fields.

#include <optional>
#include <string>
#include <string_view>

#include "api/routes.h"
#include "control/announce_status.h"

namespace sluice::api {

Response announcements(control::NodeView& node);
/// Nothing when the path is another one.
std::optional<Response> answer_node_order(const Request& request, control::NodeView& node,
                                          std::string_view path);

std::string announcements_json(const control::AnnounceStatus& status);
/// Every VIP is as wished, and the node is not being drained.
bool is_settled(const control::AnnounceStatus& status);

/// Errc::invalid names the key that is unknown, given twice, of another type or out of bounds.
Result<control::NodeOrder> parse_drain(std::string_view body);
/// What a client sends for it.
std::string drain_json(const control::NodeOrder& order);

}  // namespace sluice::api
