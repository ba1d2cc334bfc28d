// SPDX-License-Identifier: Apache-2.0
//
// The program at TC egress in the kernel's test run, beside the balancer's: a probe that goes to a
// backend bears the very bytes that a client's packet would, but for what spreads flows (outer
// source, flow label, source port), which is that of a hash of zero.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>

#include <cstdio>

#include "kernel/probe_path.h"
#include "tests/packet/dissect.h"
#include "tests/packet/harness.h"
#include "tests/unit/kernel/namespaces.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "forward.yaml";
constexpr std::uint32_t kMembers = 64;

struct TcRun {
    int action = TC_ACT_SHOT;
    std::uint32_t mark = 0;
    Bytes frame;
};

TcRun run_tc(int fd, const Bytes& frame, std::uint32_t mark) {
    std::vector<std::uint8_t> out(65536);
    __sk_buff in{};
    in.mark = mark;
    __sk_buff left{};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = out.data(),
                .data_size_in = static_cast<__u32>(frame.size()),
                .data_size_out = static_cast<__u32>(out.size()), .ctx_in = &in, .ctx_out = &left,
                .ctx_size_in = sizeof in, .ctx_size_out = sizeof left, .repeat = 1);
    EXPECT_EQ(::bpf_prog_test_run_opts(fd, &options), 0) << frame.size() << " bytes";
    return {static_cast<int>(options.retval), left.mark,
            Bytes(out.begin(), out.begin() + options.data_size_out)};
}

class ProbeBytes : public testing::Test {
 protected:
    void SetUp() override {
        auto opened = kernel::ProbePath::open(kMembers, instruction_set());
        ASSERT_TRUE(opened) << opened.error().what;
        path_ = std::move(*opened);
    }
    /// The template that the data plane has for packets to `backend`.
    static const slc_template* header(const char* backend, config::Forward forward, bool inner6) {
        Bench& bench = bench_for(kConfig);
        const auto variant = SLC_VARIANT(static_cast<std::uint32_t>(forward), inner6 ? 1u : 0u);
        for (const plan::ImageMember& member : bench.image().members) {
            if (member.address != Ip(backend)) continue;
            const slc_template* found = bench.generation().header(member.id, variant);
            if (found != nullptr) return found;
        }
        return nullptr;
    }
    TcRun run(const Bytes& frame, std::uint32_t mark) {
        return run_tc(path_->program_fd(), frame, mark);
    }

    std::unique_ptr<kernel::ProbePath> path_;
};

struct Mode {
    const char* name;
    config::Forward forward;
    std::uint16_t port;  ///< Of the service with a backend of IPv4; one of IPv6: two more.
};

constexpr Mode kModes[] = {{"ipip", config::Forward::ipip, 1014},
                           {"gre", config::Forward::gre, 1024},
                           {"gue", config::Forward::gue, 1034},
                           {"l2", config::Forward::l2, 1040}};

Packet in_front(const Mode& mode, const char* backend) {
    switch (mode.forward) {
        case config::Forward::gue:
            return outer_gue(backend);
        case config::Forward::gre:
            return outer(backend) / gre();
        case config::Forward::l2:
            return link_to(backend);
        default:
            return outer(backend);
    }
}

std::vector<std::pair<std::string, Packet>> transports(std::uint16_t port) {
    return {{"syn", tcp({.dport = port, .options = {2, 4, 5, 0xb4, 1, 3, 3, 7}})},
            {"tcp_data", tcp({.dport = port, .ack = 9, .flags = kAck | kPsh}) / payload(333)},
            {"tcp_long", tcp({.dport = port, .flags = kAck}) / payload(1460)},
            {"udp_even", udp({.dport = port}) / payload(100)},
            {"udp_odd", udp({.dport = port}) / payload(1)},
            {"udp_empty", udp({.dport = port})}};
}

/// One row: the same packet by both programs.
struct Row {
    std::string name;
    const Mode* mode;
    const char* backend;
    bool vip6;
    Packet ip;
};

