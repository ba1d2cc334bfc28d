// SPDX-License-Identifier: Apache-2.0
#include "observe/decision_filter.h"

#include <gtest/gtest.h>

namespace sluice::observe {
namespace {

Decision decision() {
    Decision out;
    out.verdict = "tx";
    out.reason = "forwarded";
    out.service = "web";
    out.backend = "web/10.0.0.5";
    out.customer = "acme";
    out.interface = "eth0";
    out.protocol = "tcp";
    out.source = IpAddress::parse("198.51.100.7");
    out.destination = IpAddress::parse("192.0.2.10");
    out.source_port = 1234;
    out.destination_port = 443;
    return out;
}

struct Word {
    const char* key;
    const char* value;
    bool is_negated = false;
};

struct Case {
    const char* name;
    std::vector<Word> words;
    bool fits;
};

const Case kCases[] = {
    {"nothing_asked", {}, true},
    {"verdict", {{"verdict", "tx"}}, true},
    {"another_verdict", {{"verdict", "drop"}}, false},
    {"forward_is_tx", {{"verdict", "forward"}}, true},
    {"any_of_one_key", {{"verdict", "drop"}, {"verdict", "tx"}}, true},
    {"reason", {{"reason", "forwarded"}}, true},
    {"another_reason", {{"reason", "no_backend"}}, false},
    {"from_an_address", {{"from", "198.51.100.7"}}, true},
    {"from_a_prefix", {{"from", "198.51.100.0/24"}}, true},
    {"from_another_prefix", {{"from", "192.0.2.0/24"}}, false},
    {"from_another_family", {{"from", "2001:db8::/32"}}, false},
    {"from_everywhere_of_ip4", {{"from", "0.0.0.0/0"}}, true},
    {"to", {{"to", "192.0.2.0/28"}}, true},
    {"to_the_source", {{"to", "198.51.100.7"}}, false},
    {"service", {{"service", "web"}}, true},
    {"part_of_a_service", {{"service", "we"}}, false},
    {"backend", {{"backend", "web/10.0.0.5"}}, true},
    {"another_backend", {{"backend", "web/10.0.0.6"}}, false},
    {"customer", {{"customer", "acme"}}, true},
    {"another_customer", {{"customer", "other"}}, false},
    {"interface", {{"interface", "eth0"}}, true},
    {"another_interface", {{"interface", "eth1"}}, false},
    {"protocol", {{"protocol", "tcp"}}, true},
    {"protocol_by_number", {{"protocol", "6"}}, true},
    {"another_protocol", {{"protocol", "17"}}, false},
    {"port_of_the_destination", {{"port", "443"}}, true},
    {"port_of_the_source", {{"port", "1234"}}, true},
    {"another_port", {{"port", "80"}}, false},
    {"all_keys_hold", {{"service", "web"}, {"verdict", "tx"}, {"port", "443"}}, true},
    {"one_key_does_not", {{"service", "web"}, {"verdict", "drop"}}, false},
    {"not_it", {{"service", "web", true}}, false},
    {"not_another", {{"service", "dns", true}}, true},
    {"none_of_two", {{"service", "dns", true}, {"service", "web", true}}, false},
    {"this_and_not_that", {{"verdict", "tx"}, {"service", "dns", true}}, true},
    {"this_but_not_this", {{"verdict", "tx"}, {"service", "web", true}}, false},
    {"one_key_both_ways", {{"to", "192.0.2.0/24"}, {"to", "192.0.2.10", true}}, false},
    {"not_forward", {{"verdict", "forward", true}}, false},
    {"not_from", {{"from", "10.0.0.0/8", true}}, true},
    {"not_port", {{"port", "443", true}}, false},
};

TEST(DecisionFilter, values_of_one_key_are_ored_and_keys_are_anded) {
    for (const Case& test : kCases) {
        DecisionFilter filter;
        for (const Word& word : test.words)
            ASSERT_TRUE(filter.add(word.key, word.value, word.is_negated).has_value()) << test.name;
        EXPECT_EQ(filter.fits(decision()), test.fits) << test.name;
    }
}

TEST(DecisionFilter, what_is_not_known_fits_no_wish_and_every_refusal) {
    for (const std::string_view key : kFilterKeys) {
        const std::string value = key == "from" || key == "to" ? "0.0.0.0/0"
                                  : key == "reason"            ? "forwarded"
                                  : key == "verdict"           ? "drop"
                                                               : "7";
        DecisionFilter wanted;
        ASSERT_TRUE(wanted.add(key, value).has_value()) << key;
        EXPECT_FALSE(wanted.fits(Decision())) << key;
        DecisionFilter unwanted;
        ASSERT_TRUE(unwanted.add(key, value, true).has_value()) << key;
        EXPECT_TRUE(unwanted.fits(Decision())) << key;
    }
}

TEST(DecisionFilter, a_wrong_value_is_refused_by_its_key) {
    struct Wrong {
        const char* key;
        const char* value;
        const char* what;
    };
    const Wrong cases[] = {
        {"verdict", "dropped",
         "verdict: 'dropped' is not one of drop, pass, tx, redirect, forward"},
        {"reason", "no_bakend", "reason: 'no_bakend' is no reason"},
        {"from", "198.51.100", "from: '198.51.100' is no address or prefix"},
        {"to", "192.0.2.0/33", "to: '192.0.2.0/33' is no address or prefix"},
        {"protocol", "256",
         "protocol: '256' is not one of tcp, udp, sctp, icmp, icmp6, or a number"},
        {"port", "65536", "port: '65536' is no port"},
        {"port", "-1", "port: '-1' is no port"},
        {"service", "", "service: empty"},
        {"generation", "3", "no filter 'generation'"},
    };
    for (const Wrong& test : cases) {
        const auto added = DecisionFilter().add(test.key, test.value);
        ASSERT_FALSE(added.has_value()) << test.what;
        EXPECT_EQ(added.error().code, Errc::invalid);
        EXPECT_EQ(added.error().what, test.what);
    }
}

TEST(DecisionFilter, a_name_that_nobody_has_is_not_found) {
    Names names;
    names.services = {{1, "web"}};
    names.backends = {{1, "web/10.0.0.5"}};
    names.interfaces = {{2, "eth0"}};
    DecisionFilter filter;
    ASSERT_TRUE(filter.add("service", "web").has_value());
    ASSERT_TRUE(filter.add("backend", "web/10.0.0.5", true).has_value());
    EXPECT_TRUE(filter.check(names).has_value());
    ASSERT_TRUE(filter.add("interface", "eth9", true).has_value());
    const auto checked = filter.check(names);
    ASSERT_FALSE(checked.has_value());
    EXPECT_EQ(checked.error().code, Errc::not_found);
    EXPECT_EQ(checked.error().what, "filter: no interface 'eth9'");
}

}  // namespace
}  // namespace sluice::observe
