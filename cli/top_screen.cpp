// SPDX-License-Identifier: Apache-2.0
#include "cli/top_screen.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

// Functions instead: the macros have names like `move` and `timeout`.
#define NCURSES_NOMACROS 1
#include <curses.h>

// Of <term.h>, which would make macros of `lines`, `columns` and `tab`.
extern "C" char* tigetstr(const char* capability);

namespace sluice::cli {
namespace {

constexpr int kEscapeDelayMs = 25;
enum : short { kGood = 1, kWarning = 2, kBad = 3, kTitle = 4 };

bool wants_colour() {
    const char* no_color = std::getenv("NO_COLOR");
    return has_colors() && (no_color == nullptr || *no_color == '\0');
}

void start_colour() {
    if (!wants_colour()) return;
    start_color();
    const short background = use_default_colors() == OK ? short{-1} : short{COLOR_BLACK};
    init_pair(kGood, COLOR_GREEN, background);
    init_pair(kWarning, COLOR_YELLOW, background);
    init_pair(kBad, COLOR_RED, background);
    init_pair(kTitle, COLOR_CYAN, background);
}

/// Without colours: what matters is bold, what is chosen reversed. A terminal that can do neither
/// still shows brackets around the one, and words for the other.
attr_t attributes_of(TopStyle style) {
    const auto colour = [](short pair) -> attr_t {
        return wants_colour() ? static_cast<attr_t>(COLOR_PAIR(pair)) : A_NORMAL;
    };
    switch (style) {
        case TopStyle::title:
            return A_BOLD | colour(kTitle);
        case TopStyle::heading:
        case TopStyle::chosen:
            return A_REVERSE;
        case TopStyle::faint:
            return A_DIM;
        case TopStyle::good:
            return colour(kGood);
        case TopStyle::warning:
            return A_BOLD | colour(kWarning);
        case TopStyle::bad:
            return A_BOLD | colour(kBad);
        case TopStyle::plain:
            break;
    }
    return A_NORMAL;
}

constexpr std::array<std::pair<int, TopKey>, 14> kKeys = {{{KEY_UP, TopKey::up},
                                                           {KEY_DOWN, TopKey::down},
                                                           {KEY_LEFT, TopKey::left},
                                                           {KEY_RIGHT, TopKey::right},
                                                           {KEY_PPAGE, TopKey::page_up},
                                                           {KEY_NPAGE, TopKey::page_down},
                                                           {KEY_HOME, TopKey::home},
                                                           {KEY_END, TopKey::end},
                                                           {KEY_BTAB, TopKey::back_tab},
                                                           {KEY_ENTER, TopKey::enter},
                                                           {KEY_BACKSPACE, TopKey::backspace},
                                                           {'\t', TopKey::tab},
                                                           {'\r', TopKey::enter},
                                                           {'\n', TopKey::enter}}};

TopPress press_of(int key) {
    for (const auto& [code, meaning] : kKeys)
        if (code == key) return {meaning, 0};
    if (key == 27) return {TopKey::escape, 0};
    if (key == 8 || key == 127) return {TopKey::backspace, 0};
    if (key >= 0x20 && key < 0x7f) return {TopKey::character, static_cast<char>(key)};
    return {};
}

}  // namespace

Result<TopScreen> TopScreen::open() {
    const char* hint = "sluice top --once prints a table";
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1)
        return fail(Errc::unsupported, "standard input and output are no terminal", hint);
    std::setlocale(LC_ALL, "");
    const char* term = std::getenv("TERM");
    SCREEN* screen = term == nullptr ? nullptr : newterm(nullptr, stdout, stdin);
    // Some terminals can be had, and yet cannot be written on at a place.
    if (screen != nullptr && tigetstr("cup") == nullptr) {
        endwin();
        delscreen(screen);
        screen = nullptr;
    }
    if (screen == nullptr)
        return fail(
            Errc::unsupported,
            std::string("terminal '") + (term == nullptr ? "" : term) + "' cannot show a screen",
            hint);
    set_escdelay(kEscapeDelayMs);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    curs_set(0);
    start_colour();
    return TopScreen(screen);
}

TopScreen::TopScreen(TopScreen&& other) noexcept : screen_(std::exchange(other.screen_, nullptr)) {}

TopScreen::~TopScreen() {
    if (screen_ == nullptr) return;
    endwin();
    delscreen(static_cast<SCREEN*>(screen_));
}

std::size_t TopScreen::width() const {
    return static_cast<std::size_t>(std::max(getmaxx(stdscr), 0));
}

std::size_t TopScreen::height() const {
    return static_cast<std::size_t>(std::max(getmaxy(stdscr), 0));
}

void TopScreen::show(const std::vector<TopLine>& lines) {
    werase(stdscr);
    for (std::size_t y = 0; y < lines.size(); ++y) {
        wmove(stdscr, static_cast<int>(y), 0);
        for (const TopSegment& segment : lines[y]) {
            wattrset(stdscr, static_cast<int>(attributes_of(segment.style)));
            waddnstr(stdscr, segment.text.c_str(), static_cast<int>(segment.text.size()));
        }
    }
    wattrset(stdscr, A_NORMAL);
    wrefresh(stdscr);
}

std::optional<TopPress> TopScreen::wait(std::chrono::milliseconds wait) {
    wtimeout(stdscr, static_cast<int>(std::max<std::int64_t>(wait.count(), 0)));
    const int key = wgetch(stdscr);
    if (key == ERR) return std::nullopt;
    return press_of(key);
}

}  // namespace sluice::cli
