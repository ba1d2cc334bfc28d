// SPDX-License-Identifier: Apache-2.0
#include "kernel/pinned_generation.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "config/parse.h"
#include "config/print.h"
#include "kernel/bpffs.h"
#include "kernel/generation.h"
#include "kernel/instance.h"
#include "kernel/instruction_set.h"
#include "plan/meta.h"
#include "private_bpffs.h"

namespace sluice::kernel {
namespace {

std::string g_bpffs;

/// Something in every table.
constexpr const char* kConfig = R"(
version: 2
node:
  name: test
  interfaces: [eth1, eth0]
  tunnel_source: {ipv4: 10.255.0.0/24, ipv6: "fd00:ff::/64"}
  ring_secret: 000102030405060708090a0b0c0d0e0f
  flows: {entries: 512}
  keep_generations: 7
  decap: {from: [10.9.0.0/16, 10.8.1.1, "fd00:1::/64"], addresses: [10.7.7.9, "fd00:7::1"]}
groups:
  shop:
    balance: rendezvous
    on_down: keep
    deadline: 1h
    flows: {share: 10%, ceiling: 60%}
    backends:
      - {address: 10.0.0.7, weight: 4, server_id: 7}
      - {address: 10.0.0.5, state: drain, server_id: 513}
      - {address: "2001:db8:1::6", weight: 0}
services:
  - {name: web, vip: 192.0.2.10, port: 80, group: shop, route_by: tcp-server-id}
  - {name: many, vip: 192.0.2.10, port: 8000-8999, group: shop, protocol: both, tracking: always}
  - {name: rest, vip: 192.0.2.10, port: any, protocol: udp, backends: [10.0.1.5], dscp: copy}
  - {name: net, vip: 203.0.113.0/28, port: any, protocol: both, group: shop, forward: gue}
  - {name: six, vip: "2001:db8:2::/64", port: 53, protocol: udp, forward: local, customer: acme}
protected:
  - {prefix: 203.0.0.0/16, customer: acme, policy: strict}
  - {prefix: "2001:db8::/32", policy: lax}
tests:
  - {name: one, packet: "udp 198.51.100.9:1 > 198.51.100.200:5", expect: {verdict: pass}}
)";

/// A configuration that was in force when its daemon went.
class PinnedGenerationTest : public testing::Test {
 protected:
    void SetUp() override {
        const auto outcome = config::parse(kConfig, "test.yaml");
        for (const auto& error : outcome.errors) FAIL() << error.text();
        config_ = outcome.config;
        plan::IdStore ids;
        plan::CompileOptions options;
        options.table_seed = 99;
        options.retired = {{"shop", *IpAddress::parse("10.0.0.99")}};
        const auto image = plan::compile(config_, ids, options);
        ASSERT_TRUE(image) << image.error().what;
        auto state =
            StateMaps::open("", {64, 64, 4, 4, SLC_FRAG_MIN_BUCKETS, plan::flow_geometry(config_)});
        ASSERT_TRUE(state) << state.error().what;
        LoadOptions load;
        load.isa = *probe_instruction_set();
        const auto generation = Generation::load(*image, *state, load);
        ASSERT_TRUE(generation) << generation.error().what;
        auto instance = Instance::open(root_, "test", load.isa);
        ASSERT_TRUE(instance) << instance.error().what;
        plan::MetaSource source{config_, *image, ids};
        source.generation = 31;
        ASSERT_TRUE(instance->keep(*generation, 4, plan::to_meta(source)));
        const auto swapped = instance->swap_to(*generation);
        ASSERT_TRUE(swapped) << swapped.error().what;
    }
    void TearDown() override { ASSERT_TRUE(Instance::remove(root_, "test")); }

    const std::string root_ = g_bpffs + "/sluice";
    config::Config config_;
};

TEST_F(PinnedGenerationTest, configuration_is_what_the_maps_alone_say) {
    const auto read = config_from_kernel(root_, "test");
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(config::to_yaml(*read), config::to_yaml(config_));
    EXPECT_TRUE(*read == config_);
}

TEST_F(PinnedGenerationTest, live_generation_is_found_by_the_program_that_packets_enter) {
    const auto found = find_live_generation(root_, "test");
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(*found, root_ + "/test/gen/4");
    const auto rings = read_pinned_generation(*found);
    ASSERT_TRUE(rings && *rings);
    EXPECT_EQ((*rings)->rings.size(), 2u);
    EXPECT_EQ((*rings)->services.size(), 4u);
}

TEST_F(PinnedGenerationTest, reading_is_possible_beside_a_daemon_and_leaves_everything_as_it_is) {
    const auto names = list_pins(root_ + "/test/gen/4");
    const auto instance = Instance::open(root_, "test", *probe_instruction_set());
    ASSERT_TRUE(instance) << instance.error().what;
    const auto read = config_from_kernel(root_, "test");
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_TRUE(*read == config_);
    EXPECT_EQ(list_pins(root_ + "/test/gen/4"), names);
}

TEST_F(PinnedGenerationTest, what_a_map_was_told_behind_the_configuration_is_seen) {
    const auto live = open_pin(root_ + "/test/gen/4/slc_server_ids");
    ASSERT_TRUE(live) << live.error().what;
    slc_server_id key{};
    key.group = 1;
    key.len = 4;
    key.id[3] = 7;
    ASSERT_EQ(::bpf_map_delete_elem(live->get(), &key), 0);
    const auto read = config_from_kernel(root_, "test");
    ASSERT_TRUE(read) << read.error().what;
    config::Config expected = config_;
    expected.groups[0].backends[0].server_id.reset();
    EXPECT_EQ(config::to_yaml(*read), config::to_yaml(expected));
}

TEST_F(PinnedGenerationTest, no_instance_and_no_generation_are_told_apart) {
    const auto nobody = config_from_kernel(root_, "other");
    ASSERT_FALSE(nobody);
    EXPECT_EQ(nobody.error().code, Errc::not_found);
    EXPECT_EQ(nobody.error().what, "kernel: no instance other below " + root_);
    EXPECT_EQ(nobody.error().hint, "sluice instance list shows those of this machine");
    ASSERT_TRUE(Instance::open(root_, "empty", *probe_instruction_set()));
    const auto empty = config_from_kernel(root_, "empty");
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().code, Errc::not_found);
    EXPECT_EQ(empty.error().what, "kernel: instance empty: no pinned generation is live");
    ASSERT_TRUE(Instance::remove(root_, "empty"));
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    std::string why;
    sluice::kernel::g_bpffs = sluice::test::private_bpffs(why);
    if (sluice::kernel::g_bpffs.empty()) {
        std::printf("SKIP: %s\n", why.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
