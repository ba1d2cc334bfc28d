// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One thread that waits for descriptors, times and tasks of other threads: epoll, a heap of
/// timers, an eventfd. Health checks and sessions with routers run on one of their own each, so
/// that nothing the daemon's main loop does for seconds makes them late.
///
///   auto thread = SLC_TRY(ReactorThread::start("slc-health"), "health checks");
///   thread->call([&] { session = std::make_unique<Session>(thread->reactor()); });
///   ...
///   thread->call([&] { session.reset(); });
///
/// Invariants:
///  - Everything but post() and stop() belongs to the thread that runs the loop.
///  - Watches and timers are objects that their owners keep; what is destroyed or stopped is never
///    called again, not even for an event that was fetched with others already. A callback may
///    destroy the watch or timer that called it, and everything around that.
///  - Watches and timers end before their reactor does.
///  - One round serves every timer that was due when it began, in order of time, then the events
///    fetched, then tasks. A timer set to the past runs in the next round: nobody can starve
///    others.
///  - Callbacks must not block and must not throw.

#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice {

class Reactor;

/// A descriptor that is waited for while this lives. The descriptor stays its owner's, who stops or
/// destroys the watch before closing it. Neither copied nor moved: the kernel holds its address.
class Watch {
 public:
    /// Events as epoll names them: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP.
    using Call = std::function<void(std::uint32_t events)>;

    Watch(Reactor& reactor, Call call) : reactor_(reactor), call_(std::move(call)) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    /// Waits for `events` on `fd`; another fd or other events than before replace those. EPOLLERR
    /// and EPOLLHUP are always reported. EPOLLET may be asked for.
    Result<> set(int fd, std::uint32_t events);
    void stop();
    [[nodiscard]] int fd() const { return fd_; }  ///< -1: stopped.

 private:
    friend class Reactor;
    Reactor& reactor_;
    Call call_;
    int fd_ = -1;
    std::uint32_t events_ = 0;
};

/// Calls once at a time; may be set again and again.
class Timer {
 public:
    using Call = std::function<void()>;

    Timer(Reactor& reactor, Call call) : reactor_(reactor), call_(std::move(call)) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer();

    /// Replaces what it was set to.
    void set_at(std::chrono::steady_clock::time_point when);
    void set_in(std::chrono::nanoseconds delay);
    void stop();
    [[nodiscard]] bool is_set() const { return position_ != kNowhere; }
    /// What it was set to last.
    [[nodiscard]] std::chrono::steady_clock::time_point when() const { return when_; }

 private:
    friend class Reactor;
    static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
    Reactor& reactor_;
    Call call_;
    std::chrono::steady_clock::time_point when_;
    std::size_t position_ = kNowhere;  ///< In the reactor's heap, or
    bool is_due_ = false;              ///< among those that are due in this round.
};

class Reactor {
 public:
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;
    using Task = std::function<void()>;

    static Result<std::unique_ptr<Reactor>> open();
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;
    ~Reactor() = default;

    /// From any thread: runs `task` on the loop, in the order of posting. Tasks posted after the
    /// last round are destroyed with the reactor.
    void post(Task task);
    /// From any thread: run() returns after the round in progress.
    void stop();

    /// Until stop().
    void run();
    /// One round: waits for the first event, timer or task, for at most `longest`.
    void run_once(std::chrono::nanoseconds longest);

 private:
    friend class Watch;
    friend class Timer;
    static constexpr std::size_t kBatch = 256;  ///< Events fetched at once.

    Reactor(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

    [[nodiscard]] std::chrono::nanoseconds wait_time(std::chrono::nanoseconds longest) const;
    void run_timers(Time now);
    void run_events();
    void run_tasks();
    void forget_events(const Watch* watch);
    void forget_running(const void* watch_or_timer);
    template <typename Caller, typename... Arguments>
    void call(Caller* caller, Arguments... arguments);
    void heap_add(Timer* timer);
    void heap_remove(const Timer* timer);
    void sift_up(std::size_t position);
    void sift_down(std::size_t position);
    /// What the heap is ordered by stands beside the pointer: sifting touches no timer twice.
    struct HeapPlace {
        Time when;
        Timer* timer;
    };
    void put(std::size_t position, const HeapPlace& place);

    UniqueFd epoll_;
    UniqueFd wake_;
    std::vector<HeapPlace> heap_;  ///< A binary heap: the first is the earliest.
    std::vector<Timer*> due_;  ///< Of this round, with holes where one was stopped or set again.
    std::array<epoll_event, kBatch> events_{};
    std::size_t events_next_ = 0;
    std::size_t events_end_ = 0;
    const void* running_ = nullptr;  ///< The watch or timer being called, unless it is gone.

    std::mutex mutex_;
    std::vector<Task> posted_;
    bool stopping_ = false;
};

/// A reactor that runs on a thread of its own, which blocks all signals. Its destructor stops and
/// joins it; what lives on the reactor must have been destroyed through call() before.
class ReactorThread {
 public:
    /// `name`: at most 15 characters.
    static Result<std::unique_ptr<ReactorThread>> start(const std::string& name);
    ReactorThread(const ReactorThread&) = delete;
    ReactorThread& operator=(const ReactorThread&) = delete;
    ~ReactorThread();

    [[nodiscard]] Reactor& reactor() { return *reactor_; }
    /// Runs `task` on the thread and returns when it is done. On the thread itself: at once.
    void call(const Reactor::Task& task);

 private:
    explicit ReactorThread(std::unique_ptr<Reactor> reactor) : reactor_(std::move(reactor)) {}

    std::unique_ptr<Reactor> reactor_;
    std::thread thread_;
};

}  // namespace sluice
