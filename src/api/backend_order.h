// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Which backend a request means, and what it orders: `PATCH /api/v1/backends/OWNER/ADDRESS` with a
/// JSON object. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/status.h"

namespace sluice::api {

/// "web/10.0.0.5", "web/10.0.0.5:80" or "web/[2001:db8::7]:80".
struct BackendName {
    std::string owner;
    IpAddress address;
    std::optional<std::uint16_t> port;
};

/// Errc::invalid for anything else.
Result<BackendName> parse_backend_name(std::string_view text);
/// Errc::not_found unless `port` is one of `owner`'s, a service, or of a service on it, a group.
Result<void> check_port(const control::NodeStatus& node, const BackendName& name);

/// Fills all of the order but owner and address. Errc::invalid names the key that is unknown, given
/// twice, of another type or out of bounds.
///   {"state": "drain", "weight": 10, "keep_s": 3600, "deadline_s": 600}   or   {"reset": true}
Result<control::BackendOrder> parse_order(std::string_view body);
/// What a client sends for it: the same again.
std::string order_json(const control::BackendOrder& order);
/// "state=drain weight=10", for the log.
std::string text_of(const control::BackendOrder& order);

/// Longest lifetime of an override and longest deadline that an order takes: ten years.
inline constexpr std::chrono::seconds kMaxOrderTime{3650LL * 86400};

}  // namespace sluice::api
