// SPDX-License-Identifier: Apache-2.0
#include "announce/bgp_speaker.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "tests/unit/announce/bgp_bytes.h"

namespace sluice::announce {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kOwnAs = 65001, kPeerAs = 65000;
const IpPrefix kVip = *IpPrefix::parse("192.0.2.1/32");
const IpPrefix kOther = *IpPrefix::parse("192.0.2.2/32");
const IpPrefix kVip6 = *IpPrefix::parse("2001:db8::1/128");
const Bytes kKeepalive = message(4, "");

BgpSettings settings() {
    BgpSettings out;
    out.own_as = kOwnAs;
    out.peer.address = *IpAddress::parse("10.0.0.1");
    out.peer.as = kPeerAs;
    out.peer.hold_time = 9s;
    out.peer.retry = 5s;
    return out;
}

BgpOpen peer_open() {
    return {.as = kPeerAs, .hold_time_s = 90, .router_id = 0x0a000001};
}

/// A speaker, its clock, and a peer that answers as it should where the test says so.
struct Scene {
    BgpSpeaker::Time now{1h};
    BgpSpeaker speaker;
    Bytes said;  ///< By the speaker on this connection.

    explicit Scene(BgpSettings with = settings()) : speaker(std::move(with)) { speaker.start(now); }

