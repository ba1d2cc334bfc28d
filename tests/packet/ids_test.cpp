// SPDX-License-Identifier: Apache-2.0
//
// QUIC connection ids that name a backend: every format, both header forms, both families. The ring
// of ids.yaml has one backend, the one whose address ends in 5; all others are found by id alone.
#include <fmt/format.h>

#include "tests/packet/harness.h"
#include "tests/packet/quic.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "ids.yaml";
constexpr std::uint16_t kKatran = 7002, kGue = 7003, kLb1 = 7011, kLb2 = 7012, kLb3 = 7013,
                        kLb4 = 7014, kLb15 = 7015, kRing = 7020;
constexpr int kByRing = 5;
constexpr FlowCounts kUnknown{.ids_unknown = 1};

const Bytes kLongId = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

std::string service_of(std::uint16_t port, bool six) {
    const char* name = port == kKatran ? "katran"
                       : port == kGue  ? "gue"
                       : port == kLb1  ? "lb1"
                       : port == kLb2  ? "lb2"
                       : port == kLb3  ? "lb3"
                       : port == kLb4  ? "lb4"
                       : port == kLb15 ? "lb15"
                                       : "ring";
    return fmt::format("{}-{}", name, six ? 6 : 4);
}

std::string backend(int number, bool six) {
    return fmt::format("{}{}", six ? "fd00::" : "10.0.0.", number);
}

/// `packet` (with its link) to `port` reaches backend `number` of its family.
Case sent_to(std::string name, const Packet& packet, bool six, std::uint16_t port, int number,
             FlowCounts counts = {}) {
    const std::string to = backend(number, six);
    const Packet tunnel = port == kGue ? outer_gue(to.c_str()) : outer(to.c_str());
    const Reason reason = number == kByRing ? Reason::FORWARDED : Reason::FORWARDED_CONNECTION_ID;
    return {.name = std::move(name) + (six ? "_ip6" : "_ip4"),
            .config = kConfig,
            .in = packet,
            .want = tx(reason, tunnel / inner(packet)),
            .service = service_of(port, six),
            .backend = to,
            .counts = counts};
}

Packet datagram(bool six, std::uint16_t port, const Bytes& content) {
    return eth() / (six ? ip6() : ip4()) / udp({.dport = port}) / raw(content);
}

/// One connection id in everything that may carry it.
struct Named {
    const char* name;
    std::uint16_t port;
    Bytes id;
    int number;  ///< The backend it names; kByRing: none.
};

std::vector<Named> ids_that_name() {
    return {
        {"katran_version_1", kKatran, katran_id(1, 0x1234), 22},
        {"katran_version_1_of_one_byte", kKatran, katran_id(1, 1), 21},
        {"katran_version_2", kKatran, katran_id(2, 0xc4605e), 23},
        {"katran_version_2_of_two_bytes", kKatran, katran_id(2, 0x1234), 22},
        {"katran_version_3", kKatran, katran_id(3, 1), 21},
        {"katran_version_3_beyond_31_bits", kKatran, katran_id(3, 0x89abcdef), 24},
        {"katran_id_zero", kKatran, katran_id(3, 0), 25},
        {"katran_gue", kGue, katran_id(2, 1), 21},
        {"lb_one_byte", kLb1, quic_lb_id(0, {1}), 21},
        {"lb_one_byte_zero", kLb1, quic_lb_id(0, {0}), 25},
        {"lb_two_bytes", kLb2, quic_lb_id(3, {0x12, 0x34}), 22},
        {"lb_two_bytes_with_a_zero", kLb2, quic_lb_id(3, {0, 1}), 21},
        // Appendix B of the draft: server id c4605e, nonce 4504cc4f, first octet 07.
        {"lb_vector_of_the_draft", kLb3, quic_lb_id(0, {0xc4, 0x60, 0x5e}), 23},
        {"lb_four_bytes", kLb4, quic_lb_id(6, {0x89, 0xab, 0xcd, 0xef}), 24},
        {"lb_fifteen_bytes", kLb15, quic_lb_id(1, kLongId), 26},
        {"lb_fifteen_bytes_mostly_zero", kLb15, quic_lb_id(1, number_bytes(0x1234, 15)), 22},
        {"lb_without_a_nonce", kLb3, quic_lb_id(0, {0xc4, 0x60, 0x5e}, {}), 23},
        {"lb_with_the_longest_nonce", kLb3, quic_lb_id(0, {0xc4, 0x60, 0x5e}, Bytes(16, 7)), 23},
    };
}

