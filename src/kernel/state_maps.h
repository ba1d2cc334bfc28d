// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The maps that survive generations and daemons: counters, fragments, rate limiters. They are
/// pinned in <instance>/state. The flow table (flow_map.h) and the samples (sample_map.h) are two
/// of them. A counter map that has become too small for a configuration gets a successor beside it
/// (name_1, name_2, ...): the generations that follow count there, and a reading is the sum over
/// all of them, so that no count is ever lost.
///
/// A canary counts in maps of its own. There are two sets of counter maps, the second made for the
/// first canary and kept: the generation in force counts in one of them, a canary in the other, and
/// a reading is the sum of both, so that totals go on whichever of them goes. What a canary has
/// counted is what its set has more than when it began, which is kept in pin `canary_start`. A
/// canary that has become the generation in force goes on counting where it did; the next one then
/// takes the first set.
///
/// Of another version (state_version.h): a counter map with shorter values (fields were added at
/// their end) becomes the first of its successors, because the generation in force still counts in
/// it. Limiters with shorter values are copied. All else is refused and left as it is.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/flow_map.h"
#include "kernel/interface_counts.h"
#include "kernel/sample_map.h"
#include "sluice/types.h"

namespace sluice::kernel {

static_assert(SLC_REASON_COUNT <= SLC_REASON_ROWS);

/// Entries that a generation needs.
struct StateSizes {
    std::uint32_t services = 0;
    std::uint32_t members = 0;
    std::uint32_t customers = 0;
    std::uint32_t policies = 0;
    std::uint32_t frag_buckets = 0;
    plan::FlowGeometry flows{};
};

/// Sums by id; `reasons` by reason * SLC_FAMPROTO_COUNT + famproto.
struct CounterTotals {
    std::vector<slc_counter> reasons;
    std::vector<slc_service_counter> services;
    std::vector<slc_flow_counter> flows;  ///< By service.
    std::vector<slc_counter> members;
    std::vector<slc_counter> customers;
    std::vector<slc_counter> policies;
};

class StateMaps {
 public:
    /// Finds what is pinned in `directory`, creates and pins what is missing or too small. An empty
    /// directory name means: nothing is pinned (tests, embedding).
    /// Errors: conflict for state of a version, or a map of a layout, that this one cannot take
    /// over; all is left as it is.
    static Result<StateMaps> open(const std::string& directory, const StateSizes& sizes);
    /// With a flow table that was opened before: its tick is needed to compile.
    static Result<StateMaps> open(const std::string& directory, const StateSizes& sizes,
                                  FlowMap flows);

    /// Grows what has become too small; generations loaded later use the new maps.
    Result<void> fit(const StateSizes& sizes);

    /// Takes back the maps that were made since keep_fit(): what they were made for came to
    /// nothing, and no generation that counts there is pinned.
    void undo_fit();
    void keep_fit() { made_.clear(); }

    /// Name in the object (slc_...) and the descriptor to use for it.
    [[nodiscard]] std::vector<std::pair<std::string, int>> current() const;
    /// Of one of the two sets.
    [[nodiscard]] std::vector<std::pair<std::string, int>> maps_of(std::size_t set) const {
        return current_of(set);
    }
    /// The same for a generation that is to be a canary.
    [[nodiscard]] std::vector<std::pair<std::string, int>> canary_current() const;
    [[nodiscard]] std::uint32_t frag_buckets() const;
    /// Entries of a map in use: ids beyond are not counted.
    [[nodiscard]] std::uint32_t capacity(const std::string& name) const;
    [[nodiscard]] FlowMap& flows() { return flows_; }
    [[nodiscard]] const FlowMap& flows() const { return flows_; }
    [[nodiscard]] const SampleMap& samples() const { return samples_; }

    /// Prepares the counters of a canary, before its generation is loaded, and takes the start of
    /// what it counts. `live_counters`: slc_reason_counters of the generation in force, which says
    /// which set it has; -1: the first.
    Result<void> open_canary(int live_counters = -1);
    /// What the canary, and the rest, have counted since open_canary(), also that of an earlier
    /// process. All of what was ever counted when there was none.
    [[nodiscard]] CounterTotals canary_totals() const { return since_start(canary_set_); }
    [[nodiscard]] CounterTotals other_totals() const { return since_start(1 - canary_set_); }

    /// Sums over CPUs and over every successor, of both sets. Indexes beyond a map count nothing.
    [[nodiscard]] std::vector<slc_counter> reasons()
        const;  ///< reason * SLC_FAMPROTO_COUNT + famproto
    [[nodiscard]] std::vector<slc_service_counter> services() const;
    [[nodiscard]] std::vector<slc_counter> members() const;
    [[nodiscard]] slc_counter member(std::uint32_t id) const;  ///< One of members().
    [[nodiscard]] std::vector<slc_counter> customers() const;
    [[nodiscard]] std::vector<slc_counter> policies() const;
    [[nodiscard]] std::vector<slc_flow_counter> flow_counters() const;  ///< By service id.
    /// By ifindex modulo SLC_INTERFACE_ROWS. Without what versions before this one counted.
    [[nodiscard]] std::vector<InterfaceCounts> interfaces() const;
    /// service id * SLC_DROP_ROWS + row of SLC_DROP_REASONS; row 0: all other reasons.
    [[nodiscard]] std::vector<slc_counter> drops() const;
    /// A map of slc_talker_bucket, one for each CPU (talkers of all generations).
    [[nodiscard]] int talkers_fd() const;

    /// Size of each map in use, for `sluice map list`.
    struct Size {
        std::string name;
        std::uint64_t entries = 0;
        std::uint64_t bytes = 0;  ///< Values of all CPUs, all successors.
    };
    [[nodiscard]] std::vector<Size> sizes() const;

 private:
    struct Epoch {
        UniqueFd fd;
        std::uint32_t entries = 0;
        std::uint32_t value_size = 0;  ///< Of another version it may be shorter.
    };
    using Epochs = std::map<std::string, std::vector<Epoch>>;
    /// Raw sums, one value of this version behind the other.
    using Sums = std::map<std::string, std::string>;

    static Result<StateMaps> find(const std::string& directory);
    Result<void> make_missing(const StateSizes& sizes);
    Result<void> find_pinned(const struct StateKind& kind, std::size_t set);
    Result<bool> find_epoch(const struct StateKind& kind, std::size_t set, const std::string& path);
    Result<void> fit_one(const struct StateKind& kind, std::size_t set, std::uint32_t wanted);
    [[nodiscard]] std::vector<std::pair<std::string, int>> current_of(std::size_t set) const;
    // state_counts.cpp
    [[nodiscard]] std::size_t set_of(int counters_fd) const;
    void read_start();
    Result<void> write_start();
    [[nodiscard]] CounterTotals since_start(std::size_t set) const;
    template <typename Value>
    [[nodiscard]] std::vector<Value> sum(const std::string& name, std::size_t set,
                                         std::uint32_t least = 0) const;
    template <typename Value>
    [[nodiscard]] std::vector<Value> sum(const std::string& name) const;
    template <typename Value>
    [[nodiscard]] std::vector<Value> sum_since(const std::string& name, std::size_t set) const;

    std::string directory_;
    std::array<Epochs, 2>
        sets_;  ///< [0] has all kinds, [1] counters only, once there was a canary.
    std::size_t canary_set_ = 1;
    std::vector<std::pair<std::size_t, std::string>> made_;  ///< Set and name, in order.
    std::array<Sums, 2> start_;
    FlowMap flows_;
    SampleMap samples_;
};

}  // namespace sluice::kernel
