// SPDX-License-Identifier: Apache-2.0
#include "plan/flow_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace sluice::plan {
namespace {

using namespace std::chrono_literals;
using config::Config;
using config::Protocol;
using config::RouteBy;
using config::Service;
using config::Tracking;

Config with_lifetime(std::chrono::seconds longest) {
    Config out;
    Service service;
    service.lifetimes = {1s, longest, 1s, 1s};
    out.services.push_back(service);
    return out;
}

TEST(FlowGeometry, holds_the_entries_asked_for_rounded_up_within_its_bounds) {
    struct Row {
        std::uint32_t entries;
        int log2;
    };
    for (const Row& row :
         {Row{0, 6}, Row{1, 6}, Row{512, 6}, Row{513, 7}, Row{1024, 7}, Row{1'000'000, 17},
          Row{1u << 20, 17}, Row{(1u << 20) + 1, 18}, Row{1u << 26, 23}}) {
        Config config;
        config.node.flow_entries = row.entries;
        EXPECT_EQ(int{flow_geometry(config).log2}, row.log2) << row.entries;
    }
    EXPECT_EQ((FlowGeometry{17, 30}).entries(), 1u << 20);
}

TEST(FlowGeometry, ticks_are_the_shortest_that_the_longest_lifetime_fits_in) {
    for (std::int64_t s = 1; s <= SLC_MAX_LIFETIME_S; s = s < 100 ? s + 1 : s * 5 / 4) {
        const std::chrono::seconds lifetime(s);
        const FlowGeometry geometry = flow_geometry(with_lifetime(lifetime));
        EXPECT_GE(geometry.tick() * SLC_FLOW_MAX_TICKS, lifetime) << s;
        if (geometry.shift > SLC_FLOW_MIN_SHIFT) {
            EXPECT_LT(geometry.tick() / 2 * SLC_FLOW_MAX_TICKS, lifetime) << s;
        }
    }
    EXPECT_LE(int{flow_geometry(with_lifetime(std::chrono::seconds(SLC_MAX_LIFETIME_S))).shift},
              SLC_FLOW_MAX_SHIFT);
}

TEST(FlowGeometry, does_not_care_for_lifetimes_of_services_that_remember_nothing) {
    Config config = with_lifetime(24h);
    config.services[0].tracking = Tracking::never;
    EXPECT_EQ(int{flow_geometry(config).shift}, SLC_FLOW_MIN_SHIFT);
}

TEST(Ticks, are_never_shorter_than_the_lifetime_and_longer_by_less_than_one) {
    for (std::uint8_t shift = SLC_FLOW_MIN_SHIFT; shift <= SLC_FLOW_MAX_SHIFT; ++shift) {
        const FlowGeometry geometry{6, shift};
        for (const std::chrono::seconds lifetime : {1s, 2s, 7s, 60s, 75s, 900s}) {
            const auto ticks = ticks_of(lifetime, shift);
            if (ticks == SLC_FLOW_MAX_TICKS) continue;
            EXPECT_GE(geometry.tick() * ticks, lifetime);
            EXPECT_LT(geometry.tick() * (ticks - 1), lifetime);
        }
    }
    EXPECT_EQ(ticks_of(0s, 30), 1);
    EXPECT_EQ(ticks_of(86400s, 28), SLC_FLOW_MAX_TICKS);
}

TEST(Window, is_the_idle_lifetime_of_what_a_service_carries) {
    struct Row {
        Protocol protocol;
        Tracking tracking;
        std::chrono::seconds want;
    };
    for (const Row& row :
         {Row{Protocol::tcp, Tracking::transitions, 900s},
          Row{Protocol::tcp, Tracking::always, 900s},
          Row{Protocol::udp, Tracking::transitions, 60s},
          Row{Protocol::both, Tracking::always, 900s}, Row{Protocol::both, Tracking::never, 0s}}) {
        Service service;
        service.protocol = row.protocol;
        service.tracking = row.tracking;
        EXPECT_EQ(window_of(service), row.want);
    }
    Service slow;
    slow.protocol = Protocol::both;
    slow.lifetimes.udp = 1h;
    EXPECT_EQ(window_of(slow), 3600s);
}

TEST(FlowFields, say_lifetimes_tracking_and_routing) {
    Service service;
    service.tracking = Tracking::always;
    service.routing = {RouteBy::quic_lb, 3, 4};
    slc_service record{};
    record.flags = SLC_SERVICE_DSCP_COPY;
    fill_flow_fields(service, 33, record);
    const double tick_s = 8.589934592;
    EXPECT_EQ(record.lifetime[SLC_FLOW_EMBRYONIC], std::ceil(75 / tick_s));
    EXPECT_EQ(record.lifetime[SLC_FLOW_ESTABLISHED], std::ceil(900 / tick_s));
    EXPECT_EQ(record.lifetime[SLC_FLOW_CLOSING], std::ceil(120 / tick_s));
    EXPECT_EQ(record.lifetime[SLC_FLOW_DATAGRAM], std::ceil(60 / tick_s));
    EXPECT_EQ(record.flags, SLC_SERVICE_DSCP_COPY | SLC_SERVICE_TRACK_ALWAYS);
    EXPECT_EQ(record.id_format, SLC_ID_QUIC_LB);
    EXPECT_EQ(record.id_rotation, 3);
    EXPECT_EQ(record.id_len, 4);
    service.tracking = Tracking::never;
    slc_service never{};
    fill_flow_fields(service, 33, never);
    EXPECT_EQ(never.flags, SLC_SERVICE_TRACK_NEVER);
}

TEST(FlowAccounts, share_what_is_reserved_and_leave_the_rest_to_the_pool) {
    Config config;
    config.groups.resize(3);
    config.groups[0].flows = {10, 50};
    config.groups[1].flows = {0, 100};
    config.groups[2].flows = {25, 25};
    const auto accounts = flow_accounts(config, 1000);
    ASSERT_EQ(accounts.size(), 4u);
    EXPECT_EQ(accounts[0].ceiling, 650u);
    EXPECT_EQ(accounts[1].share, 100u);
    EXPECT_EQ(accounts[1].ceiling, 500u);
    EXPECT_EQ(accounts[2].share, 0u);
    EXPECT_EQ(accounts[2].ceiling, 1000u);
    EXPECT_EQ(accounts[3].share, 250u);
    EXPECT_EQ(accounts[3].ceiling, 250u);
    for (const slc_account& account : accounts) EXPECT_EQ(account.used, 0u);
    config.groups[1].flows.share = 65;
    EXPECT_EQ(flow_accounts(config, 1000)[0].ceiling, 0u) << "all is reserved";
    EXPECT_EQ(flow_accounts({}, 512)[0].ceiling, 512u);
}

Service routed(RouteBy by, std::size_t group = 0, std::uint8_t len = 0) {
    Service out;
    out.group = group;
    out.routing = {by, 0, len};
    return out;
}

TEST(ServerIds, have_one_key_for_each_length_in_which_packets_of_the_group_carry_them) {
    Config config;
    config.groups.resize(2);
    config::Backend backend;
    backend.server_id = config::ServerId{2, {0x01, 0x02}};
    EXPECT_TRUE(server_id_keys(config, 0, backend).empty()) << "no service routes by ids";
    config.services = {routed(RouteBy::tcp_server_id), routed(RouteBy::katran),
                       routed(RouteBy::quic_lb, 0, 6), routed(RouteBy::quic_lb, 0, 1),
                       routed(RouteBy::ring),          routed(RouteBy::quic_lb, 1, 9)};
    const auto keys = server_id_keys(config, 0, backend);
    ASSERT_EQ(keys.size(), 2u) << "one byte is too short, nine are another group's";
    EXPECT_EQ(keys[0].group, 1u);
    EXPECT_EQ(keys[0].len, 4);
    EXPECT_EQ(std::string(std::begin(keys[0].id), std::end(keys[0].id)),
              std::string("\0\0\1\2\0\0\0\0\0\0\0\0\0\0\0", 15));
    EXPECT_EQ(keys[1].len, 6);
    EXPECT_EQ(std::string(std::begin(keys[1].id), std::end(keys[1].id)),
              std::string("\0\0\0\0\1\2\0\0\0\0\0\0\0\0\0", 15));
    backend.server_id.reset();
    EXPECT_TRUE(server_id_keys(config, 0, backend).empty());
}

}  // namespace
}  // namespace sluice::plan
