// SPDX-License-Identifier: Apache-2.0
//
// What needs a network of its own: icmp, marks, source addresses, and what routers say. The checker
// is in the namespace "near", what it checks in "far".
#include <gtest/gtest.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "health/socket.h"
#include "tests/unit/health/watcher.h"
#include "tests/unit/kernel/namespaces.h"

namespace sluice::health {
namespace {

using namespace std::chrono_literals;
using config::CheckType;
using test::Namespace;

constexpr std::uint16_t kPort = 7000;

/// 10.9.0.1 and fd09::1 near, .2 and ::2 far, which forwards. Far has 203.0.113.1 and fd77::1 as
/// well, to which near has a route for mark 7 alone; it knows of no way to 198.51.100.0/24, and
/// says so; it swallows what goes to 192.0.2.0/24.
class network_checks : public testing::Test {
 protected:
    network_checks() {
        near_.run("ip link add veth0 type veth peer name veth1 netns " + far_.path());
        for (const auto& [where, device, last] :
             {std::tuple(&near_, "veth0", "1"), std::tuple(&far_, "veth1", "2")}) {
            where->run(std::string("ip address add 10.9.0.") + last + "/24 dev " + device);
            where->run(std::string("ip address add fd09::") + last + "/64 dev " + device);
            where->run(std::string("ip link set ") + device + " up");
        }
        far_.sysctl("ipv4.ip_forward", "1");
        // Else it answers twice a second, whatever it is asked.
        for (const char* each : {"ipv4.icmp_ratelimit", "ipv6.icmp.ratelimit"})
            far_.sysctl(each, "0");
        far_.run("ip address add 203.0.113.1/32 dev lo");
        far_.run("ip -6 address add fd77::1/128 dev lo");
        far_.run("ip route add unreachable 198.51.100.0/24");
        far_.run("ip route add blackhole 192.0.2.0/24");
        near_.run("ip address add 10.9.0.77/24 dev veth0");
        far_.run("ip route add blackhole 10.9.0.77/32");
        for (const char* prefix : {"198.51.100.0/24", "192.0.2.0/24"})
            near_.run(std::string("ip route add ") + prefix + " via 10.9.0.2");
        near_.run("ip route add 203.0.113.0/24 via 10.9.0.2 table 7; ip rule add fwmark 7 table 7");
        near_.run("ip -6 route add fd77::/64 via fd09::2 table 7; ip -6 rule add fwmark 7 table 7");
        near_.enter();
        watcher_ = std::make_unique<Watcher>();
    }

    static Target target(CheckType type, const char* address, std::uint32_t mark = 0) {
        config::Check check = check_of(type);
        check.udp.payload = "ping";
        Target out = target_of(check, kPort);
        out.address = *IpAddress::parse(address);
        out.mark = mark;
        return out;
    }
    /// With a short timeout: what is to run into it.
    static Target short_target(CheckType type, const char* address) {
        Target out = target(type, address);
        config::Check check = *out.check;
        check.timeout = 100ms;
        out.check = std::make_shared<const config::Check>(check);
        return out;
    }
    std::string result(const Target& target) { return text_of(watcher_->check(target)); }

