// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The API's JSON, rendered from the plain structs of control/status.h. Every document is an
/// object with `schema_version`; counters are exact integers; times are RFC 3339 in UTC.
/// docs/reference/api.md lists the fields.

#include <string>
#include <string_view>

#include "base/result.h"
#include "control/status.h"

namespace sluice::api {

inline constexpr int kSchemaVersion = 1;

std::string status_json(const control::NodeStatus& node);
std::string services_json(const control::NodeStatus& node);
std::string service_json(const control::NodeStatus& node, const control::ServiceStatus& service);
std::string backends_json(const control::NodeStatus& node);
std::string backend_json(const control::BackendStatus& backend);
std::string node_json(const control::NodeStatus& node);
std::string reasons_json(const control::NodeStatus& node);
/// The text goes out without the ring secret: who may read the API need not be able to aim at
/// slots.
std::string config_json(const control::NodeStatus& node, std::string_view text);
/// {"status": "ok"}: what /livez and /readyz say.
std::string ok_json();
std::string accepted_json();
std::string reloaded_json(const control::NodeStatus& node);

/// {code, message, hint}, and back again on the client's side. A body that error_json() did not
/// write becomes Errc::internal with the HTTP status.
std::string error_json(const Error& error);
Error error_from_json(std::string_view body, unsigned http_status);

/// Some service cannot be served as configured, or the last reload was refused.
bool is_degraded(const control::NodeStatus& node);

/// "preparing", "open", "closing" or "settled": the part of a planned change that comes first.
const char* phase_of(const control::ChangeStatus& change);
/// Nothing is left to wait for: no slot in transition, and no remembered flow where none should be.
bool is_settled(const control::BackendStatus& backend);

/// What became of a packet that left for this reason: "forwarded", "passed" (to Linux),
/// "answered" or "dropped".
const char* outcome_of(std::string_view reason_label);

const char* name_of(Errc code);
/// "2026-11-21T13:00:00Z"; empty for the epoch, which means "never".
std::string time_text(std::chrono::system_clock::time_point at);
/// "2026-11-21T13:00:00.123Z".
std::string precise_time_text(std::chrono::system_clock::time_point at);
/// `text` with the value of every ring_secret replaced.
std::string redact(std::string_view text);

}  // namespace sluice::api
