// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Entries of one map into another whose keys are alike and whose values are at least as long: what
/// is new in a value is zero. For maps that a new program declares larger than the one before it.

#include <cstdint>

#include "base/result.h"

namespace sluice::kernel {

struct MapShape {
    std::uint32_t type = 0;  ///< enum bpf_map_type
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    std::uint32_t max_entries = 0;
    std::uint32_t flags = 0;
    bool operator==(const MapShape&) const = default;

    /// Whether all that a map of this shape holds has room in one of `larger`.
    [[nodiscard]] bool fits_in(const MapShape& larger) const;
};

Result<MapShape> shape_of(int map_fd);

/// Hash, LRU hash, array and their per-CPU kinds. `only_missing`: keys that `to` has stay as they
/// are there. How many were written. Errors: unsupported for other kinds; limit.
Result<std::uint64_t> copy_entries(int from, int to, bool only_missing = false);

}  // namespace sluice::kernel
