// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Sizes as people write them on the command line: "512K", "32M", "1G", in powers of 1024.

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace sluice::cli {

/// Bytes, 1 to 2^63. Errc::invalid with the end of a sentence that begins with the text: "is not a
/// size, as in 65536, 512K, 32M or 1G".
Result<std::uint64_t> parse_size(std::string_view text);

}  // namespace sluice::cli
