// SPDX-License-Identifier: Apache-2.0
#include "plan/read_back.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "config/parse.h"
#include "config/print.h"
#include "random_config.h"

namespace sluice::plan {
namespace {

config::Config parsed(const std::string& text) {
    auto outcome = config::parse(text, "test.yaml");
    for (const auto& error : outcome.errors) ADD_FAILURE() << error.text() << "\n" << text;
    return outcome.config;
}

/// A configuration as a kernel would hold it.
struct Held {
    config::Config config;
    IdStore ids;
    Image image;
    KernelTables tables;
    std::string meta;
};

Held held(const std::string& text, CompileOptions options = {}) {
    Held out;
    out.config = parsed(text);
    options.table_seed = 7;
    options.local_addresses = {*IpAddress::parse("10.99.0.1"), *IpAddress::parse("fd00:99::1")};
    auto image = compile(out.config, out.ids, options);
    if (!image) {
        ADD_FAILURE() << image.error().what;
        return out;
    }
    out.image = std::move(*image);
    out.tables = tables_of(out.image);
    MetaSource source{out.config, out.image, out.ids};
    source.generation = 12;
    source.digest = "abc";
    out.meta = to_meta(source);
    return out;
}

Result<config::Config> back(const Held& from) {
    const Meta meta = SLC_TRY(parse_meta(from.meta), "meta");
    return read_back(from.tables, meta);
}

void expect_same(const Held& from, const std::string& text) {
    const auto read = back(from);
    ASSERT_TRUE(read) << read.error().what << "\n" << text;
    ASSERT_EQ(config::to_yaml(*read), config::to_yaml(from.config)) << text;
    ASSERT_TRUE(*read == from.config) << text;
    const auto again = config::parse(config::to_yaml(*read), "printed.yaml");
    for (const auto& error : again.errors) FAIL() << error.text();
    // The digits of a secret that load_secrets() read stay in its file.
    ASSERT_TRUE(again.config == from.config) << text;
}

TEST(ReadBack, every_example_is_what_its_tables_say) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("examples")) {
        const std::string name = entry.path().filename();
        if (!name.ends_with(".yaml") || name == "agent.yaml") continue;
        std::ifstream in(entry.path(), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        SCOPED_TRACE(name);
        expect_same(held(text), name);
        ++count;
    }
    EXPECT_GE(count, 7);
}

TEST(ReadBack, random_configurations_are_what_their_tables_say) {
    RandomConfig random(20260704);
    for (int i = 0; i < 400; ++i) {
        const std::string text = random.next();
        expect_same(held(text), text);
        if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
}

constexpr const char* kPool = R"(
version: 2
node: {interfaces: [eth0], flows: {entries: 1024}}
groups:
  shop:
    flows: {share: 10%, ceiling: 50%}
    backends: [10.0.0.7, {address: 10.0.0.5, weight: 4}, {address: 10.0.0.6, state: drain}]
services:
  - {name: web, vip: 192.0.2.10, port: 80, group: shop, lifetimes: {established: 20m}}
)";

/// How backends are watched and VIPs announced: no table has it, so that the meta does.
TEST(ReadBack, health_and_announcements_are_what_was_configured) {
    const std::string text = R"(
version: 2
groups:
  shop:
    health:
      checks:
        - {type: https, path: "/a?b=%20c", host: x.example, status: [200-299, 404], tls: {verify: false}}
        - {type: udp, payload: "0x00ff", reply: ok, port: 9, interval: 1500ms, rise: 7}
      min_healthy: 30%
      when_none: fallback
      fallback: spare
      slow_start: 90s
      flapping: {limit: 3, window: 1m, hold: 9m}
    backends: [10.0.0.5, 10.0.0.6]
  plain: {backends: [10.0.0.7]}
  spare: {backends: [10.0.0.8], health: {checks: {type: icmp, via: direct}, when_none: reject}}
services:
  - {name: web, vip: 192.0.2.10, protocol: both, port: 443, group: shop}
  - {name: quiet, vip: 192.0.2.11, port: 80, group: plain, announce: false}
  - name: own
    vip: 192.0.2.12
    port: 80
    health: {checks: tcp, when_none: fallback, fallback: spare}
    backends: [10.0.0.9]
announce:
  bgp: {as: 65001, peers: [{address: 10.9.0.1, as: 65000, hold_time: 30s}], communities: ["65001:7"]}
  kernel: {interface: lo}
  drain: 10s
)";
    const Held web = held(text);
    EXPECT_EQ(web.config.groups[0].health.fallback, "spare");
    expect_same(web, text);
}

TEST(ReadBack, a_text_about_health_that_nobody_wrote_is_refused) {
    Held web = held(R"(
version: 2
groups: {web: {backends: [10.0.0.5], health: {checks: tcp, when_none: reject}}}
services: [{name: web, vip: 192.0.2.10, port: 80, group: web}]
)");
    const std::string good = web.meta;
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"reject", "rejoice"},
                                   {"g0", "g7"},
                                   {"version: ", "conversion: "}}) {
        const auto at = good.find(from, good.find("\"watch\""));
        ASSERT_NE(at, std::string::npos) << from;
        web.meta = std::string(good).replace(at, from.size(), to);
        const auto read = back(web);
        ASSERT_FALSE(read) << from;
        EXPECT_EQ(read.error().what, "meta: meta: watch is not as sluiced writes it");
    }
}

