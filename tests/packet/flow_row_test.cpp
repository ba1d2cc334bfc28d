// SPDX-License-Identifier: Apache-2.0
//
// Whole frames of flows in slots in transition, so that verify.py sees them; fragments that follow
// their first one; extension headers and VLANs on the way; and histories of more than one packet.
#include <fmt/format.h>

#include "tests/packet/flow_scene.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "flows.yaml";

/// A row of a situation whose packet is sent to `role`.
Case row_of(std::string name, const Situation& situation, Role role, Reason reason,
            FlowCounts counts) {
    const Packet packet = packet_of(situation);
    const char* to = kBackendOf[static_cast<int>(role)];
    return {.name = std::move(name) + (situation.six ? "_ip6" : "_ip4"),
            .config = kConfig,
            .prepare = [situation](Bench& bench) { arrange(bench, situation); },
            .in = packet,
            .want = tx(reason, outer(to) / inner(packet)),
            .service = situation.tracking + (situation.six ? "-6" : "-4"),
            .backend = to,
            .flow = flow_of(situation),
            .counts = counts,
            .inner_sums = situation.sent < Sent::first_part_of_syn};
}

constexpr FlowCounts kHit{.hits = 1};
constexpr FlowCounts kMiss{.misses = 1};
constexpr FlowCounts kInserted{.misses = 1, .inserts = 1};

std::vector<Case> followed() {
    std::vector<Case> rows;
    for (const bool six : {false, true})
        for (const Sent sent : kAllSent) {
            const Kept kept{is_udp(sent) ? SLC_FLOW_DATAGRAM : SLC_FLOW_ESTABLISHED, Role::third,
                            90};
            const Reason hit =
                is_error(sent) ? Reason::FORWARDED_ICMP_ERROR : Reason::FORWARDED_REMEMBERED;
            rows.push_back(row_of(fmt::format("{}_of_a_remembered_flow", name_of(sent)),
                                  {.six = six, .sent = sent, .kept = kept}, Role::third, hit,
                                  kHit));
            const Role to = is_syn(sent) ? Role::current : Role::previous;
            const Reason miss = is_error(sent) ? Reason::FORWARDED_ICMP_ERROR
                                : is_syn(sent) ? Reason::FORWARDED
                                               : Reason::FORWARDED_PREVIOUS;
            rows.push_back(row_of(fmt::format("{}_that_nobody_remembers", name_of(sent)),
                                  {.six = six, .sent = sent}, to, miss,
                                  is_error(sent) ? kMiss : kInserted));
        }
    return rows;
}

/// Tables that an earlier version has written know no families; what is written to them since does.
std::vector<Case> without_families() {
    const auto row = [](std::string name, Role kept, bool members_too, Role to, Reason reason,
                        FlowCounts counts) {
        const Situation situation{.kept = Kept{.role = kept, .left = 90}};
        Case out = row_of(std::move(name), situation, to, reason, counts);
        out.prepare = [situation, members_too](Bench& bench) {
            arrange(bench, situation);
            for (slc_service& service : bench.generation().services()) service.family = 0;
            if (!members_too) return;
            for (slc_member& member : bench.generation().members()) member.family = 0;
        };
        return out;
    };
    return {
        row("remembered_where_nothing_has_a_family", Role::third, true, Role::third,
            Reason::FORWARDED_REMEMBERED, kHit),
        row("remembered_where_only_members_have_families", Role::third, false, Role::third,
            Reason::FORWARDED_REMEMBERED, kHit),
        row("foreign_where_nothing_has_a_family", Role::other, true, Role::previous,
            Reason::FORWARDED_PREVIOUS, kInserted),
        row("foreign_where_only_members_have_families", Role::other, false, Role::previous,
            Reason::FORWARDED_PREVIOUS, kInserted),
    };
}

