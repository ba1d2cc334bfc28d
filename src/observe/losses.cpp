// SPDX-License-Identifier: Apache-2.0
#include "observe/losses.h"

#include <array>
#include <atomic>
#include <cstddef>

namespace sluice::observe {
namespace {

std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Loss::count)> g_lost;

}  // namespace

void count_lost(Loss which, std::uint64_t number) {
    g_lost[static_cast<std::size_t>(which)].fetch_add(number, std::memory_order_relaxed);
}

std::uint64_t lost(Loss which) {
    return g_lost[static_cast<std::size_t>(which)].load(std::memory_order_relaxed);
}

}  // namespace sluice::observe
