// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What libpcap itself says of a frame: the word against which our translation is judged.

#include <cstdint>
#include <span>
#include <vector>

#include "kernel/packet_filter.h"

namespace sluice::test {

class FilterReference {
 public:
    /// `filter` must have passed kernel::check_filter() and not be empty.
    explicit FilterReference(std::span<const kernel::FilterInstruction> filter);
    [[nodiscard]] bool matches(std::span<const std::uint8_t> frame) const;

 private:
    /// Of libpcap's layout, which has a name that clashes with the kernel's.
    std::vector<std::uint64_t> code_;
};

}  // namespace sluice::test
