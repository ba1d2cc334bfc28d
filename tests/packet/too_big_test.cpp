// SPDX-License-Identifier: Apache-2.0
//
// What would not fit the egress, and what just fits; jumbo frames, which span several buffers.
#include <fmt/format.h>

#include "sluice/limits.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "mtu.yaml";

std::size_t overhead(const std::string& mode, bool out6) {
    const std::size_t ip = out6 ? 40 : 20;
    if (mode == "gre") return ip + 4;
    if (mode == "gue") return ip + 12;
    return ip;
}

Packet tunnel(const std::string& mode, const char* to) {
    if (mode == "gue") return outer_gue(to);
    if (mode == "gre") return outer(to) / gre();
    return outer(to);
}

/// An IP packet of exactly `size` bytes.
Packet sized(bool six, std::size_t size, std::uint16_t port, bool df = true) {
    const std::size_t headers = (six ? 40 : 20) + 20;
    const Packet ip = six ? ip6() : ip4({.df = df});
    return ip / tcp({.dport = port, .flags = kAck}) / payload(size - headers);
}

Packet answer(bool six, std::uint32_t mtu, const Packet& ip, const Packet& tags = {}) {
    const Packet link = eth({.dst = kClientMac, .src = kNodeMac}) / tags;
    if (six)
        return link / ip6({.src = kVip6, .dst = kClient6}) / icmp6({.type = 2, .rest = mtu}) /
               quote(ip, SLC_ICMP6_QUOTE_LEN);
    return link / ip4({.src = kVip4, .dst = kClient4, .id = 0}) /
           icmp4({.type = 3, .code = 4, .rest = mtu}) / quote(ip, SLC_ICMP4_QUOTE_LEN);
}

std::vector<Case> at_the_edge() {
    std::vector<Case> rows;
    int base = 1000;
    for (const std::string mode : {"ipip", "gre", "gue"}) {
        base += 10;
        for (int combination = 0; combination < 4; ++combination) {
            const bool six = (combination & 2) != 0;
            const bool out6 = (combination & 1) != 0;
            const char* to = out6 ? "fd00::b" : "10.0.0.11";
            const auto port = static_cast<std::uint16_t>(base + (out6 ? 6 : 4));
            const std::size_t fits = 1500 - overhead(mode, out6);
            const std::string name = fmt::format("{}_{}in{}", mode, six ? 6 : 4, out6 ? 6 : 4);
            const std::string service = fmt::format("{}-{}in{}", mode, six ? 6 : 4, out6 ? 6 : 4);
            const Packet good = sized(six, fits, port);
            const Packet bad = sized(six, fits + 1, port);
            const Packet full = sized(six, 1500, port);
            rows.push_back({.name = "just_fits_" + name,
                            .config = kConfig,
                            .in = eth() / good,
                            .want = tx(Reason::FORWARDED, tunnel(mode, to) / good),
                            .service = service,
                            .backend = to});
            rows.push_back({.name = "one_byte_too_long_" + name,
                            .config = kConfig,
                            .in = eth() / bad,
                            .want = tx(Reason::TOO_BIG_REPLIED,
                                       answer(six, static_cast<std::uint32_t>(fits), bad)),
                            .service = service});
            rows.push_back(
                {.name = "full_packet_through_tags_" + name,
                 .config = kConfig,
                 .in = eth() / vlan(8, 0x88a8) / vlan(9) / full,
                 .want = tx(Reason::TOO_BIG_REPLIED, answer(six, static_cast<std::uint32_t>(fits),
                                                            full, vlan(8, 0x88a8) / vlan(9))),
                 .service = service});
            if (six) continue;
            rows.push_back({.name = "may_be_fragmented_" + name,
                            .config = kConfig,
                            .in = eth() / sized(six, fits + 1, port, false),
                            .want = drop(Reason::TOO_BIG_DF_CLEAR),
                            .service = service});
        }
    }
    return rows;
}

std::vector<Case> never_answered() {
    const Packet later4 =
        ip4({.id = 5, .df = true, .mf = true, .offset = 200, .proto = 17}) / payload(1480);
    const Packet first4 =
        ip4({.id = 5, .df = true, .mf = true}) / udp({.dport = 1014, .len = 4000}) / payload(200);
    const Packet later6 = ip6() / fragment6({.offset = 200, .id = 7, .next = 17}) / payload(1450);
    const Packet first6 =
        ip6() / fragment6({.mf = true, .id = 7}) / udp({.dport = 1014, .len = 4000}) / payload(200);
    const Packet error = ip4({.src = "203.0.113.1", .df = true}) / icmp4({.type = 3, .code = 4}) /
                         ip4({.src = kVip4, .dst = kClient4}) /
                         udp({.sport = 1014, .dport = 40000}) / payload(1440);
    const Packet error6 = ip6({.src = "2001:db8:f::1"}) / icmp6({.type = 2}) /
                          ip6({.src = kVip6, .dst = kClient6}) /
                          udp({.sport = 1014, .dport = 40000}) / payload(1400);
    return {
        {.name = "later_fragment_too_long",
         .config = kConfig,
         .before = {eth() / first4},
         .in = eth() / later4,
         .want = drop(Reason::TOO_BIG_UNANSWERED),
         .service = "ipip-4in4"},
        {.name = "later_fragment_of_ipv6_too_long",
         .config = kConfig,
         .before = {eth() / first6},
         .in = eth() / later6,
         .want = drop(Reason::TOO_BIG_UNANSWERED),
         .service = "ipip-6in4"},
        {.name = "icmp_error_too_long",
         .config = kConfig,
         .in = eth() / error,
         .want = drop(Reason::TOO_BIG_UNANSWERED),
         .service = "ipip-4in4"},
        {.name = "icmpv6_error_too_long",
         .config = kConfig,
         .in = eth() / error6,
         .want = drop(Reason::TOO_BIG_UNANSWERED),
         .service = "ipip-6in4"},
    };
}

