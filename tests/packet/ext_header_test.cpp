// SPDX-License-Identifier: Apache-2.0
//
// IPv6 extension headers, RFC 8200 section 4.
#include <fmt/format.h>

#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "forward.yaml";

Packet big_options(std::size_t size) {
    Bytes body(size - 2, 0);
    body[0] = 1;  // PadN over all of it, as far as its length can say
    body[1] = static_cast<std::uint8_t>(std::min<std::size_t>(size - 4, 255));
    return dest_opts(body);
}

std::vector<std::pair<std::string, Packet>> chains() {
    Packet eight = hop_by_hop();
    for (int i = 0; i < 7; ++i) eight = eight / dest_opts();
    return {
        {"hop_by_hop", hop_by_hop()},
        {"dest_opts", dest_opts()},
        {"routing_without_segments_left", routing(0, 253)},
        {"auth", auth()},
        {"auth_of_another_size", auth(20)},
        {"atomic_fragment", fragment6()},
        {"all_in_order", hop_by_hop() / dest_opts() / routing(0, 253) / auth() / dest_opts()},
        {"eight", eight},
        {"one_long", big_options(256)},
        {"three_long", big_options(512) / big_options(512) / big_options(512)},
    };
}

std::vector<Case> forwarded() {
    std::vector<Case> rows;
    for (const auto& [name, chain] : chains())
        for (const auto& [mode, port] : std::vector<std::pair<std::string, int>>{
                 {"ipip", 1014}, {"gre", 1026}, {"gue", 1034}, {"gue6", 1036}}) {
            const auto dport = static_cast<std::uint16_t>(port);
            const char* to = port % 10 == 6 ? "fd00::5" : "10.0.0.5";
            const Packet tunnel = mode == "ipip"  ? outer(to)
                                  : mode == "gre" ? outer(to) / gre()
                                                  : outer_gue(to);
            for (const bool is_tcp : {true, false}) {
                const Packet end = is_tcp ? tcp({.dport = dport}) / payload(13)
                                          : udp({.dport = dport}) / payload(14);
                const Packet ip = ip6() / chain / end;
                rows.push_back({.name = fmt::format("{}_{}_{}", name, is_tcp ? "tcp" : "udp", mode),
                                .config = kConfig,
                                .in = eth() / ip,
                                .want = tx(Reason::FORWARDED, tunnel / ip),
                                .backend = to});
            }
        }
    return rows;
}

Case dropped(std::string name, const Packet& packet, Reason reason) {
    return {.name = std::move(name), .config = kConfig, .in = packet, .want = drop(reason)};
}

std::vector<Case> refused() {
    Packet nine = hop_by_hop();
    for (int i = 0; i < 8; ++i) nine = nine / dest_opts();
    const Packet end = tcp({.dport = 1014});
    const Extension too_long{.protocol = 60, .len = 200};
    return {
        dropped("nine_headers", eth() / ip6() / nine / end, Reason::EXT_HEADER_CHAIN),
        dropped("hop_by_hop_in_second_place", eth() / ip6() / dest_opts() / hop_by_hop() / end,
                Reason::EXT_HEADER_CHAIN),
        dropped("hop_by_hop_twice", eth() / ip6() / hop_by_hop() / hop_by_hop() / end,
                Reason::EXT_HEADER_CHAIN),
        dropped("routing_type_zero", eth() / ip6() / routing(1, 0) / end, Reason::EXT_HEADER_CHAIN),
        dropped("routing_with_segments_left", eth() / ip6() / routing(1, 253) / end,
                Reason::EXT_HEADER_CHAIN),
        dropped("two_fragment_headers", eth() / ip6() / fragment6() / fragment6() / end,
                Reason::EXT_HEADER_CHAIN),
        dropped("fragment_inside_an_atomic_fragment",
                eth() / ip6() / fragment6({.mf = true}) / fragment6({.id = 9}) / end,
                Reason::EXT_HEADER_CHAIN),
        dropped("header_longer_than_the_packet", eth() / ip6() / extension(too_long) / end,
                Reason::EXT_HEADER_CHAIN),
        dropped("chain_ends_with_the_packet",
                eth() / ip6() / extension({.protocol = 60, .next = 6}), Reason::HDR_TRUNCATED),
        dropped("packet_ends_inside_a_header", eth() / ip6({.next = 60}) / raw({6, 0, 1, 4}),
                Reason::HDR_TRUNCATED),
        dropped("packet_ends_inside_a_header_before_padding",
                eth() / ip6({.next = 60}) / raw({6, 0, 1, 4}) / pad(40), Reason::EXT_HEADER_CHAIN),
        dropped("transport_cut_behind_headers",
                eth() / ip6() / extension({.protocol = 0, .next = 6}) / payload(19),
                Reason::HDR_TRUNCATED),
        dropped("flags_are_judged_behind_headers",
                eth() / ip6() / dest_opts() / tcp({.dport = 1014, .flags = 0}),
                Reason::TCP_FLAGS_INVALID),
        dropped("lengths_are_judged_behind_headers",
                eth() / ip6() / dest_opts() / udp({.dport = 1014, .len = 99}), Reason::UDP_LEN),
        dropped("no_such_port_behind_headers", eth() / ip6() / dest_opts() / tcp({.dport = 7}),
                Reason::NO_SUCH_PORT),
        dropped("sctp_behind_headers", eth() / ip6() / dest_opts() / sctp(),
                Reason::PROTOCOL_UNSUPPORTED),
        dropped("no_next_header", eth() / ip6() / extension({.protocol = 60, .next = 59}),
                Reason::PROTOCOL_UNSUPPORTED),
        dropped("jumbogram", eth() / ip6({.len = 0}) / hop_by_hop({0xc2, 4, 0, 1, 0, 0}) / end,
                Reason::EXT_HEADER_CHAIN),
    };
}

std::vector<Case> others() {
    const Packet headers = ip6() / hop_by_hop() / dest_opts();
    const Packet elsewhere = ip6({.dst = "2001:db8:ffff::1"}) / hop_by_hop() / hop_by_hop();
    const Packet answer = ip6({.src = kVip6, .dst = kClient6}) / hop_by_hop() / dest_opts() /
                          echo6(5, 6, 129) / payload(48);
    return {
        {.name = "ping_behind_headers",
         .config = kConfig,
         .in = eth() / headers / echo6(5, 6) / payload(48),
         .want = tx(Reason::ECHO_REPLIED, eth({.dst = kClientMac, .src = kNodeMac}) / answer)},
        {.name = "strange_chain_to_another_address",
         .config = kConfig,
         .in = eth() / elsewhere / tcp(),
         .want = pass(Reason::NOT_OURS)},
    };
}

SLC_PACKET_TABLE(ExtensionsForwarded, forwarded());
SLC_PACKET_TABLE(ExtensionsRefused, refused());
SLC_PACKET_TABLE(ExtensionsOthers, others());

}  // namespace
}  // namespace sluice::packet
