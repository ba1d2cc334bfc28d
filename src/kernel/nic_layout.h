// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How a NIC's work is laid out over this machine: queues, rings, interrupts, CPUs, memory. Read by
/// the doctor and by the tuning (node/tuning.h); nothing is changed here.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/ethtool.h"

namespace sluice::kernel {

using CpuList = std::vector<std::uint32_t>;

/// "0-3,8" and back. Errc::invalid with the end of a sentence that begins with the text.
Result<CpuList> parse_cpu_list(std::string_view text);
std::string text_of(const CpuList& cpus);

/// The interrupt of one receive queue.
struct QueueInterrupt {
    std::uint32_t number = 0;
    CpuList allowed;    ///< /proc/irq/N/smp_affinity_list.
    CpuList effective;  ///< Where it goes in fact; empty if the kernel does not say.

    bool operator==(const QueueInterrupt&) const = default;
};

struct NicLayout {
    std::optional<Channels> channels;
    std::optional<RingSizes> rings;
    std::optional<ReceiveSpread> spread;
    std::map<HashedFlow, std::string> hashed;  ///< As Ethtool::hashed_fields.
    std::map<std::string, OffloadState> features;
    std::optional<PauseFrames> pause;
    std::optional<Coalescing> coalescing;
    std::optional<std::uint32_t> numa_node;              ///< Nothing: all memory is alike.
    std::map<std::uint32_t, QueueInterrupt> interrupts;  ///< By receive queue.
};

struct MachineLayout {
    CpuList cpus;                           ///< Online.
    std::map<std::uint32_t, CpuList> numa;  ///< By node.
    bool irqbalance = false;                ///< It runs.
    std::string governor;                   ///< Of CPU 0: "performance"; empty if there is none.
    std::optional<std::uint32_t> budget;    ///< net.core.netdev_budget: packets a round.
    std::optional<std::uint32_t> budget_usecs;  ///< net.core.netdev_budget_usecs

    /// CPUs of that node; all of them when it is none.
    [[nodiscard]] const CpuList& near(std::optional<std::uint32_t> node) const;
};

NicLayout read_nic_layout(const std::string& interface, std::uint32_t ifindex);
MachineLayout read_machine_layout();

/// The interrupt of each receive queue, from the text of /proc/interrupts, by the names that
/// drivers give them: "eth0-TxRx-3", "mlx5_comp3@pci:0000:41:00.0", "virtio2-input.3". Only of
/// `device`, where that is not empty; else of those that name the interface.
std::map<std::uint32_t, std::uint32_t> parse_interrupts(std::string_view text,
                                                        const std::string& interface,
                                                        const std::set<std::uint32_t>& device);

/// Where the affinity of an interrupt is read and written.
std::string affinity_path(std::uint32_t interrupt);
/// The interrupts of an interface's receive queues, as they are now.
std::map<std::uint32_t, QueueInterrupt> read_interrupts(const std::string& interface,
                                                        std::uint32_t ifindex);

}  // namespace sluice::kernel
