// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Packets of a capture as people and jq read them: one a line.

#include <string>
#include <string_view>

#include "cli/output.h"
#include "packet/pcapng.h"

namespace sluice::cli {

/// "13:00:00.123456789 eth0 in  tcp 198.51.100.7:1234 > 192.0.2.10:443 syn  verdict=drop ...", or
/// the same as a JSON object; without its end.
std::string packet_line(const packet::PcapngPacket& packet, std::string_view interface,
                        Format format);

/// "17" of "a=b written=17 c=d", for "written"; empty when it is not there.
std::string_view word_of(std::string_view comment, std::string_view key);

}  // namespace sluice::cli
