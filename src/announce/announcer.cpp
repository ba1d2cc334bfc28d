// SPDX-License-Identifier: Apache-2.0
#include "announce/announcer.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <optional>
#include <random>

#include "announce/bgp_session.h"
#include "announce/bgp_socket.h"
#include "announce/kernel_announcements.h"

namespace sluice::announce {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;

BgpAttributes attributes_of(const config::AnnounceBgp& bgp) {
    return {bgp.communities, bgp.med, bgp.local_preference, bgp.prepend};
}

BgpSettings settings_of(const config::Announce& config, const config::BgpPeer& peer,
                        const BgpTimes& times) {
    BgpSettings out;
    out.own_as = config.bgp->as;
    out.router_id = config.bgp->router_id;
    out.fallback_router_id = find_router_id(1);
    out.peer = peer;
    out.attributes = attributes_of(*config.bgp);
    out.keep_on_exit = config.on_daemon_exit == config::OnExit::keep;
    out.seed = std::random_device{}();
    out.times = times;
    return out;
}

std::string name_of(const config::BgpPeer& peer) {
    const std::string address = peer.address.text();
    if (peer.port == 179) return "bgp " + address;
    if (peer.address.is_ip6) return fmt::format("bgp [{}]:{}", address, peer.port);
    return fmt::format("bgp {}:{}", address, peer.port);
}

/// The steady clock has no calendar.
system_clock::time_point calendar(std::chrono::steady_clock::time_point at) {
    return system_clock::now() + std::chrono::duration_cast<system_clock::duration>(
                                     at - std::chrono::steady_clock::now());
}

int badness(PrefixState state) {
    switch (state) {
        case PrefixState::failing:
            return 4;
        case PrefixState::wanted:
            return 3;
        case PrefixState::draining:
            return 2;
        case PrefixState::announced:
            return 1;
        case PrefixState::withdrawn:
            return 0;
    }
    return 0;
}

}  // namespace

/// Everything that lives on the thread.
class Announcer::Ways {
 public:
    Ways(Reactor& reactor, config::Announce config, KernelRoutes* kernel, Report report,
         AnnouncerTimes times)
        : reactor_(reactor),
          config_(std::move(config)),
          kernel_(kernel),
          report_(std::move(report)),
          times_(times),
          leaving_timer_(reactor, [this] { leave_if_done(); }),
          report_timer_(reactor, [this] { report_now(); }),
          finish_timer_(reactor, [this] { finish_if_done(); }) {}

    void want(PrefixWishes wishes) {
        wishes_ = std::move(wishes);
        if (!is_begun_) {
            is_begun_ = true;
            set_up();
        }
        if (bird_) bird_->want(wishes_);
        for (const Peer& peer : peers_) peer.session->want(wishes_);
        if (kernel_way_) kernel_way_->want(wishes_);
        changed();
    }

    void configure(config::Announce config) {
        const config::Announce before = std::exchange(config_, std::move(config));
        if (!is_begun_) return;
        if (before.bird != config_.bird && bird_) leave_bird(*before.bird);
        if (before.kernel != config_.kernel && kernel_way_) {
            kernel_way_->want({});
            kernel_way_.reset();
        }
        const bool same_speaker = is_same_speaker(before, config_);
        std::erase_if(peers_, [&](const Peer& peer) {
            const bool stays =
                same_speaker && std::find(config_.bgp->peers.begin(), config_.bgp->peers.end(),
                                          peer.config) != config_.bgp->peers.end();
            if (!stays) peer.session->stop(true);
            return !stays;
        });
        for (const Peer& peer : peers_) peer.session->change(attributes_of(*config_.bgp));
        set_up();
        want(std::move(wishes_));
    }

    /// `done` is told when everything is withdrawn, or left as it is.
    void finish(std::promise<void>* done) {
        done_ = done;
        if (is_begun_ && config_.on_daemon_exit == config::OnExit::withdraw) {
            PrefixWishes nothing;
            for (const auto& [prefix, wish] : wishes_) nothing[prefix] = Wish::withdraw;
            wishes_ = std::move(nothing);
            if (bird_) bird_->want(wishes_);
            for (const Peer& peer : peers_) peer.session->stop(true);
            if (kernel_way_) kernel_way_->want(wishes_);
            finish_until_ = Reactor::Clock::now() + times_.finish;
        }
        finish_if_done();
    }

