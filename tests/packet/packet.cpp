// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/packet.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace sluice::packet {
namespace {

constexpr std::uint8_t kProtoUnknown = 253;          // RFC 3692: for experiments
constexpr std::uint16_t kEtherTypeUnknown = 0x88b5;  // IEEE 802: local experimental

void put8(Bytes& out, std::uint8_t value) {
    out.push_back(value);
}

void put16(Bytes& out, std::uint16_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value));
}

void put32(Bytes& out, std::uint32_t value) {
    put16(out, static_cast<std::uint16_t>(value >> 16));
    put16(out, static_cast<std::uint16_t>(value));
}

void put(Bytes& out, const Bytes& bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void set16(Bytes& out, std::size_t offset, std::uint16_t value) {
    out[offset] = static_cast<std::uint8_t>(value >> 8);
    out[offset + 1] = static_cast<std::uint8_t>(value);
}

std::uint16_t inverted(std::uint16_t sum) {
    return static_cast<std::uint16_t>(~sum);
}

std::uint32_t crc32c(const Bytes& bytes) {
    std::uint32_t crc = ~0U;
    for (std::uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    }
    return ~crc;
}

/// What a transport needs to know of the IP header in front of it.
struct Pseudo {
    std::optional<Ip> src;
    std::optional<Ip> dst;

    [[nodiscard]] Bytes bytes(std::uint8_t proto, std::size_t len) const {
        Bytes out;
        if (!src) return out;
        const std::size_t width = src->is_ip6 ? 16 : 4;
        out.insert(out.end(), src->bytes.begin(), src->bytes.begin() + width);
        out.insert(out.end(), dst->bytes.begin(), dst->bytes.begin() + width);
        put32(out, static_cast<std::uint32_t>(len));
        put32(out, proto);
        return out;
    }
};

std::uint16_t transport_checksum(const Pseudo& pseudo, std::uint8_t proto, const Bytes& segment) {
    return inverted(ones_sum(segment, ones_sum(pseudo.bytes(proto, segment.size()))));
}

/// IP protocol number by which a layer is announced.
std::uint8_t proto_of(const Layer* layer) {
    if (layer == nullptr) return kProtoUnknown;
    if (std::holds_alternative<Ip4>(*layer)) return 4;
    if (std::holds_alternative<Ip6>(*layer)) return 41;
    if (std::holds_alternative<Tcp>(*layer)) return 6;
    if (std::holds_alternative<Udp>(*layer)) return 17;
    if (std::holds_alternative<Sctp>(*layer)) return 132;
    if (std::holds_alternative<Gre>(*layer)) return 47;
    if (std::holds_alternative<Fragment6>(*layer)) return 44;
    if (const auto* ext = std::get_if<Extension>(layer)) return ext->protocol;
    if (const auto* icmp = std::get_if<Icmp>(layer)) return icmp->six ? 58 : 1;
    return kProtoUnknown;
}

std::uint16_t ether_type_of(const Layer* layer) {
    if (layer == nullptr) return kEtherTypeUnknown;
    if (std::holds_alternative<Ip4>(*layer)) return 0x0800;
    if (std::holds_alternative<Ip6>(*layer)) return 0x86dd;
    if (const auto* tag = std::get_if<Vlan>(layer)) return tag->protocol;
    return kEtherTypeUnknown;
}

/// Serialises layers from the inside out.
class Writer {
 public:
    Writer(const std::vector<Layer>& layers, std::uint64_t hash) : layers_(layers), hash_(hash) {}

    /// Everything from layer `index` on; `pseudo` is of the nearest IP header in front.
    Bytes from(std::size_t index, const Pseudo& pseudo) {
        if (index >= layers_.size()) return {};
        const Layer* next = index + 1 < layers_.size() ? &layers_[index + 1] : nullptr;
        return std::visit([&](const auto& layer) { return write(layer, index, next, pseudo); },
                          layers_[index]);
    }

    [[nodiscard]] const Bytes& padding() const { return padding_; }

 private:
    Bytes write(const Eth& eth, std::size_t index, const Layer* next, const Pseudo& pseudo) {
        Bytes out(eth.dst.bytes.begin(), eth.dst.bytes.end());
        out.insert(out.end(), eth.src.bytes.begin(), eth.src.bytes.end());
        put16(out, eth.type.value_or(ether_type_of(next)));
        put(out, from(index + 1, pseudo));
        return out;
    }

    Bytes write(const Vlan& tag, std::size_t index, const Layer* next, const Pseudo& pseudo) {
        Bytes out;
        put16(out, static_cast<std::uint16_t>((tag.priority << 13) | tag.id));
        put16(out, tag.type.value_or(ether_type_of(next)));
        put(out, from(index + 1, pseudo));
        return out;
    }

    Bytes write(const Ip4& ip, std::size_t index, const Layer* next, const Pseudo& /*outer*/) {
        Ip src = ip.src;
        for (int byte = 0; byte < 4; ++byte) {
            const auto bits = static_cast<std::uint8_t>(ip.entropy_mask >> (24 - 8 * byte));
            const auto from_hash = static_cast<std::uint8_t>(entropy32() >> (8 * byte));
            src.bytes[byte] = static_cast<std::uint8_t>(src.bytes[byte] | (from_hash & bits));
        }
        const Bytes body = from(index + 1, Pseudo{src, ip.dst});
        Bytes options = ip.options;
        options.resize((options.size() + 3) / 4 * 4);
        const auto words = static_cast<std::uint8_t>(5 + options.size() / 4);
        Bytes out;
        put8(out, static_cast<std::uint8_t>((ip.version.value_or(4) << 4) |
                                            (ip.words.value_or(words) & 0xf)));
        put8(out, ip.tos);
        put16(out, ip.len.value_or(static_cast<std::uint16_t>(words * 4 + body.size())));
        put16(out, ip.id);
        put16(out, static_cast<std::uint16_t>((ip.reserved ? 0x8000 : 0) | (ip.df ? 0x4000 : 0) |
                                              (ip.mf ? 0x2000 : 0) | ip.offset));
        put8(out, ip.ttl);
        put8(out, ip.proto.value_or(proto_of(next)));
        put16(out, 0);
        out.insert(out.end(), src.bytes.begin(), src.bytes.begin() + 4);
        out.insert(out.end(), ip.dst.bytes.begin(), ip.dst.bytes.begin() + 4);
        put(out, options);
        set16(out, 10, ip.checksum.value_or(inverted(ones_sum(out))));
        put(out, body);
        return out;
    }

    Bytes write(const Ip6& ip, std::size_t index, const Layer* next, const Pseudo& /*outer*/) {
        Ip src = ip.src;
        for (int byte = 0; byte < 8; ++byte) {
            const auto bits = static_cast<std::uint8_t>(ip.entropy_mask >> (56 - 8 * byte));
            const auto from_hash = static_cast<std::uint8_t>(hash_ >> (8 * byte));
            src.bytes[8 + byte] =
                static_cast<std::uint8_t>(src.bytes[8 + byte] | (from_hash & bits));
        }
        const Bytes body = from(index + 1, Pseudo{src, ip.dst});
        const std::uint32_t flow = ip.entropy_flow ? flow_label() : ip.flow;
        Bytes out;
        put32(out, (static_cast<std::uint32_t>(ip.version.value_or(6)) << 28) |
                       (static_cast<std::uint32_t>(ip.traffic_class) << 20) | (flow & 0xfffff));
        put16(out, ip.len.value_or(static_cast<std::uint16_t>(body.size())));
        put8(out, ip.next.value_or(proto_of(next)));
        put8(out, ip.hops);
        out.insert(out.end(), src.bytes.begin(), src.bytes.end());
        out.insert(out.end(), ip.dst.bytes.begin(), ip.dst.bytes.end());
        put(out, body);
        return out;
    }

    Bytes write(const Extension& ext, std::size_t index, const Layer* next, const Pseudo& pseudo) {
        // AH counts words of four bytes minus two (RFC 4302 2.2), the others eight bytes minus one.
        const std::size_t unit = ext.protocol == 51 ? 4 : 8;
        const std::size_t less = ext.protocol == 51 ? 2 : 1;
        Bytes body = ext.body;
        body.resize((body.size() + 2 + unit - 1) / unit * unit - 2);
        Bytes out;
        put8(out, ext.next.value_or(proto_of(next)));
        put8(out, ext.len.value_or(static_cast<std::uint8_t>((body.size() + 2) / unit - less)));
        put(out, body);
        put(out, from(index + 1, pseudo));
        return out;
    }

    Bytes write(const Fragment6& frag, std::size_t index, const Layer* next, const Pseudo& pseudo) {
        Bytes out;
        put8(out, frag.next.value_or(proto_of(next)));
        put8(out, 0);
        put16(out, static_cast<std::uint16_t>((frag.offset << 3) | (frag.mf ? 1 : 0)));
        put32(out, frag.id);
        put(out, from(index + 1, pseudo));
        return out;
    }

    Bytes write(const Tcp& tcp, std::size_t index, const Layer* /*next*/, const Pseudo& pseudo) {
        Bytes options = tcp.options;
        options.resize((options.size() + 3) / 4 * 4);
        Bytes out;
        put16(out, tcp.sport);
        put16(out, tcp.dport);
        put32(out, tcp.seq);
        put32(out, tcp.ack);
        put8(out, static_cast<std::uint8_t>(
                      tcp.words.value_or(static_cast<std::uint8_t>(5 + options.size() / 4)) << 4));
        put8(out, tcp.flags);
        put16(out, tcp.window);
        put32(out, 0);
        put(out, options);
        put(out, from(index + 1, pseudo));
        set16(out, 16, tcp.checksum.value_or(transport_checksum(pseudo, 6, out)));
        return out;
    }

    Bytes write(const Udp& udp, std::size_t index, const Layer* /*next*/, const Pseudo& pseudo) {
        const Bytes body = from(index + 1, pseudo);
        Bytes out;
        put16(out, udp.entropy ? source_port() : udp.sport);
        put16(out, udp.dport);
        put16(out, udp.len.value_or(static_cast<std::uint16_t>(8 + body.size())));
        put16(out, 0);
        put(out, body);
        const std::uint16_t sum = transport_checksum(pseudo, 17, out);
        set16(out, 6, udp.checksum.value_or(sum == 0 ? 0xffff : sum));
        return out;
    }

    Bytes write(const Sctp& sctp, std::size_t index, const Layer* /*next*/, const Pseudo& pseudo) {
        Bytes out;
        put16(out, sctp.sport);
        put16(out, sctp.dport);
        put32(out, sctp.tag);
        put32(out, 0);
        put(out, from(index + 1, pseudo));
        const std::uint32_t crc = crc32c(out);
        for (int byte = 0; byte < 4; ++byte)
            out[8 + byte] = static_cast<std::uint8_t>(crc >> (8 * byte));
        return out;
    }

    Bytes write(const Icmp& icmp, std::size_t index, const Layer* /*next*/, const Pseudo& pseudo) {
        Bytes out;
        put8(out, icmp.type);
        put8(out, icmp.code);
        put16(out, 0);
        put32(out, icmp.rest);
        put(out, from(index + 1, Pseudo{}));
        const std::uint16_t sum =
            icmp.six ? transport_checksum(pseudo, 58, out) : inverted(ones_sum(out));
        set16(out, 2, icmp.checksum.value_or(sum));
        return out;
    }

    Bytes write(const Gre& gre, std::size_t index, const Layer* next, const Pseudo& pseudo) {
        Bytes out;
        put16(out, gre.flags);
        put16(out, gre.protocol.value_or(ether_type_of(next)));
        put(out, gre.extra);
        put(out, from(index + 1, pseudo));
        return out;
    }

    Bytes write(const Gue& gue, std::size_t index, const Layer* next, const Pseudo& pseudo) {
        const auto words = static_cast<std::uint8_t>(gue.extra.size() / 4);
        Bytes out;
        put8(out, static_cast<std::uint8_t>((gue.variant << 6) | (gue.control ? 0x20 : 0) |
                                            (gue.words.value_or(words) & 0x1f)));
        put8(out, gue.protocol.value_or(proto_of(next)));
        put16(out, gue.flags);
        put(out, gue.extra);
        put(out, from(index + 1, pseudo));
        return out;
    }

    Bytes write(const Raw& bytes, std::size_t index, const Layer* /*next*/, const Pseudo& pseudo) {
        Bytes out = bytes.bytes;
        put(out, from(index + 1, pseudo));
        return out;
    }

    Bytes write(const Pad& pad, std::size_t index, const Layer* /*next*/, const Pseudo& pseudo) {
        put(padding_, pad.bytes);
        return from(index + 1, pseudo);
    }

    // Where the bits of the hash go (abi/sluice/hash.h, bpf/stage/forward.h).
    [[nodiscard]] std::uint32_t entropy32() const {
        return static_cast<std::uint32_t>(hash_) ^ static_cast<std::uint32_t>(hash_ >> 48);
    }
    [[nodiscard]] std::uint16_t source_port() const {
        return static_cast<std::uint16_t>(0xc000 | ((entropy32() & 0xff) << 8) |
                                          ((entropy32() >> 8) & 0xff));
    }
    [[nodiscard]] std::uint32_t flow_label() const { return entropy32() & 0xfffff; }

    const std::vector<Layer>& layers_;
    std::uint64_t hash_;
    Bytes padding_;
};

Packet one(Layer layer) {
    Packet packet;
    packet.layers.push_back(std::move(layer));
    return packet;
}

}  // namespace

