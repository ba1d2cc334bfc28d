// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Clients and servers of the model, and the judgement: no packet of a live connection goes
/// elsewhere while its backend lives.
///
/// A client sends a SYN, again after 1, 3, 7, 15 and 31 s; a server that has seen it answers, and
/// again after 1, 3, 7, 15 and 31 s, and gives up after 63 s. Packets are delayed and lost both
/// ways; only those of the client pass the balancer. A connection is owned by the server whose
/// SYN-ACK the client acknowledged. A UDP flow is owned by the server that saw its first packet.
///
/// What the rules do not promise, and the judgement therefore excuses, exactly:
///   gone       the owner failed or was taken out.
///   overdue    a deadline passed while the slot's flows were remembered elsewhere.
///   silent     no packet for longer than flows of its class are remembered; after a FIN or RST
///   that
///              is the closing lifetime, and an off-path sender can send one.
///   late SYN   a SYN that comes more than a preparation after the one before it, while that one's
///              answer is still on its way.
///   forged SYN the tuple's next packet since the slot was opened was a forged SYN, and came after
///              the preparation: the new owner is remembered for it.

#include <array>
#include <cstdint>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "tests/unit/model/control.h"
#include "tests/unit/model/data_plane.h"
#include "tests/unit/model/random.h"

namespace sluice::model {

struct TrafficSetup {
    std::uint32_t first_connections = 20;
    std::uint32_t opening_gap_ms = 700;  ///< Mean, between new connections.
    std::uint32_t delay_ms = 20;         ///< At most, one way.
    std::uint32_t loss_percent = 0;
    std::uint32_t longest_s = 120;  ///< Life of a connection.
    std::uint32_t reuse_percent = 30;
    std::uint32_t sources = 6;  ///< Clients of services with source affinity.
};

struct Excuses {
    std::uint64_t gone = 0;
    std::uint64_t overdue = 0;
    std::uint64_t silent = 0;
    std::uint64_t late_syn = 0;
    std::uint64_t forged_syn = 0;
};

struct TrafficCounts {
    std::uint64_t established = 0;
    std::uint64_t ended = 0;
    std::uint64_t resent_syns = 0;
    std::uint64_t checked = 0;  ///< Packets that had to reach an owner, and did.
    Excuses excuses;
};

class Clients {
 public:
    Clients(DataPlane& plane, Control& control, TrafficSetup setup, std::uint64_t seed,
            Instant now);

    /// Handles the event that is next, at its time.
    void run_next();
    [[nodiscard]] Instant next_due() const;
    [[nodiscard]] bool idle() const { return events_.empty(); }

    /// A packet that somebody else sends with the addresses and ports of a live connection. False
    /// when there is none of that kind.
    bool forge(slc_flow_kind kind, Random& random, Instant now);
    /// No more connections; those that are go on for at most `longest`.
    void wind_down(Instant now, Instant longest);
    /// After each step of the daemon: whom deadlines have cut.
    void note_overdue();

    [[nodiscard]] const std::optional<std::string>& broken() const { return broken_; }
    [[nodiscard]] const TrafficCounts& counts() const { return counts_; }
    [[nodiscard]] Instant last_arrival() const { return last_arrival_; }

 private:
    enum class What : std::uint8_t {
        open,
        syn,
        arrives,
        syn_ack_timer,
        syn_ack_arrives,
        send,
        icmp,
        finish
    };
    struct Event {
        Instant at;
        std::uint64_t order;
        std::uint32_t who;
        std::uint32_t life;
        What what;
        std::uint8_t detail;  ///< Kind of packet, or which try.
        std::uint8_t peer;    ///< Index into answers.
        bool operator>(const Event& other) const {
            return at != other.at ? at > other.at : order > other.order;
        }
    };
    /// A server in one of its lives.
    struct Peer {
        std::uint32_t server = 0;  ///< 0: nobody.
        std::uint32_t lives = 0;
        bool operator==(const Peer&) const = default;
    };
    struct Answer {
        Peer peer;
        bool acknowledged = false;
    };
    enum class State : std::uint8_t { done, handshake, established };
    enum class Excuse : std::uint8_t { none, overdue, silent, late_syn, forged_syn };
    struct Connection {
        std::uint64_t hash = 0;
        std::uint32_t service = 0;
        std::uint32_t life = 0;  ///< Tuples come again.
        State state = State::done;
        Excuse excuse = Excuse::none;
        bool half_closed = false;
        std::uint8_t pace = 0;
        Peer owner;              ///< Of an established connection, or who saw the last SYN.
        Instant last_packet{0};  ///< When it passed the balancer; 0: none yet.
        Instant remembered{0};   ///< Until when its packets must find its owner.
        Instant ends{0};
        std::vector<Answer> answers;  ///< Servers that have seen a SYN of it.
    };

    void push(Instant at, std::uint32_t who, What what, std::uint8_t detail = 0,
              std::uint8_t peer = 0);
    void handle(const Event& event);
    void open(std::uint32_t who);
    void send(Connection& connection, slc_flow_kind kind, std::uint8_t ack = 0);
    void arrives(Connection& connection, slc_flow_kind kind);
    void syn_arrives(Connection& connection, const Routed& routed, Instant before);
    void must_reach_owner(Connection& connection, const Routed& routed, slc_flow_kind kind);
    void answer(Connection& connection, Peer peer);
    void resend_answer(Connection& connection, std::uint8_t which, std::uint8_t tries);
    void syn_ack_arrives(Connection& connection, std::uint8_t which);
    void send_syn(Connection& connection, std::uint8_t tries);
    void send_data(Connection& connection);
    void send_end(Connection& connection);
    void plan_next(Connection& connection);
    void finish(Connection& connection);
    /// Whether the rules promise nothing to this connection any more, and counts why.
    bool is_excused(const Connection& connection);
    void remember(Connection& connection, const Routed& routed, slc_flow_kind kind);
    [[nodiscard]] bool is_gone(const Peer& peer) const;
    [[nodiscard]] Peer peer_of(std::uint32_t member) const;
    [[nodiscard]] Instant delay();
    [[nodiscard]] const Service& service_of(const Connection& connection) const;
    [[nodiscard]] std::string describe(const Connection& connection, const Routed& routed) const;
    void breaks(const Connection& connection, const Routed& routed, const std::string& rule);

    DataPlane& plane_;
    Control& control_;
    TrafficSetup setup_;
    Random random_;
    Instant begin_;
    Instant now_;
    bool winding_down_ = false;
    std::uint64_t order_ = 0;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::vector<Connection> connections_;
    std::vector<std::uint32_t>
        unused_;  ///< Connections that are done: their tuples may come again.
    std::vector<std::uint64_t> sources_;
    std::optional<std::string> broken_;
    TrafficCounts counts_;
    Instant last_arrival_{0};
};

}  // namespace sluice::model
