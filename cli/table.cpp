// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>

namespace sluice::cli {
namespace {

bool use_colour() {
    static const bool answer = [] {
        const char* no_color = std::getenv("NO_COLOR");
        const char* term = std::getenv("TERM");
        return ::isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0') &&
               term != nullptr && std::string_view(term) != "dumb";
    }();
    return answer;
}

std::string_view code_of(Colour colour) {
    switch (colour) {
        case Colour::good:
            return "\x1b[32m";
        case Colour::warning:
            return "\x1b[33m";
        case Colour::bad:
            return "\x1b[1;31m";
        case Colour::faint:
            return "\x1b[2m";
        case Colour::none:
            return {};
    }
    return {};
}

}  // namespace

std::string painted(std::string_view text, Colour colour) {
    if (colour == Colour::none || !use_colour()) return std::string(text);
    return fmt::format("{}{}\x1b[0m", code_of(colour), text);
}

std::string short_number(std::uint64_t value) {
    static constexpr std::array<char, 6> kUnits = {'k', 'M', 'G', 'T', 'P', 'E'};
    if (value < 1000) return std::to_string(value);
    std::uint64_t tenths = value / 100;  // Of the unit; cut, never rounded up to the next one.
    std::size_t unit = 0;
    while (tenths >= 10'000) {
        tenths /= 1000;
        ++unit;
    }
    if (tenths >= 100) return fmt::format("{}{}", tenths / 10, kUnits[unit]);
    return fmt::format("{}.{}{}", tenths / 10, tenths % 10, kUnits[unit]);
}

Cell cell(std::string text, Colour colour) {
    return {std::move(text), colour, false};
}

Cell number_cell(std::uint64_t value) {
    return {short_number(value), Colour::none, true};
}

std::string Table::text() const {
    std::vector<std::size_t> widths;
    std::vector<bool> is_number(headings_.size(), false);
    for (const std::string& heading : headings_) widths.push_back(heading.size());
    for (const auto& row : rows_) {
        assert(row.size() == headings_.size());
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].text.empty() ? 1 : row[i].text.size());
            if (row[i].is_number) is_number[i] = true;
        }
    }
    std::string out;
    const auto put = [&](std::size_t i, const std::string& text, Colour colour) {
        const std::string pad(widths[i] - text.size(), ' ');
        if (is_number[i]) out += pad;
        out += painted(text, colour);
        if (i + 1 == headings_.size())
            out += '\n';
        else
            out += is_number[i] ? "  " : pad + "  ";
    };
    for (std::size_t i = 0; i < headings_.size(); ++i) put(i, headings_[i], Colour::faint);
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i)
            put(i, row[i].text.empty() ? "-" : row[i].text, row[i].colour);
    return out;
}

}  // namespace sluice::cli
