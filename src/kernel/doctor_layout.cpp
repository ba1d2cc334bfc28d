// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "kernel/doctor_of.h"

namespace sluice::kernel {
namespace {

constexpr const char* kTune = "sluice node tune shows what to change, --apply does";
/// Packets that a queue must be able to hold while its CPU does something else for a moment: 512
/// are a third of a millisecond at 1.5 M packets a second.
constexpr std::uint32_t kMinRing = 512;
constexpr std::uint32_t kMinBudget = 300;
constexpr std::uint32_t kMinBudgetUsecs = 2000;
constexpr std::uint32_t kMaxRxUsecs = 200;

const char* name_of(HashedFlow flow) {
    switch (flow) {
        case HashedFlow::tcp4:
            return "tcp4";
        case HashedFlow::udp4:
            return "udp4";
        case HashedFlow::tcp6:
            return "tcp6";
        case HashedFlow::udp6:
            return "udp6";
    }
    return "udp4";
}

void judge_rings(Findings& out, const InterfaceFacts& facts) {
    const auto& rings = facts.layout.rings;
    if (!rings || rings->rx == 0) return;
    const std::string text =
        fmt::format("{} descriptors of {} in a receive ring", rings->rx, rings->max_rx);
    if (rings->rx < std::min(kMinRing, rings->max_rx))
        out.add("interface.rings", CheckStatus::warn,
                text + ": a burst, or a moment in which the CPU is busy, fills it", kTune);
    else
        out.ok("interface.rings", text);
}

void judge_spread(Findings& out, const InterfaceFacts& facts) {
    const auto& spread = facts.layout.spread;
    const std::uint32_t queues = facts.rx_queues.value_or(0);
    if (!spread || spread->table.empty() || queues < 2) return;
    const std::set<std::uint32_t> used(spread->table.begin(), spread->table.end());
    const std::string text =
        fmt::format("packets are spread over {} of {} receive queues", used.size(), queues);
    // A table can be shorter than there are queues.
    if (used.size() < std::min<std::size_t>(queues, spread->table.size()))
        out.add("interface.spread", CheckStatus::warn, text + ": the others stay idle", kTune);
    else
        out.ok("interface.spread", text);
}

/// Two bytes that repeat make both directions of a connection meet in one queue.
bool is_symmetric(const std::vector<std::uint8_t>& key) {
    if (key.size() < 4) return false;
    for (std::size_t i = 2; i < key.size(); ++i)
        if (key[i] != key[i - 2]) return false;
    return true;
}

void judge_hash(Findings& out, const InterfaceFacts& facts) {
    if (facts.rx_queues.value_or(0) < 2 || facts.layout.hashed.empty()) return;
    std::string without_ports;
    for (const auto& [flow, fields] : facts.layout.hashed) {
        const bool has_ports = fields.find('f') != std::string::npos;
        if (!has_ports)
            without_ports += (without_ports.empty() ? "" : ", ") + std::string(name_of(flow));
    }
    if (!without_ports.empty())
        out.add("interface.hash", CheckStatus::warn,
                "the NIC spreads " + without_ports +
                    " by addresses alone: all flows between two hosts share a queue",
                kTune);
    else
        out.ok("interface.hash", "the NIC spreads by addresses and ports");
    if (facts.layout.spread && !facts.layout.spread->key.empty())
        out.ok("interface.hash_key", is_symmetric(facts.layout.spread->key)
                                         ? "its key is symmetric: fewer different hashes"
                                         : "its key is not symmetric");
}

/// Of the queues in use: a driver may have interrupts ready for more.
std::map<std::uint32_t, QueueInterrupt> used_interrupts(const InterfaceFacts& facts) {
    std::map<std::uint32_t, QueueInterrupt> out = facts.layout.interrupts;
    if (facts.rx_queues)
        std::erase_if(out, [&](const auto& entry) { return entry.first >= *facts.rx_queues; });
    return out;
}

/// Queues by the CPU that their interrupts go to, where it is one.
std::map<std::uint32_t, std::uint32_t> queues_by_cpu(
    const std::map<std::uint32_t, QueueInterrupt>& interrupts) {
    std::map<std::uint32_t, std::uint32_t> out;
    for (const auto& [queue, interrupt] : interrupts) {
        const CpuList& cpus = interrupt.effective.empty() ? interrupt.allowed : interrupt.effective;
        if (cpus.size() == 1) ++out[cpus.front()];
    }
    return out;
}

void judge_interrupts(Findings& out, const InterfaceFacts& facts, const MachineLayout& machine) {
    const auto interrupts = used_interrupts(facts);
    if (interrupts.empty()) return;
    const auto by_cpu = queues_by_cpu(interrupts);
    const CpuList& near = machine.near(facts.layout.numa_node);
    const auto fullest =
        std::max_element(by_cpu.begin(), by_cpu.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    const std::size_t fair =
        (interrupts.size() + near.size() - 1) / std::max<std::size_t>(near.size(), 1);
    if (fullest != by_cpu.end() && fullest->second > std::max<std::size_t>(fair, 1))
        out.add("interface.interrupts", CheckStatus::warn,
                fmt::format("{} receive queues interrupt CPU {}, others are free", fullest->second,
                            fullest->first),
                kTune);
    else
        out.ok("interface.interrupts",
               fmt::format("interrupts of {} receive queue{}, on {} CPU{}", interrupts.size(),
                           interrupts.size() == 1 ? "" : "s", by_cpu.size(),
                           by_cpu.size() == 1 ? "" : "s"));
    if (!facts.layout.numa_node || machine.numa.size() < 2) return;
    const auto far = std::count_if(by_cpu.begin(), by_cpu.end(), [&](const auto& entry) {
        return std::find(near.begin(), near.end(), entry.first) == near.end();
    });
    const std::string place =
        fmt::format("the NIC is at NUMA node {}, CPUs {}", *facts.layout.numa_node, text_of(near));
    if (far > 0)
        out.add("interface.numa", CheckStatus::warn,
                fmt::format("{}; {} of the CPUs that it interrupts are elsewhere", place, far),
                kTune);
    else
        out.ok("interface.numa", place);
}

void judge_pause(Findings& out, const InterfaceFacts& facts) {
    const auto& pause = facts.layout.pause;
    if (!pause) return;
    if (pause->tx)
        out.add("interface.pause", CheckStatus::warn,
                "when it is full, the NIC makes the switch wait: packets are then lost there, also "
                "those of others, and no counter here tells",
                "ethtool -A " + facts.name + " autoneg off tx off (resets the link)");
    else
        out.ok("interface.pause", "the NIC does not make the switch wait");
}

void judge_coalescing(Findings& out, const InterfaceFacts& facts) {
    const auto& coalescing = facts.layout.coalescing;
    const bool is_virtual = facts.driver == "virtio_net" || facts.driver == "veth";
    if (!coalescing || is_virtual) return;
    const std::string set = "ethtool -C " + facts.name + " adaptive-rx on, or rx-usecs 50";
    if (coalescing->adaptive_rx)
        out.ok("interface.coalescing", "interrupts are held back as the load demands");
    else if (coalescing->rx_usecs == 0 && coalescing->rx_frames <= 1)
        out.add("interface.coalescing", CheckStatus::warn, "an interrupt for each packet", set);
    else if (coalescing->rx_usecs > kMaxRxUsecs)
        out.add("interface.coalescing", CheckStatus::warn,
                fmt::format("packets wait for up to {} us", coalescing->rx_usecs), set);
    else
        out.ok("interface.coalescing",
               fmt::format("interrupts are held back {} us", coalescing->rx_usecs));
}

}  // namespace

void judge_machine(Findings& out, const MachineLayout& machine) {
    if (machine.governor == "powersave")
        out.add("kernel.governor", CheckStatus::warn,
                "CPUs save power: the first packets of a burst are slow",
                "cpupower frequency-set -g performance");
    else if (!machine.governor.empty())
        out.ok("kernel.governor", "CPU frequency governor " + machine.governor);
    if (machine.irqbalance)
        out.add("kernel.irqbalance", CheckStatus::warn,
                "irqbalance runs: it moves the interrupts of receive queues between CPUs",
                "systemctl disable --now irqbalance, or ban the NIC's interrupts in "
                "IRQBALANCE_ARGS");
    else
        out.ok("kernel.irqbalance", "nobody moves interrupts");
    if (!machine.budget || !machine.budget_usecs) return;
    const std::string text = fmt::format("a round of receiving: {} packets, {} us", *machine.budget,
                                         *machine.budget_usecs);
    if (*machine.budget < kMinBudget || *machine.budget_usecs < kMinBudgetUsecs)
        out.add("kernel.softnet_budget", CheckStatus::warn, text,
                fmt::format("sysctl -w net.core.netdev_budget={} net.core.netdev_budget_usecs={}",
                            std::max(*machine.budget, kMinBudget),
                            std::max(*machine.budget_usecs, kMinBudgetUsecs)));
    else
        out.ok("kernel.softnet_budget", text);
}

void judge_layout(Findings& out, const InterfaceFacts& facts, const MachineLayout& machine) {
    judge_rings(out, facts);
    judge_spread(out, facts);
    judge_hash(out, facts);
    judge_interrupts(out, facts, machine);
    judge_pause(out, facts);
    judge_coalescing(out, facts);
}

}  // namespace sluice::kernel
