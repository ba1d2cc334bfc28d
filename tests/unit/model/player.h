// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Plays one history: orders and floods at their times, the daemon's work when it is due, packets
/// in between; then rest, and everything has to settle within a bound.

#include <optional>
#include <string>

#include "tests/unit/model/history.h"

namespace sluice::model {

class Player {
 public:
    explicit Player(const History& history);
    Outcome run();

 private:
    struct Flood {
        bool is_on = false;
        Instant until{0};
        std::uint32_t kind = 0;      ///< 0..4: one kind of packet; 5: all by turns.
        std::uint32_t per_beat = 0;  ///< Packets each kBeat.
        std::uint32_t aimed_percent = 0;
    };

    void run_until(Instant until);
    void act(const Action& action);
    void start();
    void change(const Action& action, std::uint32_t group);
    void undo(const Action& action, std::uint32_t group);
    void resize_ring(const Action& action, std::uint32_t group);
    void resize_table(const Action& action);
    void begin_flood(const Action& action);
    void flood_beat();
    void forge_one();
    void rest();
    void check_settled();
    void check_accounts();
    void fail(const std::string& what);
    [[nodiscard]] bool is_broken() const { return broken_ || clients_.broken(); }

    const Setup& setup_;
    const std::vector<Action>& actions_;
    Instant begin_;
    Instant now_;
    DataPlane plane_;
    Control control_;
    Clients clients_;
    Random random_;
    Flood flood_;
    Instant beat_at_;
    std::optional<std::string> broken_;
    Outcome outcome_;
    std::vector<std::vector<Backend>> before_;  ///< Backends of each group before the last change.
    bool was_away_long_ = false;
    Instant killed_{0};
};

}  // namespace sluice::model
