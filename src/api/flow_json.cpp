// SPDX-License-Identifier: Apache-2.0
#include "api/flow_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/json_of.h"
#include "api/query.h"
#include "api/tuple.h"

namespace sluice::api {
namespace {

using namespace control;

std::string text_or_empty(const std::optional<IpAddress>& address) {
    return address ? address->text() : std::string();
}

Json json_of(const FlowRecord& record) {
    return {{"group", record.group},
            {"address", record.backend.text()},
            {"class", name_of(record.flow_class)},
            {"age_ms", record.age.count()},
            {"expires_ms", record.expires.count()},
            {"bucket", record.bucket},
            {"fingerprint", fmt::format("{:09x}", record.fingerprint)}};
}

Json group_use(const MapStatus::Use& use) {
    return {{"group", use.name},
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
}

Json json_of(const MapStatus& map) {
    Json out = {{"name", map.name},       {"kind", map.kind},         {"counted", map.counted},
                {"entries", map.entries}, {"capacity", map.capacity}, {"bytes", map.bytes}};
    if (map.classes.empty() && map.groups.empty()) return out;
    out["oldest_ms"] = map.oldest.count();
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

std::string json_string(std::string_view text) {
    return text_of(Json(text));
}

std::string flow_json(const FlowTuple& tuple, const FlowAnswer& answer) {
    Json out = document();
    out["tuple"] = text_of(tuple);
    out["why"] = answer.why;
    out["text"] = answer.text;
    out["address"] = text_or_empty(answer.backend);
    out["service"] = answer.service;
    out["group"] = answer.group;
    out["hash"] = fmt::format("{:016x}", answer.hash);
    out["ring_slots"] = answer.ring_slots;
    out["slot"] = answer.slot;
    out["marked"] = answer.marked;
    out["open"] = answer.open;
    out["held"] = answer.held;
    out["current"] = text_or_empty(answer.current);
    out["previous"] = text_or_empty(answer.previous);
    out["remembered"] = answer.remembered ? json_of(*answer.remembered) : Json();
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
