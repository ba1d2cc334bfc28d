// SPDX-License-Identifier: Apache-2.0
#include "plan/reasons.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

namespace sluice::plan {
namespace {

TEST(Reasons, each_has_a_label_and_a_text_of_its_own) {
    std::set<std::string> labels, texts;
    for (int i = 0; i < SLC_REASON_COUNT; ++i) {
        const auto& reason = reason_text(static_cast<slc_reason>(i));
        EXPECT_TRUE(labels.insert(reason.label).second) << reason.label;
        EXPECT_TRUE(texts.insert(reason.text).second) << reason.text;
        EXPECT_EQ(
            std::string(reason.label).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"),
            std::string::npos)
            << reason.label;
    }
}

TEST(Reasons, a_text_that_says_passed_is_no_drop) {
    for (int i = 0; i < SLC_REASON_COUNT; ++i) {
        const auto reason = static_cast<slc_reason>(i);
        if (std::string_view(reason_text(reason).text).find("passed to Linux") !=
            std::string_view::npos) {
            EXPECT_FALSE(is_drop(reason)) << reason_text(reason).label;
        }
    }
}

TEST(Reasons, families_have_labels) {
    EXPECT_STREQ(famproto_label(SLC_FAMPROTO_IP4_TCP), "ip4_tcp");
    EXPECT_STREQ(famproto_label(SLC_FAMPROTO_IP6_OTHER), "ip6_other");
    EXPECT_STREQ(famproto_label(SLC_FAMPROTO_COUNT), "other");
}

}  // namespace
}  // namespace sluice::plan
