// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <random>
#include <tuple>

#include "config/parse.h"
#include "plan/destination_tables.h"
#include "plan/image.h"
#include "plan/two_choice.h"
#include "sluice/hash.h"

namespace sluice::plan {
namespace {

config::Config parsed(const std::string& text) {
    auto outcome = config::parse(text, "test.yaml");
    for (const auto& error : outcome.errors) ADD_FAILURE() << error.text();
    return outcome.config;
}

Image compiled(const std::string& text, IdStore& ids, CompileOptions options = {}) {
    auto image = compile(parsed(text), ids, options);
    if (!image) {
        ADD_FAILURE() << image.error().what;
        return {};
    }
    return std::move(*image);
}

Image compiled(const std::string& text) {
    IdStore ids;
    return compiled(text, ids);
}

/// The data plane's look-up (bpf/stage/service.h), in user space.
const slc_vip* find_vip(const Image& image, const std::string& address) {
    const auto words = address_words(*IpAddress::parse(address));
    const bool is_ip6 = IpAddress::parse(address)->is_ip6;
    const auto& key = image.node.table_key;
    const std::uint64_t hash = is_ip6 ? slc_vip_hash(key[0], key[1], words.data())
                                      : slc_vip_hash4(key[0], key[1], words[3]);
    const auto matches = [&](const slc_vip& vip) {
        return (vip.flags & SLC_VIP_USED) != 0 && ((vip.flags & SLC_VIP_IP6) != 0) == is_ip6 &&
               std::equal(words.begin(), words.end(), vip.addr_be);
    };
    const slc_vip& first = image.vips[slc_first_of(hash, image.node.vip_mask)];
    if (matches(first)) return &first;
    if ((first.flags & SLC_VIP_MORE) == 0) return nullptr;
    const slc_vip& second = image.vips[slc_second_of(hash, image.node.vip_mask)];
    return matches(second) ? &second : nullptr;
}

std::uint32_t find_port(const std::vector<slc_port_bucket>& ports, const std::uint64_t* key,
                        std::uint32_t vip, std::uint8_t proto, std::uint16_t port) {
    const auto mask = static_cast<std::uint32_t>(ports.size() - 1);
    const std::uint64_t hash = slc_port_hash(key[0], key[1], vip, proto, htons(port));
    const auto in = [&](const slc_port_bucket& bucket) -> std::uint32_t {
        for (const slc_port& entry : bucket.entry)
            if (entry.vip == vip && entry.proto == proto && entry.port_be == htons(port))
                return entry.service;
        return 0;
    };
    const slc_port_bucket& first = ports[slc_first_of(hash, mask)];
    if (const std::uint32_t found = in(first)) return found;
    return first.entry[0].more ? in(ports[slc_second_of(hash, mask)]) : 0;
}

TEST(Compile, small_configuration_asks_for_few_features) {
    const Image image = compiled(R"(
version: 2
node: {interfaces: [eth0], sampling: 0}
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, backends: [10.0.0.5]}
)");
    EXPECT_EQ(image.node.features,
              SLC_FEATURE_IP4 | SLC_FEATURE_IPIP | SLC_FEATURE_OUTER4 | SLC_FEATURE_TRACKING);
    EXPECT_EQ(image.members.size(), 1u);
    EXPECT_EQ(image.members[0].variants, 1u << SLC_VARIANT(SLC_FORWARD_IPIP, 0));
    EXPECT_EQ(image.templates, 1u);
}

TEST(Compile, every_feature_follows_from_what_asks_for_it) {
    const Image image = compiled(R"(
version: 1
node:
  interfaces: [eth0]
  tunnel_source: {ipv4: 10.255.0.0/24, ipv6: "fd00:ff::/64"}
  next: /sys/fs/bpf/other
  decap: {from: [10.255.0.0/24], addresses: [10.0.0.1]}
services:
  - {name: a, vip: 192.0.2.0/28, protocol: tcp, port: 80-90, forward: gre, affinity: source, backends: [10.0.0.5]}
  - {name: b, vip: "2001:db8::/64", protocol: udp, port: any, forward: gue, affinity: source-port, dscp: copy, backends: ["fd00::5"]}
  - {name: c, vip: 192.0.2.99, protocol: both, port: 1, forward: l2, customer: acme, backends: [10.0.0.5]}
  - {name: d, vip: 192.0.2.98, protocol: both, port: 1, forward: local}
  - {name: e, vip: 192.0.2.97, protocol: tcp, port: 1, forward: gre, backends: [{address: 10.0.0.5, server_id: 7}], route_by: tcp-server-id}
  - {name: f, vip: 192.0.2.97, protocol: udp, port: 1, forward: gre, backends: [{address: 10.0.0.5, server_id: 7}], route_by: katran}
)");
    const std::uint32_t all =
        SLC_FEATURE_IP4 | SLC_FEATURE_IP6 | SLC_FEATURE_PREFIX4 | SLC_FEATURE_PREFIX6 |
        SLC_FEATURE_RANGES | SLC_FEATURE_ANY_PORT | SLC_FEATURE_DECAP | SLC_FEATURE_NEXT |
        SLC_FEATURE_OWNERS | SLC_FEATURE_GRE | SLC_FEATURE_GUE | SLC_FEATURE_L2 |
        SLC_FEATURE_LOCAL | SLC_FEATURE_OUTER4 | SLC_FEATURE_OUTER6 | SLC_FEATURE_DSCP_COPY |
        SLC_FEATURE_AFFINITY_SOURCE | SLC_FEATURE_AFFINITY_SOURCE_PORT | SLC_FEATURE_TRACKING |
        SLC_FEATURE_CONNECTION_ID | SLC_FEATURE_TCP_SERVER_ID | SLC_FEATURE_SAMPLE;
    EXPECT_EQ(image.node.features, all);
    EXPECT_EQ(image.node.tunnel4_host_mask_be, htonl(0xff));
    EXPECT_EQ(image.node.tunnel6_host_mask_be, ~0ull);
    ASSERT_NE(find_vip(image, "10.0.0.1"), nullptr);
    EXPECT_TRUE(find_vip(image, "10.0.0.1")->flags & SLC_VIP_ENDPOINT);
}

const ImageMember& member_of(const Image& image, const char* address) {
    const auto found = std::find_if(
        image.members.begin(), image.members.end(),
        [&](const ImageMember& member) { return member.address == *IpAddress::parse(address); });
    EXPECT_NE(found, image.members.end()) << address;
    return *found;
}

/// c and d fall back on b, and b on a: whoever may stand in has the header templates that are
/// needed then, and flows of all are of one family.
TEST(Compile, groups_that_stand_in_for_others_are_ready_for_it) {
    const Image image = compiled(R"(
version: 2
node: {interfaces: [eth0]}
groups:
  a: {backends: [10.0.0.1], health: {checks: {type: tcp, port: 1}, when_none: reject}}
  b: {backends: [10.0.0.2], health: {checks: tcp, when_none: fallback, fallback: a}}
  c: {backends: ["fd00::3"], health: {checks: tcp, when_none: fallback, fallback: b}}
  d: {backends: [10.0.0.4], health: {checks: tcp, when_none: fallback, fallback: b}}
  e: {backends: [10.0.0.5], health: {checks: tcp, when_none: withdraw}}
services:
  - {name: b, vip: 192.0.2.10, port: 80, forward: ipip, group: b}
  - {name: c, vip: "2001:db8::1", port: 81, forward: gre, group: c}
  - {name: d, vip: 192.0.2.10, port: 82, forward: l2, group: d}
  - {name: e, vip: 192.0.2.10, port: 83, forward: gue, group: e}
)");
    const auto variant = [](int forward, bool is_ip6) {
        return 1u << SLC_VARIANT(forward, is_ip6);
    };
    const std::uint32_t b = variant(SLC_FORWARD_IPIP, false), c = variant(SLC_FORWARD_GRE, true),
                        d = variant(SLC_FORWARD_L2, false), e = variant(SLC_FORWARD_GUE, false);
    const std::tuple<const char*, std::uint32_t, std::size_t> want[] = {
        {"10.0.0.1", b | c | d, 0}, {"10.0.0.2", b | c | d, 0}, {"fd00::3", c, 0},
        {"10.0.0.4", d, 0},         {"10.0.0.5", e, 4},
    };
    std::uint32_t templates = 0;
    for (const auto& [address, variants, family] : want) {
        const ImageMember& member = member_of(image, address);
        EXPECT_EQ(member.variants, variants) << address;
        EXPECT_EQ(member.family, family) << address;
        EXPECT_EQ(member_record(member).family, family + 1) << address;
        templates += static_cast<std::uint32_t>(std::popcount(variants));
    }
    EXPECT_EQ(image.templates, templates);
    const bool rejects[] = {true, true, true, false};
    const std::uint32_t families[] = {1, 1, 1, 5};
    for (std::size_t i = 0; i < 4; ++i) {
        const slc_service& service = image.services[image.service_ids[i]];
        EXPECT_EQ((service.flags & SLC_SERVICE_REJECT) != 0, rejects[i]) << i;
        EXPECT_EQ(service.family, families[i]) << i;
    }
    EXPECT_NE(image.node.features & SLC_FEATURE_REJECT, 0u);
}

TEST(Compile, nobody_who_rejects_carries_the_stage) {
    const Image image = compiled(R"(
version: 2
groups:
  idle: {backends: [10.0.0.1], health: {checks: {type: tcp, port: 1}, when_none: reject}}
  web: {backends: [10.0.0.2]}
services: [{name: web, vip: 192.0.2.10, port: 80, forward: ipip, group: web}]
)");
    EXPECT_EQ(image.node.features & SLC_FEATURE_REJECT, 0u);
}

TEST(Compile, services_on_one_group_share_a_ring) {
    const Image image = compiled(R"(
version: 1
node: {interfaces: [eth0]}
groups: {web: {backends: [10.0.0.5, 10.0.0.6]}}
services:
  - {name: a, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, group: web}
  - {name: b, vip: 192.0.2.10, protocol: tcp, port: 443, forward: ipip, group: web}
  - {name: c, vip: 192.0.2.10, protocol: tcp, port: 81, forward: ipip, group: web, balance: rendezvous}
)");
    EXPECT_EQ(image.rings.size(), 2u);
    EXPECT_EQ(image.services[image.service_ids[0]].ring, image.services[image.service_ids[1]].ring);
    EXPECT_NE(image.services[image.service_ids[0]].ring, image.services[image.service_ids[2]].ring);
}

TEST(Compile, drained_backends_and_those_without_weight_own_no_slot) {
    IdStore ids;
    const Image image = compiled(R"(
version: 1
node: {interfaces: [eth0]}
services:
  - name: web
    vip: 192.0.2.10
    protocol: tcp
    port: 80
    forward: ipip
    backends:
      - 10.0.0.5
      - {address: 10.0.0.6, state: drain}
      - {address: 10.0.0.7, weight: 0}
      - {address: 10.0.0.8, state: maint}
)",
                                 ids);
    const std::uint32_t only = ids.members.find("web/10.0.0.5");
    ASSERT_NE(only, 0u);
    for (const std::uint64_t slot : image.slots) EXPECT_EQ(SLC_SLOT_CURRENT(slot), only);
}

