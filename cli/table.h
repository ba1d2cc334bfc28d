// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Aligned columns for people. Numbers are shortened here and nowhere else: JSON keeps them exact.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::cli {

enum class Colour { none, good, warning, bad, faint };

/// `text` in that colour when standard output is a terminal and NO_COLOR is not set.
std::string painted(std::string_view text, Colour colour);

struct Cell {
    std::string text;
    Colour colour = Colour::none;
    bool is_number = false;  ///< Aligned to the right.
};

Cell cell(std::string text, Colour colour = Colour::none);
/// 999, 1.2k, 34M, 5.6G: at most four characters and a sign of magnitude, powers of 1000.
Cell number_cell(std::uint64_t value);

class Table {
 public:
    explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
    /// As many cells as headings. An empty one shows as "-".
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    /// Lines with their ends; no trailing blanks.
    [[nodiscard]] std::string text() const;

 private:
    std::vector<std::string> headings_;
    std::vector<std::vector<Cell>> rows_;
};

std::string short_number(std::uint64_t value);

}  // namespace sluice::cli
