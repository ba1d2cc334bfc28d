// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The two tables that lead from a destination to a service, placed so that a packet reads one
/// cache line of each, sometimes two. Part of `compile` (plan/image.h).

#include <array>
#include <cstdint>
#include <vector>

#include "sluice/types.h"

namespace sluice::plan {

struct PortEntry {
    std::uint32_t vip = 0;  ///< slc_vip::vip.
    std::uint8_t proto = 0;
    std::uint16_t port = 0;  ///< Host byte order.
    std::uint32_t service = 0;
};

struct DestinationTables {
    std::vector<slc_vip> vips;           ///< At least four places for each record, a power of two.
    std::vector<slc_port_bucket> ports;  ///< Half full at most, a power of two.
    std::array<std::uint64_t, 2> key{};  ///< The hash key under which everything found its place.
};

/// Places every record and entry; keys must be distinct. Tries hash keys derived from `seed` until
/// one fits, and larger tables when many do not, so it always ends.
DestinationTables build_destination_tables(const std::vector<slc_vip>& records,
                                           const std::vector<PortEntry>& entries,
                                           std::uint64_t seed);

}  // namespace sluice::plan
