// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Announces through BIRD 2, by its control socket and a file that bird.conf includes
/// (announce/bird_text.h). Used by the announcer, on its reactor.
///
/// The file is always the whole truth, so that BIRD comes back right by itself after a restart.
/// What runs follows by the shortest road:
///   - a prefix that BIRD knows: `enable` or `disable`, which touch nothing else and work whatever
///     state bird.conf is in;
///   - a prefix that it does not know, one that begins or ends to drain, or many at once:
///     `configure check`, then `configure`.
/// Then, and every few seconds, `show protocols` and `show route` say whether it is so. Only what
/// they say is reported as announced.
///
/// Invariants:
///  - One connection, one command at a time, each with a time limit; nothing blocks.
///  - A withdrawal never waits for a configuration to be accepted.
///  - Whatever BIRD, or whoever is at the socket, says or does not: the client tries again, at
///    intervals that grow to a bound.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "announce/announcement.h"
#include "announce/bird_text.h"
#include "base/reactor.h"
#include "base/unique_fd.h"
#include "config/announce.h"

namespace sluice::announce {

/// Tests shorten them.
struct BirdTimes {
    std::chrono::milliseconds answer{2000};       ///< To anything but
    std::chrono::milliseconds configure{10'000};  ///< `configure` and its check.
    std::chrono::milliseconds verify{2000};       ///< Between two looks.
    std::chrono::milliseconds settle{2000};       ///< For what was told to be so.
    std::chrono::milliseconds retry_first{100};
    std::chrono::milliseconds retry_last{5000};
    std::chrono::milliseconds act_last{30'000};  ///< Between attempts that BIRD took in vain.
};

class BirdClient {
 public:
    using Clock = std::chrono::steady_clock;
    /// Prefixes that are switched one by one; more at once are configured.
    static constexpr std::size_t kSwitchesAtOnce = 16;

    /// `changed`: after anything that a report tells. It must not destroy the client.
    BirdClient(Reactor& reactor, config::AnnounceBird settings, BirdTimes times,
               std::function<void()> changed);
    BirdClient(const BirdClient&) = delete;
    BirdClient& operator=(const BirdClient&) = delete;

    void start();
    /// The whole set.
    void want(const PrefixWishes& wishes);

    [[nodiscard]] bool is_up() const { return phase_ != Phase::none && phase_ != Phase::banner; }
    [[nodiscard]] const std::string& last_error() const { return last_error_; }
    [[nodiscard]] Clock::time_point since() const { return since_; }
    [[nodiscard]] std::uint64_t lost() const { return lost_; }  ///< Connections.
    [[nodiscard]] PrefixReport report(const IpPrefix& prefix) const;
    /// All is as wished, or there is no BIRD and the file says what is wished.
    [[nodiscard]] bool is_settled() const {
        return is_file_written_ && (is_absent_ || (is_up() && is_all_as_wished_));
    }

 private:
    enum class Phase { none, banner, ready, toggle, check, configure, protocols, routes };
    /// What BIRD has by a name, as far as we know.
    struct Known {
        bool is_up = false;
        std::optional<bool> draining;  ///< Empty: loaded before we came.
    };

    // The connection.
    void connect();
    void lose(const std::string& why);
    void on_event(std::uint32_t events);
    void on_timer();
    void plan_timer();
    void read();
    void write();
    void send(Phase phase, std::string command, std::chrono::milliseconds limit);

    // Answers.
    void take(const BirdReply& reply);
    void take_banner(const BirdReply& reply);
    void take_toggle(const BirdReply& reply);
    void take_check(const BirdReply& reply);
    void take_configured(const BirdReply& reply);
    void take_protocols(const BirdReply& reply);
    void take_routes(const BirdReply& reply);
    void refuse(const std::string& why);

    // What to do next, while nothing is under way.
    void next();
    bool act();
    bool toggle(const std::string& name, bool down);
    bool configure();
    void look();
    void look_soon();
    /// Compares what is known with what is wished.
    void plan();
    void plan_one(const std::string& name);
    void confirm();
    bool write_file();
    [[nodiscard]] bool is_as_wished(const std::string& name, Wish wish) const;
    [[nodiscard]] std::string difference(const std::string& name, Wish wish) const;

    config::AnnounceBird settings_;
    BirdTimes times_;
    std::function<void()> changed_;

    PrefixWishes wishes_;
    std::map<std::string, Wish> by_name_;  ///< The same.
    std::map<std::string, Known> known_;
    std::set<std::string> routed_;     ///< With a route, at the last look.
    std::set<std::string> confirmed_;  ///< As wished, at the last look.
    std::set<std::string> off_, on_;   ///< To be disabled and enabled.
    std::set<std::string> load_;       ///< Not there, or not in this form: to be configured.
    bool is_looked_at_ = false;        ///< known_ is what BIRD said on this connection.
    bool is_all_as_wished_ = false;    ///< At the last look.
    bool is_absent_ = false;           ///< Nobody listens at the socket.
    bool is_file_written_ = false;
    bool is_configured_ = false;  ///< With our file, on this connection.
    bool has_acted_ = false;      ///< Since all was as wished.
    std::string refused_;         ///< Why BIRD did not take the configuration.
    std::string file_error_;

    Phase phase_ = Phase::none;
    std::string command_;  ///< Under way.
    std::string toggled_;  ///< Name in it.
    bool toggled_down_ = false;
    PrefixWishes configured_;  ///< What the file said when `configure` was sent.
    std::string unsent_;
    BirdReplies replies_;

    std::string last_error_;
    Clock::time_point since_{};
    std::uint64_t lost_ = 0;
    std::chrono::milliseconds connect_retry_, configure_retry_, act_retry_, look_retry_;
    // Points in time that the timer waits for; empty: not waiting for it.
    std::optional<Clock::time_point> answer_until_;
    std::optional<Clock::time_point> connect_at_;
    std::optional<Clock::time_point> look_at_;
    std::optional<Clock::time_point> act_at_;        ///< Nothing is done before, but looking.
    std::optional<Clock::time_point> configure_at_;  ///< It was refused: not before.
    std::optional<Clock::time_point> settle_until_;  ///< Until then a difference is no failure.

    UniqueFd fd_;
    Watch watch_;
    Timer timer_;
};

}  // namespace sluice::announce
