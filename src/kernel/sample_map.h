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

class SampleMap {
 public:
    /// Finds <directory>/slc_samples or makes it; an empty directory: nothing is pinned.
    static Result<SampleMap> open(const std::string& directory);
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// Whole ones only, oldest first.
    [[nodiscard]] std::vector<slc_sample> read() const;

 private:
    UniqueFd fd_;
    MappedValue memory_;
    std::uint32_t entries_ = 0;
};

}  // namespace sluice::kernel
