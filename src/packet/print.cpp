// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "packet/spec.h"
#include "packet/words.h"

namespace sluice::packet {
namespace {

std::string flags_text(std::uint8_t flags) {
    constexpr std::pair<std::uint8_t, const char*> kFlags[] = {
        {tcp_flag::syn, "syn"}, {tcp_flag::fin, "fin"}, {tcp_flag::rst, "rst"},
        {tcp_flag::psh, "psh"}, {tcp_flag::ack, "ack"}, {tcp_flag::urg, "urg"},
        {tcp_flag::ece, "ece"}, {tcp_flag::cwr, "cwr"}};
    std::string out;
    for (const auto& [flag, name] : kFlags)
        if ((flags & flag) != 0) out += out.empty() ? name : std::string("+") + name;
    return out.empty() ? "none" : out;
}

std::string options_text(const Octets& options) {
    const bool is_server_id = options.size() == 8 && options[0] == 0xb7 && options[1] == 6 &&
                              options[6] == 0 && options[7] == 0;
    if (!is_server_id) return " options=" + hex_of(options);
    std::uint32_t id = 0;
    for (std::size_t i = 2; i < 6; ++i) id = id << 8 | options[i];
    return fmt::format(" server_id={}", id);
}

const IcmpName* name_of(const Spec& spec) {
    const IcmpName* of_type = nullptr;
    for (const IcmpName& name : icmp_names()) {
        if (name.six != (spec.kind == SpecKind::icmp6) || name.type != spec.icmp_type) continue;
        if (name.code == spec.icmp_code) return &name;
        of_type = &name;
    }
    return of_type;
}

std::string icmp_text(const Spec& spec) {
    std::string out;
    if (!spec.icmp_type) return out;
    const IcmpName* name = name_of(spec);
    if (name != nullptr)
        out += fmt::format(" {}", name->name);
    else
        out += fmt::format(" type={}", *spec.icmp_type);
    if (spec.icmp_code != (name != nullptr ? name->code : 0))
        out += fmt::format(" code={}", spec.icmp_code);
    const std::string_view word = name != nullptr ? name->name : "";
    const bool has_mtu = word == "frag-needed" || word == "packet-too-big";
    if (has_mtu && spec.icmp_code == name->code)
        return out + fmt::format(" mtu={}", spec.icmp_rest);
    if (spec.icmp_rest == (name != nullptr ? name->rest : 0)) return out;
    if (word.starts_with("echo"))
        return out + fmt::format(" echo_id={} echo_seq={}", spec.icmp_rest >> 16,
                                 spec.icmp_rest & 0xffff);
    return out + fmt::format(" rest=0x{:x}", spec.icmp_rest);
}

std::string transport_text(const Spec& spec) {
    std::string out;
    if (spec.kind == SpecKind::ip) out += fmt::format(" proto={}", spec.protocol);
    if (spec.flags) out += " " + flags_text(*spec.flags);
    if (!spec.options.empty()) out += options_text(spec.options);
    if (spec.tcp_words) out += fmt::format(" tcp_words={}", *spec.tcp_words);
    if (is_icmp(spec.kind)) out += icmp_text(spec);
    if (!spec.data.empty()) out += " data=" + hex_of(spec.data);
    const bool is_bare = spec.data.size() == spec.len.value_or(0) && !spec.more_fragments &&
                         !is_neighbour_discovery(spec);
    if (spec.len && (!is_bare || *spec.len != spec.data.size()))
        out += fmt::format(" len={}", *spec.len);
    if (spec.udp_len) out += fmt::format(" udp_len={}", *spec.udp_len);
    if (spec.checksum) out += fmt::format(" checksum=0x{:04x}", *spec.checksum);
    return out;
}

std::string extensions_text(const Spec& spec) {
    std::string out;
    for (const std::uint8_t protocol : spec.extensions) {
        out += out.empty() ? " ext=" : ",";
        out += protocol == 0    ? "hop-by-hop"
               : protocol == 43 ? "routing"
               : protocol == 51 ? "auth"
                                : "destination";
    }
    return out;
}

std::string ip_text(const Spec& spec) {
    std::string out;
    if (spec.ttl != kDefaultTtl) out += fmt::format(" ttl={}", spec.ttl);
    if (spec.dscp != 0) out += fmt::format(" dscp={}", spec.dscp);
    if (spec.ecn != 0) out += fmt::format(" ecn={}", spec.ecn);
    if (spec.df) out += " df";
    if (spec.fragment)
        out += fmt::format(" frag={}{}", *spec.fragment, spec.more_fragments ? "+" : "");
    if (spec.id) out += fmt::format(" id={}", *spec.id);
    out += extensions_text(spec);
    if (!spec.ip_options.empty()) out += " ip_options=" + hex_of(spec.ip_options);
    if (spec.ip_len) out += fmt::format(" ip_len={}", *spec.ip_len);
    if (spec.ip_checksum) out += fmt::format(" ip_checksum=0x{:04x}", *spec.ip_checksum);
    return out;
}

std::string addresses_text(const Spec& spec) {
    const bool hides_ports = spec.kind == SpecKind::gue &&
                             spec.source_port == kDefaultGueSourcePort &&
                             spec.destination_port == kDefaultGuePort;
    const auto port = [&](const std::optional<std::uint16_t>& value) {
        return hides_ports ? std::nullopt : value;
    };
    return fmt::format(" {} > {}", text_of(Endpoint{spec.source, port(spec.source_port)}),
                       text_of(Endpoint{spec.destination, port(spec.destination_port)}));
}

std::string packet_text(const Spec& spec) {
    std::string out = word_of(spec.kind) + addresses_text(spec) + transport_text(spec);
    return out + ip_text(spec);
}

std::string inner_text(const Spec& spec) {
    if (spec.inner.empty()) return {};
    const Spec& inner = spec.inner.front();
    const std::string text = packet_text(inner) + inner_text(inner);
    if (is_tunnel(spec.kind)) return " { " + text + " }";
    const std::string quote = spec.quote ? fmt::format(" quote={}", *spec.quote) : "";
    return quote + " of ( " + text + " )";
}

std::string frame_text(const Spec& spec) {
    std::string out;
    for (const std::uint16_t id : spec.vlans)
        out += fmt::format("{}{}", out.empty() ? " vlan=" : ",", id);
    if (spec.cut) out += fmt::format(" cut={}", *spec.cut);
    return out;
}

}  // namespace

std::string print(const Spec& spec) {
    const std::string len = spec.len ? fmt::format(" len={}", *spec.len) : "";
    if (spec.kind == SpecKind::raw_frame) return "hex:" + hex_of(spec.raw) + len + frame_text(spec);
    if (spec.kind == SpecKind::raw_ip) return "hex ip:" + hex_of(spec.raw) + len + frame_text(spec);
    if (spec.kind == SpecKind::ether)
        return fmt::format("ether 0x{:04x}{}", spec.ether_type,
                           transport_text(spec) + frame_text(spec));
    return packet_text(spec) + frame_text(spec) + inner_text(spec);
}

}  // namespace sluice::packet
