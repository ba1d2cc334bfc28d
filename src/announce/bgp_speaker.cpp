// SPDX-License-Identifier: Apache-2.0
#include "announce/bgp_speaker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "announce/bgp_bytes.h"

namespace sluice::announce {
namespace {

using namespace std::chrono_literals;

/// Prefixes looked at for one batch of UPDATEs: 4 KiB of IPv6 ones are 240.
constexpr std::size_t kBatch = 512;
/// Of the configured retry, in fifths: quick at first, since most sessions come back at once.
constexpr std::array<std::uint32_t, 4> kBackOffFifths = {1, 5, 10, 20};

BgpFamily family_of(const IpPrefix& prefix) {
    return prefix.address.is_ip6 ? BgpFamily::ip6 : BgpFamily::ip4;
}

BgpNotification unexpected(BgpState state, BgpType type) {
    std::uint8_t subcode = bgp::kInEstablished;
    if (state == BgpState::open_sent) subcode = bgp::kInOpenSent;
    if (state == BgpState::open_confirm) subcode = bgp::kInOpenConfirm;
    return {bgp::kStateError, subcode, {static_cast<std::uint8_t>(type)}};
}

std::uint32_t host_order(const IpAddress& ip4) {
    return ByteReader(ip4.bytes).u32().value_or(0);
}

}  // namespace

const char* name_of(BgpState state) {
    switch (state) {
        case BgpState::idle:
            return "idle";
        case BgpState::connect:
            return "connect";
        case BgpState::open_sent:
            return "open_sent";
        case BgpState::open_confirm:
            return "open_confirm";
        case BgpState::established:
            return "established";
    }
    return "?";
}

BgpSpeaker::BgpSpeaker(BgpSettings settings)
    : settings_(std::move(settings)),
      random_(static_cast<std::minstd_rand::result_type>(settings_.seed)) {}

BgpSpeaker::Clock::duration BgpSpeaker::jittered(Clock::duration duration) {
    // RFC 4271 10: between three quarters and the whole.
    return duration / 1000 * std::uniform_int_distribution<int>(750, 1000)(random_);
}

void BgpSpeaker::enter(BgpState state, Time now) {
    if (state_ != state) since_ = now;
    state_ = state;
    ++version_;
}

void BgpSpeaker::start(Time now) {
    if (!is_stopped_) return;
    is_stopped_ = false;
    since_ = now;
    enter(BgpState::idle, now);
    phase_until_ = now;
    tick(now);
}

void BgpSpeaker::stop(bool withdraw, Time now) {
    if (is_stopped_) return;
    is_stopped_ = true;
    if (connection_ == 0) {
        phase_until_.reset();
        return;
    }
    if (withdraw && state_ == BgpState::established) {
        want({}, now);
        // Everything at once: there is no later.
        while (is_dirty()) {
            send_batch(BgpFamily::ip4, now);
            send_batch(BgpFamily::ip6, now);
        }
    }
    if (withdraw && state_ >= BgpState::open_sent)
        send(write_notification({bgp::kCease, bgp::kShutdown, {}}), now);
    fail("stopped", now);
}

void BgpSpeaker::want(const PrefixWishes& wishes, Time now) {
    const auto form_of = [](Wish wish) -> std::optional<bool> {
        if (wish == Wish::withdraw) return std::nullopt;
        return wish == Wish::drain;
    };
    for (auto at = entries_.begin(); at != entries_.end();) {
        auto& [prefix, entry] = *at;
        const auto wish = wishes.find(prefix);
        entry.wanted = wish == wishes.end() ? std::nullopt : form_of(wish->second);
        if (entry.wanted != entry.sent) dirty_of(prefix).insert(prefix);
        if (!entry.wanted && !entry.sent) {
            dirty_of(prefix).erase(prefix);
            at = entries_.erase(at);
        } else {
            ++at;
        }
    }
    for (const auto& [prefix, wish] : wishes) {
        if (wish == Wish::withdraw) continue;
        const auto [at, is_new] = entries_.try_emplace(prefix);
        if (!is_new) continue;
        at->second.wanted = form_of(wish);
        dirty_of(prefix).insert(prefix);
    }
    ++version_;
    fill(now);
}

void BgpSpeaker::change(BgpAttributes attributes, Time now) {
    if (settings_.attributes == attributes) return;
    settings_.attributes = std::move(attributes);
    for (auto& [prefix, entry] : entries_) say_again(prefix, entry);
    ++version_;
    fill(now);
}

void BgpSpeaker::say_again(const IpPrefix& prefix, Entry& entry) {
    // What the peer has stays known: it may have to be withdrawn before it is said again.
    entry.is_due_again = entry.sent.has_value();
    if (entry.is_due_again) dirty_of(prefix).insert(prefix);
}

void BgpSpeaker::connected(const IpAddress& local, Time now) {
    if (state_ != BgpState::connect) return;
    local_ = local;
    router_id_ = settings_.router_id;
    if (router_id_ == 0 && !local.is_ip6) router_id_ = host_order(local);
    if (router_id_ == 0) router_id_ = settings_.fallback_router_id;
    BgpOpen open;
    open.as = settings_.own_as;
    open.hold_time_s = static_cast<std::uint16_t>(settings_.peer.hold_time.count());
    open.router_id = router_id_;
    if (settings_.keep_on_exit)
        open.restart = BgpRestart{.is_restarting = counters_.established == 0};
    enter(BgpState::open_sent, now);
    phase_until_ = now + settings_.times.open;
    send(write_open(open), now);
}

void BgpSpeaker::received(ByteView bytes, Time now) {
    if (state_ < BgpState::open_sent) return;
    const std::uint64_t connection = connection_;
    put_all(input_, bytes);
    std::size_t used = 0;
    while (connection_ == connection) {
        const BgpRead read = read_bgp(ByteView(input_).subspan(used));
        if (read.error) return fail(*read.error, now);
        if (!read.message) break;
        used += read.size;
        ++counters_.messages_in;
        take(read, now);
    }
    if (connection_ != connection) return;
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(used));
    fill(now);
}