std::vector<Named> ids_that_name_nobody() {
    return {
        {"katran_version_0", kKatran, katran_id(0, 1), kByRing},
        {"katran_unknown_id", kKatran, katran_id(2, 0x999), kByRing},
        {"katran_id_of_another_group", kKatran, katran_id(2, 0x77), kByRing},
        {"lb_unroutable", kLb1, quic_lb_id(7, {1}), kByRing},
        {"lb_rotation_of_nobody", kLb1, quic_lb_id(1, {1}), kByRing},
        {"lb_rotation_of_another_service", kLb2, quic_lb_id(6, {0x12, 0x34}), kByRing},
        {"lb_unknown_id", kLb1, quic_lb_id(0, {9}), kByRing},
        {"lb_id_of_another_length", kLb2, quic_lb_id(3, {1, 0}), kByRing},
        {"lb_id_of_another_group", kLb1, quic_lb_id(0, {0x77}), kByRing},
        {"lb_fifteen_bytes_but_the_last", kLb15, quic_lb_id(1, Bytes(15, 1)), kByRing},
    };
}

struct Version {
    const char* name;
    std::uint32_t number;
    std::size_t every;  ///< How many of the ids to try: all, or one in so many.
};
constexpr Version kVersions[] = {
    {"v1", kQuic1, 1}, {"v2", kQuic2, 4}, {"mvfst", 0xfaceb002, 7}, {"draft_29", 0xff00001d, 9}};
constexpr std::pair<const char*, QuicType> kTypes[] = {{"initial", QuicType::initial},
                                                       {"zero_rtt", QuicType::zero_rtt},
                                                       {"handshake", QuicType::handshake},
                                                       {"retry", QuicType::retry}};

std::vector<Case> in_short_headers() {
    std::vector<Case> rows;
    for (const bool six : {false, true}) {
        for (const Named& item : ids_that_name())
            rows.push_back(sent_to(fmt::format("short_header_{}", item.name),
                                   datagram(six, item.port, quic_short(item.id)), six, item.port,
                                   item.number));
        for (const Named& item : ids_that_name_nobody())
            rows.push_back(sent_to(fmt::format("short_header_{}", item.name),
                                   datagram(six, item.port, quic_short(item.id)), six, item.port,
                                   kByRing, kUnknown));
    }
    return rows;
}

/// Initial and 0-RTT carry an id of the client's choice: Katran does not look, the draft does, and
/// neither counts what names nobody.
std::vector<Case> in_long_headers() {
    std::vector<Case> rows;
    const auto add = [&](bool six, const char* type_name, QuicType type, const Version& version,
                         const Named& item) {
        const bool first = type == QuicType::initial || type == QuicType::zero_rtt;
        const bool katran = item.port == kKatran || item.port == kGue;
        const bool known = item.number != kByRing;
        rows.push_back(sent_to(fmt::format("{}_{}_{}", type_name, version.name, item.name),
                               datagram(six, item.port, quic_long(type, item.id, version.number)),
                               six, item.port, first && katran ? kByRing : item.number,
                               known || first ? FlowCounts{} : kUnknown));
    };
    for (const bool six : {false, true})
        for (const auto& [type_name, type] : kTypes)
            for (const Version& version : kVersions) {
                const std::vector<Named> known = ids_that_name(), unknown = ids_that_name_nobody();
                for (std::size_t i = 0; i < known.size(); i += version.every)
                    add(six, type_name, type, version, known[i]);
                for (std::size_t i = 0; i < unknown.size(); i += version.every)
                    add(six, type_name, type, version, unknown[i]);
            }
    return rows;
}

