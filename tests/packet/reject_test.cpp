// SPDX-License-Identifier: Apache-2.0
//
// What clients hear of a service that has nobody and says so: resets and port unreachables, and
// never an answer to what must not be answered.
#include <fmt/format.h>

#include "sluice/limits.h"
#include "tests/packet/harness.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "reject.yaml";

Packet back(const Packet& tags = {}) {
    return eth({.dst = kClientMac, .src = kNodeMac}) / tags;
}

Packet ip_back(bool six) {
    return six ? ip6({.src = kVip6, .dst = kClient6})
               : ip4({.src = kVip4, .dst = kClient4, .id = 0, .df = true});
}

/// The answer to what has an ACK, and to what has none.
Packet reset_at(std::uint32_t seq) {
    return tcp({.sport = 80, .dport = 40000, .seq = seq, .flags = kRst, .window = 0});
}

Packet reset_up_to(std::uint32_t ack) {
    return tcp({.sport = 80,
                .dport = 40000,
                .seq = 0,
                .ack = ack,
                .flags = std::uint8_t{kRst | kAck},
                .window = 0});
}

/// ICMP port unreachable about an IP packet.
Packet unreachable(bool six, const Packet& ip) {
    if (six)
        return ip6({.src = kVip6, .dst = kClient6}) / icmp6({.type = 1, .code = 4}) /
               quote(ip, SLC_ICMP6_QUOTE_LEN);
    return ip4({.src = kVip4, .dst = kClient4, .id = 0}) / icmp4({.type = 3, .code = 3}) /
           quote(ip, SLC_ICMP4_QUOTE_LEN);
}

Case row(std::string name, Packet in, Want want, std::string service) {
    return {.name = std::move(name),
            .config = kConfig,
            .in = std::move(in),
            .want = std::move(want),
            .service = std::move(service)};
}

struct Segment {
    const char* name;
    Tcp tcp;
    std::size_t payload;
    Packet want;
};

/// RFC 9293 3.10.7.1.
std::vector<Case> segments() {
    const auto flags = [](int bits) { return static_cast<std::uint8_t>(bits); };
    const Bytes options{2, 4, 5, 180, 4, 2, 1, 3, 3, 7, 0, 0};
    const Segment segments[] = {
        {"syn", {.seq = 1000}, 0, reset_up_to(1001)},
        {"syn_with_options", {.seq = 1000, .options = options}, 0, reset_up_to(1001)},
        {"syn_with_data", {.seq = 1000}, 10, reset_up_to(1011)},
        {"syn_with_options_and_data", {.seq = 7, .options = options}, 1000, reset_up_to(1008)},
        {"syn_at_the_end_of_numbers", {.seq = 0xffffffff}, 0, reset_up_to(0)},
        {"syn_with_ecn", {.seq = 9, .flags = flags(kSyn | kEce | kCwr)}, 0, reset_up_to(10)},
        {"ack", {.ack = 0xdeadbeef, .flags = kAck}, 0, reset_at(0xdeadbeef)},
        {"ack_of_nothing", {.flags = kAck}, 0, reset_at(0)},
        {"data", {.ack = 77, .flags = flags(kPsh | kAck)}, 1001, reset_at(77)},
        {"urgent", {.ack = 77, .flags = flags(kUrg | kAck)}, 3, reset_at(77)},
        {"syn_ack", {.ack = 77, .flags = flags(kSyn | kAck)}, 0, reset_at(77)},
        {"fin", {.ack = 78, .flags = flags(kFin | kAck)}, 0, reset_at(78)},
        {"fin_with_data",
         {.ack = 78, .flags = flags(kFin | kAck), .options = options},
         99,
         reset_at(78)},
    };
    std::vector<Case> rows;
    for (const Segment& segment : segments)
        for (const bool six : {false, true})
            rows.push_back(
                row(fmt::format("{}{}_is_reset", segment.name, six ? "_in_ipv6" : ""),
                    eth() / (six ? ip6() : ip4()) / tcp(segment.tcp) / payload(segment.payload),
                    tx(Reason::REJECTED_RESET, back() / ip_back(six) / segment.want),
                    six ? "web6" : "web"));
    return rows;
}

