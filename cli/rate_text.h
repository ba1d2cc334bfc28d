// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Rates as people read them. JSON keeps what the daemon said.

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <string>

#include "cli/table.h"

namespace sluice::cli {

/// "0", "0.3", "12", "1.2k", "-3": a decimal only below ten.
inline std::string rate_text(double rate) {
    const double size = std::abs(rate);
    const char* sign = rate < 0 ? "-" : "";
    if (size < 0.05) return "0";
    if (size < 9.95) {
        const std::string text = fmt::format("{}{:.1f}", sign, size);
        return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
    }
    return sign + short_number(static_cast<std::uint64_t>(std::llround(size)));
}

}  // namespace sluice::cli
