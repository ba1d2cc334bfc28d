// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What this process uses of the machine.

#include <chrono>
#include <cstdint>

namespace sluice {

struct ProcessFigures {
    std::uint64_t resident_bytes = 0;
    std::uint64_t virtual_bytes = 0;
    std::uint64_t open_fds = 0;
    std::uint64_t max_fds = 0;
    std::chrono::microseconds cpu{0};      ///< User and system.
    std::chrono::milliseconds started{0};  ///< Since the epoch.
};

/// What cannot be read stays 0.
ProcessFigures process_figures();

}  // namespace sluice