std::vector<Case> segments_in_other_shapes() {
    const Packet tags = vlan(9, 0x88a8) / vlan(10);
    const Packet want = ip_back(false) / reset_up_to(1001);
    const Packet want6 = ip_back(true) / reset_up_to(1001);
    const auto answered = [](Packet out) { return tx(Reason::REJECTED_RESET, back() / out); };
    return {
        row("syn_through_two_tags_is_reset", eth() / tags / ip4() / tcp(),
            tx(Reason::REJECTED_RESET, back(tags) / want), "web"),
        row("padded_syn_is_reset", eth() / ip4() / tcp() / pad(6), answered(want), "web"),
        row("syn_behind_options_is_reset", eth() / ip4({.options = Bytes(40, 1)}) / tcp(),
            answered(want), "web"),
        row("syn_of_another_class_is_reset", eth() / ip4({.tos = 0xb9, .ttl = 1}) / tcp(),
            answered(want), "web"),
        row("syn_behind_extension_headers_is_reset",
            eth() / ip6({.flow = 0xfffff}) / hop_by_hop() / dest_opts() / tcp(), answered(want6),
            "web6"),
        row("syn_in_a_lone_fragment_is_reset",
            eth() / ip6() / fragment6({.id = 7, .next = 6}) / tcp(), answered(want6), "web6"),
        row("jumbo_segment_is_reset",
            eth() / ip4() / tcp({.ack = 5, .flags = kAck}) / payload(8900),
            answered(ip_back(false) / reset_at(5)), "web"),
        row("jumbo_segment_of_ipv6_is_reset",
            eth() / ip6() / tcp({.ack = 5, .flags = kAck}) / payload(8900),
            answered(ip_back(true) / reset_at(5)), "web6"),
    };
}

std::vector<Case> datagrams() {
    std::vector<Case> rows;
    for (const std::size_t size : {0, 1, 2, 17, 18, 100, 483, 484, 485, 975, 976, 977, 1472, 8900})
        for (const bool six : {false, true}) {
            const Packet ip = (six ? ip6() : ip4({.ttl = 3})) / udp({.dport = 80}) / payload(size);
            rows.push_back(
                row(fmt::format("datagram_of_{}{}_is_unreachable", size, six ? "_in_ipv6" : ""),
                    eth() / ip, tx(Reason::REJECTED_UNREACHABLE, back() / unreachable(six, ip)),
                    six ? "web6" : "web"));
        }
    const auto answered = [](const char* name, bool six, const Packet& ip, const Packet& link,
                             const Packet& behind, const Packet& tags) {
        return row(name, eth() / link / ip / behind,
                   tx(Reason::REJECTED_UNREACHABLE, back(tags) / unreachable(six, ip)),
                   six ? "web6" : "web");
    };
    const Packet tags = vlan(9, 0x88a8) / vlan(10);
    const Packet plain = ip4() / udp({.dport = 80}) / payload(3);
    const Packet options = ip4({.options = Bytes(40, 1)}) / udp({.dport = 80}) / payload(600);
    const Packet unsummed = ip4() / udp({.dport = 80, .checksum = 0}) / payload(30);
    const Packet extended = ip6() / dest_opts(Bytes(14, 0)) / udp({.dport = 80}) / payload(20);
    const Packet first = ip4({.id = 5, .mf = true}) / udp({.dport = 80, .len = 4000}) / payload(64);
    const Packet first6 =
        ip6() / fragment6({.mf = true, .id = 7}) / udp({.dport = 80, .len = 4000}) / payload(64);
    rows.push_back(
        answered("datagram_through_two_tags_is_unreachable", false, plain, tags, {}, tags));
    rows.push_back(answered("padding_is_not_quoted", false, plain, {}, pad(15), {}));
    rows.push_back(answered("options_are_quoted", false, options, {}, {}, {}));
    rows.push_back(answered("datagram_without_a_sum_is_unreachable", false, unsummed, {}, {}, {}));
    rows.push_back(answered("extension_headers_are_quoted", true, extended, {}, {}, {}));
    rows.push_back(answered("first_fragment_is_unreachable", false, first, {}, {}, {}));
    rows.push_back(answered("first_fragment_of_ipv6_is_unreachable", true, first6, {}, {}, {}));
    return rows;
}

