// SPDX-License-Identifier: Apache-2.0
#include "announce/bird_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/announce/fake_bird.h"
#include "tests/unit/announce/loop.h"

namespace sluice::announce {
namespace {

using namespace std::chrono_literals;
using Names = std::vector<std::string>;

const IpPrefix kVip = *IpPrefix::parse("192.0.2.1/32");
const IpPrefix kOther = *IpPrefix::parse("192.0.2.2/32");
const IpPrefix kVip6 = *IpPrefix::parse("2001:db8::1/128");
const std::string kVipName = "sluice4_192_0_2_1_32";
const std::string kOtherName = "sluice4_192_0_2_2_32";
const std::string kVip6Name = "sluice6_2001_db8__1_128";

BirdTimes quick() {
    return {.answer = 500ms,
            .configure = 500ms,
            .verify = 20ms,
            .settle = 50ms,
            .retry_first = 5ms,
            .retry_last = 20ms,
            .act_last = 40ms};
}

PrefixWishes many(Wish wish) {
    PrefixWishes out;
    IpPrefix one = *IpPrefix::parse("10.0.0.0/32");
    for (std::uint8_t i = 0; i < 200; ++i) {
        one.address.bytes[3] = i;
        out[one] = wish;
    }
    return out;
}

class BirdClientTest : public testing::Test {
 protected:
    void SetUp() override {
        std::string path = testing::TempDir() + "sluice_bird_XXXXXX";
        ASSERT_NE(::mkdtemp(path.data()), nullptr);
        folder_ = path;
        bird_ = std::make_unique<FakeBird>(*reactor_, folder_);
    }
    void TearDown() override {
        client_.reset();
        bird_.reset();
        std::filesystem::remove_all(folder_);
    }

    void open(const PrefixWishes& wishes) {
        client_ = std::make_unique<BirdClient>(
            *reactor_, config::AnnounceBird{bird_->socket(), bird_->include()}, quick(), [] {});
        client_->want(wishes);
        client_->start();
    }
    template <typename Condition>
    bool wait(Condition condition) {
        return run_until(*reactor_, condition);
    }
    bool wait_state(const IpPrefix& prefix, PrefixState state) {
        return wait([&] { return client_->report(prefix).state == state; });
    }
    bool wait_error(const std::string& part) {
        return wait([&] { return client_->last_error().find(part) != std::string::npos; });
    }
    /// One that is announced, with nothing left to be done.
    void open_announced() {
        bird_->start();
        open({{kVip, Wish::announce}});
        ASSERT_TRUE(wait_state(kVip, PrefixState::announced)) << client_->last_error();
        ASSERT_TRUE(wait([&] { return client_->is_settled(); }));
        bird_->forget_commands();
    }
    [[nodiscard]] std::string file() const {
        std::ostringstream out;
        out << std::ifstream(bird_->include()).rdbuf();
        return out.str();
    }

