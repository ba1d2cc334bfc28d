// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Programs under test.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "bench/driver.h"
#include "config/model.h"
#include "kernel/generation.h"
#include "plan/next_hop.h"

namespace sluice::bench {

/// How Sluice is configured for a scenario.
struct SluiceSetup {
    config::Forward forward4 = config::Forward::ipip;  ///< Of the IPv4 services.
    config::Forward forward6 = config::Forward::ipip;
    bool backend4_is_ip6 = false;  ///< Backends of the IPv4 VIP have IPv6 addresses.
    bool backend6_is_ip6 = true;
    bool ip4 = true;
    bool ip6 = true;
    unsigned backends = 100;
    unsigned prefixes = 0;      ///< VIP prefixes beside the VIPs.
    unsigned flow_entries = 0;  ///< Places of the flow table; 0: as by default.
    bool samples = true;        ///< As by default: one packet of 1,024.
    bool counts = true;         ///< False: what nobody would run, to know what counting costs.
};

config::Config config_of(const SluiceSetup& setup);

/// A next hop out of the loopback interface, where a test run's packets come from: XDP_TX.
plan::NextHop test_hop();

/// The balancer as sluiced loads it, behind the root program.
class SluiceTarget {
 public:
    using HopOf = std::function<plan::NextHop(const IpAddress& backend)>;
    /// `features`: SLC_FEATURE_* beside those that the configuration needs.
    static Result<SluiceTarget> load(const config::Config& config, const HopOf& hop_of,
                                     std::uint32_t features = 0);
    /// Every backend by test_hop().
    static Result<SluiceTarget> load(const SluiceSetup& setup);

    [[nodiscard]] int program() const { return root_.program_fd("slc_root"); }
    [[nodiscard]] std::uint32_t instructions() const;
    [[nodiscard]] const char* instruction_set() const { return kernel::name_of(isa_); }

    /// Gives every slot these flags (SLC_SLOT_*) and its owner as the former owner too.
    void flag_slots(std::uint64_t flags);
    /// Of packets in marked slots, all services and CPUs.
    struct Followed {
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;
    };
    [[nodiscard]] Followed followed() const;

 private:
    SluiceTarget(kernel::StateMaps state, kernel::Generation generation, kernel::BpfObject root)
        : state_(std::move(state)), generation_(std::move(generation)), root_(std::move(root)) {}

    kernel::InstructionSet isa_ = kernel::InstructionSet::v4;
    kernel::StateMaps state_;
    kernel::Generation generation_;
    kernel::BpfObject root_;
};

/// bench/bpf/classic.bpf.c with 100 backends of each family.
class ClassicTarget {
 public:
    /// A flow table for one CPU. It outlives programs, so that they can be loaded again.
    static Result<UniqueFd> make_flow_table(std::uint32_t flows);
    static Result<ClassicTarget> load(int flow_table, unsigned cpu);

    [[nodiscard]] int program() const { return program_of(object_.get(), "classic_lb"); }
    /// New flows that are remembered in a second; no bound while the table is being filled.
    Result<void> limit_new_flows(bool limited);

 private:
    Result<void> fill();
    ObjectPtr object_;
};

/// Some other XDP program, pinned by its owner.
struct PinnedTarget {
    std::string name;
    UniqueFd program;
    bool frags = false;

    /// "NAME=PATH". Errors: invalid, not_found, denied.
    static Result<PinnedTarget> open(const std::string& argument);
};

}  // namespace sluice::bench
