// SPDX-License-Identifier: Apache-2.0
//
// ICMP and ICMPv6 to a VIP: errors about flows go to the backend that owns them.
#include <fmt/format.h>

#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "forward.yaml";
constexpr const char* kRouter4 = "203.0.113.1";
constexpr const char* kRouter6 = "2001:db8:f::1";

/// What a backend sent from the VIP, which some router then complains about.
Packet sent4(std::uint16_t port = 1014, Ip4 ip = {}) {
    ip.src = kVip4;
    ip.dst = kClient4;
    return ip4(ip) / tcp({.sport = port, .dport = 40000, .flags = kAck}) / payload(100);
}
Packet sent6(std::uint16_t port = 1014, const Packet& between = {}) {
    return ip6({.src = kVip6, .dst = kClient6}) / between / udp({.sport = port, .dport = 40000}) /
           payload(100);
}

Packet error4(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Packet& quoted) {
    return ip4({.src = kRouter4, .tos = 0xc0}) / icmp4({.type = type, .code = code, .rest = rest}) /
           quoted;
}
Packet error6(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Packet& quoted) {
    return ip6({.src = kRouter6}) / icmp6({.type = type, .code = code, .rest = rest}) / quoted;
}

Flow flow4(std::uint16_t port = 1014, std::uint8_t proto = 6) {
    return {.dport = port, .proto = proto};
}
Flow flow6(std::uint16_t port = 1014, std::uint8_t proto = 17) {
    return {.src = kClient6, .dst = kVip6, .dport = port, .proto = proto};
}

Case to_owner(std::string name, const Packet& error, const Flow& flow, const Packet& tunnel,
              std::string service) {
    return {.name = std::move(name),
            .config = kConfig,
            .in = eth() / error,
            .want = tx(Reason::FORWARDED_ICMP_ERROR, tunnel / error),
            .service = std::move(service),
            .flow = flow};
}

std::vector<Case> types() {
    std::vector<Case> rows;
    const std::pair<int, int> four[] = {{3, 0},  {3, 1},  {3, 3},  {3, 4},
                                        {3, 13}, {11, 0}, {11, 1}, {12, 0}};
    for (const auto& [type, code] : four)
        rows.push_back(to_owner(fmt::format("icmp_type_{}_code_{}", type, code),
                                error4(static_cast<std::uint8_t>(type),
                                       static_cast<std::uint8_t>(code), 1400, quote(sent4(), 28)),
                                flow4(), outer4("10.0.0.5"), "ipip-4in4"));
    const std::pair<int, int> six[] = {{1, 0}, {1, 4}, {2, 0}, {3, 0}, {3, 1}, {4, 1}};
    for (const auto& [type, code] : six)
        rows.push_back(to_owner(fmt::format("icmpv6_type_{}_code_{}", type, code),
                                error6(static_cast<std::uint8_t>(type),
                                       static_cast<std::uint8_t>(code), 1400, quote(sent6(), 48)),
                                flow6(), outer4("10.0.0.5"), "ipip-6in4"));
    return rows;
}

