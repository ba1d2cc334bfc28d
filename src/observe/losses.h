// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What readers of this process were not told because they came too late. Counted where it is
/// found out, read by /metrics. Process-wide, as the log is.

#include <cstdint>

namespace sluice::observe {

enum class Loss {
    samples,   ///< Overwritten in their ring before a reader had them.
    captures,  ///< Packets that a capture asked for, when its buffer was full.
    events,    ///< Events of the log that were given up before a reader had them.
    count,
};

void count_lost(Loss which, std::uint64_t number);
std::uint64_t lost(Loss which);

}  // namespace sluice::observe
