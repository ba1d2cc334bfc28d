// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Bad documents and what is told of them, as they stand in errors/*.cases:
///   #### the_case_as_words
///   the document
///   #### told
///   every finding with its line and caret

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace sluice::config {

struct ErrorCase {
    std::string name;
    std::string text;
    std::string told;
};

inline std::vector<ErrorCase> cases_of(const std::string& path) {
    constexpr std::string_view kMark = "#### ";
    std::vector<ErrorCase> out;
    std::string* target = nullptr;
    std::ifstream in(path);
    EXPECT_TRUE(in.is_open()) << path;
    for (std::string line; std::getline(in, line);) {
        if (line == "#### told" && !out.empty()) {
            target = &out.back().told;
        } else if (line.starts_with(kMark)) {
            out.push_back({line.substr(kMark.size()), {}, {}});
            target = &out.back().text;
        } else if (target != nullptr) {
            *target += line + "\n";
        }
    }
    return out;
}

}  // namespace sluice::config
