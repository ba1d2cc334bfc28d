// SPDX-License-Identifier: Apache-2.0
#include "node/driver_counters.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>

namespace sluice::node {
namespace {

using Kind = NicCounterKind;

/// '#' stands for a queue's number; all else must be as it is.
struct Pattern {
    std::string_view name;
    Kind kind;
};

// drivers/net/virtio_net.c. Names were rx_queue_0_drops until Linux 6.9 and are rx0_drops since,
// with sums of all queues beside them. hw_drops counts overruns too, where the host tells them.
constexpr Pattern kVirtioNet[] = {
    {"rx_queue_#_packets", Kind::rx_packets},
    {"rx_queue_#_bytes", Kind::rx_bytes},
    {"rx_queue_#_drops", Kind::rx_dropped},
    {"rx_queue_#_xdp_packets", Kind::rx_xdp_packets},
    {"rx_queue_#_xdp_tx", Kind::rx_xdp_tx},
    {"rx_queue_#_xdp_redirects", Kind::rx_xdp_redirect},
    {"rx_queue_#_xdp_drops", Kind::rx_xdp_drop},
    {"tx_queue_#_packets", Kind::tx_packets},
    {"tx_queue_#_bytes", Kind::tx_bytes},
    {"tx_queue_#_xdp_tx", Kind::tx_xdp_packets},
    {"tx_queue_#_xdp_tx_drops", Kind::tx_xdp_errors},
    {"rx#_packets", Kind::rx_packets},
    {"rx#_bytes", Kind::rx_bytes},
    {"rx#_drops", Kind::rx_dropped},
    {"rx#_hw_drop_overruns", Kind::rx_missed},
    {"rx#_xdp_packets", Kind::rx_xdp_packets},
    {"rx#_xdp_tx", Kind::rx_xdp_tx},
    {"rx#_xdp_redirects", Kind::rx_xdp_redirect},
    {"rx#_xdp_drops", Kind::rx_xdp_drop},
    {"tx#_packets", Kind::tx_packets},
    {"tx#_bytes", Kind::tx_bytes},
    {"tx#_xdp_tx", Kind::tx_xdp_packets},
    {"tx#_xdp_tx_drops", Kind::tx_xdp_errors},
    {"rx_drops", Kind::rx_dropped},
    {"rx_xdp_packets", Kind::rx_xdp_packets},
    {"rx_xdp_tx", Kind::rx_xdp_tx},
    {"rx_xdp_redirects", Kind::rx_xdp_redirect},
    {"rx_xdp_drops", Kind::rx_xdp_drop},
    {"tx_xdp_tx", Kind::tx_xdp_packets},
    {"tx_xdp_tx_drops", Kind::tx_xdp_errors},
};

// drivers/net/veth.c. "drops" are frames for which no memory was had, or whose redirect failed.
constexpr Pattern kVeth[] = {
    {"rx_queue_#_xdp_packets", Kind::rx_packets},
    {"rx_queue_#_xdp_bytes", Kind::rx_bytes},
    {"rx_queue_#_drops", Kind::rx_dropped},
    {"rx_queue_#_xdp_redirect", Kind::rx_xdp_redirect},
    {"rx_queue_#_xdp_drops", Kind::rx_xdp_drop},
    {"rx_queue_#_xdp_tx", Kind::rx_xdp_tx},
    {"rx_queue_#_xdp_tx_errors", Kind::rx_xdp_tx_errors},
    {"tx_queue_#_xdp_xmit", Kind::tx_xdp_packets},
    {"tx_queue_#_xdp_xmit_errors", Kind::tx_xdp_errors},
};

// drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c. rx_no_dma_resources: no free descriptor;
// rx_missed_errors: the NIC's own memory was full.
constexpr Pattern kIxgbe[] = {
    {"rx_queue_#_packets", Kind::rx_packets},
    {"rx_queue_#_bytes", Kind::rx_bytes},
    {"tx_queue_#_packets", Kind::tx_packets},
    {"tx_queue_#_bytes", Kind::tx_bytes},
    {"rx_no_dma_resources", Kind::rx_missed},
    {"rx_missed_errors", Kind::rx_missed},
    {"rx_crc_errors", Kind::rx_crc_errors},
    {"rx_long_length_errors", Kind::rx_length_errors},
    {"rx_short_length_errors", Kind::rx_length_errors},
    {"rx_no_buffer_count", Kind::rx_no_buffer},
    {"alloc_rx_page_failed", Kind::rx_no_buffer},
    {"alloc_rx_buff_failed", Kind::rx_no_buffer},
    {"rx_flow_control_xoff", Kind::rx_pause},
    {"tx_flow_control_xoff", Kind::tx_pause},
};

// drivers/net/ethernet/intel/i40e/i40e_ethtool.c. rx_dropped: no free descriptor of this function;
// port.*: of the wire, with those of other functions.
constexpr Pattern kI40e[] = {
    {"rx-#.packets", Kind::rx_packets},
    {"rx-#.bytes", Kind::rx_bytes},
    {"tx-#.packets", Kind::tx_packets},
    {"tx-#.bytes", Kind::tx_bytes},
    {"rx_dropped", Kind::rx_missed},
    {"rx_missed_errors", Kind::rx_missed},
    {"port.rx_dropped", Kind::rx_missed},
    {"port.rx_discards", Kind::rx_missed},
    {"port.rx_crc_errors", Kind::rx_crc_errors},
    {"port.rx_length_errors", Kind::rx_length_errors},
    {"port.rx_undersize", Kind::rx_length_errors},
    {"port.rx_oversize", Kind::rx_length_errors},
    {"rx_alloc_fail", Kind::rx_no_buffer},
    {"rx_pg_alloc_fail", Kind::rx_no_buffer},
    {"port.link_xoff_rx", Kind::rx_pause},
    {"port.link_xoff_tx", Kind::tx_pause},
};

// drivers/net/ethernet/intel/ice/ice_ethtool.c; *.nic: of the port.
constexpr Pattern kIce[] = {
    {"rx_queue_#_packets", Kind::rx_packets},
    {"rx_queue_#_bytes", Kind::rx_bytes},
    {"tx_queue_#_packets", Kind::tx_packets},
    {"tx_queue_#_bytes", Kind::tx_bytes},
    {"rx_dropped", Kind::rx_missed},
    {"rx_dropped.nic", Kind::rx_missed},
    {"rx_crc_errors.nic", Kind::rx_crc_errors},
    {"rx_length_errors.nic", Kind::rx_length_errors},
    {"rx_undersize.nic", Kind::rx_length_errors},
    {"rx_oversize.nic", Kind::rx_length_errors},
    {"rx_alloc_fail", Kind::rx_no_buffer},
    {"rx_pg_alloc_fail", Kind::rx_no_buffer},
    {"tx_errors", Kind::tx_errors},
    {"link_xoff_rx.nic", Kind::rx_pause},
    {"link_xoff_tx.nic", Kind::tx_pause},
};

// drivers/net/ethernet/intel/igb/igb_ethtool.c and igc/igc_ethtool.c. rx_no_buffer_count: no free
// descriptor, but the packet may have waited in the NIC; rx_missed_errors: it did not.
constexpr Pattern kIgb[] = {
    {"rx_queue_#_packets", Kind::rx_packets},
    {"rx_queue_#_bytes", Kind::rx_bytes},
    {"rx_queue_#_drops", Kind::rx_missed},
    {"rx_queue_#_alloc_failed", Kind::rx_no_buffer},
    {"tx_queue_#_packets", Kind::tx_packets},
    {"tx_queue_#_bytes", Kind::tx_bytes},
    {"rx_missed_errors", Kind::rx_missed},
    {"rx_no_buffer_count", Kind::rx_no_buffer},
    {"rx_crc_errors", Kind::rx_crc_errors},
    {"rx_long_length_errors", Kind::rx_length_errors},
    {"rx_short_length_errors", Kind::rx_length_errors},
    {"rx_flow_control_xoff", Kind::rx_pause},
    {"tx_flow_control_xoff", Kind::tx_pause},
};

// drivers/net/ethernet/intel/e1000e/ethtool.c
constexpr Pattern kE1000e[] = {
    {"rx_packets", Kind::rx_packets},
    {"rx_bytes", Kind::rx_bytes},
    {"tx_packets", Kind::tx_packets},
    {"tx_bytes", Kind::tx_bytes},
    {"rx_missed_errors", Kind::rx_missed},
    {"rx_no_buffer_count", Kind::rx_no_buffer},
    {"alloc_rx_buff_failed", Kind::rx_no_buffer},
    {"rx_dma_failed", Kind::rx_no_buffer},
    {"rx_crc_errors", Kind::rx_crc_errors},
    {"rx_long_length_errors", Kind::rx_length_errors},
    {"rx_short_length_errors", Kind::rx_length_errors},
    {"rx_flow_control_xoff", Kind::rx_pause},
    {"tx_flow_control_xoff", Kind::tx_pause},
};

// drivers/net/ethernet/mellanox/mlx5/core/en_stats.c; explained in the kernel's
// Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst. Values without a
// number are sums of all queues. rx_out_of_buffer: no free descriptor; *_phy: of the wire.
constexpr Pattern kMlx5[] = {
    {"rx#_packets", Kind::rx_packets},
    {"rx#_bytes", Kind::rx_bytes},
    {"rx#_xdp_drop", Kind::rx_xdp_drop},
    {"rx#_xdp_redirect", Kind::rx_xdp_redirect},
    {"rx#_xdp_tx_xmit", Kind::rx_xdp_tx},
    {"rx#_xdp_tx_full", Kind::rx_xdp_tx_errors},
    {"rx#_xdp_tx_err", Kind::rx_xdp_tx_errors},
    {"rx#_buff_alloc_err", Kind::rx_no_buffer},
    {"tx#_packets", Kind::tx_packets},
    {"tx#_bytes", Kind::tx_bytes},
    {"tx#_xdp_xmit", Kind::tx_xdp_packets},
    {"tx#_xdp_full", Kind::tx_xdp_errors},
    {"tx#_xdp_err", Kind::tx_xdp_errors},
    {"rx_xdp_drop", Kind::rx_xdp_drop},
    {"rx_xdp_redirect", Kind::rx_xdp_redirect},
    {"rx_xdp_tx_xmit", Kind::rx_xdp_tx},
    {"rx_xdp_tx_full", Kind::rx_xdp_tx_errors},
    {"rx_xdp_tx_err", Kind::rx_xdp_tx_errors},
    {"rx_buff_alloc_err", Kind::rx_no_buffer},
    {"tx_xdp_xmit", Kind::tx_xdp_packets},
    {"tx_xdp_full", Kind::tx_xdp_errors},
    {"tx_xdp_err", Kind::tx_xdp_errors},
    {"tx_queue_dropped", Kind::tx_dropped},
    {"rx_out_of_buffer", Kind::rx_missed},
    {"rx_discards_phy", Kind::rx_missed},
    {"rx_crc_errors_phy", Kind::rx_crc_errors},
    {"rx_in_range_len_errors_phy", Kind::rx_length_errors},
    {"rx_out_of_range_len_phy", Kind::rx_length_errors},
    {"rx_oversize_pkts_phy", Kind::rx_length_errors},
    {"rx_undersize_pkts_phy", Kind::rx_length_errors},
    {"tx_errors_phy", Kind::tx_errors},
    {"rx_pause_ctrl_phy", Kind::rx_pause},
    {"tx_pause_ctrl_phy", Kind::tx_pause},
};

// drivers/net/ethernet/mellanox/mlx4/en_ethtool.c
constexpr Pattern kMlx4[] = {
    {"rx#_packets", Kind::rx_packets},
    {"rx#_bytes", Kind::rx_bytes},
    {"rx#_dropped", Kind::rx_no_buffer},
    {"rx#_xdp_drop", Kind::rx_xdp_drop},
    {"rx#_xdp_redirect", Kind::rx_xdp_redirect},
    {"rx#_xdp_redirect_fail", Kind::rx_xdp_errors},
    {"rx#_xdp_tx", Kind::rx_xdp_tx},
    {"rx#_xdp_tx_full", Kind::rx_xdp_tx_errors},
    {"tx#_packets", Kind::tx_packets},
    {"tx#_bytes", Kind::tx_bytes},
    {"rx_xdp_drop", Kind::rx_xdp_drop},
    {"rx_xdp_redirect", Kind::rx_xdp_redirect},
    {"rx_xdp_redirect_fail", Kind::rx_xdp_errors},
    {"rx_xdp_tx", Kind::rx_xdp_tx},
    {"rx_xdp_tx_full", Kind::rx_xdp_tx_errors},
    {"rx_fifo_errors", Kind::rx_missed},
    {"rx_crc_errors", Kind::rx_crc_errors},
    {"rx_length_errors", Kind::rx_length_errors},
    {"rx_pause", Kind::rx_pause},
    {"tx_pause", Kind::tx_pause},
};

// drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c. rx_discards: no free descriptor.
constexpr Pattern kBnxt[] = {
    {"[#]: rx_ucast_packets", Kind::rx_packets},   {"[#]: rx_mcast_packets", Kind::rx_packets},
    {"[#]: rx_bcast_packets", Kind::rx_packets},   {"[#]: rx_ucast_bytes", Kind::rx_bytes},
    {"[#]: rx_mcast_bytes", Kind::rx_bytes},       {"[#]: rx_bcast_bytes", Kind::rx_bytes},
    {"[#]: rx_discards", Kind::rx_missed},         {"[#]: rx_drops", Kind::rx_errors},
    {"[#]: rx_errors", Kind::rx_errors},           {"[#]: rx_buf_errors", Kind::rx_no_buffer},
    {"[#]: tx_ucast_packets", Kind::tx_packets},   {"[#]: tx_mcast_packets", Kind::tx_packets},
    {"[#]: tx_bcast_packets", Kind::tx_packets},   {"[#]: tx_discards", Kind::tx_dropped},
    {"[#]: tx_errors", Kind::tx_errors},           {"rx_total_discard_pkts", Kind::rx_missed},
    {"rx_total_oom_discards", Kind::rx_no_buffer}, {"tx_total_discard_pkts", Kind::tx_dropped},
    {"rx_fcs_err_frames", Kind::rx_crc_errors},    {"rx_ovrsz_frames", Kind::rx_length_errors},
    {"rx_undrsz_frames", Kind::rx_length_errors},  {"rx_pause_frames", Kind::rx_pause},
    {"tx_pause_frames", Kind::tx_pause},
};

// drivers/net/ethernet/amazon/ena/ena_ethtool.c. The allowances are those of the instance's type.
constexpr Pattern kEna[] = {
    {"queue_#_rx_cnt", Kind::rx_packets},
    {"queue_#_rx_bytes", Kind::rx_bytes},
    {"queue_#_rx_page_alloc_fail", Kind::rx_no_buffer},
    {"queue_#_rx_skb_alloc_fail", Kind::rx_no_buffer},
    {"queue_#_rx_empty_rx_ring", Kind::rx_no_buffer},
    {"queue_#_rx_xdp_aborted", Kind::rx_xdp_errors},
    {"queue_#_rx_xdp_invalid", Kind::rx_xdp_errors},
    {"queue_#_rx_xdp_drop", Kind::rx_xdp_drop},
    {"queue_#_rx_xdp_pass", Kind::rx_xdp_pass},
    {"queue_#_rx_xdp_tx", Kind::rx_xdp_tx},
    {"queue_#_rx_xdp_redirect", Kind::rx_xdp_redirect},
    {"queue_#_tx_cnt", Kind::tx_packets},
    {"queue_#_tx_bytes", Kind::tx_bytes},
    {"queue_#_xdp_tx_cnt", Kind::tx_xdp_packets},
    {"rx_overruns", Kind::rx_missed},
    {"bw_in_allowance_exceeded", Kind::allowance_exceeded},
    {"bw_out_allowance_exceeded", Kind::allowance_exceeded},
    {"pps_allowance_exceeded", Kind::allowance_exceeded},
    {"conntrack_allowance_exceeded", Kind::allowance_exceeded},
};

// drivers/net/ethernet/google/gve/gve_ethtool.c
constexpr Pattern kGve[] = {
    {"rx_bytes[#]", Kind::rx_bytes},
    {"rx_skb_alloc_fail[#]", Kind::rx_no_buffer},
    {"rx_buf_alloc_fail[#]", Kind::rx_no_buffer},
    {"rx_no_buffers_posted[#]", Kind::rx_missed},
    {"rx_xdp_aborted[#]", Kind::rx_xdp_errors},
    {"rx_xdp_drop[#]", Kind::rx_xdp_drop},
    {"rx_xdp_pass[#]", Kind::rx_xdp_pass},
    {"rx_xdp_tx[#]", Kind::rx_xdp_tx},
    {"rx_xdp_redirect[#]", Kind::rx_xdp_redirect},
    {"rx_xdp_tx_errors[#]", Kind::rx_xdp_tx_errors},
    {"rx_xdp_redirect_errors[#]", Kind::rx_xdp_errors},
    {"rx_xdp_alloc_fails[#]", Kind::rx_no_buffer},
    {"tx_xdp_xmit[#]", Kind::tx_xdp_packets},
    {"tx_xdp_xmit_errors[#]", Kind::tx_xdp_errors},
};

// drivers/net/hyperv/netvsc_drv.c
constexpr Pattern kNetvsc[] = {
    {"rx_queue_#_packets", Kind::rx_packets},   {"rx_queue_#_bytes", Kind::rx_bytes},
    {"rx_queue_#_xdp_drop", Kind::rx_xdp_drop}, {"rx_queue_#_xdp_redirect", Kind::rx_xdp_redirect},
    {"rx_queue_#_xdp_tx", Kind::rx_xdp_tx},     {"tx_queue_#_packets", Kind::tx_packets},
    {"tx_queue_#_bytes", Kind::tx_bytes},       {"tx_queue_#_xdp_xmit", Kind::tx_xdp_packets},
    {"rx_no_memory", Kind::rx_no_buffer},
};

// drivers/net/ethernet/microsoft/mana/mana_ethtool.c
constexpr Pattern kMana[] = {
    {"rx_#_packets", Kind::rx_packets},
    {"rx_#_bytes", Kind::rx_bytes},
    {"rx_#_xdp_drop", Kind::rx_xdp_drop},
    {"rx_#_xdp_tx", Kind::rx_xdp_tx},
    {"rx_#_xdp_redirect", Kind::rx_xdp_redirect},
    {"tx_#_packets", Kind::tx_packets},
    {"tx_#_bytes", Kind::tx_bytes},
    {"tx_#_xdp_xmit", Kind::tx_xdp_packets},
    {"hc_rx_discards_no_wqe", Kind::rx_missed},
};

struct Driver {
    std::string_view name;
    std::span<const Pattern> patterns;
};

constexpr Driver kDrivers[] = {
    {"virtio_net", kVirtioNet},
    {"veth", kVeth},
    {"ixgbe", kIxgbe},
    {"i40e", kI40e},
    {"ice", kIce},
    {"igb", kIgb},
    {"igc", kIgb},
    {"e1000e", kE1000e},
    {"mlx5_core", kMlx5},
    {"mlx4_en", kMlx4},
    {"bnxt_en", kBnxt},
    {"ena", kEna},
    {"gve", kGve},
    {"hv_netvsc", kNetvsc},
    {"mana", kMana},
};

const Driver* find_driver(std::string_view name) {
    const auto* const found =
        std::find_if(std::begin(kDrivers), std::end(kDrivers),
                     [&](const Driver& driver) { return driver.name == name; });
    return found == std::end(kDrivers) ? nullptr : found;
}

bool is_digit(char c) {
    return '0' <= c && c <= '9';
}

/// Queue number where the pattern has one.
struct Match {
    std::optional<std::uint32_t> queue;
};

std::optional<Match> match(std::string_view pattern, std::string_view name) {
    const std::size_t mark = pattern.find('#');
    if (mark == std::string_view::npos)
        return pattern == name ? std::optional<Match>(Match{}) : std::nullopt;
    const std::string_view tail = pattern.substr(mark + 1);
    if (!name.starts_with(pattern.substr(0, mark)) || !name.ends_with(tail)) return std::nullopt;
    if (name.size() < mark + tail.size() + 1) return std::nullopt;
    const std::string_view digits = name.substr(mark, name.size() - mark - tail.size());
    constexpr std::size_t kMaxDigits = 5;  // Of a queue's number, which has 16 bits.
    if (digits.size() > kMaxDigits || !std::all_of(digits.begin(), digits.end(), is_digit))
        return std::nullopt;
    std::uint32_t queue = 0;
    for (const char digit : digits) queue = queue * 10 + static_cast<std::uint32_t>(digit - '0');
    return Match{queue};
}

}  // namespace

bool knows_driver(std::string_view driver) {
    return find_driver(driver) != nullptr;
}

std::vector<NicCounter> driver_counters(std::string_view driver,
                                        const DriverStatistics& statistics) {
    std::vector<NicCounter> out;
    const Driver* table = find_driver(driver);
    if (table == nullptr) return out;
    std::map<std::pair<std::optional<std::uint32_t>, Kind>, std::uint64_t> values;
    for (const auto& [name, value] : statistics) {
        for (const Pattern& pattern : table->patterns) {
            const auto found = match(pattern.name, name);
            if (!found) continue;
            values[{found->queue, pattern.kind}] += value;
            break;
        }
    }
    for (const auto& [key, value] : values)
        out.push_back({{}, key.first, key.second, NicSource::driver, value});
    return out;
}

}  // namespace sluice::node
