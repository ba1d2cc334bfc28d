// SPDX-License-Identifier: Apache-2.0
#include "node/nic_counters.h"

#include <charconv>

#include "base/file.h"
#include "kernel/ethtool.h"
#include "kernel/nic_netlink.h"
#include "node/driver_counters.h"

namespace sluice::node {
namespace {

constexpr const char* kSoftnet = "/proc/net/softnet_stat";

struct KindText {
    const char* name;
    const char* text;
};

constexpr KindText kKinds[] = {
#define SLC_NIC_COUNTER_TEXT(name, text) {#name, text},
    SLC_NIC_COUNTERS(SLC_NIC_COUNTER_TEXT)
#undef SLC_NIC_COUNTER_TEXT
};

/// Collects the counters of one interface from one source after the other.
class Counters {
 public:
    Counters(std::string interface, std::vector<NicCounter>& out)
        : interface_(std::move(interface)), out_(out) {}

    void from(NicSource source, std::optional<std::uint32_t> queue = {}) {
        source_ = source;
        queue_ = queue;
    }
    void add(NicCounterKind kind, std::optional<std::uint64_t> value) {
        if (value) out_.push_back({interface_, queue_, kind, source_, *value});
    }

 private:
    std::string interface_;
    std::vector<NicCounter>& out_;
    NicSource source_ = NicSource::rtnetlink;
    std::optional<std::uint32_t> queue_;
};

void add_link(Counters& out, const kernel::LinkStatistics& link) {
    out.from(NicSource::rtnetlink);
    out.add(NicCounterKind::rx_packets, link.rx_packets);
    out.add(NicCounterKind::rx_bytes, link.rx_bytes);
    out.add(NicCounterKind::tx_packets, link.tx_packets);
    out.add(NicCounterKind::tx_bytes, link.tx_bytes);
    // Drivers that fill in two of these three count the same packets in them.
    out.add(NicCounterKind::rx_missed, std::max({link.rx_missed, link.rx_over, link.rx_fifo}));
    out.add(NicCounterKind::rx_crc_errors, link.rx_crc);
    out.add(NicCounterKind::rx_length_errors, link.rx_length);
    out.add(NicCounterKind::rx_errors, link.rx_errors);
    out.add(NicCounterKind::rx_dropped, link.rx_dropped);
    out.add(NicCounterKind::tx_dropped, link.tx_dropped);
    out.add(NicCounterKind::tx_errors, link.tx_errors);
}

void add_queue(Counters& out, const kernel::QueueStatistics& queue) {
    out.from(NicSource::netdev, queue.queue);
    if (!queue.is_receive) {
        out.add(NicCounterKind::tx_packets, queue.packets);
        out.add(NicCounterKind::tx_bytes, queue.bytes);
        out.add(NicCounterKind::tx_dropped, queue.dropped);
        out.add(NicCounterKind::tx_errors, queue.send_error);
        return;
    }
    out.add(NicCounterKind::rx_packets, queue.packets);
    out.add(NicCounterKind::rx_bytes, queue.bytes);
    out.add(NicCounterKind::rx_no_buffer, queue.no_buffer);
    // A device that does not tell overruns apart drops for hardly anything else.
    out.add(NicCounterKind::rx_missed, queue.overrun ? queue.overrun : queue.dropped);
}

void add_standard(Counters& out, const kernel::StandardStatistics& standard) {
    out.from(NicSource::ethtool_standard);
    out.add(NicCounterKind::rx_packets, standard.rx_packets);
    out.add(NicCounterKind::tx_packets, standard.tx_packets);
    out.add(NicCounterKind::rx_crc_errors, standard.fcs_errors);
    out.add(NicCounterKind::rx_length_errors, standard.length_errors);
    out.add(NicCounterKind::rx_pause, standard.rx_pause);
    out.add(NicCounterKind::tx_pause, standard.tx_pause);
}

}  // namespace

const char* name_of(NicCounterKind kind) {
    return kKinds[static_cast<std::size_t>(kind)].name;
}

const char* text_of(NicCounterKind kind) {
    return kKinds[static_cast<std::size_t>(kind)].text;
}

const char* name_of(NicSource source) {
    switch (source) {
        case NicSource::rtnetlink:
            return "rtnetlink";
        case NicSource::netdev:
            return "netdev";
        case NicSource::ethtool_standard:
            return "ethtool_standard";
        case NicSource::driver:
            return "driver";
    }
    return "driver";
}

Result<std::vector<NicCounter>> read_nic_counters(std::span<const std::string> interfaces) {
    kernel::NicNetlink netlink = SLC_TRY(kernel::NicNetlink::open(), "NIC counters");
    std::vector<NicCounter> out;
    for (const std::string& interface : interfaces) {
        const auto link = SLC_TRY(netlink.link(interface), "NIC counters");
        if (!link) continue;
        Counters counters(interface, out);
        add_link(counters, *link);
        for (const auto& queue : netlink.queues(link->ifindex)) add_queue(counters, queue);
        add_standard(counters, netlink.standard(interface));
        const kernel::Ethtool ethtool(interface);
        for (NicCounter& counter : driver_counters(ethtool.driver(), ethtool.statistics())) {
            counter.interface = interface;
            out.push_back(std::move(counter));
        }
    }
    return out;
}

std::vector<CpuBacklog> parse_softnet(std::string_view text) {
    // Columns, in hexadecimal: 0 processed, 1 dropped, 2 squeezed, 10 flow limit, 12 the CPU
    // (Linux 5.10). Lines of CPUs that are offline are left out, so the line's number is none.
    std::vector<CpuBacklog> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        std::vector<std::uint64_t> columns;
        while (!line.empty()) {
            std::uint64_t value = 0;
            const auto [last, error] =
                std::from_chars(line.data(), line.data() + line.size(), value, 16);
            if (error != std::errc()) break;
            columns.push_back(value);
            line.remove_prefix(static_cast<std::size_t>(last - line.data()));
            line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        }
        if (columns.size() < 13) continue;
        out.push_back({static_cast<std::uint32_t>(columns[12]), columns[0], columns[1], columns[2],
                       columns[10]});
    }
    return out;
}

Result<std::vector<CpuBacklog>> read_cpu_backlogs() {
    const std::string text = SLC_TRY(read_whole_file(kSoftnet), "CPU backlogs");
    return parse_softnet(text);
}

}  // namespace sluice::node
