// SPDX-License-Identifier: Apache-2.0
#include "config/check_places.h"

#include "tests/unit/config/findings.h"

namespace sluice::config {
namespace {

constexpr const char* kText =
    "version: 2\n"
    "groups:\n"
    "  web: {backends: [10.0.0.1], health: {when_none: fallback, fallback: spare}}\n"
    "  spare: {backends: [10.0.0.2], health: {when_none: fallback, fallback: last}}\n"
    "  last: {backends: [10.0.0.3]}\n"
    "  idle: {backends: [10.0.0.4]}\n"
    "services:\n"
    "  - {name: range, vip: 192.0.2.1, port: 8000-8099, group: web}\n"
    "  - {name: dns, vip: 192.0.2.2, port: 53, protocol: udp, group: web}\n"
    "  - {name: net, vip: 203.0.113.16/28, port: 80, group: web}\n"
    "  - {name: six, vip: \"2001:db8::/126\", port: 443, protocol: both, group: last}\n"
    "  - {name: two, vip: 203.0.113.2/31, port: 81, protocol: udp,\n"
    "     backends: [10.0.0.5]}\n"
    "  - {name: here, vip: 192.0.2.1, port: 22, forward: local}\n";

enum : std::size_t { kWeb, kSpare, kLast, kIdle, kPair };

Check check_of(CheckType type, CheckVia via = CheckVia::vip) {
    Check out;
    out.type = type;
    out.via = via;
    return out;
}

class Places : public testing::Test {
 protected:
    /// "service address port", or "nowhere".
    std::string place(std::size_t group, const Check& check) const {
        const auto found = CheckPlaces(config_).find(group, check);
        if (!found) return "nowhere";
        return config_.services[found->service].name + " " + found->vip.text() + " " +
               std::to_string(found->port);
    }

    const Config config_ = parse(kText, "t.yaml").config;
};

TEST_F(Places, a_groups_services_are_its_own_and_those_of_groups_that_fall_back_on_it) {
    const CheckPlaces places(config_);
    const auto services = [&](std::size_t group) {
        std::string out;
        for (const std::size_t index : places.services_of(group))
            out += config_.services[index].name + " ";
        return out;
    };
    EXPECT_EQ(services(kWeb), "range dns net ");
    EXPECT_EQ(services(kSpare), "range dns net ");
    EXPECT_EQ(services(kLast), "range dns net six ");
    EXPECT_EQ(services(kIdle), "");
    EXPECT_EQ(services(kPair), "two ");
}

TEST_F(Places, the_first_service_that_fits_says_where_a_check_goes) {
    Check check;
    EXPECT_EQ(place(kWeb, check), "net 203.0.113.17 80");
    EXPECT_EQ(place(kIdle, check), "nowhere");
    EXPECT_EQ(place(kPair, check), "nowhere");
    check.port = 8080;
    EXPECT_EQ(place(kWeb, check), "range 192.0.2.1 8080");
    check.service = "six";
    EXPECT_EQ(place(kWeb, check), "nowhere");
    EXPECT_EQ(place(kLast, check), "six 2001:db8::1 8080");
    check = check_of(CheckType::dns);
    EXPECT_EQ(place(kWeb, check), "dns 192.0.2.2 53");
    check.dns.over_tcp = true;
    EXPECT_EQ(place(kWeb, check), "net 203.0.113.17 80");
    check = check_of(CheckType::udp);
    EXPECT_EQ(place(kPair, check), "two 203.0.113.2 81");
}

TEST_F(Places, checks_without_a_protocol_go_through_any_service) {
    EXPECT_EQ(place(kWeb, check_of(CheckType::icmp)), "range 192.0.2.1 0");
    EXPECT_EQ(place(kWeb, check_of(CheckType::command, CheckVia::direct)), "range 192.0.2.1 0");
    EXPECT_EQ(place(kPair, check_of(CheckType::command, CheckVia::direct)), "two 203.0.113.2 81");
}

TEST_F(Places, a_direct_check_with_a_port_needs_no_service_that_fits) {
    Check check = check_of(CheckType::tcp, CheckVia::direct);
    EXPECT_EQ(place(kPair, check), "nowhere");
    check.port = 22;
    EXPECT_EQ(place(kPair, check), "two 203.0.113.2 22");
}

}  // namespace
}  // namespace sluice::config
