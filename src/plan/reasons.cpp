// SPDX-License-Identifier: Apache-2.0
#include "plan/reasons.h"

#include <iterator>

namespace sluice::plan {
namespace {

constexpr ReasonText kReasons[] = {
#define SLC_REASON(symbol, label, text, remedy) {label, text, remedy},
#include "sluice/reasons.def"
#undef SLC_REASON
};
static_assert(sizeof kReasons / sizeof kReasons[0] == SLC_REASON_COUNT);

}  // namespace

const ReasonText& reason_text(slc_reason reason) {
    return kReasons[reason];
}

bool is_drop(slc_reason reason) {
    switch (reason) {
        case SLC_REASON_FORWARDED:
        case SLC_REASON_FORWARDED_FRAGMENT:
        case SLC_REASON_FORWARDED_ICMP_ERROR:
        case SLC_REASON_FORWARDED_REMEMBERED:
        case SLC_REASON_FORWARDED_PREVIOUS:
        case SLC_REASON_FORWARDED_CONNECTION_ID:
        case SLC_REASON_FORWARDED_SERVER_ID:
        case SLC_REASON_FORWARDED_ICMP_UNSURE:
        case SLC_REASON_DELIVERED_LOCAL:
        case SLC_REASON_DECAPSULATED:
        case SLC_REASON_ECHO_REPLIED:
        case SLC_REASON_TOO_BIG_REPLIED:
        case SLC_REASON_REJECTED_RESET:
        case SLC_REASON_REJECTED_UNREACHABLE:
        case SLC_REASON_NOT_OURS:
        case SLC_REASON_NOT_IP:
        case SLC_REASON_PORT_PASSED:
        case SLC_REASON_DECAP_SOURCE_REFUSED:
        case SLC_REASON_DECAP_VIA_FRAGMENT:
        case SLC_REASON_VLAN_DEPTH:
        case SLC_REASON_NEIGHBOUR_DISCOVERY:
            return false;
        default:
            return true;
    }
}

bool is_answer(slc_reason reason) {
    return reason == SLC_REASON_ECHO_REPLIED || reason == SLC_REASON_TOO_BIG_REPLIED ||
           reason == SLC_REASON_REJECTED_RESET || reason == SLC_REASON_REJECTED_UNREACHABLE;
}

bool is_pass(slc_reason reason) {
    switch (reason) {
        case SLC_REASON_DELIVERED_LOCAL:
        case SLC_REASON_DECAPSULATED:
        case SLC_REASON_NOT_OURS:
        case SLC_REASON_NOT_IP:
        case SLC_REASON_PORT_PASSED:
        case SLC_REASON_DECAP_SOURCE_REFUSED:
        case SLC_REASON_DECAP_VIA_FRAGMENT:
        case SLC_REASON_VLAN_DEPTH:
        case SLC_REASON_NEIGHBOUR_DISCOVERY:
            return true;
        default:
            return false;
    }
}

bool is_agent_reason(slc_reason reason) {
    switch (reason) {
        case SLC_REASON_DECAPSULATED:
        case SLC_REASON_NOT_OURS:
        case SLC_REASON_NOT_IP:
        case SLC_REASON_HDR_TRUNCATED:
        case SLC_REASON_DECAP_SOURCE_REFUSED:
        case SLC_REASON_DECAP_HEADER:
        case SLC_REASON_DECAP_UNKNOWN_VIP:
        case SLC_REASON_DECAP_ECN:
        case SLC_REASON_DECAP_VIA_FRAGMENT:
            return true;
        default:
            return false;
    }
}

const char* famproto_label(slc_famproto famproto) {
    static constexpr const char* kLabels[] = {"other",    "ip4_tcp",   "ip4_udp",
                                              "ip4_icmp", "ip4_other", "ip6_tcp",
                                              "ip6_udp",  "ip6_icmp",  "ip6_other"};
    return famproto < sizeof kLabels / sizeof kLabels[0] ? kLabels[famproto] : "other";
}

const char* verdict_label(std::uint8_t verdict) {
    static constexpr const char* kLabels[] = {"drop", "pass", "tx", "redirect"};
    return verdict < std::size(kLabels) ? kLabels[verdict] : "unknown";
}

const char* stage_label(std::uint8_t stage) {
    static constexpr const char* kLabels[] = {"entry",   "parse",   "guard", "service",
                                              "pick",    "forward", "icmp",  "frag",
                                              "too_big", "decap",   "reject"};
    static_assert(std::size(kLabels) == SLC_STAGE_COUNT);
    return stage < std::size(kLabels) ? kLabels[stage] : "unknown";
}

std::string reason_label(std::uint16_t reason) {
    return reason < SLC_REASON_COUNT ? kReasons[reason].label : "reason " + std::to_string(reason);
}

}  // namespace sluice::plan
