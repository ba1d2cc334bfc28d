// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Whether the tables of the data plane still have room: from what each says of itself once a
/// second, how fast it fills, how long until it is full, and when somebody must be told. The
/// controller feeds it (control/table_reader.h) and logs what it answers. Pure: time is told.
///
///   reading --> windows of 10 s, 1 min, 5 min --> rates --> time until full --> level
///
/// A table is under pressure when it is 80 % full (high), 95 % full (critical), or at least half
/// full and full within five minutes as it goes (filling). It is relieved when it has been clearly
/// below for ten seconds: under 75 %, or not full for another ten minutes as it goes. Half full:
/// a table that has just begun to be used fills fast and then stops.

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::observe {

/// Rates are over these; over less while a table has been watched for less.
inline constexpr std::array<std::chrono::seconds, 3> kTableWindows = {
    std::chrono::seconds(10), std::chrono::seconds(60), std::chrono::seconds(300)};
enum : std::size_t { kShortWindow = 0, kMiddleWindow = 1, kLongWindow = 2 };

inline constexpr double kHighPressure = 0.80;
inline constexpr double kCriticalPressure = 0.95;
inline constexpr double kFillingPressure = 0.50;
inline constexpr std::chrono::seconds kFullSoon{300};

/// What a table says of itself. Counts only grow; one that has shrunk begins anew.
struct TableReading {
    std::string name;  ///< "slc_flows", "slc_flows/web".
    std::uint64_t entries = 0;
    std::uint64_t capacity = 0;
    std::uint64_t inserts = 0;
    std::uint64_t refused = 0;
    std::uint64_t expired = 0;  ///< Removed because their time was over.
    std::uint64_t evicted = 0;  ///< Removed before.
};

/// By kTableWindows, per second.
using TableRates = std::array<double, kTableWindows.size()>;

enum class TableLevel { none, filling, high, critical };
const char* name_of(TableLevel level);

/// What is known of a table now.
struct TableView {
    double pressure = 0;  ///< Of the capacity, 0..1 and, where a limit was lowered, above.
    TableLevel level = TableLevel::none;
    TableRates growth{};  ///< Entries; below zero when it falls.
    TableRates inserts{};
    TableRates refused{};
    TableRates expired{};
    TableRates evicted{};
    /// As it went in the last minute; nothing: never. At most kFarAway.
    std::optional<std::chrono::seconds> full_in;
};
/// What takes longer is "never".
inline constexpr std::chrono::hours kFarAway{24};

/// Somebody should know.
struct TableNews {
    std::string name;
    bool relieved = false;  ///< Else: under pressure, or more so than when it was told last.
    std::uint64_t entries = 0;
    std::uint64_t capacity = 0;
    TableView view;
};

class TableWatch {
 public:
    using Instant = std::chrono::milliseconds;  ///< Of a clock that never goes back.

    /// All tables that there are; those that are not named any more are forgotten. Once a second.
    std::vector<TableNews> feed(Instant now, std::span<const TableReading> readings);
    /// Null: not watched.
    [[nodiscard]] const TableView* find(std::string_view name) const;

 private:
    /// Entries, then the four counters.
    using Point = std::array<double, 5>;
    struct Window {
        std::vector<std::pair<Instant, Point>> points;  ///< Oldest first, at most kPoints.
    };
    struct Table {
        std::array<Window, kTableWindows.size()> windows;
        std::uint64_t capacity = 0;
        Point last{};
        std::optional<Instant> calm_since;  ///< It is clearly below.
        TableView view;
    };

    static void add_point(Table& table, Instant now, const Point& point);
    static void compute(Table& table, Instant now, const TableReading& reading);
    static std::optional<std::chrono::seconds> time_until_full(const Table& table,
                                                               const TableReading& reading);
    static TableLevel level_of(const TableView& view);
    static bool is_calm(const TableView& view);
    static std::optional<TableNews> judge(Table& table, Instant now, const TableReading& reading);

    std::map<std::string, Table, std::less<>> tables_;
};

}  // namespace sluice::observe
