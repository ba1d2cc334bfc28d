// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Counters of the daemon itself, which begin anew with each process, made to go on: totals are
/// written to a small file as they are folded in, so that a killed daemon has lost none of them.
/// Where the file cannot be had they begin anew with the process. It is not mapped: on a full disk,
/// or when somebody cuts it short, a write fails, where memory would end the process.

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::control {

/// Append only: the number is the place in the file.
enum class Kept : std::size_t {
    samples_lost,
    captures_lost,
    events_missed,
    flows_cut,
    cpu_us,
    count,
};

class KeptCounters {
 public:
    KeptCounters() = default;
    /// Makes the file when there is none. A file of another layout begins anew.
    static Result<KeptCounters> open(const std::string& path);

    /// The total, when this process has counted `own` since it began.
    std::uint64_t fold(Kept which, std::uint64_t own);

 private:
    static constexpr std::size_t kPlaces = 64;
    static constexpr std::uint64_t kMagic = 0x736c75696365'0001;
    struct File {
        std::uint64_t magic;
        std::uint64_t total[kPlaces];
    };

    /// The errno, or 0.
    int write();

    File file_{kMagic, {}};
    UniqueFd fd_;  ///< None: they are of this process.
    bool is_written_ = true;
    std::array<std::uint64_t, kPlaces> folded_{};
};

}  // namespace sluice::control