/// A packet that ends `left` bytes behind its UDP header names somebody from `least` bytes on.
struct Cut {
    const char* name;
    std::uint16_t port;
    Bytes whole;
    std::size_t least;
    int number;
    std::size_t counted_from;  ///< Bytes that say that a server should have chosen the id.
};

std::vector<Case> truncated() {
    const Cut cuts[] = {
        {"short_katran", kKatran, quic_short(katran_id(1, 1)), 1 + 8, 21, 1},
        {"short_lb1", kLb1, quic_short(quic_lb_id(0, {1})), 1 + 2, 21, 1},
        {"short_lb4", kLb4, quic_short(quic_lb_id(6, {0x89, 0xab, 0xcd, 0xef})), 1 + 5, 24, 1},
        {"short_lb15", kLb15, quic_short(quic_lb_id(1, kLongId)), 1 + 16, 26, 1},
        {"long_katran", kKatran, quic_long(QuicType::handshake, katran_id(2, 1)), 6 + 8, 21, 6},
        {"long_lb1", kLb1, quic_long(QuicType::handshake, quic_lb_id(0, {1})), 6 + 2, 21, 6},
        {"long_lb15", kLb15, quic_long(QuicType::handshake, quic_lb_id(1, kLongId)), 6 + 16, 26, 6},
        {"initial_lb1", kLb1, quic_long(QuicType::initial, quic_lb_id(0, {1})), 6 + 2, 21, 999},
        {"initial_katran", kKatran, quic_long(QuicType::initial, katran_id(2, 1)), 999, 5, 999},
    };
    std::vector<Case> rows;
    for (const bool six : {false, true})
        for (const Cut& cut : cuts)
            for (std::size_t size = 0; size <= 6 + 16 + 2; ++size) {
                const Bytes part(cut.whole.begin(), cut.whole.begin() + static_cast<long>(size));
                const bool named = size >= cut.least;
                const FlowCounts counts =
                    !named && size >= cut.counted_from ? kUnknown : FlowCounts{};
                rows.push_back(sent_to(fmt::format("{}_of_{}_bytes", cut.name, size),
                                       datagram(six, cut.port, part), six, cut.port,
                                       named ? cut.number : kByRing, counts));
            }
    return rows;
}

/// Lengths of connection ids in long headers, 0 to 255, whatever follows.
std::vector<Case> stated_lengths() {
    std::vector<Case> rows;
    for (const bool six : {false, true})
        for (const std::size_t stated : {0, 1, 2, 3, 4, 7, 8, 15, 16, 20, 21, 255}) {
            Bytes katran = quic_long(QuicType::handshake, katran_id(2, 1));
            Bytes draft = quic_long(QuicType::handshake, quic_lb_id(0, {0xc4, 0x60, 0x5e}));
            katran[5] = draft[5] = static_cast<std::uint8_t>(stated);
            const bool enough8 = stated >= 8, enough4 = stated >= 4;
            rows.push_back(sent_to(fmt::format("katran_id_said_to_have_{}_bytes", stated),
                                   datagram(six, kKatran, katran), six, kKatran,
                                   enough8 ? 21 : kByRing, enough8 ? FlowCounts{} : kUnknown));
            rows.push_back(sent_to(fmt::format("lb_id_said_to_have_{}_bytes", stated),
                                   datagram(six, kLb3, draft), six, kLb3, enough4 ? 23 : kByRing,
                                   enough4 ? FlowCounts{} : kUnknown));
        }
    return rows;
}

