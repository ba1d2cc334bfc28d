// SPDX-License-Identifier: Apache-2.0
#include "proof/outcome.h"

#include <fmt/format.h>

#include <vector>

#include "plan/reasons.h"

namespace sluice::proof {
namespace {

using View = std::span<const std::uint8_t>;

constexpr std::size_t kIp4Len = 20, kIp6Len = 40, kGreLen = 4, kGueLen = 12;

std::uint16_t get16(View view, std::size_t at) {
    return static_cast<std::uint16_t>(view[at] << 8 | view[at + 1]);
}

/// Of the outermost IP header; `len` 0: not IP, or cut.
struct IpHeader {
    std::size_t header = 0;
    std::size_t len = 0;
    std::uint8_t protocol = 0;
};

IpHeader ip_header_of(View frame) {
    std::size_t at = 14;
    while (frame.size() >= at + 4 &&
           (get16(frame, at - 2) == 0x8100 || get16(frame, at - 2) == 0x88a8))
        at += 4;
    if (frame.size() < at + kIp4Len) return {};
    const View ip = frame.subspan(at);
    if (get16(frame, at - 2) == 0x0800) return {kIp4Len, get16(ip, 2), ip[9]};
    if (get16(frame, at - 2) != 0x86dd || ip.size() < kIp6Len) return {};
    return {kIp6Len, get16(ip, 4) + kIp6Len, ip[6]};
}

bool is_answer(std::uint16_t reason) {
    return reason < SLC_REASON_COUNT && plan::is_answer(static_cast<slc_reason>(reason));
}

bool leaves(const slc_exit_record& rec) {
    return rec.verdict == SLC_VERDICT_TX || rec.verdict == SLC_VERDICT_REDIRECT;
}

const char* verdict_word(std::uint8_t verdict) {
    switch (verdict) {
        case SLC_VERDICT_DROP:
            return "drop";
        case SLC_VERDICT_PASS:
            return "pass";
        case SLC_VERDICT_TX:
            return "tx";
        default:
            return "redirect";
    }
}

const char* verdict_word(config::Expectation::Verdict verdict) {
    using enum config::Expectation::Verdict;
    switch (verdict) {
        case any:
            return "any";
        case drop:
            return "drop";
        case pass:
            return "pass";
        case tx:
            return "tx";
        case redirect:
            return "redirect";
        case forward:
            return "forward";
    }
    return "?";
}

bool is_verdict(config::Expectation::Verdict expected, std::uint8_t verdict) {
    using enum config::Expectation::Verdict;
    switch (expected) {
        case any:
            return true;
        case drop:
            return verdict == SLC_VERDICT_DROP;
        case pass:
            return verdict == SLC_VERDICT_PASS;
        case tx:
            return verdict == SLC_VERDICT_TX;
        case redirect:
            return verdict == SLC_VERDICT_REDIRECT;
        case forward:
            return verdict == SLC_VERDICT_TX || verdict == SLC_VERDICT_REDIRECT;
    }
    return false;
}

std::string text_of(const std::optional<IpAddress>& address) {
    return address ? address->text() : "none";
}

struct Difference {
    std::string expected;
    std::string got;
};

/// Of the backend: an address, or that of the packet before.
std::optional<Difference> backend_difference(const config::Expectation& expected,
                                             const Outcome& got, const Outcome* previous) {
    if (expected.backend && got.backend != expected.backend)
        return Difference{"backend " + expected.backend->text(), text_of(got.backend)};
    if (!expected.same_backend) return std::nullopt;
    if (previous == nullptr || !previous->backend)
        return Difference{"the backend of the packet before",
                          text_of(got.backend) + ", and the packet before had none"};
    if (got.backend != previous->backend)
        return Difference{"backend " + previous->backend->text() + " again", text_of(got.backend)};
    return std::nullopt;
}

}  // namespace

std::optional<config::Forward> encapsulation_of(View in, View out) {
    const IpHeader inner = ip_header_of(in);
    const IpHeader outer = ip_header_of(out);
    if (inner.len == 0 || outer.len < inner.len) return std::nullopt;
    const std::size_t growth = outer.len - inner.len;
    if (growth == 0) return config::Forward::l2;
    if (growth == outer.header && (outer.protocol == 4 || outer.protocol == 41))
        return config::Forward::ipip;
    if (growth == outer.header + kGreLen && outer.protocol == 47) return config::Forward::gre;
    if (growth == outer.header + kGueLen && outer.protocol == 17) return config::Forward::gue;
    return std::nullopt;
}

bool is_to_backend(const slc_exit_record& rec) {
    return rec.reason == SLC_REASON_DELIVERED_LOCAL || (leaves(rec) && !is_answer(rec.reason));
}

Outcome outcome_of(View frame, const kernel::TwinAnswer& answer, const Names& names) {
    Outcome out;
    out.rec = answer.answer.rec;
    if (out.rec.service != 0) out.service = names.service(out.rec.service);
    if (!is_to_backend(out.rec)) return out;
    if (out.rec.member != 0) out.backend = names.backend(out.rec.member);
    out.encapsulation = out.rec.reason == SLC_REASON_DELIVERED_LOCAL
                            ? config::Forward::local
                            : encapsulation_of(frame, answer.frame);
    return out;
}

std::string mismatch(const config::Expectation& expected, const Outcome& got,
                     const Outcome* previous) {
    std::vector<Difference> differences;
    if (!is_verdict(expected.verdict, got.rec.verdict))
        differences.push_back({std::string("verdict ") + verdict_word(expected.verdict),
                               verdict_word(got.rec.verdict)});
    const std::string reason = plan::reason_label(got.rec.reason);
    const bool is_other_reason = !expected.reason.empty() && expected.reason != reason;
    if (is_other_reason) differences.push_back({"reason " + expected.reason, reason});
    if (!expected.service.empty() && expected.service != got.service)
        differences.push_back(
            {"service " + expected.service, got.service.empty() ? "none" : got.service});
    if (const auto difference = backend_difference(expected, got, previous))
        differences.push_back(*difference);
    if (expected.encapsulation && expected.encapsulation != got.encapsulation)
        differences.push_back(
            {std::string("encapsulation ") + config::name_of(*expected.encapsulation),
             got.encapsulation ? config::name_of(*got.encapsulation) : "none"});
    std::string out;
    for (const Difference& difference : differences)
        out += fmt::format("{}expected {}, got {}", out.empty() ? "" : "; ", difference.expected,
                           difference.got);
    if (!out.empty() && !is_other_reason) out += " (" + reason + ")";
    return out;
}

std::string outcome_text(const slc_exit_record& rec, const std::string& member) {
    const std::string reason = plan::reason_label(rec.reason);
    if (rec.verdict == SLC_VERDICT_DROP) return "dropped (" + reason + ")";
    if (rec.reason == SLC_REASON_DELIVERED_LOCAL) return "delivered to this node";
    if (rec.verdict == SLC_VERDICT_PASS) return "passed to Linux (" + reason + ")";
    if (is_answer(rec.reason)) return "answered (" + reason + ")";
    return "forwarded to " + (member.empty() ? fmt::format("member {}", rec.member) : member);
}

}  // namespace sluice::proof