TEST(Compile, ring_without_a_backend_is_invalid_and_one_of_drained_ones_is_not) {
    const std::string head = "version: 1\nnode: {interfaces: [eth0]}\ngroups: {web: {backends: [";
    const std::string tail =
        "]}}\nservices:\n  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, "
        "group: web}\n";
    const Image drained = compiled(head + "{address: 10.0.0.6, state: drain}" + tail);
    ASSERT_EQ(drained.rings.size(), 1u);
    EXPECT_NE(drained.rings[0] & SLC_RING_VALID, 0u) << "it has connections to keep";
    for (const std::uint64_t slot : drained.slots) ASSERT_EQ(slot, 0u);
    const Image none = compiled(head + tail);
    ASSERT_EQ(none.rings.size(), 1u);
    EXPECT_EQ(none.rings[0] & SLC_RING_VALID, 0u);
    EXPECT_TRUE(none.ring_list[0].empty);
    IdStore ids;
    CompileOptions options;
    options.least_log2[{"web", config::Balance::maglev}] = 9;
    options.retired = {{"web", *IpAddress::parse("10.0.0.6")}};
    const Image left = compiled(head + tail, ids, options);
    EXPECT_EQ(left.rings[0], SLC_RING_MAKE(0, 9)) << "the last backend's flows are on it";
}

