// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_announce.h"

namespace sluice::test {
namespace {

using namespace control;
using announce::PrefixState;
using announce::Wish;

std::chrono::system_clock::time_point at(std::time_t seconds) {
    return std::chrono::system_clock::from_time_t(1767225600 + seconds);  // From 2026-01-01 on.
}

VipAnnouncement vip(const char* prefix) {
    VipAnnouncement out;
    out.vip = IpPrefix::parse(prefix).value();
    out.wish = {Wish::announce, ""};
    out.report.state = PrefixState::announced;
    out.since = at(60);
    out.by_way = {{PrefixState::announced, ""}, {PrefixState::announced, ""}};
    return out;
}

}  // namespace

AnnounceStatus make_announcements(Scene scene) {
    AnnounceStatus out;
    if (scene == Scene::empty) return out;
    out.is_configured = true;
    out.vips = {vip("192.0.2.10/32"), vip("2001:db8::/64")};
    out.ways = {{"bird", "up", true, "", at(30), 0},
                {"bgp 192.0.2.1", "established", true, "", at(40), 2}};
    if (scene == Scene::degraded) {
        out.ways[1] = {"bgp 192.0.2.1", "connect", false, "connect: Connection refused", at(90), 3};
        const std::string why = "connect: Connection refused";
        out.vips[0].report = {PrefixState::failing, "bgp 192.0.2.1: " + why};
        out.vips[0].by_way[1] = {PrefixState::failing, why};
        out.vips[1].wish = {Wish::withdraw, "service web6 has no healthy backend"};
        out.vips[1].report = {PrefixState::withdrawn, ""};
        out.vips[1].by_way = {{PrefixState::withdrawn, ""}, {PrefixState::withdrawn, ""}};
    }
    if (scene == Scene::changing) {
        set_node_state(out, NodeState::draining);
        out.node.since = at(120);
        out.node.withdraw_at = at(150);
        out.node.deadline = at(720);
        out.node.until_quiet = true;
    }
    return out;
}

void set_node_state(AnnounceStatus& status, NodeState state) {
    status.node.state = state;
    for (VipAnnouncement& vip : status.vips) {
        const bool drains = state == NodeState::draining;
        const bool is_drained = state == NodeState::drained;
        vip.wish = drains       ? VipWish{Wish::drain, "the node is being drained"}
                   : is_drained ? VipWish{Wish::withdraw, "the node is drained"}
                                : VipWish{Wish::announce, ""};
        vip.report.state = drains       ? PrefixState::draining
                           : is_drained ? PrefixState::withdrawn
                                        : PrefixState::announced;
        for (auto& report : vip.by_way) report.state = vip.report.state;
    }
}

}  // namespace sluice::test
