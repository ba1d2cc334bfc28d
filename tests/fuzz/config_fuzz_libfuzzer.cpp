// SPDX-License-Identifier: Apache-2.0

/// The long form, with coverage to steer by. From build/fuzz:
///   tests/fuzz/config_fuzz -dict=../../tests/fuzz/config.dict NEW_CORPUS
///   ../../tests/fuzz/corpus/config

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/config_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    sluice::fuzz::check_config({reinterpret_cast<const char*>(data), size});
    return 0;
}
