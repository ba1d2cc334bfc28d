// SPDX-License-Identifier: Apache-2.0
//
// Every way to forward, by family of the VIP and of the backend, and by what link leads there.
#include <fmt/format.h>

#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "forward.yaml";

Packet ip_to_vip(bool six, std::uint8_t tos = 0) {
    return six ? ip6({.traffic_class = tos, .flow = 0xabcde}) : ip4({.tos = tos, .df = true});
}

const char* backend(bool six, int number) {
    static const char* const four[] = {"10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8"};
    static const char* const sixes[] = {"fd00::5", "fd00::6", "fd00::7", "fd00::8"};
    return six ? sixes[number - 5] : four[number - 5];
}

Packet tunnel(const std::string& mode, const char* to, std::uint8_t tos = 0) {
    if (mode == "gue") return outer_gue(to, tos);
    if (mode == "gre") return outer(to, tos) / gre();
    return outer(to, tos);
}

/// TCP and UDP, empty, odd and even, with and without a UDP checksum.
std::vector<std::pair<std::string, Packet>> transports(std::uint16_t port, bool six) {
    std::vector<std::pair<std::string, Packet>> out = {
        {"syn", tcp({.dport = port, .options = {2, 4, 5, 0xb4, 1, 3, 3, 7}})},
        {"tcp_data", tcp({.dport = port, .ack = 9, .flags = kAck | kPsh}) / payload(333)},
        {"udp_even", udp({.dport = port}) / payload(100)},
        {"udp_odd", udp({.dport = port}) / payload(1)},
        {"udp_empty", udp({.dport = port})},
        {"tcp_long", tcp({.dport = port, .flags = kAck}) / payload(1460)},
    };
    if (!six)
        out.emplace_back("udp_without_checksum", udp({.dport = port, .checksum = 0}) / payload(77));
    return out;
}

/// ipip, gre and gue from either family into either family.
std::vector<Case> tunnels() {
    std::vector<Case> rows;
    int base = 1000;
    for (const std::string mode : {"ipip", "gre", "gue"}) {
        base += 10;
        for (int combination = 0; combination < 4; ++combination) {
            const bool vip6 = (combination & 2) != 0;
            const bool out6 = (combination & 1) != 0;
            const auto port = static_cast<std::uint16_t>(base + (out6 ? 6 : 4));
            for (const auto& [what, transport] : transports(port, vip6)) {
                const Packet ip = ip_to_vip(vip6) / transport;
                const char* to = backend(out6, 5);
                rows.push_back(
                    {.name = fmt::format("{}_{}in{}_{}", mode, vip6 ? 6 : 4, out6 ? 6 : 4, what),
                     .config = kConfig,
                     .in = eth() / ip,
                     .want = tx(Reason::FORWARDED, tunnel(mode, to) / ip),
                     .service = fmt::format("{}-{}in{}", mode, vip6 ? 6 : 4, out6 ? 6 : 4),
                     .backend = to});
            }
        }
    }
    return rows;
}

/// Links in and out: untagged, VLAN, QinQ; sent back or by another interface.
std::vector<Case> links() {
    struct Out {
        const char* service;
        const char* mode;
        std::uint16_t port;
        int number;
        bool always6;
    };
    static constexpr Out kOuts[] = {
        {"vlan", "ipip", 1060, 6, false},      {"qinq", "ipip", 1070, 7, false},
        {"redirect", "ipip", 1080, 8, false},  {"l2", "l2", 1040, 5, false},
        {"l2-vlan", "l2", 1140, 6, false},     {"l2-qinq", "l2", 1150, 7, false},
        {"l2-redirect", "l2", 1160, 8, false}, {"gue-qinq", "gue", 1170, 7, true},
        {"gre-qinq", "gre", 1180, 7, true},
    };
    const std::vector<std::pair<std::string, Packet>> ins = {
        {"untagged", eth()},
        {"vlan", eth() / vlan(42)},
        {"priority_tag", eth() / vlan(0)},
        {"qinq", eth() / vlan(7, 0x88a8) / vlan(42)},
        {"two_c_tags", eth() / vlan(7) / vlan(42)},
    };
    std::vector<Case> rows;
    for (const Out& out : kOuts)
        for (const bool six : {false, true})
            for (const auto& [in_name, link] : ins) {
                const Packet ip = ip_to_vip(six) / tcp({.dport = out.port}) / payload(200);
                const char* to = backend(six || out.always6, out.number);
                const std::string mode = out.mode;
                const Packet want = mode == "l2" ? link_to(to) / ip : tunnel(mode, to) / ip;
                Case row{.name = fmt::format("{}_to_{}_vip{}", in_name, out.service, six ? 6 : 4),
                         .config = kConfig,
                         .in = link / ip,
                         .want = out.number == 8 ? redirect(Reason::FORWARDED, want)
                                                 : tx(Reason::FORWARDED, want),
                         .service = fmt::format("{}-{}", out.service, six ? 6 : 4),
                         .backend = to};
                for (char& c : row.name)
                    if (c == '-') c = '_';
                rows.push_back(row);
            }
    return rows;
}