constexpr const char* kThree = R"(
version: 1
node: {interfaces: [eth0]}
groups: {web: {on_down: replace, backends: [10.0.0.5, 10.0.0.6, {address: 10.0.0.7, weight: 3}]}}
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, group: web}
)";

std::size_t slots_of(const Image& image, std::uint32_t member) {
    return static_cast<std::size_t>(
        std::count_if(image.slots.begin(), image.slots.end(),
                      [member](std::uint64_t slot) { return SLC_SLOT_CURRENT(slot) == member; }));
}

TEST(Compile, overrides_say_states_and_weights_and_never_the_size_of_a_ring) {
    IdStore ids;
    const Image plain = compiled(kThree, ids);
    CompileOptions options;
    options.overrides["web/10.0.0.5"].state = config::BackendState::drain;
    options.overrides["web/10.0.0.7"].weight = 0;
    options.overrides["web/10.9.9.9"].weight = 5;  // Of nobody.
    const Image overridden = compiled(kThree, ids, options);
    EXPECT_EQ(overridden.slots.size(), plain.slots.size());
    const std::uint32_t only = ids.members.find("web/10.0.0.6");
    for (const std::uint64_t slot : overridden.slots) ASSERT_EQ(slot, SLC_SLOT_MAKE(only, only, 0));
    EXPECT_EQ(overridden.members.size(), 3u);
}

