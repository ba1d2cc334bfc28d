// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What `sluice top` shows, without a terminal: documents of /api/v1/top in, rows out. Rates are
/// made here from two documents: a counter that is new, or that has begun anew, has none until it
/// was seen twice, so that no rate is ever below zero. Pure; the screen is cli/top_screen.h.
///
///   take(document) twice --> table(view) --> rows, sorted and filtered --> screen, --once, -j

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cli/output.h"
#include "cli/table.h"

namespace sluice::cli {

enum class TopPane : std::size_t { services, backends, reasons, talkers, maps, interfaces };
inline constexpr std::size_t kTopPanes = 6;

/// "services".
const char* name_of(TopPane pane);
std::optional<TopPane> pane_named(std::string_view name);

/// What a column makes of a row's fields.
enum class TopKind {
    text,
    number,   ///< As it is.
    rate,     ///< Of a counter, per second.
    bits,     ///< Of a counter of bytes, in bits per second.
    gauge,    ///< Already per second.
    bitrate,  ///< Bytes per second, as bits.
    first,    ///< The shortest window of a trend.
    part,     ///< Of one.
    up,       ///< Whether it is.
    ready,    ///< Backends that are, of all.
    full,     ///< Time until full.
};

struct TopColumn {
    const char* heading;  ///< "PACKETS/S"; what --sort takes.
    const char* key;      ///< In JSON: "packets_per_s".
    TopKind kind;
    const char* field;  ///< Of the document's row.
    int rank;           ///< What must be left out first on a narrow terminal: the highest.
    [[nodiscard]] bool is_number() const { return kind != TopKind::text && kind != TopKind::up; }
};

/// Of a pane; the first is what its rows are called.
std::span<const TopColumn> columns_of(TopPane pane);
/// Index of a column by its heading, in any case; nothing: there is none.
std::optional<std::size_t> column_named(TopPane pane, std::string_view heading);

struct TopView {
    TopPane pane = TopPane::services;
    std::optional<std::size_t> column{};  ///< To sort by; nothing: the pane's own order.
    bool ascending = false;               ///< Numbers; of texts the opposite.
    std::string filter{};                 ///< Rows that hold it, in any case; empty: all.
};

struct TopCell {
    std::string text;             ///< Empty: not known.
    std::optional<double> value;  ///< What is sorted by, unless it is a text.
    Colour colour = Colour::none;
};

struct TopRows {
    std::vector<std::vector<TopCell>> rows;
    std::size_t all = 0;  ///< Before the filter.
    std::optional<std::size_t> column;
    bool ascending = false;
};

/// The first lines of the screen. Rates are of all packets that came, those for Linux too.
struct TopHead {
    std::string node;
    std::uint64_t generation = 0;
    std::uint64_t sampled_one_in = 0;
    std::optional<double> packets_per_s;
    std::optional<double> bits_per_s;
    std::optional<double> drops_per_s;
};

class TopModel {
 public:
    /// The one before becomes what it is compared with. False, and nothing changes, when it is of
    /// the very same moment.
    bool take(Json document);
    [[nodiscard]] bool has_data() const { return !now_.is_null(); }
    [[nodiscard]] bool has_rates() const { return seconds_ > 0; }
    [[nodiscard]] double seconds() const { return seconds_; }

    [[nodiscard]] TopHead head() const;
    [[nodiscard]] TopRows rows(const TopView& view) const;
    /// Everything, with rates: what -j prints.
    [[nodiscard]] Json document() const;

 private:
    using Index = std::unordered_map<std::string, const Json*>;

    [[nodiscard]] std::optional<double> rate(const Json& row, const Json* before,
                                             const char* field) const;
    [[nodiscard]] TopCell cell_of(const TopColumn& column, const Json& row,
                                  const Json* before) const;
    [[nodiscard]] const Json* before_of(TopPane pane, const Json& row) const;
    [[nodiscard]] std::optional<double> sum_of_reasons(const char* field, bool drops_only) const;

    Json now_;
    Json before_;
    std::array<Index, kTopPanes> index_;  ///< Rows of before_, by what they are called.
    double seconds_ = 0;                  ///< Between the two.
};

}  // namespace sluice::cli
