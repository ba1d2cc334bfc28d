// SPDX-License-Identifier: Apache-2.0
//
// Where the program for probes is attached, beside other people's filters, and what routes say.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>

#include "kernel/probe_path.h"
#include "tests/packet/harness.h"
#include "tests/unit/kernel/namespaces.h"

namespace sluice::kernel {
namespace {

using Names = std::set<std::string>;

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

/// A filter of somebody else, whose program does nothing.
void attach_other(const char* link, bpf_tc_attach_point point, std::uint32_t priority,
                  std::uint32_t handle) {
    bpf_insn program[2]{};
    program[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    program[0].imm = TC_ACT_UNSPEC;
    program[1].code = BPF_JMP | BPF_EXIT;
    const UniqueFd fd(
        ::bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", program, 2, nullptr));
    ASSERT_TRUE(fd.valid());
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(::if_nametoindex(link)),
                .attach_point = point);
    LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = fd.get(), .handle = handle, .priority = priority);
    ASSERT_EQ(::bpf_tc_attach(&hook, &options), 0);
}

class ProbeFilter : public testing::Test {
 protected:
    void SetUp() override {
        here_.run("ip link add v0 type veth peer name v0-peer");
        here_.run("ip link add v1 type veth peer name v1-peer");
        for (const char* link : {"v0", "v0-peer", "v1", "v1-peer"})
            here_.run(std::string("ip link set up ") + link);
        here_.enter();
        path_ = open();
    }
    static std::unique_ptr<ProbePath> open() {
        auto opened = ProbePath::open(8, packet::instruction_set());
        EXPECT_TRUE(opened) << opened.error().what;
        return opened ? std::move(*opened) : nullptr;
    }
    [[nodiscard]] bool has_clsact(const std::string& link) const {
        return here_.output("tc qdisc show dev " + link).find("clsact") != std::string::npos;
    }
    [[nodiscard]] std::string egress(const std::string& link) const {
        return here_.output("tc filter show dev " + link + " egress");
    }
    /// Filters of ours at the egress.
    [[nodiscard]] int own(const std::string& link) const {
        const std::string text = egress(link);
        int count = 0;
        for (std::size_t at = text.find("slc_probe:["); at != std::string::npos;
             at = text.find("slc_probe:[", at + 1))
            ++count;
        return count;
    }

