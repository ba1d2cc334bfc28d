// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/model/clients.h"

#include <algorithm>
#include <sstream>

#include "sluice/hash.h"

namespace sluice::model {
namespace {

using namespace std::chrono_literals;

/// When a SYN, or an answer to one, is sent again: after this long since the one before.
constexpr std::array<std::int64_t, 5> kRetryAfterMs{1000, 2000, 4000, 8000, 16000};
constexpr Instant kGivesUp = 63s;
constexpr Instant kPreparation = plan::TransitionTimes{}.prepare;

}  // namespace

Clients::Clients(DataPlane& plane, Control& control, TrafficSetup setup, std::uint64_t seed,
                 Instant now)
    : plane_(plane), control_(control), setup_(setup), random_(seed), begin_(now), now_(now) {
    for (std::uint32_t i = 0; i < setup.sources; ++i) sources_.push_back(random_.next());
    for (std::uint32_t i = 0; i < setup.first_connections; ++i)
        push(now + Instant(random_.between(0, 3000)), 0, What::open, 1);
    push(now, 0, What::open);
}

void Clients::push(Instant at, std::uint32_t who, What what, std::uint8_t detail,
                   std::uint8_t peer) {
    const std::uint32_t life = who < connections_.size() ? connections_[who].life : 0;
    events_.push({at, order_++, who, life, what, detail, peer});
}

Instant Clients::next_due() const {
    return events_.empty() ? Instant::max() : events_.top().at;
}

void Clients::run_next() {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    handle(event);
}

void Clients::handle(const Event& event) {
    if (event.what == What::open) {
        if (winding_down_) return;
        // The first connections come once, the others one after the other.
        if (event.detail == 0)
            push(now_ + Instant(random_.between(1, 2 * setup_.opening_gap_ms)), 0, What::open);
        std::uint32_t who = static_cast<std::uint32_t>(connections_.size());
        if (!unused_.empty() && random_.chance(setup_.reuse_percent)) {
            const std::size_t at = random_.below(unused_.size());
            who = unused_[at];
            unused_.erase(unused_.begin() + static_cast<long>(at));
        } else {
            connections_.emplace_back();
        }
        open(who);
        return;
    }
    Connection& connection = connections_[event.who];
    if (event.life != connection.life || connection.state == State::done) return;
    switch (event.what) {
        case What::open:
            break;
        case What::syn:
            if (connection.state == State::handshake) send_syn(connection, event.detail);
            break;
        case What::arrives:
            arrives(connection, static_cast<slc_flow_kind>(event.detail));
            break;
        case What::syn_ack_timer:
            resend_answer(connection, event.peer, event.detail);
            break;
        case What::syn_ack_arrives:
            syn_ack_arrives(connection, event.peer);
            break;
        case What::send:
            send_data(connection);
            break;
        case What::icmp:
            send(connection, SLC_FLOW_LOOK);
            break;
        case What::finish:
            finish(connection);
            break;
    }
}

void Clients::open(std::uint32_t who) {
    Connection& connection = connections_[who];
    const bool is_new = connection.life == 0;
    Connection next;
    next.life = connection.life + 1;
    next.service = connection.service;
    next.hash = connection.hash;
    if (is_new) {
        next.service = static_cast<std::uint32_t>(random_.below(plane_.services.size()));
        next.hash = random_.next();
        if (plane_.services[next.service].shared)
            next.hash = sources_[random_.below(sources_.size())];
    }
    next.pace = static_cast<std::uint8_t>(random_.below(4));
    next.ends = now_ + Instant(random_.between(200, std::int64_t{setup_.longest_s} * 1000));
    if (random_.chance(40)) next.ends = now_ + Instant(random_.between(50, 8000));
    connection = next;
    if (service_of(connection).udp) {
        connection.state = State::established;
        send(connection, SLC_FLOW_UDP);
        plan_next(connection);
        return;
    }
    connection.state = State::handshake;
    send_syn(connection, 0);
}

Instant Clients::delay() {
    // Mostly short, at times as long as it may be.
    const std::int64_t most =
        random_.chance(70) ? std::max(1u, setup_.delay_ms / 8) : setup_.delay_ms;
    return Instant(random_.between(0, most));
}

const Service& Clients::service_of(const Connection& connection) const {
    return plane_.services[connection.service];
}

void Clients::send(Connection& connection, slc_flow_kind kind, std::uint8_t ack) {
    if (random_.chance(setup_.loss_percent)) return;
    push(now_ + delay(), static_cast<std::uint32_t>(&connection - connections_.data()),
         What::arrives, static_cast<std::uint8_t>(kind), ack);
}

void Clients::send_syn(Connection& connection, std::uint8_t tries) {
    send(connection, SLC_FLOW_SYN);
    const auto who = static_cast<std::uint32_t>(&connection - connections_.data());
    if (tries > 0) ++counts_.resent_syns;
    if (tries == kRetryAfterMs.size()) {
        push(now_ + kGivesUp, who, What::finish);
        return;
    }
    const std::int64_t after = kRetryAfterMs[tries];
    push(now_ + Instant(after + random_.between(-after / 50, after / 50)), who, What::syn,
         static_cast<std::uint8_t>(tries + 1));
}

bool Clients::is_gone(const Peer& peer) const {
    if (peer.server == 0) return false;
    const Server& server = control_.server(peer.server);
    return !server.is_alive || server.lives != peer.lives;
}

Clients::Peer Clients::peer_of(std::uint32_t member) const {
    const std::uint32_t server = member < plane_.members.size() ? plane_.members[member].server : 0;
    return {server, server == 0 ? 0 : control_.server(server).lives};
}

void Clients::arrives(Connection& connection, slc_flow_kind kind) {
    const Instant before = connection.last_packet;
    const Routed routed = plane_.route(service_of(connection), connection.hash, kind, now_);
    last_arrival_ = now_;
    if (routed.member != 0 && plane_.members[routed.member].down) {
        breaks(connection, routed, "nothing goes to a member that is down");
        return;
    }
    if (kind == SLC_FLOW_SYN) {
        syn_arrives(connection, routed, before);
    } else {
        must_reach_owner(connection, routed, kind);
        if (connection.state == State::done) return;
    }
    if (kind == SLC_FLOW_LOOK) return;
    connection.last_packet = now_;
    remember(connection, routed, kind);
}

/// How long the balancer has promised to know this connection, by what has just passed.
void Clients::remember(Connection& connection, const Routed& routed, slc_flow_kind kind) {
    const Service& service = service_of(connection);
    const bool by_memory = routed.asked && routed.answer.how == SLC_FLOW_BY_MEMORY;
    Instant lifetime = service.idle();
    if (kind == SLC_FLOW_SYN) lifetime = std::min<Instant>(lifetime, service.lifetimes.embryonic);
    if (kind == SLC_FLOW_END && by_memory && !service.shared)
        lifetime = std::min<Instant>(lifetime, service.lifetimes.closing);
    connection.remembered = now_ + lifetime;
}

void Clients::syn_arrives(Connection& connection, const Routed& routed, Instant before) {
    const Peer peer = peer_of(routed.member);
    if (routed.member == 0) {
        const auto& owners = control_.group(service_of(connection).group).owners;
        const auto& ring = plane_.rings[service_of(connection).group];
        const bool has_owner =
            !owners.empty() && owners[slc_slot_of(connection.hash, ring.log2)] != 0;
        if (has_owner && control_.is_running())
            breaks(connection, routed, "a SYN is not dropped while somebody may take it");
        return;
    }
    if (connection.state == State::established) {
        // A late copy: it must find what the connection's other packets find.
        if (peer == connection.owner || is_gone(connection.owner)) return;
        if (connection.excuse != Excuse::none) return;
        if (now_ > connection.remembered)
            connection.excuse = Excuse::silent;
        else if (now_ - before > kPreparation)
            connection.excuse = Excuse::late_syn;
        else
            breaks(connection, routed, "a late copy of a SYN follows its connection");
        return;
    }
    if (connection.owner.server != 0 && peer != connection.owner && !is_gone(connection.owner) &&
        connection.excuse == Excuse::none) {
        if (now_ - before <= kPreparation)
            breaks(connection, routed, "a SYN that comes again goes where it went before");
        connection.excuse = Excuse::late_syn;
    }
    connection.owner = peer;
    answer(connection, peer);
}

void Clients::answer(Connection& connection, Peer peer) {
    if (!control_.server(peer.server).is_alive) return;
    for (std::size_t i = 0; i < connection.answers.size(); ++i) {
        if (connection.answers[i].peer != peer) continue;
        if (!random_.chance(setup_.loss_percent))
            push(now_ + delay(), static_cast<std::uint32_t>(&connection - connections_.data()),
                 What::syn_ack_arrives, 0, static_cast<std::uint8_t>(i));
        return;
    }
    connection.answers.push_back({peer, false});
    resend_answer(connection, static_cast<std::uint8_t>(connection.answers.size() - 1), 0);
}

void Clients::resend_answer(Connection& connection, std::uint8_t which, std::uint8_t tries) {
    const Answer& answer = connection.answers[which];
    if (answer.acknowledged || is_gone(answer.peer)) return;
    const auto who = static_cast<std::uint32_t>(&connection - connections_.data());
    if (!random_.chance(setup_.loss_percent))
        push(now_ + delay(), who, What::syn_ack_arrives, 0, which);
    if (tries < kRetryAfterMs.size())
        push(now_ + Instant(kRetryAfterMs[tries]), who, What::syn_ack_timer,
             static_cast<std::uint8_t>(tries + 1), which);
}

void Clients::syn_ack_arrives(Connection& connection, std::uint8_t which) {
    if (connection.state == State::handshake) {
        connection.state = State::established;
        connection.owner = connection.answers[which].peer;
        ++counts_.established;
        plan_next(connection);
    }
    // Every SYN-ACK is acknowledged, also one of a server that came too late.
    send(connection, SLC_FLOW_PACKET);
}

bool Clients::is_excused(const Connection& connection) {
    if (is_gone(connection.owner)) {
        ++counts_.excuses.gone;
    } else if (connection.excuse == Excuse::overdue) {
        ++counts_.excuses.overdue;
    } else if (connection.excuse == Excuse::late_syn) {
        ++counts_.excuses.late_syn;
    } else if (connection.excuse == Excuse::forged_syn) {
        ++counts_.excuses.forged_syn;
    } else if (connection.excuse == Excuse::silent ||
               (connection.last_packet.count() > 0 && now_ > connection.remembered)) {
        ++counts_.excuses.silent;
    } else {
        return false;
    }
    return true;
}

void Clients::must_reach_owner(Connection& connection, const Routed& routed, slc_flow_kind kind) {
    const Peer peer = peer_of(routed.member);
    if (connection.owner.server == 0) {  // The first packet of a UDP flow.
        if (kind != SLC_FLOW_LOOK) connection.owner = peer;
        return;
    }
    if (peer == connection.owner) {
        ++counts_.checked;
        for (Answer& answer : connection.answers)
            if (answer.peer == peer) answer.acknowledged = true;
        return;
    }
    const bool excused = is_excused(connection);
    if (!excused) breaks(connection, routed, "a packet of a live connection goes to its owner");
    if (kind == SLC_FLOW_LOOK) return;
    if (service_of(connection).udp) {
        connection.owner = peer;
        connection.excuse = Excuse::none;
        return;
    }
    finish(connection);
}

/// Chatty, slow, nearly silent, or all of it by turns.
void Clients::plan_next(Connection& connection) {
    const Instant idle = service_of(connection).idle();
    const std::uint32_t pace =
        connection.pace == 3 ? static_cast<std::uint32_t>(random_.below(3)) : connection.pace;
    std::int64_t most = 1500, least = 50;
    if (pace == 1) most = std::max<std::int64_t>(least, idle.count() / 2);
    if (pace == 2) {
        most = idle.count() - 2 * std::int64_t{setup_.delay_ms};
        least = std::max<std::int64_t>(20, most * 7 / 10);
    }
    if (connection.half_closed)
        most = std::min<std::int64_t>(
            most,
            std::chrono::milliseconds(service_of(connection).lifetimes.closing).count() - 200);
    most = std::max<std::int64_t>(most, 20);
    least = std::min(least, most);
    push(now_ + Instant(random_.between(least, most)),
         static_cast<std::uint32_t>(&connection - connections_.data()), What::send);
    if (random_.chance(3))
        push(now_ + Instant(random_.between(1, 2000)),
             static_cast<std::uint32_t>(&connection - connections_.data()), What::icmp);
}

void Clients::send_data(Connection& connection) {
    const bool udp = service_of(connection).udp;
    if (now_ >= connection.ends) {
        if (udp)
            finish(connection);
        else
            send_end(connection);
        return;
    }
    if (!udp && !connection.half_closed && random_.chance(2)) {
        connection.half_closed = true;
        send(connection, SLC_FLOW_END);
    } else {
        send(connection, udp ? SLC_FLOW_UDP : SLC_FLOW_PACKET);
    }
    plan_next(connection);
}

/// Some clients close and acknowledge the server's FIN, some reset, some vanish.
void Clients::send_end(Connection& connection) {
    const auto who = static_cast<std::uint32_t>(&connection - connections_.data());
    if (!random_.chance(20)) {
        send(connection, SLC_FLOW_END);
        if (random_.chance(50)) send(connection, SLC_FLOW_PACKET);
    }
    push(now_ + Instant(2 * setup_.delay_ms + 1), who, What::finish);
}

void Clients::finish(Connection& connection) {
    connection.state = State::done;
    ++counts_.ended;
    unused_.push_back(static_cast<std::uint32_t>(&connection - connections_.data()));
}

void Clients::wind_down(Instant now, Instant longest) {
    winding_down_ = true;
    for (Connection& connection : connections_)
        connection.ends = std::min(connection.ends, now + longest);
}

void Clients::note_overdue() {
    if (!control_.any_overdue()) return;
    for (Connection& connection : connections_) {
        if (connection.state == State::done || connection.owner.server == 0) continue;
        const std::uint32_t group = service_of(connection).group;
        if (!control_.overdue(group, connection.hash)) continue;
        const auto current = SLC_SLOT_CURRENT(plane_.word(group, connection.hash));
        if (peer_of(current) != connection.owner) connection.excuse = Excuse::overdue;
    }
}

bool Clients::forge(slc_flow_kind kind, Random& random, Instant now) {
    if (connections_.empty()) return false;
    Connection* found = nullptr;
    for (int tries = 0; tries < 4 && found == nullptr; ++tries) {
        Connection& any = connections_[random.below(connections_.size())];
        if (any.state != State::done && service_of(any).udp == (kind == SLC_FLOW_UDP)) found = &any;
    }
    if (found == nullptr) return false;
    Connection& connection = *found;
    now_ = now;
    const Service& service = service_of(connection);
    const bool leaves_table = plane_.old.has_value();
    const Routed routed = plane_.route(service, connection.hash, kind, now);
    const bool by_memory = routed.asked && routed.answer.how == SLC_FLOW_BY_MEMORY;
    last_arrival_ = now;
    // No life is lost but what the closing lifetime leaves, and a tick where ticks change.
    if (kind == SLC_FLOW_END && by_memory && !service.shared)
        connection.remembered =
            std::min<Instant>(connection.remembered, now + service.lifetimes.closing);
    if (kind == SLC_FLOW_SYN && by_memory && leaves_table)
        connection.remembered -= std::chrono::duration_cast<Instant>(plane_.old->geometry.tick());
    if (kind != SLC_FLOW_SYN || routed.answer.insert != SLC_FLOW_INSERTED ||
        connection.owner.server == 0 || peer_of(routed.member) == connection.owner)
        return true;
    if (now - connection.last_packet < kPreparation && !is_excused(connection))
        breaks(connection, routed,
               "a forged SYN moves nothing that has sent in a slot's preparation");
    if (connection.excuse == Excuse::none) connection.excuse = Excuse::forged_syn;
    return true;
}

std::string Clients::describe(const Connection& connection, const Routed& routed) const {
    std::ostringstream out;
    const Service& service = service_of(connection);
    const Ring& ring = plane_.rings[service.group];
    out << "at " << (now_ - begin_).count() << " ms, group " << service.group << ", slot "
        << slc_slot_of(connection.hash, ring.log2) << " of " << ring.words.size() << " {current "
        << SLC_SLOT_CURRENT(routed.word) << ", previous " << SLC_SLOT_PREVIOUS(routed.word)
        << (routed.word & SLC_SLOT_MARKED ? ", marked" : "")
        << (routed.word & SLC_SLOT_OPEN ? ", open" : "")
        << (routed.word & SLC_SLOT_HELD ? ", held" : "")
        << (routed.word & SLC_SLOT_REFUSED ? ", refused" : "") << "}"
        << (service.udp ? ", udp" : ", tcp") << (service.shared ? ", shared" : "")
        << (service.always ? ", always" : "") << ", connection "
        << (&connection - connections_.data()) << " of server " << connection.owner.server
        << " went to server " << peer_of(routed.member).server << " (how " << int{routed.answer.how}
        << ", insert " << int{routed.answer.insert} << "), its last packet was at "
        << (connection.last_packet - begin_).count() << " and it is remembered until "
        << (connection.remembered - begin_).count();
    return out.str();
}

void Clients::breaks(const Connection& connection, const Routed& routed, const std::string& rule) {
    if (!broken_) broken_ = "broken: " + rule + ": " + describe(connection, routed);
}

}  // namespace sluice::model
