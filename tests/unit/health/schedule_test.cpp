// SPDX-License-Identifier: Apache-2.0
//
// Who is checked when, and what is bounded.
#include "health/schedule.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>

#include "tests/unit/health/scripted_server.h"
#include "tests/unit/health/watcher.h"

namespace sluice::health {
namespace {

using namespace std::chrono_literals;
using config::CheckType;

config::Check often(CheckType type) {
    config::Check check = check_of(type);
    check.interval = check.timeout = 100ms;
    return check;
}

/// So many targets "name0", "name1" and so on.
void add_targets(std::vector<Target>& targets, const std::string& name, std::size_t count,
                 const config::Check& check, std::uint16_t port) {
    for (std::size_t i = 0; i < count; ++i) {
        targets.push_back(target_of(check, port));
        targets.back().key = name + std::to_string(i);
    }
}

std::size_t count_of(const std::vector<Outcome>& all, const std::string& key) {
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](const Outcome& each) { return each.key.starts_with(key); }));
}

std::size_t open_descriptors() {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

/// Connects and never answers; counts who came and who has gone.
struct HangingServer {
    std::atomic<int> came = 0;
    std::atomic<int> gone = 0;
    ScriptedServer server{[this](Peer& peer) {
        ++came;
        peer.hang();
        ++gone;
    }};
};

TEST(schedule, those_who_hang_delay_nobody_and_descriptors_are_bounded) {
    Limits limits;
    limits.in_flight = 8;
    Watcher watcher(limits);
    // Nobody accepts here: the kernel does, and this process has one descriptor less to count.
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::listen(listener.get(), 512), 0);
    sockaddr_in bound{};
    socklen_t len = sizeof(bound);
    ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &len), 0);
    std::vector<Target> targets;
    config::Check hanging = check_of(CheckType::http);
    hanging.interval = hanging.timeout = 300ms;
    add_targets(targets, "hanging", 40, hanging, ntohs(bound.sin_port));
    add_targets(targets, "well", 4, often(CheckType::tcp), ntohs(bound.sin_port));
    const std::size_t before = open_descriptors();
    std::size_t most_open = 0;
    watcher.checker().set(targets);
    EXPECT_TRUE(watcher.wait_until([&](const auto& all) {
        most_open = std::max(most_open, open_descriptors());
        return count_of(all, "hanging") >= 40 && count_of(all, "well") >= 40;
    }));
    for (const Outcome& each : watcher.outcomes())
        EXPECT_EQ(each.why, each.key.starts_with("well") ? Why::passed : Why::timeout)
            << each.key << " " << text_of(each);
    const Figures figures = watcher.checker().figures();
    EXPECT_LE(figures.most_in_flight, 8U);
    EXPECT_LE(most_open, before + 8 + 1);  // And the folder that is read to count them.
    EXPECT_GT(figures.waited, 0U);
    EXPECT_GT(figures.most_waiting, 0U);
    EXPECT_EQ(figures.targets, 44U);
    EXPECT_EQ(figures.lateness.count(), figures.begun);
}

TEST(schedule, targets_that_do_not_change_keep_the_check_that_is_running) {
    Watcher watcher;
    HangingServer hanging;
    const Target target = target_of(check_of(CheckType::http), hanging.server.port());
    const auto wait = [](const auto& condition) {
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (!condition() && std::chrono::steady_clock::now() < deadline)
            std::this_thread::yield();
        return condition();
    };
    watcher.checker().set({target});
    watcher.checker().check_now(target.key);
    ASSERT_TRUE(wait([&] { return hanging.came == 1; }));
    Target equal = target;
    equal.check = std::make_shared<const config::Check>(*target.check);  // Another object.
    Target added = target;
    added.key = "another";
    watcher.checker().set({equal, added});
    watcher.checker().check_now(added.key);
    ASSERT_TRUE(wait([&] { return hanging.came == 2; }));
    EXPECT_EQ(hanging.gone, 0);
    EXPECT_EQ(watcher.checker().figures().in_flight, 2U);
    // Another timeout is another check.
    config::Check changed = *target.check;
    changed.timeout += 1ms;
    watcher.checker().set({target_of(changed, target.port), added});
    EXPECT_TRUE(wait([&] { return hanging.gone == 1; }));
    EXPECT_EQ(watcher.checker().figures().in_flight, 1U);
    watcher.checker().set({});
    EXPECT_TRUE(wait([&] { return hanging.gone == 2; }));
    EXPECT_EQ(watcher.checker().figures().targets, 0U);
    EXPECT_TRUE(watcher.checker().take().empty());
}

