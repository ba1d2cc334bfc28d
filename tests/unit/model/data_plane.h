// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The data plane of the model: the slots, the flow table, the accounts and the members that
/// packets of a real node read and write, and the very functions that decide there
/// (abi/sluice/flow_decide.h). It lives on while no daemon does. One packet is one step: races
/// between CPUs are tested elsewhere.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "config/model.h"
#include "plan/flow_plan.h"
#include "plan/transition.h"
#include "sluice/flow.h"

namespace sluice::model {

using plan::Instant;

/// What the data plane knows of a service.
struct Service {
    bool udp = false;
    bool shared = false;  ///< Source affinity: connections of one client share a flow.
    bool always = false;
    std::uint32_t group = 1;
    config::Lifetimes lifetimes;
    std::array<std::uint8_t, SLC_FLOW_CLASSES> ticks{};

    /// How long an idle flow is remembered.
    [[nodiscard]] Instant idle() const { return udp ? lifetimes.udp : lifetimes.established; }
};

struct Table {
    plan::FlowGeometry geometry;
    std::vector<slc_flow_bucket> buckets;

    explicit Table(plan::FlowGeometry of) : geometry(of), buckets(std::size_t{1} << of.log2) {}
    [[nodiscard]] std::uint32_t tick(Instant now) const {
        return static_cast<std::uint32_t>(
            static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count()) >> geometry.shift);
    }
};

struct Member {
    std::uint32_t group = 0;  ///< 0: no such member.
    bool down = false;
    std::uint32_t server = 0;  ///< Which of the model's servers it is, for ever.
};

/// The ring of one group. Words are moved by compare-and-exchange only.
struct Ring {
    std::vector<std::uint64_t> words;
    std::uint32_t log2 = 0;
};

/// What became of a packet.
struct Routed {
    std::uint32_t member = 0;
    std::uint64_t word = 0;    ///< The slot's, as the packet read it.
    slc_flow_answer answer{};  ///< All zero where the table was not asked.
    bool asked = false;
};

struct FlowCounts {
    std::uint64_t packets = 0;
    std::uint64_t asked = 0;
    std::uint64_t hits = 0;
    std::uint64_t inserts = 0;
    std::uint64_t refused = 0;
    std::uint64_t held = 0;
};

class DataPlane {
 public:
    DataPlane(std::vector<Service> services, std::uint32_t groups, plan::FlowGeometry geometry);

    Routed route(const Service& service, std::uint64_t hash, slc_flow_kind kind, Instant now);

    [[nodiscard]] std::uint64_t word(std::uint32_t group, std::uint64_t hash) const;
    [[nodiscard]] int fit(std::uint32_t member, std::uint32_t group) const;
    [[nodiscard]] slc_account* account_of(std::uint32_t member);

    /// A table of another geometry takes over; the one before is being left.
    void resize(plan::FlowGeometry geometry);
    /// Frees an entry if it is still there.
    void free_entry(std::uint64_t& place);
    /// Entries in both tables, dead or alive, by group.
    [[nodiscard]] std::vector<std::uint64_t> entries_by_group() const;

    std::vector<Service> services;
    std::vector<Ring> rings;            ///< By group; [0] is unused.
    std::vector<Member> members;        ///< By id; [0] is unused.
    std::vector<slc_account> accounts;  ///< By group; [0] is the pool.
    Table table;
    std::optional<Table> old;
    FlowCounts counts;

 private:
    void set_ticks();
};

}  // namespace sluice::model
