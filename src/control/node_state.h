// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Whether this node wants traffic. A node that is drained announces its VIPs with the sign of a
/// graceful shutdown first, so that routers turn to others, and then no more; until it is told to
/// be ready again, by an operator or by time. Kept in the state directory: a restart does not
/// bring back what an operator has taken out.
///
/// Times are of the calendar, because they outlive the daemon and the machine.

#include <chrono>
#include <optional>
#include <string>

#include "base/result.h"

namespace sluice::control {

enum class NodeState { ready, draining, drained };
const char* name_of(NodeState state);

struct NodeStanding {
    using Time = std::chrono::system_clock::time_point;
    NodeState state = NodeState::ready;
    Time since{};  ///< The epoch: always.
    // Of `draining`:
    Time withdraw_at{};              ///< Not before.
    bool until_quiet = false;        ///< And not while packets for the VIPs come.
    std::optional<Time> deadline{};  ///< But then at the latest.
    // Of `draining` and `drained`:
    std::optional<Time> ready_at{};  ///< By itself.
    bool operator==(const NodeStanding&) const = default;
};

struct NodeOrder {
    bool drain = false;  ///< Else ready, and nothing below may be set.
    bool until_quiet = false;
    std::optional<std::chrono::seconds> deadline{};
    std::optional<std::chrono::seconds> keep{};  ///< Ready again after this long.
};

class NodeDuty {
 public:
    using Time = NodeStanding::Time;

    /// What this version does not write is said, and the node taken for ready: one that does not
    /// start is worse, and packets it forwards in any case.
    static Result<NodeDuty> load(const std::string& path);

    [[nodiscard]] const NodeStanding& standing() const { return standing_; }
    /// `drain` is how long VIPs are announced as draining. A node that is drained stays so when it
    /// is drained again; what is said of deadline and end holds from now on.
    Result<void> order(const NodeOrder& order, std::chrono::seconds drain, Time now);
    /// What time has brought about; true when the state is another one. `is_quiet`: no packet for
    /// the VIPs has come for kQuiet.
    bool pass(Time now, bool is_quiet);

    static constexpr std::chrono::seconds kQuiet{3};

 private:
    [[nodiscard]] Result<void> save(const NodeStanding& standing) const;
    void take(NodeStanding standing);

    std::string path_;
    NodeStanding standing_;
};

}  // namespace sluice::control
