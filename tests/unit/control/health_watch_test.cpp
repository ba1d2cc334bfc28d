// SPDX-License-Identifier: Apache-2.0

/// The health watch against listeners of this process: what closes is down until it returns,
/// whatever becomes of the configuration meanwhile. Time is the test's where only time matters.

#include "control/health_watch.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <condition_variable>
#include <mutex>

#include "base/unique_fd.h"
#include "config/parse.h"

namespace sluice::control {
namespace {

using config::BackendState;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = HealthWatch::Time;

constexpr seconds kMostPatience{10};
constexpr std::size_t kBackends = 3;

Time now() {
    return Time::clock::now();
}

/// "127.0.0.1" and so on.
std::string address_of(std::size_t backend) {
    return fmt::format("127.0.0.{}", backend + 1);
}

std::string member_of(std::size_t backend) {
    return "web/" + address_of(backend);
}

/// Three listeners on one port of different addresses. Connections are the kernel's: nobody takes
/// them.
class Listeners {
 public:
    Listeners() {
        constexpr int kTries = 20;
        for (int i = 0; i < kTries && !open_all(); ++i) port_ = 0;
        EXPECT_NE(port_, 0);
    }

    [[nodiscard]] std::uint16_t port() const { return port_; }
    void close(std::size_t backend) { fds_.at(backend).reset(); }
    bool open(std::size_t backend) {
        UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port_);
        ::inet_pton(AF_INET, address_of(backend).c_str(), &at.sin_addr);
        socklen_t len = sizeof(at);
        auto* any = reinterpret_cast<sockaddr*>(&at);
        if (::bind(fd.get(), any, len) != 0 || ::listen(fd.get(), 4096) != 0) return false;
        if (::getsockname(fd.get(), any, &len) != 0) return false;
        port_ = ntohs(at.sin_port);
        fds_.at(backend) = std::move(fd);
        return true;
    }

 private:
    bool open_all() {
        for (std::size_t i = 0; i < kBackends; ++i)
            if (!open(i)) return false;
        return true;
    }

    std::array<UniqueFd, kBackends> fds_;
    std::uint16_t port_ = 0;
};

class HealthWatchTest : public testing::Test {
 protected:
    /// Group web of the first `backends`, with this in its `health` besides the check.
    config::Config make(const std::string& rules = "", std::size_t backends = kBackends) {
        return parsed(fmt::format("health: {{checks: [{{type: tcp, via: direct, port: {}, "
                                  "interval: 100ms, timeout: 90ms, rise: 2, fall: 2}}]{}}}",
                                  listeners_.port(), rules.empty() ? "" : ", " + rules),
                      backends);
    }
    config::Config make_unwatched() { return parsed("balance: maglev", kBackends); }

    /// Backends on loopback are no configuration that the parser takes.
    static config::Config parsed(const std::string& of_group, std::size_t backends) {
        std::string addresses;
        for (std::size_t i = 0; i < backends; ++i)
            addresses += fmt::format("{}10.0.0.{}", i == 0 ? "" : ", ", i + 1);
        auto outcome = config::parse(
            "version: 2\n"
            "node: {interfaces: [eth0], ring_secret: 000102030405060708090a0b0c0d0e0f}\n"
            "groups:\n  web: {backends: [" +
                addresses + "], " + of_group +
                "}\n"
                "  spare: {backends: [10.0.0.9]}\n"
                "services:\n"
                "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
            "t.yaml");
        EXPECT_TRUE(outcome.ok()) << (outcome.errors.empty() ? "" : outcome.errors.front().text());
        for (std::size_t i = 0; i < backends && outcome.ok(); ++i)
            outcome.config.groups[0].backends[i].address = IpAddress::parse(address_of(i)).value();
        return outcome.config;
    }

    HealthWatch::Groups follow(const std::vector<const config::Config*>& configs) {
        return watch_->follow(configs, orders_, no_marks, now());
    }
    HealthWatch::Groups follow(const config::Config& config) { return follow({&config}); }

    static std::optional<ProbeMark> no_marks(const std::string&, config::Forward,
                                             const IpAddress&) {
        return std::nullopt;
    }

    /// Takes what checks find until it is so; false after ten seconds.
    template <typename Condition>
    bool until(Condition is_so) {
        const Time end = now() + kMostPatience;
        while (!is_so()) {
            std::unique_lock lock(mutex_);
            if (!condition_.wait_until(lock, end, [this] { return has_more_; })) return false;
            has_more_ = false;
            lock.unlock();
            for (const std::string& group : watch_->take(now())) changed_.insert(group);
        }
        return true;
    }
    bool until_state(std::size_t backend, health::State state) {
        return until([&] {
            const health::Judge* judge = watch_->judge_of(member_of(backend));
            return judge != nullptr && judge->state() == state;
        });
    }
    bool until_all_up() {
        return until_state(0, health::State::up) && until_state(1, health::State::up) &&
               until_state(2, health::State::up);
    }
    bool fail(std::size_t backend) {
        listeners_.close(backend);
        return until_state(backend, health::State::down);
    }

