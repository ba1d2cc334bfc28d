// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The last packets that the data plane sampled (struct slc_sample): a ring for each CPU in one
/// memory-mapped array, pinned with the instance's state. Owned by StateMaps; read by whoever asks
/// what the node has just seen, while packets write.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/mapped_value.h"
#include "sluice/types.h"

namespace sluice::kernel {

/// Samples of all CPUs, by their time.
struct SampleRead {
    std::vector<slc_sample> samples;
    std::vector<std::uint32_t> cpus;  ///< Parallel: which CPU took it.
    std::uint64_t lost = 0;           ///< Overwritten before they were read.
    bool is_cut = false;              ///< There may be more: read again.
};

/// Of one call, about.
inline constexpr std::size_t kMostSamplesRead = 4096;

class SampleMap {
 public:
    /// Finds <directory>/slc_samples or makes it; an empty directory: nothing is pinned.
    static Result<SampleMap> open(const std::string& directory);
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// Whole ones only, oldest first.
    [[nodiscard]] std::vector<slc_sample> read() const;
    /// Those behind the numbers in `seen`, by CPU, and `seen` goes on to the last of them. Empty:
    /// begins with all that is there, and nothing is lost.
    [[nodiscard]] SampleRead read_behind(std::vector<std::uint64_t>& seen) const;

 private:
    UniqueFd fd_;
    MappedValue memory_;
    std::uint32_t entries_ = 0;
};

}  // namespace sluice::kernel
