// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Where packets get lost: counters of all layers in one table, each packet in one row of it.
/// `sluice node drops` prints it.
///
///   hardware   before the driver: the NIC's ring or memory was full, the frame was damaged
///   driver     the driver or the kernel's core: no memory, nobody to take it
///   xdp        after our program had decided: a transmit ring was full, a redirect failed
///   cpu        the kernel's backlog of a CPU was full: no CPU left
///   decision   we dropped it, for the reason that is named
///
/// Layers overlap: a driver's sum beside its queues, rx_dropped that counts XDP's drops too. What
/// is known to be counted twice is taken out here, and of several sources that count the same
/// packets the one that knows most is taken.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "node/nic_counters.h"

namespace sluice::node {

struct LossCounts {
    struct Interface {
        std::string name;
        std::string driver;  ///< "virtio_net"; empty if unknown.
    };
    struct Decision {
        std::string reason;  ///< Label.
        std::string remedy;
        std::uint64_t packets = 0;
    };
    std::vector<Interface> interfaces;
    std::vector<NicCounter> nic;
    std::vector<CpuBacklog> backlogs;
    std::vector<Decision> decisions;  ///< Reasons of drops only.
};

enum class LossLayer { hardware, driver, xdp, cpu, decision };

inline constexpr LossLayer kLossLayers[] = {LossLayer::hardware, LossLayer::driver, LossLayer::xdp,
                                            LossLayer::cpu, LossLayer::decision};

/// "hardware".
const char* name_of(LossLayer layer);
/// What is lost there, for people.
const char* text_of(LossLayer layer);

struct Loss {
    LossLayer layer = LossLayer::hardware;
    std::string interface;               ///< Empty: of the machine.
    std::optional<std::uint32_t> queue;  ///< Of `interface`; nothing: of none, or of all.
    std::optional<std::uint32_t> cpu;
    std::string counter;  ///< "rx_missed"; a reason's label where we decided.
    std::string source;   ///< As of NicCounter; "softnet", "reasons".
    std::uint64_t packets = 0;
    std::string remedy;
    bool is_loss = true;  ///< False: `packets` are occasions that go before losses.

    bool operator==(const Loss&) const = default;
};

/// Rows that are not zero: by layer, then in the order of `counts`.
std::vector<Loss> losses(const LossCounts& counts);

/// What is read from the machine, for interfaces of these names; `decisions` stays empty.
Result<LossCounts> read_losses(const std::vector<std::string>& interfaces);

}  // namespace sluice::node