 private:
    struct Peer {
        config::BgpPeer config;
        std::unique_ptr<BgpSession> session;
    };

    /// Sessions may stay: what cannot change within one is as before.
    static bool is_same_speaker(const config::Announce& a, const config::Announce& b) {
        return a.bgp && b.bgp && a.bgp->as == b.bgp->as && a.bgp->router_id == b.bgp->router_id &&
               a.on_daemon_exit == b.on_daemon_exit;
    }

    /// What another BIRD than before announces has to go; the same one follows its new file.
    void leave_bird(const config::AnnounceBird& before) {
        leaving_ = std::move(bird_);
        if (config_.bird && config_.bird->socket == before.socket) {
            leaving_.reset();
            return;
        }
        leaving_->want({});
        leaving_until_ = Reactor::Clock::now() + times_.finish;
        leaving_timer_.set_in(0ns);
    }

    void leave_if_done() {
        const auto now = Reactor::Clock::now();
        if (leaving_ && !leaving_->is_settled() && now < leaving_until_) {
            leaving_timer_.set_at(now + 10ms);
        } else {
            leaving_.reset();
        }
    }

    /// What the configuration has and we have not.
    void set_up() {
        const auto on_change = [this] { changed(); };
        if (config_.bird && !bird_) {
            bird_ = std::make_unique<BirdClient>(reactor_, *config_.bird, times_.bird, on_change);
            bird_->want(wishes_);
            bird_->start();
        }
        if (config_.kernel && kernel_ != nullptr && !kernel_way_) {
            kernel_way_ = std::make_unique<KernelAnnouncements>(reactor_, *config_.kernel, *kernel_,
                                                                times_.kernel_check, on_change);
            kernel_since_ = system_clock::now();
        }
        if (!config_.bgp) return;
        for (const config::BgpPeer& peer : config_.bgp->peers) {
            if (std::any_of(peers_.begin(), peers_.end(),
                            [&](const Peer& has) { return has.config == peer; }))
                continue;
            auto session = std::make_unique<BgpSession>(
                reactor_, settings_of(config_, peer, times_.bgp), on_change);
            session->want(wishes_);
            session->start();
            peers_.push_back({peer, std::move(session)});
        }
    }

    void changed() {
        if (done_ != nullptr) {
            finish_timer_.set_in(0ns);
        } else if (!report_timer_.is_set()) {
            report_timer_.set_at(std::max(Reactor::Clock::now(), reported_at_ + times_.report));
        }
    }

    void finish_if_done() {
        if (done_ == nullptr) return;
        const auto now = Reactor::Clock::now();
        if (finish_until_ && now < *finish_until_ && !is_withdrawn()) {
            finish_timer_.set_at(std::min(*finish_until_, now + 10ms));
            return;
        }
        std::exchange(done_, nullptr)->set_value();
    }

    bool is_withdrawn() const {
        // The kernel has done it at once, or will not do it.
        return (!bird_ || bird_->is_settled()) &&
               std::all_of(peers_.begin(), peers_.end(),
                           [](const Peer& peer) { return peer.session->is_silent(); });
    }

    std::vector<WayReport> report_ways() const {
        std::vector<WayReport> out;
        if (bird_)
            out.push_back({"bird", bird_->is_up() ? "up" : "connect", bird_->is_up(),
                           bird_->last_error(), calendar(bird_->since()), bird_->lost()});
        for (const Peer& peer : peers_) {
            const BgpSpeaker& speaker = peer.session->speaker();
            const bool is_up = speaker.state() == BgpState::established;
            out.push_back({name_of(peer.config), announce::name_of(speaker.state()), is_up,
                           speaker.last_error(), calendar(speaker.since()),
                           speaker.counters().established - (is_up ? 1 : 0)});
        }
        if (kernel_way_)
            out.push_back({"kernel", kernel_way_->last_error().empty() ? "up" : "failing", true,
                           kernel_way_->last_error(), kernel_since_, 0});
        return out;
    }

