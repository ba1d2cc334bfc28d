// SPDX-License-Identifier: Apache-2.0
// What two replays differ in. No kernel.
#include <gtest/gtest.h>

#include "proof/proof.h"
#include "tests/unit/proof/sample.h"

namespace sluice::proof {
namespace {

ReplayAnswer answer(slc_verdict verdict, slc_reason reason, const char* member = "") {
    ReplayAnswer out;
    out.ran = true;
    out.rec.verdict = verdict;
    out.rec.reason = reason;
    out.rec.service = 1;
    out.member = member;
    return out;
}

const ReplayAnswer kFive = answer(SLC_VERDICT_TX, SLC_REASON_FORWARDED, "web/10.0.0.5");
const ReplayAnswer kSix = answer(SLC_VERDICT_TX, SLC_REASON_FORWARDED, "web/10.0.0.6");
const ReplayAnswer kNoPort = answer(SLC_VERDICT_DROP, SLC_REASON_NO_SUCH_PORT);
const ReplayAnswer kNotOurs = answer(SLC_VERDICT_PASS, SLC_REASON_NOT_OURS);

ProofReport compared(const std::vector<ReplayAnswer>& before,
                     const std::vector<ReplayAnswer>& after) {
    std::vector<slc_sample> samples;
    for (std::size_t i = 0; i < before.size(); ++i)
        samples.push_back(
            sample_of("tcp 198.51.100.7:" + std::to_string(i + 1) + " > 192.0.2.10:443 syn"));
    ProofReport out;
    compare(samples, before, after, out);
    return out;
}

TEST(Compare, finds_nothing_where_all_go_where_they_went) {
    ReplayAnswer remembered = kFive;
    remembered.rec.reason = SLC_REASON_FORWARDED_REMEMBERED;
    remembered.rec.verdict = SLC_VERDICT_REDIRECT;
    ReplayAnswer renamed = kFive;
    renamed.member = "www/10.0.0.5";
    const auto out =
        compared({kFive, kFive, kFive, kNoPort}, {kFive, remembered, renamed, kNoPort});
    EXPECT_EQ(out.replayed, 4u);
    EXPECT_EQ(out.moved + out.changed, 0u);
    EXPECT_TRUE(out.differences.empty());
}

TEST(Compare, counts_what_moved_and_what_changed_apart) {
    const ReplayAnswer no_backend = answer(SLC_VERDICT_DROP, SLC_REASON_NO_BACKEND);
    const auto out = compared({kFive, kFive, kNotOurs, kNoPort, kNoPort},
                              {kSix, kNoPort, kFive, no_backend, kNotOurs});
    EXPECT_EQ(out.replayed, 5u);
    EXPECT_EQ(out.moved, 1u);
    EXPECT_EQ(out.changed, 4u);
}

TEST(Compare, tells_kinds_of_difference_the_most_frequent_first_with_one_packet_each) {
    const auto out = compared({kFive, kSix, kFive, kSix, kSix, kNotOurs},
                              {kSix, kNoPort, kSix, kNoPort, kNoPort, kNotOurs});
    ASSERT_EQ(out.differences.size(), 2u);
    EXPECT_EQ(out.differences[0].count, 3u);
    EXPECT_EQ(out.differences[0].packet, "tcp 198.51.100.7:2 > 192.0.2.10:443 syn");
    EXPECT_EQ(out.differences[0].was, "forwarded to web/10.0.0.6");
    EXPECT_EQ(out.differences[0].now, "dropped (no_such_port)");
    EXPECT_EQ(out.differences[1].count, 2u);
    EXPECT_EQ(out.differences[1].now, "forwarded to web/10.0.0.6");
}

TEST(Compare, keeps_services_apart) {
    ReplayAnswer other = kNoPort;
    other.rec.service = 2;
    EXPECT_EQ(compared({kFive, kFive}, {kNoPort, other}).differences.size(), 2u);
}

TEST(Compare, tells_twenty_kinds_at_most_and_counts_all) {
    std::vector<ReplayAnswer> before(30, kFive), after(30, kSix);
    for (int i = 0; i < 30; ++i) after[i].member = "web/10.0.1." + std::to_string(i);
    const auto out = compared(before, after);
    EXPECT_EQ(out.moved, 30u);
    EXPECT_EQ(out.differences.size(), 20u);
}

TEST(Compare, leaves_out_what_one_of_them_could_not_run) {
    ReplayAnswer not_run = kSix;
    not_run.ran = false;
    const auto out = compared({kFive, not_run, kFive}, {not_run, kFive, kFive});
    EXPECT_EQ(out.replayed, 1u);
    EXPECT_EQ(out.moved, 0u);
}

}  // namespace
}  // namespace sluice::proof