std::vector<Case> never_answered() {
    const auto refused = [](std::string name, Packet in, std::string service) {
        Case out = row(std::move(name), std::move(in), drop(Reason::REJECTED_UNANSWERED),
                       std::move(service));
        out.inner_sums = false;
        return out;
    };
    const std::uint8_t rst_ack = kRst | kAck;
    const Packet group = eth({.dst = "ff:ff:ff:ff:ff:ff"});
    const Packet multicast = eth({.dst = "33:33:00:00:00:01"});
    const Packet datagram = udp({.dport = 80, .checksum = 0x1234}) / payload(40);
    return {
        refused("reset_is_not_answered", eth() / ip4() / tcp({.flags = kRst}), "web"),
        refused("reset_with_ack_is_not_answered", eth() / ip4() / tcp({.flags = rst_ack}), "web"),
        refused("reset_of_ipv6_is_not_answered", eth() / ip6() / tcp({.flags = kRst}), "web6"),
        refused("damaged_segment_is_not_answered", eth() / ip4() / tcp({.checksum = 0x1234}),
                "web"),
        refused("damaged_segment_of_ipv6_is_not_answered",
                eth() / ip6() / tcp({.checksum = 0x1234}), "web6"),
        refused("damaged_datagram_is_not_answered", eth() / ip4() / datagram, "web"),
        refused("damaged_datagram_of_ipv6_is_not_answered", eth() / ip6() / datagram, "web6"),
        refused("datagram_of_ipv6_without_a_sum_is_not_answered",
                eth() / ip6() / udp({.dport = 80, .checksum = 0}) / payload(8), "web6"),
        refused("damaged_header_is_not_answered", eth() / ip4({.checksum = 0x1234}) / tcp(), "web"),
        refused("syn_by_broadcast_is_not_answered", group / ip4() / tcp(), "web"),
        refused("datagram_by_multicast_is_not_answered",
                multicast / ip6() / udp({.dport = 80}) / payload(8), "web6"),
        refused("first_fragment_of_a_segment_is_not_answered",
                eth() / ip4({.mf = true}) / tcp({.flags = kAck}) / payload(64), "web"),
    };
}

/// Where it is not this stage's business.
std::vector<Case> elsewhere() {
    const Packet error = ip4({.src = "203.0.113.1"}) / icmp4({.type = 3, .code = 3}) /
                         ip4({.src = kVip4, .dst = kClient4}) / tcp({.sport = 80, .dport = 40000});
    const Packet syn = ip4() / tcp({.dport = 84});
    return {
        row("later_fragment_is_dropped",
            eth() / ip4({.id = 5, .offset = 9, .proto = 17}) / payload(64),
            drop(Reason::FRAG_UNKNOWN), ""),
        row("icmp_error_is_dropped", eth() / error, drop(Reason::NO_BACKEND), "web"),
        row("service_that_says_nothing_drops", eth() / ip4() / tcp({.dport = 83}),
            drop(Reason::NO_BACKEND), "quiet"),
        row("service_with_somebody_forwards", eth() / syn,
            tx(Reason::FORWARDED, outer("10.0.0.5") / syn), "somebody"),
    };
}

/// By every way on which a packet finds nobody.
std::vector<Case> ways() {
    std::vector<Case> rows;
    const auto mark = [](std::uint64_t flags) {
        return [flags](Bench& bench) {
            for (std::uint64_t& slot : bench.generation().slots()) slot |= flags;
        };
    };
    const std::pair<const char*, std::uint16_t> services[] = {
        {"web", 80}, {"empty", 81}, {"leans", 82}, {"always", 85}};
    const std::pair<const char*, std::uint64_t> slots[] = {
        {"steady", 0}, {"marked", SLC_SLOT_MARKED}, {"open", SLC_SLOT_MARKED | SLC_SLOT_OPEN}};
    for (const auto& [service, port] : services)
        for (const auto& [state, flags] : slots) {
            const bool asks = std::string_view(service) != "empty" &&
                              (flags != 0 || std::string_view(service) == "always");
            const FlowCounts counts{.misses = asks ? 1u : 0u};
            const std::string name = fmt::format("{}_{}_", service, state);
            const Packet in = ip4() / tcp({.dport = port});
            Case syn = row(name + "syn", eth() / in,
                           tx(Reason::REJECTED_RESET, back() / ip_back(false) /
                                                          tcp({.sport = port,
                                                               .dport = 40000,
                                                               .seq = 0,
                                                               .ack = 1001,
                                                               .flags = std::uint8_t{kRst | kAck},
                                                               .window = 0})),
                           service);
            const Packet first =
                ip4({.mf = true}) / udp({.dport = port, .len = 4000}) / payload(64);
            Case fragment =
                row(name + "fragment", eth() / first,
                    tx(Reason::REJECTED_UNREACHABLE, back() / unreachable(false, first)), service);
            for (Case* made : {&syn, &fragment}) {
                made->prepare = mark(flags);
                made->counts = counts;
                rows.push_back(std::move(*made));
            }
        }
    return rows;
}

