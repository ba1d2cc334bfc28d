// SPDX-License-Identifier: Apache-2.0
#include "plan/meta.h"

#include <gtest/gtest.h>

#include "base/version.h"
#include "config/parse.h"
#include "random_config.h"

namespace sluice::plan {
namespace {

struct Written {
    config::Config config;
    IdStore ids;
    Image image;

    [[nodiscard]] MetaSource source() const {
        MetaSource out{config, image, ids};
        out.generation = 31;
        out.digest = "00ff";
        out.built_at = std::chrono::system_clock::time_point(std::chrono::seconds(1'790'000'000));
        out.code = {{"slc_lb", "aa"}, {"slc_frag", "bb"}};
        return out;
    }
};

Written written(const std::string& text, const CompileOptions& options = {}) {
    Written out;
    auto outcome = config::parse(text, "test.yaml");
    for (const auto& error : outcome.errors) ADD_FAILURE() << error.text();
    out.config = outcome.config;
    auto image = compile(out.config, out.ids, options);
    if (image) out.image = std::move(*image);
    return out;
}

constexpr const char* kConfig = R"(
version: 2
node: {interfaces: [eth0], flows: {entries: 512}}
groups:
  shop:
    on_down: keep
    deadline: 1h
    backends: [{address: 10.0.0.6, weight: 77}, {address: 10.0.0.5, server_id: 258}]
services:
  - {name: web, vip: 192.0.2.10, port: 80, group: shop, customer: acme, dscp: 46}
proof: {max_moved: 2.5%}
tests:
  - {name: one, packet: "udp 198.51.100.9:1 > 198.51.100.200:5", expect: {verdict: pass}}
)";

TEST(Meta, tells_which_configuration_it_is_and_who_wrote_it) {
    const auto meta = parse_meta(to_meta(written(kConfig).source()));
    ASSERT_TRUE(meta) << meta.error().what;
    EXPECT_EQ(meta->abi, static_cast<std::uint32_t>(SLC_ABI_VERSION));
    EXPECT_EQ(meta->sluice, version());
    EXPECT_EQ(meta->generation, 31u);
    EXPECT_EQ(meta->digest, "00ff");
    EXPECT_EQ(meta->built_at.time_since_epoch(), std::chrono::seconds(1'790'000'000));
    EXPECT_EQ(meta->code, (CodeDigests{{"slc_lb", "aa"}, {"slc_frag", "bb"}}));
}

TEST(Meta, holds_what_no_table_does) {
    const Written from = written(kConfig);
    const auto meta = parse_meta(to_meta(from.source()));
    ASSERT_TRUE(meta) << meta.error().what;
    ASSERT_EQ(meta->groups.size(), 1u);
    const MetaGroup& group = meta->groups[0];
    EXPECT_EQ(group.name, "shop");
    EXPECT_EQ(group.on_down, config::OnDown::keep);
    EXPECT_EQ(group.deadline, std::chrono::hours(1));
    const std::uint32_t first = from.ids.members.find("shop/10.0.0.6");
    const std::uint32_t second = from.ids.members.find("shop/10.0.0.5");
    EXPECT_EQ(group.order, (std::vector<std::uint32_t>{first, second}));
    EXPECT_EQ(group.server_ids, (std::map<std::uint32_t, config::ServerId>{{second, {2, {1, 2}}}}));
    ASSERT_EQ(meta->services.size(), 1u);
    EXPECT_EQ(meta->services[0].name, "web");
    EXPECT_TRUE(meta->services[0].own_customer);
    EXPECT_FALSE(meta->services[0].own_policy);
    EXPECT_EQ(meta->customers,
              (std::map<std::uint32_t, std::string>{{from.ids.customers.find("acme"), "acme"}}));
    EXPECT_EQ(meta->proof, from.config.proof);
    EXPECT_EQ(meta->tests, from.config.tests);
}

TEST(Meta, does_not_repeat_what_the_tables_say) {
    const std::string text = to_meta(written(kConfig).source());
    for (const char* word : {"10.0.0", "192.0.2", "77", "46", "ipip"})
        EXPECT_EQ(text.find(word), std::string::npos) << word << " in " << text;
}

TEST(Meta, order_of_addresses_need_not_be_said) {
    const auto meta = parse_meta(to_meta(written(R"(
version: 2
groups: {shop: {backends: [10.0.0.5, 10.0.0.6, 10.0.0.10]}}
)")
                                             .source()));
    ASSERT_TRUE(meta) << meta.error().what;
    EXPECT_TRUE(meta->groups[0].order.empty());
}

TEST(Meta, size_of_a_flow_table_is_said_only_while_another_is_in_use) {
    EXPECT_EQ(parse_meta(to_meta(written(kConfig).source()))->node.flow_entries, 0u);
    CompileOptions options;
    options.flows = FlowGeometry{9, 33};
    EXPECT_EQ(parse_meta(to_meta(written(kConfig, options).source()))->node.flow_entries, 512u);
}

TEST(Meta, random_configurations_are_told_the_same_twice) {
    RandomConfig random(7);
    for (int i = 0; i < 200; ++i) {
        const Written from = written(random.next());
        const auto meta = parse_meta(to_meta(from.source()));
        ASSERT_TRUE(meta) << meta.error().what;
        EXPECT_EQ(meta->tests, from.config.tests);
        EXPECT_EQ(meta->services.size(), from.config.services.size());
        EXPECT_EQ(meta->node.interfaces, from.config.node.interfaces);
        EXPECT_EQ(meta->node.tunnel_source6, from.config.node.tunnel_source6);
        EXPECT_EQ(meta->node.ring_secret, (std::array<std::uint64_t, 2>{}));
    }
}

struct Refused {
    const char* name;
    const char* from;
    const char* to;
    Errc code;
    std::string what;
};

TEST(Meta, what_sluiced_did_not_write_is_refused) {
    const Refused cases[] = {
        {"later format", "\"format\":1", "\"format\":2", Errc::unsupported,
         std::string("meta: format 2, written by sluice ") + version() + "; this one, " +
             version() + ", reads up to 1"},
        {"no format", "\"format\":1", "\"fromat\":1", Errc::invalid,
         "meta: not what sluiced writes beside its tables"},
        {"no JSON", "{", "[", Errc::invalid, "meta: not what sluiced writes beside its tables"},
        {"number too large", "\"generation\":31", "\"generation\":4294967296", Errc::invalid,
         "meta: generation is not as sluiced writes it"},
        {"number below zero", "\"generation\":31", "\"generation\":-1", Errc::invalid,
         "meta: generation is not as sluiced writes it"},
        {"key missing", "\"digest\"", "\"digets\"", Errc::invalid,
         "meta: digest is not as sluiced writes it"},
        {"unknown word", "\"on_down\":\"keep\"", "\"on_down\":\"kept\"", Errc::invalid,
         "meta: on_down is not as sluiced writes it"},
        {"id that is none", "\"0102\"", "\"010\"", Errc::invalid,
         "meta: server_ids is not as sluiced writes it"},
        {"text for a list", "\"interfaces\":[\"eth0\"]", "\"interfaces\":\"eth0\"", Errc::invalid,
         "meta: interfaces is not as sluiced writes it"},
        {"verdict beyond all", "\"verdict\":2", "\"verdict\":9", Errc::invalid,
         "meta: verdict is not as sluiced writes it"},
    };
    const std::string good = to_meta(written(kConfig).source());
    ASSERT_TRUE(parse_meta(good));
    for (const Refused& each : cases) {
        SCOPED_TRACE(each.name);
        std::string text = good;
        const std::size_t at = text.find(each.from);
        ASSERT_NE(at, std::string::npos) << text;
        text.replace(at, std::string(each.from).size(), each.to);
        const auto meta = parse_meta(text);
        ASSERT_FALSE(meta);
        EXPECT_EQ(meta.error().code, each.code);
        EXPECT_EQ(meta.error().what, each.what);
    }
}

TEST(Meta, every_shortened_text_is_refused) {
    const std::string good = to_meta(written(kConfig).source());
    for (std::size_t len = 0; len + 2 < good.size(); ++len)
        EXPECT_FALSE(parse_meta(good.substr(0, len))) << len;
}

}  // namespace
}  // namespace sluice::plan
