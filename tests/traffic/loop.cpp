// SPDX-License-Identifier: Apache-2.0
#include "traffic/loop.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <limits>

namespace sluice::traffic {
namespace {

constexpr std::uint64_t kSignalKey = std::numeric_limits<std::uint64_t>::max();

}  // namespace

std::uint64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kSecond +
           static_cast<std::uint64_t>(now.tv_nsec);
}

Result<Loop> Loop::open() {
    Loop out;
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGUSR1}) ::sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    out.signals_.reset(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
    out.epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!out.signals_.valid() || !out.epoll_.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "epoll and signalfd"));
    }
    SLC_CHECK(out.watch(out.signals_.get(), kSignalKey, EPOLLIN), "signals");
    return out;
}

Result<void> Loop::watch(int fd, std::uint64_t key, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = key;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "watch a socket"));
}

void Loop::change(int fd, std::uint64_t key, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = key;
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

int Loop::wait_ms() const {
    if (times_.empty()) return -1;
    const std::uint64_t now = now_ns();
    if (times_.top().due_ns <= now) return 0;
    return static_cast<int>(
        std::min<std::uint64_t>(1000, (times_.top().due_ns - now) / kMillisecond + 1));
}

void Loop::read_signals(Owner& owner) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGUSR1) {
            owner.on_progress();
        } else if (stopping_) {
            ended_ = true;
        } else {
            stopping_ = true;
            owner.on_stop();
        }
    }
}

Result<void> Loop::run(Owner& owner) {
    std::array<epoll_event, 256> events{};
    while (!ended_) {
        const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), wait_ms());
        if (count < 0 && errno != EINTR) {
            const int saved = errno;
            return fail(sys_error(saved, "epoll_wait"));
        }
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            if (event.data.u64 == kSignalKey)
                read_signals(owner);
            else
                owner.on_event(event.data.u64, event.events);
        }
        // Only what is due now: what comes up meanwhile waits for sockets to have had their turn.
        for (const std::uint64_t now = now_ns(); !times_.empty() && times_.top().due_ns <= now;) {
            const std::uint64_t key = times_.top().key;
            times_.pop();
            owner.on_time(key);
        }
    }
    return {};
}

void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace sluice::traffic
