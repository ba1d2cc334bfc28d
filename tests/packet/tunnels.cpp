// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/tunnels.h"

#include <fmt/format.h>

namespace sluice::packet {
namespace {

Packet from_balancer(bool six, std::uint8_t tos = 0) {
    if (six)
        return ip6(
            {.src = "fd00:ff::1234:5678", .dst = "fd00::1", .traffic_class = tos, .flow = 0x54321});
    return ip4({.src = "10.255.0.77", .dst = "10.0.0.1", .tos = tos, .id = 0, .df = true});
}

Packet outer_udp(bool six, std::uint16_t port) {
    return udp({.sport = 51234,
                .dport = port,
                .checksum = six ? std::optional<std::uint16_t>{} : std::uint16_t{0}});
}

Packet plain(bool six, std::uint8_t tos = 0) {
    if (six)
        return ip6({.src = kClient6, .dst = kVip6, .traffic_class = tos, .flow = 0xabcde}) /
               tcp({.dport = 80}) / payload(99);
    return ip4({.src = kClient4, .dst = kVip4, .tos = tos}) / tcp({.dport = 80}) / payload(99);
}

}  // namespace

std::vector<Case> stripped(const std::string& config, std::uint16_t gue_port) {
    const std::vector<std::pair<std::string, Packet>> links = {
        {"", eth()},
        {"_tagged", eth() / vlan(77)},
        {"_qinq", eth() / vlan(77, 0x88a8) / vlan(78)},
    };
    std::vector<Case> rows;
    for (const bool out6 : {false, true})
        for (const bool six : {false, true})
            for (const auto& [link_name, link] : links) {
                const std::vector<std::pair<std::string, Packet>> tunnels = {
                    {"ipip", {}},
                    {"gre", gre()},
                    {"gue", outer_udp(out6, gue_port) / gue()},
                    {"gue_variant_1", outer_udp(out6, gue_port)},
                };
                for (const auto& [mode, tunnel] : tunnels)
                    rows.push_back({.name = fmt::format("{}_{}in{}{}", mode, six ? 6 : 4,
                                                        out6 ? 6 : 4, link_name),
                                    .config = config,
                                    .in = link / from_balancer(out6) / tunnel / plain(six),
                                    .want = pass(Reason::DECAPSULATED, link / plain(six))});
            }
    const Packet options = ip4({.src = "10.255.0.1", .dst = "10.0.0.1", .options = Bytes(40, 1)});
    const Packet fragment = fragments(plain(false), 64)[1];
    const Packet small = ip4() / udp({.dport = 80});
    rows.push_back({.name = "outer_options",
                    .config = config,
                    .in = eth() / options / plain(false),
                    .want = pass(Reason::DECAPSULATED, eth() / plain(false))});
    rows.push_back({.name = "fragment_inside",
                    .config = config,
                    .in = eth() / from_balancer(false) / fragment,
                    .want = pass(Reason::DECAPSULATED, eth() / fragment)});
    rows.push_back({.name = "padding_stays_behind_the_packet",
                    .config = config,
                    .in = eth() / from_balancer(false) / small / pad(4),
                    .want = pass(Reason::DECAPSULATED, eth() / small / pad(4))});
    rows.push_back(
        {.name = "jumbo_inside",
         .config = config,
         .in = eth() / from_balancer(true) / ip6() / udp({.dport = 80}) / payload(8000),
         .want = pass(Reason::DECAPSULATED, eth() / ip6() / udp({.dport = 80}) / payload(8000))});
    rows.push_back(
        {.name = "icmp_error_inside",
         .config = config,
         .in = eth() / from_balancer(false) / ip4() / icmp4({.type = 3}) / quote(plain(false), 28),
         .want = pass(Reason::DECAPSULATED,
                      eth() / ip4() / icmp4({.type = 3}) / quote(plain(false), 28))});
    return rows;
}

/// RFC 6040 figure 4: the inner field by what both headers said.
std::vector<Case> marked(const std::string& config) {
    constexpr int kNot = 0, kEct1 = 1, kEct0 = 2, kCe = 3, kDrop = -1;
    // [inner][outer], in the order of the code points: not-ECT 00, ECT(1) 01, ECT(0) 10, CE 11.
    constexpr int kFigure[4][4] = {
        {kNot, kNot, kNot, kDrop},
        {kEct1, kEct1, kEct1, kCe},
        {kEct0, kEct1, kEct0, kCe},
        {kCe, kCe, kCe, kCe},
    };
    std::vector<Case> rows;
    for (const bool out6 : {false, true})
        for (const bool six : {false, true})
            for (int outer_ecn = 0; outer_ecn < 4; ++outer_ecn)
                for (int inner_ecn = 0; inner_ecn < 4; ++inner_ecn) {
                    const int result = kFigure[inner_ecn][outer_ecn];
                    const auto was = static_cast<std::uint8_t>(0xb8 | inner_ecn);
                    Case row{.name = fmt::format("ecn_outer_{}_inner_{}_{}in{}", outer_ecn,
                                                 inner_ecn, six ? 6 : 4, out6 ? 6 : 4),
                             .config = config,
                             .in = eth() /
                                   from_balancer(out6, static_cast<std::uint8_t>(outer_ecn)) /
                                   plain(six, was),
                             .want = drop(Reason::DECAP_ECN)};
                    if (result != kDrop)
                        row.want =
                            pass(Reason::DECAPSULATED,
                                 eth() / plain(six, static_cast<std::uint8_t>(0xb8 | result)));
                    rows.push_back(row);
                }
    return rows;
}

namespace {

std::vector<Case> malformed(const std::string& config, std::uint16_t gue_port) {
    const Packet four = eth() / from_balancer(false);
    const Packet six = eth() / from_balancer(true);
    const Packet udp4 = four / outer_udp(false, gue_port);
    const auto dropped = [&](std::string name, const Packet& packet, Reason reason) {
        return Case{.name = std::move(name), .config = config, .in = packet, .want = drop(reason)};
    };
    return {
        dropped("gre_with_a_key",
                four / gre({.flags = 0x2000, .extra = {0, 0, 0, 1}}) / plain(false),
                Reason::DECAP_HEADER),
        dropped("gre_with_a_checksum",
                four / gre({.flags = 0x8000, .extra = {0, 0, 0, 0}}) / plain(false),
                Reason::DECAP_HEADER),
        dropped("gre_with_a_sequence",
                four / gre({.flags = 0x1000, .extra = {0, 0, 0, 1}}) / plain(false),
                Reason::DECAP_HEADER),
        dropped("gre_of_version_one", four / gre({.flags = 1}) / plain(false),
                Reason::DECAP_HEADER),
        dropped("gre_around_ethernet", four / gre({.protocol = 0x6558}) / eth() / plain(false),
                Reason::DECAP_HEADER),
        dropped("gue_with_extensions", udp4 / gue({.extra = {0, 0, 0, 0}}) / plain(false),
                Reason::DECAP_HEADER),
        dropped("gue_with_flags", udp4 / gue({.flags = 0x8000}) / plain(false),
                Reason::DECAP_HEADER),
        dropped("gue_control_message", udp4 / gue({.control = true}) / plain(false),
                Reason::DECAP_HEADER),
        dropped("gue_variant_2", udp4 / gue({.variant = 2}) / plain(false), Reason::DECAP_HEADER),
        dropped("gue_variant_3", udp4 / gue({.variant = 3}) / plain(false), Reason::DECAP_HEADER),
        dropped("gue_around_tcp", udp4 / gue({.protocol = 6}) / plain(false), Reason::DECAP_HEADER),
        dropped("gue_that_lies_about_its_payload", udp4 / gue({.protocol = 41}) / plain(false),
                Reason::DECAP_HEADER),
        dropped("ipip_around_ipv6",
                eth() / ip4({.src = "10.255.0.77", .dst = "10.0.0.1", .proto = 4}) / plain(true),
                Reason::DECAP_HEADER),
        dropped("ip_in_ipv6_of_another_version",
                eth() / ip6({.src = "fd00:ff::1", .dst = "fd00::1", .next = 41}) / plain(false),
                Reason::DECAP_HEADER),
        dropped("tunnel_without_a_packet",
                eth() / ip4({.src = "10.255.0.77", .dst = "10.0.0.1", .proto = 4}),
                Reason::DECAP_HEADER),
        dropped("gre_cut",
                eth() / ip4({.src = "10.255.0.77", .dst = "10.0.0.1", .proto = 47}) / payload(3),
                Reason::HDR_TRUNCATED),
        dropped("gue_cut", four / outer_udp(false, gue_port) / payload(3), Reason::HDR_TRUNCATED),
        dropped("inner_ipv4_cut",
                eth() / ip4({.src = "10.255.0.77", .dst = "10.0.0.1", .proto = 4}) /
                    cut(plain(false), 19),
                Reason::HDR_TRUNCATED),
        dropped(
            "inner_ipv6_cut",
            eth() / ip6({.src = "fd00:ff::1", .dst = "fd00::1", .next = 41}) / cut(plain(true), 39),
            Reason::HDR_TRUNCATED),
        dropped("inner_to_another_address", four / ip4({.dst = "192.0.2.99"}) / tcp(),
                Reason::DECAP_UNKNOWN_VIP),
        dropped("inner_to_another_address_of_ipv6", six / ip6({.dst = "2001:db8::99"}) / tcp(),
                Reason::DECAP_UNKNOWN_VIP),
        dropped("inner_to_the_tunnels_own_end", four / ip4({.dst = "10.0.0.1"}) / tcp(),
                Reason::DECAP_UNKNOWN_VIP),
    };
}

}  // namespace

std::vector<Case> not_stripped(const std::string& config, std::uint16_t gue_port) {
    const auto passed = [&](std::string name, const Packet& packet, Reason reason) {
        return Case{.name = std::move(name), .config = config, .in = packet, .want = pass(reason)};
    };
    const Ip4 stranger{.src = "10.254.0.77", .dst = "10.0.0.1"};
    const Ip6 stranger6{.src = "fd00:fe::1", .dst = "fd00::1"};
    const Packet long_tunnel = eth() / from_balancer(false) / plain(false);
    return malformed(config, gue_port) +
           std::vector<Case>{
               passed("ipip_of_a_stranger", eth() / ip4(stranger) / plain(false),
                      Reason::DECAP_SOURCE_REFUSED),
               passed("ip_in_ipv6_of_a_stranger", eth() / ip6(stranger6) / plain(true),
                      Reason::DECAP_SOURCE_REFUSED),
               passed("gre_of_a_stranger", eth() / ip4(stranger) / gre() / plain(true),
                      Reason::DECAP_SOURCE_REFUSED),
               passed("gue_of_a_stranger",
                      eth() / ip4(stranger) / outer_udp(false, gue_port) / gue() / plain(false),
                      Reason::DECAP_SOURCE_REFUSED),
               passed("first_fragment_of_a_tunnel", fragments(long_tunnel, 64)[0],
                      Reason::DECAP_VIA_FRAGMENT),
               passed("later_fragment_of_a_tunnel", fragments(long_tunnel, 64)[1],
                      Reason::DECAP_VIA_FRAGMENT),
               passed("udp_of_a_balancer_to_another_port",
                      eth() / from_balancer(false) / udp({.dport = 9999}) / payload(40),
                      Reason::NOT_OURS),
               passed("tcp_of_a_balancer", eth() / from_balancer(false) / tcp({.dport = 22}),
                      Reason::NOT_OURS),
               passed("ping_of_a_balancer", eth() / from_balancer(true) / echo6(),
                      Reason::NOT_OURS),
               passed("extension_headers_around_a_tunnel",
                      eth() / from_balancer(true) / dest_opts() / plain(true), Reason::NOT_OURS),
               passed("ssh_of_anybody", eth() / ip4({.dst = "10.0.0.1"}) / tcp({.dport = 22}),
                      Reason::NOT_OURS),
               passed("arp_to_a_backend", eth({.type = 0x0806}) / payload(46), Reason::NOT_IP),
           };
}

}  // namespace sluice::packet
