// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/report.h"

#include <fmt/format.h>

namespace sluice::packet {
namespace {

struct Namer {
    std::string operator()(const Eth& /*layer*/) const { return "eth"; }
    std::string operator()(const Vlan& /*layer*/) const { return "vlan"; }
    std::string operator()(const Ip4& /*layer*/) const { return "ip4"; }
    std::string operator()(const Ip6& /*layer*/) const { return "ip6"; }
    std::string operator()(const Extension& layer) const {
        return fmt::format("ext{}", layer.protocol);
    }
    std::string operator()(const Fragment6& /*layer*/) const { return "frag6"; }
    std::string operator()(const Tcp& /*layer*/) const { return "tcp"; }
    std::string operator()(const Udp& /*layer*/) const { return "udp"; }
    std::string operator()(const Sctp& /*layer*/) const { return "sctp"; }
    std::string operator()(const Icmp& layer) const { return layer.six ? "icmp6" : "icmp4"; }
    std::string operator()(const Gre& /*layer*/) const { return "gre"; }
    std::string operator()(const Gue& /*layer*/) const { return "gue"; }
    std::string operator()(const Raw& /*layer*/) const { return "raw"; }
    std::string operator()(const Pad& /*layer*/) const { return "pad"; }
};

}  // namespace

std::string layer_names(const Packet& packet) {
    std::string out;
    for (const Layer& layer : packet.layers) {
        if (!out.empty()) out += ',';
        out += std::visit(Namer{}, layer);
        // What an ICMP error quotes is data.
        if (std::holds_alternative<Icmp>(layer)) break;
    }
    return out;
}

std::string note_of(const std::string& name, const Packet& packet, bool inner_sums) {
    return fmt::format("{}; layers={}; sums={}", name, layer_names(packet),
                       inner_sums ? "yes" : "outer");
}

}  // namespace sluice::packet
