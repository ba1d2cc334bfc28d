// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The walk over the flow table that never ends: it frees what has expired or become void, counts
/// what lives, and tells the rings which slots still have flows that are remembered elsewhere. In
/// steps of bounded work on the event loop; packets go on meanwhile, so every count is of about
/// the time of its pass.

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "control/changes.h"
#include "control/table_status.h"
#include "kernel/flow_map.h"

namespace sluice::control {

/// The result of one pass.
struct FlowTotals {
    plan::Instant began{0};
    plan::Instant ended{0};  ///< 0: no pass has ended yet.
    std::uint64_t live = 0;
    std::array<std::uint64_t, SLC_FLOW_CLASSES> by_class{};
    std::vector<std::array<std::uint64_t, SLC_FLOW_CLASSES>> by_group;  ///< [1 + g]; [0]: none.
    std::vector<std::uint32_t> by_member;                               ///< By member id.
    std::chrono::milliseconds oldest{0};  ///< Longest time since a last packet.
    std::uint64_t leaving = 0;            ///< Of `live`, in the table that is being left.
    std::uint64_t expired = 0;            ///< Not live any more, and still there when it came by.
    AgeHistogram ages{};                  ///< Of the live ones.
};

/// What sweeps have freed since the daemon began.
struct FlowsFreed {
    std::uint64_t expired = 0;
    std::uint64_t evicted = 0;  ///< Before their time: their member failed or left, or was purged.
};

class FlowSweep {
 public:
    /// How long flows of each class live, by group number: the longest of its services.
    using Lifetimes = std::vector<std::array<std::chrono::seconds, SLC_FLOW_CLASSES>>;

    /// One step of at most `buckets`. True when it ended a pass: totals() is new, and the rings
    /// have been told.
    bool step(kernel::FlowMap& flows, const Changes::Scene& scene, Changes& changes,
              const Lifetimes& lifetimes, plan::Instant now, std::size_t buckets);
    /// Entries of members that the generation does not know stay: another one may.
    void keep_unknown(bool keep) { keeps_unknown_ = keep; }
    /// Begins anew: the generation has changed.
    void restart();

    [[nodiscard]] const FlowTotals& totals() const { return totals_; }
    /// Flows that deadlines took from each member since the start, by member id.
    [[nodiscard]] const std::vector<std::uint64_t>& cut() const { return cut_; }
    void count_cut(std::uint32_t member, std::uint64_t flows);
    [[nodiscard]] const FlowsFreed& freed() const { return freed_; }

 private:
    struct Pass;
    void begin(const Changes::Scene& scene, const Changes& changes, plan::Instant now);
    void walk(const kernel::FlowTable& table, bool leaving, const Changes::Scene& scene,
              Changes& changes, const Lifetimes& lifetimes, std::size_t from, std::size_t to);
    bool is_to_go(std::uint64_t entry, std::uint32_t tick, const Changes::Scene& scene) const;
    void let_go(std::uint64_t& place, std::uint64_t entry, std::uint32_t tick,
                const Changes::Scene& scene);
    bool judge(std::uint64_t entry, std::uint64_t hash, std::uint32_t group,
               const Changes::Scene& scene, const Changes& changes);
    void finish(const Changes::Scene& scene, Changes& changes, plan::Instant now);

    FlowTotals totals_;
    FlowTotals pass_;
    bool running_ = false;
    bool keeps_unknown_ = false;
    std::size_t at_ = 0;                  ///< Bucket: first those of the table that is being left.
    std::vector<std::uint64_t> charged_;  ///< By group number: entries that accounts pay for.
    std::vector<std::int64_t> used_before_;   ///< Accounts when the pass began.
    std::vector<std::vector<bool>> foreign_;  ///< By ring; empty for those that are settled.
    std::vector<std::uint64_t> cut_;
    FlowsFreed freed_;
};

/// Age of an entry: the time since its last packet, to a tick.
std::chrono::milliseconds flow_age(std::uint64_t entry, std::uint32_t tick,
                                   std::chrono::seconds lifetime,
                                   const plan::FlowGeometry& geometry);

/// Frees an entry if it is still what was seen; the account of its group is lowered.
bool free_entry(std::uint64_t& place, std::uint64_t seen, kernel::Generation& generation);

/// The longest lifetimes of the services on each group, by group number.
FlowSweep::Lifetimes group_lifetimes(const config::Config& config);

}  // namespace sluice::control
