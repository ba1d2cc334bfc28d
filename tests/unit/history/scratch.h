// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the tests of src/history share: a directory that disappears, and changes to record.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/digest.h"
#include "history/history.h"

namespace sluice::history {

class ScratchDirectory {
 public:
    ScratchDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "history.XXXXXX").string();
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    ~ScratchDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string file() const { return (path_ / "history.db").string(); }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
    std::filesystem::path path_;
};

inline Begin change(const std::string& text, std::uint32_t base = 0) {
    Begin out;
    out.base = base;
    out.text = text;
    out.digest = sha256_hex(text);
    out.file = "/etc/sluice/sluice.yaml";
    out.file_digest = sha256_hex("file");
    out.author = "ada";
    out.message = "because";
    return out;
}

/// The value, or a failure of the test and an empty one.
template <typename T>
T value(Result<T> result) {
    if (result) return std::move(*result);
    ADD_FAILURE() << result.error().what;
    return T{};
}

inline History opened(const std::string& path) {
    auto history = History::open(path);
    if (!history) {
        ADD_FAILURE() << history.error().what;
        std::abort();
    }
    return std::move(*history);
}

inline void expect_done(const Result<void>& result) {
    EXPECT_TRUE(result.has_value()) << result.error().what;
}

inline void write_bytes(const std::string& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

inline std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace sluice::history
