// SPDX-License-Identifier: Apache-2.0
#include "announce/kernel_announcements.h"

#include <gtest/gtest.h>

#include "tests/unit/announce/fake_kernel.h"
#include "tests/unit/announce/loop.h"

namespace sluice::announce {
namespace {

using namespace std::chrono_literals;

const IpPrefix kVip = *IpPrefix::parse("192.0.2.1/32");
const IpPrefix kOther = *IpPrefix::parse("192.0.2.2/32");
const IpPrefix kVip6 = *IpPrefix::parse("2001:db8::1/128");

class KernelAnnouncementsTest : public testing::TestWithParam<bool> {
 protected:
    static config::AnnounceKernel settings() {
        return GetParam() ? config::AnnounceKernel{.interface = "lo"}
                          : config::AnnounceKernel{.interface = "", .table = 77};
    }
    static std::string where() { return GetParam() ? "lo" : "77"; }

    std::unique_ptr<Reactor> reactor_ = open_reactor();
    FakeKernel kernel_;
    KernelAnnouncements way_{*reactor_, settings(), kernel_, 10ms, [] {}};
};

TEST_P(KernelAnnouncementsTest, prefixes_come_and_go_and_drain_in_place) {
    way_.want({{kVip, Wish::announce}, {kOther, Wish::withdraw}, {kVip6, Wish::drain}});
    EXPECT_EQ(kernel_.content(), (FakeKernel::Content{{where(), {kVip, kVip6}}}));
    EXPECT_EQ(way_.report(kVip).state, PrefixState::announced);
    EXPECT_EQ(way_.report(kOther).state, PrefixState::withdrawn);
    EXPECT_EQ(way_.report(kVip6).state, PrefixState::draining);
    way_.want({{kOther, Wish::announce}});
    EXPECT_EQ(kernel_.content(), (FakeKernel::Content{{where(), {kOther}}}));
    EXPECT_EQ(way_.report(kVip).state, PrefixState::withdrawn);
}

TEST_P(KernelAnnouncementsTest,
       what_another_daemon_left_goes_and_what_somebody_removes_comes_back) {
    kernel_.set({{where(), {kOther, kVip6}}});
    way_.want({{kVip, Wish::announce}, {kVip6, Wish::announce}});
    EXPECT_EQ(kernel_.content(), (FakeKernel::Content{{where(), {kVip, kVip6}}}));
    kernel_.set({});
    EXPECT_TRUE(run_until(*reactor_, [&] { return kernel_.content().count(where()) == 1; }));
    EXPECT_EQ(kernel_.content(), (FakeKernel::Content{{where(), {kVip, kVip6}}}));
}

TEST_P(KernelAnnouncementsTest, failures_are_reported_and_tried_again) {
    way_.want({{kVip, Wish::announce}});
    kernel_.fail_with("add an address: not permitted");
    way_.want({{kOther, Wish::announce}});
    EXPECT_EQ(way_.report(kVip).state, PrefixState::failing);
    EXPECT_EQ(way_.report(kOther).state, PrefixState::failing);
    EXPECT_EQ(way_.report(kOther).why, "add an address: not permitted");
    EXPECT_EQ(way_.last_error(), "add an address: not permitted");
    kernel_.fail_with("");
    EXPECT_TRUE(run_until(*reactor_, [&] { return way_.last_error().empty(); }));
    EXPECT_EQ(kernel_.content(), (FakeKernel::Content{{where(), {kOther}}}));
    EXPECT_EQ(way_.report(kVip).state, PrefixState::withdrawn);
    EXPECT_EQ(way_.report(kOther).state, PrefixState::announced);
}

INSTANTIATE_TEST_SUITE_P(addresses_and_routes, KernelAnnouncementsTest, testing::Bool());

}  // namespace
}  // namespace sluice::announce