TEST(Compile, a_part_of_a_weight_is_a_part_of_the_slots_and_moves_no_others) {
    std::string rendezvous = kThree;
    rendezvous.replace(rendezvous.find("on_down"), 0, "balance: rendezvous, ");
    for (const std::string& text : {std::string(kThree), rendezvous}) {
        IdStore ids;
        const Image plain = compiled(text, ids);
        CompileOptions options;
        options.overrides["web/10.0.0.7"].part = kWholePart;
        EXPECT_EQ(compiled(text, ids, options).slots, plain.slots);
        // What the scale alone does, and the least that there is.
        options.overrides["web/10.0.0.7"].part = 1;
        const Image least = compiled(text, ids, options);
        const std::uint32_t slow = ids.members.find("web/10.0.0.7");
        EXPECT_LE(slots_of(least, slow), plain.slots.size() / 500);
        options.overrides["web/10.0.0.7"].part = 500;
        const Image half = compiled(text, ids, options);
        const auto share = [&](const Image& image, std::uint32_t member) {
            return static_cast<double>(slots_of(image, member)) /
                   static_cast<double>(image.slots.size());
        };
        EXPECT_NEAR(share(half, slow), 1.5 / 3.5, 0.06);
        for (std::size_t i = 0; text == rendezvous && i < plain.slots.size(); ++i)
            EXPECT_TRUE(half.slots[i] == plain.slots[i] || SLC_SLOT_CURRENT(plain.slots[i]) == slow)
                << "the scale alone moves nothing";
        options.overrides["web/10.0.0.7"].part = kMostPart;
        EXPECT_NEAR(share(compiled(text, ids, options), slow), 12.0 / 14.0, 0.06);
    }
}

TEST(Compile, weights_at_their_most_may_have_parts_too) {
    config::Group group;
    group.name = "web";
    for (int i = 0; i < 3; ++i) {
        config::Backend backend;
        backend.address = *IpAddress::parse("10.0.0." + std::to_string(5 + i));
        backend.weight = i == 0 ? SLC_MAX_WEIGHT : static_cast<std::uint32_t>(i - 1);
        group.backends.push_back(backend);
    }
    EXPECT_EQ(ring_weights(group, {}), (std::vector<std::uint32_t>{SLC_MAX_WEIGHT, 0, 1}));
    Overrides overrides;
    overrides["web/10.0.0.5"].part = kMostPart;
    overrides["web/10.0.0.6"].part = 1;
    const auto weights = ring_weights(group, overrides);
    EXPECT_EQ(weights, (std::vector<std::uint32_t>{kMostRingWeight, 0, 4}));
}

TEST(Compile, failed_backend_gives_up_its_slots_and_is_replaced_in_no_others) {
    for (const bool keep : {false, true}) {
        std::string text = kThree;
        if (keep) text.replace(text.find("replace"), 7, "keep");
        IdStore ids;
        const Image before = compiled(text, ids);
        CompileOptions options;
        options.overrides["web/10.0.0.5"].state = config::BackendState::down;
        const Image after = compiled(text, ids, options);
        const std::uint32_t failed = ids.members.find("web/10.0.0.5");
        std::size_t moved = 0, others = 0;
        for (std::size_t i = 0; i < before.slots.size(); ++i) {
            EXPECT_NE(SLC_SLOT_CURRENT(after.slots[i]), failed);
            if (before.slots[i] == after.slots[i]) continue;
            ++(SLC_SLOT_CURRENT(before.slots[i]) == failed ? moved : others);
        }
        EXPECT_GT(moved, 0u);
        if (keep) continue;
        EXPECT_EQ(others, 0u) << "nobody else's connections are concerned";
    }
}

