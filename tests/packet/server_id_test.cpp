// SPDX-License-Identifier: Apache-2.0
//
// TCP server ids: kind 0xB7, wherever it stands among the options. The ring of ids.yaml has one
// backend, the one whose address ends in 5; all others are found by id alone.
#include <fmt/format.h>

#include "tests/packet/harness.h"
#include "tests/packet/quic.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "ids.yaml";
constexpr std::uint16_t kPort = 7001;
constexpr int kByRing = 5;
constexpr FlowCounts kUnknown{.ids_unknown = 1};
constexpr std::size_t kRoom = 40;

std::string backend(int number, bool six) {
    return fmt::format("{}{}", six ? "fd00::" : "10.0.0.", number);
}

Case sent_to(std::string name, const Packet& packet, bool six, int number, FlowCounts counts = {}) {
    const std::string to = backend(number, six);
    const Reason reason = number == kByRing ? Reason::FORWARDED : Reason::FORWARDED_SERVER_ID;
    return {.name = std::move(name) + (six ? "_ip6" : "_ip4"),
            .config = kConfig,
            .in = packet,
            .want = tx(reason, outer(to.c_str()) / inner(packet)),
            .service = six ? "tcp-6" : "tcp-4",
            .backend = to,
            .counts = counts};
}

Packet ip_of(bool six) {
    return six ? ip6() : ip4();
}

Packet segment(bool six, const Bytes& options, std::uint8_t flags = kAck | kPsh,
               std::uint16_t port = kPort) {
    return eth() / ip_of(six) / tcp({.dport = port, .flags = flags, .options = options}) /
           payload(20);
}

Bytes nops(std::size_t count) {
    return Bytes(count, 1);
}

const Bytes kTimestamps = {8, 10, 1, 2, 3, 4, 5, 6, 7, 8};

std::vector<Case> every_place() {
    std::vector<Case> rows;
    for (const bool six : {false, true})
        for (std::size_t at = 0; at + 6 <= kRoom; ++at) {
            const Bytes id = server_id_option(0x1234);
            rows.push_back(sent_to(fmt::format("option_behind_{}_nops", at),
                                   segment(six, join({nops(at), id})), six, 22));
            // One option of `at` bytes in front.
            if (at < 2) continue;
            Bytes other(at, 0xb7);
            other[0] = 253;
            other[1] = static_cast<std::uint8_t>(at);
            rows.push_back(sent_to(fmt::format("option_behind_one_of_{}_bytes", at),
                                   segment(six, join({other, id})), six, 22));
        }
    return rows;
}

std::vector<Case> among_others() {
    std::vector<Case> rows;
    const Bytes id = server_id_option(1);
    const Bytes mss = {2, 4, 5, 0xb4}, scale = {3, 3, 7}, permitted = {4, 2};
    Bytes sack(18, 0xb7);
    sack[0] = 5;
    sack[1] = 18;
    for (const bool six : {false, true}) {
        const std::pair<const char*, Bytes> sets[] = {
            {"alone", id},
            {"behind_timestamps", join({nops(2), kTimestamps, id})},
            {"before_timestamps", join({id, nops(2), kTimestamps})},
            {"behind_sack", join({sack, kTimestamps, id})},
            {"behind_everything", join({mss, permitted, kTimestamps, scale, nops(1), id})},
            {"before_the_end", join({id, {0, 0}})},
            {"at_the_very_end", join({nops(34), id})},
        };
        for (const auto& [name, options] : sets)
            rows.push_back(sent_to(fmt::format("option_{}", name), segment(six, options), six, 21));
    }
    return rows;
}

