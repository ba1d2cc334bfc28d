// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the tests of src/config share: findings as the text an operator sees.

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "config/parse.h"

namespace sluice::config {

inline std::string text_of(const std::vector<Diagnostic>& findings) {
    std::string out;
    for (const Diagnostic& finding : findings) out += finding.text() + "\n";
    return out;
}

inline std::string errors_of(std::string_view text) {
    return text_of(parse(text, "t.yaml").errors);
}

/// A file of the source tree: tests run at its top.
inline std::string content_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in.is_open()) << path;
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace sluice::config
