// SPDX-License-Identifier: Apache-2.0
#include "cli/size.h"

#include <charconv>

namespace sluice::cli {

Result<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [unit, error] = std::from_chars(text.data(), end, number);
    const std::string_view rest(unit, static_cast<std::size_t>(end - unit));
    unsigned shift = 0;
    bool is_size = error == std::errc() && number > 0;
    if (rest == "K" || rest == "k")
        shift = 10;
    else if (rest == "M" || rest == "m")
        shift = 20;
    else if (rest == "G" || rest == "g")
        shift = 30;
    else
        is_size = is_size && rest.empty();
    if (!is_size || number > (std::uint64_t{1} << 63) >> shift)
        return fail(Errc::invalid, "is not a size, as in 65536, 512K, 32M or 1G");
    return number << shift;
}

}  // namespace sluice::cli