/// The search ends at the first option that is none; what it did not see is not counted.
std::vector<Case> malformed() {
    std::vector<Case> rows;
    const Bytes id = server_id_option(1);
    for (const bool six : {false, true}) {
        const std::tuple<const char*, Bytes, FlowCounts> sets[] = {
            {"no_options", {}, {}},
            {"other_options_only", join({nops(2), kTimestamps}), {}},
            {"nothing_but_nops", nops(40), {}},
            {"id_behind_the_end", join({{0}, id}), {}},
            {"id_behind_length_0", join({{253, 0}, id}), {}},
            {"id_behind_length_1", join({{253, 1}, id}), {}},
            {"id_behind_length_beyond_the_header", join({{253, 200}, id}), {}},
            {"id_inside_another_option", join({{253, 8}, id}), {}},
            {"option_of_5_bytes", {0xb7, 5, 0, 0, 1, 1, 1, 1}, kUnknown},
            {"option_of_7_bytes", {0xb7, 7, 0, 0, 0, 1, 0, 1}, kUnknown},
            {"option_of_2_bytes", {0xb7, 2, 0xb7, 6, 0, 0, 0, 1}, kUnknown},
            {"option_of_0_bytes", {0xb7, 0, 0, 0, 0, 1, 1, 1}, kUnknown},
            {"option_longer_than_the_header", {1, 1, 1, 0xb7, 6, 0, 0, 0}, {}},
            {"unknown_id", server_id_option(0x9999), kUnknown},
            {"id_of_another_group", server_id_option(0x77), kUnknown},
            {"id_in_the_other_byte_order", server_id_option(0x01000000), kUnknown},
            {"unknown_id_before_a_known_one", join({server_id_option(0x9999), id}), kUnknown},
        };
        for (const auto& [name, options, counts] : sets)
            rows.push_back(sent_to(fmt::format("server_id_{}", name), segment(six, options), six,
                                   kByRing, counts));
    }
    return rows;
}

std::vector<Case> values() {
    std::vector<Case> rows;
    constexpr std::pair<std::uint32_t, int> kIds[] = {
        {0, 25}, {1, 21}, {0x42, 27}, {0x1234, 22}, {0xc4605e, 23}, {0x89abcdef, 24}};
    for (const bool six : {false, true})
        for (const auto& [id, number] : kIds)
            rows.push_back(sent_to(fmt::format("server_id_{:x}", id),
                                   segment(six, server_id_option(id)), six, number));
    return rows;
}

std::vector<Case> by_flags() {
    std::vector<Case> rows;
    constexpr std::tuple<const char*, std::uint8_t, bool> kFlags[] = {
        {"syn", kSyn, false},
        {"syn_with_ecn", kSyn | kEce | kCwr, false},
        {"syn_ack", kSyn | kAck, false},
        {"ack", kAck, true},
        {"push", kAck | kPsh, true},
        {"urgent", kAck | kUrg, true},
        {"fin", kFin | kAck, true},
        {"reset", kRst, true},
        {"reset_ack", kRst | kAck, true}};
    for (const bool six : {false, true})
        for (const auto& [name, flags, looked] : kFlags)
            rows.push_back(sent_to(fmt::format("server_id_on_{}", name),
                                   segment(six, server_id_option(1), flags), six,
                                   looked ? 21 : kByRing));
    return rows;
}

std::vector<Case> elsewhere() {
    const Bytes id = server_id_option(1);
    const Packet end = tcp({.dport = kPort, .flags = kAck, .options = id}) / payload(20);
    const Bytes options(40, 1);
    std::vector<Case> rows = {
        sent_to("server_id_behind_a_vlan_tag", eth() / vlan(5) / ip4() / end, false, 21),
        sent_to("server_id_behind_qinq", eth() / vlan(5, 0x88a8) / vlan(6) / ip6() / end, true, 21),
        sent_to("server_id_behind_ip_options", eth() / ip4({.options = options}) / end, false, 21),
        sent_to("server_id_behind_extension_headers",
                eth() / ip6() / hop_by_hop(Bytes(254, 0)) / dest_opts() / end, true, 21),
        sent_to("server_id_in_the_first_of_two_buffers", eth() / ip4() / end / payload(8000), false,
                21),
        sent_to("server_id_in_the_first_of_two_buffers", eth() / ip6() / end / payload(8000), true,
                21),
    };
    for (const bool six : {false, true}) {
        const Packet behind = eth() / ip_of(six) / tcp({.dport = kPort, .flags = kAck}) / raw(id);
        rows.push_back(sent_to("server_id_in_the_payload", behind, six, kByRing));
        const Packet datagram = eth() / ip_of(six) / udp({.dport = kPort}) / raw(id) / raw(id);
        rows.push_back(sent_to("server_id_in_a_datagram", datagram, six, kByRing));
        Case plain = sent_to("server_id_to_a_service_without_routing", segment(six, id, kAck, 7020),
                             six, kByRing);
        plain.service = six ? "ring-6" : "ring-4";
        rows.push_back(plain);
    }
    return rows;
}

