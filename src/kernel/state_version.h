// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Which version of the layouts (SLC_ABI_VERSION) an instance's state was last opened with: the pin
/// `meta` beside it. State without one is of version 2, the last that wrote none.
///
/// What a version finds, map by map, with the same size of values is taken over. Counters whose
/// values were shorter are summed into the totals (state_maps.h), small maps are copied. All else
/// is refused, with the map's name and both sizes, and stays as it is: state is never emptied
/// silently.

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sluice::kernel {

/// Reads this version's state and that of the one before. Errors: conflict, with the version that
/// wrote it. An empty name, or a directory that is not there, is no error; one without any pin gets
/// this version's mark.
Result<void> check_state_version(const std::string& directory);
/// When all of it has been opened.
Result<void> mark_state_version(const std::string& directory);

/// For a map of another layout. `known`: bytes of this version's values.
Error other_layout(const std::string& path, std::uint32_t found, std::uint32_t known);

}  // namespace sluice::kernel