TEST(ReadBack, retired_members_are_no_backends) {
    CompileOptions options;
    options.retired = {{"shop", *IpAddress::parse("10.0.0.9")}};
    expect_same(held(kPool, options), kPool);
}

TEST(ReadBack, ring_that_may_not_shrink_yet_still_says_how_it_is_balanced) {
    const std::string text = R"(
version: 2
groups: {shop: {backends: []}}
services: [{name: web, vip: 192.0.2.10, port: 80, group: shop, balance: rendezvous}]
)";
    CompileOptions options;
    options.least_log2 = {{{"shop", config::Balance::rendezvous}, 9}};
    expect_same(held(text, options), text);
}

TEST(ReadBack, flow_table_that_waits_for_its_size_is_the_configured_one) {
    CompileOptions options;
    options.flows = FlowGeometry{10, 33};
    expect_same(held(kPool, options), kPool);
}

TEST(ReadBack, tables_win_over_what_was_configured) {
    Held shop = held(kPool);
    for (slc_member& member : shop.tables.members)
        if (member.weight == 4) member.weight = 9;
    shop.tables.services[1].lifetime[SLC_FLOW_ESTABLISHED] = 10;
    shop.tables.services[1].dscp = 46;
    shop.tables.node.icmp_rate = 5;
    shop.tables.node.sample_log2 = 7;
    shop.tables.accounts[1].share *= 2;
    shop.tables.accounts[0].ceiling -= shop.tables.accounts[1].share / 2;
    const auto read = back(shop);
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(read->groups[0].backends[1].weight, 9u);
    EXPECT_EQ(read->groups[0].flows.share, 20u);
    EXPECT_EQ(read->services[0].dscp, 46);
    EXPECT_EQ(read->node.icmp_rate, 5u);
    EXPECT_EQ(read->node.sample_one_in, 1u << 7);
    const auto ticks = std::chrono::nanoseconds(std::int64_t{10} << shop.tables.node.flow_shift);
    EXPECT_EQ(read->services[0].lifetimes.established,
              std::chrono::duration_cast<std::chrono::seconds>(ticks));
}

TEST(ReadBack, backends_that_the_file_did_not_order_come_by_address) {
    Held shop = held(kPool);
    slc_member added = shop.tables.members[1];
    added.addr_be[3] = IpAddress::parse("10.0.0.1")->ip4_be();
    shop.tables.members.push_back(added);
    const auto read = back(shop);
    ASSERT_TRUE(read) << read.error().what;
    std::vector<std::string> addresses;
    for (const auto& backend : read->groups[0].backends)
        addresses.push_back(backend.address.text());
    EXPECT_EQ(addresses,
              (std::vector<std::string>{"10.0.0.7", "10.0.0.5", "10.0.0.6", "10.0.0.1"}));
}

struct Contradiction {
    const char* name;
    std::function<void(KernelTables&)> damage;
    const char* what;
};

TEST(ReadBack, tables_that_contradict_each_other_are_refused_by_name) {
    const Contradiction cases[] = {
        {"service in no table", [](KernelTables& t) { t.ports.clear(); },
         "services: service web is in no table"},
        {"member of no group", [](KernelTables& t) { t.members[1].group = 9; },
         "backends: member 1: group 9, state 0"},
        {"state that is none", [](KernelTables& t) { t.members[1].state = 7; },
         "backends: member 1: group 1, state 7"},
        {"share between two percentages", [](KernelTables& t) { ++t.accounts[1].ceiling; },
         "groups: shop: 513 of 1024 entries of the flow table are no percentage"},
        {"accounts missing", [](KernelTables& t) { t.accounts.resize(1); },
         "groups: 1 accounts for 1 groups"},
        {"group that does not exist", [](KernelTables& t) { t.services[1].group = 2; },
         "services: web: group 2 does not exist"},
        {"record of no service", [](KernelTables& t) { t.services[1].forward = 77; },
         "services: web: its record is none of a service"},
        {"prefix without a record",
         [](KernelTables& t) { t.prefixes.push_back({*IpPrefix::parse("10.0.0.0/8"), 999}); },
         "destinations: prefixes: 10.0.0.0/8 has no record"},
        {"id of another group",
         [](KernelTables& t) {
             ImageServerId id;
             id.key.group = 3;
             id.key.len = 4;
             id.member = 1;
             t.server_ids.push_back(id);
         },
         "server ids: an id of group 3 names member 1"},
    };
    for (const Contradiction& each : cases) {
        SCOPED_TRACE(each.name);
        Held shop = held(kPool);
        each.damage(shop.tables);
        const auto read = back(shop);
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().what, each.what);
        EXPECT_EQ(read.error().code, Errc::conflict);
    }
}

TEST(ReadBack, tables_of_another_layout_are_refused) {
    const Held shop = held(kPool);
    auto meta = parse_meta(shop.meta);
    ASSERT_TRUE(meta);
    meta->abi = SLC_ABI_VERSION + 1;
    meta->sluice = "9.9.9";
    const auto read = read_back(shop.tables, *meta);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().what, "tables of layout " + std::to_string(SLC_ABI_VERSION + 1) +
                                     ", written by sluice 9.9.9: this one knows layout " +
                                     std::to_string(SLC_ABI_VERSION));
}

}  // namespace
}  // namespace sluice::plan