TEST(schedule, nothing_is_told_of_a_target_that_was_removed) {
    Watcher watcher;
    const ShutPort shut(SOCK_STREAM);
    std::vector<Target> targets;
    add_targets(targets, "gone", 20, often(CheckType::tcp), shut.port());
    add_targets(targets, "kept", 1, often(CheckType::tcp), shut.port());
    watcher.checker().set(targets);
    ASSERT_TRUE(watcher.wait_until([](const auto& all) { return all.size() >= 40; }));
    watcher.checker().set({targets.back()});
    for (const Outcome& each : watcher.checker().take()) EXPECT_EQ(each.key, "kept0");
    const std::size_t before = watcher.outcomes().size();
    ASSERT_TRUE(watcher.wait_until([&](const auto& all) { return all.size() >= before + 3; }));
    EXPECT_EQ(count_of({watcher.outcomes().begin() + static_cast<std::ptrdiff_t>(before),
                        watcher.outcomes().end()},
                       "gone"),
              0U);
}

TEST(schedule, thousands_that_fail_at_once_are_all_told) {
    Limits limits;
    limits.in_flight = 2;
    Watcher watcher(limits);
    std::vector<Target> targets;
    add_targets(targets, "t", 20'000, often(CheckType::tcp), 1);
    for (Target& target : targets) target.source = IpAddress::parse("192.0.2.1");
    watcher.checker().set(targets);
    std::set<std::string> seen;
    std::size_t looked_at = 0;
    EXPECT_TRUE(watcher.wait_until([&](const auto& all) {
        for (; looked_at < all.size(); ++looked_at) seen.insert(all[looked_at].key);
        return seen.size() == targets.size();
    }));
    EXPECT_GE(watcher.checker().figures().local, 20'000U);
    EXPECT_EQ(watcher.checker().figures().failed, 0U);
}

TEST(schedule, suspicion_during_a_check_makes_another_one_follow) {
    Watcher watcher;
    std::atomic<int> came = 0;
    std::atomic<bool> may_answer = false;
    const ScriptedServer server([&](Peer& peer) {
        ++came;
        peer.read_until("\r\n\r\n");
        while (!may_answer) std::this_thread::yield();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
    });
    config::Check check = check_of(CheckType::http);
    check.interval = 20s;  // Far beyond what the test waits for.
    const Target target = target_of(check, server.port());
    watcher.checker().set({target});
    watcher.checker().check_now(target.key);
    while (came == 0) std::this_thread::yield();
    for (int i = 0; i < 5; ++i) watcher.checker().check_now(target.key);
    watcher.checker().check_now("nobody");
    EXPECT_EQ(watcher.checker().figures().in_flight, 1U);
    may_answer = true;
    EXPECT_TRUE(watcher.wait_until([](const auto& all) { return all.size() == 2; }));
    EXPECT_EQ(came, 2);
}

TEST(schedule, who_takes_nothing_loses_the_oldest) {
    Limits limits;
    limits.outcomes = 100;
    auto checker = Checker::start(limits, [] {});
    ASSERT_TRUE(checker.has_value());
    const ShutPort shut(SOCK_STREAM);
    std::vector<Target> targets;
    add_targets(targets, "t", 100, often(CheckType::tcp), shut.port());
    (*checker)->set(targets);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    Figures figures;
    while (figures.begun < 1000 && std::chrono::steady_clock::now() < deadline)
        figures = (*checker)->figures();
    ASSERT_GE(figures.begun, 1000U);
    EXPECT_LE((*checker)->take().size(), 100U);
    EXPECT_GE(figures.lost_outcomes, 800U);
}

TEST(schedule, an_answer_that_lay_unread_while_the_thread_was_busy_is_in_time) {
    constexpr auto kTimeout = 200ms;
    std::atomic<bool> may_answer = false;
    std::atomic<bool> has_asked = false;
    const ScriptedServer server([&](Peer& peer) {
        peer.read_until("\r\n\r\n");
        has_asked = true;
        while (!may_answer) std::this_thread::yield();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        peer.hang();
    });
    const ShutPort shut(SOCK_STREAM);
    std::atomic<bool> is_over = false;
    // The first wake comes of the shut port, and keeps the checker's thread far beyond the timeout
    // of the other check.
    auto checker = Checker::start({}, [&] {
        if (is_over) return;
        may_answer = true;
        const auto until = std::chrono::steady_clock::now() + 3 * kTimeout;
        while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
        is_over = true;
    });
    ASSERT_TRUE(checker.has_value());
    config::Check check = check_of(CheckType::http);
    check.timeout = kTimeout;
    Target other = target_of(check_of(CheckType::tcp), shut.port());
    other.key = "shut";
    (*checker)->set({target_of(check, server.port()), other});
    (*checker)->check_now("backend");
    while (!has_asked) std::this_thread::yield();
    (*checker)->check_now("shut");
    while (!is_over) std::this_thread::yield();
    std::vector<Outcome> all;
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (all.size() < 2 && std::chrono::steady_clock::now() < deadline)
        for (Outcome& each : (*checker)->take()) all.push_back(std::move(each));
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(text_of(all[0]), "refused: Connection refused");
    EXPECT_EQ(text_of(all[1]), "passed: 200");
}

TEST(pace, is_at_most_an_interval_and_at_least_that_less_the_jitter) {
    for (const std::uint32_t jitter : {0U, 10U, 50U}) {
        config::Check check = check_of(CheckType::tcp);
        check.interval = 1s;
        check.jitter = jitter;
        Pace pace(7);
        Pace::Time due(1000s);
        auto shortest = 2s + 0ns;
        auto longest = 0ns;
        for (int i = 0; i < 10'000; ++i) {
            const Pace::Time next = pace.next(due, check);
            shortest = std::min(shortest, next - due);
            longest = std::max(longest, next - due);
            due = next;
        }
        const auto least = 1s - jitter * 10ms;
        EXPECT_LE(longest, 1s) << jitter;
        EXPECT_GE(longest, 1s - 5ms) << jitter;
        EXPECT_GE(shortest, least - Pace::kTick) << jitter;
        EXPECT_LE(shortest, least + 5ms) << jitter;
    }
}

TEST(pace, spreads_any_number_of_targets_evenly_over_their_interval) {
    const config::Check check = check_of(CheckType::tcp);  // Every ten seconds.
    for (const int count : {10, 64, 1000, 5000}) {
        Pace pace(7);
        std::vector<int> tenths(10);
        for (int i = 0; i < count; ++i) {
            const auto after = pace.first(Pace::Time(1000s), check) - Pace::Time(1000s);
            ASSERT_GE(after, 0s);
            ASSERT_LT(after, 10s);
            ++tenths[static_cast<std::size_t>(after / 1s)];
        }
        const auto [least, most] = std::minmax_element(tenths.begin(), tenths.end());
        EXPECT_GE(*least, count / 10 - 3) << count;
        EXPECT_LE(*most, count / 10 + 3) << count;
    }
}

TEST(pace, jittered_checks_stay_spread) {
    config::Check check = check_of(CheckType::tcp);
    check.interval = 1s;
    Pace pace(7);
    std::vector<int> ticks(20'000 / Pace::kTick.count() + 1);
    for (int target = 0; target < 2000; ++target) {
        Pace::Time due = pace.first(Pace::Time(0s), check);
        for (; due < Pace::Time(20s); due = pace.next(due, check))
            ++ticks[static_cast<std::size_t>(due.time_since_epoch() / Pace::kTick)];
    }
    // About 8.4 in each; as uneven as chance alone would be.
    EXPECT_LE(*std::max_element(ticks.begin(), ticks.end()), 30);
}

}  // namespace
}  // namespace sluice::health