std::vector<Case> not_sent() {
    std::vector<Case> rows;
    for (const bool six : {false, true}) {
        const auto to_port = [&](std::uint16_t port) {
            return eth() / ip_to_vip(six) / tcp({.dport = port}) / payload(20);
        };
        const std::string vip = six ? "vip6" : "vip4";
        const std::string end = six ? "-6" : "-4";
        rows.push_back({.name = "local_service_is_delivered_" + vip,
                        .config = kConfig,
                        .in = to_port(1050),
                        .want = pass(Reason::DELIVERED_LOCAL),
                        .service = "local" + end});
        rows.push_back({.name = "backend_on_this_node_is_delivered_" + vip,
                        .config = kConfig,
                        .in = to_port(1100),
                        .want = pass(Reason::DELIVERED_LOCAL),
                        .service = "here" + end,
                        .backend = six ? "fd00::a" : "10.0.0.10"});
        rows.push_back({.name = "backend_without_neighbour_" + vip,
                        .config = kConfig,
                        .in = to_port(1090),
                        .want = drop(Reason::BACKEND_UNRESOLVED),
                        .service = "unresolved" + end});
        rows.push_back({.name = "backend_without_route_" + vip,
                        .config = kConfig,
                        .in = to_port(1120),
                        .want = drop(Reason::BACKEND_UNRESOLVED),
                        .service = "nowhere" + end});
        rows.push_back({.name = "all_backends_drained_" + vip,
                        .config = kConfig,
                        .in = to_port(1190),
                        .want = drop(Reason::NO_BACKEND),
                        .service = "drained" + end});
        rows.push_back({.name = "all_backends_without_weight_" + vip,
                        .config = kConfig,
                        .in = to_port(1200),
                        .want = drop(Reason::NO_BACKEND),
                        .service = "weightless" + end});
    }
    return rows;
}

/// Ethernet pads short frames; what is behind the IP packet never changes a length.
std::vector<Case> padding() {
    std::vector<Case> rows;
    for (const auto& [mode, base] :
         std::vector<std::pair<std::string, int>>{{"ipip", 1010}, {"gre", 1020}, {"gue", 1030}})
        for (const bool out6 : {false, true}) {
            const auto port = static_cast<std::uint16_t>(base + (out6 ? 6 : 4));
            const char* to = backend(out6, 5);
            const Packet ack = ip4({.df = true}) / tcp({.dport = port, .flags = kAck});
            const std::string end = fmt::format("{}_4in{}", mode, out6 ? 6 : 4);
            rows.push_back({.name = "padded_to_sixty_bytes_" + end,
                            .config = kConfig,
                            .in = eth() / ack / pad(6),
                            .want = tx(Reason::FORWARDED, tunnel(mode, to) / ack / pad(6)),
                            .backend = to});
            const Packet longer = ip4() / udp({.dport = port}) / payload(90);
            rows.push_back({.name = "trailer_of_long_frame_is_cut_off_" + end,
                            .config = kConfig,
                            .in = eth() / longer / pad(33, 0xee),
                            .want = tx(Reason::FORWARDED, tunnel(mode, to) / longer),
                            .backend = to});
            // The checksum covers what the UDP length says, and five bytes follow it.
            const Bytes datagram = (ip4() / udp({.dport = port}) / payload(20)).bytes();
            const Packet slack = ip4({.proto = 17}) /
                                 raw(Bytes(datagram.begin() + 20, datagram.end())) /
                                 raw({0xde, 0xad, 0xbe, 0xef, 0x99});
            rows.push_back({.name = "udp_shorter_than_its_packet_" + end,
                            .config = kConfig,
                            .in = eth() / slack,
                            .want = tx(Reason::FORWARDED, tunnel(mode, to) / slack),
                            .backend = to,
                            .flow = Flow{.dport = port, .proto = 17},
                            .inner_sums = false});
        }
    return rows;
}

SLC_PACKET_TABLE(Tunnels, tunnels());
SLC_PACKET_TABLE(Links, links());
SLC_PACKET_TABLE(NotSent, not_sent());
SLC_PACKET_TABLE(Padding, padding());

}  // namespace
}  // namespace sluice::packet