std::vector<Row> rows() {
    std::vector<Row> out;
    for (const Mode& mode : kModes)
        for (const bool vip6 : {false, true})
            for (const bool out6 : {false, true}) {
                const bool is_l2 = mode.forward == config::Forward::l2;
                if (is_l2 && out6 != vip6) continue;  // No service of the configuration.
                const auto port = static_cast<std::uint16_t>(mode.port + (out6 && !is_l2 ? 2 : 0));
                for (const auto& [what, transport] : transports(port))
                    out.push_back(
                        {fmt::format("{}_{}in{}_{}", mode.name, vip6 ? 6 : 4, out6 ? 6 : 4, what),
                         &mode, out6 ? "fd00::5" : "10.0.0.5", vip6,
                         (vip6 ? ip6({.flow = 0xabcde}) : ip4({.df = true})) / transport});
            }
    return out;
}

TEST_F(ProbeBytes, a_probe_bears_the_bytes_of_a_clients_packet) {
    Bench& bench = bench_for(kConfig);
    constexpr std::uint32_t kMember = 7;
    std::uint64_t sent = 0;
    for (const Row& row : rows()) {
        SCOPED_TRACE(row.name);
        const Bytes frame = (eth() / row.ip).bytes();
        const Packet want = in_front(*row.mode, row.backend) / row.ip;
        const auto hash = bench.hash_of(*flow_of(eth() / row.ip), config::Affinity::five_tuple);
        const Outcome client = bench.run(frame);
        ASSERT_EQ(client.run.verdict, Verdict::tx);
        ASSERT_EQ(diff(want.bytes(hash), client.run.frame), "") << "what clients' packets bear";

        const slc_template* tmpl = header(row.backend, row.mode->forward, row.vip6);
        ASSERT_NE(tmpl, nullptr);
        ASSERT_TRUE(path_->set(kMember, *tmpl));
        const TcRun probe = run(frame, kernel::ProbePath::mark_of(kMember));
        EXPECT_EQ(probe.action, TC_ACT_REDIRECT);
        EXPECT_EQ(probe.mark, 0u);
        EXPECT_EQ(diff(want.bytes(0), probe.frame), "");
        EXPECT_EQ(path_->counts(), (kernel::ProbeCounts{.sent = ++sent}));
    }
    EXPECT_EQ(sent, 84u) << "three tunnels in four combinations, l2 in two, six packets each";
}

/// No service of the packet tests has ICMP; a probe by ping is judged alone.
TEST_F(ProbeBytes, a_ping_is_encapsulated_with_right_sums) {
    constexpr std::uint32_t kMember = 7;
    for (const Mode& mode : kModes)
        for (const bool vip6 : {false, true})
            for (const char* backend : {"10.0.0.5", "fd00::5"}) {
                const bool is_l2 = mode.forward == config::Forward::l2;
                if (is_l2 && Ip(backend).is_ip6 != vip6) continue;
                SCOPED_TRACE(fmt::format("{} to {} vip{}", mode.name, backend, vip6 ? 6 : 4));
                const slc_template* tmpl = header(backend, mode.forward, vip6);
                ASSERT_NE(tmpl, nullptr);
                ASSERT_TRUE(path_->set(kMember, *tmpl));
                const Packet ip =
                    vip6 ? ip6() / echo6() / payload(57) : ip4() / echo4() / payload(57);
                const TcRun got = run((eth() / ip).bytes(), kernel::ProbePath::mark_of(kMember));
                EXPECT_EQ(diff((in_front(mode, backend) / ip).bytes(0), got.frame), "");
                EXPECT_EQ(judge(got.frame, !is_l2), std::nullopt);
            }
}

