// SPDX-License-Identifier: Apache-2.0
#include "base/reactor.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <future>
#include <optional>
#include <system_error>
#include <utility>

namespace sluice {

using std::chrono::nanoseconds;

Result<> Watch::set(int fd, std::uint32_t events) {
    if (fd == fd_ && events == events_) return {};
    if (fd_ >= 0 && fd != fd_) stop();
    epoll_event event{};
    event.events = events;
    event.data.ptr = this;
    const int operation = fd_ < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (::epoll_ctl(reactor_.epoll_.get(), operation, fd, &event) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "wait for a descriptor"));
    }
    fd_ = fd;
    events_ = events;
    return {};
}

Watch::~Watch() {
    stop();
    reactor_.forget_running(this);
}

void Watch::stop() {
    if (fd_ < 0) return;
    reactor_.forget_events(this);
    ::epoll_ctl(reactor_.epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
    fd_ = -1;
    events_ = 0;
}

Timer::~Timer() {
    stop();
    reactor_.forget_running(this);
}

void Timer::set_at(std::chrono::steady_clock::time_point when) {
    stop();
    when_ = when;
    reactor_.heap_add(this);
}

void Timer::set_in(nanoseconds delay) {
    set_at(Reactor::Clock::now() + delay);
}

void Timer::stop() {
    if (position_ == kNowhere) return;
    if (is_due_)
        reactor_.due_[position_] = nullptr;
    else
        reactor_.heap_remove(this);
    position_ = kNowhere;
    is_due_ = false;
}

Result<std::unique_ptr<Reactor>> Reactor::open() {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "epoll_create1"));
    }
    UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "eventfd"));
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;  // No watch: the eventfd.
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "wait for the eventfd"));
    }
    return std::unique_ptr<Reactor>(new Reactor(std::move(epoll), std::move(wake)));
}

void Reactor::post(Task task) {
    bool is_first = false;
    {
        const std::lock_guard lock(mutex_);
        is_first = posted_.empty();
        posted_.push_back(std::move(task));
    }
    // Whoever finds the queue empty wakes the loop, which empties it as a whole.
    if (is_first) ::eventfd_write(wake_.get(), 1);
}

void Reactor::stop() {
    post([this] { stopping_ = true; });
}

void Reactor::run() {
    while (!stopping_) run_once(std::chrono::hours(1));
    stopping_ = false;
}

void Reactor::run_once(nanoseconds longest) {
    const nanoseconds wait = wait_time(longest);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
    const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (wait - seconds).count()};
    const int got =
        ::epoll_pwait2(epoll_.get(), events_.data(), static_cast<int>(kBatch), &timeout, nullptr);
    events_next_ = 0;
    events_end_ = got > 0 ? static_cast<std::size_t>(got) : 0;
    const Time now = Clock::now();
    run_events();
    run_timers(now);
}

nanoseconds Reactor::wait_time(nanoseconds longest) const {
    if (heap_.empty()) return longest;
    const nanoseconds until = heap_.front().when - Clock::now();
    return std::clamp(until, nanoseconds(0), longest);
}

/// What calls may be gone when the call returns, its function with it: so the function is held here
/// meanwhile.
template <typename Caller, typename... Arguments>
void Reactor::call(Caller* caller, Arguments... arguments) {
    running_ = caller;
    auto function = std::move(caller->call_);
    function(arguments...);
    if (running_ == caller) caller->call_ = std::move(function);
    running_ = nullptr;
}

void Reactor::run_timers(Time now) {
    // All are taken out first, so that one that is set to the past by a callback waits for the next
    // round.
    due_.clear();
    while (!heap_.empty() && heap_.front().when <= now) {
        Timer* timer = heap_.front().timer;
        heap_remove(timer);
        timer->position_ = due_.size();
        timer->is_due_ = true;
        due_.push_back(timer);
    }
    for (std::size_t i = 0; i < due_.size(); ++i) {
        Timer* timer = due_[i];
        if (timer == nullptr) continue;
        timer->stop();
        call(timer);
    }
}

void Reactor::run_events() {
    bool has_tasks = false;
    while (events_next_ < events_end_) {
        const epoll_event event = events_[events_next_++];
        auto* watch = static_cast<Watch*>(event.data.ptr);
        if (watch != nullptr)
            call(watch, std::uint32_t{event.events});
        else if (event.events != 0)
            has_tasks = true;
    }
    if (has_tasks) run_tasks();
}

void Reactor::run_tasks() {
    eventfd_t count = 0;
    ::eventfd_read(wake_.get(), &count);
    std::vector<Task> tasks;
    {
        const std::lock_guard lock(mutex_);
        tasks.swap(posted_);
    }
    for (Task& task : tasks) {
        task();
        task = nullptr;  // What it holds ends before the next one runs.
    }
}

/// An event of a watch that stopped becomes one of nobody: no events, no watch.
void Reactor::forget_events(const Watch* watch) {
    for (std::size_t i = events_next_; i < events_end_; ++i)
        if (events_[i].data.ptr == watch) events_[i] = epoll_event{};
}

void Reactor::forget_running(const void* watch_or_timer) {
    if (running_ == watch_or_timer) running_ = nullptr;
}

void Reactor::heap_add(Timer* timer) {
    heap_.push_back({.when = timer->when_, .timer = timer});
    sift_up(heap_.size() - 1);
}

void Reactor::heap_remove(const Timer* timer) {
    const std::size_t position = timer->position_;
    const HeapPlace last = heap_.back();
    heap_.pop_back();
    if (last.timer == timer) return;
    put(position, last);
    sift_up(position);
    sift_down(last.timer->position_);
}

void Reactor::sift_up(std::size_t position) {
    const HeapPlace place = heap_[position];
    while (position > 0) {
        const std::size_t parent = (position - 1) / 2;
        if (heap_[parent].when <= place.when) break;
        put(position, heap_[parent]);
        position = parent;
    }
    put(position, place);
}

void Reactor::sift_down(std::size_t position) {
    const HeapPlace place = heap_[position];
    for (;;) {
        std::size_t child = 2 * position + 1;
        if (child >= heap_.size()) break;
        if (child + 1 < heap_.size() && heap_[child + 1].when < heap_[child].when) ++child;
        if (place.when <= heap_[child].when) break;
        put(position, heap_[child]);
        position = child;
    }
    put(position, place);
}

void Reactor::put(std::size_t position, const HeapPlace& place) {
    heap_[position] = place;
    place.timer->position_ = position;
}

Result<std::unique_ptr<ReactorThread>> ReactorThread::start(const std::string& name) {
    auto reactor = SLC_TRY(Reactor::open(), name);
    std::unique_ptr<ReactorThread> out(new ReactorThread(std::move(reactor)));
    // A thread inherits the mask: signals are for the thread that waits for them.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::optional<Error> error;
    try {
        out->thread_ = std::thread([&reactor = *out->reactor_] { reactor.run(); });
    } catch (const std::system_error& thrown) {
        error = sys_error(thrown.code().value(), name + ": start a thread");
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error) return fail(std::move(*error));
    ::pthread_setname_np(out->thread_.native_handle(), name.substr(0, 15).c_str());
    return out;
}

ReactorThread::~ReactorThread() {
    if (!thread_.joinable()) return;
    reactor_->stop();
    thread_.join();
}

void ReactorThread::call(const Reactor::Task& task) {
    if (std::this_thread::get_id() == thread_.get_id()) {
        task();
        return;
    }
    std::promise<void> done;
    reactor_->post([&task, &done] {
        task();
        done.set_value();
    });
    done.get_future().wait();
}

}  // namespace sluice
