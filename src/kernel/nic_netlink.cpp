// SPDX-License-Identifier: Apache-2.0
#include "kernel/nic_netlink.h"

#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <utility>

namespace sluice::kernel {
namespace {

// Generic netlink "netdev": linux/netdev.h is newer than Debian 12.
constexpr std::uint8_t kDevGet = 1;
constexpr std::uint8_t kQueueGet = 10;
constexpr std::uint8_t kNapiGet = 11;
constexpr std::uint8_t kQstatsGet = 12;
constexpr std::uint16_t kDevIfindex = 1;
constexpr std::uint16_t kDevXdpFeatures = 3;
constexpr std::uint16_t kQueueId = 1;
constexpr std::uint16_t kQueueIfindex = 2;
constexpr std::uint16_t kQueueType = 3;
constexpr std::uint16_t kQueueNapi = 4;
constexpr std::uint16_t kNapiIfindex = 1;
constexpr std::uint16_t kNapiId = 2;
constexpr std::uint16_t kNapiInterrupt = 3;
constexpr std::uint16_t kQstatsIfindex = 1;
constexpr std::uint16_t kQstatsQueueType = 2;
constexpr std::uint16_t kQstatsQueueId = 3;
constexpr std::uint16_t kQstatsScope = 4;
constexpr std::uint32_t kScopeQueue = 1;
constexpr std::uint16_t kQstatsRxPackets = 8;
constexpr std::uint16_t kQstatsRxBytes = 9;
constexpr std::uint16_t kQstatsTxPackets = 10;
constexpr std::uint16_t kQstatsTxBytes = 11;
constexpr std::uint16_t kQstatsRxAllocFail = 12;
constexpr std::uint16_t kQstatsRxHwDrops = 13;
constexpr std::uint16_t kQstatsRxHwOverruns = 14;
constexpr std::uint16_t kQstatsTxHwDrops = 24;
constexpr std::uint16_t kQstatsTxHwErrors = 25;

/// Numbers of family "netdev" are 4 or 8 bytes long, as short as they fit.
std::uint64_t number_of(const Attribute& attribute) {
    return attribute.data.size() >= sizeof(std::uint64_t) ? attribute.as<std::uint64_t>()
                                                          : attribute.u32();
}

void append(std::vector<std::uint8_t>& bytes, std::uint16_t type, ByteSpan data) {
    const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + data.size()), type};
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&header);
    bytes.insert(bytes.end(), raw, raw + sizeof header);
    bytes.insert(bytes.end(), data.begin(), data.end());
    bytes.resize(NLA_ALIGN(bytes.size()));
}

void append_u32(std::vector<std::uint8_t>& bytes, std::uint16_t type, std::uint32_t value) {
    append(bytes, type, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
}

/// A request of family "ethtool" about one interface.
NetlinkRequest about(std::uint16_t family, std::uint8_t command, const std::string& interface,
                     std::uint32_t flags) {
    std::vector<std::uint8_t> header;
    append(header, ETHTOOL_A_HEADER_DEV_NAME,
           {reinterpret_cast<const std::uint8_t*>(interface.c_str()), interface.size() + 1});
    if (flags != 0) append_u32(header, ETHTOOL_A_HEADER_FLAGS, flags);
    NetlinkRequest request(family, 0);
    // The header's attribute has number 1 in every command of the family.
    request.header(genlmsghdr{command, ETHTOOL_GENL_VERSION, 0})
        .put(ETHTOOL_A_STATS_HEADER | NLA_F_NESTED, header);
    return request;
}

void read_mac_group(ByteSpan stats, StandardStatistics& out) {
    for_each_attribute(stats, [&](const Attribute& stat) {
        const auto value = stat.as<std::uint64_t>();
        switch (stat.type) {
            case ETHTOOL_A_STATS_ETH_MAC_2_TX_PKT:
                out.tx_packets = value;
                break;
            case ETHTOOL_A_STATS_ETH_MAC_5_RX_PKT:
                out.rx_packets = value;
                break;
            case ETHTOOL_A_STATS_ETH_MAC_6_FCS_ERR:
                out.fcs_errors = value;
                break;
            case ETHTOOL_A_STATS_ETH_MAC_23_IR_LEN_ERR:
            case ETHTOOL_A_STATS_ETH_MAC_24_OOR_LEN:
            case ETHTOOL_A_STATS_ETH_MAC_25_TOO_LONG_ERR:
                out.length_errors = out.length_errors.value_or(0) + value;
                break;
            default:
                break;
        }
    });
}

void read_group(ByteSpan group, StandardStatistics& out) {
    std::uint32_t id = 0;
    for_each_attribute(group, [&](const Attribute& attribute) {
        if (attribute.type == ETHTOOL_A_STATS_GRP_ID) id = attribute.u32();
        if (attribute.type == ETHTOOL_A_STATS_GRP_STAT && id == ETHTOOL_STATS_ETH_MAC)
            read_mac_group(attribute.data, out);
    });
}

void read_pause(ByteSpan attributes, StandardStatistics& out) {
    for_each_attribute(attributes, [&](const Attribute& attribute) {
        if (attribute.type != ETHTOOL_A_PAUSE_STATS) return;
        for_each_attribute(attribute.data, [&](const Attribute& stat) {
            if (stat.type == ETHTOOL_A_PAUSE_STAT_TX_FRAMES)
                out.tx_pause = stat.as<std::uint64_t>();
            if (stat.type == ETHTOOL_A_PAUSE_STAT_RX_FRAMES)
                out.rx_pause = stat.as<std::uint64_t>();
        });
    });
}

}  // namespace

