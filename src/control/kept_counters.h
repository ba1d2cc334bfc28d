// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Counters of the daemon itself, which begin anew with each process, made to go on: totals are
/// kept in a small file that is mapped, so that a killed daemon has lost none of what was folded
/// in. Where the file cannot be had they begin anew with the process.

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "base/result.h"

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
    KeptCounters(KeptCounters&& other) noexcept;
    KeptCounters& operator=(KeptCounters&& other) noexcept;
    ~KeptCounters();

    /// The total, when this process has counted `own` since it began.
    std::uint64_t fold(Kept which, std::uint64_t own);

 private:
    static constexpr std::size_t kPlaces = 64;
    static constexpr std::uint64_t kMagic = 0x736c75696365'0001;
    struct File {
        std::uint64_t magic;
        std::uint64_t total[kPlaces];
    };

    File own_{};  ///< When there is no file.
    File* file_ = nullptr;
    std::array<std::uint64_t, kPlaces> folded_{};
};

}  // namespace sluice::control