void BgpSpeaker::closed(const std::string& why, Time now) {
    if (connection_ == 0) return;
    fail(why, now);
    output_.clear();
}

void BgpSpeaker::take(const BgpRead& read, Time now) {
    if (const auto* notification = std::get_if<BgpNotification>(&*read.message))
        return fail(telling_ = "the peer ended the session: " + notification->text(), now);
    const bool is_open = std::holds_alternative<BgpOpen>(*read.message);
    const bool is_keepalive = std::holds_alternative<BgpKeepalive>(*read.message);
    if (state_ == BgpState::open_sent) {
        if (!is_open) return fail(unexpected(state_, read.type), now);
        return take_open(std::get<BgpOpen>(*read.message), now);
    }
    if (state_ == BgpState::open_confirm) {
        if (!is_keepalive) return fail(unexpected(state_, read.type), now);
        return establish(now);
    }
    if (is_open) return fail(unexpected(state_, read.type), now);
    if (const auto* asked = std::get_if<BgpRouteRefresh>(&*read.message)) return refresh(*asked);
    renew_hold(now);
    if (!is_keepalive) ++counters_.updates_ignored;
}

std::optional<BgpNotification> BgpSpeaker::judge(const BgpOpen& open) const {
    if (open.as != settings_.peer.as) return BgpNotification{bgp::kOpenError, bgp::kBadPeerAs, {}};
    if (is_internal() && open.router_id == router_id_)  // RFC 6286 2.2.
        return BgpNotification{bgp::kOpenError, bgp::kBadIdentifier, {}};
    if (!open.ip4 && !open.ip6) {  // RFC 5492 5: both of what we can.
        return BgpNotification{
            bgp::kOpenError, bgp::kMissingCapability, {1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1}};
    }
    return std::nullopt;
}

void BgpSpeaker::take_open(const BgpOpen& open, Time now) {
    if (const auto error = judge(open)) {
        fail(*error, now);
        if (error->subcode == bgp::kBadPeerAs) {
            last_error_ += fmt::format(" (the peer is AS {}, not {})", open.as, settings_.peer.as);
            telling_ = last_error_;
        }
        return;
    }
    peer_ = open;
    hold_ = std::min(settings_.peer.hold_time, std::chrono::seconds(open.hold_time_s));
    phase_until_.reset();
    enter(BgpState::open_confirm, now);
    renew_hold(now);
    send(write_keepalive(), now);
}

void BgpSpeaker::establish(Time now) {
    ++counters_.established;
    last_error_.clear();
    telling_.clear();
    enter(BgpState::established, now);
    renew_hold(now);
    ends_due_ = true;
    for (const auto& [prefix, entry] : entries_) dirty_of(prefix).insert(prefix);
    fill(now);
}

void BgpSpeaker::renew_hold(Time now) {
    if (hold_ > 0s) hold_until_ = now + hold_;
}

void BgpSpeaker::refresh(const BgpRouteRefresh& refresh) {
    if (refresh.safi != 1) return;
    if (refresh.afi == static_cast<std::uint8_t>(BgpFamily::ip4)) refresh4_ = true;
    if (refresh.afi == static_cast<std::uint8_t>(BgpFamily::ip6)) refresh6_ = true;
    // Whoever asks without end is answered at a bounded rate.
    if ((refresh4_ || refresh6_) && !refresh_at_)
        refresh_at_ = refreshed_ + settings_.times.refresh;
}

