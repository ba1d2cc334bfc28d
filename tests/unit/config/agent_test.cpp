// SPDX-License-Identifier: Apache-2.0
#include "config/agent.h"

#include "tests/unit/config/cases.h"
#include "tests/unit/config/findings.h"

namespace sluice::config {
namespace {

IpPrefix prefix(std::string_view text) {
    return IpPrefix::parse(text).value_or(IpPrefix{});
}

AgentConfig example() {
    AgentConfig config;
    config.interfaces = {"eth0"};
    config.vips = {prefix("192.0.2.10"), prefix("2001:db8::10"), prefix("203.0.113.0/28")};
    config.from = {prefix("10.255.0.0/24"), prefix("fd00:ff::/64")};
    return config;
}

TEST(Agent, the_example_says_the_defaults) {
    const auto outcome = parse_agent(content_of("examples/agent.yaml"), "agent.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    EXPECT_EQ(text_of(outcome.warnings), "");
    EXPECT_EQ(outcome.config, example());
    EXPECT_TRUE(check_agent(outcome.config).has_value());
}

TEST(Agent, every_key_is_read) {
    const auto outcome = parse_agent(
        "version: 1\nname: b\ninterfaces: [eth1, eth2]\nxdp_mode: generic\nvips: [192.0.2.1]\n"
        "from: [10.0.0.1]\ngue_port: 6081\n",
        "agent.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    EXPECT_EQ(outcome.config.name, "b");
    EXPECT_EQ(outcome.config.interfaces, (std::vector<std::string>{"eth1", "eth2"}));
    EXPECT_EQ(outcome.config.xdp_mode, XdpMode::generic);
    EXPECT_EQ(outcome.config.vips, std::vector{prefix("192.0.2.1")});
    EXPECT_EQ(outcome.config.from, std::vector{prefix("10.0.0.1")});
    EXPECT_EQ(outcome.config.gue_port, 6081);
}

TEST(Agent, mistakes_are_told_whole) {
    const auto cases = cases_of("tests/unit/config/errors/agent.cases");
    ASSERT_FALSE(cases.empty());
    for (const ErrorCase& item : cases)
        EXPECT_EQ(text_of(parse_agent(item.text, "t.yaml").errors), item.told) << item.name;
}

struct FlagCase {
    const char* name;
    void (*change)(AgentConfig&);
    const char* what;
};

const FlagCase kFlags[] = {
    {"name", [](AgentConfig& c) { c.name = "a/b"; },
     "name a/b is not a name: letters, digits and \"-_.\", the first a letter or digit"},
    {"no_interface", [](AgentConfig& c) { c.interfaces.clear(); }, "agent: no interface given"},
    {"interface", [](AgentConfig& c) { c.interfaces = {"a b"}; },
     "agent: interface \"a b\" is not the name of an interface: 1 to 15 characters, no space, "
     "\"/\" or \":\""},
    {"interface_twice", [](AgentConfig& c) { c.interfaces = {"eth0", "eth0"}; },
     "agent: interface eth0 is given twice"},
    {"interfaces", [](AgentConfig& c) { c.interfaces.resize(65); },
     "agent: 65 interfaces, at most 64 are possible"},
    {"no_vip", [](AgentConfig& c) { c.vips.clear(); }, "agent: no VIP given"},
    {"vip_loopback", [](AgentConfig& c) { c.vips = {prefix("127.0.0.1")}; },
     "agent: VIP 127.0.0.1 is a loopback address"},
    {"vip_host_bits", [](AgentConfig& c) { c.vips = {prefix("192.0.2.1/24")}; },
     "agent: VIP 192.0.2.1/24 has bits beyond its length: write 192.0.2.0/24"},
    {"vip_twice", [](AgentConfig& c) { c.vips = {prefix("192.0.2.1"), prefix("192.0.2.1")}; },
     "agent: VIP 192.0.2.1 is given twice"},
    {"no_source", [](AgentConfig& c) { c.from.clear(); }, "agent: no source prefix given"},
    {"sources", [](AgentConfig& c) { c.from.resize(1025); },
     "agent: source prefix: 1025 given, at most 1024 are possible"},
    {"gue_port", [](AgentConfig& c) { c.gue_port = 0; }, "agent: 0 is not a port (1..65535)"},
};

TEST(Agent, flags_follow_the_same_rules) {
    for (const FlagCase& item : kFlags) {
        AgentConfig config = example();
        item.change(config);
        const auto result = check_agent(config);
        ASSERT_FALSE(result.has_value()) << item.name;
        EXPECT_EQ(result.error().what, item.what) << item.name;
    }
}

}  // namespace
}  // namespace sluice::config
