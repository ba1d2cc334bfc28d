// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Packets as people write them: `tcp 198.51.100.7:1234 > 192.0.2.10:443 syn`. Used by the tests of
/// a configuration (config/parse.h checks them, src/proof runs them) and by whoever prints a
/// packet. The grammar is in docs/reference/packets.md.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::packet {

/// The whole Ethernet frame that a notation stands for, lengths and checksums right unless the
/// notation says otherwise. Errc::invalid says what is wrong with which word.
Result<std::vector<std::uint8_t>> build(std::string_view notation);

/// The notation of a frame, as far as it can be read; never fails: what is not IP is named as such.
/// `build(describe(f))` is a packet that takes the same way.
std::string describe(std::span<const std::uint8_t> frame);

}  // namespace sluice::packet
