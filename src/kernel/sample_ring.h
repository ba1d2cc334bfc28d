// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One CPU's ring of samples, read while packets write it. The writer clears `seq`, fills the rest
/// and sets `seq`; sample number n lies at place (n - 1) modulo the ring's length. Used by
/// sample_map.h; apart from it because it needs no kernel to be tested.

#include <cstdint>
#include <span>
#include <vector>

#include "sluice/types.h"

namespace sluice::kernel {

/// A copy that no writer has changed meanwhile; false where there is none.
bool read_whole(slc_sample& from, slc_sample& to);

/// The number of the newest sample; 0: there is none yet.
std::uint64_t newest_in(std::span<slc_sample> ring);

/// The samples behind number `seen`, in order, to the end of `out`: at most `limit`, and `seen` is
/// then the last of them. Each comes once, or is in the sum that is returned: of those that were
/// overwritten before they were read. True in `is_cut`: there may be more.
std::uint64_t read_behind(std::span<slc_sample> ring, std::uint64_t& seen, std::size_t limit,
                          std::vector<slc_sample>& out, bool& is_cut);

}  // namespace sluice::kernel
