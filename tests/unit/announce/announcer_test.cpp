// SPDX-License-Identifier: Apache-2.0
#include "announce/announcer.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>

#include "tests/unit/announce/fake_bird.h"
#include "tests/unit/announce/fake_kernel.h"
#include "tests/unit/announce/scripted_peer.h"

namespace sluice::announce {
namespace {

using namespace std::chrono_literals;

const IpPrefix kVip = *IpPrefix::parse("192.0.2.1/32");
const IpPrefix kOther = *IpPrefix::parse("192.0.2.2/32");
constexpr std::uint32_t kOwnAs = 65001, kPeerAs = 65000;

/// What an announcer reported last, waited for.
class Reports {
 public:
    Announcer::Report callback() {
        return [this](AnnounceReport report) {
            const std::lock_guard lock(mutex_);
            ++count_;
            is_repeated_ |= last_ && *last_ == report;
            last_ = std::move(report);
            changed_.notify_all();
        };
    }
    template <typename Condition>
    bool wait(Condition condition) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 10s, [&] { return last_ && condition(*last_); });
    }
    bool wait_state(const IpPrefix& prefix, PrefixState state) {
        return wait([&](const AnnounceReport& report) {
            for (const PrefixStatus& status : report.prefixes)
                if (status.prefix == prefix) return status.report.state == state;
            return false;
        });
    }
    AnnounceReport last() {
        const std::lock_guard lock(mutex_);
        return last_.value_or(AnnounceReport{});
    }
    int count() {
        const std::lock_guard lock(mutex_);
        return count_;
    }
    bool is_repeated() {
        const std::lock_guard lock(mutex_);
        return is_repeated_;
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<AnnounceReport> last_;
    int count_ = 0;
    bool is_repeated_ = false;
};

AnnouncerTimes quick() {
    AnnouncerTimes out;
    out.bird.retry_first = 5ms;
    out.bird.retry_last = 20ms;
    out.report = 1ms;
    return out;
}

config::BgpPeer peer_at(std::uint16_t port) {
    config::BgpPeer out;
    out.address = *IpAddress::parse("127.0.0.1");
    out.port = port;
    out.as = kPeerAs;
    out.next_hop4 = IpAddress::parse("10.0.0.2");
    out.retry = 1s;
    return out;
}

/// Peers on a thread of their own, since the announcer has one too.
class AnnouncerTest : public testing::Test {
 protected:
    void SetUp() override {
        std::string path = testing::TempDir() + "sluice_announcer_XXXXXX";
        ASSERT_NE(::mkdtemp(path.data()), nullptr);
        folder_ = path;
        auto thread = ReactorThread::start("peers");
        ASSERT_TRUE(thread.has_value());
        thread_ = std::move(*thread);
        thread_->call([this] {
            peer_ = std::make_unique<ScriptedPeer>(thread_->reactor());
            peer_->answer_properly(kPeerAs);
            bird_ = std::make_unique<FakeBird>(thread_->reactor(), folder_);
            bird_->start();
        });
    }
    void TearDown() override {
        announcer_.reset();
        thread_->call([this] {
            peer_.reset();
            bird_.reset();
        });
        thread_.reset();
        std::filesystem::remove_all(folder_);
    }

    config::Announce all_ways() {
        config::Announce out;
        out.bird = {bird_->socket(), bird_->include()};
        out.bgp.emplace();
        out.bgp->as = kOwnAs;
        out.bgp->peers = {peer_at(peer_->port())};
        out.kernel = {.interface = "lo"};
        return out;
    }
    void start(const config::Announce& config) {
        auto started = Announcer::start(config, &kernel_, reports_.callback(), quick());
        ASSERT_TRUE(started.has_value());
        announcer_ = std::move(*started);
    }
    std::vector<std::string> up_in_bird() {
        std::vector<std::string> out;
        thread_->call([&] { out = bird_->up(); });
        return out;
    }
    std::vector<BgpMessage> heard_by_peer() {
        std::vector<BgpMessage> out;
        thread_->call([&] { out = peer_->messages(); });
        return out;
    }

