// SPDX-License-Identifier: Apache-2.0
#include "kernel/flow_map.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "kernel/bpffs.h"
#include "kernel/pinned_text.h"
#include "tests/unit/kernel/private_bpffs.h"

namespace sluice::kernel {
namespace {

std::string g_bpffs;

constexpr plan::FlowGeometry kSmall{6, 28};
constexpr plan::FlowGeometry kLarge{8, 28};
constexpr plan::FlowGeometry kSlow{6, 31};

class FlowMapTest : public testing::Test {
 protected:
    void SetUp() override { ASSERT_TRUE(make_pin_directory(directory_)); }
    void TearDown() override { ASSERT_TRUE(remove_pins(directory_)); }
    /// Beside the mark of the version.
    std::vector<std::string> pins() const {
        auto out = list_pins(directory_);
        std::erase(out, "meta");
        return out;
    }
    using Names = std::vector<std::string>;

    std::string directory_ = g_bpffs + "/flows";
};

TEST_F(FlowMapTest, a_table_is_made_once_and_found_again) {
    {
        auto flows = FlowMap::open(directory_, kSmall);
        ASSERT_TRUE(flows) << flows.error().what;
        EXPECT_EQ(flows->current().buckets().size(), 64u);
        flows->current().buckets()[5].entry[3] = 0x1234;
    }
    const auto again = FlowMap::open(directory_, kLarge);
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_EQ(again->current().geometry, kSmall) << "another size takes a fit";
    EXPECT_EQ(again->current().buckets()[5].entry[3], 0x1234u);
    EXPECT_FALSE(again->leaving());
}

TEST_F(FlowMapTest, another_size_or_tick_is_a_successor_and_one_is_left_at_a_time) {
    auto flows = *FlowMap::open(directory_, kSmall);
    EXPECT_TRUE(*flows.fit(kSmall));
    EXPECT_EQ(pins(), Names{"slc_flows_1_28"});
    EXPECT_TRUE(*flows.fit(kSlow));
    EXPECT_EQ(pins(), (Names{"slc_flows_1_28", "slc_flows_2_31"}));
    EXPECT_EQ(flows.leaving()->geometry, kSmall);
    EXPECT_FALSE(*flows.fit(kLarge)) << "must wait";
    EXPECT_EQ(flows.current().geometry, kSlow);
    flows.drop_leaving();
    EXPECT_EQ(pins(), Names{"slc_flows_2_31"});
    EXPECT_TRUE(*flows.fit(kLarge));
    EXPECT_EQ(pins(), (Names{"slc_flows_2_31", "slc_flows_3_28"}));
}

TEST_F(FlowMapTest, a_fit_that_came_to_nothing_is_undone) {
    auto flows = *FlowMap::open(directory_, kSmall);
    flows.current().buckets()[1].entry[0] = 7;
    ASSERT_TRUE(*flows.fit(kLarge));
    flows.undo_fit();
    EXPECT_EQ(flows.current().geometry, kSmall);
    EXPECT_EQ(flows.current().buckets()[1].entry[0], 7u);
    EXPECT_FALSE(flows.leaving());
    EXPECT_EQ(pins(), Names{"slc_flows_1_28"});
}

TEST_F(FlowMapTest, after_a_crash_the_highest_is_current_and_the_one_before_is_left) {
    {
        ASSERT_TRUE(*(*FlowMap::open(directory_, kSmall)).fit(kLarge));
    }
    const auto again = FlowMap::open(directory_, kSmall);
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_EQ(again->current().geometry, kLarge);
    ASSERT_TRUE(again->leaving());
    EXPECT_EQ(again->leaving()->geometry, kSmall);
}

TEST_F(FlowMapTest, pins_of_another_layout_are_refused_and_left) {
    const UniqueFd other(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 8, 64, nullptr));
    ASSERT_EQ(::bpf_obj_pin(other.get(), (directory_ + "/slc_flows_1_28").c_str()), 0);
    const auto flows = FlowMap::open(directory_, kSmall);
    ASSERT_FALSE(flows);
    EXPECT_EQ(flows.error().code, Errc::conflict);
    EXPECT_EQ(pins(), Names{"slc_flows_1_28"});
}

TEST_F(FlowMapTest, names_that_are_no_tables_are_not_looked_at) {
    const std::string mark = "{\"abi\":" + std::to_string(SLC_ABI_VERSION) + "}";
    ASSERT_TRUE(write_pinned_text(directory_ + "/meta", mark));
    const UniqueFd other(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 8, 64, nullptr));
    for (const char* name : {"slc_flows_", "slc_flows_1", "slc_flows_1_", "slc_flows_x_28",
                             "slc_flows_1_28x", "slc_flow_counters"})
        ASSERT_EQ(::bpf_obj_pin(other.get(), (directory_ + "/" + name).c_str()), 0) << name;
    const auto flows = FlowMap::open(directory_, kSmall);
    ASSERT_TRUE(flows) << flows.error().what;
    EXPECT_EQ(flows->current().geometry, kSmall);
}

TEST_F(FlowMapTest, without_a_directory_nothing_is_pinned) {
    auto flows = FlowMap::open("", kSmall);
    ASSERT_TRUE(flows) << flows.error().what;
    ASSERT_TRUE(*flows->fit(kLarge));
    flows->drop_leaving();
    EXPECT_TRUE(pins().empty());
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    std::string why;
    sluice::kernel::g_bpffs = sluice::test::private_bpffs(why);
    if (sluice::kernel::g_bpffs.empty()) {
        std::printf("skipped: unit_flow_map: %s\n", why.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
