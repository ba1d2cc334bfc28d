// SPDX-License-Identifier: Apache-2.0
#include "control/metrics_source.h"
#include "node/losses.h"
#include "tests/cli/fake_node.h"

namespace sluice::test {

using node::NicCounter;
using node::NicCounterKind;
using node::NicSource;

/// Degraded: every layer has lost something, on a NIC with two queues and on one without a table.
Result<node::LossCounts> FakeNode::losses() {
    node::LossCounts out;
    for (const auto& interface : status_.interfaces)
        out.interfaces.push_back({interface.name, interface.driver});
    const auto count = [&](const char* name, std::optional<std::uint32_t> queue,
                           NicCounterKind kind, NicSource source, std::uint64_t value) {
        out.nic.push_back({name, queue, kind, source, value});
    };
    count("eth0", {}, NicCounterKind::rx_missed, NicSource::rtnetlink, 0);
    if (status_.degraded) {
        count("eth0", 0, NicCounterKind::rx_missed, NicSource::driver, 120);
        count("eth0", 1, NicCounterKind::rx_missed, NicSource::driver, 31'234'567);
        count("eth0", 0, NicCounterKind::rx_dropped, NicSource::driver, 51'300);
        count("eth0", 0, NicCounterKind::rx_xdp_drop, NicSource::driver, 51'234);
        count("eth0", 1, NicCounterKind::tx_xdp_errors, NicSource::driver, 17);
        count("eth1", {}, NicCounterKind::rx_errors, NicSource::rtnetlink, 6);
        count("eth1", {}, NicCounterKind::rx_crc_errors, NicSource::rtnetlink, 4);
        out.backlogs = {{0, 9000, 0, 12, 0}, {1, 8000, 44, 0, 0}};
    }
    for (const auto& reason : status_.reasons)
        if (reason.label == "tcp_flags_invalid" || reason.label == "backend_unresolved")
            out.decisions.push_back({reason.label, reason.remedy, reason.traffic.packets});
    return out;
}

}  // namespace sluice::test
