// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a generation says of itself through its pins: for a daemon that finds it running, and for
/// whoever wants to know what the kernel holds while none does. Read only: nothing is locked, made
/// or changed.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "plan/read_back.h"
#include "sluice/types.h"

namespace sluice::kernel {

struct PinnedRing {
    std::uint64_t descriptor = 0;
    std::vector<std::uint64_t> slots;
    std::uint32_t group = 0;  ///< Number of its services' group; its slots may name another's.
};

struct PinnedGeneration {
    std::vector<PinnedRing> rings;  ///< By index; those that do not exist have no slots.
    /// Service id and index of its ring.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> services;
};

/// Reads gen/<n> at `directory`. Nothing when another version of Sluice has written it, whose
/// layouts this one does not know. Errors: those of opening and mapping the pins.
Result<std::optional<PinnedGeneration>> read_pinned_generation(const std::string& directory);

/// Every table that a configuration can be read back from. Errors: unsupported for layouts of
/// another version; those of opening and reading the pins.
Result<plan::KernelTables> read_pinned_tables(const std::string& directory);

/// The configuration of one pinned generation, from its tables and its meta. Errors: those of
/// read_pinned_tables, plan::parse_meta and plan::read_back.
Result<config::Config> config_of_generation(const std::string& directory);

/// Where the generation of `node` is pinned that packets go to. Errors: not_found when there is no
/// such instance, or none of its generations is live.
Result<std::string> find_live_generation(const std::string& bpffs, const std::string& node);

/// The configuration that packets of `node` follow now, whether or not a daemon runs. Errors: those
/// of the two above.
Result<config::Config> config_from_kernel(const std::string& bpffs, const std::string& node);

}  // namespace sluice::kernel
