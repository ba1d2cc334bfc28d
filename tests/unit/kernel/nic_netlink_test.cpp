// SPDX-License-Identifier: Apache-2.0
//
// Statistics as netlink carries them, as bytes: most drivers that give them are not at hand.
#include "kernel/nic_netlink.h"

#include <gtest/gtest.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <vector>

namespace sluice::kernel {
namespace {

using Bytes = std::vector<std::uint8_t>;

template <typename T>
Bytes bytes_of(const T& value) {
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&value);
    return {raw, raw + sizeof value};
}

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Bytes attribute(std::uint16_t type, const Bytes& data) {
    Bytes out =
        bytes_of(nlattr{static_cast<std::uint16_t>(sizeof(nlattr) + data.size()), type}) + data;
    out.resize(NLA_ALIGN(out.size()));
    return out;
}

Bytes generic(std::uint8_t command, const Bytes& attributes) {
    return bytes_of(genlmsghdr{command, 1, 0}) + attributes;
}

constexpr std::uint8_t kQstatsGet = 12;

TEST(NicNetlink, statistics_of_an_interface) {
    rtnl_link_stats64 raw{};
    raw.rx_packets = 1;
    raw.rx_missed_errors = 2;
    raw.rx_crc_errors = 3;
    raw.tx_dropped = 4;
    ifinfomsg header{};
    header.ifi_index = 7;
    Bytes payload = bytes_of(header) + attribute(IFLA_STATS64, bytes_of(raw));
    const auto got = parse_link_statistics({RTM_NEWLINK, 0, payload});
    ASSERT_TRUE(got);
    EXPECT_EQ(got->ifindex, 7u);
    EXPECT_EQ(got->rx_packets, 1u);
    EXPECT_EQ(got->rx_missed, 2u);
    EXPECT_EQ(got->rx_crc, 3u);
    EXPECT_EQ(got->tx_dropped, 4u);
    EXPECT_FALSE(parse_link_statistics({RTM_DELLINK, 0, payload}));
    EXPECT_FALSE(parse_link_statistics({RTM_NEWLINK, 0, bytes_of(header)}));
    // A kernel whose structure is shorter, or longer, than ours.
    Bytes part = bytes_of(raw);
    part.resize(64);
    payload = bytes_of(header) + attribute(IFLA_STATS64, part);
    EXPECT_EQ(parse_link_statistics({RTM_NEWLINK, 0, payload})->rx_packets, 1u);
    EXPECT_EQ(parse_link_statistics({RTM_NEWLINK, 0, payload})->rx_missed, 0u);
    part = bytes_of(raw);
    part.resize(part.size() + 64);
    payload = bytes_of(header) + attribute(IFLA_STATS64, part);
    EXPECT_EQ(parse_link_statistics({RTM_NEWLINK, 0, payload})->rx_missed, 2u);
}

TEST(NicNetlink, statistics_of_a_queue_have_numbers_of_four_or_eight_bytes) {
    const Bytes four = bytes_of(std::uint32_t{5});
    const Bytes eight = bytes_of(std::uint64_t{1} << 40);
    const Bytes receive =
        generic(kQstatsGet, attribute(1, four) + attribute(2, bytes_of(0u)) +
                                attribute(3, bytes_of(9u)) + attribute(8, eight) +
                                attribute(12, four) + attribute(14, four) + attribute(99, four));
    auto got = parse_queue_statistics({40, 0, receive});
    ASSERT_TRUE(got);
    EXPECT_TRUE(got->is_receive);
    EXPECT_EQ(got->queue, 9u);
    EXPECT_EQ(got->packets, std::uint64_t{1} << 40);
    EXPECT_EQ(got->no_buffer, 5u);
    EXPECT_EQ(got->overrun, 5u);
    EXPECT_FALSE(got->dropped);
    const Bytes transmit =
        generic(kQstatsGet, attribute(2, bytes_of(1u)) + attribute(3, bytes_of(0u)) +
                                attribute(10, four) + attribute(24, four) + attribute(25, eight));
    got = parse_queue_statistics({40, 0, transmit});
    ASSERT_TRUE(got);
    EXPECT_FALSE(got->is_receive);
    EXPECT_EQ(got->dropped, 5u);
    EXPECT_EQ(got->send_error, std::uint64_t{1} << 40);
    // Of the whole device: no queue is named.
    EXPECT_FALSE(parse_queue_statistics({40, 0, generic(kQstatsGet, attribute(8, four))}));
}

TEST(NicNetlink, counters_of_the_mac_and_of_pause_frames) {
    const auto number = [](std::uint64_t value) { return bytes_of(value); };
    const auto stat = [&](std::uint16_t type, std::uint64_t value) {
        return attribute(ETHTOOL_A_STATS_GRP_STAT, attribute(type, number(value)));
    };
    const Bytes mac =
        attribute(ETHTOOL_A_STATS_GRP_ID, bytes_of(std::uint32_t{ETHTOOL_STATS_ETH_MAC})) +
        stat(ETHTOOL_A_STATS_ETH_MAC_5_RX_PKT, 100) + stat(ETHTOOL_A_STATS_ETH_MAC_6_FCS_ERR, 2) +
        stat(ETHTOOL_A_STATS_ETH_MAC_24_OOR_LEN, 3) +
        stat(ETHTOOL_A_STATS_ETH_MAC_25_TOO_LONG_ERR, 4);
    const Bytes other =
        attribute(ETHTOOL_A_STATS_GRP_ID, bytes_of(std::uint32_t{ETHTOOL_STATS_RMON})) +
        stat(ETHTOOL_A_STATS_ETH_MAC_6_FCS_ERR, 77);
    StandardStatistics got;
    read_standard_statistics(
        {30, 0,
         generic(ETHTOOL_MSG_STATS_GET_REPLY,
                 attribute(ETHTOOL_A_STATS_GRP, mac) + attribute(ETHTOOL_A_STATS_GRP, other))},
        got);
    EXPECT_EQ(got.rx_packets, 100u);
    EXPECT_EQ(got.fcs_errors, 2u);
    EXPECT_EQ(got.length_errors, 7u);
    EXPECT_FALSE(got.rx_pause);
    const Bytes pause =
        attribute(ETHTOOL_A_PAUSE_STATS, attribute(ETHTOOL_A_PAUSE_STAT_TX_FRAMES, number(8)) +
                                             attribute(ETHTOOL_A_PAUSE_STAT_RX_FRAMES, number(9)));
    read_standard_statistics({30, 0, generic(ETHTOOL_MSG_PAUSE_GET_REPLY, pause)}, got);
    EXPECT_EQ(got.tx_pause, 8u);
    EXPECT_EQ(got.rx_pause, 9u);
}

}  // namespace
}  // namespace sluice::kernel