/// What stands behind the datagram in its packet, or behind the packet in its frame, is no id.
std::vector<Case> behind_the_end() {
    std::vector<Case> rows;
    const Bytes whole = quic_short(quic_lb_id(6, {0x89, 0xab, 0xcd, 0xef}));
    const Bytes half(whole.begin(), whole.begin() + 4);
    const Bytes rest(whole.begin() + 4, whole.begin() + 16);
    for (const bool six : {false, true}) {
        const Packet ip = six ? ip6() : ip4();
        Packet padded = eth() / ip / udp({.dport = kLb4}) / raw(half);
        padded.layers.emplace_back(Pad{rest});
        Case behind_packet = sent_to("id_goes_on_in_padding", padded, six, kLb4, kByRing, kUnknown);
        // Padding to the least length of a frame goes along.
        if (!six) behind_packet.want.frame->layers.emplace_back(Pad{rest});
        rows.push_back(behind_packet);
        const Packet surplus =
            eth() / ip / udp({.dport = kLb4, .len = 8 + 4, .checksum = 0x1234}) / raw(whole);
        Case behind_datagram =
            sent_to("id_goes_on_behind_the_datagram", surplus, six, kLb4, kByRing, kUnknown);
        behind_datagram.inner_sums = false;
        rows.push_back(behind_datagram);
    }
    return rows;
}

/// The id is found behind whatever headers stand in front of it.
std::vector<Case> elsewhere_in_the_frame() {
    const Bytes options(40, 1);
    const Bytes content = quic_short(katran_id(3, 0x89abcdef));
    const Packet end = udp({.dport = kKatran}) / raw(content);
    const auto row = [](const char* name, const Packet& packet, bool six) {
        return sent_to(name, packet, six, kKatran, 24);
    };
    const Packet chain = hop_by_hop(Bytes(254, 0)) / dest_opts() / auth();
    return {
        row("id_behind_a_vlan_tag", eth() / vlan(5) / ip4() / end, false),
        row("id_behind_qinq", eth() / vlan(5, 0x88a8) / vlan(6) / ip6() / end, true),
        row("id_behind_ip_options", eth() / ip4({.options = options}) / end, false),
        row("id_behind_extension_headers", eth() / ip6() / chain / end, true),
        row("id_in_an_atomic_fragment", eth() / ip6() / fragment6() / end, true),
        row("id_in_the_first_of_two_buffers", eth() / ip4() / end / payload(8000), false),
        row("id_in_the_first_of_two_buffers", eth() / ip6() / end / payload(8000), true),
    };
}

/// Ids are none where the service does not ask for them.
std::vector<Case> not_looked_at() {
    std::vector<Case> rows;
    const Bytes content = quic_short(katran_id(2, 1));
    for (const bool six : {false, true}) {
        rows.push_back(sent_to("id_to_a_service_without_routing", datagram(six, kRing, content),
                               six, kRing, kByRing));
        const Packet segment =
            eth() / (six ? ip6() : ip4()) / tcp({.dport = kKatran, .flags = kAck}) / raw(content);
        rows.push_back(sent_to("id_in_tcp", segment, six, kKatran, kByRing));
        rows.push_back(
            sent_to("datagram_without_payload", datagram(six, kKatran, {}), six, kKatran, kByRing));
    }
    return rows;
}

/// A failed backend's id is unknown; that of one in drain is not (10.0.0.23 above).
std::vector<Case> of_members() {
    std::vector<Case> rows;
    for (const bool six : {false, true}) {
        const auto set = [six](Bench& bench, std::uint32_t flags, bool gone) {
            const std::uint32_t id = bench.member_of(six ? "ids1-6" : "ids1-4", backend(27, six));
            slc_member& member = bench.generation().members()[id];
            member.flags |= flags;
            if (gone) member.group = 0;
        };
        const Packet packet = datagram(six, kLb1, quic_short(quic_lb_id(0, {0x42})));
        rows.push_back(sent_to("id_of_a_live_backend", packet, six, kLb1, 27));
        rows.push_back(sent_to("id_of_a_failed_backend", packet, six, kLb1, kByRing, kUnknown));
        rows.back().prepare = [set](Bench& bench) { set(bench, SLC_MEMBER_DOWN, false); };
        rows.push_back(
            sent_to("id_of_a_backend_of_no_group", packet, six, kLb1, kByRing, kUnknown));
        rows.back().prepare = [set](Bench& bench) { set(bench, 0, true); };
    }
    return rows;
}

