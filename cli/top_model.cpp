// SPDX-License-Identifier: Apache-2.0
#include "cli/top_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/duration.h"
#include "cli/rate_text.h"

namespace sluice::cli {
namespace {

constexpr TopColumn kServices[] = {
    {"SERVICE", "service", TopKind::text, "name", 0},
    {"VIP", "vip", TopKind::text, "vip", 5},
    {"PROTO", "protocol", TopKind::text, "protocol", 6},
    {"PORT", "port", TopKind::text, "port", 4},
    {"PACKETS/S", "packets_per_s", TopKind::rate, "packets", 1},
    {"BITS/S", "bits_per_s", TopKind::bits, "bytes", 2},
    {"DROPS/S", "drops_per_s", TopKind::rate, "dropped_packets", 1},
    {"BACKENDS", "backends_ready", TopKind::ready, "backends_ready", 3},
    {"PACKETS", "packets", TopKind::number, "packets", 7},
};
constexpr TopColumn kBackends[] = {
    {"BACKEND", "backend", TopKind::text, "name", 0},
    {"UP", "up", TopKind::up, "up", 2},
    {"WEIGHT", "weight", TopKind::number, "weight", 5},
    {"PACKETS/S", "packets_per_s", TopKind::rate, "packets", 1},
    {"BITS/S", "bits_per_s", TopKind::bits, "bytes", 3},
    {"FLOWS", "remembered_flows", TopKind::number, "remembered", 4},
    {"PACKETS", "packets", TopKind::number, "packets", 6},
};
constexpr TopColumn kReasons[] = {
    {"REASON", "reason", TopKind::text, "reason", 0},
    {"OUTCOME", "outcome", TopKind::text, "outcome", 2},
    {"PACKETS/S", "packets_per_s", TopKind::rate, "packets", 1},
    {"BITS/S", "bits_per_s", TopKind::bits, "bytes", 3},
    {"PACKETS", "packets", TopKind::number, "packets", 4},
};
constexpr TopColumn kTalkers[] = {
    {"SOURCE", "source", TopKind::text, "source", 0},
    {"SERVICE", "service", TopKind::text, "service", 2},
    {"PACKETS/S", "packets_per_s", TopKind::gauge, "packets_per_s", 1},
    {"BITS/S", "bits_per_s", TopKind::bitrate, "bytes_per_s", 3},
    {"DROPS/S", "drops_per_s", TopKind::gauge, "dropped_per_s", 2},
    {"PACKETS", "packets", TopKind::number, "packets", 4},
};
constexpr TopColumn kMaps[] = {
    {"MAP", "map", TopKind::text, "name", 0},
    {"KIND", "kind", TopKind::text, "kind", 7},
    {"ENTRIES", "entries", TopKind::number, "entries", 3},
    {"CAPACITY", "capacity", TopKind::number, "capacity", 4},
    {"USED", "pressure", TopKind::part, "pressure", 1},
    {"GROWTH/S", "growth_per_s", TopKind::first, "growth_per_s", 6},
    {"INSERTS/S", "inserts_per_s", TopKind::first, "inserts_per_s", 5},
    {"REFUSED/S", "refused_per_s", TopKind::first, "refused_per_s", 2},
    {"FULL_IN", "full_in_s", TopKind::full, "full_in_s", 1},
};
constexpr TopColumn kInterfaces[] = {
    {"INTERFACE", "interface", TopKind::text, "name", 0},
    {"ATTACHED", "attached", TopKind::up, "attached", 4},
    {"MODE", "xdp_mode", TopKind::text, "xdp_mode", 6},
    {"PACKETS/S", "packets_per_s", TopKind::rate, "packets", 1},
    {"BITS/S", "bits_per_s", TopKind::bits, "bytes", 2},
    {"DROPS/S", "drops_per_s", TopKind::rate, "dropped_packets", 1},
    {"TO_LINUX/S", "passed_per_s", TopKind::rate, "passed_packets", 5},
    {"FORWARDED/S", "forwarded_per_s", TopKind::rate, "forwarded_packets", 3},
};

struct PaneInfo {
    const char* name;  ///< Of the document's list, too.
    std::span<const TopColumn> columns;
    std::size_t column;  ///< Its own order.
};
constexpr PaneInfo kPanes[kTopPanes] = {{"services", kServices, 4}, {"backends", kBackends, 3},
                                        {"reasons", kReasons, 2},   {"talkers", kTalkers, 2},
                                        {"maps", kMaps, 4},         {"interfaces", kInterfaces, 3}};

const PaneInfo& info_of(TopPane pane) {
    return kPanes[static_cast<std::size_t>(pane)];
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

/// A row's name, with what tells talkers of the same source apart.
std::string key_of(TopPane pane, const Json& row) {
    const auto columns = columns_of(pane);
    std::string out = text_at(row, columns[0].field);
    if (pane == TopPane::talkers) out += "\n" + text_at(row, "service");
    return out;
}

/// Those of a list; none where there is no list.
const Json& list_at(const Json& document, const char* name) {
    static const Json kNone = Json::array();
    const Json& list = member_at(document, name);
    return list.is_array() ? list : kNone;
}

std::optional<double> number_in(const Json& row, const char* field) {
    const Json& value = member_at(row, field);
    return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

TopCell known(std::optional<double> value, std::string (*text)(double)) {
    if (!value) return {};
    return {text(*value), value};
}

std::string count_text(double value) {
    return short_number(static_cast<std::uint64_t>(std::max(value, 0.0)));
}

std::string part_text(double value) {
    return fmt::format("{:.1f}%", value * 100);
}

TopCell full_cell(const Json& row) {
    const Json& trend = member_at(row, "trend");
    if (!trend.is_object()) return {};
    const auto left = number_in(trend, "full_in_s");
    // Never sorts behind all times; what is not watched, behind that.
    if (!left) return {"never", 1e18};
    return {*left <= 0 ? "now"
                       : text_of_duration(std::chrono::seconds(static_cast<std::int64_t>(*left))),
            *left, Colour::warning};
}

TopCell first_cell(const Json& row, const char* field) {
    const Json& rates = member_at(member_at(row, "trend"), field);
    if (!rates.is_array() || rates.empty() || !rates[0].is_number()) return {};
    return known(rates[0].get<double>(), rate_text);
}

Colour colour_of_level(const Json& row) {
    const std::string level = text_at(member_at(row, "trend"), "level");
    if (level == "critical") return Colour::bad;
    return level.empty() || level == "none" ? Colour::none : Colour::warning;
}

/// Drops and what is down stand out.
Colour colour_of(const TopColumn& column, const Json& row, const TopCell& cell) {
    const bool some = cell.value && *cell.value > 0;
    const std::string_view key = column.key;
    if (key == "drops_per_s" || key == "refused_per_s") return some ? Colour::bad : Colour::none;
    if (key == "reason" || key == "outcome")
        return text_at(row, "outcome") == "dropped" ? Colour::warning : Colour::none;
    if (key == "pressure") return colour_of_level(row);
    if (column.kind == TopKind::up) return cell.value == 1.0 ? Colour::good : Colour::bad;
    return cell.colour;
}

bool matches(const std::vector<TopCell>& row, std::span<const TopColumn> columns,
             const std::string& wanted) {
    if (wanted.empty()) return true;
    for (std::size_t i = 0; i < row.size(); ++i)
        if (!columns[i].is_number() && lower(row[i].text).find(wanted) != std::string::npos)
            return true;
    return false;
}

}  // namespace

const char* name_of(TopPane pane) {
    return info_of(pane).name;
}

std::optional<TopPane> pane_named(std::string_view name) {
    for (std::size_t i = 0; i < kTopPanes; ++i)
        if (kPanes[i].name == name) return static_cast<TopPane>(i);
    return std::nullopt;
}

std::span<const TopColumn> columns_of(TopPane pane) {
    return info_of(pane).columns;
}

std::optional<std::size_t> column_named(TopPane pane, std::string_view heading) {
    const auto columns = columns_of(pane);
    for (std::size_t i = 0; i < columns.size(); ++i)
        if (lower(columns[i].heading) == lower(heading)) return i;
    return std::nullopt;
}

bool TopModel::take(Json document) {
    const auto at = [](const Json& of) { return number_at(of, "time_ns"); };
    if (has_data() && at(document) == at(now_)) return false;
    // Another node, or another boot of it: nothing to compare with.
    const bool follows =
        has_data() && at(document) > at(now_) && text_at(document, "node") == text_at(now_, "node");
    before_ = follows ? std::move(now_) : Json();
    now_ = std::move(document);
    seconds_ = follows ? static_cast<double>(at(now_) - at(before_)) / 1e9 : 0;
    for (std::size_t i = 0; i < kTopPanes; ++i) {
        index_[i].clear();
        for (const Json& row : list_at(before_, kPanes[i].name))
            index_[i].emplace(key_of(static_cast<TopPane>(i), row), &row);
    }
    return true;
}

const Json* TopModel::before_of(TopPane pane, const Json& row) const {
    const Index& index = index_[static_cast<std::size_t>(pane)];
    const auto found = index.find(key_of(pane, row));
    return found == index.end() ? nullptr : found->second;
}

std::optional<double> TopModel::rate(const Json& row, const Json* before, const char* field) const {
    if (before == nullptr || !has_rates() || !member_at(row, field).is_number() ||
        !member_at(*before, field).is_number())
        return std::nullopt;
    const std::uint64_t is = number_at(row, field);
    const std::uint64_t was = number_at(*before, field);
    if (is < was) return std::nullopt;
    return static_cast<double>(is - was) / seconds_;
}

TopCell TopModel::cell_of(const TopColumn& column, const Json& row, const Json* before) const {
    switch (column.kind) {
        case TopKind::text:
            return {text_at(row, column.field), std::nullopt};
        case TopKind::number:
            return known(number_in(row, column.field), count_text);
        case TopKind::rate:
            return known(rate(row, before, column.field), rate_text);
        case TopKind::bits: {
            const auto bytes = rate(row, before, column.field);
            return known(bytes ? std::optional(*bytes * 8) : bytes, rate_text);
        }
        case TopKind::gauge:
            return known(number_in(row, column.field), rate_text);
        case TopKind::bitrate: {
            const auto bytes = number_in(row, column.field);
            return known(bytes ? std::optional(*bytes * 8) : bytes, rate_text);
        }
        case TopKind::first:
            return first_cell(row, column.field);
        case TopKind::part:
            return known(number_in(row, column.field), part_text);
        case TopKind::up: {
            const bool is_up = flag_at(row, column.field);
            return {is_up ? "yes" : "no", is_up ? 1.0 : 0.0};
        }
        case TopKind::ready: {
            if (!member_at(row, "group").is_string()) return {"local", 0};
            const std::uint64_t ready = number_at(row, column.field);
            const std::uint64_t all = number_at(row, "backends");
            return {fmt::format("{}/{}", ready, all), static_cast<double>(ready),
                    ready == 0    ? Colour::bad
                    : ready < all ? Colour::warning
                                  : Colour::none};
        }
        case TopKind::full:
            return full_cell(row);
    }
    return {};
}

TopRows TopModel::rows(const TopView& view) const {
    const PaneInfo& pane = info_of(view.pane);
    TopRows out;
    out.column = view.column.value_or(pane.column);
    out.ascending = view.ascending;
    const std::string wanted = lower(view.filter);
    for (const Json& row : list_at(now_, pane.name)) {
        ++out.all;
        const Json* before = before_of(view.pane, row);
        std::vector<TopCell> cells;
        for (const TopColumn& column : pane.columns) {
            TopCell made = cell_of(column, row, before);
            made.colour = colour_of(column, row, made);
            cells.push_back(std::move(made));
        }
        if (matches(cells, pane.columns, wanted)) out.rows.push_back(std::move(cells));
    }
    const std::size_t column = *out.column;
    const bool is_text = pane.columns[column].kind == TopKind::text;
    // The operator looks at drops first.
    const bool drops_first = view.pane == TopPane::reasons && !view.column;
    const auto is_before = [&](const auto& left, const auto& right) {
        if (drops_first) {
            const bool left_drops = left[1].text == "dropped";
            if (left_drops != (right[1].text == "dropped")) return left_drops;
        }
        if (is_text && left[column].text != right[column].text)
            return (left[column].text < right[column].text) != view.ascending;
        const double l = left[column].value.value_or(-1e300);
        const double r = right[column].value.value_or(-1e300);
        if (!is_text && l != r) return view.ascending ? l < r : l > r;
        return left[0].text < right[0].text;
    };
    std::stable_sort(out.rows.begin(), out.rows.end(), is_before);
    return out;
}

std::optional<double> TopModel::sum_of_reasons(const char* field, bool drops_only) const {
    if (!has_rates()) return std::nullopt;
    double out = 0;
    for (const Json& row : list_at(now_, "reasons"))
        if (!drops_only || text_at(row, "outcome") == "dropped")
            out += rate(row, before_of(TopPane::reasons, row), field).value_or(0);
    return out;
}

TopHead TopModel::head() const {
    TopHead out;
    out.node = text_at(now_, "node");
    out.generation = number_at(now_, "generation");
    out.sampled_one_in = number_at(now_, "sampled_one_in");
    out.packets_per_s = sum_of_reasons("packets", false);
    const auto bytes = sum_of_reasons("bytes", false);
    if (bytes) out.bits_per_s = *bytes * 8;
    out.drops_per_s = sum_of_reasons("packets", true);
    return out;
}

Json TopModel::document() const {
    const auto number = [](const std::optional<double>& value) {
        return value ? Json(std::round(*value * 1000) / 1000) : Json();
    };
    const TopHead top = head();
    Json out = {{"schema_version", number_at(now_, "schema_version")},
                {"node", top.node},
                {"generation", top.generation},
                {"sampled_one_in", top.sampled_one_in},
                {"seconds", number(seconds_)},
                {"packets_per_s", number(top.packets_per_s)},
                {"bits_per_s", number(top.bits_per_s)},
                {"drops_per_s", number(top.drops_per_s)}};
    for (std::size_t i = 0; i < kTopPanes; ++i) {
        const auto pane = static_cast<TopPane>(i);
        Json list = Json::array();
        for (const auto& cells : rows({.pane = pane}).rows) {
            Json row = Json::object();
            for (std::size_t c = 0; c < cells.size(); ++c) {
                const TopColumn& column = kPanes[i].columns[c];
                if (column.kind == TopKind::text)
                    row[column.key] = cells[c].text;
                else if (column.kind == TopKind::up)
                    row[column.key] = cells[c].value == 1.0;
                else if (column.kind == TopKind::full && cells[c].text == "never")
                    row[column.key] = nullptr;
                else if (column.kind == TopKind::number && cells[c].value)
                    row[column.key] = static_cast<std::uint64_t>(*cells[c].value);
                else
                    row[column.key] = number(cells[c].value);
            }
            list.push_back(std::move(row));
        }
        out[kPanes[i].name] = std::move(list);
    }
    return out;
}

}  // namespace sluice::cli