std::vector<Case> others() {
    const Packet l2 = sized(false, 1500, 1040);
    const Packet l2_bad = sized(false, 1501, 1040);
    const Packet l2_bad6 = sized(true, 1501, 1040);
    const Packet least4 = sized(false, 1261, 1050);
    const Packet least6 = sized(true, 1241, 1050);
    const Packet at_rate = sized(false, 1500, 80);
    const Packet at_rate6 = sized(true, 1500, 80);
    return {
        {.name = "packet_by_broadcast_too_long",
         .config = kConfig,
         .in = eth({.dst = "ff:ff:ff:ff:ff:ff"}) / sized(false, 1500, 1014),
         .want = drop(Reason::TOO_BIG_UNANSWERED),
         .service = "ipip-4in4"},
        {.name = "l2_needs_no_room",
         .config = kConfig,
         .in = eth() / l2,
         .want = tx(Reason::FORWARDED, link_to("10.0.0.11") / l2),
         .service = "l2-4"},
        {.name = "l2_to_a_smaller_mtu",
         .config = kConfig,
         .in = eth() / l2_bad,
         .want = tx(Reason::TOO_BIG_REPLIED, answer(false, 1500, l2_bad)),
         .service = "l2-4"},
        {.name = "l2_to_a_smaller_mtu_of_ipv6",
         .config = kConfig,
         .in = eth() / l2_bad6,
         .want = tx(Reason::TOO_BIG_REPLIED, answer(true, 1500, l2_bad6)),
         .service = "l2-6"},
        {.name = "mtu_of_1280",
         .config = kConfig,
         .in = eth() / least4,
         .want = tx(Reason::TOO_BIG_REPLIED, answer(false, 1260, least4)),
         .service = "least-4"},
        // RFC 8200 section 5: nobody is told less than 1,280.
        {.name = "ipv6_is_never_told_less_than_1280",
         .config = kConfig,
         .in = eth() / least6,
         .want = tx(Reason::TOO_BIG_REPLIED, answer(true, 1280, least6)),
         .service = "least-6"},
        {.name = "second_answer_at_one_a_second",
         .config = "rate.yaml",
         .before = {eth() / at_rate},
         .in = eth() / at_rate,
         .want = drop(Reason::TOO_BIG_UNANSWERED),
         .service = "web"},
        {.name = "second_answer_of_ipv6_at_one_a_second",
         .config = "rate.yaml",
         .before = {eth() / at_rate},
         .in = eth() / at_rate6,
         .want = drop(Reason::TOO_BIG_UNANSWERED),
         .service = "web6"},
    };
}

/// MTU 9000 in forward.yaml: frames of three buffers.
std::vector<Case> jumbo() {
    std::vector<Case> rows;
    int base = 1000;
    for (const std::string mode : {"ipip", "gre", "gue"}) {
        base += 10;
        for (int combination = 0; combination < 4; ++combination) {
            const bool six = (combination & 2) != 0;
            const bool out6 = (combination & 1) != 0;
            const char* to = out6 ? "fd00::5" : "10.0.0.5";
            const auto port = static_cast<std::uint16_t>(base + (out6 ? 6 : 4));
            const std::size_t fits = 9000 - overhead(mode, out6);
            const std::string name = fmt::format("{}_{}in{}", mode, six ? 6 : 4, out6 ? 6 : 4);
            const Packet good = sized(six, fits, port);
            const Packet bad = sized(six, fits + 1, port);
            rows.push_back({.name = "jumbo_" + name,
                            .config = "forward.yaml",
                            .in = eth() / good,
                            .want = tx(Reason::FORWARDED, tunnel(mode, to) / good)});
            rows.push_back({.name = "jumbo_too_long_" + name,
                            .config = "forward.yaml",
                            .in = eth() / bad,
                            .want = tx(Reason::TOO_BIG_REPLIED,
                                       answer(six, static_cast<std::uint32_t>(fits), bad))});
            if (six) continue;
            // No checksum inside covers it: the outer one of GUE must read all of it.
            const Packet bare = ip4() / udp({.dport = port, .checksum = 0}) / payload(8801);
            rows.push_back({.name = "jumbo_without_checksum_" + name,
                            .config = "forward.yaml",
                            .in = eth() / bare,
                            .want = tx(Reason::FORWARDED, tunnel(mode, to) / bare)});
            const Packet trailing = ip4() / udp({.dport = port}) / payload(7001);
            rows.push_back({.name = "jumbo_with_trailer_" + name,
                            .config = "forward.yaml",
                            .in = eth() / trailing / pad(999, 0xaa),
                            .want = tx(Reason::FORWARDED, tunnel(mode, to) / trailing)});
        }
    }
    return rows;
}

SLC_PACKET_TABLE(TooBigEdge, at_the_edge());
SLC_PACKET_TABLE(TooBigOthersNeverAnswered, never_answered());
SLC_PACKET_TABLE(TooBigOthers, others());
SLC_PACKET_TABLE(Jumbo, jumbo());

}  // namespace
}  // namespace sluice::packet
