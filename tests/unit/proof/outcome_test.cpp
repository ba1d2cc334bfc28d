// SPDX-License-Identifier: Apache-2.0
// What became of a packet, in words, and what a test expects of it. No kernel.
#include "proof/outcome.h"

#include <gtest/gtest.h>

#include "packet/notation.h"
#include "plan/reasons.h"

namespace sluice::proof {
namespace {

using Verdict = config::Expectation::Verdict;

const IpAddress kFive = *IpAddress::parse("10.0.0.5");
const IpAddress kSix = *IpAddress::parse("10.0.0.6");

std::vector<std::uint8_t> frame(const char* notation) {
    auto out = packet::build(notation);
    EXPECT_TRUE(out) << out.error().what;
    return *out;
}

slc_exit_record record(slc_verdict verdict, slc_reason reason) {
    slc_exit_record out{};
    out.verdict = verdict;
    out.reason = reason;
    return out;
}

Outcome forwarded(const IpAddress& backend) {
    Outcome out;
    out.rec = record(SLC_VERDICT_REDIRECT, SLC_REASON_FORWARDED);
    out.service = "web";
    out.backend = backend;
    out.encapsulation = config::Forward::ipip;
    return out;
}

Outcome dropped() {
    Outcome out;
    out.rec = record(SLC_VERDICT_DROP, SLC_REASON_NO_SUCH_PORT);
    return out;
}

config::Expectation expect(Verdict verdict, const char* reason = "", const char* service = "",
                           std::optional<IpAddress> backend = {},
                           std::optional<config::Forward> encapsulation = {}) {
    config::Expectation out;
    out.verdict = verdict;
    out.reason = reason;
    out.service = service;
    out.backend = backend;
    out.encapsulation = encapsulation;
    return out;
}

TEST(Outcome, says_what_was_expected_and_what_came) {
    struct Case {
        const char* name;
        config::Expectation expected;
        Outcome got;
        const char* text;
    };
    using enum config::Forward;
    const Case kCases[] = {
        {"anything_will_do", {}, dropped(), ""},
        {"all_as_expected", expect(Verdict::forward, "forwarded", "web", kFive, ipip),
         forwarded(kFive), ""},
        {"redirect_is_forward", expect(Verdict::redirect), forwarded(kFive), ""},
        {"other_verdict", expect(Verdict::drop), forwarded(kFive),
         "expected verdict drop, got redirect (forwarded)"},
        {"tx_is_no_redirect", expect(Verdict::tx), forwarded(kFive),
         "expected verdict tx, got redirect (forwarded)"},
        {"forward_is_no_drop", expect(Verdict::forward), dropped(),
         "expected verdict forward, got drop (no_such_port)"},
        {"other_reason", expect(Verdict::any, "land"), dropped(),
         "expected reason land, got no_such_port"},
        {"other_backend", expect(Verdict::any, "", "", kFive), forwarded(kSix),
         "expected backend 10.0.0.5, got 10.0.0.6 (forwarded)"},
        {"no_backend", expect(Verdict::any, "", "", kFive), dropped(),
         "expected backend 10.0.0.5, got none (no_such_port)"},
        {"other_service", expect(Verdict::any, "", "dns"), forwarded(kFive),
         "expected service dns, got web (forwarded)"},
        {"no_service", expect(Verdict::any, "", "dns"), dropped(),
         "expected service dns, got none (no_such_port)"},
        {"other_encapsulation", expect(Verdict::any, "", "", {}, gue), forwarded(kFive),
         "expected encapsulation gue, got ipip (forwarded)"},
        {"no_encapsulation", expect(Verdict::any, "", "", {}, gue), dropped(),
         "expected encapsulation gue, got none (no_such_port)"},
        {"several", expect(Verdict::pass, "not_ours", "dns"), forwarded(kFive),
         "expected verdict pass, got redirect; expected reason not_ours, got forwarded; expected "
         "service dns, got web"},
    };
    for (const Case& it : kCases)
        EXPECT_EQ(mismatch(it.expected, it.got, nullptr), it.text) << it.name;
}

TEST(Outcome, compares_with_the_packet_before) {
    config::Expectation same;
    same.same_backend = true;
    const Outcome five = forwarded(kFive);
    const Outcome none = dropped();
    EXPECT_EQ(mismatch(same, five, &five), "");
    EXPECT_EQ(mismatch(same, forwarded(kSix), &five),
              "expected backend 10.0.0.5 again, got 10.0.0.6 (forwarded)");
    EXPECT_EQ(mismatch(same, none, &five),
              "expected backend 10.0.0.5 again, got none (no_such_port)");
    for (const Outcome* before : {&none, static_cast<const Outcome*>(nullptr)})
        EXPECT_EQ(mismatch(same, five, before),
                  "expected the backend of the packet before, got 10.0.0.5, and the packet before "
                  "had none (forwarded)");
}

TEST(Outcome, tells_the_encapsulation_by_the_bytes_that_leave) {
    constexpr const char* kIn = "tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=7";
    using enum config::Forward;
    const std::pair<const char*, std::optional<config::Forward>> kOut[] = {
        {"ipip 10.0.0.1 > 10.0.0.2 { tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=7 }", ipip},
        {"ipip fd00::1 > fd00::2 { tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=7 } vlan=5,6", ipip},
        {"gre 10.0.0.1 > 10.0.0.2 { tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=7 }", gre},
        {"gre fd00::1 > fd00::2 { tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=7 }", gre},
        {"gue 10.0.0.1:50000 > 10.0.0.2:7777 { tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=7 }",
         gue},
        {"gue fd00::1 > fd00::2 vlan=9 { tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=7 }", gue},
        {"tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=7 vlan=3", l2},
        {"tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=27", std::nullopt},
        {"tcp 198.51.100.7:1 > 192.0.2.10:443 syn len=6", std::nullopt},
        {"ether 0x0806 len=28", std::nullopt},
        {"hex:00", std::nullopt},
    };
    for (const auto& [out, forward] : kOut)
        EXPECT_EQ(encapsulation_of(frame(kIn), frame(out)), forward) << out;
    EXPECT_EQ(encapsulation_of(frame("ether 0x0806"), frame(kIn)), std::nullopt);
    // A tunnel that goes through is no tunnel of ours.
    EXPECT_EQ(encapsulation_of(frame(kOut[0].first), frame(kOut[0].first)), l2);
}

TEST(Outcome, is_told_in_the_operators_words) {
    const std::tuple<slc_verdict, slc_reason, const char*, const char*> kTold[] = {
        {SLC_VERDICT_TX, SLC_REASON_FORWARDED, "web/10.0.0.5", "forwarded to web/10.0.0.5"},
        {SLC_VERDICT_REDIRECT, SLC_REASON_FORWARDED_PREVIOUS, "web/10.0.0.5",
         "forwarded to web/10.0.0.5"},
        {SLC_VERDICT_REDIRECT, SLC_REASON_FORWARDED, "", "forwarded to member 0"},
        {SLC_VERDICT_TX, SLC_REASON_ECHO_REPLIED, "", "answered (echo_replied)"},
        {SLC_VERDICT_TX, SLC_REASON_TOO_BIG_REPLIED, "web/10.0.0.5", "answered (too_big_replied)"},
        {SLC_VERDICT_TX, SLC_REASON_REJECTED_RESET, "", "answered (rejected_reset)"},
        {SLC_VERDICT_PASS, SLC_REASON_NOT_OURS, "", "passed to Linux (not_ours)"},
        {SLC_VERDICT_PASS, SLC_REASON_DELIVERED_LOCAL, "web/10.0.0.5", "delivered to this node"},
        {SLC_VERDICT_DROP, SLC_REASON_NO_SUCH_PORT, "", "dropped (no_such_port)"},
    };
    for (const auto& [verdict, reason, member, text] : kTold)
        EXPECT_EQ(outcome_text(record(verdict, reason), member), text);
    EXPECT_EQ(plan::reason_label(60000), "reason 60000");
}

}  // namespace
}  // namespace sluice::proof