Ip::Ip(const char* text) : IpAddress(IpAddress::parse(text).value_or(IpAddress{})) {
    if (!IpAddress::parse(text)) {
        std::fprintf(stderr, "not an address in a packet table: %s\n", text);
        std::abort();
    }
}

Mac::Mac(const char* text) : MacAddress(MacAddress::parse(text).value_or(MacAddress{})) {
    if (!MacAddress::parse(text)) {
        std::fprintf(stderr, "not a MAC address in a packet table: %s\n", text);
        std::abort();
    }
}

std::uint16_t ones_sum(const Bytes& bytes, std::uint32_t start) {
    std::uint32_t sum = start;
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        const std::uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
        sum += (static_cast<std::uint32_t>(bytes[i]) << 8) | low;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(sum);
}

Bytes Packet::bytes(std::uint64_t flow_hash) const {
    Writer writer(layers, flow_hash);
    Bytes out = writer.from(0, Pseudo{});
    put(out, writer.padding());
    return out;
}

Packet operator/(const Packet& outer, const Packet& inner) {
    Packet packet = outer;
    packet.layers.insert(packet.layers.end(), inner.layers.begin(), inner.layers.end());
    return packet;
}

Packet eth(Eth layer) {
    return one(layer);
}
Packet vlan(std::uint16_t id, std::uint16_t protocol) {
    return one(Vlan{.id = id, .protocol = protocol});
}
Packet ip4(Ip4 layer) {
    return one(std::move(layer));
}
Packet ip6(Ip6 layer) {
    return one(layer);
}
Packet hop_by_hop(Bytes body) {
    return one(Extension{.protocol = 0, .body = std::move(body)});
}
Packet dest_opts(Bytes body) {
    return one(Extension{.protocol = 60, .body = std::move(body)});
}
Packet routing(std::uint8_t segments_left, std::uint8_t type) {
    Bytes body(6 + static_cast<std::size_t>(segments_left) * 16, 0);
    body[0] = type;
    body[1] = segments_left;
    return one(Extension{.protocol = 43, .body = std::move(body)});
}
Packet auth(std::size_t icv_len) {
    return one(Extension{.protocol = 51, .body = Bytes(10 + icv_len, 0)});
}
Packet extension(Extension layer) {
    return one(std::move(layer));
}
Packet fragment6(Fragment6 layer) {
    return one(layer);
}
Packet tcp(Tcp layer) {
    return one(std::move(layer));
}
Packet udp(Udp layer) {
    return one(layer);
}
Packet sctp(Sctp layer) {
    return one(layer);
}
Packet icmp4(Icmp layer) {
    layer.six = false;
    return one(layer);
}
Packet icmp6(Icmp layer) {
    layer.six = true;
    return one(layer);
}
Packet echo4(std::uint16_t id, std::uint16_t seq, std::uint8_t type) {
    return icmp4({.type = type, .rest = (static_cast<std::uint32_t>(id) << 16) | seq});
}
Packet echo6(std::uint16_t id, std::uint16_t seq, std::uint8_t type) {
    return icmp6({.type = type, .rest = (static_cast<std::uint32_t>(id) << 16) | seq});
}
Packet gre(Gre layer) {
    return one(std::move(layer));
}
Packet gue(Gue layer) {
    return one(std::move(layer));
}
Packet raw(Bytes bytes) {
    return one(Raw{std::move(bytes)});
}
Packet pad(std::size_t size, std::uint8_t value) {
    return one(Pad{Bytes(size, value)});
}

