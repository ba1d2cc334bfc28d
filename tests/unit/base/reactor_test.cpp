// SPDX-License-Identifier: Apache-2.0
#include "base/reactor.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <set>
#include <thread>

namespace sluice {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Reactor> open_reactor() {
    auto reactor = Reactor::open();
    EXPECT_TRUE(reactor.has_value());
    return std::move(reactor).value();
}

UniqueFd ready_fd() {
    return UniqueFd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
}

TEST(reactor, timers_run_in_order_of_their_times_whatever_was_set_stopped_and_set_again) {
    auto reactor = open_reactor();
    std::mt19937 random(7);
    std::vector<Reactor::Time> ran;
    std::vector<std::unique_ptr<Timer>> timers;
    const auto begin = Reactor::Clock::now() - 10s;
    for (int i = 0; i < 500; ++i)
        timers.push_back(std::make_unique<Timer>(
            *reactor, [&, i] { ran.push_back(timers[static_cast<std::size_t>(i)]->when()); }));
    std::multiset<Reactor::Time> wanted;
    for (int step = 0; step < 5000; ++step) {
        Timer& timer = *timers[random() % timers.size()];
        if (random() % 4 == 0)
            timer.stop();
        else
            timer.set_at(begin + std::chrono::microseconds(random() % 1'000'000));
    }
    for (const auto& timer : timers)
        if (timer->is_set()) wanted.insert(timer->when());
    reactor->run_once(0ns);
    EXPECT_EQ(ran, std::vector<Reactor::Time>(wanted.begin(), wanted.end()));
    EXPECT_TRUE(std::none_of(timers.begin(), timers.end(), [](auto& t) { return t->is_set(); }));
}

TEST(reactor, a_timer_that_sets_itself_to_the_past_runs_once_a_round) {
    auto reactor = open_reactor();
    int runs = 0;
    Timer timer(*reactor, [&] {
        ++runs;
        timer.set_in(-1s);
    });
    timer.set_in(-1s);
    reactor->run_once(0ns);
    EXPECT_EQ(runs, 1);
    reactor->run_once(0ns);
    EXPECT_EQ(runs, 2);
}

TEST(reactor, a_timer_that_was_due_is_not_called_when_one_before_it_stops_moves_or_destroys_it) {
    auto reactor = open_reactor();
    const auto past = Reactor::Clock::now() - 1s;
    int calls = 0;
    Timer stopped(*reactor, [&] { ++calls; });
    Timer moved(*reactor, [&] { ++calls; });
    auto destroyed = std::make_unique<Timer>(*reactor, [&] { ++calls; });
    Timer first(*reactor, [&] {
        stopped.stop();
        moved.set_in(1h);
        destroyed.reset();
    });
    first.set_at(past - 1s);
    for (Timer* timer : {&stopped, &moved, destroyed.get()}) timer->set_at(past);
    reactor->run_once(0ns);
    reactor->run_once(0ns);
    EXPECT_EQ(calls, 0);
    EXPECT_TRUE(moved.is_set());
}

TEST(reactor, a_timer_may_destroy_itself_and_what_its_function_holds) {
    auto reactor = open_reactor();
    std::unique_ptr<Timer> timer;
    auto held = std::make_shared<int>(3);
    const std::weak_ptr<int> seen = held;
    int after = 0;
    timer = std::make_unique<Timer>(*reactor, [&timer, &after, held = std::move(held)] {
        timer.reset();
        after = *held;
    });
    timer->set_in(-1s);
    reactor->run_once(0ns);
    EXPECT_EQ(after, 3);
    EXPECT_TRUE(seen.expired());
}

TEST(reactor, a_timer_is_never_early) {
    auto reactor = open_reactor();
    const auto due = Reactor::Clock::now() + 5ms;
    Reactor::Time ran;
    Timer timer(*reactor, [&] { ran = Reactor::Clock::now(); });
    timer.set_at(due);
    while (ran == Reactor::Time{}) reactor->run_once(10s);
    EXPECT_GE(ran, due);
}

TEST(reactor, a_ready_descriptor_calls_its_watch_until_it_stops) {
    auto reactor = open_reactor();
    const UniqueFd fd = ready_fd();
    std::uint32_t events = 0;
    int calls = 0;
    Watch watch(*reactor, [&](std::uint32_t got) {
        events = got;
        if (++calls == 2) watch.stop();
    });
    ASSERT_TRUE(watch.set(fd.get(), EPOLLIN).has_value());
    for (int i = 0; i < 4; ++i) reactor->run_once(0ns);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(events, EPOLLIN);
    EXPECT_EQ(watch.fd(), -1);
}

TEST(reactor, a_watch_follows_to_other_events_and_another_descriptor) {
    auto reactor = open_reactor();
    const UniqueFd fd = ready_fd();
    const UniqueFd silent(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    std::uint32_t events = 0;
    Watch watch(*reactor, [&](std::uint32_t got) { events = got; });
    ASSERT_TRUE(watch.set(silent.get(), EPOLLIN).has_value());
    reactor->run_once(0ns);
    EXPECT_EQ(events, 0U);
    ASSERT_TRUE(watch.set(silent.get(), EPOLLOUT).has_value());
    reactor->run_once(0ns);
    EXPECT_EQ(events, EPOLLOUT);
    ASSERT_TRUE(watch.set(fd.get(), EPOLLIN).has_value());
    reactor->run_once(0ns);
    EXPECT_EQ(events, EPOLLIN);
}

TEST(reactor, a_descriptor_that_cannot_be_waited_for_is_an_error_and_leaves_the_watch_stopped) {
    auto reactor = open_reactor();
    Watch watch(*reactor, [](std::uint32_t) {});
    auto result = watch.set(-1, EPOLLIN);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().sys, EBADF);
    EXPECT_EQ(watch.fd(), -1);
}

TEST(reactor, an_event_already_fetched_is_not_told_to_a_watch_that_was_destroyed_meanwhile) {
    auto reactor = open_reactor();
    const UniqueFd fds[] = {ready_fd(), ready_fd()};
    std::unique_ptr<Watch> watches[2];
    int calls = 0;
    for (std::size_t i = 0; i < 2; ++i) {
        // Whichever is called first destroys both, itself in its own call.
        watches[i] = std::make_unique<Watch>(*reactor, [&](std::uint32_t) {
            ++calls;
            watches[0].reset();
            watches[1].reset();
        });
        ASSERT_TRUE(watches[i]->set(fds[i].get(), EPOLLIN).has_value());
    }
    reactor->run_once(0ns);
    reactor->run_once(0ns);
    EXPECT_EQ(calls, 1);
}

TEST(reactor, what_has_come_is_served_before_the_timer_that_gives_it_up) {
    auto reactor = open_reactor();
    const UniqueFd fd = ready_fd();
    bool has_expired = false;
    Timer timer(*reactor, [&] { has_expired = true; });
    Watch watch(*reactor, [&](std::uint32_t) { timer.stop(); });
    ASSERT_TRUE(watch.set(fd.get(), EPOLLIN).has_value());
    timer.set_in(-1s);
    reactor->run_once(0ns);
    EXPECT_FALSE(has_expired);
}

TEST(reactor, more_descriptors_than_one_batch_are_all_served) {
    auto reactor = open_reactor();
    std::vector<UniqueFd> fds;
    std::vector<std::unique_ptr<Watch>> watches;
    std::set<int> seen;
    for (int i = 0; i < 600; ++i) {
        fds.push_back(ready_fd());
        watches.push_back(
            std::make_unique<Watch>(*reactor, [&seen, i](std::uint32_t) { seen.insert(i); }));
        ASSERT_TRUE(watches.back()->set(fds.back().get(), EPOLLIN).has_value());
    }
    for (int i = 0; i < 6; ++i) reactor->run_once(0ns);
    EXPECT_EQ(seen.size(), 600U);
}

TEST(reactor, tasks_of_other_threads_run_in_their_order_and_wake_the_loop) {
    auto reactor = open_reactor();
    std::vector<int> ran;
    std::thread other([&] {
        for (int i = 0; i < 1000; ++i) reactor->post([&ran, i] { ran.push_back(i); });
        reactor->stop();
    });
    reactor->run();
    other.join();
    ASSERT_EQ(ran.size(), 1000U);
    EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
}

TEST(reactor, a_task_that_posts_a_task_does_not_keep_timers_waiting) {
    auto reactor = open_reactor();
    std::function<void()> again = [&] { reactor->post(again); };
    bool ran = false;
    Timer timer(*reactor, [&] { ran = true; });
    timer.set_in(1ms);
    reactor->post(again);
    for (int i = 0; i < 1'000'000 && !ran; ++i) reactor->run_once(1s);
    EXPECT_TRUE(ran);
}

TEST(reactor_thread, calls_run_on_the_thread_and_are_done_when_they_return) {
    auto thread = ReactorThread::start("slc-test-of-a-long-name");
    ASSERT_TRUE(thread.has_value());
    std::thread::id inside;
    std::string name(16, '\0');
    sigset_t blocked{};
    (*thread)->call([&] {
        inside = std::this_thread::get_id();
        ::pthread_getname_np(::pthread_self(), name.data(), name.size());
        ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
        (*thread)->call([&] { name.resize(name.find('\0')); });
    });
    EXPECT_NE(inside, std::this_thread::get_id());
    EXPECT_EQ(name, "slc-test-of-a-l");
    EXPECT_EQ(::sigismember(&blocked, SIGTERM), 1);
    ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    EXPECT_EQ(::sigismember(&blocked, SIGTERM), 0);
}

}  // namespace
}  // namespace sluice
