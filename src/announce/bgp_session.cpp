// SPDX-License-Identifier: Apache-2.0
#include "announce/bgp_session.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "announce/bgp_socket.h"

namespace sluice::announce {
namespace {

using namespace std::chrono_literals;

/// Longest that a connection which is over waits for the peer to end it too.
constexpr auto kLinger = 1s;
/// Reads of one round: a peer that talks without end must not keep others waiting.
constexpr int kReadsAtOnce = 4;

BgpSpeaker::Time now() {
    return BgpSpeaker::Clock::now();
}

}  // namespace

BgpSession::BgpSession(Reactor& reactor, BgpSettings settings, std::function<void()> changed)
    : speaker_(settings),
      peer_(settings.peer),
      changed_(std::move(changed)),
      watch_(reactor, [this](std::uint32_t events) { on_event(events); }),
      parted_watch_(reactor, [this](std::uint32_t) { drain_parted(); }),
      timer_(reactor, [this] { on_timer(); }),
      parted_timer_(reactor, [this] {
          parted_watch_.stop();
          parted_.reset();
      }) {}

void BgpSession::start() {
    speaker_.start(now());
    pump();
}

void BgpSession::want(const PrefixWishes& wishes) {
    speaker_.want(wishes, now());
    pump();
}

void BgpSession::change(BgpAttributes attributes) {
    speaker_.change(std::move(attributes), now());
    pump();
}

void BgpSession::stop(bool withdraw) {
    speaker_.stop(withdraw, now());
    pump();
}

/// Carries out what the speaker wishes for, until it wishes nothing more.
void BgpSession::pump() {
    for (;;) {
        if (speaker_.connection() != current_) {
            part();
            current_ = speaker_.connection();
            if (current_ != 0 && !connect()) continue;
        }
        if (is_connected_ && !write()) continue;
        break;
    }
    watch();
    const auto deadline = speaker_.deadline();
    if (deadline == BgpSpeaker::Time::max()) {
        timer_.stop();
    } else {
        timer_.set_at(deadline);
    }
    if (reported_version_ == speaker_.version()) return;
    reported_version_ = speaker_.version();
    changed_();
}

bool BgpSession::connect() {
    auto opened = connect_bgp(peer_);
    if (!opened) {
        speaker_.closed(opened.error().what, now());
        return false;
    }
    fd_ = std::move(*opened);
    is_connected_ = false;
    return true;
}

/// Says the last words, if there are any, and lets the peer read them: a socket that is closed with
/// unread input resets the connection and takes them back.
void BgpSession::part() {
    watch_.stop();
    parted_watch_.stop();
    parted_timer_.stop();
    parted_.reset();
    if (fd_.valid() && is_connected_ && !speaker_.output().empty()) {
        const ByteView words = speaker_.output();
        (void)::send(fd_.get(), words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)::shutdown(fd_.get(), SHUT_WR);
        parted_ = std::move(fd_);
        parted_timer_.set_in(kLinger);
        if (!parted_watch_.set(parted_.get(), EPOLLIN)) parted_.reset();
        if (parted_.valid()) drain_parted();
    }
    fd_.reset();
    is_connected_ = false;
    speaker_.forget_output();
}

void BgpSession::drain_parted() {
    std::array<std::uint8_t, 16384> buffer;
    for (int i = 0; i < kReadsAtOnce; ++i) {
        const ssize_t got = ::recv(parted_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got > 0) continue;
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        parted_watch_.stop();
        parted_timer_.stop();
        parted_.reset();
        return;
    }
}

void BgpSession::on_event(std::uint32_t events) {
    if (!is_connected_) {
        finish_connect();
    } else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        read();
    }
    pump();
}

void BgpSession::on_timer() {
    // What has come already counts, even if this thread was too late to see it.
    if (is_connected_ && speaker_.connection() == current_) read();
    speaker_.tick(now());
    pump();
}

void BgpSession::finish_connect() {
    int error = 0;
    socklen_t size = sizeof error;
    (void)::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        speaker_.closed(sys_error(error, "connect").what, now());
        return;
    }
    is_connected_ = true;
    speaker_.connected(local_address(fd_.get()), now());
}

void BgpSession::read() {
    std::array<std::uint8_t, 16384> buffer;
    for (int i = 0; i < kReadsAtOnce && speaker_.connection() == current_; ++i) {
        const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        const int saved = errno;
        if (got > 0) {
            speaker_.received(ByteView(buffer).first(static_cast<std::size_t>(got)), now());
            continue;
        }
        if (got < 0 && (saved == EAGAIN || saved == EINTR)) return;
        speaker_.closed(got == 0 ? "the peer closed the connection" : sys_error(saved, "read").what,
                        now());
        return;
    }
}

/// False: the connection is over.
bool BgpSession::write() {
    while (!speaker_.output().empty()) {
        const ByteView output = speaker_.output();
        const ssize_t sent =
            ::send(fd_.get(), output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        const int saved = errno;
        if (sent < 0 && saved == EINTR) continue;
        if (sent < 0 && saved == EAGAIN) return true;
        if (sent < 0) {
            // A notification that came before may say more than this.
            read();
            if (speaker_.connection() == current_)
                speaker_.closed(sys_error(saved, "write").what, now());
            return false;
        }
        speaker_.written(static_cast<std::size_t>(sent), now());
    }
    return true;
}

void BgpSession::watch() {
    if (!fd_.valid()) return;
    const std::uint32_t events =
        !is_connected_ ? EPOLLOUT : EPOLLIN | (speaker_.output().empty() ? 0U : EPOLLOUT);
    if (auto set = watch_.set(fd_.get(), events); !set) {
        speaker_.closed(set.error().what, now());
        part();
        current_ = 0;
    }
}

}  // namespace sluice::announce
