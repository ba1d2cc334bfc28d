// SPDX-License-Identifier: Apache-2.0
//
// Neighbours in namespaces: one that answers for a VIP is found, one that keeps silent is not.
#include "kernel/vip_watch.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "tests/unit/kernel/namespaces.h"

namespace sluice::kernel {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

/// This node, "here", and a backend, "there", on one link.
class VipWatchTest : public testing::Test {
 protected:
    void SetUp() override {
        here_.run("ip link add eth0 type veth peer name eth0 netns " + there_.path());
        here_.run("ip addr add 192.0.2.1/24 dev eth0 && ip addr add 2001:db8::1/64 dev eth0");
        there_.run("ip addr add 192.0.2.5/24 dev eth0 && ip addr add 2001:db8::5/64 dev eth0");
        for (const auto* node : {&here_, &there_})
            node->run("ip link set lo up && ip link set eth0 address " +
                      std::string(node == &here_ ? kHere : kThere) + " && ip link set eth0 up");
        here_.enter();
    }

    void open(VipWatchOptions options, std::vector<IpAddress> vips) {
        auto opened = VipWatch::open(options);
        ASSERT_TRUE(opened) << opened.error().what;
        watch_ = std::move(*opened);
        follow(std::move(vips));
    }
    void follow(std::vector<IpAddress> vips) {
        const auto done = watch_->follow({"eth0", "eth7"}, std::move(vips), steady_clock::now());
        ASSERT_TRUE(done) << done.error().what;
    }

    /// Lets the watch work until `done` says so; whether it did within ten seconds.
    bool until(const std::function<bool()>& done) {
        const auto deadline = steady_clock::now() + 10s;
        while (!done()) {
            if (steady_clock::now() > deadline) return false;
            const auto next = watch_->tick(steady_clock::now());
            const auto rest = std::chrono::ceil<std::chrono::milliseconds>(
                std::min({next, deadline, steady_clock::now() + 20ms}) - steady_clock::now());
            pollfd waiting{watch_->fd(), POLLIN, 0};
            if (::poll(&waiting, 1, static_cast<int>(std::max(rest, 0ms).count())) > 0)
                for (VipConflict& fresh : watch_->process(steady_clock::now()))
                    fresh_.push_back(std::move(fresh));
        }
        return true;
    }
    /// "192.0.2.10 eth0 02:..:05", in order.
    [[nodiscard]] std::vector<std::string> found() const {
        std::vector<std::string> out;
        for (const VipConflict& conflict : watch_->conflicts())
            out.push_back(conflict.vip.text() + " " + conflict.interface + " " +
                          conflict.mac.text());
        return out;
    }
    /// From the other end of the link.
    void there_announces(const std::vector<IpAddress>& vips, const char* mac = kThere) {
        there_.enter();
        const auto done = announce_to_neighbours("eth0", vips, *MacAddress::parse(mac));
        here_.enter();
        ASSERT_TRUE(done) << done.error().what;
    }