std::vector<Case> of_members() {
    std::vector<Case> rows;
    for (const bool six : {false, true}) {
        rows.push_back(sent_to("server_id_of_a_failed_backend",
                               segment(six, server_id_option(0x42)), six, kByRing, kUnknown));
        rows.back().prepare = [six](Bench& bench) {
            const std::uint32_t id = bench.member_of(six ? "ids4-6" : "ids4-4", backend(27, six));
            bench.generation().set_down(id, true);
        };
    }
    return rows;
}

Flow first_flow(bool six) {
    return {.src = six ? kClient6 : kClient4, .dst = six ? kVip6 : kVip4, .dport = kPort};
}

std::vector<Case> in_fragments() {
    std::vector<Case> rows;
    for (const bool six : {false, true}) {
        const Packet whole =
            segment(six, join({nops(2), kTimestamps, server_id_option(1)})) / payload(3000);
        const auto parts = fragments(whole, 1400);
        rows.push_back(sent_to("server_id_in_a_first_fragment", parts[0], six, 21));
        rows.back().flow = first_flow(six);
        rows.push_back(sent_to("server_id_of_the_first_fragment_decides", parts[1], six, 21));
        rows.back().want.reason = Reason::FORWARDED_FRAGMENT;
        rows.back().before = {parts[0]};
        rows.back().flow = Flow{.src = six ? kClient6 : kClient4,
                                .dst = six ? kVip6 : kVip4,
                                .proto = six ? std::uint8_t{0} : std::uint8_t{6},
                                .fragment_id = 0x4242};
        // 32 of 38 bytes: the option's last two are in the next one.
        rows.push_back(
            sent_to("server_id_cut_by_a_fragment", fragments(whole, 32)[0], six, kByRing));
        rows.back().flow = first_flow(six);
    }
    for (Case& row : rows) row.inner_sums = false;
    return rows;
}

std::vector<Case> errors() {
    std::vector<Case> rows;
    for (const bool six : {false, true}) {
        const Packet sent =
            (six ? ip6({.src = kVip6, .dst = kClient6}) : ip4({.src = kVip4, .dst = kClient4})) /
            tcp({.sport = kPort, .dport = 40000, .flags = kAck, .options = server_id_option(1)});
        const Packet error = six ? ip6({.src = "2001:db8:f::1"}) / icmp6({.type = 1}) / quote(sent)
                                 : ip4({.src = "203.0.113.1"}) / icmp4({.type = 11}) / quote(sent);
        rows.push_back(
            sent_to("error_about_a_connection_routed_by_id", eth() / error, six, kByRing));
        rows.back().want.reason = Reason::FORWARDED_ICMP_UNSURE;
        rows.back().flow =
            Flow{.src = six ? kClient6 : kClient4, .dst = six ? kVip6 : kVip4, .dport = kPort};
    }
    return rows;
}

SLC_PACKET_TABLE(ServerIds, every_place() + among_others() + malformed() + values() + by_flags());
SLC_PACKET_TABLE(ServerIdsElsewhere, elsewhere() + of_members() + in_fragments() + errors());

}  // namespace
}  // namespace sluice::packet