/// Each packet of `before` leaves what the row's own packet finds.
std::vector<Case> histories() {
    std::vector<Case> rows;
    for (const bool six : {false, true}) {
        const auto sent = [six](Sent what) { return packet_of({.six = six, .sent = what}); };
        const auto add = [&](const char* name, std::vector<Packet> before, Sent last, Role role,
                             Reason reason, FlowCounts counts) {
            rows.push_back(row_of(name, {.six = six, .sent = last}, role, reason, counts));
            rows.back().before = std::move(before);
        };
        const Reason remembered = Reason::FORWARDED_REMEMBERED;
        add("handshake_stays_where_its_syn_went", {sent(Sent::syn)}, Sent::ack, Role::current,
            remembered, kHit);
        add("syn_sent_again", {sent(Sent::syn)}, Sent::syn, Role::current, remembered, kHit);
        add("old_connection_stays", {sent(Sent::ack)}, Sent::ack, Role::previous, remembered, kHit);
        add("syn_of_a_third_party_moves_nothing", {sent(Sent::ack), sent(Sent::syn)}, Sent::ack,
            Role::previous, remembered, kHit);
        add("reset_of_a_third_party_ends_nothing", {sent(Sent::ack), sent(Sent::rst)}, Sent::ack,
            Role::previous, remembered, kHit);
        add("error_makes_no_flow", {sent(Sent::error_about_tcp)}, Sent::syn, Role::current,
            Reason::FORWARDED, kInserted);
        add("error_follows_a_new_connection", {sent(Sent::syn)}, Sent::error_about_tcp,
            Role::current, Reason::FORWARDED_ICMP_ERROR, kHit);
        add("datagrams_do_not_make_connections", {sent(Sent::udp)}, Sent::syn, Role::current,
            Reason::FORWARDED, kInserted);
    }
    return rows;
}

/// Later fragments go where the first one went, marked slot or not, and count as nothing new.
std::vector<Case> fragments_follow() {
    std::vector<Case> rows;
    for (const bool six : {false, true})
        for (const Sent sent : {Sent::first_part_of_tcp, Sent::first_part_of_udp}) {
            Situation situation{.six = six, .sent = sent};
            situation.kept =
                Kept{is_udp(sent) ? SLC_FLOW_DATAGRAM : SLC_FLOW_ESTABLISHED, Role::third, 90};
            const Packet first = packet_of(situation);
            const std::uint16_t port = 8001;
            const Packet whole =
                eth() / (six ? ip6() : ip4()) /
                (is_udp(sent) ? udp({.dport = port}) : tcp({.dport = port, .flags = kAck})) /
                payload(2000);
            const Packet second = fragments(whole, 1200)[1];
            rows.push_back(row_of(fmt::format("second_fragment_behind_{}", name_of(sent)),
                                  situation, Role::third, Reason::FORWARDED_FRAGMENT, {}));
            Case& row = rows.back();
            row.before = {first};
            row.in = second;
            row.want.frame = outer(kBackendOf[static_cast<int>(Role::third)]) / inner(second);
            row.flow = Flow{.src = six ? kClient6 : kClient4,
                            .dst = six ? kVip6 : kVip4,
                            .proto = six            ? std::uint8_t{0}
                                     : is_udp(sent) ? std::uint8_t{17}
                                                    : std::uint8_t{6},
                            .fragment_id = 0x4242};
        }
    return rows;
}

/// The same packet in other frames.
std::vector<Case> in_other_frames() {
    const Packet four = ip4() / tcp({.dport = 8001, .flags = kAck}) / payload(20);
    const Packet chain = hop_by_hop() / dest_opts();
    const Packet six = ip6() / chain / tcp({.dport = 8001, .flags = kAck}) / payload(20);
    const auto row = [](const char* name, const Packet& packet, bool is_six) {
        Case out = row_of(name, {.six = is_six, .kept = Kept{}}, Role::third,
                          Reason::FORWARDED_REMEMBERED, kHit);
        out.in = packet;
        out.want.frame = outer(kBackendOf[static_cast<int>(Role::third)]) / inner(packet);
        return out;
    };
    return {
        row("remembered_behind_a_vlan_tag", eth() / vlan(5) / four, false),
        row("remembered_behind_qinq", eth() / vlan(5, 0x88a8) / vlan(6) / four, false),
        row("remembered_behind_extension_headers", eth() / six, true),
        row("remembered_in_two_buffers", eth() / four / payload(8000), false),
    };
}

Case gue_row() {
    const Packet packet = eth() / ip4() / tcp({.dport = 8006, .flags = kAck}) / payload(20);
    const char* to = kBackendOf[static_cast<int>(Role::previous)];
    return {.name = "unremembered_through_gue",
            .config = kConfig,
            .prepare = [](Bench& bench) { arrange(bench, {}); },
            .in = packet,
            .want = tx(Reason::FORWARDED_PREVIOUS, outer_gue(to) / inner(packet)),
            .service = "gue-4",
            .backend = to,
            .counts = kInserted};
}

SLC_PACKET_TABLE(FlowRows, followed() + histories() + without_families());
SLC_PACKET_TABLE(FlowFrames, fragments_follow() + in_other_frames() + std::vector<Case>{gue_row()});

}  // namespace
}  // namespace sluice::packet
