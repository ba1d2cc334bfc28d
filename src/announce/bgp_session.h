// SPDX-License-Identifier: Apache-2.0
#pragma once

/// An announce-only BGP session over TCP: announce/bgp_speaker.h with a socket and a timer, on a
/// reactor. Used by the announcer, one for each peer. We always connect, never listen: there are no
/// collisions.
///
/// Invariants: at most one connection, and one more that only waits for the peer to have read our
/// last words; nothing blocks.

#include <functional>

#include "announce/bgp_speaker.h"
#include "base/reactor.h"
#include "base/unique_fd.h"

namespace sluice::announce {

class BgpSession {
 public:
    /// `changed` is called after anything that report() or the state tells has changed. It must
    /// not destroy the session.
    BgpSession(Reactor& reactor, BgpSettings settings, std::function<void()> changed);
    BgpSession(const BgpSession&) = delete;
    BgpSession& operator=(const BgpSession&) = delete;
    /// Ends the connection without a word, which peers with graceful restart take for a restart.
    ~BgpSession() = default;

    void start();
    void want(const PrefixWishes& wishes);
    void change(BgpAttributes attributes);
    /// See BgpSpeaker::stop. What is said is with the kernel when this returns, as far as the
    /// peer's window allows.
    void stop(bool withdraw);

    [[nodiscard]] const BgpSpeaker& speaker() const { return speaker_; }
    /// No connection is left, not even one that waits for the peer to have read our last words.
    [[nodiscard]] bool is_silent() const { return !fd_.valid() && !parted_.valid(); }

 private:
    void pump();
    bool connect();
    void part();
    void on_event(std::uint32_t events);
    void on_timer();
    void finish_connect();
    void read();
    bool write();
    void watch();
    void drain_parted();

    BgpSpeaker speaker_;
    config::BgpPeer peer_;
    std::function<void()> changed_;
    std::uint64_t current_ = 0;  ///< Number of the connection that fd_ is.
    bool is_connected_ = false;
    std::uint64_t reported_version_ = 0;
    UniqueFd fd_;
    UniqueFd parted_;
    Watch watch_;
    Watch parted_watch_;
    Timer timer_;
    Timer parted_timer_;
};

}  // namespace sluice::announce