TEST(Compile, retired_members_keep_their_ids_and_templates_and_own_nothing) {
    IdStore ids;
    compiled(kThree, ids);
    const std::uint32_t id = ids.members.find("web/10.0.0.5");
    std::string text = kThree;
    text.replace(text.find("10.0.0.5, "), 10, "");
    CompileOptions options;
    options.retired = {{"web", *IpAddress::parse("10.0.0.5")},
                       {"gone", *IpAddress::parse("10.0.0.5")}};
    const Image image = compiled(text, ids, options);
    EXPECT_EQ(ids.members.find("web/10.0.0.5"), id);
    const auto found = std::find_if(image.members.begin(), image.members.end(),
                                    [&](const ImageMember& member) { return member.id == id; });
    ASSERT_NE(found, image.members.end());
    EXPECT_EQ(found->backend, kRetired);
    EXPECT_EQ(found->group, 0u);
    EXPECT_EQ(found->address, *IpAddress::parse("10.0.0.5"));
    EXPECT_EQ(found->variants, 1u << SLC_VARIANT(SLC_FORWARD_IPIP, 0));
    EXPECT_EQ(image.members.size(), 3u) << "a group that is gone has no members";
    EXPECT_EQ(image.templates, 3u);
    for (const std::uint64_t slot : image.slots) ASSERT_NE(SLC_SLOT_CURRENT(slot), id);
}

TEST(Compile, ring_that_may_not_shrink_yet_repeats_itself) {
    IdStore ids;
    const Image small = compiled(kThree, ids);
    CompileOptions options;
    options.least_log2[{"web", config::Balance::maglev}] = small.ring_list[0].log2 + 2;
    options.least_log2[{"web", config::Balance::rendezvous}] = 15;
    const Image image = compiled(kThree, ids, options);
    EXPECT_EQ(image.ring_list[0].log2, small.ring_list[0].log2 + 2);
    EXPECT_EQ(image.ring_list[0].wanted_log2, small.ring_list[0].log2);
    EXPECT_EQ(SLC_RING_LOG2(image.rings[0]), image.ring_list[0].log2);
    ASSERT_EQ(image.slots.size(), small.slots.size() * 4);
    for (std::size_t i = 0; i < image.slots.size(); ++i)
        ASSERT_EQ(image.slots[i], small.slots[i % small.slots.size()]);
    options.least_log2[{"web", config::Balance::maglev}] = 1;
    EXPECT_EQ(compiled(kThree, ids, options).slots, small.slots);
}

TEST(Compile, flow_fields_accounts_and_server_ids_are_filled_for_the_table_in_use) {
    IdStore ids;
    CompileOptions options;
    const std::string text = R"(
version: 1
node: {interfaces: [eth0], flows: {entries: 4096}}
groups:
  web: {flows: {share: 25%, ceiling: 75%}, backends: [{address: 10.0.0.5, server_id: 7}, 10.0.0.6]}
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, group: web, route_by: tcp-server-id}
)";
    const Image image = compiled(text, ids, options);
    EXPECT_EQ(image.node.flow_log2, 9);
    ASSERT_EQ(image.accounts.size(), 2u);
    EXPECT_EQ(image.accounts[0].ceiling, 3072u);
    EXPECT_EQ(image.accounts[1].share, 1024u);
    EXPECT_EQ(image.accounts[1].ceiling, 3072u);
    EXPECT_EQ(image.services[1].group, 1u);
    EXPECT_EQ(image.services[1].lifetime[SLC_FLOW_ESTABLISHED],
              ticks_of(std::chrono::seconds(900), image.node.flow_shift));
    ASSERT_EQ(image.server_ids.size(), 1u);
    EXPECT_EQ(image.server_ids[0].member, ids.members.find("web/10.0.0.5"));
    options.flows = FlowGeometry{12, 35};
    const Image kept = compiled(text, ids, options);
    EXPECT_EQ(kept.node.flow_log2, 12);
    EXPECT_EQ(kept.node.flow_shift, 35);
    EXPECT_EQ(kept.services[1].lifetime[SLC_FLOW_ESTABLISHED],
              ticks_of(std::chrono::seconds(900), 35));
    EXPECT_EQ(kept.accounts[0].ceiling, 8u * 4096 * 3 / 4);
}