    test::Namespace here_ = test::Namespace::create();
    std::unique_ptr<ProbePath> path_;
};

TEST_F(ProbeFilter, follows_the_interfaces_that_are_asked_for) {
    ASSERT_TRUE(path_->follow({"v0", "lo"}));
    EXPECT_EQ(own("v0"), 1);
    EXPECT_EQ(own("lo"), 1);
    EXPECT_FALSE(has_clsact("v1"));
    ASSERT_TRUE(path_->follow({"v0", "lo"})) << "again";
    EXPECT_EQ(own("v0"), 1);
    ASSERT_TRUE(path_->follow({"v1"}));
    EXPECT_FALSE(has_clsact("v0"));
    EXPECT_FALSE(has_clsact("lo"));
    EXPECT_EQ(own("v1"), 1);
    path_.reset();
    EXPECT_FALSE(has_clsact("v1"));
}

TEST_F(ProbeFilter, filters_and_qdiscs_of_others_stay) {
    here_.run("tc qdisc add dev v0 clsact");
    attach_other("v0", BPF_TC_EGRESS, 7, 1);
    attach_other("v0", BPF_TC_EGRESS, 1, 1);
    ASSERT_TRUE(path_->follow({"v0", "v1"}));
    EXPECT_EQ(own("v0"), 1);
    attach_other("v1", BPF_TC_INGRESS, 7, 1);
    path_.reset();
    EXPECT_EQ(own("v0"), 0);
    EXPECT_EQ(own("v1"), 0);
    EXPECT_NE(egress("v0").find("pref 7 bpf chain 0 handle 0x1 other:["), std::string::npos);
    EXPECT_NE(egress("v0").find("pref 1 bpf chain 0 handle 0x1 other:["), std::string::npos);
    EXPECT_TRUE(has_clsact("v0")) << "was there";
    EXPECT_TRUE(has_clsact("v1")) << "somebody else uses it by now";
}

TEST_F(ProbeFilter, an_empty_clsact_of_somebody_else_stays) {
    here_.run("tc qdisc add dev v0 clsact");
    ASSERT_TRUE(path_->follow({"v0"}));
    path_.reset();
    EXPECT_TRUE(has_clsact("v0"));
    EXPECT_EQ(egress("v0"), "");
}

TEST_F(ProbeFilter, what_a_killed_daemon_left_is_replaced) {
    const auto killed = open();
    ASSERT_TRUE(killed->follow({"v0"}));
    ASSERT_TRUE(path_->follow({"v0"}));
    EXPECT_EQ(own("v0"), 1);
    // Not killed after all: it is told, and does not remove what is not its own.
    const auto told = killed->follow({"v0"});
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().code, Errc::conflict);
    EXPECT_EQ(told.error().what, "v0: another sluiced has taken the egress for itself");
    ASSERT_TRUE(killed->follow({}));
    EXPECT_EQ(own("v0"), 1);
}

TEST_F(ProbeFilter, a_filter_of_somebody_else_in_our_place_is_a_conflict) {
    here_.run("tc qdisc add dev v0 clsact");
    attach_other("v0", BPF_TC_EGRESS, 1, TcFilter::kHandle);
    const auto refused = path_->follow({"v0", "v1"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::conflict);
    EXPECT_TRUE(refused.error().what.starts_with("probes: v0: filter other:["))
        << refused.error().what;
    EXPECT_TRUE(
        refused.error().what.ends_with("] is in the place of Sluice's (priority 1, handle 0x51)"))
        << refused.error().what;
    EXPECT_NE(egress("v0").find("handle 0x51 other:["), std::string::npos);
    EXPECT_EQ(own("v1"), 1) << "the others are attached all the same";
}

TEST_F(ProbeFilter, a_filter_that_was_removed_comes_back) {
    ASSERT_TRUE(path_->follow({"v0"}));
    here_.run("tc qdisc del dev v0 clsact");
    ASSERT_TRUE(path_->follow({"v0"}));
    EXPECT_EQ(own("v0"), 1);
}

TEST_F(ProbeFilter, an_interface_that_vanished_is_named_and_tried_again) {
    ASSERT_TRUE(path_->follow({"v0", "v1"}));
    here_.run("ip link del v0");
    const auto gone = path_->follow({"v0", "v1", "v2"});
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Errc::not_found);
    EXPECT_NE(gone.error().what.find(" v0"), std::string::npos) << gone.error().what;
    EXPECT_NE(gone.error().what.find(" v2"), std::string::npos) << gone.error().what;
    EXPECT_EQ(own("v1"), 1);
    here_.run("ip link add v0 type veth peer name v0-peer");
    ASSERT_TRUE(path_->follow({"v0", "v1"}));
    EXPECT_EQ(own("v0"), 1) << "another interface of the same name";
}

class ProbeRoutes : public ProbeFilter {
 protected:
    void SetUp() override {
        ProbeFilter::SetUp();
        here_.run("ip addr add 10.8.0.1/24 dev v0");
        here_.run("ip addr add 10.9.0.1/24 dev v1");
        here_.run("ip addr add fd08::1/64 dev v0");
        here_.run("ip addr add fd09::1/64 dev v1");
    }
    static Names interfaces(const std::vector<const char*>& vips) {
        std::vector<IpAddress> addresses;
        for (const char* vip : vips) addresses.push_back(ip(vip));
        auto found = probe_interfaces(addresses);
        EXPECT_TRUE(found) << found.error().what;
        return found ? *found : Names{};
    }
};

TEST_F(ProbeRoutes, probes_leave_by_the_route_to_the_vip) {
    here_.run("ip route add default via 10.8.0.254");
    here_.run("ip route add 203.0.113.0/24 via 10.9.0.254");
    here_.run("ip -6 route add default via fd09::fe");
    here_.run("ip addr add 192.0.2.99/32 dev v1");
    EXPECT_EQ(interfaces({"192.0.2.10"}), Names{"v0"});
    EXPECT_EQ(interfaces({"203.0.113.1"}), Names{"v1"});
    EXPECT_EQ(interfaces({"2001:db8::1"}), Names{"v1"});
    EXPECT_EQ(interfaces({"192.0.2.10", "203.0.113.1", "192.0.2.99"}), (Names{"v0", "v1", "lo"}));
    EXPECT_EQ(interfaces({}), Names{});
    const auto routes = *probe_routes({ip("192.0.2.10"), ip("2001:db8::1"), ip("192.0.2.99")});
    ASSERT_EQ(routes.size(), 3u);
    EXPECT_EQ(routes[0].source, ip("10.8.0.1"));
    EXPECT_EQ(routes[1].source, ip("fd09::1"));
    EXPECT_FALSE(routes[0].is_local);
    EXPECT_TRUE(routes[2].is_local);
    EXPECT_EQ(routes[2].source, ip("10.8.0.1")) << "not in the VIP's name";
    EXPECT_EQ(routes[2].interfaces, Names{"lo"}) << "not by the device that has the address";
}

TEST_F(ProbeRoutes, a_vip_without_a_route_has_no_interface_and_says_why) {
    here_.run("ip route add blackhole 203.0.113.0/24");
    EXPECT_EQ(interfaces({"192.0.2.10", "2001:db8::1", "203.0.113.1"}), Names{});
    const auto routes = *probe_routes({ip("192.0.2.10"), ip("2001:db8::1"), ip("203.0.113.1")});
    EXPECT_EQ(routes[0].refused, "no route to 192.0.2.10: Network is unreachable");
    EXPECT_EQ(routes[1].refused, "no route to 2001:db8::1: Network is unreachable");
    EXPECT_EQ(routes[2].refused, "no route to 203.0.113.1: Invalid argument");
}

TEST_F(ProbeRoutes, every_hop_of_a_multipath_route_counts) {
    here_.run("ip route add default nexthop via 10.8.0.254 nexthop via 10.9.0.254");
    here_.run("ip -6 route add default nexthop via fd08::fe nexthop via fd09::fe");
    EXPECT_EQ(interfaces({"192.0.2.10"}), (Names{"v0", "v1"}));
    EXPECT_EQ(interfaces({"2001:db8::1"}), (Names{"v0", "v1"}));
}

TEST_F(ProbeRoutes, rules_for_the_mark_count) {
    here_.run("ip route add default via 10.8.0.254");
    here_.run("ip rule add fwmark 0x51000000/0xfff00000 lookup 77");
    here_.run("ip route add default via 10.9.0.254 table 77");
    EXPECT_EQ(interfaces({"192.0.2.10"}), Names{"v1"});
}

}  // namespace
}  // namespace sluice::kernel