/// The checksum of the transport may still be that of the pseudo header alone (CHECKSUM_PARTIAL):
/// the outer one counts on what it is going to be.
TEST_F(ProbeBytes, a_checksum_to_be_completed_does_not_matter_to_the_outer_one) {
    constexpr std::uint32_t kMember = 7;
    ASSERT_TRUE(path_->set(kMember, *header("fd00::5", config::Forward::gue, true)));
    const auto mark = kernel::ProbePath::mark_of(kMember);
    const Packet done = ip6() / tcp() / payload(99);
    const Packet partial = ip6() / tcp({.checksum = 0x1234}) / payload(99);
    const Bytes want = run((eth() / done).bytes(), mark).frame;
    Bytes got = run((eth() / partial).bytes(), mark).frame;
    ASSERT_EQ(got.size(), want.size());
    const std::size_t at = 14 + 40 + 12 + 40 + 16;  // Ethernet, IPv6, UDP and GUE, IPv6
    got[at] = want[at];
    got[at + 1] = want[at + 1];
    EXPECT_EQ(diff(want, got), "");
    EXPECT_EQ(judge(got, true), std::nullopt);
}

TEST_F(ProbeBytes, packets_without_a_mark_of_ours_go_on_untouched) {
    ASSERT_TRUE(path_->set(7, *header("10.0.0.5", config::Forward::ipip, false)));
    const Bytes frame = (eth() / ip4() / tcp()).bytes();
    for (const std::uint32_t mark : {0u, 7u, 0x51100007u, 0x50000007u, 0xd1000007u}) {
        SCOPED_TRACE(mark);
        const TcRun got = run(frame, mark);
        EXPECT_EQ(got.action, TC_ACT_UNSPEC);
        EXPECT_EQ(got.mark, mark);
        EXPECT_EQ(diff(frame, got.frame), "");
    }
    EXPECT_EQ(path_->counts(), kernel::ProbeCounts{});
}

TEST_F(ProbeBytes, a_probe_without_a_target_is_dropped_and_counted) {
    const slc_template& tmpl = *header("10.0.0.5", config::Forward::ipip, false);
    const Bytes frame = (eth() / ip4() / tcp()).bytes();
    const auto action = [&](std::uint32_t member) {
        return run(frame, kernel::ProbePath::mark_of(member)).action;
    };
    EXPECT_EQ(action(7), TC_ACT_SHOT);
    for (const std::uint32_t member : {7u, 8u, 9u}) ASSERT_TRUE(path_->set(member, tmpl));
    EXPECT_EQ(action(7), TC_ACT_REDIRECT);
    path_->erase(7);
    path_->erase(7);
    EXPECT_EQ(action(7), TC_ACT_SHOT);
    path_->keep_only({9, 10});
    EXPECT_EQ(action(8), TC_ACT_SHOT);
    EXPECT_EQ(action(9), TC_ACT_REDIRECT);
    EXPECT_EQ(path_->counts(), (kernel::ProbeCounts{.sent = 2, .no_target = 3}));
}

TEST_F(ProbeBytes, what_is_not_ip_is_dropped_and_counted) {
    ASSERT_TRUE(path_->set(7, *header("10.0.0.5", config::Forward::ipip, false)));
    const Bytes arp = (eth({.type = 0x0806}) / payload(46)).bytes();
    EXPECT_EQ(run(arp, kernel::ProbePath::mark_of(7)).action, TC_ACT_SHOT);
    EXPECT_EQ(path_->counts(), (kernel::ProbeCounts{.not_ip = 1}));
}

TEST_F(ProbeBytes, there_is_room_for_as_many_members_as_were_asked_for) {
    const slc_template& tmpl = *header("10.0.0.5", config::Forward::ipip, false);
    for (std::uint32_t member = 0; member < kMembers; ++member)
        ASSERT_TRUE(path_->set(member, tmpl)) << member;
    ASSERT_TRUE(path_->set(0, tmpl)) << "it has an entry";
    const auto refused = path_->set(kMembers, tmpl);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::limit);
    path_->keep_only({});
    EXPECT_TRUE(path_->set(kMembers, tmpl));
}

}  // namespace
}  // namespace sluice::packet

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    std::string why = sluice::packet::missing_privilege();
    if (why.empty()) why = sluice::test::namespaces_refused();
    if (!why.empty()) {
        std::printf("skipped: unit_probe_path: %s\n", why.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