TEST(Compile, ids_stay_when_others_come_and_go) {
    IdStore ids;
    const std::string head = "version: 1\nnode: {interfaces: [eth0]}\nservices:\n";
    const std::string a =
        "  - {name: a, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, backends: "
        "[10.0.0.5]}\n";
    const std::string b =
        "  - {name: b, vip: 192.0.2.11, protocol: tcp, port: 80, forward: ipip, backends: "
        "[10.0.0.6]}\n";
    compiled(head + a + b, ids);
    const std::uint32_t service = ids.services.find("b");
    const std::uint32_t member = ids.members.find("b/10.0.0.6");
    const Image image = compiled(head + b, ids);
    EXPECT_EQ(image.service_ids[0], service);
    EXPECT_EQ(image.members[0].id, member);
    EXPECT_EQ(ids.services.find("a"), 0u);
}

TEST(Compile, rings_depend_on_addresses_and_not_on_ids_or_order) {
    const std::string head =
        "version: 1\nnode: {interfaces: [eth0]}\nservices:\n  - {name: web, vip: "
        "192.0.2.10, protocol: tcp, port: 80, forward: ipip, backends: ";
    IdStore left_ids, right_ids;
    ASSERT_TRUE(right_ids.members.assign("earlier"));
    const Image left = compiled(head + "[10.0.0.5, 10.0.0.6, 10.0.0.7]}\n", left_ids);
    const Image right = compiled(head + "[10.0.0.7, 10.0.0.5, 10.0.0.6]}\n", right_ids);
    ASSERT_EQ(left.slots.size(), right.slots.size());
    std::map<std::uint32_t, std::string> left_name, right_name;
    for (const auto& [name, id] : left_ids.members.names()) left_name[id] = name;
    for (const auto& [name, id] : right_ids.members.names()) right_name[id] = name;
    for (std::size_t i = 0; i < left.slots.size(); ++i)
        ASSERT_EQ(left_name[SLC_SLOT_CURRENT(left.slots[i])],
                  right_name[SLC_SLOT_CURRENT(right.slots[i])]);
}

TEST(Compile, services_inherit_the_owners_of_the_protected_prefix_around_them) {
    IdStore ids;
    const Image image = compiled(R"(
version: 1
node: {interfaces: [eth0]}
services:
  - {name: plain, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, backends: [10.0.0.5]}
  - {name: own, vip: 192.0.2.11, protocol: tcp, port: 80, forward: ipip, backends: [10.0.0.5], customer: own}
protected:
  - {prefix: 192.0.2.0/24, customer: wide, policy: edge}
  - {prefix: 192.0.2.0/28, customer: narrow}
)",
                                 ids);
    EXPECT_EQ(image.services[image.service_ids[0]].customer, ids.customers.find("narrow"));
    EXPECT_EQ(image.services[image.service_ids[1]].customer, ids.customers.find("own"));
    EXPECT_EQ(image.prefixes.size(), 2u);
    EXPECT_TRUE(image.vips[image.prefixes[0].record].flags & SLC_VIP_PROTECTED);
}

TEST(Compile, ports_ranges_and_any_port_are_where_the_data_plane_looks) {
    IdStore ids;
    const Image image = compiled(R"(
version: 1
node: {interfaces: [eth0]}
services:
  - {name: one, vip: 192.0.2.10, protocol: both, port: 53, forward: ipip, backends: [10.0.0.5]}
  - {name: range, vip: 192.0.2.10, protocol: tcp, port: 8000-8099, forward: ipip, backends: [10.0.0.5]}
  - {name: any, vip: 192.0.2.10, protocol: udp, port: any, forward: ipip, backends: [10.0.0.5]}
)",
                                 ids);
    const slc_vip* vip = find_vip(image, "192.0.2.10");
    ASSERT_NE(vip, nullptr);
    const std::uint64_t key[2] = {image.node.table_key[0], image.node.table_key[1]};
    EXPECT_EQ(find_port(image.ports, key, vip->vip, IPPROTO_TCP, 53), ids.services.find("one"));
    EXPECT_EQ(find_port(image.ports, key, vip->vip, IPPROTO_UDP, 53), ids.services.find("one"));
    EXPECT_EQ(find_port(image.ports, key, vip->vip, IPPROTO_TCP, 54), 0u);
    EXPECT_EQ(vip->any_tcp, 0u);
    EXPECT_EQ(vip->any_udp, ids.services.find("any"));
    ASSERT_NE(vip->ranges_tcp, 0u);
    EXPECT_EQ(vip->ranges_udp, 0u);
    EXPECT_EQ(image.ranges[vip->ranges_tcp].first[0], 8000);
    EXPECT_EQ(image.ranges[vip->ranges_tcp].last[0], 8099);
    EXPECT_EQ(image.ranges[vip->ranges_tcp].service[0], ids.services.find("range"));
    EXPECT_EQ(image.ranges[vip->ranges_tcp].first[1], 0xffff);
}

