// SPDX-License-Identifier: Apache-2.0
#include "health/lateness.h"

#include <algorithm>
#include <cmath>

namespace sluice::health {

using std::chrono::microseconds;

void Lateness::add(microseconds late) {
    late = std::max(late, microseconds(0));
    const auto cell = std::lower_bound(kBounds.begin(), kBounds.end(), late) - kBounds.begin();
    ++cells_[static_cast<std::size_t>(cell)];
    ++count_;
    sum_ += late;
    most_ = std::max(most_, late);
}

microseconds Lateness::quantile(double part) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
        seen += cells_[i];
        if (seen >= wanted) return std::min(kBounds[i], most_);
    }
    return most_;
}

}  // namespace sluice::health