Flow later_flow(bool six) {
    return {.src = six ? kClient6 : kClient4,
            .dst = six ? kVip6 : kVip4,
            .proto = six ? std::uint8_t{0} : std::uint8_t{17},
            .fragment_id = 0x4242};
}

Flow first_flow(bool six, std::uint8_t proto) {
    return {.src = six ? kClient6 : kClient4,
            .dst = six ? kVip6 : kVip4,
            .dport = kKatran,
            .proto = proto};
}

std::vector<Case> in_fragments() {
    std::vector<Case> rows;
    for (const bool six : {false, true}) {
        const Packet whole = datagram(six, kKatran, quic_short(katran_id(1, 1))) / payload(3000);
        const auto parts = fragments(whole, 1400);
        rows.push_back(sent_to("id_in_a_first_fragment", parts[0], six, kKatran, 21));
        rows.back().flow = first_flow(six, 17);
        rows.push_back(
            sent_to("id_in_the_first_fragment_decides_for_the_second", parts[1], six, kKatran, 21));
        rows.back().want.reason = Reason::FORWARDED_FRAGMENT;
        rows.back().before = {parts[0]};
        rows.back().flow = later_flow(six);
        const auto tiny = fragments(whole, 16);
        rows.push_back(sent_to("id_cut_by_a_fragment", tiny[0], six, kKatran, kByRing, kUnknown));
        rows.back().flow = first_flow(six, 17);
    }
    for (Case& row : rows) row.inner_sums = false;
    return rows;
}

/// What a router complains about holds the id of the wrong side: the ring is all there is.
std::vector<Case> errors() {
    std::vector<Case> rows;
    for (const bool six : {false, true})
        for (const bool is_udp : {true, false}) {
            const Packet ip =
                six ? ip6({.src = kVip6, .dst = kClient6}) : ip4({.src = kVip4, .dst = kClient4});
            const Packet sent = ip /
                                (is_udp ? udp({.sport = kKatran, .dport = 40000})
                                        : tcp({.sport = kKatran, .dport = 40000, .flags = kAck})) /
                                raw(quic_short(katran_id(1, 1)));
            const Packet error =
                six ? ip6({.src = "2001:db8:f::1"}) / icmp6({.type = 2, .rest = 1280}) / quote(sent)
                    : ip4({.src = "203.0.113.1"}) / icmp4({.type = 3, .code = 4, .rest = 1280}) /
                          quote(sent);
            rows.push_back(sent_to(is_udp ? "error_about_a_flow_routed_by_id"
                                          : "error_about_tcp_beside_flows_routed_by_id",
                                   eth() / error, six, kKatran, kByRing));
            rows.back().want.reason =
                is_udp ? Reason::FORWARDED_ICMP_UNSURE : Reason::FORWARDED_ICMP_ERROR;
            rows.back().flow = first_flow(six, is_udp ? 17 : 6);
        }
    return rows;
}

SLC_PACKET_TABLE(IdsInShortHeaders, in_short_headers());
SLC_PACKET_TABLE(IdsInLongHeaders, in_long_headers());
SLC_PACKET_TABLE(IdsCutShort, truncated() + stated_lengths() + behind_the_end());
SLC_PACKET_TABLE(IdsElsewhere, elsewhere_in_the_frame() + not_looked_at() + of_members() +
                                   in_fragments() + errors());

}  // namespace
}  // namespace sluice::packet
