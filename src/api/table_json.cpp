// SPDX-License-Identifier: Apache-2.0
#include "api/table_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "api/json_of.h"

namespace sluice::api {
namespace {

using namespace control;

/// Per second, to a thousandth: more is noise.
Json rate_json(double rate) {
    return std::round(rate * 1000) / 1000;
}

Json rates_json(const observe::TableRates& rates) {
    Json out = Json::array();
    for (const double rate : rates) out.push_back(rate_json(rate));
    return out;
}

Json seconds_or_never(const std::optional<std::chrono::seconds>& time) {
    return time ? Json(time->count()) : Json();
}

/// What the data plane does not count is not there.
Json trend_json(const observe::TableView& trend, bool counts_inserts) {
    Json windows = Json::array();
    for (const std::chrono::seconds window : observe::kTableWindows)
        windows.push_back(window.count());
    Json out = {{"level", observe::name_of(trend.level)},
                {"full_in_s", seconds_or_never(trend.full_in)},
                {"windows_s", std::move(windows)},
                {"growth_per_s", rates_json(trend.growth)}};
    if (!counts_inserts) return out;
    out["inserts_per_s"] = rates_json(trend.inserts);
    out["refused_per_s"] = rates_json(trend.refused);
    out["expired_per_s"] = rates_json(trend.expired);
    out["evicted_per_s"] = rates_json(trend.evicted);
    return out;
}

Json ages_json(const AgeHistogram& ages) {
    Json out = Json::array();
    for (std::size_t i = 0; i < ages.size(); ++i)
        out.push_back({{"below_s", i < kAgeBounds.size() ? Json(kAgeBounds[i].count()) : Json()},
                       {"entries", ages[i]}});
    return out;
}

Json group_use(const MapStatus::Use& use) {
    Json out = {{"group", use.name},
                {"entries", use.entries},
                {"share", use.share},
                {"ceiling", use.ceiling},
                {"hits", use.hits},
                {"misses", use.misses},
                {"inserts", use.inserts},
                {"refused_full", use.refused_full},
                {"refused_ceiling", use.refused_ceiling},
                {"refused_held", use.held},
                {"ids_unknown", use.ids_unknown}};
    if (use.trend) out["trend"] = trend_json(*use.trend, false);
    return out;
}

void put_life(Json& out, const TableLife& life) {
    out["trend"] = life.trend ? trend_json(*life.trend, life.counts_inserts) : Json();
    out["expired"] = life.expired;
    out["ages"] = ages_json(life.ages);
    if (life.services.empty()) return;
    Json services = Json::array();
    for (const ServiceUse& use : life.services)
        services.push_back({{"service", use.service}, {"entries", use.entries}});
    out["services"] = std::move(services);
}

/// What lists and the live view show alike.
Json brief(const MapStatus& map) {
    Json out = {{"name", map.name},       {"kind", map.kind},         {"counted", map.counted},
                {"entries", map.entries}, {"capacity", map.capacity}, {"bytes", map.bytes}};
    if (map.counted && map.capacity != 0)
        out["pressure"] =
            rate_json(static_cast<double>(map.entries) / static_cast<double>(map.capacity));
    return out;
}

Json json_of(const MapStatus& map) {
    Json out = brief(map);
    if (map.life) {
        put_life(out, *map.life);
        out["oldest_ms"] = map.oldest.count();
    }
    if (map.classes.empty() && map.groups.empty()) return out;
    out["swept_ms"] = map.swept.count();
    out["leaving"] = map.leaving;
    Json classes = Json::array();
    for (const MapStatus::Use& use : map.classes)
        classes.push_back({{"class", use.name}, {"entries", use.entries}});
    out["classes"] = std::move(classes);
    Json groups = Json::array();
    for (const MapStatus::Use& use : map.groups) groups.push_back(group_use(use));
    out["groups"] = std::move(groups);
    return out;
}

}  // namespace

std::string brief_map_json(const MapStatus& map) {
    Json out = brief(map);
    if (map.life)
        out["trend"] =
            map.life->trend ? trend_json(*map.life->trend, map.life->counts_inserts) : Json();
    return text_of(out);
}

std::string maps_json(const MapsStatus& maps) {
    Json out = document();
    Json rows = Json::array();
    for (const MapStatus& map : maps.maps) rows.push_back(json_of(map));
    out["maps"] = std::move(rows);
    Json changes = Json::array();
    for (const RingChange& ring : maps.changes)
        changes.push_back({{"group", ring.group},
                           {"balance", config::name_of(ring.balance)},
                           {"ring_slots", ring.slots},
                           {"change", change_json(ring.change)}});
    out["changes"] = std::move(changes);
    return text_of(out);
}

}  // namespace sluice::api
