// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The maps that survive generations and daemons: counters, fragments, rate limiters. They are
/// pinned in <instance>/state. The flow table (flow_map.h) and the samples (sample_map.h) are two
/// of them. A counter map that has become too small for a configuration gets a successor beside it
/// (name_1, name_2, ...): the generations that follow count there, and a reading is the sum over
/// all of them, so that no count is ever lost.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/flow_map.h"
#include "kernel/sample_map.h"
#include "sluice/types.h"

namespace sluice::kernel {

/// Rows of slc_reason_counters. Reasons are append-only: room for more than there will be keeps one
/// map for ever, in the agent too.
inline constexpr std::uint32_t kReasonRows = 256;
static_assert(SLC_REASON_COUNT <= kReasonRows);

/// Entries that a generation needs.
struct StateSizes {
    std::uint32_t services = 0;
    std::uint32_t members = 0;
    std::uint32_t customers = 0;
    std::uint32_t policies = 0;
    std::uint32_t frag_buckets = 0;
    plan::FlowGeometry flows{};
};

class StateMaps {
 public:
    /// Finds what is pinned in `directory`, creates and pins what is missing or too small. An empty
    /// directory name means: nothing is pinned (tests, embedding).
    /// Errors: conflict for a pinned map of another layout, which is left as it is.
    static Result<StateMaps> open(const std::string& directory, const StateSizes& sizes);
    /// With a flow table that was opened before: its tick is needed to compile.
    static Result<StateMaps> open(const std::string& directory, const StateSizes& sizes,
                                  FlowMap flows);

    /// Grows what has become too small; generations loaded later use the new maps.
    Result<void> fit(const StateSizes& sizes);

    /// Name in the object (slc_...) and the descriptor to use for it.
    [[nodiscard]] std::vector<std::pair<std::string, int>> current() const;
    [[nodiscard]] std::uint32_t frag_buckets() const;
    [[nodiscard]] FlowMap& flows() { return flows_; }
    [[nodiscard]] const FlowMap& flows() const { return flows_; }
    [[nodiscard]] const SampleMap& samples() const { return samples_; }

    /// Sums over CPUs and over every successor. Indexes beyond a map count nothing.
    [[nodiscard]] std::vector<slc_counter> reasons()
        const;  ///< reason * SLC_FAMPROTO_COUNT + famproto
    [[nodiscard]] std::vector<slc_service_counter> services() const;
    [[nodiscard]] std::vector<slc_counter> members() const;
    [[nodiscard]] slc_counter member(std::uint32_t id) const;  ///< One of members().
    [[nodiscard]] std::vector<slc_counter> customers() const;
    [[nodiscard]] std::vector<slc_counter> policies() const;
    [[nodiscard]] std::vector<slc_flow_counter> flow_counters() const;  ///< By service id.

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
    };
    static Result<StateMaps> open_all_but_flows(const std::string& directory,
                                                const StateSizes& sizes);
    Result<void> fit_one(const struct StateKind& kind, std::uint32_t wanted);
    Result<void> find_pinned(const struct StateKind& kind);
    template <typename Value>
    std::vector<Value> sum(const std::string& name) const;

    std::string directory_;
    std::map<std::string, std::vector<Epoch>> maps_;
    FlowMap flows_;
    SampleMap samples_;
};

}  // namespace sluice::kernel
