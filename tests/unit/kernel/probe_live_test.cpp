// SPDX-License-Identifier: Apache-2.0
//
// Probes over veth to a backend's host that has the VIP, in every way to forward: the route to the
// VIP leads elsewhere, so that a connection stands only by the header of the backend's template.
//
//     node:  n0 10.9.0.1 -------- h0 10.9.0.2  host: VIPs on lo, agent on h0, a server
//            n1 10.8.0.1 -- (nobody), default route
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "health/socket.h"
#include "kernel/agent.h"
#include "kernel/probe_path.h"
#include "plan/header_template.h"
#include "tests/packet/dissect.h"
#include "tests/packet/harness.h"
#include "tests/unit/kernel/namespaces.h"

namespace sluice::kernel {
namespace {

using packet::Bytes;

constexpr std::uint32_t kMember = 7;
constexpr std::uint16_t kPort = 8080;
constexpr std::chrono::seconds kDeadline{20};

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

bool wait_for(int fd, short events, std::chrono::milliseconds time = kDeadline) {
    pollfd entry{fd, events, 0};
    return ::poll(&entry, 1, static_cast<int>(time.count())) == 1;
}

/// Sees what arrives on an interface, VLAN tags put back to where they were.
class Tap {
 public:
    Tap(const test::Namespace& where, const test::Namespace& back, const char* interface) {
        where.enter();
        fd_ = UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(::if_nametoindex(interface));
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        const int one = 1;
        EXPECT_EQ(::setsockopt(fd_.get(), SOL_PACKET, PACKET_AUXDATA, &one, sizeof one), 0);
        back.enter();
    }
    /// The next one that begins with these bytes and came from outside.
    Bytes next(const Bytes& lead) {
        while (wait_for(fd_.get(), POLLIN)) {
            Bytes frame = read();
            if (frame.size() >= lead.size() && std::equal(lead.begin(), lead.end(), frame.begin()))
                return frame;
        }
        return {};
    }

 private:
    Bytes read() {
        Bytes frame(65536);
        alignas(cmsghdr) char control[256];
        sockaddr_ll from{};
        iovec part{frame.data(), frame.size()};
        msghdr message{};
        message.msg_name = &from;
        message.msg_namelen = sizeof from;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const ssize_t got = ::recvmsg(fd_.get(), &message, 0);
        if (got <= 0 || from.sll_pkttype == PACKET_OUTGOING) return {};
        frame.resize(static_cast<std::size_t>(got));
        for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
             each = CMSG_NXTHDR(&message, each)) {
            if (each->cmsg_level != SOL_PACKET || each->cmsg_type != PACKET_AUXDATA) continue;
            tpacket_auxdata data;
            std::memcpy(&data, CMSG_DATA(each), sizeof data);
            if ((data.tp_status & TP_STATUS_VLAN_VALID) == 0) continue;
            const std::uint16_t words[] = {htons(data.tp_vlan_tpid), htons(data.tp_vlan_tci)};
            const auto* tag = reinterpret_cast<const std::uint8_t*>(words);
            frame.insert(frame.begin() + 12, tag, tag + sizeof words);
        }
        return frame;
    }
    UniqueFd fd_;
};

struct Way {
    config::Forward forward;
    bool vip6;
    bool out6;
    const char* name;
};

constexpr Way kWays[] = {
    {config::Forward::ipip, false, false, "ipip_4in4"},
    {config::Forward::ipip, true, false, "ipip_6in4"},
    {config::Forward::ipip, false, true, "ipip_4in6"},
    {config::Forward::ipip, true, true, "ipip_6in6"},
    {config::Forward::gre, false, false, "gre_4in4"},
    {config::Forward::gre, true, false, "gre_6in4"},
    {config::Forward::gre, false, true, "gre_4in6"},
    {config::Forward::gre, true, true, "gre_6in6"},
    {config::Forward::gue, false, false, "gue_4in4"},
    {config::Forward::gue, true, false, "gue_6in4"},
    {config::Forward::gue, false, true, "gue_4in6"},
    {config::Forward::gue, true, true, "gue_6in6"},
    {config::Forward::l2, false, false, "l2_4"},
    {config::Forward::l2, true, true, "l2_6"},
};

class ProbeLive : public testing::TestWithParam<Way> {
 protected:
    void SetUp() override {
        lay_cables();
        node_.enter();
        auto opened = ProbePath::open(8, packet::instruction_set());
        ASSERT_TRUE(opened) << opened.error().what;
        path_ = std::move(*opened);
    }
    void TearDown() override { node_.enter(); }

