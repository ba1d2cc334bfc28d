// SPDX-License-Identifier: Apache-2.0
#include "node/losses.h"

#include <gtest/gtest.h>

namespace sluice::node {
namespace {

using Kind = NicCounterKind;
using Source = NicSource;

/// "hardware eth0/1 rx_missed driver 17"
std::string text_of(const Loss& loss) {
    std::string place = loss.interface;
    if (loss.queue) place += "/" + std::to_string(*loss.queue);
    if (loss.cpu) place = "cpu" + std::to_string(*loss.cpu);
    return std::string(name_of(loss.layer)) + " " + place + " " + loss.counter + " " + loss.source +
           " " + std::to_string(loss.packets) + (loss.is_loss ? "" : " times");
}

NicCounter counter(std::optional<std::uint32_t> queue, Kind kind, Source source,
                   std::uint64_t value) {
    return {"eth0", queue, kind, source, value};
}

struct LossCase {
    const char* name;
    const char* driver;
    std::vector<NicCounter> nic;
    std::vector<std::string> want;
};

const LossCase kLossCases[] = {
    {.name = "nothing_lost_is_no_row",
     .driver = "ixgbe",
     .nic = {counter({}, Kind::rx_missed, Source::rtnetlink, 0),
             counter({}, Kind::rx_packets, Source::rtnetlink, 9)},
     .want = {}},
    {.name = "queues_are_rows_and_their_sum_is_none",
     .driver = "bnxt_en",
     .nic = {counter(0, Kind::rx_missed, Source::driver, 3),
             counter(1, Kind::rx_missed, Source::driver, 4),
             counter({}, Kind::rx_missed, Source::driver, 7)},
     .want = {"hardware eth0/0 rx_missed driver 3", "hardware eth0/1 rx_missed driver 4"}},
    {.name = "what_no_queue_tells_is_a_row_of_the_interface",
     .driver = "bnxt_en",
     .nic = {counter(0, Kind::rx_missed, Source::driver, 3),
             counter({}, Kind::rx_missed, Source::driver, 10)},
     .want = {"hardware eth0/0 rx_missed driver 3", "hardware eth0 rx_missed driver 7"}},
    {.name = "one_source_is_taken_and_it_is_the_one_that_knows_most",
     .driver = "mlx5_core",
     .nic = {counter({}, Kind::rx_missed, Source::driver, 12),
             counter({}, Kind::rx_missed, Source::rtnetlink, 11),
             counter({}, Kind::rx_crc_errors, Source::ethtool_standard, 2),
             counter({}, Kind::rx_crc_errors, Source::rtnetlink, 0)},
     .want = {"hardware eth0 rx_missed driver 12",
              "hardware eth0 rx_crc_errors ethtool_standard 2"}},
    {.name = "what_xdp_dropped_by_decision_is_no_loss_of_virtio_net",
     .driver = "virtio_net",
     .nic = {counter(0, Kind::rx_dropped, Source::driver, 105),
             counter(0, Kind::rx_xdp_drop, Source::driver, 100),
             counter(1, Kind::rx_dropped, Source::driver, 50),
             counter(1, Kind::rx_xdp_drop, Source::driver, 50),
             counter({}, Kind::rx_dropped, Source::driver, 155),
             counter({}, Kind::rx_xdp_drop, Source::driver, 150)},
     .want = {"driver eth0/0 rx_dropped driver 5"}},
    {.name = "other_drivers_count_drops_by_xdp_apart",
     .driver = "veth",
     .nic = {counter(0, Kind::rx_dropped, Source::driver, 105),
             counter(0, Kind::rx_xdp_drop, Source::driver, 100)},
     .want = {"driver eth0/0 rx_dropped driver 105"}},
    {.name = "rx_dropped_of_ice_is_what_the_hardware_missed",
     .driver = "ice",
     .nic = {counter({}, Kind::rx_dropped, Source::rtnetlink, 8),
             counter({}, Kind::rx_missed, Source::driver, 6)},
     .want = {"hardware eth0 rx_missed driver 6", "driver eth0 rx_dropped rtnetlink 2"}},
    {.name = "rx_errors_is_a_sum_of_others_of_which_the_rest_is_told",
     .driver = "igb",
     .nic = {counter({}, Kind::rx_errors, Source::rtnetlink, 10),
             counter({}, Kind::rx_crc_errors, Source::rtnetlink, 4),
             counter({}, Kind::rx_length_errors, Source::rtnetlink, 3)},
     .want = {"hardware eth0 rx_crc_errors rtnetlink 4",
              "hardware eth0 rx_length_errors rtnetlink 3", "hardware eth0 rx_errors rtnetlink 3"}},
    {.name = "full_transmit_rings_are_xdp_s",
     .driver = "mlx5_core",
     .nic = {counter(2, Kind::rx_xdp_tx_errors, Source::driver, 6),
             counter(3, Kind::tx_xdp_errors, Source::driver, 7)},
     .want = {"xdp eth0/2 rx_xdp_tx_errors driver 6", "xdp eth0/3 tx_xdp_errors driver 7"}},
    {.name = "counters_of_another_interface_are_not_mixed_in",
     .driver = "veth",
     .nic = {{"eth1", {}, Kind::rx_missed, Source::rtnetlink, 5}},
     .want = {}},
};

TEST(Losses, each_packet_is_in_one_row) {
    for (const LossCase& test : kLossCases) {
        LossCounts counts;
        counts.interfaces = {{"eth0", test.driver}};
        counts.nic = test.nic;
        std::vector<std::string> got;
        for (const Loss& loss : losses(counts)) {
            EXPECT_NE(loss.remedy, "") << test.name;
            got.push_back(text_of(loss));
        }
        EXPECT_EQ(got, test.want) << test.name;
    }
}

TEST(Losses, rows_come_by_layer_and_squeezed_time_is_no_loss) {
    LossCounts counts;
    counts.interfaces = {{"eth0", "ixgbe"}, {"eth1", "ixgbe"}};
    counts.nic = {{"eth1", {}, Kind::rx_missed, Source::driver, 1},
                  {"eth0", {}, Kind::tx_dropped, Source::rtnetlink, 2}};
    counts.backlogs = {{0, 100, 0, 3, 0}, {2, 100, 4, 0, 0}, {3, 100, 0, 0, 0}};
    counts.decisions = {{"land", "somebody forges", 5}, {"udp_len", "", 0}};
    std::vector<std::string> got;
    for (const Loss& loss : losses(counts)) got.push_back(text_of(loss));
    const std::vector<std::string> want = {
        "hardware eth1 rx_missed driver 1", "driver eth0 tx_dropped rtnetlink 2",
        "cpu cpu0 time_squeezed softnet 3 times", "cpu cpu2 backlog_full softnet 4",
        "decision  land reasons 5"};
    EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace sluice::node
