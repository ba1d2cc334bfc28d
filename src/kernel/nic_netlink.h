// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What netlink says about a NIC's counters and queues: rtnetlink's statistics of the interface,
/// family "netdev" (queues, their statistics and interrupts, XDP features) and family "ethtool"
/// (counters under names of IEEE 802.3). Each is absent on kernels or drivers that do not have it,
/// and then says nothing: that is no error.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/netlink.h"

namespace sluice::kernel {

/// Of rtnl_link_stats64, as the driver and the kernel's core fill it in.
struct LinkStatistics {
    std::uint32_t ifindex = 0;
    std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
    std::uint64_t rx_errors = 0, tx_errors = 0, rx_dropped = 0, tx_dropped = 0;
    std::uint64_t rx_missed = 0, rx_over = 0, rx_fifo = 0, rx_crc = 0, rx_length = 0;
};

std::optional<LinkStatistics> parse_link_statistics(const NetlinkMessage& message);

/// Of one queue. What the driver does not count is not set.
struct QueueStatistics {
    std::uint32_t queue = 0;
    bool is_receive = false;
    std::optional<std::uint64_t> packets, bytes;
    std::optional<std::uint64_t> no_buffer;   ///< Receive: no memory was had.
    std::optional<std::uint64_t> dropped;     ///< By the device, for any reason.
    std::optional<std::uint64_t> overrun;     ///< Receive: no descriptor or no room in the device.
    std::optional<std::uint64_t> send_error;  ///< Transmit: packets that were faulty.
};

std::optional<QueueStatistics> parse_queue_statistics(const NetlinkMessage& message);

/// Counters of IEEE 802.3.
struct StandardStatistics {
    std::optional<std::uint64_t> rx_packets, tx_packets;
    std::optional<std::uint64_t> fcs_errors;
    std::optional<std::uint64_t> length_errors;
    std::optional<std::uint64_t> rx_pause, tx_pause;
};

void read_standard_statistics(const NetlinkMessage& message, StandardStatistics& out);

class NicNetlink {
 public:
    /// Belongs to the calling thread's network namespace.
    static Result<NicNetlink> open();

    /// Nothing: there is no such interface.
    Result<std::optional<LinkStatistics>> link(const std::string& interface);
    /// Linux 6.3 and later: kXdpBasic and so on (probe.h).
    std::optional<std::uint64_t> xdp_features(std::uint32_t ifindex);
    /// Linux 6.10 and later, few drivers.
    std::vector<QueueStatistics> queues(std::uint32_t ifindex);
    /// Interrupt of each receive queue. Linux 6.8 and later, few drivers.
    std::map<std::uint32_t, std::uint32_t> receive_interrupts(std::uint32_t ifindex);
    StandardStatistics standard(const std::string& interface);

 private:
    NicNetlink(NetlinkSocket route, NetlinkSocket generic);
    std::uint16_t family(const std::string& name);
    /// Answers of a dump of family "netdev"; refusals say nothing.
    void dump(std::uint8_t command, std::uint16_t ifindex_attribute, std::uint32_t ifindex,
              std::optional<std::uint32_t> scope, const MessageHandler& on_message);

    NetlinkSocket route_;
    NetlinkSocket generic_;
    std::uint16_t netdev_ = 0;  ///< Number of the family; 0: absent.
    std::uint16_t ethtool_ = 0;
};

}  // namespace sluice::kernel
