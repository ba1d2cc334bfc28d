// SPDX-License-Identifier: Apache-2.0
//
// Packets for a VIP that no honest sender makes, each with the reason it is dropped for.
#include <fmt/format.h>

#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "services.yaml";

Case dropped(std::string name, const Packet& packet, Reason reason) {
    return {.name = std::move(name), .config = kConfig, .in = packet, .want = drop(reason)};
}

std::vector<Case> headers() {
    const Packet four = eth() / ip4() / tcp();
    const Packet six = eth() / ip6() / tcp();
    const Packet tagged = eth() / vlan(5) / ip4() / tcp();
    return {
        dropped("ends_inside_the_ipv4_header", cut(four, 14 + 19), Reason::HDR_TRUNCATED),
        dropped("ends_behind_ethernet", cut(four, 14), Reason::HDR_TRUNCATED),
        dropped("ends_inside_the_ipv6_header", cut(six, 14 + 39), Reason::HDR_TRUNCATED),
        dropped("ends_inside_the_tag", cut(tagged, 14 + 3), Reason::HDR_TRUNCATED),
        dropped("ends_inside_the_second_tag",
                cut(eth() / vlan(5, 0x88a8) / vlan(6) / ip4() / tcp(), 14 + 7),
                Reason::HDR_TRUNCATED),
        dropped("version_six_in_ipv4", eth() / ip4({.version = 6}) / tcp(), Reason::IP_VERSION),
        dropped("version_zero_in_ipv4", eth() / ip4({.version = 0}) / tcp(), Reason::IP_VERSION),
        dropped("version_four_in_ipv6", eth() / ip6({.version = 4}) / tcp(), Reason::IP_VERSION),
        dropped("header_of_sixteen_bytes", eth() / ip4({.words = 4}) / tcp(),
                Reason::IP_HEADER_LEN),
        dropped("header_of_no_bytes", eth() / ip4({.words = 0}) / tcp(), Reason::IP_HEADER_LEN),
        dropped("header_longer_than_the_packet", eth() / ip4({.words = 15}) / udp(),
                Reason::IP_HEADER_LEN),
        dropped("total_length_below_the_header", eth() / ip4({.len = 19}) / tcp(),
                Reason::IP_HEADER_LEN),
        dropped("total_length_zero", eth() / ip4({.len = 0}) / tcp(), Reason::IP_HEADER_LEN),
        dropped("total_length_beyond_the_frame", eth() / ip4({.len = 41}) / tcp(),
                Reason::IP_TOTAL_LEN),
        dropped("total_length_at_its_largest", eth() / ip4({.len = 65535}) / tcp(),
                Reason::IP_TOTAL_LEN),
        dropped("payload_length_beyond_the_frame", eth() / ip6({.len = 21}) / tcp(),
                Reason::IP_TOTAL_LEN),
        dropped("payload_length_at_its_largest", eth() / ip6({.len = 65535}) / tcp(),
                Reason::IP_TOTAL_LEN),
        dropped("frame_cut_short", cut(four, 14 + 38), Reason::IP_TOTAL_LEN),
        dropped("tagged_frame_cut_short", cut(tagged, 18 + 39), Reason::IP_TOTAL_LEN),
        dropped("ipv6_frame_cut_short", cut(six, 14 + 50), Reason::IP_TOTAL_LEN),
    };
}

std::vector<Case> sources() {
    std::vector<Case> rows;
    const std::pair<const char*, const char*> four[] = {
        {"unspecified", "0.0.0.0"}, {"this_network", "0.1.2.3"},
        {"loopback", "127.0.0.1"},  {"far_loopback", "127.255.255.254"},
        {"multicast", "224.0.0.5"}, {"last_multicast", "239.255.255.255"},
        {"reserved", "240.0.0.1"},  {"broadcast", "255.255.255.255"},
    };
    for (const auto& [what, src] : four)
        rows.push_back(dropped(fmt::format("source_{}", what), eth() / ip4({.src = src}) / tcp(),
                               Reason::IP_SOURCE_INVALID));
    const std::pair<const char*, const char*> six[] = {
        {"unspecified", "::"},
        {"loopback", "::1"},
        {"multicast", "ff02::1"},
        {"global_multicast", "ff0e::1234"},
    };
    for (const auto& [what, src] : six)
        rows.push_back(dropped(fmt::format("ipv6_source_{}", what),
                               eth() / ip6({.src = src}) / tcp(), Reason::IP_SOURCE_INVALID));
    rows.push_back(dropped("land", eth() / ip4({.src = kVip4}) / tcp({.sport = 80}), Reason::LAND));
    rows.push_back(
        dropped("land_from_another_port", eth() / ip4({.src = kVip4}) / udp(), Reason::LAND));
    rows.push_back(dropped("land_of_ipv6", eth() / ip6({.src = kVip6}) / tcp(), Reason::LAND));
    return rows;
}

/// RFC 9293: what the 64 combinations of the six old flags mean for a packet that starts anywhere.
bool some_tcp_sends(std::uint8_t flags) {
    const bool fin = (flags & kFin) != 0, syn = (flags & kSyn) != 0, rst = (flags & kRst) != 0,
               ack = (flags & kAck) != 0;
    if (syn) return !fin && !rst;
    if (rst) return !fin;
    return ack;
}

