// SPDX-License-Identifier: Apache-2.0
#include "kernel/backend_setup.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/unit/kernel/namespaces.h"

namespace sluice::kernel {
namespace {

using test::Namespace;

config::AgentConfig config_of(const std::vector<std::string>& vips) {
    config::AgentConfig config;
    config.interfaces = {"up0"};
    for (const auto& vip : vips) config.vips.push_back(*IpPrefix::parse(vip));
    config.from = {*IpPrefix::parse("10.255.0.0/24")};
    return config;
}

std::vector<std::string> commands(const config::AgentConfig& config, bool by_hand) {
    std::vector<std::string> out;
    for (const auto& step : backend_setup(config))
        if (step.by_hand == by_hand) out.push_back(step.command);
    return out;
}

class BackendSetup : public testing::Test {
 protected:
    void SetUp() override {
        host.run("ip link set lo down && ip link add up0 type veth peer name peer0");
        host.enter();
    }
    std::vector<std::string> changed(const config::AgentConfig& config) {
        const auto applied = apply_backend_setup(config);
        EXPECT_TRUE(applied) << applied.error().what;
        std::vector<std::string> out;
        if (applied)
            for (const auto& step : *applied)
                if (step.changed) out.push_back(step.command);
        return out;
    }
    Namespace host = Namespace::create();
};

TEST_F(BackendSetup, the_list_is_what_a_backend_needs_in_order) {
    const auto config = config_of({"192.0.2.10/32", "2001:db8::10/128", "198.51.100.0/28"});
    EXPECT_EQ(
        commands(config, false),
        (std::vector<std::string>{
            "sysctl -w net.ipv4.conf.all.arp_ignore=1",
            "sysctl -w net.ipv4.conf.all.arp_announce=2", "sysctl -w net.ipv4.conf.up0.rp_filter=2",
            "sysctl -w net.ipv6.conf.lo.disable_ipv6=0", "ip link set lo up",
            "ip addr add 192.0.2.10/32 dev lo", "ip addr add 2001:db8::10/128 dev lo nodad",
            "ip route add local 198.51.100.0/28 dev lo"}));
    EXPECT_EQ(commands(config, true),
              (std::vector<std::string>{
                  "ethtool -K up0 lro off rx-gro-hw off", "ethtool -K PEER tx off",
                  "ip route replace $(ip route show default | head -n 1) advmss 1400",
                  "ip -6 route replace $(ip -6 route show default | head -n 1) advmss 1380"}));
    for (const auto& step : backend_setup(config)) {
        EXPECT_NE(step.why, "") << step.command;
        EXPECT_EQ(static_cast<bool>(step.apply), !step.by_hand) << step.command;
        EXPECT_TRUE(step.by_hand || step.check) << step.command;
    }
}

TEST_F(BackendSetup, one_family_needs_nothing_of_the_other) {
    for (const auto& command : commands(config_of({"2001:db8::10/128"}), false))
        EXPECT_EQ(command.find("ipv4"), std::string::npos) << command;
    for (const auto& command : commands(config_of({"192.0.2.10/32"}), false))
        EXPECT_EQ(command.find("ipv6"), std::string::npos) << command;
}

TEST_F(BackendSetup, applied_once_it_holds_and_twice_changes_nothing) {
    const auto config =
        config_of({"192.0.2.10/32", "2001:db8::10/128", "198.51.100.0/28", "2001:db8:1::/64"});
    host.sysctl("ipv4.conf.up0.rp_filter", "1");
    host.sysctl("ipv6.conf.lo.disable_ipv6", "1");
    EXPECT_EQ(changed(config), commands(config, false));

    EXPECT_EQ(host.sysctl("ipv4.conf.all.arp_ignore"), "1");
    EXPECT_EQ(host.sysctl("ipv4.conf.all.arp_announce"), "2");
    EXPECT_EQ(host.sysctl("ipv4.conf.up0.rp_filter"), "2");
    const std::string lo = host.output("ip addr show dev lo");
    EXPECT_NE(lo.find("192.0.2.10/32"), std::string::npos) << lo;
    EXPECT_NE(lo.find("2001:db8::10/128"), std::string::npos) << lo;
    EXPECT_EQ(lo.find("tentative"), std::string::npos) << lo;
    EXPECT_NE(host.output("ip route get 198.51.100.7").find("local"), std::string::npos);
    EXPECT_NE(host.output("ip -6 route get 2001:db8:1::7").find("local"), std::string::npos);

    EXPECT_EQ(changed(config), std::vector<std::string>{});
    for (const auto& step : backend_setup(config)) {
        if (step.by_hand) continue;
        const auto done = step.check();
        ASSERT_TRUE(done) << done.error().what;
        EXPECT_TRUE(*done) << step.command;
    }
}

TEST_F(BackendSetup, what_the_printed_commands_do_is_what_apply_checks) {
    const auto config = config_of({"192.0.2.10/32", "2001:db8::10/128", "198.51.100.0/28"});
    host.sysctl("ipv4.conf.up0.rp_filter", "1");
    for (const auto& command : commands(config, false)) host.run(command + " >/dev/null");
    EXPECT_EQ(changed(config), std::vector<std::string>{});
}

TEST_F(BackendSetup, stricter_or_other_good_settings_stay) {
    const auto config = config_of({"192.0.2.10/32"});
    host.sysctl("ipv4.conf.all.arp_ignore", "2");
    host.sysctl("ipv4.conf.up0.rp_filter", "0");
    host.sysctl("ipv4.conf.all.rp_filter", "0");
    host.run("ip addr add 192.0.2.10/24 dev up0");  // The address is there already, elsewhere.
    changed(config);
    EXPECT_EQ(host.sysctl("ipv4.conf.all.arp_ignore"), "2");
    EXPECT_EQ(host.sysctl("ipv4.conf.up0.rp_filter"), "0");
    EXPECT_EQ(host.output("ip addr show dev lo").find("192.0.2.10"), std::string::npos);
}

TEST_F(BackendSetup, strict_filtering_on_all_interfaces_is_loosened_on_this_one) {
    host.sysctl("ipv4.conf.all.rp_filter", "1");
    host.sysctl("ipv4.conf.up0.rp_filter", "0");
    changed(config_of({"192.0.2.10/32"}));
    EXPECT_EQ(host.sysctl("ipv4.conf.all.rp_filter"), "1");
    EXPECT_EQ(host.sysctl("ipv4.conf.up0.rp_filter"), "2");
}

TEST_F(BackendSetup, a_missing_interface_is_named_with_its_step) {
    auto config = config_of({"192.0.2.10/32"});
    config.interfaces = {"eth7"};
    const auto applied = apply_backend_setup(config);
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().code, Errc::not_found);
    EXPECT_EQ(applied.error().what,
              "sysctl -w net.ipv4.conf.eth7.rp_filter=2: check: setting of eth7: "
              "read net.ipv4.conf.eth7.rp_filter: No such file or directory");
}

TEST_F(BackendSetup, an_interface_name_with_a_dot_is_written_as_sysctl_wants_it) {
    auto config = config_of({"192.0.2.10/32"});
    config.interfaces = {"up0.5"};
    host.run("ip link add up0.5 type veth peer name peer5");
    host.sysctl("ipv4.conf.all.rp_filter", "1");
    EXPECT_EQ(commands(config, false)[2], "sysctl -w net.ipv4.conf.up0/5.rp_filter=2");
    changed(config);
    EXPECT_EQ(host.output("cat /proc/sys/net/ipv4/conf/up0.5/rp_filter"), "2\n");
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string refused = sluice::test::namespaces_refused();
    if (!refused.empty()) {
        std::printf("skipped: unit_backend_setup: %s\n", refused.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
