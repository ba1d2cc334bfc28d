// SPDX-License-Identifier: Apache-2.0
#include "node/nic_counters.h"

#include <gtest/gtest.h>

#include <set>

#include "node/driver_counters.h"

namespace sluice::node {
namespace {

using Kind = NicCounterKind;

/// "rx_missed 3 = 17", "rx_missed = 17" for the whole interface.
std::string text_of(const NicCounter& counter) {
    const std::string queue = counter.queue ? " " + std::to_string(*counter.queue) : "";
    return std::string(name_of(counter.kind)) + queue + " = " + std::to_string(counter.value);
}

struct DriverCase {
    const char* name;
    const char* driver;
    DriverStatistics statistics;
    std::vector<std::string> want;  ///< Whole interface first, then queues; kinds in their order.
};

const DriverCase kDriverCases[] = {
    {.name = "virtio_net_of_linux_6_1_names_queues_at_length",
     .driver = "virtio_net",
     .statistics = {{"rx_queue_0_packets", 10},
                    {"rx_queue_0_xdp_drops", 3},
                    {"rx_queue_10_drops", 4},
                    {"tx_queue_0_xdp_tx_drops", 5},
                    {"rx_queue_0_kicks", 99}},
     .want = {"rx_packets 0 = 10", "rx_xdp_drop 0 = 3", "tx_xdp_errors 0 = 5",
              "rx_dropped 10 = 4"}},
    {.name = "virtio_net_of_linux_6_18_shows_sums_that_stay_apart",
     .driver = "virtio_net",
     .statistics = {{"rx_xdp_drops", 7}, {"rx0_xdp_drops", 3}, {"rx1_xdp_drops", 4}},
     .want = {"rx_xdp_drop = 7", "rx_xdp_drop 0 = 3", "rx_xdp_drop 1 = 4"}},
    {.name = "ixgbe_ring_and_fifo_losses_are_one_kind",
     .driver = "ixgbe",
     .statistics = {{"rx_no_dma_resources", 5},
                    {"rx_missed_errors", 2},
                    {"alloc_rx_page_failed", 1},
                    {"rx_queue_63_packets", 8},
                    {"tx_flow_control_xoff", 9}},
     .want = {"rx_missed = 7", "tx_pause = 9", "rx_no_buffer = 1", "rx_packets 63 = 8"}},
    {.name = "mlx5_tells_full_rings_from_full_transmit_rings",
     .driver = "mlx5_core",
     .statistics = {{"rx_out_of_buffer", 11},
                    {"rx_discards_phy", 1},
                    {"rx3_xdp_tx_full", 2},
                    {"rx3_xdp_tx_err", 1},
                    {"tx3_xdp_full", 6},
                    {"rx_xdp_tx_full", 2},
                    {"rx3_xdp_tx_mpwqe", 77}},
     .want = {"rx_missed = 12", "rx_xdp_tx_errors = 2", "rx_xdp_tx_errors 3 = 3",
              "tx_xdp_errors 3 = 6"}},
    {.name = "bnxt_has_its_queues_in_brackets",
     .driver = "bnxt_en",
     .statistics = {{"[2]: rx_discards", 4},
                    {"[2]: rx_ucast_packets", 1},
                    {"[2]: rx_mcast_packets", 2},
                    {"rx_total_discard_pkts", 4}},
     .want = {"rx_missed = 4", "rx_packets 2 = 3", "rx_missed 2 = 4"}},
    {.name = "ena_tells_the_limits_of_the_instance",
     .driver = "ena",
     .statistics = {{"bw_in_allowance_exceeded", 2},
                    {"pps_allowance_exceeded", 3},
                    {"queue_0_rx_xdp_aborted", 1},
                    {"queue_0_rx_xdp_invalid", 1}},
     .want = {"allowance_exceeded = 5", "rx_xdp_errors 0 = 2"}},
    {.name = "gve_has_them_behind",
     .driver = "gve",
     .statistics = {{"rx_xdp_tx_errors[4]", 3}, {"rx_no_buffers_posted[4]", 2}},
     .want = {"rx_missed 4 = 2", "rx_xdp_tx_errors 4 = 3"}},
    {.name = "veth_counts_failed_sends_at_both_ends",
     .driver = "veth",
     .statistics = {{"peer_ifindex", 7},
                    {"rx_queue_1_xdp_tx_errors", 3},
                    {"tx_queue_0_xdp_xmit_errors", 2}},
     .want = {"tx_xdp_errors 0 = 2", "rx_xdp_tx_errors 1 = 3"}},
    {.name = "mlx4_and_e1000e",
     .driver = "e1000e",
     .statistics = {{"rx_crc_errors", 2}, {"rx_align_errors", 9}, {"rx_long_length_errors", 1}},
     .want = {"rx_crc_errors = 2", "rx_length_errors = 1"}},
    {.name = "names_that_only_look_like_a_queue_are_none",
     .driver = "virtio_net",
     .statistics = {{"rx_queue__drops", 1},
                    {"rx_queue_x_drops", 1},
                    {"rx_queue_123456_drops", 1},
                    {"rx_queue_1_drops_", 1},
                    {"rx1", 1},
                    {"", 1}},
     .want = {}},
    {.name = "a_driver_without_a_table_says_nothing",
     .driver = "frobnic",
     .statistics = {{"rx_missed_errors", 1}},
     .want = {}},
};

TEST(NicCounters, of_drivers) {
    for (const DriverCase& test : kDriverCases) {
        std::vector<std::string> got;
        for (const NicCounter& counter : driver_counters(test.driver, test.statistics)) {
            EXPECT_EQ(counter.source, NicSource::driver) << test.name;
            got.push_back(text_of(counter));
        }
        EXPECT_EQ(got, test.want) << test.name;
    }
    EXPECT_TRUE(knows_driver("ice"));
    EXPECT_FALSE(knows_driver("frobnic"));
}

TEST(NicCounters, softnet_lines_name_their_cpu_and_half_a_line_is_left_out) {
    const auto backlogs = parse_softnet(
        "1fda2e2e 00005905 0000382b 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
        "00000007 00000000 00000000 00000000 00000000\n"
        "24bc0766 0000094e 00004039 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
        "00000000 00000000 0000000a 00000000 00000000\n"
        "24bc0766 0000094e\n");
    const std::vector<CpuBacklog> want = {{0, 0x1fda2e2e, 0x5905, 0x382b, 7},
                                          {10, 0x24bc0766, 0x94e, 0x4039, 0}};
    EXPECT_EQ(backlogs, want);
    EXPECT_TRUE(parse_softnet("").empty());
}

TEST(NicCounters, loopback_has_its_own_and_what_is_not_there_has_none) {
    const std::vector<std::string> names = {"lo", "nosuch0"};
    const auto counters = read_nic_counters(names);
    ASSERT_TRUE(counters.has_value()) << counters.error().what;
    std::set<std::string> seen;
    for (const NicCounter& counter : *counters) {
        EXPECT_EQ(counter.interface, "lo");
        EXPECT_TRUE(seen.insert(text_of(counter) + name_of(counter.source)).second);
    }
    EXPECT_FALSE(seen.empty());
    const auto backlogs = read_cpu_backlogs();
    ASSERT_TRUE(backlogs.has_value());
    EXPECT_FALSE(backlogs->empty());
}

}  // namespace
}  // namespace sluice::node
