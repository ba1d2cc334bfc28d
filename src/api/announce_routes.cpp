// SPDX-License-Identifier: Apache-2.0
#include "api/announce_routes.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/backend_order.h"
#include "api/body.h"
#include "api/json.h"
#include "api/json_of.h"
#include "api/routes_of.h"

namespace sluice::api {
namespace {

using announce::PrefixReport;
using announce::PrefixState;
using announce::WayReport;
using announce::Wish;
using control::AnnounceStatus;
using control::NodeOrder;
using control::VipAnnouncement;

constexpr std::string_view kDrain = "/api/v1/node/drain";
constexpr std::string_view kReady = "/api/v1/node/ready";
constexpr const char* kDrainKeys = "the keys are until_quiet, deadline_s and keep_s";

Json json_of(const VipAnnouncement& vip, const std::vector<WayReport>& ways) {
    Json by_way = Json::array();
    for (std::size_t i = 0; i < std::min(vip.by_way.size(), ways.size()); ++i)
        by_way.push_back({{"way", ways[i].name},
                          {"state", name_of(vip.by_way[i].state)},
                          {"why", vip.by_way[i].why}});
    const bool is_as_wished = vip.report.why.empty();
    return {{"vip", vip.vip.is_host() ? vip.vip.address.text() : vip.vip.text()},
            {"wish", name_of(vip.wish.wish)},
            {"state", name_of(vip.report.state)},
            {"since", time_text(vip.since)},
            {"why", is_as_wished ? vip.wish.why : vip.report.why},
            {"ways", std::move(by_way)}};
}

Json json_of(const WayReport& way) {
    return {{"way", way.name},      {"state", way.state},
            {"up", way.is_up},      {"since", time_text(way.since)},
            {"resets", way.resets}, {"last_error", way.last_error}};
}

bool is_as_wished(const VipAnnouncement& vip) {
    switch (vip.wish.wish) {
        case Wish::announce:
            return vip.report.state == PrefixState::announced;
        case Wish::drain:
            return vip.report.state == PrefixState::draining;
        case Wish::withdraw:
            return vip.report.state == PrefixState::withdrawn;
    }
    return false;
}

Response carry_out(control::NodeView& node, const NodeOrder& order) {
    const auto done = node.order_node(order);
    Response out = done ? ok(announcements_json(*done)) : refused(done.error());
    out.order = "node " + (order.drain ? "drain " + drain_json(order) : std::string("ready"));
    return out;
}

}  // namespace

Json standing_json(const control::NodeStanding& standing) {
    const bool drains = standing.state == control::NodeState::draining;
    const auto time = [](const auto& at) { return at ? time_text(*at) : std::string(); };
    return {{"state", control::name_of(standing.state)},
            {"since", time_text(standing.since)},
            {"withdraw_at", drains ? time_text(standing.withdraw_at) : ""},
            {"until_quiet", drains && standing.until_quiet},
            {"deadline", time(standing.deadline)},
            {"ready_at", time(standing.ready_at)}};
}

bool is_settled(const AnnounceStatus& status) {
    return status.node.state != control::NodeState::draining &&
           std::all_of(status.vips.begin(), status.vips.end(), is_as_wished);
}

std::string announcements_json(const AnnounceStatus& status) {
    Json out = document();
    out["configured"] = status.is_configured;
    out["node_state"] = standing_json(status.node);
    out["settled"] = is_settled(status);
    Json vips = Json::array();
    for (const VipAnnouncement& vip : status.vips) vips.push_back(json_of(vip, status.ways));
    out["announcements"] = std::move(vips);
    Json ways = Json::array();
    for (const WayReport& way : status.ways) ways.push_back(json_of(way));
    out["ways"] = std::move(ways);
    return text_of(out);
}

Response announcements(control::NodeView& node) {
    return ok(announcements_json(node.announcements()));
}

Result<NodeOrder> parse_drain(std::string_view body) {
    constexpr auto kMost = static_cast<std::uint64_t>(kMaxOrderTime.count());
    NodeOrder out;
    out.drain = true;
    for (const Member& member : SLC_TRY(read_body(body), "drain")) {
        if (member.key == "until_quiet")
            out.until_quiet = SLC_TRY(flag_of(member), "drain");
        else if (member.key == "deadline_s")
            out.deadline = std::chrono::seconds(SLC_TRY(number_of(member, 0, kMost), "drain"));
        else if (member.key == "keep_s")
            out.keep = std::chrono::seconds(SLC_TRY(number_of(member, 1, kMost), "drain"));
        else
            return fail(Errc::invalid, fmt::format("drain: unknown key '{}'", shown(member.key)),
                        kDrainKeys);
    }
    return out;
}

std::string drain_json(const NodeOrder& order) {
    Json out = Json::object();
    if (order.until_quiet) out["until_quiet"] = true;
    if (order.deadline) out["deadline_s"] = order.deadline->count();
    if (order.keep) out["keep_s"] = order.keep->count();
    return out.dump();
}

std::optional<Response> answer_node_order(const Request& request, control::NodeView& node,
                                          std::string_view path) {
    if (path != kDrain && path != kReady) return std::nullopt;
    if (request.method != "POST") return wrong_method(request, path, "POST");
    if (path == kReady) {
        if (!request.body.empty())
            return bad_target(make_error(Errc::invalid, "ready: nothing can be said with it"));
        return carry_out(node, NodeOrder{});
    }
    const auto order = parse_drain(request.body);
    return order ? carry_out(node, *order) : bad_target(order.error());
}

}  // namespace sluice::api
