// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The comment of a frame in a pcapng file, for verify.py and for people.

#include <string>

#include "tests/packet/packet.h"

namespace sluice::packet {

/// "name; layers=eth,ip4,udp,raw; sums=yes", or "sums=outer" when the innermost transport sum is
/// not to be believed.
std::string note_of(const std::string& name, const Packet& packet, bool inner_sums);

/// "eth,vlan,ip4,udp,raw".
std::string layer_names(const Packet& packet);

}  // namespace sluice::packet