    std::string folder_;
    std::unique_ptr<ReactorThread> thread_;
    std::unique_ptr<ScriptedPeer> peer_;
    std::unique_ptr<FakeBird> bird_;
    FakeKernel kernel_;
    Reports reports_;
    std::unique_ptr<Announcer> announcer_;
};

TEST_F(AnnouncerTest, all_ways_announce_and_the_end_withdraws_from_all) {
    start(all_ways());
    announcer_->want({{kVip, Wish::announce}, {kOther, Wish::withdraw}});
    ASSERT_TRUE(reports_.wait_state(kVip, PrefixState::announced));
    const AnnounceReport report = reports_.last();
    ASSERT_EQ(report.ways.size(), 3U);
    EXPECT_EQ(report.ways[0].name, "bird");
    EXPECT_EQ(report.ways[1].name, "bgp 127.0.0.1:" + std::to_string(peer_->port()));
    EXPECT_EQ(report.ways[1].state, "established");
    EXPECT_EQ(report.ways[2].name, "kernel");
    ASSERT_EQ(report.prefixes.size(), 2U);
    EXPECT_EQ(report.prefixes[0].by_way,
              (std::vector<PrefixReport>(3, PrefixReport{PrefixState::announced})));
    EXPECT_EQ(report.prefixes[1].report.state, PrefixState::withdrawn);
    announcer_.reset();
    EXPECT_TRUE(up_in_bird().empty());
    EXPECT_TRUE(kernel_.content().empty());
    ASSERT_FALSE(heard_by_peer().empty());
    EXPECT_TRUE(heard_by_peer().back() == BgpMessage(BgpNotification{6, 2, {}}));
    EXPECT_FALSE(reports_.is_repeated());
}

TEST_F(AnnouncerTest, keep_leaves_all_of_it) {
    config::Announce config = all_ways();
    config.on_daemon_exit = config::OnExit::keep;
    start(config);
    announcer_->want({{kVip, Wish::announce}});
    ASSERT_TRUE(reports_.wait_state(kVip, PrefixState::announced));
    announcer_.reset();
    EXPECT_EQ(up_in_bird().size(), 1U);
    EXPECT_EQ(kernel_.content().size(), 1U);
    EXPECT_FALSE(std::holds_alternative<BgpNotification>(heard_by_peer().back()));
}

TEST_F(AnnouncerTest, nothing_is_said_before_the_first_wish) {
    kernel_.set({{"lo", {kVip}}});
    start(all_ways());
    announcer_->configure(all_ways());
    announcer_.reset();
    EXPECT_EQ(kernel_.content().size(), 1U);
    EXPECT_TRUE(heard_by_peer().empty());
    EXPECT_FALSE(std::filesystem::exists(bird_->include()));
    EXPECT_EQ(reports_.count(), 0);
}

TEST_F(AnnouncerTest, an_empty_wish_and_the_end_clear_what_a_killed_daemon_left) {
    config::Announce config = all_ways();
    config.on_daemon_exit = config::OnExit::keep;
    start(config);
    announcer_->want({{kVip, Wish::announce}, {kOther, Wish::drain}});
    ASSERT_TRUE(reports_.wait_state(kOther, PrefixState::draining));
    ASSERT_TRUE(reports_.wait_state(kVip, PrefixState::announced));
    announcer_.reset();
    start(all_ways());
    announcer_->want({});
    announcer_.reset();
    EXPECT_TRUE(up_in_bird().empty());
    EXPECT_TRUE(kernel_.content().empty());
}

TEST_F(AnnouncerTest, the_worst_way_is_the_prefixes_state_and_is_named) {
    kernel_.fail_with("add an address: not permitted");
    start(all_ways());
    announcer_->want({{kVip, Wish::announce}});
    ASSERT_TRUE(reports_.wait([](const AnnounceReport& report) {
        return report.prefixes[0].by_way.size() == 3 &&
               report.prefixes[0].by_way[0].state == PrefixState::announced &&
               report.prefixes[0].by_way[1].state == PrefixState::announced;
    }));
    const PrefixStatus status = reports_.last().prefixes[0];
    EXPECT_EQ(status.report.state, PrefixState::failing);
    EXPECT_EQ(status.report.why, "kernel: add an address: not permitted");
}

TEST_F(AnnouncerTest, a_prefix_without_any_way_fails) {
    start({});
    announcer_->want({{kVip, Wish::announce}, {kOther, Wish::withdraw}});
    ASSERT_TRUE(reports_.wait_state(kVip, PrefixState::failing));
    EXPECT_EQ(reports_.last().prefixes[0].report.why, "no way of announcing is configured");
    EXPECT_TRUE(reports_.wait_state(kOther, PrefixState::withdrawn));
}

TEST_F(AnnouncerTest, ways_come_and_go_with_the_configuration_and_others_stay_as_they_are) {
    config::Announce config = all_ways();
    start(config);
    announcer_->want({{kVip, Wish::announce}});
    ASSERT_TRUE(reports_.wait_state(kVip, PrefixState::announced));
    config::Announce only_bgp = config;
    only_bgp.bird.reset();
    only_bgp.kernel.reset();
    announcer_->configure(only_bgp);
    ASSERT_TRUE(
        reports_.wait([](const AnnounceReport& report) { return report.ways.size() == 1; }));
    EXPECT_TRUE(kernel_.content().empty());
    int connections = 0;
    thread_->call([&] { connections = peer_->connections(); });
    EXPECT_EQ(connections, 1);
    announcer_->configure(config);
    ASSERT_TRUE(reports_.wait([](const AnnounceReport& report) {
        return report.ways.size() == 3 && report.prefixes[0].report.state == PrefixState::announced;
    }));
    thread_->call([&] { connections = peer_->connections(); });
    EXPECT_EQ(connections, 1);
}

TEST_F(AnnouncerTest, other_attributes_are_said_within_the_session_another_as_in_a_new_one) {
    config::Announce config = all_ways();
    start(config);
    announcer_->want({{kVip, Wish::announce}});
    ASSERT_TRUE(reports_.wait_state(kVip, PrefixState::announced));
    config.bgp->med = 10;
    announcer_->configure(config);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    // OPEN, KEEPALIVE, and two UPDATEs.
    while (heard_by_peer().size() < 4) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    const auto connections = [this] {
        int out = 0;
        thread_->call([&] { out = peer_->connections(); });
        return out;
    };
    EXPECT_EQ(connections(), 1);
    config.bgp->as = kOwnAs + 1;
    announcer_->configure(config);
    while (connections() < 2) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    EXPECT_TRUE(reports_.wait_state(kVip, PrefixState::announced));
}

TEST_F(AnnouncerTest, a_bird_that_is_no_longer_configured_is_cleared) {
    config::Announce config = all_ways();
    start(config);
    announcer_->want({{kVip, Wish::announce}, {kOther, Wish::announce}});
    ASSERT_TRUE(reports_.wait_state(kVip, PrefixState::announced));
    ASSERT_TRUE(reports_.wait_state(kOther, PrefixState::announced));
    config.bird.reset();
    announcer_->configure(config);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!up_in_bird().empty()) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

TEST_F(AnnouncerTest, an_end_with_a_bird_that_hangs_takes_no_longer_than_it_may) {
    AnnouncerTimes times = quick();
    times.finish = 50ms;
    config::Announce config = all_ways();
    thread_->call([this] { bird_->answer_to("disable", ""); });
    auto started = Announcer::start(config, &kernel_, reports_.callback(), times);
    ASSERT_TRUE(started.has_value());
    announcer_ = std::move(*started);
    announcer_->want({{kVip, Wish::announce}});
    ASSERT_TRUE(reports_.wait_state(kVip, PrefixState::announced));
    announcer_.reset();  // The limit of the test ends it otherwise.
    EXPECT_EQ(up_in_bird().size(), 1U);
    EXPECT_TRUE(kernel_.content().empty());
}

TEST_F(AnnouncerTest, the_kernel_way_needs_a_kernel) {
    const auto started = Announcer::start(all_ways(), nullptr, reports_.callback());
    ASSERT_FALSE(started.has_value());
    EXPECT_EQ(started.error().code, Errc::internal);
}

}  // namespace
}  // namespace sluice::announce
