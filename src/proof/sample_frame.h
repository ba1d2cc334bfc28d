// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The frame of a sample, as far as it can be made again. Pure. Only src/proof includes it.

#include <cstdint>
#include <optional>
#include <vector>

#include "sluice/types.h"

namespace sluice::proof {

/// An Ethernet header and what was sampled, up to the length that its IP header says: what was cut
/// off is zeros, and sums of TCP and UDP are then wrong, which nobody looks at on the way. Nothing
/// when the packet is not there (an answer of ours, a stripped tunnel), or is an echo request that
/// was cut, whose sum is looked at.
std::optional<std::vector<std::uint8_t>> frame_of(const slc_sample& sample);

}  // namespace sluice::proof
