// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The page that `sluice top` shows, and what keys do to it, without a terminal: the screen
/// (cli/top_screen.h) puts lines where they belong and hands keys over. Pure.
///
///   sluice top  lb1  generation 12  every 1s                       what is going on, if anything
///   1.2M packets/s  9.8G bits/s  120 drops/s (0.1%)  samples 1 in 1024
///   [1 Services] 2 Backends  3 Reasons  4 Talkers  5 Maps  6 Interfaces
///   filter: web                                                    12 of 340
///   SERVICE  PACKETS/S v  ...
///   rows
///   q quit  ? help  ...

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/top_model.h"

namespace sluice::cli {

/// What a terminal may show as a colour, and must be able to show without.
enum class TopStyle { plain, title, heading, chosen, faint, good, warning, bad };

struct TopSegment {
    std::string text;
    TopStyle style = TopStyle::plain;
};
using TopLine = std::vector<TopSegment>;

enum class TopKey {
    character,  ///< `typed` says which.
    up,
    down,
    left,
    right,
    page_up,
    page_down,
    home,
    end,
    tab,
    back_tab,
    enter,
    escape,
    backspace,
    other,
};

inline constexpr unsigned kTopMostInterval = 60;  ///< Seconds.

struct TopUi {
    TopPane pane = TopPane::services;
    struct Order {
        std::optional<std::size_t> column;
        bool ascending = false;
    };
    std::array<Order, kTopPanes> orders;
    std::string filter;
    unsigned interval_s = 1;
    bool paused = false;
    bool typing = false;  ///< The filter.
    bool help = false;
    bool quit = false;
    std::size_t scroll = 0;  ///< First row that is shown.
    std::string trouble;     ///< Why there is nothing new; empty: there is.

    [[nodiscard]] TopView view() const;
};

/// `rows`: how many are there, `room`: how many fit.
void press(TopUi& ui, TopKey key, char typed, std::size_t rows, std::size_t room);

/// Rows that a page of this height has room for.
std::size_t room_for_rows(std::size_t height);

/// `height` lines at most, none wider than `width`. ASCII.
std::vector<TopLine> page(const TopModel& model, const TopUi& ui, std::size_t width,
                          std::size_t height);

/// "1.2M packets/s  9.8G bits/s  120 drops/s (0.1%)  samples 1 in 1024".
std::string head_text(const TopHead& head);

/// The rows as a table for standard output; at most `limit`, 0: all.
Table table_of(const TopPane pane, const TopRows& rows, std::size_t limit);

}  // namespace sluice::cli