    Namespace near_ = Namespace::create();
    Namespace far_ = Namespace::create();
    std::unique_ptr<Watcher> watcher_;
};

TEST_F(network_checks, icmp_passes_over_both_families) {
    EXPECT_EQ(result(target(CheckType::icmp, "10.9.0.2")), "passed");
    EXPECT_EQ(result(target(CheckType::icmp, "fd09::2")), "passed");
}

TEST_F(network_checks, icmp_without_an_answer_is_a_timeout) {
    far_.sysctl("ipv4.icmp_echo_ignore_all", "1");
    far_.sysctl("ipv6.icmp.echo_ignore_all", "1");
    for (const char* address : {"10.9.0.2", "fd09::2", "192.0.2.1"})
        EXPECT_EQ(result(short_target(CheckType::icmp, address)),
                  "timeout: after 100 ms: no answer");
    far_.sysctl("ipv4.icmp_echo_ignore_all", "0");
    EXPECT_EQ(result(target(CheckType::icmp, "10.9.0.2")), "passed");
}

TEST_F(network_checks, what_routers_say_is_told_at_once) {
    EXPECT_EQ(result(target(CheckType::icmp, "198.51.100.1")), "unreachable: ICMP says so");
    EXPECT_EQ(result(target(CheckType::tcp, "198.51.100.1")), "unreachable: No route to host");
    EXPECT_EQ(result(target(CheckType::udp, "198.51.100.1")), "unreachable: No route to host");
    EXPECT_EQ(result(target(CheckType::udp, "10.9.0.2")), "refused: Connection refused");
    EXPECT_EQ(result(target(CheckType::udp, "fd09::2")), "refused: Connection refused");
    EXPECT_EQ(result(target(CheckType::tcp, "fd09::2")), "refused: Connection refused");
    EXPECT_EQ(result(short_target(CheckType::tcp, "192.0.2.1")),
              "timeout: after 100 ms: not connected");
}

TEST_F(network_checks, no_route_here_is_unreachable) {
    for (const CheckType type : {CheckType::icmp, CheckType::tcp, CheckType::udp})
        EXPECT_EQ(result(target(type, "203.0.113.1")), "unreachable: Network is unreachable");
    EXPECT_EQ(result(target(CheckType::icmp, "fd77::1")), "unreachable: Network is unreachable");
}

TEST_F(network_checks, every_type_marks_its_packets) {
    EXPECT_EQ(result(target(CheckType::icmp, "203.0.113.1", 7)), "passed");
    EXPECT_EQ(result(target(CheckType::icmp, "fd77::1", 7)), "passed");
    // Refused: so it got there, and the answer came back.
    for (const char* address : {"203.0.113.1", "fd77::1"})
        for (const CheckType type : {CheckType::tcp, CheckType::http, CheckType::https,
                                     CheckType::udp, CheckType::dns, CheckType::grpc})
            EXPECT_EQ(result(target(type, address, 7)), "refused: Connection refused")
                << address << " " << static_cast<int>(type);
    EXPECT_EQ(result(target(CheckType::icmp, "203.0.113.1", 8)),
              "unreachable: Network is unreachable");
}

TEST_F(network_checks, icmp_uses_the_source_address) {
    Target from = short_target(CheckType::icmp, "10.9.0.2");
    from.source = IpAddress::parse("10.9.0.77");  // To which the other side sends nothing.
    EXPECT_EQ(result(from), "timeout: after 100 ms: no answer");
    from.source = IpAddress::parse("10.9.0.1");
    EXPECT_EQ(result(from), "passed");
    Target from6 = target(CheckType::icmp, "fd09::2");
    from6.source = IpAddress::parse("fd09::1");
    EXPECT_EQ(result(from6), "passed");
    from6.source = IpAddress::parse("fd09::99");  // Nobody's.
    EXPECT_FALSE(watcher_->check(from6).ok);
}

/// Answers echo requests in its own way, from the namespace it was made in.
class EchoServer {
 public:
    explicit EchoServer(std::function<void(std::array<unsigned char, 64>&)> change)
        : socket_(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)),
          stop_(::eventfd(0, EFD_CLOEXEC)),
          thread_([this, change = std::move(change)] { serve(change); }) {}
    ~EchoServer() {
        ::eventfd_write(stop_.get(), 1);
        thread_.join();
    }

 private:
    void serve(const std::function<void(std::array<unsigned char, 64>&)>& change) {
        for (;;) {
            pollfd both[] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                             {.fd = stop_.get(), .events = POLLIN, .revents = 0}};
            if (::poll(both, 2, -1) < 0 || both[1].revents != 0) return;
            std::array<unsigned char, 256> packet{};
            sockaddr_in from{};
            socklen_t from_len = sizeof(from);
            const ssize_t got = ::recvfrom(socket_.get(), packet.data(), packet.size(), 0,
                                           reinterpret_cast<sockaddr*>(&from), &from_len);
            if (got < 36 || packet[20] != ICMP_ECHO) continue;
            std::array<unsigned char, 64> reply{};
            std::copy_n(packet.begin() + 20, 16, reply.begin());
            reply[0] = ICMP_ECHOREPLY;
            change(reply);
            reply[2] = reply[3] = 0;
            std::uint32_t sum = 0;
            for (std::size_t i = 0; i < 16; i += 2)
                sum += static_cast<std::uint32_t>(reply[i] << 8 | reply[i + 1]);
            sum = (sum & 0xffff) + (sum >> 16);
            sum = ~(sum + (sum >> 16));
            reply[2] = static_cast<unsigned char>(sum >> 8);
            reply[3] = static_cast<unsigned char>(sum);
            ::sendto(socket_.get(), reply.data(), 16, 0, reinterpret_cast<sockaddr*>(&from),
                     from_len);
        }
    }

    UniqueFd socket_;
    UniqueFd stop_;
    std::thread thread_;
};