std::vector<Case> at_one_a_second() {
    const Packet syn = eth() / ip4() / tcp();
    const Packet datagram = eth() / ip4() / udp({.dport = 80}) / payload(8);
    const Packet too_long = ip4({.df = true}) / tcp({.dport = 82, .flags = kAck}) / payload(1460);
    const Packet too_big = ip4({.src = kVip4, .dst = kClient4, .id = 0}) /
                           icmp4({.type = 3, .code = 4, .rest = 1480}) /
                           quote(too_long, SLC_ICMP4_QUOTE_LEN);
    const auto second = [](std::string name, Packet before, Packet in, std::string service) {
        return Case{.name = std::move(name),
                    .config = "reject_rate.yaml",
                    .before = {std::move(before)},
                    .in = std::move(in),
                    .want = drop(Reason::REJECTED_UNANSWERED),
                    .service = std::move(service)};
    };
    const Bytes id{0xb7, 6, 0, 0, 0, 9, 1, 1};
    return {
        second("second_reset_at_one_a_second", syn, syn, "web"),
        second("datagram_behind_a_reset_at_one_a_second", syn, datagram, "web"),
        second("reset_behind_a_datagram_at_one_a_second", datagram, syn, "web"),
        second("reset_of_ipv6_behind_one_at_one_a_second", syn, eth() / ip6() / tcp(), "web6"),
        {.name = "echo_behind_resets_is_answered",
         .config = "reject_rate.yaml",
         .before = {syn, syn, datagram},
         .in = eth() / ip4() / echo4(),
         .want = tx(Reason::ECHO_REPLIED,
                    back() / ip4({.src = kVip4, .dst = kClient4}) / echo4(1, 1, 0))},
        {.name = "reset_behind_echoes_is_sent",
         .config = "reject_rate.yaml",
         .before = {eth() / ip4() / echo4(), eth() / ip4() / echo4()},
         .in = syn,
         .want = tx(Reason::REJECTED_RESET, back() / ip_back(false) / reset_up_to(1001)),
         .service = "web"},
        {.name = "too_big_of_a_healthy_service_behind_resets_is_sent",
         .config = "reject_rate.yaml",
         .before = {syn, syn, datagram},
         .in = eth() / too_long,
         .want = tx(Reason::TOO_BIG_REPLIED, back() / too_big),
         .service = "well"},
        {.name = "reset_behind_one_that_needs_no_answer",
         .config = "reject_rate.yaml",
         .before = {eth() / ip4() / tcp({.flags = kRst})},
         .in = syn,
         .want = tx(Reason::REJECTED_RESET, back() / ip_back(false) / reset_up_to(1001)),
         .service = "web"},
        {.name = "segment_that_names_nobody_is_reset",
         .config = "reject_rate.yaml",
         .in = eth() / ip4() / tcp({.dport = 81, .ack = 3, .flags = kAck, .options = id}),
         .want = tx(Reason::REJECTED_RESET,
                    back() / ip_back(false) /
                        tcp({.sport = 81, .dport = 40000, .seq = 3, .flags = kRst, .window = 0})),
         .service = "named",
         .counts = {.ids_unknown = 1}},
    };
}

SLC_PACKET_TABLE(RejectSegments, segments());
SLC_PACKET_TABLE(RejectShapes, segments_in_other_shapes());
SLC_PACKET_TABLE(RejectDatagrams, datagrams());
SLC_PACKET_TABLE(RejectNeverAnswered, never_answered());
SLC_PACKET_TABLE(RejectElsewhere, elsewhere());
SLC_PACKET_TABLE(RejectWays, ways());
SLC_PACKET_TABLE(RejectRate, at_one_a_second());

}  // namespace
}  // namespace sluice::packet