    void lay_cables() {
        node_.run("ip link add n0 type veth peer name h0 netns " + host_.path());
        node_.run("ip link add n1 type veth peer name n1-peer");
        for (const char* link : {"n0", "n1", "n1-peer"}) {
            node_.run(std::string("ip link set ") + link + " mtu 1600 up");
            node_.sysctl(std::string("ipv4.conf.") + link + ".rp_filter", "0");
        }
        node_.sysctl("ipv4.conf.all.rp_filter", "0");
        host_.run("ip link set h0 mtu 1600 up");
        host_.sysctl("ipv4.conf.all.rp_filter", "0");
        host_.sysctl("ipv4.conf.h0.rp_filter", "0");
        host_.sysctl("ipv4.conf.all.arp_announce", "2");  // Else it asks in the VIP's name.
        node_.run("ip addr add 10.9.0.1/24 dev n0 && ip addr add fd09::1/64 dev n0");
        node_.run("ip addr add 10.8.0.1/24 dev n1 && ip addr add fd08::1/64 dev n1");
        host_.run("ip addr add 10.9.0.2/24 dev h0 && ip addr add fd09::2/64 dev h0");
        host_.run("ip addr add 192.0.2.10/32 dev lo && ip addr add 2001:db8::10/128 dev lo");
        host_.run("ip route add 10.8.0.0/24 via 10.9.0.1");
        host_.run("ip route add fd08::/64 via fd09::1");
        for (const char* gateway : {"10.8.0.254", "fd08::fe"}) {
            node_.run(fmt::format("ip neigh add {} lladdr 02:00:00:00:00:fe dev n1", gateway));
            // Requests that fit the inner link, whatever comes in front.
            node_.run(fmt::format("ip route add default via {} mtu 1500", gateway));
        }
    }

    static MacAddress mac(const test::Namespace& where, const char* interface) {
        const std::string text = where.output(std::string("ip -o link show ") + interface);
        const std::size_t at = text.find("link/ether ");
        if (at == std::string::npos) {
            ADD_FAILURE() << interface << ": " << text;
            return {};
        }
        return *MacAddress::parse(text.substr(at + 11, 17));
    }

    [[nodiscard]] slc_template header(const Way& way, std::vector<plan::VlanTag> vlans = {}) const {
        plan::NextHop hop;
        hop.state = plan::HopState::resolved;
        hop.ifindex = ::if_nametoindex("n0");
        hop.interface = "n0";
        hop.vlans = std::move(vlans);
        hop.source = mac(node_, "n0");
        hop.destination = mac(host_, "h0");
        hop.mtu = 1600;
        hop.preferred_source = way.out6 ? ip("fd09::1") : ip("10.9.0.1");
        auto made = plan::build_template(way.forward, way.vip6,
                                         way.out6 ? ip("fd09::2") : ip("10.9.0.2"), hop, {});
        EXPECT_TRUE(made) << made.error().what;
        return *made;
    }

    static IpAddress vip(const Way& way) {
        return way.vip6 ? ip("2001:db8::10") : ip("192.0.2.10");
    }

    [[nodiscard]] Agent agent() const {
        host_.enter();
        AgentOptions options;
        options.interfaces = {"h0"};
        options.vips = {*IpPrefix::parse("192.0.2.10"), *IpPrefix::parse("2001:db8::10")};
        options.from = {*IpPrefix::parse("10.9.0.1"), *IpPrefix::parse("fd09::1")};
        auto opened = Agent::open(options);
        node_.enter();
        if (!opened) {
            ADD_FAILURE() << opened.error().what;
            std::abort();
        }
        return std::move(*opened);
    }