    [[nodiscard]] bool is_out(std::size_t backend) const {
        const auto found = watch_->overrides().find(member_of(backend));
        return found != watch_->overrides().end() && found->second.state == BackendState::down;
    }
    [[nodiscard]] std::set<std::string> down() const {
        std::set<std::string> out;
        for (const auto& [member, failed] : watch_->down()) out.insert(member);
        return out;
    }
    [[nodiscard]] std::uint32_t part_of(std::size_t backend) const {
        const auto found = watch_->overrides().find(member_of(backend));
        return found == watch_->overrides().end() ? plan::kWholePart
                                                  : found->second.part.value_or(plan::kWholePart);
    }
    [[nodiscard]] std::string condition() const {
        const auto groups = watch_->groups("web");
        return groups.empty() ? "unwatched" : groups.front().condition;
    }
    void order(std::size_t backend, BackendState state) {
        orders_[member_of(backend)].state = state;
        watch_->reconsider(orders_, now());
    }

    Listeners listeners_;
    plan::Overrides orders_;
    HealthWatch::Groups changed_;

 private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool has_more_ = false;

 protected:
    std::unique_ptr<HealthWatch> watch_ = std::make_unique<HealthWatch>([this] {
        const std::lock_guard lock(mutex_);
        has_more_ = true;
        condition_.notify_one();
    });
};

TEST_F(HealthWatchTest, who_closes_is_down_and_who_returns_is_up_again) {
    follow(make());
    ASSERT_TRUE(until_all_up());
    EXPECT_TRUE(watch_->overrides().empty());
    EXPECT_EQ(condition(), "healthy");
    changed_.clear();
    ASSERT_TRUE(fail(0));
    EXPECT_EQ(changed_, (HealthWatch::Groups{"web"}));
    EXPECT_TRUE(is_out(0));
    EXPECT_FALSE(is_out(1));
    EXPECT_EQ(condition(), "degraded");
    EXPECT_EQ(down(), (std::set<std::string>{member_of(0)}));
    changed_.clear();
    ASSERT_TRUE(listeners_.open(0));
    ASSERT_TRUE(until_all_up());
    EXPECT_EQ(changed_, (HealthWatch::Groups{"web"}));
    EXPECT_TRUE(watch_->overrides().empty());
    EXPECT_TRUE(watch_->down().empty());
}

TEST_F(HealthWatchTest, what_is_found_is_told_with_checks_and_history) {
    follow(make());
    ASSERT_TRUE(until_all_up());
    ASSERT_TRUE(fail(1));
    const HealthStatus status =
        watch_->status("web", IpAddress::parse(address_of(1)).value(), true, now());
    ASSERT_EQ(status.groups.size(), 1u);
    EXPECT_EQ(status.groups[0].healthy, 2u);
    EXPECT_EQ(status.groups[0].counted, 3u);
    EXPECT_GE(status.groups[0].outcomes.at("refused"), 2u);
    EXPECT_GE(status.groups[0].outcomes.at("passed"), 3u);
    EXPECT_EQ(status.checker.targets, kBackends);
    EXPECT_GE(status.checker.lateness.count(), 5u);
    ASSERT_EQ(status.backends.size(), 1u);
    const BackendHealth& backend = status.backends[0];
    EXPECT_EQ(backend.state, "down");
    EXPECT_TRUE(backend.is_out);
    EXPECT_EQ(backend.recent_failures, 1u);
    EXPECT_TRUE(backend.explanation.starts_with("2 failures in a row: refused"))
        << backend.explanation;
    ASSERT_EQ(backend.checks.size(), 1u);
    EXPECT_EQ(backend.checks[0].type, "tcp");
    EXPECT_EQ(backend.checks[0].via, "direct");
    EXPECT_EQ(backend.checks[0].target, fmt::format("{}:{}", address_of(1), listeners_.port()));
    EXPECT_EQ(backend.checks[0].why, "refused");
    ASSERT_EQ(backend.history.size(), 2u);
    EXPECT_EQ(backend.history[0].to, "up");
    EXPECT_EQ(backend.history[1].from, "up");
    EXPECT_EQ(backend.history[1].to, "down");
    EXPECT_EQ(backend.history[1].why, "refused");
    EXPECT_TRUE(watch_->status("web", {}, false, now()).backends[1].history.empty());
    EXPECT_TRUE(watch_->status("spare", {}, false, now()).groups.empty());
}

TEST_F(HealthWatchTest, who_is_in_maintenance_stays_there_and_who_drains_is_down_when_he_fails) {
    follow(make());
    ASSERT_TRUE(until_all_up());
    order(0, BackendState::maint);
    order(1, BackendState::drain);
    ASSERT_TRUE(fail(0));
    ASSERT_TRUE(fail(1));
    EXPECT_FALSE(is_out(0)) << "the operator's word stands";
    EXPECT_TRUE(is_out(1));
    EXPECT_EQ(condition(), "healthy") << "of those that count";
    order(0, BackendState::ready);
    EXPECT_TRUE(is_out(0)) << "ready is a wish: who failed is down";
    EXPECT_EQ(condition(), "degraded");
}

TEST_F(HealthWatchTest, too_few_healthy_ones_keep_those_that_failed) {
    follow(make("min_healthy: 50%"));
    ASSERT_TRUE(until_all_up());
    ASSERT_TRUE(fail(0));
    EXPECT_EQ(condition(), "degraded");
    EXPECT_TRUE(is_out(0));
    ASSERT_TRUE(fail(1));
    EXPECT_EQ(condition(), "panic");
    EXPECT_FALSE(is_out(0));
    EXPECT_FALSE(is_out(1));
    ASSERT_TRUE(listeners_.open(0));
    ASSERT_TRUE(until_state(0, health::State::up));
    EXPECT_EQ(condition(), "degraded");
    EXPECT_TRUE(is_out(1));
}

struct NoneCase {
    const char* rules;
    bool falls_back, is_served, is_kept;
};

TEST_F(HealthWatchTest, with_nobody_healthy_a_group_does_what_it_says) {
    const NoneCase cases[] = {
        {"when_none: keep", false, true, true},
        {"when_none: reject", false, true, false},
        {"when_none: withdraw", false, false, false},
        {"when_none: fallback, fallback: spare", true, true, false},
    };
    follow(make());
    ASSERT_TRUE(until_all_up());
    for (std::size_t i = 0; i < kBackends; ++i) ASSERT_TRUE(fail(i));
    for (const NoneCase& test : cases) {
        const plan::Overrides before = watch_->overrides();
        const auto changed = follow(make(test.rules));
        EXPECT_EQ(changed.contains("web"), before != watch_->overrides())
            << test.rules << ": a policy that changes in the middle of an outage holds at once";
        EXPECT_EQ(condition(), "none") << test.rules;
        const auto found = watch_->overrides().find(plan::fallback_key("web"));
        const bool falls_back = found != watch_->overrides().end() && found->second.fall_back;
        EXPECT_EQ(falls_back, test.falls_back) << test.rules;
        EXPECT_EQ(watch_->is_served("web"), test.is_served) << test.rules;
        EXPECT_EQ(is_out(0) && is_out(1) && is_out(2), !test.is_kept) << test.rules;
        EXPECT_EQ(watch_->groups("web")[0].fallback, test.falls_back ? "spare" : "") << test.rules;
    }
    EXPECT_TRUE(watch_->is_served("spare")) << "nobody watches it";
}

TEST_F(HealthWatchTest, who_was_down_before_a_restart_is_down_until_checks_say_otherwise) {
    watch_->assume_down({{member_of(0), {now()}}, {"web/10.9.9.9", {now()}}});
    EXPECT_TRUE(is_out(0)) << "before anything is watched";
    follow(make());
    EXPECT_TRUE(is_out(0));
    EXPECT_EQ(watch_->judge_of(member_of(0))->explanation(), "was down when it was watched last");
    EXPECT_EQ(watch_->judge_of(member_of(1))->state(), health::State::unknown);
    EXPECT_FALSE(is_out(1)) << "unknown is not down";
    EXPECT_TRUE(watch_->down().contains("web/10.9.9.9")) << "it may return";
    ASSERT_TRUE(until_all_up());
    EXPECT_FALSE(is_out(0));
}

TEST_F(HealthWatchTest, who_leaves_while_down_comes_back_down) {
    follow(make());
    ASSERT_TRUE(until_all_up());
    ASSERT_TRUE(fail(2));
    follow(make("", 2));
    EXPECT_TRUE(is_out(2));
    EXPECT_EQ(watch_->judge_of(member_of(2)), nullptr);
    EXPECT_EQ(down(), (std::set<std::string>{member_of(2)}));
    follow(make());
    EXPECT_TRUE(is_out(2));
    EXPECT_EQ(watch_->judge_of(member_of(2))->state(), health::State::down);
    ASSERT_TRUE(listeners_.open(2));
    ASSERT_TRUE(until_all_up());
    EXPECT_FALSE(is_out(2));
}

TEST_F(HealthWatchTest, a_change_of_rules_revives_nobody) {
    follow(make());
    ASSERT_TRUE(until_all_up());
    ASSERT_TRUE(fail(0));
    follow(make("slow_start: 30s, flapping: {limit: 3}"));
    EXPECT_TRUE(is_out(0));
}

TEST_F(HealthWatchTest, a_group_that_loses_its_checks_has_nobody_down_and_needs_no_thread) {
    follow(make());
    ASSERT_TRUE(until_all_up());
    ASSERT_TRUE(fail(0));
    EXPECT_EQ(follow(make_unwatched()), HealthWatch::Groups{"web"}) << "its slots are others' now";
    EXPECT_TRUE(watch_->overrides().empty());
    EXPECT_TRUE(watch_->down().empty());
    EXPECT_FALSE(watch_->is_watching());
    EXPECT_EQ(condition(), "unwatched");
    EXPECT_EQ(watch_->checker().begun, 0u);
    follow(make());
    EXPECT_FALSE(is_out(0)) << "nothing is known of it";
    EXPECT_TRUE(until_state(0, health::State::down));
}

TEST_F(HealthWatchTest, a_group_that_nobody_uses_for_a_while_is_not_revived) {
    const config::Config used = make();
    follow(used);
    ASSERT_TRUE(until_all_up());
    ASSERT_TRUE(fail(0));
    config::Config idle = used;
    idle.services.clear();
    follow(idle);
    EXPECT_FALSE(watch_->is_watching());
    follow(used);
    EXPECT_TRUE(is_out(0));
}

TEST_F(HealthWatchTest, what_two_configurations_have_in_common_is_checked_once) {
    const config::Config live = make("min_healthy: 100%", 2);
    const config::Config canary = make();
    follow({&live, &canary});
    EXPECT_EQ(watch_->checker().targets, kBackends);
    EXPECT_EQ(watch_->groups("web")[0].min_healthy, 100u) << "the first one's rules hold";
    ASSERT_TRUE(until_all_up());
    EXPECT_EQ(watch_->groups("web")[0].counted, 3u);
}

TEST_F(HealthWatchTest, who_comes_back_begins_with_a_tenth_of_his_weight) {
    follow(make("slow_start: 100s"));
    ASSERT_TRUE(until_all_up());
    EXPECT_EQ(part_of(0), 1000u) << "who was there from the beginning has all of it";
    ASSERT_TRUE(fail(0));
    ASSERT_TRUE(listeners_.open(0));
    ASSERT_TRUE(until_state(0, health::State::up));
    EXPECT_FALSE(is_out(0));
    EXPECT_EQ(part_of(0), 100u);
    const Time returned = now();
    EXPECT_EQ(watch_->tick(returned + seconds(55)), (HealthWatch::Groups{"web"}));
    EXPECT_EQ(part_of(0), 600u);
    EXPECT_TRUE(watch_->tick(returned + seconds(56)).empty()) << "not due";
    watch_->tick(returned + seconds(101));
    EXPECT_EQ(part_of(0), 1000u);
    EXPECT_TRUE(watch_->overrides().empty());
}

TEST_F(HealthWatchTest, who_flaps_is_held_until_time_says_otherwise) {
    follow(make("flapping: {limit: 1, window: 1h, hold: 10m}"));
    ASSERT_TRUE(until_all_up());
    ASSERT_TRUE(fail(0));
    ASSERT_TRUE(listeners_.open(0));
    ASSERT_TRUE(until_state(0, health::State::up));
    ASSERT_TRUE(fail(0));
    ASSERT_TRUE(listeners_.open(0));
    ASSERT_TRUE(until_state(0, health::State::held));
    EXPECT_TRUE(is_out(0));
    EXPECT_TRUE(watch_->down().contains(member_of(0)));
    EXPECT_EQ(watch_->judge_of(member_of(0))->explanation(),
              "2 failures within 1h: held until there was none for 10m");
    EXPECT_TRUE(watch_->tick(now() + std::chrono::minutes(9)).empty());
    EXPECT_EQ(watch_->tick(now() + std::chrono::minutes(11)), (HealthWatch::Groups{"web"}));
    EXPECT_FALSE(is_out(0));
}

TEST_F(HealthWatchTest, a_member_without_a_mark_is_unknown_and_in) {
    config::Config config = make();
    for (config::Check& check : config.groups[0].health.checks) check.via = config::CheckVia::vip;
    follow(config);
    EXPECT_TRUE(watch_->is_watching());
    EXPECT_EQ(watch_->checker().targets, 0u);
    EXPECT_TRUE(watch_->overrides().empty());
    EXPECT_EQ(watch_->judge_of(member_of(0))->state(), health::State::unknown);
    EXPECT_TRUE(watch_->is_served("web"));
}

}  // namespace
}  // namespace sluice::control
