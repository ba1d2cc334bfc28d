// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Operator and daemon of the model: what backends a group shall have, the planner that says which
/// slots they own (plan/ring.h), the transitions that bring them there, and the sweeper. The daemon
/// may be killed and started again; then only what the data plane holds is left of it.
///
/// What this does is what any daemon has to do. The rules that are easily missed:
///   - A sweep reads the table that is being left before the current one: flows move in between.
///   - What has expired and is not yet free counts as remembered.
///   - What is remembered for a failed member is freed before it may come back.
///   - A retired member is forgotten after a whole sweep that began when no slot named it any more.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "config/model.h"
#include "plan/ring.h"
#include "plan/transition.h"
#include "tests/unit/model/data_plane.h"

namespace sluice::model {

/// A machine that answers connections.
struct Server {
    std::uint64_t key = 0;  ///< Its address.
    bool is_alive = true;
    std::uint32_t lives = 0;  ///< Failures and returns: connections of earlier lives are gone.
};

struct Backend {
    std::uint32_t member = 0;
    std::uint32_t server = 0;
    std::uint32_t weight = 1;
    config::BackendState state = config::BackendState::ready;
    bool unnamed_when_swept = false;  ///< Retired: no slot named it when the sweep began.
};

struct Group {
    std::vector<Backend> backends;
    std::vector<Backend> retired;
    plan::RingKind kind = plan::RingKind::maglev;
    config::OnDown on_down = config::OnDown::replace;
    std::uint32_t wanted_log2 = 4;
    std::vector<std::uint32_t> owners;  ///< What the planner wants, by slot.
    std::optional<plan::RingTransition> transition;
    plan::TransitionTimes times;
};

/// A rule that the model breaks on purpose, to see that it notices.
enum class Fault : std::uint8_t {
    none,
    short_preparation,     ///< Half a second.
    short_window,          ///< Half of what it should be.
    forgets_refusals,      ///< No slot is ever held, no window begins anew.
    sweeps_current_first,  ///< And then the table that is being left.
    skips_expired,         ///< What has expired and is not yet free does not count as remembered.
    keeps_failed,          ///< A failed member comes back to what was remembered for it.
    forgets_early,         ///< A retired member is forgotten although slots name it.
    moves_unprepared,      ///< Without the mark.
    stops_sweeping,
};

struct ControlTimes {
    Fault fault = Fault::none;
    Instant step{100};         ///< Between two steps of the transitions.
    Instant sweep_pause{500};  ///< Between two sweeps.
    Instant sweep_step{20};
    std::uint32_t sweep_buckets = 64;
};

class Control {
 public:
    Control(DataPlane& plane, ControlTimes times);

    /// Adds a backend on a new server.
    void add_backend(std::uint32_t group, std::uint32_t weight);
    void set_state(std::uint32_t group, std::uint32_t index, config::BackendState state);
    void set_weight(std::uint32_t group, std::uint32_t index, std::uint32_t weight);
    /// Stays as a retired member until its last flow has ended.
    void remove_backend(std::uint32_t group, std::uint32_t index);
    /// The retired backend comes back. False when there is none.
    bool add_back(std::uint32_t group, std::uint32_t index);
    void want_size(std::uint32_t group, std::uint32_t log2);
    /// Puts what was ordered into force.
    void apply(std::uint32_t group, Instant now, Instant deadline = {});
    void limit(std::uint32_t group, Instant deadline);
    /// A new generation: the same rings in other memory.
    void swap_generation(std::uint32_t group);
    bool resize_table(plan::FlowGeometry geometry);

    void kill();
    /// With a deadline for the changes that it finds.
    void start(Instant now, Instant deadline = {});
    [[nodiscard]] bool is_running() const { return running_; }
    /// Does what is due.
    void run(Instant now);
    [[nodiscard]] Instant next_due() const;

    [[nodiscard]] bool settled() const;
    [[nodiscard]] Group& group(std::uint32_t number) { return groups_[number]; }
    [[nodiscard]] const Server& server(std::uint32_t index) const { return servers_[index]; }
    [[nodiscard]] bool overdue(std::uint32_t group, std::uint64_t hash) const;
    [[nodiscard]] bool any_overdue() const;
    /// How long a settled ring may take after the last packet and the last order.
    [[nodiscard]] Instant settling_time() const;
    [[nodiscard]] Instant longest_tick() const { return longest_tick_; }
    [[nodiscard]] std::uint64_t cut() const { return cut_; }
    [[nodiscard]] std::uint64_t forgotten() const { return forgotten_; }

 private:
    void aim(std::uint32_t number, Instant now, Instant deadline);
    void set_down(Group& group);
    void grow(std::uint32_t number, std::uint32_t log2);
    void shrink(std::uint32_t number, Instant now);
    void begin_sweep(Instant now);
    void sweep_step(Instant now);
    void sweep_bucket(Table& table, std::uint32_t bucket, Instant now);
    void judge(std::uint64_t& place, Table& table, std::uint32_t bucket);
    void end_sweep();
    void forget_retired(Group& group);
    void free_all_of(std::uint32_t member);
    std::uint32_t new_member(std::uint32_t group, std::uint32_t server);

    DataPlane& plane_;
    ControlTimes times_;
    std::vector<Group> groups_;  ///< By number; [0] is unused.
    std::vector<Server> servers_;
    std::vector<std::uint32_t> free_ids_;
    bool running_ = false;
    Instant step_at_{0};
    Instant sweep_at_{0};
    bool sweeping_ = false;
    Instant sweep_began_{0};
    std::size_t swept_ = 0;  ///< Buckets.
    std::size_t old_at_start_ = 0;
    std::uint64_t left_in_old_ = 0;
    std::vector<std::vector<bool>> foreign_;      ///< By group.
    std::vector<std::uint32_t> flows_of_member_;  ///< By id.
    Instant longest_tick_;                        ///< Of any table so far.
    std::uint64_t cut_ = 0;
    std::uint64_t forgotten_ = 0;
};

}  // namespace sluice::model
