// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A packet as somebody gives it to `sluice explain` or its API: written in the notation
/// (notation.h), or pasted as the bytes that another tool has shown.

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::packet {

/// The whole Ethernet frame. Bytes may be run together or stand apart, with blanks, colons, line
/// ends or the offsets of `tcpdump -x` between them; without an Ethernet header they get one.
/// Errors: invalid, as build().
Result<std::vector<std::uint8_t>> read_packet(std::string_view text);

}  // namespace sluice::packet
