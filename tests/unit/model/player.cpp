// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/model/player.h"

#include <algorithm>
#include <array>

namespace sluice::model {
namespace {

using namespace std::chrono_literals;
using config::BackendState;

constexpr Instant kBeat{20};
constexpr std::uint32_t kMaxRingLog2 = 8;
constexpr std::array kWeights{0u, 1u, 1u, 2u, 3u, 10u};

/// The clock begins anywhere: ticks wrap at any time of a history.
Instant first_instant(std::uint64_t seed) {
    return Instant(1'000'000 + static_cast<std::int64_t>(Random(seed).below(10'000'000)));
}

}  // namespace

Player::Player(const History& history)
    : setup_(history.setup),
      actions_(history.actions),
      begin_(first_instant(setup_.seed)),
      now_(begin_),
      plane_(setup_.services, setup_.groups, setup_.geometry),
      control_(plane_, setup_.times),
      clients_(plane_, control_, setup_.traffic, setup_.seed ^ 0x5eed, begin_),
      random_(setup_.seed ^ 0xf100d),
      beat_at_(begin_),
      before_(setup_.groups + 1) {
    const std::uint64_t entries = setup_.geometry.entries();
    std::uint64_t reserved = 0;
    for (std::uint32_t g = 1; g <= setup_.groups; ++g) {
        Group& group = control_.group(g);
        group.kind = setup_.rendezvous ? plan::RingKind::rendezvous : plan::RingKind::maglev;
        group.on_down = setup_.keeps_failed ? config::OnDown::keep : config::OnDown::replace;
        group.wanted_log2 = setup_.ring_log2;
        for (const Service& service : setup_.services)
            if (service.group == g)
                group.times.window = std::max(group.times.window, service.idle());
        if (setup_.times.fault == Fault::short_window) group.times.window /= 2;
        if (setup_.times.fault == Fault::short_preparation) group.times.prepare = 500ms;
        for (std::uint32_t i = 0; i < setup_.backends; ++i) control_.add_backend(g, 1);
        plane_.accounts[g].share = entries * setup_.share_percent / 100;
        plane_.accounts[g].ceiling =
            std::max<std::uint64_t>(1, entries * setup_.ceiling_percent / 100);
        reserved += plane_.accounts[g].share;
        before_[g] = group.backends;
    }
    plane_.accounts[0].ceiling = entries - reserved;
    control_.start(begin_);
}

void Player::fail(const std::string& what) {
    if (!broken_) broken_ = "broken: " + what;
}

/// Whatever is next, one after the other.
void Player::run_until(Instant until) {
    while (!is_broken()) {
        Instant next = clients_.next_due();
        if (control_.is_running()) next = std::min(next, control_.next_due());
        if (flood_.is_on) next = std::min(next, beat_at_);
        if (next > until) break;
        now_ = std::max(now_, next);
        if (clients_.next_due() <= next) {
            clients_.run_next();
        } else if (flood_.is_on && beat_at_ <= next) {
            flood_beat();
        } else {
            clients_.note_overdue();
            control_.run(now_);
            clients_.note_overdue();
        }
    }
    now_ = std::max(now_, until);
}

void Player::act(const Action& action) {
    const std::uint32_t group = 1 + action.b % setup_.groups;
    switch (action.order) {
        case Order::kill:
            if (control_.is_running()) killed_ = now_;
            control_.kill();
            break;
        case Order::start:
            start();
            break;
        case Order::flood:
            begin_flood(action);
            break;
        case Order::resize:
            resize_table(action);
            break;
        case Order::swap:
            control_.swap_generation(group);
            control_.apply(group, now_, Instant(action.deadline_ms));
            break;
        case Order::grow:
        case Order::shrink:
            resize_ring(action, group);
            break;
        case Order::limit:
            control_.limit(group, now_ + Instant(action.a % 30'000));
            break;
        default:
            change(action, group);
    }
    clients_.note_overdue();
}

void Player::start() {
    if (control_.is_running()) return;
    was_away_long_ = was_away_long_ || now_ - killed_ > 5s;
    control_.start(now_);
}

void Player::change(const Action& action, std::uint32_t number) {
    Group& group = control_.group(number);
    const std::vector<Backend> before = group.backends;
    if (action.order == Order::add_back) {
        if (!control_.add_back(number, action.a)) return;
    } else if (action.order == Order::add) {
        control_.add_backend(number, kWeights[action.a % kWeights.size()]);
    } else if (action.order == Order::undo) {
        undo(action, number);
    } else {
        if (group.backends.empty()) return;
        const std::uint32_t index = action.a % static_cast<std::uint32_t>(group.backends.size());
        switch (action.order) {
            case Order::drain:
                control_.set_state(number, index, BackendState::drain);
                break;
            case Order::ready:
                control_.set_state(number, index, BackendState::ready);
                break;
            case Order::maint:
                control_.set_state(number, index, BackendState::maint);
                break;
            case Order::down:
                control_.set_state(number, index, BackendState::down);
                break;
            case Order::weight:
                control_.set_weight(number, index, kWeights[action.a / 7 % kWeights.size()]);
                break;
            default:
                control_.remove_backend(number, index);
        }
    }
    before_[number] = before;
    control_.apply(number, now_, Instant(action.deadline_ms));
}

/// Back to the states and weights before the last change, and the removed comes back.
void Player::undo(const Action& action, std::uint32_t number) {
    Group& group = control_.group(number);
    for (const Backend& was : before_[number]) {
        const auto same = [&](const Backend& is) {
            return is.member == was.member && is.server == was.server;
        };
        const auto retired = std::find_if(group.retired.begin(), group.retired.end(), same);
        if (retired != group.retired.end())
            (void)control_.add_back(number,
                                    static_cast<std::uint32_t>(retired - group.retired.begin()));
        const auto at = std::find_if(group.backends.begin(), group.backends.end(), same);
        if (at == group.backends.end()) continue;
        const auto index = static_cast<std::uint32_t>(at - group.backends.begin());
        control_.set_state(number, index, was.state);
        control_.set_weight(number, index, was.weight);
    }
    (void)action;
}

void Player::resize_ring(const Action& action, std::uint32_t number) {
    const std::uint32_t wanted = control_.group(number).wanted_log2;
    if (action.order == Order::grow && wanted < kMaxRingLog2)
        control_.want_size(number, wanted + 1);
    if (action.order == Order::shrink && wanted > 0) control_.want_size(number, wanted - 1);
    control_.apply(number, now_, Instant(action.deadline_ms));
}

void Player::resize_table(const Action& action) {
    plan::FlowGeometry geometry = setup_.geometry;
    geometry.log2 = static_cast<std::uint8_t>(6 + action.a % 3);
    geometry.shift = static_cast<std::uint8_t>(geometry.shift + action.b % 3);
    (void)control_.resize_table(geometry);
}

void Player::begin_flood(const Action& action) {
    flood_.is_on = true;
    flood_.until = now_ + Instant(500 + action.a % 20'000);
    flood_.kind = action.b % 6;
    flood_.per_beat = 1 + action.b / 8 % 40;
    flood_.aimed_percent = action.b / 1024 % 3 * 40;
    beat_at_ = now_;
}

void Player::flood_beat() {
    for (std::uint32_t i = 0; i < flood_.per_beat && !is_broken(); ++i) forge_one();
    beat_at_ = now_ + kBeat;
    if (now_ >= flood_.until) flood_.is_on = false;
}

void Player::forge_one() {
    static constexpr std::array kKinds{SLC_FLOW_SYN, SLC_FLOW_PACKET, SLC_FLOW_END, SLC_FLOW_UDP,
                                       SLC_FLOW_LOOK};
    const slc_flow_kind kind =
        kKinds[flood_.kind < kKinds.size() ? flood_.kind : random_.below(kKinds.size())];
    ++outcome_.flooded;
    if (random_.chance(flood_.aimed_percent)) {
        if (clients_.forge(kind, random_, now_)) ++outcome_.forged;
        return;
    }
    const Service& service = plane_.services[random_.below(plane_.services.size())];
    if (service.udp != (kind == SLC_FLOW_UDP)) return;
    plane_.route(service, random_.next(), kind, now_);
}

Outcome Player::run() {
    for (const Action& action : actions_) {
        run_until(begin_ + action.at);
        if (is_broken()) break;
        act(action);
    }
    if (!is_broken()) rest();
    outcome_.broken = broken_ ? broken_ : clients_.broken();
    outcome_.traffic = clients_.counts();
    outcome_.flows = plane_.counts;
    outcome_.cut = control_.cut();
    outcome_.forgotten = control_.forgotten();
    return outcome_;
}

void Player::rest() {
    start();
    const Instant rested = now_;
    clients_.wind_down(now_, 5s);
    Instant bound = control_.settling_time();
    if (setup_.lasting_flood) {
        // Whatever floods: at the deadline it is over.
        begin_flood({now_, Order::flood, random_.chance(50) ? 0u : 1u, 0x3fff, 0});
        flood_.until = Instant::max();
        for (std::uint32_t g = 1; g <= setup_.groups; ++g) control_.limit(g, now_ + 5s);
    } else if (flood_.is_on) {
        flood_.until = now_;
    }
    // Entries whose age has wrapped live once more.
    if (was_away_long_) bound += 256 * control_.longest_tick();
    while (!is_broken()) {
        run_until(now_ + 500ms);
        if (control_.settled()) break;
        const Instant quiet_since =
            setup_.lasting_flood ? rested + 5s : std::max(rested, clients_.last_arrival());
        if (now_ - quiet_since > bound) {
            fail("everything settles when nothing happens any more");
            return;
        }
    }
    if (is_broken()) return;
    check_settled();
    if (!setup_.lasting_flood) run_until(now_ + 2 * bound);
    check_accounts();
}

/// Every word says what the planner wants, and nothing else.
void Player::check_settled() {
    for (std::uint32_t g = 1; g <= setup_.groups; ++g) {
        const auto& words = plane_.rings[g].words;
        const auto& owners = control_.group(g).owners;
        for (std::size_t slot = 0; slot < words.size(); ++slot)
            if (words[slot] != SLC_SLOT_MAKE(owners[slot], owners[slot], 0))
                fail("a settled slot is what the planner wants");
    }
}

void Player::check_accounts() {
    const std::vector<std::uint64_t> counted = plane_.entries_by_group();
    std::uint64_t beyond = 0;
    for (std::uint32_t g = 1; g <= setup_.groups; ++g) {
        const slc_account& account = plane_.accounts[g];
        if (account.used != counted[g]) fail("an account is the number of its entries");
        beyond += account.used > account.share ? account.used - account.share : 0;
    }
    if (plane_.accounts[0].used != beyond) fail("the pool is what groups use beyond their shares");
    for (std::uint32_t g = 1; g <= setup_.groups; ++g)
        if (!setup_.lasting_flood && !control_.group(g).retired.empty())
            fail("a retired member is forgotten when nothing names it");
}

}  // namespace sluice::model
