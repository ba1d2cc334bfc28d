// SPDX-License-Identifier: Apache-2.0
#include "announce/bgp_session.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "announce/bgp_socket.h"
#include "tests/unit/announce/bgp_bytes.h"
#include "tests/unit/announce/loop.h"
#include "tests/unit/announce/scripted_peer.h"

namespace sluice::announce {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kOwnAs = 65001, kPeerAs = 65000;
const IpPrefix kVip = *IpPrefix::parse("192.0.2.1/32");

BgpSettings settings(std::uint16_t port, const char* address = "127.0.0.1") {
    BgpSettings out;
    out.own_as = kOwnAs;
    out.router_id = 0x0a000002;
    out.peer.address = *IpAddress::parse(address);
    out.peer.port = port;
    out.peer.as = kPeerAs;
    out.peer.retry = 1s;
    out.peer.next_hop4 = IpAddress::parse("10.0.0.2");
    return out;
}

/// A session to a scripted peer.
class BgpSessionTest : public testing::Test {
 protected:
    void open(BgpSettings with) {
        session_ = std::make_unique<BgpSession>(*reactor_, std::move(with), [this] { ++changes_; });
        session_->want({{kVip, Wish::announce}});
        session_->start();
    }
    [[nodiscard]] const BgpSpeaker& speaker() const { return session_->speaker(); }
    template <typename Condition>
    bool wait(Condition condition) {
        return run_until(*reactor_, condition);
    }
    bool wait_announced() {
        return wait([this] { return speaker().report(kVip).state == PrefixState::announced; });
    }
    bool wait_error(const std::string& part) {
        return wait([&] { return speaker().last_error().find(part) != std::string::npos; });
    }