std::optional<LinkStatistics> parse_link_statistics(const NetlinkMessage& message) {
    if (message.type != RTM_NEWLINK) return std::nullopt;
    std::optional<LinkStatistics> out;
    for_each_attribute(message.attributes<ifinfomsg>(), [&](const Attribute& attribute) {
        if (attribute.type != IFLA_STATS64) return;
        // Newer kernels have a longer structure, older ones a shorter one.
        rtnl_link_stats64 raw{};
        std::memcpy(&raw, attribute.data.data(), std::min(sizeof raw, attribute.data.size()));
        out = LinkStatistics{.ifindex = 0,
                             .rx_packets = raw.rx_packets,
                             .rx_bytes = raw.rx_bytes,
                             .tx_packets = raw.tx_packets,
                             .tx_bytes = raw.tx_bytes,
                             .rx_errors = raw.rx_errors,
                             .tx_errors = raw.tx_errors,
                             .rx_dropped = raw.rx_dropped,
                             .tx_dropped = raw.tx_dropped,
                             .rx_missed = raw.rx_missed_errors,
                             .rx_over = raw.rx_over_errors,
                             .rx_fifo = raw.rx_fifo_errors,
                             .rx_crc = raw.rx_crc_errors,
                             .rx_length = raw.rx_length_errors};
    });
    if (out) out->ifindex = static_cast<std::uint32_t>(message.header<ifinfomsg>().ifi_index);
    return out;
}

std::optional<QueueStatistics> parse_queue_statistics(const NetlinkMessage& message) {
    QueueStatistics out;
    bool has_queue = false;
    for_each_attribute(message.attributes<genlmsghdr>(), [&](const Attribute& attribute) {
        switch (attribute.type) {
            case kQstatsQueueId:
                out.queue = attribute.u32();
                has_queue = true;
                break;
            case kQstatsQueueType:
                out.is_receive = attribute.u32() == 0;
                break;
            case kQstatsRxPackets:
            case kQstatsTxPackets:
                out.packets = number_of(attribute);
                break;
            case kQstatsRxBytes:
            case kQstatsTxBytes:
                out.bytes = number_of(attribute);
                break;
            case kQstatsRxAllocFail:
                out.no_buffer = number_of(attribute);
                break;
            case kQstatsRxHwDrops:
            case kQstatsTxHwDrops:
                out.dropped = number_of(attribute);
                break;
            case kQstatsRxHwOverruns:
                out.overrun = number_of(attribute);
                break;
            case kQstatsTxHwErrors:
                out.send_error = number_of(attribute);
                break;
            default:
                break;
        }
    });
    if (!has_queue) return std::nullopt;
    return out;
}

void read_standard_statistics(const NetlinkMessage& message, StandardStatistics& out) {
    const auto command = message.header<genlmsghdr>().cmd;
    const ByteSpan attributes = message.attributes<genlmsghdr>();
    if (command == ETHTOOL_MSG_PAUSE_GET_REPLY) return read_pause(attributes, out);
    if (command != ETHTOOL_MSG_STATS_GET_REPLY) return;
    for_each_attribute(attributes, [&](const Attribute& attribute) {
        if (attribute.type == ETHTOOL_A_STATS_GRP) read_group(attribute.data, out);
    });
}

NicNetlink::NicNetlink(NetlinkSocket route, NetlinkSocket generic)
    : route_(std::move(route)), generic_(std::move(generic)) {}

Result<NicNetlink> NicNetlink::open() {
    NetlinkSocket route = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "NIC counters");
    NetlinkSocket generic = SLC_TRY(NetlinkSocket::open(NETLINK_GENERIC), "NIC counters");
    NicNetlink out(std::move(route), std::move(generic));
    out.netdev_ = out.family("netdev");
    out.ethtool_ = out.family(ETHTOOL_GENL_NAME);
    return out;
}

std::uint16_t NicNetlink::family(const std::string& name) {
    std::uint16_t number = 0;
    NetlinkRequest request(GENL_ID_CTRL, 0);
    request.header(genlmsghdr{CTRL_CMD_GETFAMILY, 1, 0}).put_text(CTRL_ATTR_FAMILY_NAME, name);
    const auto reply = generic_.exchange(std::move(request), [&](const NetlinkMessage& message) {
        for_each_attribute(message.attributes<genlmsghdr>(), [&](const Attribute& attribute) {
            if (attribute.type == CTRL_ATTR_FAMILY_ID) number = attribute.u16();
        });
    });
    return reply && reply->error == 0 ? number : std::uint16_t{0};
}

