// SPDX-License-Identifier: Apache-2.0

/// What is remembered of flows, for how long, and how packets name their backend themselves.

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "config/draft.h"
#include "sluice/limits.h"

namespace sluice::config {
namespace {

constexpr std::array kTrackings = {Tracking::transitions, Tracking::always, Tracking::never};
constexpr std::array kOnDowns = {OnDown::replace, OnDown::keep};
constexpr std::array kRoutes = {RouteBy::ring, RouteBy::tcp_server_id, RouteBy::quic_lb,
                                RouteBy::katran};
/// What a service says of its group if the group is its own.
constexpr std::array<std::string_view, 4> kOfGroups = {"on_down", "deadline", "flows", "health"};

FlowShare parse_share(const Reader& in, const YamlNode& node, const Path& path, GroupNotes& notes) {
    FlowShare out;
    const MapReader map(in, node, path, keys::kFlows);
    if (const YamlNode* share = map.find("share")) {
        notes.share = share->mark;
        out.share = read_percent(in, *share, path.at("share"), "a share", 0).value_or(out.share);
    }
    out.ceiling = std::max(out.ceiling, out.share);
    const YamlNode* ceiling = map.find("ceiling");
    if (ceiling == nullptr) return out;
    const auto value = read_percent(in, *ceiling, path.at("ceiling"), "a ceiling", 1);
    if (value && *value < out.share)
        in.error(*ceiling, path.at("ceiling"),
                 std::to_string(*value) + "% is less than the share, which is " +
                     std::to_string(out.share) + "%");
    else if (value)
        out.ceiling = *value;
    return out;
}

void parse_lifetimes(const Reader& in, const YamlNode& node, const Path& path, Lifetimes& out,
                     ServiceNotes& notes) {
    const MapReader map(in, node, path, keys::kLifetimes);
    const std::array<std::chrono::seconds*, 4> values = {&out.embryonic, &out.established,
                                                         &out.closing, &out.udp};
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::string_view key = keys::kLifetimesNames[i];
        const YamlNode* value = map.find(key);
        if (value == nullptr) continue;
        notes.lifetimes[i] = value->mark;
        *values[i] = read_duration(in, *value, path.at(key), "a lifetime", std::chrono::seconds(1),
                                   std::chrono::seconds(SLC_MAX_LIFETIME_S))
                         .value_or(*values[i]);
    }
}

std::optional<Routing> parse_quic_lb(const Reader& in, const YamlNode& node, const Path& path) {
    Routing out;
    out.by = RouteBy::quic_lb;
    const MapReader map(in, node, path, keys::kQuicLb);
    if (const YamlNode* rotation = map.find("rotation"))
        out.rotation = static_cast<std::uint8_t>(
            read_number(in, *rotation, path.at("rotation"), "a configuration rotation", 0, 6)
                .value_or(0));
    const YamlNode* length = map.require("server_id_length");
    if (length == nullptr) return std::nullopt;
    const auto bytes = read_number(in, *length, path.at("server_id_length"), "a number of bytes", 1,
                                   ServerId{}.bytes.size());
    if (!bytes) return std::nullopt;
    out.server_id_len = static_cast<std::uint8_t>(*bytes);
    return out;
}

/// A word, or a map where there is more to say.
std::optional<Routing> parse_routing(const Reader& in, const YamlNode& node, const Path& path) {
    if (node.kind == NodeKind::map) {
        const MapReader map(in, node, path, keys::kRouteBy);
        const YamlNode* quic_lb = map.require("quic-lb");
        if (quic_lb == nullptr) return std::nullopt;
        return parse_quic_lb(in, *quic_lb, path.at("quic-lb"));
    }
    if (node.kind != NodeKind::scalar) {
        if (node.kind != NodeKind::refused)
            in.error(node, path, "expects ring, tcp-server-id, katran, or a map with quic-lb");
        return std::nullopt;
    }
    const auto by = read_word(in, node, path, kRoutes);
    if (!by) return std::nullopt;
    if (*by == RouteBy::quic_lb) {
        in.error(node, path,
                 "quic-lb needs the length of its server ids: {quic-lb: {server_id_length: 2}}");
        return std::nullopt;
    }
    Routing out;
    out.by = *by;
    return out;
}

}  // namespace

void parse_flow_table(const Reader& in, const YamlNode& node, const Path& path, Node& out) {
    constexpr std::uint32_t kLeast = (1u << SLC_FLOW_MIN_LOG2) * SLC_FLOW_WAYS;
    constexpr std::uint32_t kMost = (1u << SLC_FLOW_MAX_LOG2) * SLC_FLOW_WAYS;
    const MapReader map(in, node, path, keys::kNodeFlows);
    const YamlNode* entries = map.find("entries");
    if (entries == nullptr) return;
    const auto value =
        read_number(in, *entries, path.at("entries"), "a number of entries", kLeast, kMost);
    if (value) out.flow_entries = std::bit_ceil(*value);
}

void parse_upkeep(const Reader& in, const MapReader& map, const Check& defaults, Group& out,
                  GroupNotes& notes) {
    const Path& path = map.path();
    assign_word(in, map, "on_down", kOnDowns, out.on_down);
    if (const YamlNode* deadline = map.find("deadline"))
        out.deadline =
            read_duration(in, *deadline, path.at("deadline"), "a deadline", std::chrono::seconds(1),
                          std::chrono::seconds(SLC_MAX_DEADLINE_S))
                .value_or(out.deadline);
    if (const YamlNode* flows = map.find("flows"))
        out.flows = parse_share(in, *flows, path.at("flows"), notes);
    if (const YamlNode* health = map.find("health"))
        parse_health(in, *health, path.at("health"), defaults, out.health, notes);
}

void refuse_upkeep(const Reader& in, const MapReader& map, const std::string& why) {
    for (const std::string_view key : kOfGroups)
        if (const YamlNode* node = map.find(key)) in.error(*node, map.path().at(key), why);
}

void parse_memory(const Reader& in, const MapReader& map, Service& out, ServiceNotes& notes) {
    const Path& path = map.path();
    if (out.forward == Forward::local) {
        for (const auto& [key, why] :
             {std::pair<std::string_view, const char*>{"tracking", "remembers no flows"},
              {"lifetimes", "remembers no flows"},
              {"route_by", "chooses no backend"}})
            if (const YamlNode* node = map.find(key))
                in.error(*node, path.at(key),
                         std::string("forward: local delivers to this node and ") + why);
        return;
    }
    assign_word(in, map, "tracking", kTrackings, out.tracking);
    if (const YamlNode* lifetimes = map.find("lifetimes"))
        parse_lifetimes(in, *lifetimes, path.at("lifetimes"), out.lifetimes, notes);
    if (const YamlNode* route_by = map.find("route_by")) {
        notes.route_by = route_by->mark;
        out.routing = parse_routing(in, *route_by, path.at("route_by")).value_or(out.routing);
    }
}

}  // namespace sluice::config