Packet payload(std::size_t size, std::uint8_t first) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
    return raw(std::move(bytes));
}

Packet cut(const Packet& packet, std::size_t size) {
    Bytes bytes = packet.bytes();
    bytes.resize(std::min(size, bytes.size()));
    return raw(std::move(bytes));
}

Packet quote(const Packet& ip_packet, std::size_t size) {
    return cut(ip_packet, size);
}

Packet corrupt(const Packet& packet, std::size_t offset, std::uint8_t bits) {
    Bytes bytes = packet.bytes();
    bytes.at(offset) ^= bits;
    return raw(std::move(bytes));
}

std::vector<Packet> fragments(const Packet& packet, std::size_t size, std::uint32_t id) {
    std::size_t at = 0;
    while (at < packet.layers.size() && !std::holds_alternative<Ip4>(packet.layers[at]) &&
           !std::holds_alternative<Ip6>(packet.layers[at]))
        ++at;
    if (at == packet.layers.size()) return {};
    const Packet front{{packet.layers.begin(), packet.layers.begin() + static_cast<long>(at)}};
    const Packet rest{{packet.layers.begin() + static_cast<long>(at), packet.layers.end()}};
    const auto* four = std::get_if<Ip4>(&rest.layers[0]);
    const std::size_t header = four != nullptr ? 20 + (four->options.size() + 3) / 4 * 4 : 40;
    const Bytes whole = rest.bytes();
    const std::uint8_t proto = four != nullptr ? whole[9] : whole[6];

    std::vector<Packet> out;
    for (std::size_t offset = header; offset < whole.size(); offset += size) {
        const std::size_t end = std::min(offset + size, whole.size());
        const Bytes part(whole.begin() + static_cast<long>(offset),
                         whole.begin() + static_cast<long>(end));
        const auto units = static_cast<std::uint16_t>((offset - header) / 8);
        const bool more = end < whole.size();
        if (four != nullptr) {
            Ip4 ip = *four;
            ip.id = static_cast<std::uint16_t>(id);
            ip.mf = more;
            ip.offset = units;
            ip.proto = proto;
            out.push_back(front / ip4(ip) / raw(part));
        } else {
            Ip6 ip = std::get<Ip6>(rest.layers[0]);
            ip.next = {};
            out.push_back(front / ip6(ip) /
                          fragment6({.offset = units, .mf = more, .id = id, .next = proto}) /
                          raw(part));
        }
    }
    return out;
}

}  // namespace sluice::packet
