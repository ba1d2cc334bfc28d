// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Reads how full the tables of the data plane are, once a second, and asks observe::TableWatch
/// what that means. The controller calls tick() and logs what it answers; maps() and top show the
/// rest. What a tick costs is bounded, however large the tables are: the flow table is counted by
/// its sweep, the fragments and the services' counters are gone through in slices, and groups are
/// watched only where they come near their ceiling.

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/flow_sweep.h"
#include "control/loaded.h"
#include "control/table_status.h"
#include "kernel/state_maps.h"
#include "observe/table_watch.h"

namespace sluice::control {

/// The fragment table as the last walk over it found it.
struct FragTotals {
    bool counted = false;  ///< A walk has ended.
    std::uint64_t live = 0;
    std::uint64_t expired = 0;
    std::chrono::seconds oldest{0};
    AgeHistogram ages{};
    std::vector<ServiceUse> services;  ///< Names of the generation in force; most first.
};

/// Records of the generation's own tables in use. They change with the generation only.
struct TablesInUse {
    std::uint64_t vips = 0;
    std::uint64_t ports = 0;
};

class TableReader {
 public:
    /// Referred to for the time of a call only.
    struct Scene {
        const kernel::StateMaps& state;
        const Loaded& live;
        const FlowSweep& sweep;
    };

    /// What somebody must be told. Once a second.
    std::vector<observe::TableNews> tick(const Scene& scene, plan::Instant now);

    [[nodiscard]] const FragTotals& frags() const { return frags_; }
    [[nodiscard]] const observe::TableWatch& watch() const { return watch_; }
    /// Nothing: not watched (yet).
    [[nodiscard]] std::optional<observe::TableView> trend(std::string_view table) const;
    [[nodiscard]] const TablesInUse& in_use(const Loaded& live);

    /// How "slc_flows" and a group's part of it are called in events: "slc_flows/web".
    static std::string group_table(const std::string& group) { return "slc_flows/" + group; }

 private:
    /// Sums of all services' counters, by the last walk over them.
    struct FlowCounts {
        std::uint64_t inserts = 0;
        std::uint64_t refused = 0;
        bool counted = false;
    };

    void count_flows(const kernel::StateMaps& state);
    void count_frags(const Scene& scene);
    void finish_frags(const Loaded& live);
    [[nodiscard]] bool stays_watched(const std::string& group, double part) const;
    void read_groups(const Scene& scene, std::vector<observe::TableReading>& to);

    observe::TableWatch watch_;
    FlowCounts flows_;
    FlowCounts flows_pass_;
    std::uint32_t flows_at_ = 0;  ///< Service id that the next slice begins with.
    FragTotals frags_;
    FragTotals frags_pass_;
    std::map<std::uint32_t, std::uint64_t> frag_services_;  ///< Of the pass, by service id.
    std::uint32_t frags_at_ = 0;                            ///< Bucket, likewise.
    kernel::MappedValue frag_memory_;
    std::set<std::string> groups_;  ///< Those that are watched.
    std::optional<TablesInUse> in_use_;
    std::uint32_t in_use_of_ = 0;  ///< gen/<n>.
};

}  // namespace sluice::control