void BgpSpeaker::fail(const BgpNotification& error, Time now) {
    send(write_notification(error), now);
    fail(telling_ = "ended the session: " + error.text(), now);
}

void BgpSpeaker::fail(const std::string& why, Time now) {
    const bool stood = state_ == BgpState::established;
    if (stood && now - since_ >= std::max<Clock::duration>(hold_, settings_.peer.retry))
        failures_ = 0;
    last_error_ = why;
    // Some peers say why once, and then only reset connections for a while.
    if (!telling_.empty() && telling_ != why) last_error_ += "; before that: " + telling_;
    connection_ = 0;
    input_.clear();
    hold_until_.reset();
    keepalive_at_.reset();
    stuck_until_.reset();
    refresh_at_.reset();
    refresh4_ = refresh6_ = ends_due_ = false;
    for (auto at = entries_.begin(); at != entries_.end();) {
        at->second.sent.reset();
        at->second.is_due_again = false;
        at = at->second.wanted ? std::next(at) : entries_.erase(at);
    }
    dirty4_.clear();
    dirty6_.clear();
    enter(BgpState::idle, now);
    phase_until_.reset();
    if (is_stopped_) return;
    const std::uint32_t fifths =
        kBackOffFifths[std::min<std::size_t>(failures_, kBackOffFifths.size() - 1)];
    ++failures_;
    phase_until_ = now + jittered(Clock::duration(settings_.peer.retry) * fifths / 5);
}

void BgpSpeaker::tick(Time now) {
    const auto is_due = [now](const std::optional<Time>& at) { return at && *at <= now; };
    if (is_due(phase_until_)) {
        if (state_ == BgpState::idle) {
            output_.clear();
            queued_bytes_ = written_bytes_ = 0;
            connection_ = ++connections_;
            phase_until_ = now + settings_.times.connect;
            return enter(BgpState::connect, now);
        }
        if (state_ == BgpState::connect) {
            std::string why = "no answer to the connection";
            if (!settings_.peer.password_file.empty()) why += "; does the peer have this password?";
            return fail(why, now);
        }
        // RFC 4271 8.2.2: the hold timer of OpenSent.
        return fail(BgpNotification{bgp::kHoldExpired, 0, {}}, now);
    }
    if (is_due(hold_until_)) return fail(BgpNotification{bgp::kHoldExpired, 0, {}}, now);
    // RFC 9687: a peer that keeps talking and reads nothing must not hold our routes for ever.
    if (is_due(stuck_until_)) return fail("the peer does not read", now);
    if (is_due(keepalive_at_) && output_.empty()) send(write_keepalive(), now);
    if (is_due(keepalive_at_)) keepalive_at_ = now + jittered(Clock::duration(hold_) / 3);
    if (is_due(refresh_at_)) {
        for (auto& [prefix, entry] : entries_) {
            if (!(prefix.address.is_ip6 ? refresh6_ : refresh4_)) continue;
            say_again(prefix, entry);
        }
        refresh4_ = refresh6_ = false;
        refresh_at_.reset();
        refreshed_ = now;
        fill(now);
    }
}

BgpSpeaker::Time BgpSpeaker::deadline() const {
    Time first = Time::max();
    for (const auto& at : {phase_until_, hold_until_, keepalive_at_, stuck_until_, refresh_at_})
        if (at) first = std::min(first, *at);
    return first;
}

void BgpSpeaker::send(ByteView bytes, Time now) {
    put_all(output_, bytes);
    queued_bytes_ += bytes.size();
    if (!stuck_until_)
        stuck_until_ = now + std::max<Clock::duration>(settings_.times.send_hold, 2 * hold_);
    if (state_ >= BgpState::open_confirm && hold_ > 0s)
        keepalive_at_ = now + jittered(Clock::duration(hold_) / 3);
}

void BgpSpeaker::written(std::size_t count, Time now) {
    if (count == 0) return;
    output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(count));
    written_bytes_ += count;
    ++version_;
    fill(now);
    stuck_until_.reset();
    if (!output_.empty())
        stuck_until_ = now + std::max<Clock::duration>(settings_.times.send_hold, 2 * hold_);
}

std::optional<IpAddress> BgpSpeaker::next_hop(BgpFamily family) const {
    const bool is_ip6 = family == BgpFamily::ip6;
    const auto& given = is_ip6 ? settings_.peer.next_hop6 : settings_.peer.next_hop4;
    if (given) return given;
    if (local_.is_ip6 == is_ip6 && !local_.is_unspecified()) return local_;
    return std::nullopt;
}

