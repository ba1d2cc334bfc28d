// SPDX-License-Identifier: Apache-2.0
#pragma once

/// An announce-only BGP session as a state machine without a socket (RFC 4271 section 8): bytes,
/// times and the fate of the connection go in; bytes and the wish for a connection come out.
/// announce/bgp_session.h gives it a socket and timers, the fuzzer gives it anything.
///
///        start                connected             OPEN                KEEPALIVE
///   idle ------> connect ------------> open_sent ----------> open_confirm ---> established
///     ^             |  failed              |  anything wrong: NOTIFICATION         |
///     `-------------+----------------------+---------------------------------------'
///        until the retry, which backs off
///
/// Invariants:
///  - Never imports: UPDATEs of the peer are checked for their framing, counted and forgotten.
///  - Memory is bounded: input by one message, output by kOutputHigh and one batch; the prefixes
///    are what want() was told.
///  - Prefixes go out in batches, withdrawals first, and only while the peer reads.
///  - After every connection all that is wanted is said again, and then End-of-RIB.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "announce/announcement.h"
#include "announce/bgp_message.h"
#include "config/announce.h"

namespace sluice::announce {

enum class BgpState { idle, connect, open_sent, open_confirm, established };
const char* name_of(BgpState state);

/// Times that RFC 4271 leaves open. Tests shorten them.
struct BgpTimes {
    std::chrono::milliseconds connect{5000};      ///< For a TCP connection to be made.
    std::chrono::milliseconds open{60'000};       ///< For the peer's OPEN.
    std::chrono::milliseconds send_hold{60'000};  ///< Or twice the hold time, whichever is longer.
    std::chrono::milliseconds refresh{1000};      ///< Between two answers to ROUTE-REFRESH.
};

/// What is said of every prefix. May change while a session stands.
struct BgpAttributes {
    std::vector<config::BgpCommunity> communities{};
    std::optional<std::uint32_t> med{};
    std::optional<std::uint32_t> local_preference{};
    std::uint32_t prepend = 0;
    bool operator==(const BgpAttributes&) const = default;
};

struct BgpSettings {
    std::uint32_t own_as = 0;
    std::uint32_t router_id = 0;           ///< 0: the session's own IPv4 address.
    std::uint32_t fallback_router_id = 1;  ///< Where that is none.
    config::BgpPeer peer;
    BgpAttributes attributes{};
    bool keep_on_exit = false;  ///< Asks the peer for graceful restart (RFC 4724).
    std::uint64_t seed = 1;     ///< Of the jitter.
    BgpTimes times{};
};

struct BgpCounters {
    std::uint64_t messages_in = 0;
    std::uint64_t updates_ignored = 0;
    std::uint64_t prefixes_announced = 0;
    std::uint64_t prefixes_withdrawn = 0;
    std::uint64_t established = 0;  ///< Sessions.
};

class BgpSpeaker {
 public:
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;
    static constexpr std::size_t kOutputHigh = 64 * 1024;

    explicit BgpSpeaker(BgpSettings settings);

    /// The first attempt; later ones follow by themselves.
    void start(Time now);
    /// Ends the session: `withdraw` says so for every prefix and then "administrative shutdown";
    /// without, nothing is said, so that a peer with graceful restart keeps the routes.
    void stop(bool withdraw, Time now);
    /// The whole set.
    void want(const PrefixWishes& wishes, Time now);
    /// Says everything again with these, if they differ.
    void change(BgpAttributes attributes, Time now);

    // What became of the connection that was wanted.
    void connected(const IpAddress& local, Time now);
    void received(ByteView bytes, Time now);
    /// Refused, reset, ended by the peer, a socket option that failed.
    void closed(const std::string& why, Time now);
    void tick(Time now);

    /// 0: there must be no connection. Else one attempt, each with a number of its own: when it
    /// changes, what is left of output() is written to the old one if it can be, and that closed.
    [[nodiscard]] std::uint64_t connection() const { return connection_; }
    [[nodiscard]] Time deadline() const;
    /// Of the current connection, or the last words to the one before.
    [[nodiscard]] ByteView output() const { return output_; }
    void written(std::size_t count, Time now);
    void forget_output() { output_.clear(); }

    [[nodiscard]] BgpState state() const { return state_; }
    [[nodiscard]] Time since() const { return since_; }
    /// Of the last failure, and what a notification said before it; kept until the next session
    /// stands.
    [[nodiscard]] const std::string& last_error() const { return last_error_; }
    [[nodiscard]] const BgpCounters& counters() const { return counters_; }
    [[nodiscard]] std::chrono::seconds hold_time() const { return hold_; }
    [[nodiscard]] bool reads_slowly() const { return stuck_until_.has_value() && is_dirty(); }
    /// What is so of one wanted prefix, and why it is not announced.
    [[nodiscard]] PrefixReport report(const IpPrefix& prefix) const;
    /// Grows with everything that changes a state or a report.
    [[nodiscard]] std::uint64_t version() const { return version_; }

 private:
    struct Entry {
        std::optional<bool> wanted;    ///< Draining; empty: to be withdrawn.
        std::optional<bool> sent;      ///< To the peer of this session, in that form.
        bool is_due_again = false;     ///< By ROUTE-REFRESH.
        std::uint64_t sent_until = 0;  ///< Bytes written when the peer's kernel has it.
    };

    void enter(BgpState state, Time now);
    void fail(const std::string& why, Time now);
    void fail(const BgpNotification& error, Time now);
    void send(ByteView bytes, Time now);
    void take(const BgpRead& read, Time now);
    void take_open(const BgpOpen& open, Time now);
    std::optional<BgpNotification> judge(const BgpOpen& open) const;
    void establish(Time now);
    void refresh(const BgpRouteRefresh& refresh);
    void say_again(const IpPrefix& prefix, Entry& entry);
    void fill(Time now);
    void send_batch(BgpFamily family, Time now);
    void mark_sent(const std::vector<IpPrefix>& prefixes, std::optional<bool> form);
    void send_ends(Time now);
    [[nodiscard]] BgpRoute route(BgpFamily family, bool draining) const;
    /// Nothing: prefixes of this family cannot be announced.
    [[nodiscard]] std::optional<IpAddress> next_hop(BgpFamily family) const;
    [[nodiscard]] const char* hindrance(BgpFamily family) const;
    [[nodiscard]] bool is_internal() const { return settings_.own_as == settings_.peer.as; }
    [[nodiscard]] Clock::duration jittered(Clock::duration duration);
    void renew_hold(Time now);
    [[nodiscard]] bool is_dirty() const { return !dirty4_.empty() || !dirty6_.empty(); }
    std::set<IpPrefix>& dirty_of(const IpPrefix& prefix) {
        return prefix.address.is_ip6 ? dirty6_ : dirty4_;
    }

    BgpSettings settings_;
    std::minstd_rand random_;
    BgpState state_ = BgpState::idle;
    Time since_{};
    std::uint64_t connection_ = 0;
    std::uint64_t connections_ = 0;
    bool is_stopped_ = true;
    std::uint32_t failures_ = 0;  ///< Since a session stood for as long as its hold time.
    std::string last_error_;
    std::string telling_;  ///< The last notification of either side.
    std::uint64_t version_ = 1;
    BgpCounters counters_;

    IpAddress local_;
    std::uint32_t router_id_ = 0;
    BgpOpen peer_;  ///< What its OPEN said.
    std::chrono::seconds hold_{0};
    bool ends_due_ = false;
    bool refresh4_ = false, refresh6_ = false;

    std::optional<Time> phase_until_;  ///< The retry, the connection, or the peer's OPEN.
    std::optional<Time> hold_until_;
    std::optional<Time> keepalive_at_;
    std::optional<Time> stuck_until_;  ///< While output waits for the peer to read.
    std::optional<Time> refresh_at_;
    Time refreshed_{};

    Bytes input_;
    Bytes output_;
    std::uint64_t queued_bytes_ = 0;  ///< Of this connection, ever put into output_.
    std::uint64_t written_bytes_ = 0;
    std::map<IpPrefix, Entry> entries_;
    std::set<IpPrefix> dirty4_, dirty6_;  ///< To be looked at.
};

}  // namespace sluice::announce