    std::unique_ptr<Reactor> reactor_ = open_reactor();
    ScriptedPeer peer_{*reactor_};
    int changes_ = 0;
    std::unique_ptr<BgpSession> session_;
};

TEST_F(BgpSessionTest, announces_and_is_heard) {
    peer_.answer_properly(kPeerAs);
    open(settings(peer_.port()));
    ASSERT_TRUE(wait_announced()) << speaker().last_error();
    BgpRoute route;
    route.next_hop = *IpAddress::parse("10.0.0.2");
    route.own_as = kOwnAs;
    const std::string want = hex_of(write_announcement(route, std::vector{kVip}));
    EXPECT_TRUE(wait([&] { return hex_of(peer_.input()).ends_with(want); }));
    EXPECT_GT(changes_, 0);
}

TEST_F(BgpSessionTest, a_peer_that_refuses_is_tried_until_it_listens) {
    peer_.answer_properly(kPeerAs);
    peer_.stop_listening();
    open(settings(peer_.port()));
    ASSERT_TRUE(wait_error("connect"));
    EXPECT_EQ(speaker().report(kVip).state, PrefixState::failing);
    peer_.listen_again();
    EXPECT_TRUE(wait_announced()) << speaker().last_error();
}

TEST_F(BgpSessionTest, a_peer_that_hangs_up_or_resets_gets_everything_on_the_next_connection) {
    peer_.answer_properly(kPeerAs);
    open(settings(peer_.port()));
    ASSERT_TRUE(wait_announced());
    ASSERT_TRUE(wait([&] { return peer_.messages().size() == 3; }));
    peer_.hang_up();
    ASSERT_TRUE(wait_error("the peer closed the connection"));
    ASSERT_TRUE(wait_announced());
    peer_.reset();
    ASSERT_TRUE(wait([&] { return speaker().state() == BgpState::idle; }));
    ASSERT_TRUE(wait_announced());
    EXPECT_EQ(peer_.connections(), 3);
    EXPECT_EQ(speaker().counters().established, 3U);
}

TEST_F(BgpSessionTest, a_peer_that_never_answers_hears_that_its_time_is_over) {
    BgpSettings with = settings(peer_.port());
    with.times.open = 50ms;
    open(with);
    ASSERT_TRUE(wait_error("4/0 hold timer expired"));
    ASSERT_TRUE(wait([&] { return peer_.messages().size() >= 2; }));
    EXPECT_EQ(std::get<BgpNotification>(peer_.messages()[1]), (BgpNotification{4, 0, {}}));
}

TEST_F(BgpSessionTest, garbage_is_answered_by_a_notification_that_arrives) {
    // The peer goes on talking, so that a careless close would reset the connection and take the
    // notification back.
    peer_.on_input([](ScriptedPeer& peer) {
        if (peer.connections() > 1) return;
        for (int i = 0; i < 20; ++i) peer.say(Bytes(1000, 'x'));
    });
    open(settings(peer_.port()));
    ASSERT_TRUE(wait_error("1/1 message header error: connection not synchronized"));
    ASSERT_TRUE(wait([&] { return peer_.messages().size() == 2; }));
    EXPECT_EQ(std::get<BgpNotification>(peer_.messages()[1]), (BgpNotification{1, 1, {}}));
    peer_.answer_properly(kPeerAs);
    EXPECT_TRUE(wait_announced());
}

TEST_F(BgpSessionTest, what_the_peer_said_before_it_hung_up_is_the_reason) {
    peer_.on_input([](ScriptedPeer& peer) {
        peer.say(write_notification({6, 5, {}}));
        peer.hang_up();
    });
    open(settings(peer_.port()));
    EXPECT_TRUE(wait_error("the peer ended the session: 6/5 cease: connection rejected"));
}

TEST_F(BgpSessionTest, a_stop_is_heard_as_withdrawal_and_notification) {
    peer_.answer_properly(kPeerAs);
    open(settings(peer_.port()));
    ASSERT_TRUE(wait_announced());
    session_->stop(true);
    ASSERT_TRUE(wait([&] { return session_->is_silent() && !peer_.is_connected(); }));
    const std::string want = hex_of(write_withdrawal(BgpFamily::ip4, std::vector{kVip}) +
                                    write_notification({6, 2, {}}));
    EXPECT_TRUE(hex_of(peer_.input()).ends_with(want)) << hex_of(peer_.input());
}

TEST_F(BgpSessionTest, a_session_that_is_destroyed_says_nothing) {
    peer_.answer_properly(kPeerAs);
    open(settings(peer_.port()));
    ASSERT_TRUE(wait_announced());
    ASSERT_TRUE(wait([&] { return peer_.messages().size() == 3; }));
    session_.reset();
    ASSERT_TRUE(wait([&] { return !peer_.is_connected(); }));
    EXPECT_EQ(peer_.messages().size(), 3U);  // OPEN, KEEPALIVE, UPDATE.
}

TEST_F(BgpSessionTest, over_ip6) {
    ScriptedPeer peer(*reactor_, true);
    peer.answer_properly(kPeerAs);
    open(settings(peer.port(), "::1"));
    EXPECT_TRUE(wait_announced()) << speaker().last_error();
}

TEST_F(BgpSessionTest, a_source_address_that_is_not_ours_is_reported) {
    BgpSettings with = settings(peer_.port());
    with.peer.source = IpAddress::parse("203.0.113.9");
    open(with);
    EXPECT_TRUE(wait_error("bind to 203.0.113.9"));
}

TEST_F(BgpSessionTest, a_peer_that_reads_late_gets_everything) {
    ScriptedPeer slow(*reactor_, false, {}, 4096);
    slow.answer_properly(kPeerAs);
    PrefixWishes many;
    IpPrefix one = *IpPrefix::parse("10.0.0.0/32");
    // More than the buffers of both sockets take.
    constexpr std::uint32_t kCount = 200'000;
    for (std::uint32_t i = 0; i < kCount; ++i) {
        one.address.bytes[1] = static_cast<std::uint8_t>(i >> 16);
        one.address.bytes[2] = static_cast<std::uint8_t>(i >> 8);
        one.address.bytes[3] = static_cast<std::uint8_t>(i);
        many[one] = Wish::announce;
    }
    open(settings(slow.port()));
    ASSERT_TRUE(wait_announced());
    slow.stop_reading();
    session_->want(many);
    ASSERT_TRUE(wait([&] { return speaker().reads_slowly(); }));
    EXPECT_EQ(speaker().report(many.rbegin()->first).state, PrefixState::wanted);
    slow.go_on_reading();
    ASSERT_TRUE(wait(
        [&] { return speaker().report(many.rbegin()->first).state == PrefixState::announced; }));
    EXPECT_EQ(speaker().counters().prefixes_announced, kCount + 1U);
}

bool kernel_has_md5() {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    tcp_md5sig signature{};
    auto* address = reinterpret_cast<sockaddr_in*>(&signature.tcpm_addr);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    signature.tcpm_keylen = 1;
    return ::setsockopt(fd.get(), IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof signature) == 0;
}

/// A file that is gone with the test.
class PasswordFile {
 public:
    explicit PasswordFile(const std::string& content) {
        const int fd = ::mkstemp(path_.data());
        ::close(fd);
        write(content);
    }
    PasswordFile(const PasswordFile&) = delete;
    PasswordFile& operator=(const PasswordFile&) = delete;
    ~PasswordFile() { ::unlink(path_.c_str()); }
    void write(const std::string& content) const { std::ofstream(path_) << content; }
    [[nodiscard]] const std::string& path() const { return path_; }