void NicNetlink::dump(std::uint8_t command, std::uint16_t ifindex_attribute, std::uint32_t ifindex,
                      std::optional<std::uint32_t> scope, const MessageHandler& on_message) {
    if (netdev_ == 0) return;
    NetlinkRequest request(netdev_, NLM_F_DUMP);
    request.header(genlmsghdr{command, 1, 0}).put_u32(ifindex_attribute, ifindex);
    if (scope) request.put_u32(kQstatsScope, *scope);
    const auto reply = generic_.exchange(std::move(request), on_message);
    (void)reply.has_value();  // What was not answered was not counted.
}

Result<std::optional<LinkStatistics>> NicNetlink::link(const std::string& interface) {
    std::optional<LinkStatistics> out;
    NetlinkRequest request(RTM_GETLINK, 0);
    request.header(ifinfomsg{}).put_text(IFLA_IFNAME, interface);
    const NetlinkReply reply =
        SLC_TRY(route_.exchange(std::move(request),
                                [&](const NetlinkMessage& message) {
                                    if (auto found = parse_link_statistics(message)) out = found;
                                }),
                "statistics of " + interface);
    if (reply.error != 0 && reply.error != ENODEV)
        return fail(sys_error(reply.error, "statistics of " + interface));
    return out;
}

std::optional<std::uint64_t> NicNetlink::xdp_features(std::uint32_t ifindex) {
    std::optional<std::uint64_t> features;
    if (netdev_ == 0) return features;
    NetlinkRequest request(netdev_, 0);
    request.header(genlmsghdr{kDevGet, 1, 0}).put_u32(kDevIfindex, ifindex);
    const auto reply = generic_.exchange(std::move(request), [&](const NetlinkMessage& message) {
        for_each_attribute(message.attributes<genlmsghdr>(), [&](const Attribute& attribute) {
            if (attribute.type == kDevXdpFeatures) features = attribute.as<std::uint64_t>();
        });
    });
    return reply && reply->error == 0 ? features : std::nullopt;
}

std::vector<QueueStatistics> NicNetlink::queues(std::uint32_t ifindex) {
    std::vector<QueueStatistics> out;
    dump(kQstatsGet, kQstatsIfindex, ifindex, kScopeQueue, [&](const NetlinkMessage& message) {
        if (auto queue = parse_queue_statistics(message)) out.push_back(*queue);
    });
    return out;
}

std::map<std::uint32_t, std::uint32_t> NicNetlink::receive_interrupts(std::uint32_t ifindex) {
    std::map<std::uint32_t, std::uint32_t> queue_of_napi;
    dump(kQueueGet, kQueueIfindex, ifindex, {}, [&](const NetlinkMessage& message) {
        std::optional<std::uint32_t> napi;
        std::uint32_t queue = 0;
        bool is_receive = false;
        for_each_attribute(message.attributes<genlmsghdr>(), [&](const Attribute& attribute) {
            if (attribute.type == kQueueId) queue = attribute.u32();
            if (attribute.type == kQueueType) is_receive = attribute.u32() == 0;
            if (attribute.type == kQueueNapi) napi = attribute.u32();
        });
        if (is_receive && napi) queue_of_napi[*napi] = queue;
    });
    std::map<std::uint32_t, std::uint32_t> out;
    if (queue_of_napi.empty()) return out;
    dump(kNapiGet, kNapiIfindex, ifindex, {}, [&](const NetlinkMessage& message) {
        std::optional<std::uint32_t> interrupt;
        std::uint32_t napi = 0;
        for_each_attribute(message.attributes<genlmsghdr>(), [&](const Attribute& attribute) {
            if (attribute.type == kNapiId) napi = attribute.u32();
            if (attribute.type == kNapiInterrupt) interrupt = attribute.u32();
        });
        const auto queue = queue_of_napi.find(napi);
        if (interrupt && queue != queue_of_napi.end()) out[queue->second] = *interrupt;
    });
    return out;
}

StandardStatistics NicNetlink::standard(const std::string& interface) {
    StandardStatistics out;
    if (ethtool_ == 0) return out;
    const auto read = [&](const NetlinkMessage& message) {
        read_standard_statistics(message, out);
    };
    std::vector<std::uint8_t> groups;
    append(groups, ETHTOOL_A_BITSET_NOMASK, {});
    append_u32(groups, ETHTOOL_A_BITSET_SIZE, __ETHTOOL_STATS_CNT);
    append_u32(groups, ETHTOOL_A_BITSET_VALUE, 1u << ETHTOOL_STATS_ETH_MAC);
    NetlinkRequest statistics = about(ethtool_, ETHTOOL_MSG_STATS_GET, interface, 0);
    statistics.put(ETHTOOL_A_STATS_GROUPS | NLA_F_NESTED, groups);
    const auto first = generic_.exchange(std::move(statistics), read);
    const auto second = generic_.exchange(
        about(ethtool_, ETHTOOL_MSG_PAUSE_GET, interface, ETHTOOL_FLAG_STATS), read);
    // Drivers without them refuse, and then nothing is set.
    (void)first.has_value();
    (void)second.has_value();
    return out;
}

}  // namespace sluice::kernel
