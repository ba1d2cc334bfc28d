// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace sluice {

/// SHA-256, 64 hexadecimal digits.
std::string sha256_hex(std::string_view content);

}  // namespace sluice
