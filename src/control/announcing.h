// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The announcements of this node: what the controller wants goes to the announcer
/// (announce/announcer.h), what became of it comes back, is logged, and is told to whoever asks.
/// Owned by the controller, on its thread; the announcer runs on another.
///
///   announcing.follow(config.announce, wishes);  // whenever either may be another
///   announcing.take();                           // when the announcer has something
///
/// Invariants:
///  - Without `announce` in the configuration there is no thread, and once there was one, it has
///    withdrawn what it had announced.
///  - What a daemon leaves at its end is up to announce.on_daemon_exit.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "announce/announcer.h"
#include "control/announce_status.h"

namespace sluice::control {

class Announcing {
 public:
    /// `wake` is called from another thread when take() has something.
    explicit Announcing(std::function<void()> wake);
    Announcing(const Announcing&) = delete;
    Announcing& operator=(const Announcing&) = delete;
    ~Announcing();

    Result<void> follow(const std::optional<config::Announce>& config, VipWishes wishes);
    /// Before a configuration without some of the VIPs takes effect: those are withdrawn.
    void leave_all_but(const std::set<IpPrefix>& vips);
    void take();

    /// All but `node`.
    [[nodiscard]] AnnounceStatus status() const;

    /// What a daemon that was killed left announced, in BIRD and in the kernel, is withdrawn,
    /// whatever on_daemon_exit says; sessions of our own ended with it.
    static Result<void> withdraw_leftovers(const config::Config& config);

 private:
    class Kernel;
    struct Slot;

    void log_ways(const announce::AnnounceReport& next) const;
    void log_vips(const announce::AnnounceReport& next);

    std::shared_ptr<Slot> slot_;
    std::unique_ptr<Kernel> kernel_;
    std::optional<config::Announce> config_;
    VipWishes wishes_;
    announce::AnnounceReport last_;
    std::map<IpPrefix, announce::PrefixState> told_;  ///< In the log; never `wanted`.
    /// Ends before what it calls.
    std::unique_ptr<announce::Announcer> announcer_;
};

}  // namespace sluice::control
