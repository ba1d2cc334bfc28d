// SPDX-License-Identifier: Apache-2.0
#include "cli/top_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/rate_text.h"

namespace sluice::cli {
namespace {

constexpr std::size_t kLinesAbove = 5;  ///< Of the rows.
constexpr std::size_t kLinesBelow = 1;
constexpr std::size_t kGap = 2;
constexpr std::size_t kLeastNameWidth = 7;
constexpr std::size_t kMostFilter = 64;

constexpr const char* kTitles[kTopPanes] = {"Services", "Backends", "Reasons",
                                            "Talkers",  "Maps",     "Interfaces"};

constexpr const char* kHelp[] = {
    "1-6, Tab, Left, Right   another view",
    "<, >                    sort by the column to the left, to the right",
    "r                       the other way round",
    "/                       only rows that hold a text; Enter keeps it, Esc ends it",
    "Up, Down, PgUp, PgDn, Home, End   scroll",
    "Space                   stand still, and go on",
    "+, -                    every second more, less",
    "?                       this help, and back",
    "q                       quit",
    "",
    "Rates are over the time between two updates; those of talkers and maps are over",
    "about ten seconds. Talkers are estimates from samples. \"-\" is not known (yet).",
};

TopStyle style_of(Colour colour) {
    switch (colour) {
        case Colour::good:
            return TopStyle::good;
        case Colour::warning:
            return TopStyle::warning;
        case Colour::bad:
            return TopStyle::bad;
        case Colour::faint:
            return TopStyle::faint;
        case Colour::none:
            return TopStyle::plain;
    }
    return TopStyle::plain;
}

std::size_t width_of(const TopLine& line) {
    std::size_t out = 0;
    for (const TopSegment& segment : line) out += segment.text.size();
    return out;
}

/// What a terminal would take for a command of its own is shown as a question mark.
std::string printable(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
    return text;
}

/// Cut to `width`; what was cut ends in "~".
std::string fitted(std::string text, std::size_t width) {
    text = printable(std::move(text));
    if (text.size() <= width) return text;
    if (width == 0) return {};
    text.resize(width);
    text.back() = '~';
    return text;
}

TopLine cut(TopLine line, std::size_t width) {
    TopLine out;
    for (TopSegment& segment : line) {
        const std::size_t left = width - std::min(width, width_of(out));
        if (left == 0) break;
        segment.text = fitted(std::move(segment.text), left);
        out.push_back(std::move(segment));
    }
    return out;
}

TopLine first_line(const TopModel& model, const TopUi& ui, std::size_t width) {
    const TopHead head = model.head();
    TopLine out = {{"sluice top", TopStyle::title}};
    if (model.has_data())
        out.push_back({fmt::format("  {}  generation {}", head.node, head.generation)});
    out.push_back({fmt::format("  every {}s", ui.interval_s)});
    TopSegment news;
    if (!ui.trouble.empty())
        news = {ui.trouble, TopStyle::bad};
    else if (ui.paused)
        news = {"paused", TopStyle::warning};
    else if (!model.has_rates())
        news = {"waiting for rates", TopStyle::faint};
    if (news.text.empty()) return cut(std::move(out), width);
    // What is wrong is seen on any width.
    const std::size_t left = width - std::min(width, news.text.size() + kGap);
    out = cut(std::move(out), left);
    out.push_back({std::string(kGap, ' ')});
    out.push_back(std::move(news));
    return cut(std::move(out), width);
}

TopLine tabs(const TopUi& ui, std::size_t width) {
    TopLine out;
    for (std::size_t i = 0; i < kTopPanes; ++i) {
        const bool is_chosen = static_cast<std::size_t>(ui.pane) == i;
        // Where all titles do not fit, only the chosen one is written out.
        const bool is_short = width < 72 && !is_chosen;
        const std::string name =
            is_short ? std::to_string(i + 1) : fmt::format("{} {}", i + 1, kTitles[i]);
        out.push_back(is_chosen ? TopSegment{"[" + name + "]", TopStyle::chosen}
                                : TopSegment{" " + name + " "});
    }
    return cut(std::move(out), width);
}

TopLine filter_line(const TopUi& ui, const TopRows& rows, std::size_t width) {
    if (ui.typing) return cut({{"filter: " + ui.filter + "_", TopStyle::title}}, width);
    if (ui.filter.empty()) return {};
    return cut({{fmt::format("filter: {}  ({} of {})", ui.filter, rows.rows.size(), rows.all),
                 TopStyle::title}},
               width);
}

/// Which columns are shown, and how wide: those of the highest rank are left out first.
struct Layout {
    std::vector<std::size_t> columns;
    std::vector<std::size_t> widths;  ///< By place.
};

std::string heading_of(std::span<const TopColumn> columns, std::size_t index, const TopRows& rows) {
    std::string out = columns[index].heading;
    if (rows.column == index) out += rows.ascending ? " ^" : " v";
    return out;
}

Layout lay_out(std::span<const TopColumn> columns, const TopRows& rows, std::size_t width) {
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        widths.push_back(heading_of(columns, i, rows).size());
        for (const auto& row : rows.rows)
            widths[i] = std::max(widths[i], std::max<std::size_t>(row[i].text.size(), 1));
    }
    std::vector<std::size_t> shown;
    for (std::size_t i = 0; i < columns.size(); ++i) shown.push_back(i);
    const auto total = [&] {
        std::size_t out = 0;
        for (const std::size_t i : shown) out += widths[i] + (i == shown.front() ? 0 : kGap);
        return out;
    };
    // Names give way before columns of rank 1 do.
    const std::size_t whole_name = widths[0];
    while (total() > width && shown.size() > 1) {
        const auto last =
            std::max_element(shown.begin(), shown.end(), [&](std::size_t left, std::size_t right) {
                return columns[left].rank != columns[right].rank
                           ? columns[left].rank < columns[right].rank
                           : left < right;
            });
        const std::size_t over = total() - width;
        if (columns[*last].rank <= 1 && widths[0] > kLeastNameWidth) {
            widths[0] -= std::min(over, widths[0] - kLeastNameWidth);
            if (total() <= width) break;
        }
        shown.erase(last);
        widths[0] = whole_name;
    }
    Layout out;
    for (const std::size_t i : shown) {
        out.columns.push_back(i);
        out.widths.push_back(std::min(widths[i], width));
    }
    if (!shown.empty() && total() < width) {
        // Room that a shorter name has given up.
        const std::size_t more = std::min(whole_name - out.widths[0], width - total());
        out.widths[0] += more;
    }
    return out;
}

TopSegment cell_segment(const std::string& text, std::size_t width, bool is_number,
                        TopStyle style) {
    const std::string shown = fitted(text.empty() ? "-" : text, width);
    const std::string pad(width - shown.size(), ' ');
    return {is_number ? pad + shown : shown + pad, style};
}

TopLine row_line(std::span<const TopColumn> columns, const Layout& layout,
                 const std::vector<TopCell>& row) {
    TopLine out;
    for (std::size_t place = 0; place < layout.columns.size(); ++place) {
        const std::size_t i = layout.columns[place];
        if (place > 0) out.push_back({std::string(kGap, ' ')});
        out.push_back(cell_segment(row[i].text, layout.widths[place], columns[i].is_number(),
                                   style_of(row[i].colour)));
    }
    return out;
}

TopLine heading_line(std::span<const TopColumn> columns, const Layout& layout,
                     const TopRows& rows) {
    TopLine out;
    for (std::size_t place = 0; place < layout.columns.size(); ++place) {
        const std::size_t i = layout.columns[place];
        if (place > 0) out.push_back({std::string(kGap, ' '), TopStyle::heading});
        out.push_back(cell_segment(heading_of(columns, i, rows), layout.widths[place],
                                   columns[i].is_number(), TopStyle::heading));
    }
    return out;
}

void put_rows(const TopUi& ui, const TopRows& rows, std::size_t width, std::size_t height,
              std::vector<TopLine>& out) {
    const auto columns = columns_of(ui.pane);
    const Layout layout = lay_out(columns, rows, width);
    out.push_back(heading_line(columns, layout, rows));
    const std::size_t room = room_for_rows(height);
    const std::size_t first = std::min(ui.scroll, rows.rows.size());
    for (std::size_t i = first; i < rows.rows.size() && i - first < room; ++i)
        out.push_back(row_line(columns, layout, rows.rows[i]));
    if (rows.rows.empty())
        out.push_back(
            {{rows.all == 0 ? "nothing here" : "no row holds that text", TopStyle::faint}});
}

void press_in_filter(TopUi& ui, TopKey key, char typed) {
    if (key == TopKey::character && ui.filter.size() < kMostFilter) {
        ui.filter += typed;
    } else if (key == TopKey::backspace && !ui.filter.empty()) {
        ui.filter.pop_back();
    } else if (key == TopKey::enter) {
        ui.typing = false;
    } else if (key == TopKey::escape) {
        ui.typing = false;
        ui.filter.clear();
    }
    ui.scroll = 0;
}

void turn(TopUi& ui, std::size_t steps) {
    ui.pane = static_cast<TopPane>((static_cast<std::size_t>(ui.pane) + steps) % kTopPanes);
    ui.scroll = 0;
}

void sort_beside(TopUi& ui, bool right) {
    const auto columns = columns_of(ui.pane);
    auto& order = ui.orders[static_cast<std::size_t>(ui.pane)];
    const std::size_t now = order.column ? *order.column : *TopModel().rows(ui.view()).column;
    order.column =
        right ? std::min(now + 1, columns.size() - 1) : now - std::min<std::size_t>(now, 1);
    ui.scroll = 0;
}

void press_character(TopUi& ui, char typed) {
    auto& order = ui.orders[static_cast<std::size_t>(ui.pane)];
    switch (typed) {
        case 'q':
            ui.quit = true;
            return;
        case '?':
        case 'h':
            ui.help = true;
            return;
        case '/':
            ui.typing = true;
            return;
        case ' ':
            ui.paused = !ui.paused;
            return;
        case 'r':
            order.ascending = !order.ascending;
            return;
        case '<':
        case '>':
            sort_beside(ui, typed == '>');
            return;
        case '+':
            ui.interval_s = std::min(ui.interval_s + 1, kTopMostInterval);
            return;
        case '-':
            ui.interval_s = std::max(ui.interval_s - 1, 1u);
            return;
        default:
            break;
    }
    const auto pane = static_cast<std::size_t>(typed - '1');
    if (typed < '1' || pane >= kTopPanes) return;
    ui.pane = static_cast<TopPane>(pane);
    ui.scroll = 0;
}

}  // namespace

