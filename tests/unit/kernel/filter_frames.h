// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Frames that filters are tried on: sound ones of all sorts, with addresses and ports of a small
/// stock, so that filters which name these find some; cut, damaged and senseless ones; and ones
/// that need more than a page.

#include <cstdint>
#include <vector>

#include "tests/unit/model/random.h"

namespace sluice::test {

using Frame = std::vector<std::uint8_t>;

/// Of 14 bytes, which a test run takes at least, to some 20,000.
Frame random_frame(model::Random& random);
std::vector<Frame> random_frames(model::Random& random, std::size_t count);

}  // namespace sluice::test
