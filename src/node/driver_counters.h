// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The names of `ethtool -S`, which each driver's author chose, as counters of nic_counters.h: a
/// table of patterns for each driver. Aggregates that a driver shows beside its queues' values are
/// read as values of the whole interface and never added to them.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/nic_counters.h"

namespace sluice::node {

using DriverStatistics = std::vector<std::pair<std::string, std::uint64_t>>;

/// Source `driver`, without the interface's name. Several names of one driver for one kind (CRC
/// and alignment errors, say) are added up. Nothing for drivers that have no table.
std::vector<NicCounter> driver_counters(std::string_view driver,
                                        const DriverStatistics& statistics);

/// Whether there is a table for it.
bool knows_driver(std::string_view driver);

}  // namespace sluice::node
