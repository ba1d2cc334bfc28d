// SPDX-License-Identifier: Apache-2.0
#include "kernel/state_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "kernel/bpffs.h"
#include "kernel/pinned_text.h"
#include "kernel/state_version.h"
#include "private_bpffs.h"

namespace sluice::kernel {
namespace {

std::string g_bpffs;

constexpr std::uint32_t kService = 3;
constexpr const char* kServices = "slc_service_counters";
constexpr const char* kReasons = "slc_reason_counters";

StateSizes small_sizes() {
    return {8, 4, 1, 1, SLC_FRAG_MIN_BUCKETS, {6, 28}};
}

StateSizes with_services(std::uint32_t services) {
    StateSizes out = small_sizes();
    out.services = services;
    return out;
}

using Maps = std::vector<std::pair<std::string, int>>;

int find(const Maps& maps, const std::string& name) {
    for (const auto& [each, fd] : maps)
        if (each == name) return fd;
    return -1;
}

/// What a packet's CPU does. Other CPUs' values are set to zero.
template <typename Value>
void set(int fd, std::uint32_t index, const Value& value) {
    std::vector<Value> row(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
    row[0] = value;
    ASSERT_EQ(::bpf_map_update_elem(fd, &index, row.data(), BPF_ANY), 0);
}

void count(const Maps& maps, std::uint64_t packets) {
    set(find(maps, kServices), kService, slc_service_counter{packets, packets * 100, 0, 0});
    set(find(maps, kReasons), 16, slc_counter{packets, packets * 100});
}

class StateMapsTest : public testing::Test {
 protected:
    void SetUp() override { ASSERT_TRUE(make_pin_directory(directory_)); }
    void TearDown() override { ASSERT_TRUE(remove_pins(directory_)); }
    StateMaps open(const StateSizes& sizes = small_sizes()) {
        return StateMaps::open(directory_, sizes).value();
    }
    std::string pin(const std::string& name) const { return directory_ + "/" + name; }
    /// A map as another version would have left it.
    UniqueFd leave(const std::string& name, bpf_map_type type, std::uint32_t value_size,
                   std::uint32_t entries) {
        const std::string mark = "{\"abi\":" + std::to_string(SLC_ABI_VERSION - 1) + "}";
        EXPECT_TRUE(write_pinned_text(pin("meta"), mark));
        UniqueFd fd(::bpf_map_create(type, "left", 4, value_size, entries, nullptr));
        EXPECT_TRUE(make_pin(fd.get(), pin(name)));
        return fd;
    }
    /// What open() says of it, and that it leaves all as it is.
    Error refusal() {
        const auto before = list_pins(directory_);
        const auto state = StateMaps::open(directory_, small_sizes());
        EXPECT_FALSE(state);
        EXPECT_EQ(list_pins(directory_), before);
        return state ? Error{} : state.error();
    }

    std::string directory_ = g_bpffs + "/state";
};

TEST_F(StateMapsTest, too_small_counters_get_a_successor_and_lose_nothing) {
    {
        StateMaps state = open();
        count(state.current(), 5);
        ASSERT_TRUE(state.fit(with_services(5000)));
        count(state.current(), 7);
        EXPECT_EQ(state.services()[kService].packets, 12u);
        EXPECT_GE(state.services().size(), 5000u);
    }
    EXPECT_EQ(open().services()[kService].packets, 12u);
}

TEST_F(StateMapsTest, a_canary_counts_apart_and_totals_go_on) {
    StateMaps state = open();
    count(state.current(), 5);
    const std::size_t pins = list_pins(directory_).size();
    ASSERT_TRUE(state.open_canary());
    EXPECT_NE(find(state.canary_current(), kServices), find(state.current(), kServices));
    EXPECT_EQ(find(state.canary_current(), "slc_frags"), find(state.current(), "slc_frags"));
    EXPECT_EQ(find(state.canary_current(), "slc_flows"), find(state.current(), "slc_flows"));
    count(state.canary_current(), 3);
    count(state.current(), 5 + 20);
    EXPECT_EQ(state.services()[kService].packets, 28u);
    EXPECT_EQ(state.reasons()[16].bytes, 2800u);
    EXPECT_EQ(state.canary_totals().services[kService].packets, 3u);
    EXPECT_EQ(state.canary_totals().reasons[16].packets, 3u);
    EXPECT_EQ(state.other_totals().services[kService].packets, 20u);
    const std::size_t with_canary = list_pins(directory_).size();
    EXPECT_GT(with_canary, pins);
    // The next one: the same maps, from zero.
    ASSERT_TRUE(state.open_canary());
    EXPECT_EQ(list_pins(directory_).size(), with_canary);
    EXPECT_EQ(state.canary_totals().services[kService].packets, 0u);
    count(state.canary_current(), 3 + 4);
    EXPECT_EQ(state.canary_totals().services[kService].packets, 4u);
    EXPECT_EQ(state.services()[kService].packets, 32u);
}

TEST_F(StateMapsTest, what_a_canary_has_counted_is_known_to_the_next_process) {
    {
        StateMaps state = open();
        ASSERT_TRUE(state.open_canary());
        count(state.canary_current(), 10);
        ASSERT_TRUE(state.open_canary());
        count(state.canary_current(), 11);
    }
    const StateMaps again = open();
    EXPECT_EQ(again.canary_totals().services[kService].packets, 1u);
    EXPECT_EQ(again.services()[kService].packets, 11u);
}

TEST_F(StateMapsTest, after_a_promotion_the_next_canary_counts_in_the_other_set) {
    StateMaps state = open();
    count(state.current(), 5);
    ASSERT_TRUE(state.open_canary());
    const int promoted = find(state.canary_current(), kReasons);
    count(state.canary_current(), 3);
    ASSERT_TRUE(state.open_canary(promoted));
    EXPECT_EQ(find(state.canary_current(), kServices), find(state.current(), kServices));
    count(state.canary_current(), 5 + 1);
    EXPECT_EQ(state.canary_totals().services[kService].packets, 1u);
    EXPECT_EQ(state.other_totals().services[kService].packets, 0u);
    const StateMaps again = open();
    EXPECT_EQ(again.canary_totals().services[kService].packets, 1u);
    EXPECT_EQ(again.services()[kService].packets, 9u);
}

TEST_F(StateMapsTest, a_canary_that_needs_more_has_it_in_both_sets) {
    StateMaps state = open();
    ASSERT_TRUE(state.open_canary());
    count(state.canary_current(), 2);
    ASSERT_TRUE(state.fit(with_services(5000)));
    const std::uint32_t high = 4999;
    set(find(state.canary_current(), kServices), high, slc_service_counter{9, 0, 0, 0});
    EXPECT_EQ(state.canary_totals().services[high].packets, 9u);
    EXPECT_EQ(state.services()[kService].packets, 2u);
    EXPECT_EQ(open().services()[high].packets, 9u);
}

TEST_F(StateMapsTest, without_a_directory_canaries_count_too) {
    auto state = StateMaps::open("", small_sizes());
    ASSERT_TRUE(state);
    ASSERT_TRUE(state->open_canary());
    count(state->canary_current(), 4);
    EXPECT_EQ(state->canary_totals().services[kService].packets, 4u);
    EXPECT_EQ(state->services()[kService].packets, 4u);
}

TEST_F(StateMapsTest, shorter_counters_of_the_version_before_are_part_of_the_sum) {
    // Packets and bytes alone, as a version could have counted that knew no drops.
    const UniqueFd before = leave(kServices, BPF_MAP_TYPE_PERCPU_ARRAY, 16, 256);
    set(before.get(), kService, slc_counter{5, 500});
    {
        StateMaps state = open();
        EXPECT_NE(find(state.current(), kServices), before.get());
        count(state.current(), 7);
        // The generation in force counts on where it did.
        set(before.get(), kService, slc_counter{6, 600});
        EXPECT_EQ(state.services()[kService].packets, 13u);
        EXPECT_EQ(state.services()[kService].bytes, 1300u);
        EXPECT_EQ(state.services()[kService].dropped_packets, 0u);
    }
    EXPECT_EQ(open().services()[kService].packets, 13u);
}

TEST_F(StateMapsTest, shorter_limiters_are_copied) {
    const UniqueFd before = leave("slc_limiters", BPF_MAP_TYPE_PERCPU_ARRAY, 8, 1);
    set(before.get(), 0, slc_u64{77});
    const StateMaps state = open();
    std::vector<slc_limiter> row(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
    const std::uint32_t zero = 0;
    const int now = find(state.current(), "slc_limiters");
    ASSERT_EQ(::bpf_map_lookup_elem(now, &zero, row.data()), 0);
    EXPECT_EQ(row[0].refilled_ns, 77u);
    EXPECT_EQ(row[0].tokens_milli, 0u);
    EXPECT_EQ(row[1].refilled_ns, 0u);
}

TEST_F(StateMapsTest, longer_values_are_refused_by_name_and_size) {
    const UniqueFd later = leave(kServices, BPF_MAP_TYPE_PERCPU_ARRAY, 48, 256);
    const Error error = refusal();
    EXPECT_EQ(error.code, Errc::conflict);
    EXPECT_NE(error.what.find(pin(kServices)), std::string::npos) << error.what;
    EXPECT_NE(error.what.find("48 bytes instead of 32"), std::string::npos) << error.what;
    EXPECT_NE(error.hint.find("start the version that wrote it"), std::string::npos);
}

TEST_F(StateMapsTest, fragments_and_flows_of_another_layout_are_refused) {
    for (const char* name : {"slc_frags", "slc_flows_1_28"}) {
        const UniqueFd other = leave(name, BPF_MAP_TYPE_ARRAY, 32, 64);
        const Error error = refusal();
        EXPECT_EQ(error.code, Errc::conflict) << name;
        EXPECT_NE(error.what.find("32 bytes instead of 64"), std::string::npos) << error.what;
        ASSERT_TRUE(remove_pins(pin(name)));
    }
}

TEST_F(StateMapsTest, a_start_that_is_killed_half_way_has_marked_its_state) {
    ASSERT_TRUE(FlowMap::open(directory_, {6, 28}));
    ASSERT_FALSE(read_pinned_text(pin("meta"))->empty());
    EXPECT_TRUE(StateMaps::open(directory_, small_sizes()));
}

TEST_F(StateMapsTest, state_says_its_version_and_a_later_one_is_refused_by_it) {
    {
        StateMaps state = open();
        count(state.current(), 5);
    }
    const std::string now = "{\"abi\":" + std::to_string(SLC_ABI_VERSION) + "}";
    EXPECT_EQ(*read_pinned_text(pin("meta")), now);
    const std::string before = "{\"abi\":" + std::to_string(SLC_ABI_VERSION - 1) + "}";
    ASSERT_TRUE(write_pinned_text(pin("meta"), before));
    EXPECT_EQ(open().services()[kService].packets, 5u);
    EXPECT_EQ(*read_pinned_text(pin("meta")), now);
    ASSERT_TRUE(remove_pins(pin("meta")));
    EXPECT_EQ(refusal().code, Errc::conflict) << "no version since 3 leaves no mark";
    for (const int version : {SLC_ABI_VERSION + 1, SLC_ABI_VERSION - 2, SLC_ABI_VERSION + 100}) {
        ASSERT_TRUE(write_pinned_text(pin("meta"), "{\"abi\":" + std::to_string(version) + "}"));
        const Error error = refusal();
        EXPECT_EQ(error.code, Errc::conflict);
        EXPECT_NE(error.what.find("version " + std::to_string(version)), std::string::npos)
            << error.what;
        EXPECT_FALSE(FlowMap::open(directory_, {6, 28}));
    }
    ASSERT_TRUE(write_pinned_text(pin("meta"), "something else"));
    EXPECT_EQ(refusal().code, Errc::conflict);
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    std::string why;
    sluice::kernel::g_bpffs = sluice::test::private_bpffs(why);
    if (sluice::kernel::g_bpffs.empty()) {
        std::printf("skipped: unit_state_maps: %s\n", why.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
