// SPDX-License-Identifier: Apache-2.0
//
// Destination to service: ports, ranges, any port, prefixes, what comes before what, and what is
// not ours.
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "services.yaml";

Case sent(std::string name, const Packet& ip, const char* to, std::string service) {
    return {.name = std::move(name),
            .config = kConfig,
            .in = eth() / ip,
            .want = tx(Reason::FORWARDED, outer(to) / ip),
            .service = std::move(service),
            .backend = to};
}

Packet tcp4(std::uint16_t port) {
    return ip4() / tcp({.dport = port});
}
Packet udp4(std::uint16_t port, const char* dst = kVip4) {
    return ip4({.dst = dst}) / udp({.dport = port}) / payload(30);
}
Packet tcp6(std::uint16_t port, const char* dst = kVip6) {
    return ip6({.dst = dst}) / tcp({.dport = port});
}
Packet udp6(std::uint16_t port, const char* dst = kVip6) {
    return ip6({.dst = dst}) / udp({.dport = port}) / payload(30);
}

std::vector<Case> ports() {
    return {
        sent("exact_port_comes_before_any", tcp4(80), "10.0.0.5", "exact"),
        sent("range_comes_before_any", tcp4(85), "10.0.0.21", "range"),
        sent("first_port_of_a_range", tcp4(81), "10.0.0.21", "range"),
        sent("last_port_of_a_range", tcp4(90), "10.0.0.21", "range"),
        sent("port_below_a_range_is_any", tcp4(79), "10.0.0.22", "any"),
        sent("port_above_a_range_is_any", tcp4(91), "10.0.0.22", "any"),
        sent("highest_port_is_any", tcp4(65535), "10.0.0.22", "any"),
        sent("port_zero_is_any", tcp4(0), "10.0.0.22", "any"),
        sent("first_port_of_the_first_range", udp4(1), "10.0.0.23", "udp-range-low"),
        sent("last_port_of_the_first_range", udp4(99), "10.0.0.23", "udp-range-low"),
        sent("first_port_of_the_last_range", udp4(60000), "10.0.0.24", "udp-range-high"),
        sent("highest_port_there_is", udp4(65535), "10.0.0.24", "udp-range-high"),
        sent("last_but_one_port_there_is", udp4(65534), "10.0.0.24", "udp-range-high"),
        sent("exact_port_of_ipv6", tcp6(80), "fd00::5", "exact6"),
        sent("range_of_ipv6", tcp6(90), "fd00::21", "range6"),
        sent("any_port_of_ipv6", udp6(12345), "fd00::22", "any6"),
    };
}

std::vector<Case> prefixes() {
    return {
        sent("any_address_of_a_vip_prefix", udp4(53, "192.0.2.129"), "10.0.0.25", "wide"),
        sent("first_address_of_a_vip_prefix", udp4(53, "192.0.2.128"), "10.0.0.25", "wide"),
        sent("last_address_of_a_vip_prefix", udp4(53, "192.0.2.255"), "10.0.0.25", "wide"),
        sent("longer_prefix_comes_first", udp4(53, "192.0.2.193"), "10.0.0.26", "narrow"),
        sent("exact_vip_comes_before_prefixes", udp4(53, "192.0.2.200"), "10.0.0.27", "single"),
        sent("vip_prefix_of_ipv6", udp6(53, "2001:db8:b:2::9"), "fd00::25", "wide6"),
        sent("longer_prefix_of_ipv6", udp6(53, "2001:db8:b:1::2"), "fd00::26", "narrow6"),
        sent("exact_vip_in_prefixes_of_ipv6", udp6(53, "2001:db8:b:1::1"), "fd00::27", "single6"),
    };
}

Case dropped(std::string name, const Packet& packet, Reason reason) {
    return {.name = std::move(name), .config = kConfig, .in = packet, .want = drop(reason)};
}
Case passed(std::string name, const Packet& packet, Reason reason) {
    return {.name = std::move(name), .config = kConfig, .in = packet, .want = pass(reason)};
}

