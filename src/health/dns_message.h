// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The little of DNS (RFC 1035) that a check needs: one question, and whether what came back
/// answers it.

#include <cstdint>
#include <string>
#include <string_view>

#include "config/health.h"
#include "health/outcome.h"

namespace sluice::health {

/// A query with recursion desired. Empty: the name is none (a label of 0 or more than 63 bytes, or
/// more than 255 in all).
std::string dns_query(const config::CheckDns& check, std::uint16_t id);

/// Of a whole message. Truncated answers will do: they have an RCODE.
Finding judge_dns(const config::CheckDns& check, std::uint16_t id, std::string_view message);

/// Whether `message` could be an answer to another query: too late, or forged.
bool is_stray_dns(std::uint16_t id, std::string_view message);

}  // namespace sluice::health