    PrefixStatus report_prefix(const IpPrefix& prefix, Wish wish,
                               const std::vector<WayReport>& ways) const {
        PrefixStatus out{prefix, wish, {PrefixState::withdrawn}, {}, {}};
        if (bird_) out.by_way.push_back(bird_->report(prefix));
        for (const Peer& peer : peers_)
            out.by_way.push_back(peer.session->speaker().report(prefix));
        if (kernel_way_) out.by_way.push_back(kernel_way_->report(prefix));
        if (out.by_way.empty() && wish != Wish::withdraw)
            out.report = {PrefixState::failing, "no way of announcing is configured"};
        for (std::size_t i = 0; i < out.by_way.size(); ++i) {
            const PrefixReport& one = out.by_way[i];
            if (i > 0 && badness(one.state) <= badness(out.report.state)) continue;
            out.report = one;
            if (!one.why.empty()) out.report.why = ways[i].name + ": " + one.why;
        }
        return out;
    }

    void report_now() {
        AnnounceReport report;
        report.ways = report_ways();
        // Times of the steady clock wander by nanoseconds as they are turned into calendar times.
        for (WayReport& way : report.ways) {
            for (const WayReport& before : last_.ways)
                if (before.name == way.name && before.state == way.state &&
                    std::chrono::abs(before.since - way.since) < 1ms)
                    way.since = before.since;
        }
        std::map<IpPrefix, std::pair<PrefixState, system_clock::time_point>> states;
        for (const auto& [prefix, wish] : wishes_) {
            PrefixStatus status = report_prefix(prefix, wish, report.ways);
            const auto before = states_.find(prefix);
            const bool is_same =
                before != states_.end() && before->second.first == status.report.state;
            status.since = is_same ? before->second.second : system_clock::now();
            states[prefix] = {status.report.state, status.since};
            report.prefixes.push_back(std::move(status));
        }
        states_ = std::move(states);
        reported_at_ = Reactor::Clock::now();
        if (report == last_) return;
        last_ = report;
        report_(std::move(report));
    }

    Reactor& reactor_;
    config::Announce config_;
    KernelRoutes* kernel_;
    Report report_;
    AnnouncerTimes times_;
    PrefixWishes wishes_;
    bool is_begun_ = false;

    std::unique_ptr<BirdClient> bird_;
    std::unique_ptr<BirdClient> leaving_;  ///< One of an earlier configuration.
    Reactor::Time leaving_until_{};
    Timer leaving_timer_;
    std::vector<Peer> peers_;
    std::unique_ptr<KernelAnnouncements> kernel_way_;
    system_clock::time_point kernel_since_{};

    AnnounceReport last_;
    std::map<IpPrefix, std::pair<PrefixState, system_clock::time_point>> states_;
    Reactor::Time reported_at_{};
    std::promise<void>* done_ = nullptr;
    std::optional<Reactor::Time> finish_until_;
    Timer report_timer_;
    Timer finish_timer_;
};

Result<std::unique_ptr<Announcer>> Announcer::start(config::Announce config, KernelRoutes* kernel,
                                                    Report report, AnnouncerTimes times) {
    if (config.kernel && kernel == nullptr)
        return fail(Errc::internal, "announcing through the kernel needs a way to it");
    std::unique_ptr<Announcer> out(new Announcer);
    out->finish_ = times.finish;
    out->thread_ = SLC_TRY(ReactorThread::start("slc-announce"), "announcements");
    out->thread_->call([&] {
        out->ways_ = std::make_unique<Ways>(out->thread_->reactor(), std::move(config), kernel,
                                            std::move(report), times);
    });
    return out;
}

Announcer::~Announcer() {
    if (!ways_) return;
    std::promise<void> done;
    thread_->reactor().post([&] { ways_->finish(&done); });
    done.get_future().wait();
    thread_->call([this] { ways_.reset(); });
}

void Announcer::want(PrefixWishes wishes) {
    thread_->reactor().post(
        [this, wishes = std::move(wishes)]() mutable { ways_->want(std::move(wishes)); });
}

void Announcer::configure(config::Announce config) {
    thread_->reactor().post(
        [this, config = std::move(config)]() mutable { ways_->configure(std::move(config)); });
}

}  // namespace sluice::announce
