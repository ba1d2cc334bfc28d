// SPDX-License-Identifier: Apache-2.0
#include "observe/table_watch.h"

#include <algorithm>
#include <utility>

namespace sluice::observe {
namespace {

/// Points of a window: its rates are right to a tenth of it.
constexpr std::size_t kPoints = 11;
/// Clearly below what raises an alarm, for so long.
constexpr double kCalmPressure = 0.75;
constexpr std::chrono::seconds kNotFullSoon{600};
constexpr std::chrono::seconds kCalm{10};
/// Shorter than this tells nothing of a trend.
constexpr std::chrono::seconds kLeastTrend{5};
enum : std::size_t { kEntries, kInserts, kRefused, kExpired, kEvicted };

double seconds_of(std::chrono::milliseconds time) {
    return std::chrono::duration<double>(time).count();
}

}  // namespace

const char* name_of(TableLevel level) {
    switch (level) {
        case TableLevel::none:
            return "none";
        case TableLevel::filling:
            return "filling";
        case TableLevel::high:
            return "high";
        case TableLevel::critical:
            return "critical";
    }
    return "none";
}

const TableView* TableWatch::find(std::string_view name) const {
    const auto found = tables_.find(name);
    return found == tables_.end() ? nullptr : &found->second.view;
}

std::vector<TableNews> TableWatch::feed(Instant now, std::span<const TableReading> readings) {
    std::vector<TableNews> out;
    std::map<std::string, Table, std::less<>> known = std::exchange(tables_, {});
    for (const TableReading& reading : readings) {
        Table table;
        if (const auto before = known.find(reading.name); before != known.end())
            table = std::move(before->second);
        const Point point = {
            static_cast<double>(reading.entries), static_cast<double>(reading.inserts),
            static_cast<double>(reading.refused), static_cast<double>(reading.expired),
            static_cast<double>(reading.evicted)};
        // Another table under the same name: its past is not this one's.
        const bool is_another =
            table.capacity != reading.capacity ||
            !std::equal(point.begin() + kInserts, point.end(), table.last.begin() + kInserts,
                        [](double is, double was) { return is >= was; });
        if (is_another) table.windows = {};
        table.capacity = reading.capacity;
        table.last = point;
        add_point(table, now, point);
        compute(table, now, reading);
        if (auto news = judge(table, now, reading)) out.push_back(std::move(*news));
        tables_.emplace(reading.name, std::move(table));
    }
    return out;
}

void TableWatch::add_point(Table& table, Instant now, const Point& point) {
    for (std::size_t i = 0; i < kTableWindows.size(); ++i) {
        auto& points = table.windows[i].points;
        const auto step = Instant(kTableWindows[i]) / (kPoints - 1);
        // A tick may come a little early.
        if (!points.empty() && now - points.back().first < step - step / 10) continue;
        if (points.size() == kPoints) points.erase(points.begin());
        points.emplace_back(now, point);
    }
}

void TableWatch::compute(Table& table, Instant now, const TableReading& reading) {
    TableView& view = table.view;
    if (reading.capacity != 0)
        view.pressure =
            static_cast<double>(reading.entries) / static_cast<double>(reading.capacity);
    for (std::size_t i = 0; i < kTableWindows.size(); ++i) {
        const auto& [since, first] = table.windows[i].points.front();
        const double time = seconds_of(now - since);
        const auto rate = [&, &first = first](std::size_t what) {
            return time > 0 ? (table.last[what] - first[what]) / time : 0;
        };
        view.growth[i] = rate(kEntries);
        view.inserts[i] = rate(kInserts);
        view.refused[i] = rate(kRefused);
        view.expired[i] = rate(kExpired);
        view.evicted[i] = rate(kEvicted);
    }
    const Instant began = table.windows[kMiddleWindow].points.front().first;
    view.full_in = now - began < kLeastTrend ? std::nullopt : time_until_full(table, reading);
}

/// By the trend of a minute. What has stopped growing in the last ten seconds never gets there, so
/// that a burst is not told of for as long as the minute remembers it.
std::optional<std::chrono::seconds> TableWatch::time_until_full(const Table& table,
                                                                const TableReading& reading) {
    if (reading.entries >= reading.capacity) return std::chrono::seconds(0);
    const double growth = table.view.growth[kMiddleWindow];
    if (growth <= 0 || table.view.growth[kShortWindow] <= 0) return std::nullopt;
    const double left = static_cast<double>(reading.capacity - reading.entries) / growth;
    if (left > std::chrono::duration<double>(kFarAway).count()) return std::nullopt;
    return std::chrono::seconds(static_cast<std::int64_t>(left));
}

TableLevel TableWatch::level_of(const TableView& view) {
    if (view.pressure >= kCriticalPressure) return TableLevel::critical;
    if (view.pressure >= kHighPressure) return TableLevel::high;
    const bool soon = view.full_in && *view.full_in <= kFullSoon;
    return soon && view.pressure >= kFillingPressure ? TableLevel::filling : TableLevel::none;
}

bool TableWatch::is_calm(const TableView& view) {
    const bool soon = view.full_in && *view.full_in <= kNotFullSoon;
    return view.pressure < kCalmPressure && !(soon && view.pressure >= kFillingPressure);
}

std::optional<TableNews> TableWatch::judge(Table& table, Instant now, const TableReading& reading) {
    const TableLevel level = level_of(table.view);
    if (!is_calm(table.view)) table.calm_since.reset();
    const auto news = [&](bool relieved) {
        return TableNews{reading.name, relieved, reading.entries, reading.capacity, table.view};
    };
    if (level > table.view.level) {
        table.view.level = level;
        return news(false);
    }
    if (table.view.level == TableLevel::none || !is_calm(table.view)) return std::nullopt;
    if (!table.calm_since) table.calm_since = now;
    if (now - *table.calm_since < kCalm) return std::nullopt;
    table.view.level = TableLevel::none;
    return news(true);
}

}  // namespace sluice::observe
