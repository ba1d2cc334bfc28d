// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/case.h"

#include <fmt/format.h>

namespace sluice::packet {

const char* label_of(Reason reason) {
    switch (reason) {
#define SLC_REASON(symbol, label, text, remedy) \
    case Reason::symbol:                        \
        return label;
#include "sluice/reasons.def"
#undef SLC_REASON
        case Reason::COUNT:
            break;
    }
    return "?";
}

const char* name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::aborted:
            return "aborted";
        case Verdict::drop:
            return "drop";
        case Verdict::pass:
            return "pass";
        case Verdict::tx:
            return "tx";
        case Verdict::redirect:
            return "redirect";
    }
    return "?";
}

std::string text_of(const FlowCounts& counts) {
    return fmt::format("hits {} misses {} inserts {} full {} ceiling {} held {} unknown ids {}",
                       counts.hits, counts.misses, counts.inserts, counts.refused_full,
                       counts.refused_ceiling, counts.held, counts.ids_unknown);
}

Want tx(Reason reason, Packet frame) {
    return {Verdict::tx, reason, std::move(frame)};
}
Want redirect(Reason reason, Packet frame) {
    return {Verdict::redirect, reason, std::move(frame)};
}
Want drop(Reason reason) {
    return {Verdict::drop, reason, {}};
}
Want pass(Reason reason) {
    return {Verdict::pass, reason, {}};
}
Want pass(Reason reason, Packet frame) {
    return {Verdict::pass, reason, std::move(frame)};
}

std::optional<Flow> flow_of(const Packet& packet) {
    std::optional<Flow> flow;
    for (const Layer& layer : packet.layers) {
        if (const auto* four = std::get_if<Ip4>(&layer); four != nullptr && !flow)
            flow = Flow{.src = four->src, .dst = four->dst};
        if (const auto* six = std::get_if<Ip6>(&layer); six != nullptr && !flow)
            flow = Flow{.src = six->src, .dst = six->dst};
        if (!flow) continue;
        if (const auto* tcp = std::get_if<Tcp>(&layer)) {
            flow->sport = tcp->sport;
            flow->dport = tcp->dport;
            flow->proto = 6;
            return flow;
        }
        if (const auto* udp = std::get_if<Udp>(&layer)) {
            flow->sport = udp->sport;
            flow->dport = udp->dport;
            flow->proto = 17;
            return flow;
        }
    }
    return {};
}

plan::NextHop fake_hop(const IpAddress& backend) {
    const std::uint8_t number = backend.bytes[backend.is_ip6 ? 15 : 3];
    plan::NextHop hop;
    hop.state = plan::HopState::resolved;
    hop.ifindex = 1;  // a test run receives on the loopback device
    hop.interface = "lo";
    hop.source = Mac(kNodeMac);
    hop.destination = Mac("02:00:00:00:00:b0");
    hop.destination.bytes[4] = backend.is_ip6 ? 6 : 4;
    hop.destination.bytes[5] = number;
    hop.mtu = 9000;
    hop.preferred_source = backend.is_ip6 ? Ip("fd00::1") : Ip("10.0.0.1");
    switch (number) {
        case 6:
            hop.vlans = {{.id = 100, .protocol = 0x8100}};
            break;
        case 7:
            hop.vlans = {{.id = 200, .protocol = 0x88a8}, {.id = 300, .protocol = 0x8100}};
            break;
        case 8:
            hop.ifindex = 2;
            break;
        case 9:
            hop.state = plan::HopState::unresolved;
            break;
        case 10:
            hop.state = plan::HopState::local;
            break;
        case 11:
            hop.mtu = 1500;
            break;
        case 12:
            hop.state = plan::HopState::no_route;
            break;
        case 13:
            hop.mtu = 1280;
            break;
        default:
            break;
    }
    return hop;
}

Packet link_to(const char* backend) {
    const plan::NextHop hop = fake_hop(Ip(backend));
    Packet link = eth({.dst = hop.destination, .src = hop.source});
    for (const plan::VlanTag& tag : hop.vlans) link = link / vlan(tag.id, tag.protocol);
    return link;
}

Packet outer4(const char* backend, std::uint8_t tos) {
    return link_to(backend) / ip4({.src = kTunnelSource4,
                                   .dst = backend,
                                   .tos = tos,
                                   .id = 0,
                                   .df = true,
                                   .entropy_mask = 0xff});
}

Packet outer6(const char* backend, std::uint8_t traffic_class) {
    return link_to(backend) / ip6({.src = kTunnelSource6,
                                   .dst = backend,
                                   .traffic_class = traffic_class,
                                   .entropy_mask = ~0ULL,
                                   .entropy_flow = true});
}

Packet outer(const char* backend, std::uint8_t tos) {
    return Ip(backend).is_ip6 ? outer6(backend, tos) : outer4(backend, tos);
}

Packet outer_gue(const char* backend, std::uint8_t tos) {
    Udp header{.dport = 6080, .entropy = true};
    if (!Ip(backend).is_ip6) header.checksum = 0;
    return outer(backend, tos) / udp(header) / gue();
}

Packet inner(const Packet& packet) {
    Packet out;
    for (const Layer& layer : packet.layers) {
        if (std::holds_alternative<Eth>(layer) || std::holds_alternative<Vlan>(layer) ||
            std::holds_alternative<Pad>(layer))
            continue;
        out.layers.push_back(layer);
    }
    return out;
}

std::vector<Case> operator+(std::vector<Case> left, std::vector<Case> right) {
    for (Case& row : right) left.push_back(std::move(row));
    return left;
}

}  // namespace sluice::packet