std::vector<Case> unmatched() {
    return {
        dropped("udp_port_between_ranges", eth() / udp4(100), Reason::NO_SUCH_PORT),
        dropped("udp_port_below_the_last_range", eth() / udp4(59999), Reason::NO_SUCH_PORT),
        dropped("tcp_to_a_udp_prefix", eth() / ip4({.dst = "192.0.2.129"}) / tcp({.dport = 53}),
                Reason::NO_SUCH_PORT),
        dropped("port_of_the_prefix_around_an_exact_vip",
                eth() / ip4({.dst = "192.0.2.200"}) / tcp({.dport = 53}), Reason::NO_SUCH_PORT),
        dropped("udp_on_a_tcp_port_of_ipv6", eth() / tcp6(100), Reason::NO_SUCH_PORT),
        passed("unmatched_pass", eth() / ip4({.dst = "192.0.2.11"}) / tcp({.dport = 81}),
               Reason::PORT_PASSED),
        passed("unmatched_pass_of_ipv6", eth() / tcp6(81, "2001:db8:a::11"), Reason::PORT_PASSED),
        passed("unmatched_pass_for_other_protocols", eth() / ip4({.dst = "192.0.2.11"}) / sctp(),
               Reason::PORT_PASSED),
        passed("unmatched_pass_for_icmp_types",
               eth() / ip4({.dst = "192.0.2.11"}) / icmp4({.type = 13}) / payload(12),
               Reason::PORT_PASSED),
        dropped("sctp_to_a_vip", eth() / ip4() / sctp() / payload(16),
                Reason::PROTOCOL_UNSUPPORTED),
        dropped("sctp_to_a_vip_of_ipv6", eth() / ip6() / sctp() / payload(16),
                Reason::PROTOCOL_UNSUPPORTED),
        dropped("ipip_to_a_vip", eth() / ip4() / ip4() / udp(), Reason::PROTOCOL_UNSUPPORTED),
        dropped("gre_to_a_vip", eth() / ip4() / gre() / ip4() / udp(),
                Reason::PROTOCOL_UNSUPPORTED),
        dropped("esp_to_a_vip_of_ipv6", eth() / ip6({.next = 50}) / payload(40),
                Reason::PROTOCOL_UNSUPPORTED),
        dropped("no_next_header_to_a_vip_of_ipv6", eth() / ip6({.next = 59}),
                Reason::PROTOCOL_UNSUPPORTED),
    };
}

std::vector<Case> not_ours() {
    return {
        passed("tcp_to_another_address", eth() / ip4({.dst = "192.0.2.12"}) / tcp(),
               Reason::NOT_OURS),
        passed("neighbour_of_a_vip_prefix", eth() / udp4(53, "192.0.2.127"), Reason::NOT_OURS),
        passed("ipv6_to_another_address", eth() / tcp6(80, "2001:db8:a::12"), Reason::NOT_OURS),
        passed("ipv6_beside_a_vip_prefix", eth() / udp6(53, "2001:db8:c::1"), Reason::NOT_OURS),
        passed("protected_prefix", eth() / ip4({.dst = "198.51.100.200"}) / tcp(),
               Reason::NOT_OURS),
        passed("protected_prefix_of_ipv6", eth() / tcp6(80, "2001:db8:9::1"), Reason::NOT_OURS),
        passed("tagged_and_not_ours", eth() / vlan(3) / ip4({.dst = "192.0.2.12"}) / tcp(),
               Reason::NOT_OURS),
        passed("ping_to_another_address",
               eth() / ip4({.dst = "192.0.2.12"}) / echo4() / payload(56), Reason::NOT_OURS),
        passed("ping_to_another_address_of_ipv6",
               eth() / ip6({.dst = "2001:db8:a::12"}) / echo6() / payload(56), Reason::NOT_OURS),
        passed("fragment_to_another_address",
               eth() / ip4({.dst = "192.0.2.12", .offset = 100, .proto = 17}) / payload(64),
               Reason::NOT_OURS),
        passed("malformed_to_another_address",
               eth() / ip4({.dst = "192.0.2.12", .words = 3, .len = 9}) / tcp({.flags = 0}),
               Reason::NOT_OURS),
        passed("martian_to_another_address",
               eth() / ip4({.src = "127.0.0.1", .dst = "192.0.2.12"}) / tcp(), Reason::NOT_OURS),
        passed("multicast_listener_query",
               eth() / ip6({.src = "fe80::1", .dst = "ff02::1", .hops = 1}) /
                   hop_by_hop({5, 2, 0, 0, 1, 0}) / icmp6({.type = 130}) / payload(20),
               Reason::NOT_OURS),
        passed("neighbour_solicitation_by_multicast",
               eth({.dst = "33:33:ff:00:00:10"}) / ip6({.dst = "ff02::1:ff00:10", .hops = 255}) /
                   icmp6({.type = 135}) / payload(24),
               Reason::NOT_OURS),
        passed("arp", eth({.dst = "ff:ff:ff:ff:ff:ff", .type = 0x0806}) / payload(28) / pad(18),
               Reason::NOT_IP),
        passed("lldp", eth({.dst = "01:80:c2:00:00:0e", .type = 0x88cc}) / payload(100),
               Reason::NOT_IP),
        passed("tagged_arp", eth() / raw({0, 5, 0x08, 0x06}) / payload(28), Reason::NOT_IP),
        passed("llc_frame", eth({.type = 46}) / payload(46), Reason::NOT_IP),
        passed("three_tags", eth() / vlan(1, 0x88a8) / vlan(2) / vlan(3) / ip4() / tcp(),
               Reason::VLAN_DEPTH),
    };
}

SLC_PACKET_TABLE(Ports, ports());
SLC_PACKET_TABLE(Prefixes, prefixes());
SLC_PACKET_TABLE(Unmatched, unmatched());
SLC_PACKET_TABLE(NotOurs, not_ours());

}  // namespace
}  // namespace sluice::packet
