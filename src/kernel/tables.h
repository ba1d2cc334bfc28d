// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Filling the tables of a freshly loaded object: what the balancer and the agent have in common.

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "kernel/bpf_object.h"
#include "kernel/mapped_array.h"
#include "plan/image.h"

namespace sluice::kernel {

/// No map may be empty.
inline std::uint32_t at_least_one(std::size_t entries) {
    return static_cast<std::uint32_t>(std::max<std::size_t>(entries, 1));
}

/// Copies `content` to the start of a mappable array that nobody reads yet.
template <typename T>
Result<void> copy_into(int fd, const std::vector<T>& content, const char* name) {
    if (content.empty()) return {};
    auto map =
        SLC_TRY(MappedArray<T>::map(fd, static_cast<std::uint32_t>(content.size()), name), "fill");
    std::memcpy(map.all().data(), content.data(), content.size() * sizeof(T));
    return {};
}

/// VIPs, prefixes and tunnel sources: sizes before the load, content after it.
Result<void> size_destinations(BpfObject& object, const plan::Image& image);
Result<void> fill_destinations(const BpfObject& object, const plan::Image& image);

}  // namespace sluice::kernel