const char* BgpSpeaker::hindrance(BgpFamily family) const {
    const bool is_ip6 = family == BgpFamily::ip6;
    if (!(is_ip6 ? peer_.ip6 : peer_.ip4))
        return is_ip6 ? "the peer takes no IPv6" : "the peer takes no IPv4";
    if (!next_hop(family))
        return is_ip6 ? "no IPv6 next hop: set next_hop6" : "no IPv4 next hop: set next_hop4";
    return nullptr;
}

BgpRoute BgpSpeaker::route(BgpFamily family, bool draining) const {
    BgpRoute out;
    out.next_hop = *next_hop(family);
    out.own_as = settings_.own_as;
    out.is_internal = is_internal();
    out.has_as4 = peer_.has_as4;
    out.prepend = settings_.attributes.prepend;
    out.med = settings_.attributes.med;
    out.local_preference = settings_.attributes.local_preference.value_or(100);
    out.communities = settings_.attributes.communities;
    out.is_draining = draining;
    return out;
}

void BgpSpeaker::mark_sent(const std::vector<IpPrefix>& prefixes, std::optional<bool> form) {
    for (const IpPrefix& prefix : prefixes) {
        const auto at = entries_.find(prefix);
        at->second.sent = form;
        at->second.is_due_again = false;
        at->second.sent_until = queued_bytes_;
        if (!form && !at->second.wanted) entries_.erase(at);
    }
}

/// At most kBatch dirty prefixes of one family, as withdrawals and announcements.
void BgpSpeaker::send_batch(BgpFamily family, Time now) {
    std::vector<IpPrefix> withdrawn;
    std::array<std::vector<IpPrefix>, 2> announced;  // Plainly, and draining.
    const bool can = hindrance(family) == nullptr;
    std::set<IpPrefix>& dirty = family == BgpFamily::ip6 ? dirty6_ : dirty4_;
    std::size_t looked_at = 0;
    for (auto at = dirty.begin(); at != dirty.end() && looked_at < kBatch; ++looked_at) {
        const Entry& entry = entries_.at(*at);
        if ((entry.wanted == entry.sent && !entry.is_due_again) || !can) {
            // Nothing to say, or no way to say it, as its report tells.
        } else if (!entry.wanted) {
            withdrawn.push_back(*at);
        } else {
            announced[*entry.wanted ? 1 : 0].push_back(*at);
        }
        at = dirty.erase(at);
    }
    if (!withdrawn.empty()) {
        counters_.prefixes_withdrawn += withdrawn.size();
        send(write_withdrawal(family, withdrawn), now);
        mark_sent(withdrawn, std::nullopt);
    }
    for (const bool draining : {false, true}) {
        const auto& prefixes = announced[draining ? 1 : 0];
        if (prefixes.empty()) continue;
        counters_.prefixes_announced += prefixes.size();
        send(write_announcement(route(family, draining), prefixes), now);
        mark_sent(prefixes, draining);
    }
}

void BgpSpeaker::send_ends(Time now) {
    ends_due_ = false;
    if (!peer_.restart) return;
    if (peer_.ip4) send(write_end_of_rib(BgpFamily::ip4), now);
    if (peer_.ip6) send(write_end_of_rib(BgpFamily::ip6), now);
}

void BgpSpeaker::fill(Time now) {
    if (state_ != BgpState::established) return;
    while (is_dirty() && output_.size() < kOutputHigh) {
        send_batch(BgpFamily::ip4, now);
        send_batch(BgpFamily::ip6, now);
        ++version_;
    }
    if (ends_due_ && !is_dirty()) send_ends(now);
}

PrefixReport BgpSpeaker::report(const IpPrefix& prefix) const {
    const auto at = entries_.find(prefix);
    const bool is_up = state_ == BgpState::established;
    if (at == entries_.end()) return {PrefixState::withdrawn};
    const Entry& entry = at->second;
    if (!entry.wanted) return {is_up ? PrefixState::wanted : PrefixState::withdrawn};
    if (!is_up) {
        if (last_error_.empty()) return {PrefixState::wanted, "no session yet"};
        return {PrefixState::failing, "no session: " + last_error_};
    }
    if (const char* why = hindrance(family_of(prefix))) return {PrefixState::failing, why};
    if (entry.sent != entry.wanted || entry.sent_until > written_bytes_)
        return {PrefixState::wanted, reads_slowly() ? "the peer reads slowly" : ""};
    return {*entry.sent ? PrefixState::draining : PrefixState::announced};
}

}  // namespace sluice::announce
