// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What to change of a NIC so that every CPU takes its part of the packets, as steps in an order in
/// which they can be made. Planning is pure, so that NICs that are not at hand can be planned for
/// in tests; tuning_log.h carries steps out and takes them back.
///
/// A setting has a name and a value, both text, as they are printed, recorded and undone:
///
///   feature rx-lro   on | off
///   spread           equal | 0,1,0,1,...           receive queue by hash
///   channels         other 1 combined 8            queues, without those that there are none of
///   rings            rx 1024 tx 1024               descriptors of each queue
///   hash udp4        sdfn                          fields, as ethtool's rx-flow-hash
///   affinity 3       0-3                           CPUs of receive queue 3's interrupt

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/nic_layout.h"

namespace sluice::node {

/// All that is asked about an interface before it is tuned.
struct TunedNic {
    std::string name;
    std::uint32_t ifindex = 0;
    std::string driver;
    bool has_xdp = false;  ///< Some XDP program is attached: packets are being handled.
    kernel::NicLayout layout;
    std::uint64_t rx_lost = 0;  ///< So far, because a receive ring was full.
    std::uint64_t tx_lost = 0;  ///< So far, because a transmit ring was full.
};

struct TuningWish {
    std::uint32_t queues = 0;  ///< 0: one for each CPU.
    kernel::CpuList cpus{};    ///< Empty: those near the NIC.
    bool allow_reset = false;  ///< Also while packets are being handled.
};

struct TuningStep {
    std::string setting;
    std::string present;  ///< Empty: it is known only when the steps before are made.
    std::string wanted;
    std::string why;
    bool resets_link = false;  ///< Or the queues: packets are lost for a moment.
    /// When it fails, the interface goes back to how it was; what is not needed is left out.
    bool is_needed = false;

    bool operator==(const TuningStep&) const = default;
};

struct RefusedStep {
    TuningStep step;
    std::string because;

    bool operator==(const RefusedStep&) const = default;
};

struct TuningPlan {
    std::string interface;
    std::uint32_t ifindex = 0;
    bool allow_reset = false;  ///< As it was wished, for taking back what of it was made.
    std::vector<TuningStep> steps;
    std::vector<RefusedStep> refused;  ///< Wanted, but not as things are.
    std::vector<std::string> notes;    ///< What no step of this can change.
};

TuningPlan plan_tuning(const TunedNic& nic, const kernel::MachineLayout& machine,
                       const TuningWish& wish);

/// One for each name. Errc::not_found for an interface that is not there.
Result<std::vector<TunedNic>> read_nics(const std::vector<std::string>& interfaces);

/// Whether the driver makes the link or its queues anew for this setting; yes if it is not known.
bool resets_link(const std::string& driver, const std::string& setting);

// Values as text, and back. Errc::invalid for what is none.

std::string text_of(const kernel::Channels& channels);
std::string text_of(const kernel::RingSizes& rings);
/// "equal" when the queues come in turn, which is what drivers begin with.
std::string text_of(const std::vector<std::uint32_t>& table, std::uint32_t queues);
Result<kernel::Channels> parse_channels(const std::string& text);
Result<kernel::RingSizes> parse_rings(const std::string& text);
/// Empty for "equal".
Result<std::vector<std::uint32_t>> parse_table(const std::string& text);

}  // namespace sluice::node