std::vector<Case> quotes() {
    const Packet ext = hop_by_hop() / dest_opts() / auth();
    Packet eight = hop_by_hop();
    for (int i = 0; i < 7; ++i) eight = eight / dest_opts();
    const Bytes options(40, 1);
    const Packet udp_sent =
        ip4({.src = kVip4, .dst = kClient4}) / udp({.sport = 1014, .dport = 40000}) / payload(8);
    const Packet first_part = fragments(sent4(), 64)[0];
    const Packet first_part6 = fragments(sent6(), 64)[0];
    const auto t = [](const char* to) { return outer(to); };
    return {
        to_owner("whole_packet_quoted", error4(3, 4, 1400, sent4()), flow4(), t("10.0.0.5"),
                 "ipip-4in4"),
        to_owner("udp_quoted", error4(3, 3, 0, udp_sent), flow4(1014, 17), t("10.0.0.5"),
                 "ipip-4in4"),
        to_owner("quote_with_options",
                 error4(3, 4, 1400, quote(sent4(1014, {.options = options}), 68)), flow4(),
                 t("10.0.0.5"), "ipip-4in4"),
        to_owner(
            "error_with_options",
            ip4({.src = kRouter4, .options = options}) / icmp4({.type = 11}) / quote(sent4(), 28),
            flow4(), t("10.0.0.5"), "ipip-4in4"),
        to_owner("quoted_first_fragment", error4(11, 1, 0, first_part), flow4(), t("10.0.0.5"),
                 "ipip-4in4"),
        to_owner("quote_with_extension_headers", error6(2, 0, 1300, sent6(1014, ext)), flow6(),
                 t("10.0.0.5"), "ipip-6in4"),
        to_owner("quote_with_eight_extension_headers", error6(2, 0, 1300, sent6(1014, eight)),
                 flow6(), t("10.0.0.5"), "ipip-6in4"),
        to_owner("error_behind_extension_headers",
                 ip6({.src = kRouter6}) / hop_by_hop() / icmp6({.type = 3}) / quote(sent6(), 48),
                 flow6(), t("10.0.0.5"), "ipip-6in4"),
        to_owner("quoted_first_fragment_of_ipv6", error6(3, 1, 0, first_part6), flow6(),
                 t("10.0.0.5"), "ipip-6in4"),
        to_owner("error_by_gre", error4(3, 4, 1400, quote(sent4(1024), 28)), flow4(1024),
                 t("10.0.0.5") / gre(), "gre-4in4"),
        to_owner("error_by_gue_over_ipv6", error4(3, 4, 1400, quote(sent4(1036), 28)), flow4(1036),
                 outer_gue("fd00::5"), "gue-4in6"),
        to_owner("odd_error_by_gue_over_ipv6", error6(2, 0, 1400, quote(sent6(1036), 101)),
                 flow6(1036), outer_gue("fd00::5"), "gue-6in6"),
        to_owner("error_by_l2", error4(3, 4, 1400, quote(sent4(1040), 28)), flow4(1040),
                 link_to("10.0.0.5"), "l2-4"),
        {.name = "error_to_a_local_service",
         .config = kConfig,
         .in = eth() / error4(3, 4, 1400, quote(sent4(1050), 28)),
         .want = pass(Reason::DELIVERED_LOCAL),
         .service = "local-4"},
        {.name = "error_to_an_unresolved_backend",
         .config = kConfig,
         .in = eth() / error4(3, 4, 1400, quote(sent4(1090), 28)),
         .want = drop(Reason::BACKEND_UNRESOLVED),
         .service = "unresolved-4"},
        {.name = "error_to_a_service_without_backends",
         .config = kConfig,
         .in = eth() / error4(3, 4, 1400, quote(sent4(1190), 28)),
         .want = drop(Reason::NO_BACKEND),
         .service = "drained-4"},
    };
}

Case dropped(std::string name, const Packet& packet, Reason reason) {
    return {.name = std::move(name), .config = kConfig, .in = eth() / packet, .want = drop(reason)};
}

