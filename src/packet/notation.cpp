// SPDX-License-Identifier: Apache-2.0
#include "packet/spec.h"

#include "packet/notation.h"

namespace sluice::packet {
namespace {

// RFC 792, RFC 4443, RFC 4861. An error with another code follows its type.
constexpr IcmpName kIcmpNames[] = {
    {"echo-request", false, 8, 0, false, kDefaultIcmpRest},
    {"echo-reply", false, 0, 0, false, kDefaultIcmpRest},
    {"frag-needed", false, 3, 4, true, 0},
    {"unreachable", false, 3, 1, true, 0},
    {"time-exceeded", false, 11, 0, true, 0},
    {"parameter-problem", false, 12, 0, true, 0},
    {"redirect", false, 5, 1, true, 0},
    {"echo-request", true, 128, 0, false, kDefaultIcmpRest},
    {"echo-reply", true, 129, 0, false, kDefaultIcmpRest},
    {"packet-too-big", true, 2, 0, true, 0},
    {"unreachable", true, 1, 0, true, 0},
    {"time-exceeded", true, 3, 0, true, 0},
    {"parameter-problem", true, 4, 0, true, 0},
    {"router-solicitation", true, 133, 0, false, 0},
    {"router-advertisement", true, 134, 0, false, 0},
    {"neighbour-solicitation", true, 135, 0, false, 0},
    {"neighbour-advertisement", true, 136, 0, false, 0},
};

}  // namespace

std::span<const IcmpName> icmp_names() {
    return kIcmpNames;
}

const char* word_of(SpecKind kind) {
    switch (kind) {
        case SpecKind::tcp:
            return "tcp";
        case SpecKind::udp:
            return "udp";
        case SpecKind::sctp:
            return "sctp";
        case SpecKind::icmp:
            return "icmp";
        case SpecKind::icmp6:
            return "icmp6";
        case SpecKind::ip:
            return "ip";
        case SpecKind::ipip:
            return "ipip";
        case SpecKind::gre:
            return "gre";
        case SpecKind::gue:
            return "gue";
        case SpecKind::ether:
            return "ether";
        case SpecKind::raw_frame:
        case SpecKind::raw_ip:
            break;
    }
    return nullptr;
}

bool is_neighbour_discovery(const Spec& spec) {
    return spec.kind == SpecKind::icmp6 && spec.icmp_type &&
           (*spec.icmp_type == 135 || *spec.icmp_type == 136);
}

Result<std::vector<std::uint8_t>> build(std::string_view notation) {
    const auto spec = read_spec(notation);
    if (!spec) return fail(spec.error());
    return encode(*spec);
}

std::string describe(std::span<const std::uint8_t> frame) {
    return print(decode(frame));
}

}  // namespace sluice::packet
