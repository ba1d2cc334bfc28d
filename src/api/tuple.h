// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How people write a flow: `tcp 198.51.100.7:1234 > 192.0.2.10:443 syn`. Read by the API and by
/// `sluice flow show`, which says what is wrong before it asks. Pure.
///
///   (tcp|udp) SOURCE:PORT > DESTINATION:PORT [syn]        IPv6 in brackets: [2001:db8::7]:1234

#include <string>
#include <string_view>

#include "base/result.h"
#include "control/status.h"

namespace sluice::api {

/// Blanks may be any number, and none around '>'. Errc::invalid names the part that is wrong. `id`
/// stays empty.
Result<control::FlowTuple> parse_tuple(std::string_view text);
/// The same, written as parse_tuple() reads it.
std::string text_of(const control::FlowTuple& tuple);

/// Hexadecimal digits, two a byte, with or without "0x": 1..20 bytes.
Result<std::vector<std::uint8_t>> parse_id(std::string_view text);

}  // namespace sluice::api