TopView TopUi::view() const {
    const Order& order = orders[static_cast<std::size_t>(pane)];
    return {pane, order.column, order.ascending, filter};
}

void press(TopUi& ui, TopKey key, char typed, std::size_t rows, std::size_t room) {
    if (ui.typing) return press_in_filter(ui, key, typed);
    if (ui.help) {
        ui.help = false;
        ui.quit = key == TopKey::character && typed == 'q';
        return;
    }
    const std::size_t last = rows - std::min(rows, room);
    switch (key) {
        case TopKey::character:
            return press_character(ui, typed);
        case TopKey::tab:
        case TopKey::right:
            return turn(ui, 1);
        case TopKey::back_tab:
        case TopKey::left:
            return turn(ui, kTopPanes - 1);
        case TopKey::up:
            ui.scroll -= std::min<std::size_t>(ui.scroll, 1);
            break;
        case TopKey::down:
            ui.scroll += 1;
            break;
        case TopKey::page_up:
            ui.scroll -= std::min(ui.scroll, room);
            break;
        case TopKey::page_down:
            ui.scroll += room;
            break;
        case TopKey::home:
            ui.scroll = 0;
            break;
        case TopKey::end:
            ui.scroll = last;
            break;
        case TopKey::escape:
            ui.filter.clear();
            break;
        case TopKey::enter:
        case TopKey::backspace:
        case TopKey::other:
            break;
    }
    ui.scroll = std::min(ui.scroll, last);
}

