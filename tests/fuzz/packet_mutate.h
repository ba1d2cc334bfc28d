// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Mutations of frames: of bits, of the fields that parsers trust, of what stands beside what.

#include <random>

#include "tests/packet/packet.h"

namespace sluice::packet {

/// `frame` after one to six mutations; `other` gives the parts that are spliced in. Never shorter
/// than an Ethernet header (a test run takes no less) nor longer than 9,500 bytes.
Bytes mutate(Bytes frame, const Bytes& other, std::mt19937_64& random);

}  // namespace sluice::packet
