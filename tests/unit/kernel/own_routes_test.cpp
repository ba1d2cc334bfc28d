// SPDX-License-Identifier: Apache-2.0
//
// Addresses and routes of ours in a namespace of the test's own, beside those of somebody else.
#include "kernel/own_routes.h"

#include <gtest/gtest.h>

#include "tests/unit/kernel/namespaces.h"

namespace sluice::kernel {
namespace {

IpPrefix prefix(const char* text) {
    return *IpPrefix::parse(text);
}

class OwnRoutesTest : public testing::Test {
 protected:
    void SetUp() override {
        here_.run("ip link set lo up");
        here_.enter();
        auto opened = OwnRoutes::open();
        ASSERT_TRUE(opened) << opened.error().what;
        routes_.emplace(std::move(*opened));
    }
    [[nodiscard]] std::string shown(const char* command) { return here_.output(command); }

    test::Namespace here_ = test::Namespace::create();
    std::optional<OwnRoutes> routes_;
};

TEST_F(OwnRoutesTest, addresses_come_once_and_go) {
    for (const char* text : {"192.0.2.10/32", "2001:db8::10/128"}) {
        ASSERT_TRUE(routes_->add_address("lo", prefix(text)));
        ASSERT_TRUE(routes_->add_address("lo", prefix(text))) << "it is there";
    }
    EXPECT_NE(shown("ip addr show dev lo").find("192.0.2.10/32"), std::string::npos);
    EXPECT_EQ(shown("ip addr show dev lo").find("tentative"), std::string::npos);
    EXPECT_EQ(*routes_->addresses("lo"),
              (std::vector<IpPrefix>{prefix("2001:db8::10/128"), prefix("192.0.2.10/32")}));
    for (const char* text : {"192.0.2.10/32", "2001:db8::10/128"}) {
        ASSERT_TRUE(routes_->remove_address("lo", prefix(text)));
        ASSERT_TRUE(routes_->remove_address("lo", prefix(text))) << "it is gone";
    }
    EXPECT_TRUE(routes_->addresses("lo")->empty());
}

TEST_F(OwnRoutesTest, somebody_elses_address_stays) {
    here_.run("ip addr add 192.0.2.10/32 dev lo");
    const auto added = routes_->add_address("lo", prefix("192.0.2.10/32"));
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, Errc::conflict);
    EXPECT_TRUE(routes_->addresses("lo")->empty());
    EXPECT_TRUE(routes_->remove_address("lo", prefix("192.0.2.10/32")));
    EXPECT_NE(shown("ip addr show dev lo").find("192.0.2.10/32"), std::string::npos);
}

TEST_F(OwnRoutesTest, an_interface_that_is_not_there_is_said) {
    const auto added = routes_->add_address("nowhere0", prefix("192.0.2.10/32"));
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, Errc::not_found);
    EXPECT_TRUE(routes_->remove_address("nowhere0", prefix("192.0.2.10/32")));
    EXPECT_TRUE(routes_->addresses("nowhere0")->empty());
}

TEST_F(OwnRoutesTest, routes_come_once_and_go_in_any_table) {
    for (const std::uint32_t table : {0u, 100u, 70000u}) {
        for (const char* text : {"192.0.2.10/32", "198.51.100.0/24", "2001:db8::/64"}) {
            ASSERT_TRUE(routes_->add_blackhole(table, prefix(text)));
            ASSERT_TRUE(routes_->add_blackhole(table, prefix(text))) << "it is there";
        }
        EXPECT_EQ(*routes_->blackholes(table),
                  (std::vector<IpPrefix>{prefix("2001:db8::/64"), prefix("192.0.2.10/32"),
                                         prefix("198.51.100.0/24")}));
    }
    EXPECT_NE(shown("ip route show table 70000").find("blackhole 192.0.2.10 proto 81"),
              std::string::npos)
        << shown("ip route show table 70000");
    ASSERT_TRUE(routes_->remove_blackhole(100, prefix("192.0.2.10/32")));
    ASSERT_TRUE(routes_->remove_blackhole(100, prefix("192.0.2.10/32"))) << "it is gone";
    EXPECT_EQ(routes_->blackholes(100)->size(), 2u);
    EXPECT_EQ(routes_->blackholes(70000)->size(), 3u);
}

TEST_F(OwnRoutesTest, somebody_elses_route_stays) {
    here_.run("ip route add blackhole 192.0.2.10/32");
    here_.run("ip route add 2001:db8::/64 dev lo");
    for (const char* text : {"192.0.2.10/32", "2001:db8::/64"}) {
        const auto added = routes_->add_blackhole(0, prefix(text));
        ASSERT_FALSE(added) << text;
        EXPECT_EQ(added.error().code, Errc::conflict);
    }
    EXPECT_TRUE(routes_->remove_blackhole(0, prefix("192.0.2.10/32")));
    EXPECT_NE(shown("ip route show").find("blackhole 192.0.2.10"), std::string::npos);
}

}  // namespace
}  // namespace sluice::kernel