std::vector<Case> refused() {
    const Packet later = fragments(sent4(), 64)[1];
    const Packet later6 = fragments(sent6(), 64)[1];
    const Packet ping = ip4({.src = kVip4, .dst = kClient4}) / echo4(1, 1, 0);
    const Packet foreign = ip4({.src = "192.0.2.77", .dst = kClient4}) / tcp({.sport = 1014});
    const Packet foreign6 = ip6({.src = "2001:db8::9", .dst = kClient6}) / tcp({.sport = 1014});
    const Packet to_vip = ip4() / tcp({.dport = 1014});
    return {
        dropped("error_that_quotes_nothing", error4(3, 4, 1400, {}), Reason::ICMP_QUOTE_TRUNCATED),
        dropped("quote_of_nineteen_bytes", error4(3, 4, 1400, quote(sent4(), 19)),
                Reason::ICMP_QUOTE_TRUNCATED),
        dropped("quote_without_eight_bytes_of_transport", error4(3, 4, 1400, quote(sent4(), 27)),
                Reason::ICMP_QUOTE_TRUNCATED),
        dropped("quote_that_goes_on_in_padding", error4(3, 4, 1400, quote(sent4(), 24)) / pad(40),
                Reason::ICMP_QUOTE_TRUNCATED),
        dropped("quote_with_options_cut",
                error4(3, 4, 0, quote(sent4(1014, {.options = Bytes(40, 1)}), 60)),
                Reason::ICMP_QUOTE_TRUNCATED),
        dropped("quote_of_39_bytes", error6(2, 0, 1300, quote(sent6(), 39)),
                Reason::ICMP_QUOTE_TRUNCATED),
        dropped("quote_of_47_bytes", error6(2, 0, 1300, quote(sent6(), 47)),
                Reason::ICMP_QUOTE_TRUNCATED),
        dropped("quote_that_ends_in_extension_headers",
                error6(2, 0, 1300, quote(sent6(1014, hop_by_hop()), 44)),
                Reason::ICMP_QUOTE_TRUNCATED),
        dropped("quoted_later_fragment", error4(11, 1, 0, later), Reason::ICMP_QUOTE_UNDECIDED),
        dropped("quoted_later_fragment_of_ipv6", error6(3, 1, 0, later6),
                Reason::ICMP_QUOTE_UNDECIDED),
        dropped("quote_from_another_address", error4(3, 1, 0, foreign),
                Reason::ICMP_QUOTE_MISMATCH),
        dropped("quote_from_another_address_of_ipv6", error6(1, 0, 0, foreign6),
                Reason::ICMP_QUOTE_MISMATCH),
        dropped("quote_of_a_packet_to_the_vip", error4(3, 1, 0, to_vip),
                Reason::ICMP_QUOTE_MISMATCH),
        dropped("quote_of_a_ping", error4(3, 1, 0, ping), Reason::ICMP_QUOTE_MISMATCH),
        dropped("quote_from_a_port_without_service", error4(3, 1, 0, quote(sent4(7), 28)),
                Reason::ICMP_QUOTE_MISMATCH),
        dropped("quote_of_another_version",
                error4(3, 1, 0, ip4({.src = kVip4, .version = 5}) / tcp({.sport = 1014})),
                Reason::ICMP_QUOTE_MISMATCH),
        dropped("quote_with_a_short_header",
                error4(3, 1, 0, ip4({.src = kVip4, .words = 4}) / tcp({.sport = 1014})),
                Reason::ICMP_QUOTE_MISMATCH),
        dropped("ipv4_quoted_in_icmpv6", error6(1, 0, 0, sent4()), Reason::ICMP_QUOTE_MISMATCH),
        dropped("ipv6_quoted_in_icmp", error4(3, 0, 0, sent6()), Reason::ICMP_QUOTE_MISMATCH),
    };
}

std::vector<Case> other_types() {
    std::vector<Case> rows;
    for (const int type : {0, 4, 5, 6, 9, 10, 13, 14, 17, 30, 255})
        rows.push_back(
            dropped(fmt::format("icmp_type_{}", type),
                    ip4() / icmp4({.type = static_cast<std::uint8_t>(type)}) / quote(sent4(), 28),
                    Reason::ICMP_TYPE));
    for (const int type : {0, 5, 127, 129, 130, 131, 132, 138, 255})
        rows.push_back(
            dropped(fmt::format("icmpv6_type_{}", type),
                    ip6() / icmp6({.type = static_cast<std::uint8_t>(type)}) / quote(sent6(), 48),
                    Reason::ICMP_TYPE));
    rows.push_back(dropped("echo_request_with_a_code", ip4() / icmp4({.type = 8, .code = 1}),
                           Reason::ICMP_TYPE));
    rows.push_back(dropped("echo_request_with_a_code_in_ipv6",
                           ip6() / icmp6({.type = 128, .code = 1}), Reason::ICMP_TYPE));
    // RFC 4861: routers probe a neighbour by unicast. Linux answers, where the VIP is its own.
    for (const int type : {133, 134, 135, 136, 137})
        rows.push_back({.name = fmt::format("neighbour_discovery_type_{}", type),
                        .config = kConfig,
                        .in = eth() / ip6({.src = "fe80::1", .hops = 255}) /
                              icmp6({.type = static_cast<std::uint8_t>(type)}) / payload(24),
                        .want = pass(Reason::NEIGHBOUR_DISCOVERY)});
    return rows;
}

SLC_PACKET_TABLE(IcmpTypes, types());
SLC_PACKET_TABLE(IcmpQuotes, quotes());
SLC_PACKET_TABLE(IcmpRefused, refused());
SLC_PACKET_TABLE(IcmpOtherTypes, other_types());

}  // namespace
}  // namespace sluice::packet
