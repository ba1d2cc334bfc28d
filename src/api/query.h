// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The part of a target behind '?': `group=web&class=established&min_age_s=60`. Pure.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/status.h"

namespace sluice::api {

/// Percent-decoding (RFC 3986 2.1). Errc::invalid for a broken escape or a NUL.
Result<std::string> decode(std::string_view text);
/// The same, the other way: everything but unreserved characters and ':' is escaped.
std::string encode(std::string_view text);

/// Keys and values, decoded; '+' is a blank in both. Errc::invalid for a key without '=' or given
/// twice.
using Query = std::map<std::string, std::string, std::less<>>;
Result<Query> parse_query(std::string_view text);
/// The other way: "?group=web&limit=10", empty without keys.
std::string text_of(const Query& query);

/// Errc::invalid names the key.
Result<std::uint64_t> parse_number(const std::string& key, std::string_view value,
                                   std::uint64_t least, std::uint64_t most);
/// The words between commas. Errc::invalid when there is none, or an empty one.
Result<std::vector<std::string>> parse_list(const std::string& key, std::string_view value);

/// What a request for remembered flows asks.
struct FlowRequest {
    control::FlowQuery query;
    std::uint64_t limit = 0;  ///< Zero: all.
    std::string backend;      ///< As it came: its port is still to be checked.
};

/// Keys group, backend, class, min_age_s, max_age_s, and limit where `may_limit`. Errc::invalid
/// names the key.
Result<FlowRequest> parse_flow_request(const Query& query, bool may_limit);

const char* name_of(control::FlowClass flow_class);

}  // namespace sluice::api