    static constexpr const char* kHere = "02:00:00:00:00:01";
    static constexpr const char* kThere = "02:00:00:00:00:05";
    test::Namespace here_ = test::Namespace::create();
    test::Namespace there_ = test::Namespace::create();
    std::unique_ptr<VipWatch> watch_;
    std::vector<VipConflict> fresh_;
};

/// IPv4 answers for addresses of any interface, unless arp_ignore forbids it; IPv6 for those of the
/// interface alone.
TEST_F(VipWatchTest, who_answers_is_found_and_who_keeps_silent_is_not) {
    there_.run("ip addr add 192.0.2.10/32 dev lo && ip addr add 2001:db8::10/128 dev eth0");
    there_.run("ip addr add 2001:db8::11/128 dev lo");
    open({.asks_per_second = 1000, .ask_every = 1s},
         {ip("192.0.2.10"), ip("192.0.2.11"), ip("2001:db8::10"), ip("2001:db8::11")});
    const std::vector<std::string> want = {"2001:db8::10 eth0 " + std::string(kThere),
                                           "192.0.2.10 eth0 " + std::string(kThere)};
    EXPECT_TRUE(until([&] { return found().size() >= 2 && watch_->counts().asked >= 8; }));
    EXPECT_EQ(found(), want);
    EXPECT_EQ(fresh_.size(), 2u) << "told once each";
    EXPECT_EQ(watch_->conflicts()[0].kind, NeighbourClaim::Kind::advertisement);
    EXPECT_EQ(watch_->conflicts()[1].kind, NeighbourClaim::Kind::arp_reply);
    EXPECT_EQ(watch_->counts().unsent, 0u);
    // It is repaired, and the VIPs are followed anew.
    there_.sysctl("ipv4.conf.all.arp_ignore", "1");
    there_.run("ip addr del 2001:db8::10/128 dev eth0");
    follow({});
    EXPECT_EQ(found(), std::vector<std::string>());
    follow({ip("192.0.2.10"), ip("2001:db8::10")});
    const std::uint64_t asked = watch_->counts().asked;
    EXPECT_TRUE(until([&] { return watch_->counts().asked >= asked + 4; }));
    EXPECT_EQ(found(), std::vector<std::string>());
}

TEST_F(VipWatchTest, nobody_learns_anything_from_being_asked) {
    open({.asks_per_second = 1000}, {ip("192.0.2.10"), ip("192.0.2.11")});
    EXPECT_TRUE(until([&] { return watch_->counts().asked >= 2; }));
    EXPECT_EQ(there_.output("ip neigh show 192.0.2.10; ip neigh show 192.0.2.11"), "");
}

TEST_F(VipWatchTest, announcements_are_heard_without_asking) {
    open({.asks_per_second = 0}, {ip("192.0.2.10"), ip("2001:db8::10")});
    there_announces({ip("192.0.2.10"), ip("192.0.2.99"), ip("2001:db8::10"), ip("2001:db8::99")});
    EXPECT_TRUE(until([&] {
        const auto all = watch_->conflicts();
        return all.size() == 2 && all[1].count == 2;
    })) << found().size();
    EXPECT_EQ(watch_->counts().asked, 0u);
    EXPECT_EQ(watch_->counts().heard, 3u) << "what is of no VIP is filtered";
}

TEST_F(VipWatchTest, its_own_announcements_are_no_conflict_and_are_believed) {
    there_.run("ping -c 1 -W 5 192.0.2.1 >/dev/null && ping -c 1 -W 5 2001:db8::1 >/dev/null");
    there_.run("ip neigh replace 192.0.2.10 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
    there_.run("ip neigh replace 2001:db8::10 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
    open({.asks_per_second = 0}, {ip("192.0.2.10"), ip("2001:db8::10")});
    const std::vector<IpAddress> vips = {ip("192.0.2.10"), ip("2001:db8::10")};
    const auto knows = [&](const char* vip) {
        return there_.output(std::string("ip neigh show ") + vip).find(kHere) != std::string::npos;
    };
    // More than once: a link that has just come up loses some.
    const auto deadline = steady_clock::now() + 10s;
    while (!(knows("192.0.2.10") && knows("2001:db8::10")) && steady_clock::now() < deadline) {
        const auto done = announce_to_neighbours("eth0", vips);
        ASSERT_TRUE(done) << done.error().what;
    }
    EXPECT_TRUE(knows("192.0.2.10")) << there_.output("ip neigh");
    EXPECT_TRUE(knows("2001:db8::10")) << there_.output("ip neigh");
    there_announces({ip("192.0.2.10")});
    EXPECT_TRUE(until([&] { return !watch_->conflicts().empty(); }));
    EXPECT_EQ(found(), std::vector<std::string>{"192.0.2.10 eth0 " + std::string(kThere)});
}

TEST_F(VipWatchTest, the_virtual_router_of_a_pair_is_no_conflict) {
    open({.asks_per_second = 0}, {ip("192.0.2.10"), ip("192.0.2.11")});
    there_announces({ip("192.0.2.10")}, "00:00:5e:00:01:33");
    there_announces({ip("192.0.2.11")}, "00:00:5e:00:03:33");
    EXPECT_TRUE(until([&] { return watch_->counts().heard >= 4; }));
    EXPECT_EQ(found(), std::vector<std::string>{"192.0.2.11 eth0 00:00:5e:00:03:33"});
}

TEST_F(VipWatchTest, a_flood_of_claims_is_bounded) {
    open({.asks_per_second = 0, .most_per_second = 300, .most_conflicts = 16}, {ip("192.0.2.10")});
    for (int i = 0; i < 400; ++i) {
        char mac[18];
        std::snprintf(mac, sizeof mac, "02:00:00:01:%02x:%02x", i >> 8, i & 0xff);
        there_announces({ip("192.0.2.10")}, mac);
        (void)watch_->process(steady_clock::time_point(1h));
    }
    EXPECT_TRUE(until([&] { return watch_->counts().skipped >= 500; }));
    EXPECT_EQ(watch_->conflicts().size(), 16u);
    EXPECT_EQ(watch_->counts().heard, 300u);
    EXPECT_EQ(watch_->counts().unkept, 300u - 2 * 16);
}

/// By a clock of the test's own.
TEST_F(VipWatchTest, it_asks_at_its_pace_and_forgets) {
    std::vector<IpAddress> vips;
    for (int i = 10; i < 60; ++i) vips.push_back(ip(("192.0.2." + std::to_string(i)).c_str()));
    vips.push_back(ip("198.51.100.1"));  // In no subnet of this link.
    auto opened = VipWatch::open({.asks_per_second = 10, .ask_every = 60s, .forget_after = 100s});
    ASSERT_TRUE(opened) << opened.error().what;
    watch_ = std::move(*opened);
    const auto begin = steady_clock::now();
    ASSERT_TRUE(watch_->follow({"eth0"}, vips, begin));
    there_announces({ip("192.0.2.10")});
    EXPECT_TRUE([&] {
        const auto deadline = steady_clock::now() + 10s;
        while (watch_->conflicts().empty() && steady_clock::now() < deadline)
            (void)watch_->process(begin);
        return !watch_->conflicts().empty();
    }());
    auto now = begin;
    std::vector<std::uint64_t> asked;  // By the end of each second.
    while (now < begin + 99s) {
        const auto next = watch_->tick(now);
        ASSERT_GT(next, now);
        for (; now < next; now += 1s)
            if ((next - begin) / 1s != (now - begin) / 1s) asked.push_back(watch_->counts().asked);
        now = next;
    }
    ASSERT_GT(asked.size(), 61u);
    for (std::size_t i = 1; i < asked.size(); ++i) EXPECT_LE(asked[i] - asked[i - 1], 10u) << i;
    EXPECT_EQ(watch_->counts().asked + watch_->counts().unsent, 100u) << "50, twice";
    EXPECT_EQ(watch_->conflicts().size(), 1u);
    (void)watch_->tick(begin + 101s);
    EXPECT_TRUE(watch_->conflicts().empty());
}

TEST_F(VipWatchTest, an_interface_that_comes_later_is_followed) {
    auto opened = VipWatch::open({.asks_per_second = 0});
    ASSERT_TRUE(opened) << opened.error().what;
    watch_ = std::move(*opened);
    const auto begin = steady_clock::now();
    here_.run("ip link set eth0 name eth9");
    ASSERT_TRUE(watch_->follow({"eth0"}, {ip("192.0.2.10")}, begin));
    there_announces({ip("192.0.2.10")});
    EXPECT_TRUE([&] {
        const auto deadline = steady_clock::now() + 10s;
        while (watch_->counts().heard < 2 && steady_clock::now() < deadline)
            (void)watch_->process(begin);
        return watch_->counts().heard == 2;
    }());
    EXPECT_TRUE(watch_->conflicts().empty()) << "heard by another interface";
    here_.run("ip link set eth9 down && ip link set eth9 name eth0 && ip link set eth0 up");
    (void)watch_->tick(begin + 11s);
    there_announces({ip("192.0.2.10")});
    EXPECT_TRUE(until([&] { return !watch_->conflicts().empty(); }));
}

TEST_F(VipWatchTest, more_vips_than_a_filter_holds_are_followed_all_the_same) {
    std::vector<IpAddress> vips = {ip("192.0.2.10")};
    for (int i = 0; i < 2000; ++i)
        vips.push_back(
            ip(("10." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".1").c_str()));
    open({.asks_per_second = 0}, vips);
    there_announces({ip("192.0.2.10"), ip("192.0.2.99")});
    EXPECT_TRUE(until([&] { return !watch_->conflicts().empty(); }));
    EXPECT_EQ(found(), std::vector<std::string>{"192.0.2.10 eth0 " + std::string(kThere)});
}

TEST_F(VipWatchTest, who_is_to_announce_without_an_interface_is_told) {
    const std::vector<IpAddress> vips = {ip("192.0.2.10")};
    const auto done = announce_to_neighbours("eth7", vips);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::not_found);
    EXPECT_EQ(done.error().what, "no interface eth7 of Ethernet");
}

}  // namespace
}  // namespace sluice::kernel
