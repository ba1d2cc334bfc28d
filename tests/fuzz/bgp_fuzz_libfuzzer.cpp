// SPDX-License-Identifier: Apache-2.0

/// The long form, with coverage to steer by. From build/fuzz:
///   tests/fuzz/bgp_fuzz NEW_CORPUS

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/bgp_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    sluice::fuzz::check_bgp({data, size});
    return 0;
}