 private:
    std::string path_ = testing::TempDir() + "sluice_password_XXXXXX";
};

TEST_F(BgpSessionTest, a_password_must_be_the_peers_and_a_changed_file_is_read_again) {
    if (!kernel_has_md5()) GTEST_SKIP() << "this kernel has no TCP MD5";
    ScriptedPeer peer(*reactor_, false, "correct horse");
    peer.answer_properly(kPeerAs);
    const PasswordFile file("battery staple\n");
    BgpSettings with = settings(peer.port());
    with.peer.password_file = file.path();
    with.times.connect = 100ms;
    open(with);
    ASSERT_TRUE(wait_error("no answer to the connection; does the peer have this password?"));
    EXPECT_EQ(peer.connections(), 0);
    file.write("correct horse\n");
    EXPECT_TRUE(wait_announced()) << speaker().last_error();
}

TEST_F(BgpSessionTest, passwords_that_cannot_be_are_refused_before_anything_is_sent) {
    const PasswordFile file("");
    BgpSettings with = settings(peer_.port());
    struct {
        std::string content;
        const char* want;
    } const cases[] = {{"", "must hold 1 to 80 bytes"},
                       {"\n", "must hold 1 to 80 bytes"},
                       {std::string(81, 'a'), "must hold 1 to 80 bytes"}};
    for (const auto& one : cases) {
        file.write(one.content);
        with.peer.password_file = file.path();
        const auto opened = connect_bgp(with.peer);
        ASSERT_FALSE(opened.has_value());
        EXPECT_NE(opened.error().what.find(one.want), std::string::npos) << opened.error().what;
    }
    with.peer.password_file = file.path() + ".missing";
    EXPECT_EQ(connect_bgp(with.peer).error().code, Errc::not_found);
}

TEST_F(BgpSessionTest, ttl_security_drops_what_comes_from_further_away) {
    for (const bool is_ip6 : {false, true}) {
        ScriptedPeer peer(*reactor_, is_ip6);
        peer.answer_properly(kPeerAs);
        BgpSettings with = settings(peer.port(), is_ip6 ? "::1" : "127.0.0.1");
        with.peer.ttl_security = true;
        with.times.connect = 100ms;
        open(with);
        EXPECT_TRUE(wait_error("no answer to the connection"));
    }
}

}  // namespace
}  // namespace sluice::announce