TEST_F(network_checks, forged_echo_replies_are_no_answers) {
    far_.sysctl("ipv4.icmp_echo_ignore_all", "1");
    struct Case {
        const char* name;
        std::function<void(std::array<unsigned char, 64>&)> change;
        const char* wanted;
    };
    for (const Case& each : {
             Case{"as it should be", [](auto&) {}, "passed"},
             {"another identifier", [](auto& reply) { reply[5] ^= 1; },
              "timeout: after 100 ms: no answer"},
             {"another sequence number", [](auto& reply) { reply[7] ^= 1; },
              "timeout: after 100 ms: no answer"},
             {"another token", [](auto& reply) { reply[15] ^= 1; },
              "timeout: after 100 ms: no answer"},
         }) {
        SCOPED_TRACE(each.name);
        far_.enter();
        const EchoServer server(each.change);
        near_.enter();
        EXPECT_EQ(result(short_target(CheckType::icmp, "10.9.0.2")), each.wanted);
    }
}

TEST_F(network_checks, many_icmp_checks_share_one_socket) {
    std::vector<Target> targets;
    for (int i = 0; i < 300; ++i) {
        targets.push_back(target(CheckType::icmp, "10.9.0.2"));
        targets.back().key = std::to_string(i);
    }
    watcher_->checker().set(targets);
    for (const Target& each : targets) watcher_->checker().check_now(each.key);
    EXPECT_TRUE(watcher_->wait_until([](const auto& all) { return all.size() >= 300; }));
    for (const Outcome& each : watcher_->outcomes()) EXPECT_TRUE(each.ok) << text_of(each);
}