std::vector<Case> tcp_flags() {
    std::vector<Case> rows;
    for (int flags = 0; flags < 256; ++flags)
        for (const bool six : {false, true}) {
            // The two newer bits (ECE, CWR) change nothing: a few of those suffice.
            if (flags >= 64 && flags % 17 != 0) continue;
            const auto bits = static_cast<std::uint8_t>(flags);
            const Packet ip = six ? ip6() / tcp({.flags = bits}) : ip4() / tcp({.flags = bits});
            const char* to = six ? "fd00::5" : "10.0.0.5";
            Case row{.name = fmt::format("flags_{:02x}_vip{}", flags, six ? 6 : 4),
                     .config = kConfig,
                     .in = eth() / ip,
                     .want = drop(Reason::TCP_FLAGS_INVALID)};
            if (some_tcp_sends(bits)) row.want = tx(Reason::FORWARDED, outer(to) / ip);
            rows.push_back(row);
        }
    return rows;
}

std::vector<Case> transports() {
    const Packet four = eth() / ip4();
    const Packet six = eth() / ip6();
    return {
        dropped("tcp_of_nineteen_bytes", eth() / ip4({.proto = 6}) / payload(19),
                Reason::HDR_TRUNCATED),
        dropped("tcp_of_no_bytes", eth() / ip4({.proto = 6}) / pad(40), Reason::HDR_TRUNCATED),
        dropped("tcp_of_nineteen_bytes_in_ipv6", eth() / ip6({.next = 6}) / payload(19),
                Reason::HDR_TRUNCATED),
        dropped("udp_of_seven_bytes", eth() / ip4({.proto = 17}) / payload(7),
                Reason::HDR_TRUNCATED),
        dropped("udp_of_seven_bytes_and_padding", eth() / ip4({.proto = 17}) / payload(7) / pad(30),
                Reason::HDR_TRUNCATED),
        dropped("udp_of_no_bytes_in_ipv6", eth() / ip6({.next = 17}), Reason::HDR_TRUNCATED),
        dropped("icmp_of_seven_bytes", eth() / ip4({.proto = 1}) / payload(7),
                Reason::HDR_TRUNCATED),
        dropped("icmp_of_seven_bytes_in_ipv6", eth() / ip6({.next = 58}) / payload(7),
                Reason::HDR_TRUNCATED),
        dropped("tcp_offset_of_four_words", four / tcp({.words = 4}), Reason::TCP_HEADER_LEN),
        dropped("tcp_offset_zero", four / tcp({.words = 0}), Reason::TCP_HEADER_LEN),
        dropped("tcp_offset_beyond_the_packet", four / tcp({.words = 6}), Reason::TCP_HEADER_LEN),
        dropped("tcp_offset_into_padding", four / tcp({.words = 6}) / pad(10),
                Reason::TCP_HEADER_LEN),
        dropped("tcp_offset_beyond_the_packet_in_ipv6", six / tcp({.words = 15}) / payload(39),
                Reason::TCP_HEADER_LEN),
        dropped("udp_length_of_seven", four / udp({.dport = 50, .len = 7}) / payload(20),
                Reason::UDP_LEN),
        dropped("udp_length_zero", four / udp({.dport = 50, .len = 0}) / payload(20),
                Reason::UDP_LEN),
        dropped("udp_length_beyond_the_packet", four / udp({.dport = 50, .len = 29}) / payload(20),
                Reason::UDP_LEN),
        dropped("udp_length_into_padding",
                four / udp({.dport = 50, .len = 29}) / payload(20) / pad(20), Reason::UDP_LEN),
        dropped("udp_length_beyond_the_packet_in_ipv6",
                six / udp({.dport = 50, .len = 29}) / payload(20), Reason::UDP_LEN),
    };
}

/// Options that only Linux would look at go along untouched.
std::vector<Case> ipv4_options() {
    std::vector<Case> rows;
    for (const std::size_t size : {4U, 8U, 20U, 40U}) {
        Bytes options(size, 1);  // no operation
        options.back() = 0;
        const Packet ip = ip4({.options = options}) / tcp() / payload(11);
        rows.push_back({.name = fmt::format("options_of_{}_bytes", size),
                        .config = kConfig,
                        .in = eth() / ip,
                        .want = tx(Reason::FORWARDED, outer4("10.0.0.5") / ip),
                        .service = "exact"});
    }
    const Packet tagged = ip4({.options = Bytes(40, 1)}) / udp({.dport = 50}) / payload(3);
    rows.push_back({.name = "options_and_two_tags",
                    .config = kConfig,
                    .in = eth() / vlan(1, 0x88a8) / vlan(2) / tagged,
                    .want = tx(Reason::FORWARDED, outer4("10.0.0.23") / tagged)});
    rows.push_back(dropped("options_hide_a_cut_transport",
                           eth() / ip4({.proto = 6, .options = Bytes(40, 1)}) / payload(19),
                           Reason::HDR_TRUNCATED));
    return rows;
}

SLC_PACKET_TABLE(Headers, headers());
SLC_PACKET_TABLE(Sources, sources());
SLC_PACKET_TABLE(TcpFlags, tcp_flags());
SLC_PACKET_TABLE(Transports, transports());
SLC_PACKET_TABLE(Ipv4Options, ipv4_options());

}  // namespace
}  // namespace sluice::packet
