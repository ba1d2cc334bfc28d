// SPDX-License-Identifier: Apache-2.0
//
// What needs a network of its own: icmp, marks, source addresses, and what routers say. The checker
// is in the namespace "near", what it checks in "far".
#include <gtest/gtest.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
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