TEST(Compile, agent_holds_vips_and_peers_and_nothing_else) {
    const Image image =
        compile_agent({*IpPrefix::parse("192.0.2.10"), *IpPrefix::parse("2001:db8::/64")},
                      {*IpPrefix::parse("10.255.0.0/24")}, 6081, 7);
    EXPECT_NE(find_vip(image, "192.0.2.10"), nullptr);
    EXPECT_EQ(image.prefixes.size(), 1u);
    EXPECT_EQ(image.peers.size(), 1u);
    EXPECT_EQ(image.node.gue_port_be, htons(6081));
    EXPECT_TRUE(image.members.empty());
}

TEST(DestinationTables, many_addresses_and_ports_are_all_found_and_no_others) {
    std::mt19937 random(1);
    std::vector<slc_vip> records;
    std::vector<PortEntry> entries;
    for (std::uint32_t i = 0; i < 20000; ++i) {
        slc_vip record{};
        record.addr_be[3] = htonl(0x0a000000 + i);
        record.flags = SLC_VIP_USED;
        record.vip = i + 1;
        records.push_back(record);
        entries.push_back({i + 1, IPPROTO_TCP, static_cast<std::uint16_t>(random()), i + 1});
    }
    const auto tables = build_destination_tables(records, entries, 42);
    Image image;
    image.vips = tables.vips;
    image.node.vip_mask = static_cast<slc_u32>(tables.vips.size() - 1);
    std::copy(tables.key.begin(), tables.key.end(), image.node.table_key);
    for (const auto& record : records) {
        const auto* found = find_vip(image, IpAddress::from_ip4(record.addr_be[3]).text());
        ASSERT_NE(found, nullptr);
        ASSERT_EQ(found->vip, record.vip);
    }
    for (std::uint32_t i = 20000; i < 40000; ++i)
        ASSERT_EQ(find_vip(image, IpAddress::from_ip4(htonl(0x0a000000 + i)).text()), nullptr);
    for (const auto& entry : entries) {
        ASSERT_EQ(find_port(tables.ports, tables.key.data(), entry.vip, entry.proto, entry.port),
                  entry.service);
        ASSERT_EQ(find_port(tables.ports, tables.key.data(), entry.vip, IPPROTO_UDP, entry.port),
                  0u);
    }
    const auto more = std::count_if(tables.vips.begin(), tables.vips.end(), [](const auto& vip) {
        return (vip.flags & SLC_VIP_MORE) != 0;
    });
    EXPECT_LT(more, static_cast<long>(tables.vips.size()) / 8) << "second look-ups must stay rare";
}

TEST(TwoChoice, gives_up_where_three_keys_want_two_places) {
    const std::vector<TwoChoiceKey> keys = {{0, 1}, {0, 1}, {1, 0}};
    EXPECT_FALSE(place_two_choice(keys, 2, 1));
    EXPECT_TRUE(place_two_choice(std::span(keys).first(2), 2, 1));
    EXPECT_TRUE(place_two_choice(keys, 2, 2));
}

TEST(TwoChoice, places_each_key_in_one_of_its_buckets_and_never_overfills) {
    std::mt19937 random(3);
    constexpr std::uint32_t kBuckets = 1024;
    std::vector<TwoChoiceKey> keys(kBuckets * 2);
    for (auto& key : keys)
        key = {static_cast<std::uint32_t>(random() % kBuckets),
               static_cast<std::uint32_t>(random() % kBuckets)};
    const auto placed = place_two_choice(keys, kBuckets, 4);
    ASSERT_TRUE(placed);
    std::vector<int> load(kBuckets);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        EXPECT_TRUE((*placed)[i] == keys[i].first || (*placed)[i] == keys[i].second);
        ++load[(*placed)[i]];
    }
    EXPECT_LE(*std::max_element(load.begin(), load.end()), 4);
}

}  // namespace
}  // namespace sluice::plan