/// Sends the beginning of an outer packet: IPv4 in it, or UDP to the port of GUE.
void send_outer(const char* to, int protocol, std::uint16_t port = 6080) {
    const IpAddress address = *IpAddress::parse(to);
    const SocketAddress where(address, protocol == IPPROTO_UDP ? port : std::uint16_t{0});
    const UniqueFd fd(::socket(address.is_ip6 ? AF_INET6 : AF_INET,
                               (protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC,
                               protocol));
    const std::array<char, 40> body{0x45};
    ASSERT_EQ(::sendto(fd.get(), body.data(), body.size(), 0, &where.any, where.len), 40)
        << std::strerror(errno);
}

/// Watches icmp checks of an hour: what ends did so because it was asked for.
class suspicions : public network_checks {
 protected:
    suspicions() {
        far_.sysctl("ipv6.conf.all.forwarding", "1");
        far_.run("ip -6 route add unreachable fd98::/64");
        near_.run("ip -6 route add fd98::/64 via fd09::2");
    }
    void watch(const std::vector<std::pair<const char*, const char*>>& backends) {
        std::vector<Target> targets;
        for (const auto& [key, backend] : backends) {
            Target each = target(CheckType::icmp, "10.9.0.2");  // Passes, whoever is suspected.
            config::Check check = *each.check;
            check.interval = 1h;
            each.check = std::make_shared<const config::Check>(check);
            each.key = key;
            each.backend_address = *IpAddress::parse(backend);
            targets.push_back(each);
        }
        watcher_->checker().set(targets);
    }
    bool hears(const std::string& key) {
        return watcher_->wait_until([&](const auto& all) {
            return std::ranges::any_of(all, [&](const Outcome& each) { return each.key == key; });
        });
    }
};

TEST_F(suspicions, an_error_about_a_tunnel_makes_the_backends_checks_be_made_at_once) {
    struct Row {
        const char* key;
        const char* backend;
        int protocol;
    };
    // 198.51.100.0/24 and fd98::/64: a router that knows no way; .0.2 and ::2: a host where nobody
    // takes tunnels.
    static constexpr Row kRows[] = {
        {"ipip, no route", "198.51.100.1", 4}, {"6in4, no route", "198.51.100.2", 41},
        {"gre, no route", "198.51.100.3", 47}, {"gue, no route", "198.51.100.4", IPPROTO_UDP},
        {"4in6, no route", "fd98::1", 4},      {"6in6, no route", "fd98::2", 41},
        {"gre6, no route", "fd98::3", 47},     {"gue6, no route", "fd98::4", IPPROTO_UDP},
    };
    std::vector<std::pair<const char*, const char*>> backends;
    for (const Row& row : kRows) backends.emplace_back(row.key, row.backend);
    backends.emplace_back("somebody else", "198.51.100.99");
    watch(backends);
    ASSERT_TRUE(watcher_->checker().hear_errors(6080));
    for (const Row& row : kRows) {
        send_outer(row.backend, row.protocol);
        EXPECT_TRUE(hears(row.key)) << row.key;
    }
    EXPECT_EQ(watcher_->outcomes().size(), std::size(kRows));
    EXPECT_EQ(watcher_->checker().figures().errors.told, std::size(kRows));
}

TEST_F(suspicions, a_host_that_takes_no_tunnels_is_suspicious) {
    watch({{"four", "10.9.0.2"}, {"six", "fd09::2"}});
    ASSERT_TRUE(watcher_->checker().hear_errors(6080));
    send_outer("10.9.0.2", 4);  // Protocol unreachable.
    EXPECT_TRUE(hears("four"));
    send_outer("fd09::2", 4);  // Unknown next header.
    EXPECT_TRUE(hears("six"));
}

TEST_F(suspicions, other_errors_raise_none) {
    watch({{"four", "10.9.0.2"}, {"far", "198.51.100.1"}});
    ASSERT_TRUE(watcher_->checker().hear_errors(7080));
    send_outer("198.51.100.1", IPPROTO_UDP);
    send_outer("10.9.0.2", IPPROTO_UDP, 53);
    send_outer("198.51.100.7", 4);
    send_outer("10.9.0.2", IPPROTO_UDP, 7080);
    EXPECT_TRUE(hears("four"));
    EXPECT_EQ(watcher_->outcomes().size(), 1u);
    const IcmpErrors::Counts heard = watcher_->checker().figures().errors;
    EXPECT_EQ(heard, (IcmpErrors::Counts{.told = 2, .other = 2}));
    // Another port from now on.
    ASSERT_TRUE(watcher_->checker().hear_errors(6080));
    send_outer("198.51.100.1", IPPROTO_UDP);
    EXPECT_TRUE(hears("far"));
}

TEST_F(suspicions, who_is_known_to_be_down_is_not_asked_more_often) {
    Target down = target(CheckType::tcp, "10.9.0.2");  // Refused.
    config::Check check = *down.check;
    check.interval = 3s;
    check.jitter = 0;
    check.fall = 2;
    down.check = std::make_shared<const config::Check>(check);
    down.backend_address = *IpAddress::parse("198.51.100.1");
    ASSERT_TRUE(watcher_->checker().hear_errors(6080));
    watcher_->checker().set({down});
    watcher_->checker().check_now(down.key);
    const auto has = [&](std::size_t count) {
        return watcher_->wait_until([&](const auto& all) { return all.size() >= count; });
    };
    ASSERT_TRUE(has(1));
    send_outer("198.51.100.1", 4);
    ASSERT_TRUE(has(2));
    const auto second = watcher_->outcomes()[1].at;
    EXPECT_LT(second - watcher_->outcomes()[0].at, 2700ms) << "a tenth of the interval after it";
    // It has failed often enough: the next one comes in its own time.
    send_outer("198.51.100.1", 4);
    ASSERT_TRUE(has(3));
    EXPECT_GE(watcher_->checker().figures().errors.told, 2u);
    EXPECT_GT(watcher_->outcomes()[2].at - second, 2s);
}

TEST_F(suspicions, a_flood_of_errors_is_bounded) {
    auto reactor = Reactor::open();
    ASSERT_TRUE(reactor);
    std::uint64_t calls = 0;
    const auto errors = IcmpErrors::open(**reactor, 6080, [&](const IpAddress&) { ++calls; }, 3);
    ASSERT_TRUE(errors) << errors.error().what;
    const auto begun = Reactor::Clock::now();
    const auto heard = [&] { return (*errors)->counts().told + (*errors)->counts().beyond_rate; };
    constexpr std::uint64_t kSent = 40;  // The kernel makes 50 at once.
    for (std::uint64_t i = 0; i < kSent; ++i) send_outer("10.9.0.2", 4);
    while (heard() < kSent && Reactor::Clock::now() - begun < 10s) (*reactor)->run_once(100ms);
    const auto seconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(Reactor::Clock::now() - begun).count());
    EXPECT_EQ(heard(), kSent);
    EXPECT_EQ(calls, (*errors)->counts().told);
    EXPECT_GE(calls, 3u);
    EXPECT_LE(calls, (seconds + 1) * 3);
}

}  // namespace
}  // namespace sluice::health

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string refused = sluice::test::namespaces_refused();
    if (!refused.empty()) {
        std::fprintf(stderr, "skipped: %s\n", refused.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
