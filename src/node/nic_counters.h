// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a NIC and the kernel below us count, under one set of names whoever the driver's author
/// was. Read by /metrics, `sluice node drops` and the doctor.
///
/// Every value says where it is from, because the layers count the same packets in different ways:
///
///   rtnetlink         the interface's own statistics; there for every device
///   netdev            per queue, from the driver, under names that the kernel defines (Linux 6.10)
///   ethtool_standard  of the MAC, under names of IEEE 802.3 (few drivers)
///   driver            what `ethtool -S` shows, by a table for each driver (driver_counters.h)
///
/// One (interface, queue, kind, source) appears at most once. Values of different sources must
/// never be added. A queue's value and that of the whole interface (no queue) overlap too.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::node {

// name, what is counted
#define SLC_NIC_COUNTERS(X)                                                                      \
    X(rx_packets, "packets received")                                                            \
    X(rx_bytes, "bytes received")                                                                \
    X(tx_packets, "packets sent")                                                                \
    X(tx_bytes, "bytes sent")                                                                    \
    X(rx_missed, "packets that the NIC lost: its ring or its own memory was full")               \
    X(rx_crc_errors, "frames that arrived damaged")                                              \
    X(rx_length_errors, "frames too short or too long for the NIC")                              \
    X(rx_errors, "frames that the NIC refused for any fault")                                    \
    X(rx_pause, "pause frames received: the peer asked this NIC to wait")                        \
    X(tx_pause, "pause frames sent: this NIC asked the peer to wait")                            \
    X(allowance_exceeded, "packets that the cloud's limits for this machine delayed or dropped") \
    X(rx_no_buffer, "packets lost or delayed because no memory was had for them")                \
    X(rx_dropped, "packets that the driver or the kernel below the protocols dropped")           \
    X(tx_dropped, "packets dropped on their way out")                                            \
    X(tx_errors, "packets that the NIC or driver failed to send")                                \
    X(rx_xdp_packets, "packets that an XDP program saw")                                         \
    X(rx_xdp_pass, "packets that an XDP program passed to the kernel")                           \
    X(rx_xdp_drop, "packets that an XDP program dropped")                                        \
    X(rx_xdp_tx, "packets that an XDP program sent back by the interface they came by")          \
    X(rx_xdp_redirect, "packets that an XDP program sent by another interface")                  \
    X(rx_xdp_errors, "packets lost after an XDP program: it failed, or what it said did")        \
    X(rx_xdp_tx_errors, "packets that XDP_TX lost: the transmit ring was full")                  \
    X(tx_xdp_packets, "packets that XDP programs sent out by this interface")                    \
    X(tx_xdp_errors, "packets redirected here that were lost: the transmit ring was full")

enum class NicCounterKind {
#define SLC_NIC_COUNTER_ENUM(name, text) name,
    SLC_NIC_COUNTERS(SLC_NIC_COUNTER_ENUM)
#undef SLC_NIC_COUNTER_ENUM
};

enum class NicSource { rtnetlink, netdev, ethtool_standard, driver };

/// "rx_missed": the stem of the metric sluice_nic_rx_missed_total.
const char* name_of(NicCounterKind kind);
/// What is counted, without a full stop.
const char* text_of(NicCounterKind kind);
const char* name_of(NicSource source);

struct NicCounter {
    std::string interface;
    std::optional<std::uint32_t> queue;  ///< Receive or transmit queue; nothing: all of them.
    NicCounterKind kind = NicCounterKind::rx_packets;
    NicSource source = NicSource::rtnetlink;
    std::uint64_t value = 0;

    bool operator==(const NicCounter&) const = default;
};

/// In the order of `interfaces`; one that is not there has no counters. Some ten system calls an
/// interface. Fails only when the kernel does not answer.
Result<std::vector<NicCounter>> read_nic_counters(std::span<const std::string> interfaces);

/// The kernel's receive work on one CPU (/proc/net/softnet_stat); counters of the whole machine.
struct CpuBacklog {
    std::uint32_t cpu = 0;
    std::uint64_t processed = 0;      ///< Packets that went to the protocols: not XDP's.
    std::uint64_t dropped = 0;        ///< The CPU's backlog was full.
    std::uint64_t time_squeezed = 0;  ///< Work was left when the time or budget was over.
    std::uint64_t flow_limited = 0;   ///< Dropped because one flow filled the backlog.

    bool operator==(const CpuBacklog&) const = default;
};

/// One for each CPU that is online. The kernel's counters have 32 bits and wrap.
Result<std::vector<CpuBacklog>> read_cpu_backlogs();
/// The same from the file's text.
std::vector<CpuBacklog> parse_softnet(std::string_view text);

}  // namespace sluice::node