    std::unique_ptr<Reactor> reactor_ = open_reactor();
    std::string folder_;
    std::unique_ptr<FakeBird> bird_;
    std::unique_ptr<BirdClient> client_;
};

TEST_F(BirdClientTest, announces_drains_and_withdraws) {
    bird_->start();
    open({{kVip, Wish::announce}, {kOther, Wish::withdraw}, {kVip6, Wish::drain}});
    ASSERT_TRUE(wait_state(kVip, PrefixState::announced)) << client_->last_error();
    ASSERT_TRUE(wait_state(kVip6, PrefixState::draining));
    ASSERT_TRUE(wait_state(kOther, PrefixState::withdrawn));
    EXPECT_EQ(bird_->up(), (Names{kVipName, kVip6Name + "!"}));
    client_->want({{kVip, Wish::drain}, {kOther, Wish::announce}, {kVip6, Wish::withdraw}});
    ASSERT_TRUE(wait_state(kVip, PrefixState::draining));
    ASSERT_TRUE(wait_state(kOther, PrefixState::announced));
    ASSERT_TRUE(wait_state(kVip6, PrefixState::withdrawn));
    EXPECT_EQ(bird_->up(), (Names{kVipName + "!", kOtherName}));
    client_->want({});
    ASSERT_TRUE(wait([&] { return client_->is_settled(); }));
    EXPECT_EQ(bird_->up(), Names{});
    EXPECT_EQ(file(), bird_file({}));
    EXPECT_EQ(client_->last_error(), "");
}

TEST_F(BirdClientTest, what_bird_knows_is_switched_and_written_down_not_configured) {
    open_announced();
    client_->want({{kVip, Wish::withdraw}});
    ASSERT_TRUE(wait_state(kVip, PrefixState::withdrawn));
    ASSERT_FALSE(bird_->commands().empty());
    EXPECT_EQ(bird_->commands()[0], "disable \"" + kVipName + "\"");
    EXPECT_EQ(file(), bird_file({{kVip, Wish::withdraw}}));
    client_->want({{kVip, Wish::announce}});
    ASSERT_TRUE(wait_state(kVip, PrefixState::announced));
    EXPECT_EQ(file(), bird_file({{kVip, Wish::announce}}));
    for (const std::string& command : bird_->commands())
        EXPECT_EQ(command.find("configure"), std::string::npos);
}

TEST_F(BirdClientTest, many_at_once_are_configured_at_once) {
    bird_->start();
    open(many(Wish::withdraw));
    ASSERT_TRUE(wait([&] { return client_->is_settled(); }));
    for (const Wish wish : {Wish::announce, Wish::withdraw}) {
        bird_->forget_commands();
        client_->want(many(wish));
        ASSERT_TRUE(wait([&] { return client_->is_settled(); }));
        EXPECT_EQ(bird_->up().size(), wish == Wish::announce ? 200U : 0U);
        ASSERT_GE(bird_->commands().size(), 2U);
        EXPECT_EQ(bird_->commands()[0], "configure check");
        EXPECT_EQ(bird_->commands()[1], "configure");
    }
}

TEST_F(BirdClientTest, a_wish_that_changes_while_a_command_is_under_way_wins) {
    open_announced();
    for (int i = 0; i < 20; ++i) {
        client_->want({{kVip, Wish::withdraw}});
        client_->want(
            {{kVip, i % 2 == 0 ? Wish::announce : Wish::drain}, {kOther, Wish::announce}});
        client_->want({{kVip, Wish::withdraw}, {kOther, Wish::drain}});
        client_->want({{kVip, Wish::announce}});
    }
    ASSERT_TRUE(wait([&] { return client_->is_settled(); }));
    EXPECT_EQ(bird_->up(), Names{kVipName});
    EXPECT_EQ(file(), bird_file({{kVip, Wish::announce}}));
}

TEST_F(BirdClientTest, a_socket_that_is_missing_or_refuses_is_tried_until_somebody_answers) {
    open({{kVip, Wish::announce}});
    ASSERT_TRUE(wait_error("connect to " + bird_->socket()));
    EXPECT_EQ(client_->report(kVip).state, PrefixState::failing);
    // The file is right all the same: BIRD may be starting.
    EXPECT_EQ(file(), bird_file({{kVip, Wish::announce}}));
    EXPECT_TRUE(client_->is_settled());
    bird_->start();
    ASSERT_TRUE(wait_state(kVip, PrefixState::announced));
    bird_->stop();  // The socket stays behind and refuses.
    ASSERT_TRUE(wait_error("connect to " + bird_->socket()));
    client_->want({{kOther, Wish::announce}});
    EXPECT_EQ(file(), bird_file({{kOther, Wish::announce}}));
    bird_->start();
    ASSERT_TRUE(wait_state(kOther, PrefixState::announced));
    EXPECT_EQ(bird_->up(), Names{kOtherName});
    EXPECT_EQ(client_->lost(), 1U);
}

TEST_F(BirdClientTest, a_path_that_cannot_be_a_socket_is_reported) {
    client_ = std::make_unique<BirdClient>(
        *reactor_, config::AnnounceBird{std::string(200, 'a'), bird_->include()}, quick(), [] {});
    client_->start();
    EXPECT_NE(client_->last_error().find("too long for a socket"), std::string::npos);
}

TEST_F(BirdClientTest, a_socket_that_nobody_serves_is_reported_even_when_its_queue_is_full) {
    // SIGSTOP makes a BIRD like this one.
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, bird_->socket().data(), bird_->socket().size());
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    ASSERT_EQ(::bind(listener.get(), raw, sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 0), 0);
    open({{kVip, Wish::announce}});
    ASSERT_TRUE(wait_error("BIRD does not answer (greeting)"));
    EXPECT_FALSE(client_->is_settled());
    std::vector<UniqueFd> queue;
    for (;;) {
        queue.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (::connect(queue.back().get(), raw, sizeof address) != 0) break;
    }
    EXPECT_TRUE(wait_error("nobody takes connections there"));
}

struct Oddity {
    const char* name;
    void (*begin)(FakeBird&);
    const char* error;
};

/// Ways in which a connection ends; after each, `end` makes BIRD itself again.
const Oddity kOddities[] = {
    {"another_greeting", [](FakeBird& bird) { bird.greeting = "0001 Quagga ready\n"; },
     "this does not greet like BIRD: 0001 Quagga ready"},
    {"another_code", [](FakeBird& bird) { bird.greeting = "8007 Access denied\n"; },
     "this does not greet like BIRD: 8007 Access denied"},
    {"another_protocol", [](FakeBird& bird) { bird.greeting = "220 mail.example.com ESMTP\n"; },
     "BIRD sent an unexpected line: \"220 mail.example.com ESMTP\""},
    {"a_greeting_without_end", [](FakeBird& bird) { bird.greeting = std::string(8000, '0'); },
     "BIRD sent a line without end"},
    {"no_greeting", [](FakeBird& bird) { bird.greeting = ""; }, "BIRD does not answer (greeting)"},
    {"half_a_greeting", [](FakeBird& bird) { bird.greeting = "0001 BIRD 2.0"; },
     "BIRD does not answer (greeting)"},
    {"no_answer_to_a_look", [](FakeBird& bird) { bird.answer_to("show protocols", ""); },
     "BIRD does not answer (show protocols \"sluice?_*\")"},
    {"half_an_answer", [](FakeBird& bird) { bird.answer_to("show protocols", "2002-Name\n1002-"); },
     "BIRD does not answer (show protocols \"sluice?_*\")"},
    {"no_answer_to_a_check", [](FakeBird& bird) { bird.answer_to("configure check", ""); },
     "BIRD does not answer (configure check)"},
    {"garbage_in_an_answer", [](FakeBird& bird) { bird.answer_to("show route", "1007-x\noops\n"); },
     "BIRD sent an unexpected line: \"oops\""},
    {"an_end_within_an_answer",
     [](FakeBird& bird) { bird.answer_to("configure check", "hang up"); },
     "BIRD closed the connection"},
    {"one_answer_too_many", [](FakeBird& bird) { bird.answer_to("show route", "0000 \n0000 \n"); },
     "an odd answer to a check: 0000"},
    {"no_look_allowed", [](FakeBird& bird) { bird.answer_to("show", "8007 Access denied\n"); },
     "BIRD does not show its protocols: 8007 Access denied"},
};

TEST_F(BirdClientTest, whatever_is_at_the_socket_the_client_reports_it_and_recovers) {
    for (const Oddity& one : kOddities) {
        SCOPED_TRACE(one.name);
        client_.reset();
        bird_ = std::make_unique<FakeBird>(*reactor_, folder_);
        const std::string greeting = bird_->greeting;
        one.begin(*bird_);
        bird_->start();
        open({{kVip, Wish::announce}});
        ASSERT_TRUE(wait_error(one.error)) << client_->last_error();
        // Each of them ends a connection; the next one is tried.
        ASSERT_TRUE(wait([&] { return bird_->connections() >= 2; }));
        bird_->answer_properly();
        bird_->greeting = greeting;
        bird_->hang_up();
        ASSERT_TRUE(wait_state(kVip, PrefixState::announced)) << client_->last_error();
        ASSERT_TRUE(wait([&] { return client_->last_error().empty(); })) << client_->last_error();
        EXPECT_EQ(bird_->up(), Names{kVipName});
    }
}

TEST_F(BirdClientTest, answers_may_come_in_pieces) {
    bird_->piece = 1;
    bird_->start();
    open({{kVip, Wish::announce}, {kVip6, Wish::drain}});
    ASSERT_TRUE(wait_state(kVip, PrefixState::announced)) << client_->last_error();
    ASSERT_TRUE(wait_state(kVip6, PrefixState::draining));
    EXPECT_EQ(bird_->connections(), 1);
}

TEST_F(BirdClientTest, a_refused_configuration_is_reported_and_hinders_no_withdrawal) {
    open_announced();
    bird_->broken = "bird.conf:5:16 syntax error";
    client_->want({{kOther, Wish::announce}});
    ASSERT_TRUE(wait_state(kOther, PrefixState::failing));
    EXPECT_EQ(client_->report(kOther).why,
              "BIRD refuses its configuration: 8002 bird.conf:5:16 syntax error");
    ASSERT_TRUE(wait([&] { return bird_->up().empty(); }));
    bird_->broken.clear();
    ASSERT_TRUE(wait_state(kOther, PrefixState::announced));
    EXPECT_EQ(client_->last_error(), "");
}

TEST_F(BirdClientTest, many_withdrawals_do_not_wait_for_a_configuration_that_is_refused) {
    bird_->start();
    open(many(Wish::announce));
    ASSERT_TRUE(wait([&] { return client_->is_settled(); }));
    bird_->broken = "bird.conf:5:16 syntax error";
    client_->want(many(Wish::withdraw));
    ASSERT_TRUE(wait([&] { return bird_->up().empty(); }));
}

TEST_F(BirdClientTest, a_configuration_that_is_refused_after_its_check_is_reported) {
    bird_->answer_to("configure", "0006 Reconfiguration ignored, shutting down\n");
    bird_->answer_to("configure check", "0020 Configuration OK\n");
    bird_->start();
    open({{kVip, Wish::announce}});
    ASSERT_TRUE(wait_state(kVip, PrefixState::failing));
    EXPECT_EQ(client_->report(kVip).why,
              "BIRD refuses its configuration: 0006 Reconfiguration ignored, shutting down");
    bird_->answer_properly();
    EXPECT_TRUE(wait_state(kVip, PrefixState::announced));
}

TEST_F(BirdClientTest, a_configuration_under_way_is_waited_for) {
    bird_->answer_to("configure", "0004 Reconfiguration in progress\n");
    bird_->answer_to("configure check", "0020 Configuration OK\n");
    bird_->start();
    open({{kVip, Wish::announce}});
    ASSERT_TRUE(wait([&] { return bird_->commands().size() > 6; }));
    EXPECT_NE(client_->report(kVip).state, PrefixState::announced);
    bird_->answer_properly();
    EXPECT_TRUE(wait_state(kVip, PrefixState::announced));
}

TEST_F(BirdClientTest, a_bird_conf_without_our_file_is_found) {
    bird_->is_included = false;
    bird_->start();
    open({{kVip, Wish::announce}});
    ASSERT_TRUE(wait_state(kVip, PrefixState::failing));
    EXPECT_EQ(client_->report(kVip).why, "BIRD has no protocol " + kVipName +
                                             ": does bird.conf include " + bird_->include() + "?");
    // It is not asked to configure over and over.
    bird_->forget_commands();
    ASSERT_TRUE(wait([&] { return bird_->commands().size() >= 20; }));
    const auto configured =
        std::count(bird_->commands().begin(), bird_->commands().end(), "configure");
    EXPECT_LE(configured, 8);
    bird_->is_included = true;
    EXPECT_TRUE(wait_state(kVip, PrefixState::announced));
}

TEST_F(BirdClientTest, a_protocol_without_a_route_is_not_announced) {
    bird_->has_routes = false;
    bird_->start();
    open({{kVip, Wish::announce}});
    ASSERT_TRUE(wait_state(kVip, PrefixState::failing));
    EXPECT_EQ(client_->report(kVip).why, "BIRD's protocol " + kVipName + " has no route");
    bird_->has_routes = true;
    EXPECT_TRUE(wait_state(kVip, PrefixState::announced));
}

TEST_F(BirdClientTest, what_somebody_else_switches_is_switched_back) {
    open_announced();
    bird_->switch_protocol(kVipName, false);
    ASSERT_TRUE(wait([&] { return bird_->up() == Names{kVipName}; }));
    bird_->switch_protocol("sluice4_203_0_113_1_32", true);
    ASSERT_TRUE(wait([&] { return bird_->up() == Names{kVipName}; }));
    EXPECT_TRUE(wait_state(kVip, PrefixState::announced));
}

TEST_F(BirdClientTest, a_command_that_is_refused_is_reported_and_done_another_way) {
    open_announced();
    bird_->answer_to("disable", "8003 No protocols match\n");
    client_->want({{kVip, Wish::withdraw}});
    ASSERT_TRUE(wait([&] { return bird_->up().empty(); }));
    EXPECT_TRUE(wait_state(kVip, PrefixState::withdrawn));
}

TEST_F(BirdClientTest, a_restarted_bird_is_given_everything_again) {
    open_announced();
    for (int i = 0; i < 3; ++i) {
        bird_->stop();
        ASSERT_TRUE(wait_state(kVip, PrefixState::failing));
        bird_->start();
        ASSERT_TRUE(wait_state(kVip, PrefixState::announced));
        EXPECT_EQ(bird_->up(), Names{kVipName});
    }
    EXPECT_EQ(client_->lost(), 3U);
}

TEST_F(BirdClientTest, a_file_that_cannot_be_written_is_reported_and_hinders_no_withdrawal) {
    open_announced();
    // A folder in its place: root may write anywhere else.
    ASSERT_EQ(::mkdir((bird_->include() + ".new").c_str(), 0755), 0);
    client_->want({{kOther, Wish::announce}});
    ASSERT_TRUE(wait_state(kOther, PrefixState::failing));
    EXPECT_EQ(client_->report(kOther).why.find("create " + bird_->include() + ".new"), 0U);
    ASSERT_TRUE(wait([&] { return bird_->up().empty(); }));
    EXPECT_EQ(file(), bird_file({{kVip, Wish::announce}}));
    ASSERT_EQ(::rmdir((bird_->include() + ".new").c_str()), 0);
    EXPECT_TRUE(wait_state(kOther, PrefixState::announced));
    EXPECT_EQ(file(), bird_file({{kOther, Wish::announce}}));
}

TEST_F(BirdClientTest, the_file_can_be_read_by_bird_whatever_the_umask) {
    const mode_t before = ::umask(0077);
    open({{kVip, Wish::announce}});
    ::umask(before);
    struct stat status{};
    ASSERT_EQ(::stat(bird_->include().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0644U);
}

}  // namespace
}  // namespace sluice::announce