    [[nodiscard]] UniqueFd listener(const Way& way) const {
        host_.enter();
        UniqueFd out(::socket(way.vip6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const health::SocketAddress address(vip(way), kPort);
        EXPECT_EQ(::bind(out.get(), &address.any, address.len), 0) << std::strerror(errno);
        EXPECT_EQ(::listen(out.get(), 8), 0);
        node_.enter();
        return out;
    }

    static UniqueFd marked_socket(const Way& way, int type) {
        UniqueFd out(
            ::socket(way.vip6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const std::uint32_t mark = ProbePath::mark_of(kMember);
        EXPECT_EQ(::setsockopt(out.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
        return out;
    }

    /// Sends `size` bytes one way; false when they do not all arrive in time.
    static bool carry(int from, int to, std::size_t size) {
        const Bytes sent(size, 0x5a);
        if (::send(from, sent.data(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size))
            return false;
        Bytes got(size);
        for (std::size_t have = 0; have < size;) {
            if (!wait_for(to, POLLIN)) return false;
            const ssize_t more = ::recv(to, got.data() + have, size - have, 0);
            if (more <= 0) return false;
            have += static_cast<std::size_t>(more);
        }
        return got == sent;
    }

    /// Whether a connection stands, and carries a request of several segments and an answer.
    static bool converse(const Way& way, int listener, int probe,
                         std::chrono::milliseconds time = kDeadline) {
        const health::SocketAddress to(vip(way), kPort);
        if (::connect(probe, &to.any, to.len) != 0 && errno != EINPROGRESS) return false;
        if (!wait_for(listener, POLLIN, time)) return false;
        const UniqueFd server(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
        return server.valid() && wait_for(probe, POLLOUT) && carry(probe, server.get(), 300) &&
               carry(server.get(), probe, 20'000) && carry(probe, server.get(), 12'000);
    }

    test::Namespace node_ = test::Namespace::create();
    test::Namespace host_ = test::Namespace::create();
    std::unique_ptr<ProbePath> path_;
};

/// As conversations between hosts are: sums complete where a wire would begin.
TEST_P(ProbeLive, a_connection_stands_through_the_header_alone) {
    const Way& way = GetParam();
    const bool is_tunnel = way.forward != config::Forward::l2;
    node_.run("ethtool -K n0 tx off >/dev/null && ethtool -K n1 tx off >/dev/null");
    ASSERT_TRUE(path_->set(kMember, header(way)));
    ASSERT_TRUE(path_->follow(*probe_interfaces({vip(way)})));
    Tap tap(host_, node_, "h0");
    const slc_template tmpl = header(way);
    const Bytes lead(tmpl.hdr, tmpl.hdr + tmpl.l2_len);
    {
        // No agent and no server: the first packet, as it is on the wire.
        const UniqueFd probe = marked_socket(way, SOCK_STREAM);
        const health::SocketAddress to(vip(way), kPort);
        EXPECT_NE(::connect(probe.get(), &to.any, to.len), 0);
        const Bytes frame = tap.next(lead);
        EXPECT_EQ(packet::judge(frame, is_tunnel), std::nullopt);
        const auto inner = is_tunnel ? packet::inner_of(frame) : packet::ip_of(frame);
        ASSERT_TRUE(inner);
        EXPECT_TRUE(packet::sums_right(*inner)) << packet::hexdump(frame);
    }
    const Agent decapsulating = agent();
    const UniqueFd server = listener(way);
    const UniqueFd probe = marked_socket(way, SOCK_STREAM);
    EXPECT_TRUE(converse(way, server.get(), probe.get()));
    EXPECT_GT(path_->counts().sent, 8u);
    EXPECT_EQ(path_->counts().no_target + path_->counts().not_ip + path_->counts().no_room, 0u);
}

/// The same where the link takes packets whose sums are not made yet, and packets to be cut later.
TEST_P(ProbeLive, a_connection_stands_with_offloads) {
    const Way& way = GetParam();
    ASSERT_TRUE(path_->set(kMember, header(way)));
    ASSERT_TRUE(path_->follow(*probe_interfaces({vip(way)})));
    const Agent decapsulating = agent();
    const UniqueFd server = listener(way);
    const UniqueFd probe = marked_socket(way, SOCK_STREAM);
    EXPECT_TRUE(converse(way, server.get(), probe.get()));
}

/// As with VIPs that are announced from this node's own addresses: probes leave by lo.
TEST_P(ProbeLive, a_connection_stands_to_a_vip_that_the_node_has_itself) {
    const Way& way = GetParam();
    node_.run("ip addr add 192.0.2.10/32 dev lo && ip addr add 2001:db8::10/128 dev lo");
    node_.sysctl("ipv4.conf.n0.accept_local", "1");
    ASSERT_TRUE(path_->set(kMember, header(way)));
    ASSERT_EQ(*probe_interfaces({vip(way)}), std::set<std::string>{"lo"});
    ASSERT_TRUE(path_->follow({"lo"}));
    const Agent decapsulating = agent();
    const UniqueFd server = listener(way);
    const UniqueFd probe = marked_socket(way, SOCK_STREAM);
    const health::SocketAddress source(way.vip6 ? ip("fd09::1") : ip("10.9.0.1"), 0);
    ASSERT_EQ(::bind(probe.get(), &source.any, source.len), 0);
    EXPECT_TRUE(converse(way, server.get(), probe.get()));
}

TEST_P(ProbeLive, tags_are_those_of_the_template) {
    const Way& way = GetParam();
    const bool is_tunnel = way.forward != config::Forward::l2;
    ASSERT_TRUE(path_->follow(*probe_interfaces({vip(way)})));
    Tap tap(host_, node_, "h0");
    const std::vector<std::vector<plan::VlanTag>> links = {
        {{.id = 100, .protocol = 0x8100}},
        {{.id = 200, .protocol = 0x88a8}, {.id = 300, .protocol = 0x8100}}};
    for (const bool offloads : {true, false})
        for (const auto& vlans : links) {
            SCOPED_TRACE(
                fmt::format("{} tags, {} offloads", vlans.size(), offloads ? "with" : "no"));
            node_.run(
                fmt::format("ethtool -K n0 tx {0} txvlan {0} tx-vlan-stag-hw-insert {0} "
                            ">/dev/null",
                            offloads ? "on" : "off"));
            const slc_template tmpl = header(way, vlans);
            ASSERT_TRUE(path_->set(kMember, tmpl));
            const UniqueFd probe = marked_socket(way, SOCK_DGRAM);
            const health::SocketAddress to(vip(way), kPort);
            ASSERT_EQ(::sendto(probe.get(), "ping", 4, 0, &to.any, to.len), 4)
                << std::strerror(errno);
            const Bytes frame = tap.next(Bytes(tmpl.hdr, tmpl.hdr + tmpl.l2_len));
            ASSERT_FALSE(frame.empty());
            EXPECT_EQ(packet::head_of(frame).l3, tmpl.l2_len);
            // With offloads the sum inside is still to be made, which the outer one counts on.
            if (!offloads) {
                EXPECT_EQ(packet::judge(frame, is_tunnel), std::nullopt);
            }
        }
}

INSTANTIATE_TEST_SUITE_P(Ways, ProbeLive, testing::ValuesIn(kWays),
                         [](const auto& each) { return std::string(each.param.name); });

class ProbeAnswers : public ProbeLive {};

/// What `sluice doctor` warns of: answers come by another interface than the route to the VIP.
TEST_P(ProbeAnswers, answers_by_another_interface_than_the_route_need_loose_filters) {
    const Way& way = GetParam();
    ASSERT_TRUE(path_->set(kMember, header(way)));
    ASSERT_TRUE(path_->follow(*probe_interfaces({vip(way)})));
    const Agent decapsulating = agent();
    const UniqueFd server = listener(way);
    const health::SocketAddress to(vip(way), kPort);
    node_.sysctl("ipv4.conf.all.rp_filter", "1");
    Tap tap(node_, node_, "n0");
    const UniqueFd strict = marked_socket(way, SOCK_STREAM);
    EXPECT_NE(::connect(strict.get(), &to.any, to.len), 0);
    const slc_template tmpl = header(way);
    Bytes answer(tmpl.hdr + 6, tmpl.hdr + 12);
    answer.insert(answer.end(), tmpl.hdr, tmpl.hdr + 6);
    answer.insert(answer.end(), {0x08, 0x00});
    // When it is said again, the first one has been dropped.
    for (int i = 0; i < 2; ++i) EXPECT_FALSE(tap.next(answer).empty());
    EXPECT_FALSE(wait_for(strict.get(), POLLOUT, std::chrono::milliseconds(0)));
    node_.sysctl("ipv4.conf.all.rp_filter", "2");
    EXPECT_TRUE(wait_for(strict.get(), POLLOUT)) << "the handshake is sent again";
}

INSTANTIATE_TEST_SUITE_P(Ways, ProbeAnswers, testing::Values(kWays[0]),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace sluice::kernel