    void pass(std::chrono::milliseconds time) {
        now += time;
        speaker.tick(now);
    }
    /// On to the next thing that happens by itself.
    void pass_to_deadline() {
        ASSERT_NE(speaker.deadline(), BgpSpeaker::Time::max());
        now = std::max(now, speaker.deadline());
        speaker.tick(now);
    }
    void connect(const char* local = "10.0.0.2") {
        speaker.connected(*IpAddress::parse(local), now);
        flush();
    }
    void receive(const Bytes& bytes) { speaker.received(bytes, now); }
    /// The connection takes all that there is to say.
    void flush() {
        while (!speaker.output().empty()) {
            const ByteView output = speaker.output();
            said.insert(said.end(), output.begin(), output.end());
            speaker.written(output.size(), now);
        }
    }
    void establish(const BgpOpen& open = peer_open()) {
        connect();
        receive(write_open(open));
        receive(kKeepalive);
        flush();
        ASSERT_EQ(speaker.state(), BgpState::established);
        said.clear();
    }
    std::string take_said() {
        flush();
        return hex_of(std::exchange(said, {}));
    }
    PrefixState state_of(const IpPrefix& prefix) const { return speaker.report(prefix).state; }
};

BgpRoute route() {
    BgpRoute out;
    out.next_hop = *IpAddress::parse("10.0.0.2");
    out.own_as = kOwnAs;
    return out;
}

std::string announcement(const std::vector<IpPrefix>& prefixes, bool draining = false) {
    BgpRoute out = route();
    out.is_draining = draining;
    return hex_of(write_announcement(out, prefixes));
}

std::string withdrawal(const std::vector<IpPrefix>& prefixes) {
    return hex_of(write_withdrawal(BgpFamily::ip4, prefixes));
}

TEST(bgp_speaker, a_session_comes_up_step_by_step_and_says_what_is_wanted) {
    Scene scene;
    scene.speaker.want({{kVip, Wish::announce}, {kOther, Wish::drain}}, scene.now);
    EXPECT_EQ(scene.speaker.state(), BgpState::connect);
    EXPECT_NE(scene.speaker.connection(), 0U);
    scene.connect();
    EXPECT_EQ(scene.speaker.state(), BgpState::open_sent);
    EXPECT_EQ(scene.take_said(),
              hex_of(write_open({.as = kOwnAs, .hold_time_s = 9, .router_id = 0x0a000002})));
    scene.receive(write_open(peer_open()));
    EXPECT_EQ(scene.speaker.state(), BgpState::open_confirm);
    EXPECT_EQ(scene.take_said(), hex_of(kKeepalive));
    EXPECT_EQ(scene.state_of(kVip), PrefixState::wanted);
    scene.receive(kKeepalive);
    EXPECT_EQ(scene.speaker.state(), BgpState::established);
    EXPECT_EQ(scene.state_of(kVip), PrefixState::wanted);  // Not written yet.
    EXPECT_EQ(scene.take_said(), announcement({kVip}) + announcement({kOther}, true));
    EXPECT_EQ(scene.state_of(kVip), PrefixState::announced);
    EXPECT_EQ(scene.state_of(kOther), PrefixState::draining);
    EXPECT_EQ(scene.speaker.hold_time(), 9s);
}

TEST(bgp_speaker, changes_are_said_once_withdrawals_first) {
    Scene scene;
    scene.establish();
    scene.speaker.want({{kVip, Wish::announce}}, scene.now);
    EXPECT_EQ(scene.take_said(), announcement({kVip}));
    scene.speaker.want({{kVip, Wish::announce}}, scene.now);
    EXPECT_EQ(scene.take_said(), "");
    scene.speaker.want({{kVip, Wish::drain}}, scene.now);
    EXPECT_EQ(scene.take_said(), announcement({kVip}, true));
    scene.speaker.want({{kVip, Wish::withdraw}, {kOther, Wish::announce}}, scene.now);
    EXPECT_EQ(scene.take_said(), withdrawal({kVip}) + announcement({kOther}));
    EXPECT_EQ(scene.state_of(kVip), PrefixState::withdrawn);
    scene.speaker.want({}, scene.now);
    EXPECT_EQ(scene.take_said(), withdrawal({kOther}));
    EXPECT_EQ(scene.state_of(kOther), PrefixState::withdrawn);
}

TEST(bgp_speaker, everything_is_said_again_on_the_next_session) {
    Scene scene;
    scene.establish();
    scene.speaker.want({{kVip, Wish::announce}, {kOther, Wish::announce}}, scene.now);
    scene.flush();
    scene.speaker.closed("the peer closed the connection", scene.now);
    EXPECT_EQ(scene.speaker.state(), BgpState::idle);
    EXPECT_EQ(scene.state_of(kVip), PrefixState::failing);
    EXPECT_EQ(scene.speaker.report(kVip).why, "no session: the peer closed the connection");
    scene.speaker.want({{kVip, Wish::announce}}, scene.now);
    EXPECT_EQ(scene.state_of(kOther), PrefixState::withdrawn);
    scene.pass_to_deadline();
    scene.connect();
    scene.receive(write_open(peer_open()));
    scene.receive(kKeepalive);
    const std::string said = scene.take_said();
    EXPECT_TRUE(said.ends_with(announcement({kVip}))) << said;
    EXPECT_EQ(scene.state_of(kVip), PrefixState::announced);
}

struct Faulty {
    const char* name;
    std::function<void(Scene&)> before;
    Bytes input;
    BgpNotification want;
};

TEST(bgp_speaker, what_does_not_belong_there_ends_the_session_with_the_right_notification) {
    const auto in_open_sent = [](Scene& scene) { scene.connect(); };
    const auto in_open_confirm = [](Scene& scene) {
        scene.connect();
        scene.receive(write_open(peer_open()));
    };
    const auto in_established = [](Scene& scene) { scene.establish(); };
    const Bytes update = message(2, "0000 0000");
    const Bytes refresh = message(5, "0001 00 01");
    const Bytes open = write_open(peer_open());
    BgpOpen stranger = peer_open();
    stranger.as = 65099;
    const Bytes multicast = message(1, "04 fde8 0009 0a000001 08 02 06 0104 0001 00 02");
    const Faulty cases[] = {
        // RFC 6608.
        {"keepalive_before_the_open", in_open_sent, kKeepalive, {5, 1, {4}}},
        {"update_before_the_open", in_open_sent, update, {5, 1, {2}}},
        {"refresh_before_the_open", in_open_sent, refresh, {5, 1, {5}}},
        {"open_twice", in_open_confirm, open, {5, 2, {1}}},
        {"update_before_the_keepalive", in_open_confirm, update, {5, 2, {2}}},
        {"refresh_before_the_keepalive", in_open_confirm, refresh, {5, 2, {5}}},
        {"open_in_a_session", in_established, open, {5, 3, {1}}},
        // What is malformed in any state.
        {"text_instead_of_an_open", in_open_sent, {'H', 'T', 'T', 'P'}, {1, 1, {}}},
        {"length_in_a_session", in_established, message(4, "00"), {1, 2, hex("0014")}},
        {"update_that_contradicts_itself", in_established, message(2, "0009 0000"), {3, 1, {}}},
        // What is wrong for this session.
        {"another_as", in_open_sent, write_open(stranger), {2, 2, {}}},
        {"no_family_of_ours",
         in_open_sent,
         multicast,
         {2, 7, hex("0104 0001 00 01 0104 0002 00 01")}},
    };
    for (const Faulty& one : cases) {
        SCOPED_TRACE(one.name);
        Scene scene;
        one.before(scene);
        scene.flush();
        const std::uint64_t connection = scene.speaker.connection();
        scene.receive(one.input);
        EXPECT_NE(scene.speaker.connection(), connection);
        EXPECT_EQ(scene.speaker.state(), BgpState::idle);
        EXPECT_EQ(hex_of(scene.speaker.output()), hex_of(write_notification(one.want)));
        EXPECT_NE(scene.speaker.last_error().find(one.want.text()), std::string::npos)
            << scene.speaker.last_error();
    }
}

TEST(bgp_speaker, internal_peers_must_differ_in_router_id_external_ones_need_not) {
    for (const bool is_internal : {true, false}) {
        BgpSettings with = settings();
        if (is_internal) with.own_as = kPeerAs;
        Scene scene(with);
        scene.connect();
        BgpOpen same = peer_open();
        same.router_id = 0x0a000002;
        scene.receive(write_open(same));
        EXPECT_EQ(scene.speaker.state(), is_internal ? BgpState::idle : BgpState::open_confirm);
        if (is_internal) {
            EXPECT_EQ(hex_of(scene.speaker.output()), hex_of(write_notification({2, 3, {}})));
        }
    }
}

TEST(bgp_speaker, a_message_may_come_byte_by_byte_and_several_at_once) {
    Scene scene;
    scene.speaker.want({{kVip, Wish::announce}}, scene.now);
    scene.connect();
    for (const std::uint8_t byte : write_open(peer_open())) scene.receive({byte});
    EXPECT_EQ(scene.speaker.state(), BgpState::open_confirm);
    scene.receive(kKeepalive + message(2, "0000 0000") + kKeepalive + message(2, "0000 0000"));
    EXPECT_EQ(scene.speaker.state(), BgpState::established);
    EXPECT_EQ(scene.speaker.counters().updates_ignored, 2U);
    EXPECT_EQ(scene.speaker.counters().messages_in, 5U);
}

TEST(bgp_speaker, a_notification_ends_the_session_in_any_state_without_an_answer) {
    for (int state = 0; state < 3; ++state) {
        Scene scene;
        scene.connect();
        if (state > 0) scene.receive(write_open(peer_open()));
        if (state > 1) scene.receive(kKeepalive);
        scene.flush();
        scene.receive(write_notification({6, 2, hex("03 627965")}));
        EXPECT_EQ(scene.speaker.state(), BgpState::idle);
        EXPECT_TRUE(scene.speaker.output().empty());
        EXPECT_EQ(scene.speaker.last_error(),
                  "the peer ended the session: 6/2 cease: administrative shutdown (\"bye\")");
    }
}

TEST(bgp_speaker, what_a_notification_said_stays_visible_until_a_session_stands) {
    Scene scene;
    scene.connect();
    scene.receive(write_notification({2, 2, {}}));
    scene.pass_to_deadline();
    scene.speaker.closed("read: connection reset by peer", scene.now);
    EXPECT_EQ(scene.speaker.last_error(),
              "read: connection reset by peer; before that: the peer ended the session: 2/2 OPEN "
              "message error: bad peer AS");
    scene.pass_to_deadline();
    scene.establish();
    EXPECT_EQ(scene.speaker.last_error(), "");
}

TEST(bgp_speaker, silence_ends_each_state_in_its_time) {
    {
        Scene scene;
        scene.pass(settings().times.connect);
        EXPECT_EQ(scene.speaker.state(), BgpState::idle);
        EXPECT_EQ(scene.speaker.last_error(), "no answer to the connection");
    }
    {
        Scene scene;
        scene.connect();
        scene.pass(settings().times.open - 1ms);
        EXPECT_EQ(scene.speaker.state(), BgpState::open_sent);
        scene.pass(1ms);
        EXPECT_EQ(hex_of(scene.speaker.output()), hex_of(write_notification({4, 0, {}})));
    }
    for (const bool is_confirmed : {false, true}) {
        Scene scene;
        scene.connect();
        scene.receive(write_open(peer_open()));
        if (is_confirmed) scene.receive(kKeepalive);
        scene.flush();
        scene.pass(8999ms);
        scene.flush();
        EXPECT_GE(scene.speaker.state(), BgpState::open_confirm);
        scene.pass(1ms);
        EXPECT_EQ(hex_of(scene.speaker.output()), hex_of(write_notification({4, 0, {}})));
        EXPECT_EQ(scene.speaker.state(), BgpState::idle);
    }
}

TEST(bgp_speaker, keepalives_and_updates_of_the_peer_keep_the_session) {
    for (const Bytes& sign : {kKeepalive, message(2, "0000 0000")}) {
        Scene scene;
        scene.establish();
        for (int i = 0; i < 10; ++i) {
            scene.pass(8s);
            scene.flush();
            scene.receive(sign);
        }
        EXPECT_EQ(scene.speaker.state(), BgpState::established);
    }
}

TEST(bgp_speaker, keepalives_go_out_three_times_in_a_hold_time_or_not_at_all) {
    struct {
        std::uint16_t peer_hold_s;
        std::chrono::seconds own_hold;
        std::chrono::milliseconds least, most;  ///< Between two; 0: none at all.
    } const cases[] = {
        {90, 9s, 2250ms, 3000ms}, {3, 9s, 750ms, 1000ms}, {0, 9s, 0ms, 0ms}, {90, 0s, 0ms, 0ms}};
    for (const auto& one : cases) {
        SCOPED_TRACE(one.peer_hold_s);
        BgpSettings with = settings();
        with.peer.hold_time = one.own_hold;
        Scene scene(with);
        BgpOpen open = peer_open();
        open.hold_time_s = one.peer_hold_s;
        scene.establish(open);
        if (one.most == 0ms) {
            EXPECT_EQ(scene.speaker.deadline(), BgpSpeaker::Time::max());
            continue;
        }
        auto last = scene.now;
        for (int i = 0; i < 20; ++i) {
            scene.pass_to_deadline();
            ASSERT_EQ(scene.take_said(), hex_of(kKeepalive));
            EXPECT_GE(scene.now - last, one.least);
            EXPECT_LE(scene.now - last, one.most);
            last = scene.now;
            scene.receive(kKeepalive);
        }
    }
}

TEST(bgp_speaker, retries_back_off_and_begin_anew_after_a_session_that_stood) {
    Scene scene;
    const auto retry_after = [&scene](const char* why) {
        scene.speaker.closed(why, scene.now);
        EXPECT_EQ(scene.speaker.state(), BgpState::idle);
        const auto begun = scene.now;
        scene.pass_to_deadline();
        EXPECT_EQ(scene.speaker.state(), BgpState::connect);
        return std::chrono::duration_cast<std::chrono::milliseconds>(scene.now - begun);
    };
    for (const auto most : {1000ms, 5000ms, 10'000ms, 20'000ms, 20'000ms}) {
        const auto delay = retry_after("connect: connection refused");
        EXPECT_LE(delay, most);
        EXPECT_GE(delay, most * 3 / 4 - 1ms);
    }
    // A session that falls at once is no reason to hurry.
    scene.establish();
    EXPECT_GE(retry_after("reset"), 15s - 1ms);
    scene.establish();
    for (int i = 0; i < 2; ++i) {
        scene.pass(8s);
        scene.receive(kKeepalive);
        scene.flush();
    }
    EXPECT_LE(retry_after("reset"), 1000ms);
}

TEST(bgp_speaker, each_attempt_has_a_number_of_its_own) {
    Scene scene;
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(seen.insert(scene.speaker.connection()).second);
        EXPECT_NE(scene.speaker.connection(), 0U);
        scene.speaker.closed("refused", scene.now);
        EXPECT_EQ(scene.speaker.connection(), 0U);
        scene.pass_to_deadline();
    }
}

TEST(bgp_speaker, families_that_cannot_be_announced_say_why) {
    BgpOpen only4 = peer_open();
    only4.ip6 = false;
    BgpOpen only6 = peer_open();
    only6.ip4 = false;
    BgpOpen neither_named = peer_open();
    neither_named.has_families = false;
    struct {
        const char* name;
        BgpOpen open;
        const char* next_hop6;
        const char* why4;
        const char* why6;
    } const cases[] = {
        {"both", peer_open(), "fd00::2", "", ""},
        {"no_next_hop", peer_open(), "", "", "no IPv6 next hop: set next_hop6"},
        {"only_ip4", only4, "fd00::2", "", "the peer takes no IPv6"},
        {"only_ip6", only6, "fd00::2", "the peer takes no IPv4", ""},
        {"no_families_mean_ip4", neither_named, "fd00::2", "", "the peer takes no IPv6"},
    };
    for (const auto& one : cases) {
        SCOPED_TRACE(one.name);
        BgpSettings with = settings();
        if (*one.next_hop6 != 0) with.peer.next_hop6 = IpAddress::parse(one.next_hop6);
        Scene scene(with);
        scene.speaker.want({{kVip, Wish::announce}, {kVip6, Wish::announce}}, scene.now);
        scene.establish(one.open);
        for (const auto& [prefix, why] : {std::pair(kVip, one.why4), std::pair(kVip6, one.why6)}) {
            const PrefixReport report = scene.speaker.report(prefix);
            EXPECT_EQ(report.why, why);
            EXPECT_EQ(report.state, *why == 0 ? PrefixState::announced : PrefixState::failing);
        }
        scene.speaker.want({}, scene.now);
        scene.flush();
        EXPECT_EQ(scene.state_of(kVip), PrefixState::withdrawn);
        EXPECT_EQ(scene.state_of(kVip6), PrefixState::withdrawn);
    }
}

TEST(bgp_speaker, routes_asked_for_again_are_said_again_at_a_bounded_rate) {
    Scene scene;
    scene.speaker.want({{kVip, Wish::announce}}, scene.now);
    scene.establish();
    const Bytes ask4 = message(5, "0001 00 01");
    scene.receive(ask4);
    scene.pass(0ms);
    EXPECT_EQ(scene.take_said(), announcement({kVip}));
    for (int i = 0; i < 100; ++i) scene.receive(ask4 + message(5, "0002 00 01"));
    scene.pass(999ms);
    EXPECT_EQ(scene.take_said(), "");
    scene.pass(1ms);
    EXPECT_EQ(scene.take_said(), announcement({kVip}));
    scene.receive(message(5, "0001 00 02"));  // Multicast.
    scene.receive(message(5, "4004 00 01"));  // Whatever.
    scene.pass(2s);
    EXPECT_EQ(scene.take_said(), "");
}

TEST(bgp_speaker, other_attributes_are_said_of_everything_that_was_announced) {
    Scene scene;
    scene.speaker.want({{kVip, Wish::announce}, {kOther, Wish::withdraw}}, scene.now);
    scene.establish();
    scene.speaker.change({}, scene.now);
    EXPECT_EQ(scene.take_said(), "");
    scene.speaker.change({.med = 10}, scene.now);
    BgpRoute want = route();
    want.med = 10;
    EXPECT_EQ(scene.take_said(), hex_of(write_announcement(want, std::vector{kVip})));
    EXPECT_EQ(scene.state_of(kVip), PrefixState::announced);
}

/// More than the speaker holds ready at once.
PrefixWishes many(Wish wish) {
    PrefixWishes out;
    IpPrefix one = *IpPrefix::parse("10.0.0.0/32");
    for (std::uint32_t i = 0; i < 60'000; ++i) {
        one.address.bytes[1] = static_cast<std::uint8_t>(i >> 16);
        one.address.bytes[2] = static_cast<std::uint8_t>(i >> 8);
        one.address.bytes[3] = static_cast<std::uint8_t>(i);
        out[one] = wish;
    }
    return out;
}

TEST(bgp_speaker, a_peer_that_does_not_read_costs_bounded_memory_and_then_its_session) {
    BgpSettings with = settings();
    with.times.send_hold = 10s;
    Scene scene(with);
    scene.establish();
    scene.speaker.want(many(Wish::announce), scene.now);
    const std::size_t most = BgpSpeaker::kOutputHigh + 2 * kBgpMessageMax;
    EXPECT_LE(scene.speaker.output().size(), most);
    EXPECT_EQ(scene.speaker.report(many(Wish::announce).rbegin()->first).why,
              "the peer reads slowly");
    // It reads a little, and talks on: the session stays.
    for (int i = 0; i < 5; ++i) {
        scene.pass(8s);
        scene.receive(kKeepalive);
        scene.speaker.written(100, scene.now);
        EXPECT_LE(scene.speaker.output().size(), most);
        ASSERT_EQ(scene.speaker.state(), BgpState::established);
    }
    // It reads no more.
    for (int i = 0; i < 4 && scene.speaker.state() == BgpState::established; ++i) {
        scene.pass(6s);
        scene.receive(kKeepalive);
    }
    EXPECT_EQ(scene.speaker.state(), BgpState::idle);
    EXPECT_EQ(scene.speaker.last_error(), "the peer does not read");
}

TEST(bgp_speaker, a_slow_peer_gets_everything_in_the_end) {
    Scene scene;
    scene.establish();
    scene.speaker.want(many(Wish::announce), scene.now);
    scene.flush();
    for (const auto& [prefix, wish] : many(Wish::announce))
        ASSERT_EQ(scene.state_of(prefix), PrefixState::announced);
    EXPECT_EQ(scene.speaker.counters().prefixes_announced, 60'000U);
    scene.speaker.want({}, scene.now);
    scene.flush();
    EXPECT_EQ(scene.speaker.counters().prefixes_withdrawn, 60'000U);
}

TEST(bgp_speaker, what_is_withdrawn_while_it_is_being_said_again_is_withdrawn_from_the_peer) {
    Scene scene;
    scene.establish();
    scene.speaker.want(many(Wish::announce), scene.now);
    scene.flush();
    // All of it is asked for again, and only a part fits into what the peer has not read yet.
    scene.receive(message(5, "0001 00 01"));
    scene.pass(0ms);
    EXPECT_FALSE(scene.speaker.output().empty());
    scene.speaker.want({}, scene.now);
    scene.flush();
    EXPECT_EQ(scene.speaker.counters().prefixes_withdrawn, 60'000U);
}

TEST(bgp_speaker, a_stop_withdraws_everything_and_says_so) {
    Scene scene;
    scene.establish();
    scene.speaker.want({{kVip, Wish::announce}}, scene.now);
    scene.flush();
    scene.speaker.stop(true, scene.now);
    EXPECT_EQ(scene.speaker.connection(), 0U);
    EXPECT_EQ(hex_of(scene.speaker.output()),
              withdrawal({kVip}) + hex_of(write_notification({6, 2, {}})));
    EXPECT_EQ(scene.speaker.deadline(), BgpSpeaker::Time::max());
    scene.pass(1h);
    EXPECT_EQ(scene.speaker.state(), BgpState::idle);
}

TEST(bgp_speaker, a_stop_that_keeps_says_nothing) {
    BgpSettings with = settings();
    with.keep_on_exit = true;
    Scene scene(with);
    scene.speaker.want({{kVip, Wish::announce}}, scene.now);
    scene.establish();
    scene.speaker.stop(false, scene.now);
    EXPECT_TRUE(scene.speaker.output().empty());
    EXPECT_EQ(scene.speaker.connection(), 0U);
}

TEST(bgp_speaker, graceful_restart_is_asked_for_only_to_keep_and_ends_with_both_ends_of_rib) {
    BgpSettings with = settings();
    with.keep_on_exit = true;
    Scene scene(with);
    scene.speaker.want({{kVip, Wish::announce}}, scene.now);
    for (const bool is_first : {true, false}) {
        scene.connect();
        BgpOpen want{.as = kOwnAs, .hold_time_s = 9, .router_id = 0x0a000002};
        want.restart = BgpRestart{.is_restarting = is_first};
        EXPECT_EQ(scene.take_said(), hex_of(write_open(want)));
        BgpOpen open = peer_open();
        open.restart = BgpRestart{};
        scene.receive(write_open(open));
        EXPECT_EQ(scene.take_said(), hex_of(kKeepalive));
        scene.receive(kKeepalive);
        EXPECT_EQ(scene.take_said(), announcement({kVip}) +
                                         hex_of(write_end_of_rib(BgpFamily::ip4)) +
                                         hex_of(write_end_of_rib(BgpFamily::ip6)));
        scene.speaker.closed("reset", scene.now);
        scene.pass_to_deadline();
    }
}

TEST(bgp_speaker, the_router_id_is_the_configured_one_or_the_sessions_or_the_machines) {
    struct {
        std::uint32_t configured;
        const char* local;
        std::uint32_t want;
    } const cases[] = {{7, "10.0.0.2", 7}, {0, "10.0.0.2", 0x0a000002}, {0, "fd00::2", 99}};
    for (const auto& one : cases) {
        BgpSettings with = settings();
        with.router_id = one.configured;
        with.fallback_router_id = 99;
        Scene scene(with);
        scene.connect(one.local);
        const BgpRead read = read_bgp(scene.said);
        ASSERT_TRUE(read.message.has_value());
        EXPECT_EQ(std::get<BgpOpen>(*read.message).router_id, one.want);
    }
}

TEST(bgp_speaker, what_comes_when_there_is_no_connection_changes_nothing) {
    Scene scene;
    scene.receive(write_open(peer_open()));
    EXPECT_EQ(scene.speaker.state(), BgpState::connect);
    scene.speaker.closed("refused", scene.now);
    scene.connect();
    scene.receive(kKeepalive);
    scene.speaker.closed("once more", scene.now);
    EXPECT_EQ(scene.speaker.state(), BgpState::idle);
    EXPECT_EQ(scene.speaker.last_error(), "refused");
}

}  // namespace
}  // namespace sluice::announce
