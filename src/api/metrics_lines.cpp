// SPDX-License-Identifier: Apache-2.0
#include "api/metrics_lines.h"

#include <algorithm>

namespace sluice::api {
namespace {

/// Also what only looks like UTF-8 (overlong forms, surrogates) is of the length that it says:
/// Prometheus takes it for what it is.
std::size_t utf8_len(std::string_view text) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t len = first < 0x80                    ? 1
                            : first >= 0xc2 && first < 0xe0 ? 2
                            : first >= 0xe0 && first < 0xf0 ? 3
                            : first >= 0xf0 && first < 0xf5 ? 4
                                                            : 0;
    if (len == 0 || len > text.size()) return 0;
    for (std::size_t i = 1; i < len; ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
    return len;
}

}  // namespace

void append_label_value(std::string& out, std::string_view value) {
    while (!value.empty()) {
        const std::size_t len = utf8_len(value);
        if (len == 0)
            out += '?';
        else if (value.front() == '\\' || value.front() == '"')
            out.append(1, '\\').append(1, value.front());
        else if (value.front() == '\n')
            out += "\\n";
        else
            out.append(value.substr(0, len));
        value.remove_prefix(std::max<std::size_t>(len, 1));
    }
}

std::string escape_label(std::string_view value) {
    std::string out;
    append_label_value(out, value);
    return out;
}

}  // namespace sluice::api
