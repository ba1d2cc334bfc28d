// SPDX-License-Identifier: Apache-2.0
#include "plan/change_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "change_plan_rig.h"
#include "sluice/limits.h"

namespace sluice::plan {
namespace {

TEST(ChangePlan, first_configuration_takes_programs_and_moves_nothing) {
    const Compiled next = compiled(parsed(kBefore));
    const ChangePlan plan = plan_of(Running{}, next);
    EXPECT_EQ(texts_of(plan.changes),
              (std::vector<std::string>{
                  "program added interface eth0", "program added group shop: maglev, 3 backends",
                  "program added service web: 192.0.2.10 tcp 80, ipip, group shop",
                  "program added service dns: 192.0.2.53 udp 53, ipip, 2 backends",
                  "program added protected 198.51.100.0/24: customer acme",
                  "none added test one: 1 packet"}));
    EXPECT_EQ(plan.road, Road::program);
    EXPECT_EQ(plan.slots, 512u);
    EXPECT_EQ(plan.moved, 0u);
    EXPECT_TRUE(plan.moves.empty());
    EXPECT_EQ(plan.by_road[0].time.count(), 0);
    EXPECT_EQ(plan.by_road[1].time.count(), 0);
    EXPECT_GT(plan.estimate.time.count(), 0);
    EXPECT_GT(plan.estimate.memory, 0u);
}

// ---- reserves ----

struct ReserveCase {
    const char* name;
    std::function<void(Running&)> shorten;
    const char* note;  ///< Empty: it suffices.
};

TEST(ChangePlan, backends_take_the_map_road_for_as_long_as_the_loaded_tables_have_room) {
    const Compiled before = compiled(parsed(R"(
version: 2
groups: {shop: {backends: [{address: 10.0.0.5, server_id: 1}, 10.0.0.6, 10.0.0.7, 10.0.0.8]}}
services:
  - {name: web, vip: 192.0.2.10, port: 80, group: shop, route_by: tcp-server-id}
  - {name: six, vip: "2001:db8::10", port: 80, group: shop, forward: gue}
)"));
    config::Config next = before.config;
    for (const char* address : {"10.0.0.9", "10.0.0.10"})
        next.groups[0].backends.push_back(backend(address));
    next.groups[0].backends[4].server_id = config::ServerId{1, {9}};
    const ReserveCase cases[] = {
        {"just enough",
         [](Running& r) {
             r.free_members = 2;
             r.free_cells = 4;
             r.free_slots = 512;
             r.free_server_ids = 1;
         },
         ""},
        {"members", [](Running& r) { r.free_members = 1; },
         "the loaded tables have room for 1 more backends, and 2 are needed"},
        {"cells", [](Running& r) { r.free_cells = 3; },
         "the loaded tables have room for 3 more header templates, and 4 are needed"},
        {"slots", [](Running& r) { r.free_slots = 511; },
         "the loaded tables have room for 511 more ring slots, and 512 are needed"},
        {"server ids", [](Running& r) { r.free_server_ids = 0; },
         "the loaded tables have room for 0 more server ids, and 1 are needed"},
    };
    for (const ReserveCase& each : cases) {
        SCOPED_TRACE(each.name);
        Running now = running(before);
        each.shorten(now);
        const ChangePlan plan = plan_of(now, following(before, next));
        EXPECT_EQ(plan.road, *each.note == '\0' ? Road::map : Road::program);
        if (*each.note == '\0') {
            EXPECT_TRUE(plan.notes.empty());
            continue;
        }
        ASSERT_EQ(plan.notes.size(), 1u);
        EXPECT_EQ(plan.notes[0], std::string(each.note) + ": new programs and tables are loaded");
        EXPECT_TRUE(std::any_of(plan.changes.begin(), plan.changes.end(), [&](const auto& change) {
            return change.road == Road::program && change.why == each.note;
        }));
    }
}

TEST(ChangePlan, backend_of_a_family_that_the_program_has_no_tunnels_for_takes_a_program) {
    const Compiled before = compiled(parsed(kBefore));
    config::Config next = before.config;
    next.groups[0].backends.push_back(backend("2001:db8:1::8"));
    const ChangePlan plan = plan_of(before, next);
    EXPECT_EQ(plan.road, Road::program);
    EXPECT_EQ(plan.changes.at(0).why, "the loaded program has no code for tunnels over IPv6");
}

TEST(ChangePlan, retired_member_that_comes_back_needs_no_room) {
    Compiled before = compiled(parsed(kBefore));
    CompileOptions options;
    options.retired = {{"shop", *IpAddress::parse("10.0.0.9")}};
    before = compiled(before.config, before.ids, options);
    config::Config next = before.config;
    next.groups[0].backends.push_back(backend("10.0.0.9"));
    Running now = running(before);
    now.free_members = now.free_cells = 0;
    now.free_slots = 0;
    const ChangePlan plan = plan_of(now, following(before, next));
    EXPECT_EQ(plan.road, Road::map) << (plan.notes.empty() ? "" : plan.notes[0]);
}

TEST(ChangePlan, reserves_do_not_matter_to_what_loads_a_program_anyway) {
    const Compiled before = compiled(parsed(kBefore));
    config::Config next = before.config;
    next.groups[0].backends.push_back(backend("10.0.0.8"));
    next.node.icmp_rate = 5;
    Running now = running(before);
    now.free_members = 0;
    const ChangePlan plan = plan_of(now, following(before, next));
    EXPECT_EQ(plan.road, Road::program);
    EXPECT_TRUE(plan.notes.empty());
    EXPECT_EQ(plan.changes.at(1).road, Road::map);
}

// ---- roads ----

TEST(ChangePlan, dearer_road_may_be_forced_and_a_cheaper_one_names_the_change) {
    const Compiled before = compiled(parsed(kBefore));
    config::Config next = before.config;
    next.groups[0].backends[0].weight = 2;
    next.groups[0].backends.push_back(backend("10.0.0.8"));
    const ChangePlan plan = plan_of(before, next);
    ASSERT_EQ(plan.road, Road::map);
    EXPECT_TRUE(check_road(plan, Road::map));
    EXPECT_TRUE(check_road(plan, Road::program));
    const auto refused = check_road(plan, Road::entry);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::conflict);
    EXPECT_EQ(refused.error().what,
              "road entry is not consistent for backend shop/10.0.0.8 (added): its record and "
              "templates are written where nobody reads, before slots name it");
    EXPECT_FALSE(check_road(plan, Road::none));
    EXPECT_EQ(plan.by_road[0].time.count(), 0);
    EXPECT_LT(plan.by_road[1].time, plan.by_road[2].time);
    EXPECT_EQ(plan.estimate.time, plan.by_road[1].time);
}

TEST(ChangePlan, no_road_is_for_no_change) {
    const Compiled before = compiled(parsed(kBefore));
    const ChangePlan nothing = plan_of(before, before.config);
    EXPECT_TRUE(check_road(nothing, Road::none));
    EXPECT_TRUE(check_road(nothing, Road::program));
    config::Config next = before.config;
    next.groups[0].backends[0].weight = 2;
    EXPECT_FALSE(check_road(plan_of(before, next), Road::none));
    const auto first = check_road(plan_of(Running{}, compiled(parsed("version: 2"))), Road::map);
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error().what, "road map: nothing is loaded yet");
}

TEST(ChangePlan, roads_have_names_that_are_read_back) {
    for (const Road road : {Road::none, Road::entry, Road::map, Road::program})
        EXPECT_EQ(road_of(name_of(road)), road);
    EXPECT_EQ(road_of("swap"), std::nullopt);
}

// ---- moves ----

/// By building every ring: what ring_moves must agree with.
std::uint64_t counted_moves(const Compiled& before, const Compiled& next,
                            const Overrides& overrides, std::size_t ring) {
    const auto was =
        ring_owners(before.config, before.ids, overrides, before.image.ring_list[ring]);
    const auto now = ring_owners(next.config, next.ids, overrides, next.image.ring_list[ring]);
    const auto address = [](const Compiled& of, std::uint32_t id) {
        for (const auto& member : of.image.members)
            if (member.id == id) return member.address.text();
        return std::string();
    };
    std::uint64_t moved = 0;
    for (std::size_t i = 0; i < now.size(); ++i)
        moved += address(before, was[i % was.size()]) != address(next, now[i]) ? 1 : 0;
    return moved;
}

TEST(ChangePlan, moved_slots_are_those_whose_owner_is_another_address) {
    const Compiled before = compiled(parsed(kBefore));
    const Edit edits[] = {
        [](config::Config& c) { c.groups[0].backends.pop_back(); },
        [](config::Config& c) { c.groups[0].backends[0].weight = 7; },
        [](config::Config& c) { c.groups[0].backends[0].weight = 1000; },  // The ring grows.
        [](config::Config& c) { c.groups[0].backends[1].state = config::BackendState::drain; },
        [](config::Config& c) { c.groups[0].backends.push_back(backend("10.0.0.8")); },
        [](config::Config& c) { c.services[0].balance = config::Balance::rendezvous; },
    };
    const Overrides overrides = {{"shop/10.0.0.6", {config::BackendState::down, {}}}};
    for (const Overrides& in_force : {Overrides{}, overrides})
        for (const Edit& edit : edits) {
            config::Config config = before.config;
            edit(config);
            const Compiled next = following(before, config, in_force);
            const ChangePlan plan = plan_of(running(before, in_force), next);
            const std::uint64_t expected = counted_moves(before, next, in_force, 0);
            EXPECT_EQ(plan.moved, expected);
            EXPECT_EQ(plan.moves.size(), expected == 0 ? 0u : 1u);
            if (!plan.moves.empty()) {
                EXPECT_EQ(plan.moves[0].group, "shop");
                EXPECT_EQ(plan.moves[0].slots, 1u << next.image.ring_list[0].log2);
                EXPECT_EQ(plan.moves[0].moved, expected);
            }
        }
}

TEST(ChangePlan, smaller_ring_counts_in_its_own_slots) {
    const Compiled before = compiled(parsed(R"(
version: 2
groups: {shop: {backends: [{address: 10.0.0.5, weight: 100}, 10.0.0.6, 10.0.0.7]}}
services: [{name: web, vip: 192.0.2.10, port: 80, group: shop}]
)"));
    config::Config config = before.config;
    config.groups[0].backends = {backend("10.0.0.8")};
    const Compiled next = compiled(config, before.ids);  // As if nothing held the size.
    ASSERT_LT(next.image.ring_list[0].log2, before.image.ring_list[0].log2);
    const ChangePlan plan = plan_of(running(before), next);
    ASSERT_EQ(plan.moves.size(), 1u);
    EXPECT_EQ(plan.moves[0].slots, 256u);
    EXPECT_EQ(plan.moves[0].moved, 256u);
}

TEST(ChangePlan, slots_that_are_still_as_before_the_swap_do_not_count) {
    const Compiled before = compiled(parsed(kBefore));
    config::Config config = before.config;
    config.groups[0].backends.pop_back();
    Compiled next = following(before, config);
    const std::uint64_t expected = plan_of(running(before), next).moved;
    ASSERT_GT(expected, 0u);
    std::copy(before.image.slots.begin(), before.image.slots.end(), next.image.slots.begin());
    EXPECT_EQ(plan_of(running(before), next).moved, expected);
}

// ---- notes ----

struct NoteCase {
    const char* name;
    Edit edit;
    std::vector<std::string> notes;
};

TEST(ChangePlan, notes_tell_what_ends_and_what_goes_on) {
    const Compiled before = compiled(parsed(kBefore));
    const NoteCase cases[] = {
        {"group renamed",
         [](config::Config& c) { c.groups[0].name = "servers"; },
         {"service web: keeps its ring, from group shop to group servers: no connection is cut"}},
        {"service removed",
         [](config::Config& c) {
             c.services.pop_back();
             c.groups.pop_back();
         },
         {"service dns: its connections end with it"}},
        {"service renamed",
         [](config::Config& c) { c.services[0].name = "www"; },
         {"service www: takes 192.0.2.10 tcp 80 over from web, with counters of its own"}},
        {"service moves to a ring that others had",
         [](config::Config& c) { c.services[1].group = 0; },
         {"service dns: moves to the ring of group shop, which does not continue its own: "
          "connections that get another backend there are cut"}},
        {"nobody left",
         [](config::Config& c) {
             for (auto& each : c.groups[0].backends) each.state = config::BackendState::drain;
         },
         {"group shop: no backend is ready with a weight above 0: new connections of its services "
          "are dropped"}},
        {"another hash",
         [](config::Config& c) { c.services[0].affinity = config::Affinity::source; },
         {"service web: another affinity gives its packets other slots at once: connections that "
          "nobody remembers are cut"}},
        {"another secret",
         [](config::Config& c) { c.node.ring_secret = {1, 2}; },
         {"another ring secret gives every packet another slot at once: connections that nobody "
          "remembers are cut; all nodes of a fleet must change together"}},
    };
    for (const NoteCase& each : cases) {
        SCOPED_TRACE(each.name);
        config::Config next = before.config;
        each.edit(next);
        const ChangePlan plan = plan_of(before, next);
        EXPECT_EQ(plan.notes, each.notes);
        EXPECT_FALSE(plan.loses_rollback);
    }
}

TEST(ChangePlan, flow_table_of_another_size_or_tick_loses_the_rollback_in_one_swap) {
    const Compiled before = compiled(parsed(kBefore));
    const Edit edits[] = {
        [](config::Config& c) { c.node.flow_entries = 8192; },
        [](config::Config& c) { c.services[0].lifetimes.established = std::chrono::hours(20); },
    };
    for (const Edit& edit : edits) {
        config::Config next = before.config;
        edit(next);
        const ChangePlan plan = plan_of(before, next);
        EXPECT_EQ(plan.road, Road::program);
        EXPECT_TRUE(plan.loses_rollback);
        ASSERT_EQ(plan.notes.size(), 1u);
        EXPECT_TRUE(plan.notes[0].starts_with("the flow table is made anew")) << plan.notes[0];
    }
}

TEST(ChangePlan, override_ends_with_its_backend) {
    const Compiled before = compiled(parsed(kBefore));
    config::Config next = before.config;
    next.groups[0].backends.pop_back();
    const Overrides overrides = {{"shop/10.0.0.7", {{}, 4}}, {"shop/10.0.0.5", {{}, 4}}};
    const ChangePlan plan = plan_of(running(before, overrides), following(before, next, overrides));
    EXPECT_EQ(plan.notes,
              (std::vector<std::string>{"backend shop/10.0.0.7: its override ends with it"}));
}

// ---- tables ----

TEST(ChangePlan, tables_tell_use_and_what_bounds_it) {
    const Compiled next = compiled(parsed(kBefore));
    const ChangePlan plan = plan_of(Running{}, next);
    const auto table = [&](const std::string& name) {
        const auto found = std::find_if(plan.tables.begin(), plan.tables.end(),
                                        [&](const TableUse& use) { return use.name == name; });
        return found == plan.tables.end() ? TableUse{} : *found;
    };
    EXPECT_EQ(table("services").used, 2u);
    EXPECT_EQ(table("services").capacity, SLC_MAX_SERVICES - 1u);
    EXPECT_EQ(table("backends").used, 5u);
    EXPECT_EQ(table("backends").bytes, 6 * sizeof(slc_member));
    EXPECT_EQ(table("vips").used, 2u);
    EXPECT_EQ(table("ports").used, 2u);
    EXPECT_EQ(table("prefixes4").used, 1u);
    EXPECT_EQ(table("ring_slots").used, 512u);
    EXPECT_EQ(table("header_templates").used, 5u);
    EXPECT_EQ(table("groups").used, 2u);
}

// ---- size ----

config::Config large(std::uint32_t weight) {
    config::Config out;
    for (std::size_t g = 0; g < 1000; ++g) {
        config::Group group;
        group.name = "g" + std::to_string(g);
        for (std::uint32_t b = 0; b < 100; ++b) {
            config::Backend each;
            each.address = IpAddress::from_ip4(
                __builtin_bswap32(0x0a000000u + static_cast<std::uint32_t>(g) * 256 + b));
            each.weight = b == 0 ? weight : 1;
            group.backends.push_back(each);
        }
        out.groups.push_back(std::move(group));
        config::Service service;
        service.name = "s" + std::to_string(g);
        service.vip = {
            IpAddress::from_ip4(__builtin_bswap32(0xc0000000u + static_cast<std::uint32_t>(g))),
            32};
        service.ports = {80, 80, false};
        service.group = g;
        out.services.push_back(std::move(service));
    }
    return out;
}

TEST(ChangePlan, thousand_services_and_a_hundred_thousand_backends_are_planned_at_once) {
    const Compiled before = compiled(large(1));
    config::Config one = before.config;
    one.groups[500].backends[7].weight = 3;
    const Compiled next = following(before, one);
    const Compiled all = following(before, large(2));
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const ChangePlan small = plan_of(running(before), next);
    const auto after_one = Clock::now();
    const ChangePlan whole = plan_of(running(before), all);
    const auto end = Clock::now();
    EXPECT_EQ(small.changes.size(), 1u);
    EXPECT_EQ(small.moves.size(), 1u);
    EXPECT_EQ(whole.changes.size(), 1000u);
    EXPECT_EQ(whole.moves.size(), 1000u);
    const auto ms = [](auto duration) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
    };
    RecordProperty("one_weight_ms", static_cast<int>(ms(after_one - start)));
    RecordProperty("all_rings_ms", static_cast<int>(ms(end - after_one)));
    std::printf("one weight: %ld ms, every ring: %ld ms\n",
                static_cast<long>(ms(after_one - start)), static_cast<long>(ms(end - after_one)));
    // Generous: what is quadratic takes minutes here, also with sanitizers on a busy machine.
    EXPECT_LT(ms(end - start), 30'000);
}

}  // namespace
}  // namespace sluice::plan
