// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What applying a configuration would change, as a value: computed, shown, tested, applied. Every
/// change names the road that it takes and why that is consistent; the plan takes the most
/// far-reaching road of its changes, unless another is forced. Pure.
///
///   road      for                                              atomic because
///   entry     weight and state of backends, deadlines, shares   slots move one by one through
///             of the flow table, on_down                        transitions, each by one aligned
///                                                               store; templates by a fresh cell
///   map       backends added and removed, rings that grow       written where nobody reads, then
///                                                               one store of the ring's descriptor
///   program   everything else                                   one slot of the program array
///
/// `none` is for what packets never see: tests, comments, order.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "plan/image.h"

namespace sluice::plan {

enum class Road { none, entry, map, program };
const char* name_of(Road road);
std::optional<Road> road_of(std::string_view word);

enum class ChangeKind { added, removed, changed };
const char* name_of(ChangeKind kind);

/// One line of a plan.
struct Change {
    ChangeKind kind = ChangeKind::changed;
    std::string what;    ///< "service web", "backend web/10.0.0.5", "node", "interface eth1".
    std::string field;   ///< "weight", "ports"; empty for added and removed.
    std::string before;  ///< As the configuration writes it; empty when added.
    std::string after;
    Road road = Road::none;
    std::string why;  ///< Why that road is consistent, and no cheaper one; a sentence.
};

/// Part of a ring's slots that get another owner.
struct RingMove {
    std::string group;
    config::Balance balance = config::Balance::maglev;
    std::uint32_t slots = 0;  ///< Of the ring as it will be.
    std::uint32_t moved = 0;  ///< Slots; those of the former ring counted as often as they repeat.
};

/// Use of one table after the change.
struct TableUse {
    std::string name;
    std::uint64_t used = 0;
    std::uint64_t capacity = 0;  ///< Of the limit that would refuse more; 0: none but memory.
    std::uint64_t bytes = 0;
};

/// Measured coefficients of the roads (docs/performance.md, "Roads").
struct Estimate {
    std::chrono::microseconds time{0};  ///< Until in effect, proof not included.
    std::uint64_t memory = 0;           ///< Bytes beside what is in use now.
};

struct ChangePlan {
    std::vector<Change> changes;  ///< In the order of the new configuration; removed ones last.
    Road road = Road::none;       ///< The cheapest that is consistent for all of them.
    std::vector<RingMove> moves;  ///< Rings of which slots move; empty when none do.
    std::uint64_t slots = 0;      ///< Of all rings.
    std::uint64_t moved = 0;
    std::vector<TableUse> tables;
    Estimate estimate;               ///< By `road`.
    std::vector<Estimate> by_road;   ///< [0] entry, [1] map, [2] program; time 0: not consistent.
    bool loses_rollback = false;     ///< A state map of another size: see `note`.
    std::vector<std::string> notes;  ///< What else the operator should know.
    [[nodiscard]] bool empty() const { return changes.empty(); }
};

/// What runs, as far as planning needs it.
struct Running {
    const config::Config* config = nullptr;  ///< nullptr: nothing yet.
    const Image* image = nullptr;
    const IdStore* ids = nullptr;
    Overrides overrides;
    /// Of the loaded tables: what may still be added without another program.
    std::uint32_t free_members = 0;  ///< Ids above the highest in use that have a record.
    std::uint32_t free_cells = 0;
    std::uint32_t free_slots = 0;  ///< In the slot pool, behind the last ring.
    std::uint32_t free_server_ids = 0;
};

/// `image` is `next` compiled. Overrides stay in force over the change.
ChangePlan make_plan(const Running& running, const config::Config& next, const Image& image,
                     const IdStore& ids);

/// Whether the plan may take `forced`; Errc::conflict names the change that it is not consistent
/// for. A dearer road than the cheapest always is, but none is for no change.
Result<void> check_road(const ChangePlan& plan, Road forced);

/// Drift: what differs between a configuration and what runs, runtime overrides included ("weight
/// 10 (override, 5 in the file)"). Roads are those that applying the configuration would take.
std::vector<Change> make_drift(const config::Config& running, const Overrides& overrides,
                               const config::Config& file);

}  // namespace sluice::plan