std::size_t room_for_rows(std::size_t height) {
    return height > kLinesAbove + kLinesBelow ? height - kLinesAbove - kLinesBelow : 0;
}

std::string head_text(const TopHead& head) {
    const auto rate = [](const std::optional<double>& value) {
        return value ? rate_text(*value) : std::string("-");
    };
    std::string out = fmt::format("{} packets/s  {} bits/s  {} drops/s", rate(head.packets_per_s),
                                  rate(head.bits_per_s), rate(head.drops_per_s));
    if (head.packets_per_s && *head.packets_per_s > 0 && head.drops_per_s)
        out += fmt::format(" ({:.1f}%)", *head.drops_per_s / *head.packets_per_s * 100);
    out += head.sampled_one_in == 0 ? "  no samples"
                                    : fmt::format("  samples 1 in {}", head.sampled_one_in);
    return out;
}

std::vector<TopLine> page(const TopModel& model, const TopUi& ui, std::size_t width,
                          std::size_t height) {
    std::vector<TopLine> out;
    out.push_back(first_line(model, ui, width));
    if (ui.help) {
        out.emplace_back();
        for (const char* line : kHelp) out.push_back(cut({{line}}, width));
    } else {
        const TopRows rows = model.rows(ui.view());
        const TopHead head = model.head();
        const bool drops = head.drops_per_s.value_or(0) > 0;
        out.push_back(cut({{head_text(head), drops ? TopStyle::warning : TopStyle::plain}}, width));
        out.push_back(tabs(ui, width));
        out.push_back(filter_line(ui, rows, width));
        put_rows(ui, rows, width, height, out);
    }
    const std::size_t above = height - std::min(height, kLinesBelow);
    out.resize(above);
    if (height > 0)
        out.push_back(cut({{ui.typing ? "Enter keep  Esc end"
                            : ui.help ? "any key: back"
                                      : "q quit  ? help  Tab view  < > sort  r reverse  / filter  "
                                        "Space pause  + - interval",
                            TopStyle::faint}},
                          width));
    return out;
}

Table table_of(const TopPane pane, const TopRows& rows, std::size_t limit) {
    const auto columns = columns_of(pane);
    std::vector<std::string> headings;
    for (const TopColumn& column : columns) headings.emplace_back(column.heading);
    Table out(headings);
    const std::size_t shown = limit == 0 ? rows.rows.size() : std::min(limit, rows.rows.size());
    for (std::size_t i = 0; i < shown; ++i) {
        std::vector<Cell> row;
        for (std::size_t c = 0; c < columns.size(); ++c)
            row.push_back(
                {printable(rows.rows[i][c].text), rows.rows[i][c].colour, columns[c].is_number()});
        out.add(std::move(row));
    }
    return out;
}

}  // namespace sluice::cli
