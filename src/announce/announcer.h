// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Makes VIPs known to routers, by the ways of config::Announce: BIRD, BGP sessions of our own, the
/// kernel. The controller says what it wants and is told what became of it, both as values; nothing
/// here knows why a VIP is wanted.
///
///   auto announcer = SLC_TRY(Announcer::start(config, &kernel, [&](AnnounceReport report) {
///       controller.post(std::move(report));
///   }), "announcements");
///   announcer->want({{vip, Wish::announce}});
///
/// Invariants:
///  - A thread of its own: a withdrawal never waits for the daemon's main loop.
///  - Nothing is said to anybody before the first want(): a daemon that starts does not withdraw
///    what its predecessor left announced.
///  - Reports come on the announcer's thread, each different from the one before, at most one in
///    AnnouncerTimes::report.
///  - At the end, `on_daemon_exit` decides: withdrawn within AnnouncerTimes::finish, or left as it
///  is. BGP
///    peers keep the routes of a session that ends without a word for BgpRestart::time_s, where
///    they speak RFC 4724; and drop them at once when `withdraw` is configured, even if we are
///    killed. What a killed daemon left in BIRD and in the kernel goes with the next
///    start-want({})-end.

#include <chrono>
#include <functional>
#include <memory>

#include "announce/announcement.h"
#include "announce/bgp_speaker.h"
#include "announce/bird_client.h"
#include "announce/kernel_routes.h"
#include "base/reactor.h"
#include "base/result.h"
#include "config/announce.h"

namespace sluice::announce {

/// Tests shorten them.
struct AnnouncerTimes {
    BirdTimes bird{};
    BgpTimes bgp{};
    std::chrono::milliseconds kernel_check{2000};
    std::chrono::milliseconds report{10};    ///< Between two reports.
    std::chrono::milliseconds finish{3000};  ///< For withdrawals at the end.
};

class Announcer {
 public:
    using Report = std::function<void(AnnounceReport)>;

    /// `kernel` outlives it, and may be null where config.kernel is not set.
    static Result<std::unique_ptr<Announcer>> start(config::Announce config, KernelRoutes* kernel,
                                                    Report report, AnnouncerTimes times = {});
    Announcer(const Announcer&) = delete;
    Announcer& operator=(const Announcer&) = delete;
    ~Announcer();

    // From any thread but the announcer's.

    /// The whole set.
    void want(PrefixWishes wishes);
    /// Ways that are as before are not touched; others are taken down and set up.
    void configure(config::Announce config);

 private:
    class Ways;

    Announcer() = default;

    std::unique_ptr<ReactorThread> thread_;
    std::unique_ptr<Ways> ways_;  ///< Lives on the thread.
    std::chrono::milliseconds finish_{};
};

}  // namespace sluice::announce
