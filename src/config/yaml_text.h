// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Writing YAML line by line. Used inside config/ only.

#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"

namespace sluice::config {

class YamlText {
 public:
    void line(int depth, std::string_view text) {
        text_.append(static_cast<std::size_t>(depth) * 2, ' ').append(text).append("\n");
    }
    void entry(int depth, std::string_view key, std::string_view value) {
        line(depth, std::string(key) + ": " + quote(value));
    }
    /// In one line; nothing for an empty list.
    void list(int depth, std::string_view key, const std::vector<std::string>& values) {
        if (values.empty()) return;
        std::string out = std::string(key) + ": [";
        for (std::size_t i = 0; i < values.size(); ++i)
            out += (i > 0 ? ", " : "") + quote(values[i]);
        line(depth, out + "]");
    }
    [[nodiscard]] std::string take() && { return std::move(text_); }

    /// Always in double quotes: no word is then a number, a null or a truth value to anybody.
    static std::string quote(std::string_view value);

 private:
    std::string text_;
};

/// A host prefix as its address alone.
std::string text_of(const IpPrefix& prefix);
std::vector<std::string> texts_of(const std::vector<IpPrefix>& prefixes);

}  // namespace sluice::config
