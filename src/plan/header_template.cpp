// SPDX-License-Identifier: Apache-2.0
#include "plan/header_template.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace sluice::plan {
namespace {

using config::Forward;

constexpr std::uint16_t kEtherIp4 = 0x0800;
constexpr std::uint16_t kEtherIp6 = 0x86dd;
constexpr std::uint8_t kProtoIp4 = 4;
constexpr std::uint8_t kProtoIp6 = 41;
constexpr std::uint8_t kProtoUdp = 17;
constexpr std::uint8_t kProtoGre = 47;
constexpr std::uint8_t kTtl = 64;
constexpr std::uint16_t kDontFragment = 0x4000;

/// Appends to slc_template::hdr. A header that does not fit sets `overflow` and is cut, so that
/// the caller has one check to make, at the end.
class HeaderWriter {
 public:
    explicit HeaderWriter(slc_template& out) : out_(out) {}

    void bytes(std::span<const std::uint8_t> data) {
        if (used_ + data.size() > sizeof out_.hdr) {
            overflow_ = true;
            return;
        }
        std::copy(data.begin(), data.end(), out_.hdr + used_);
        used_ += data.size();
    }
    void u8(std::uint8_t value) { bytes({&value, 1}); }
    void u16(std::uint16_t value) {
        u8(static_cast<std::uint8_t>(value >> 8));
        u8(static_cast<std::uint8_t>(value & 0xff));
    }
    void address(const IpAddress& value) {
        bytes(std::span(value.bytes).first(value.is_ip6 ? 16 : 4));
    }

    [[nodiscard]] std::size_t used() const { return used_; }
    [[nodiscard]] bool overflow() const { return overflow_; }

 private:
    slc_template& out_;
    std::size_t used_ = 0;
    bool overflow_ = false;
};

/// The sum of 16-bit words as the machine loads them from the packet, like the kernel's __wsum.
/// No header of ours is long enough to carry out of 32 bits.
std::uint32_t sum_words(std::span<const std::uint8_t> data) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i + 1 < data.size(); i += 2) {
        std::uint16_t word;
        std::memcpy(&word, data.data() + i, sizeof word);
        sum += word;
    }
    return sum;
}

void write_l2(HeaderWriter& out, const NextHop& hop, std::uint16_t ether_type) {
    out.bytes(hop.destination.bytes);
    out.bytes(hop.source.bytes);
    for (const VlanTag& tag : hop.vlans) {
        out.u16(tag.protocol);
        out.u16(tag.id);
    }
    out.u16(ether_type);
}

void write_ip(HeaderWriter& out, std::uint8_t protocol, const IpAddress& source,
              const IpAddress& destination) {
    if (destination.is_ip6) {
        out.u16(0x6000);  // Version; traffic class and flow label are patched.
        out.u16(0);
        out.u16(0);  // Payload length: patched.
        out.u8(protocol);
        out.u8(kTtl);
    } else {
        out.u16(0x4500);  // Version, five words; TOS is patched.
        out.u16(0);       // Total length: patched.
        out.u16(0);       // Identification means nothing with DF set.
        out.u16(kDontFragment);
        out.u8(kTtl);
        out.u8(protocol);
        out.u16(0);  // Checksum: patched.
    }
    out.address(source);
    out.address(destination);
}

/// What stands between the outer IP header and the inner packet.
void write_tunnel(HeaderWriter& out, Forward forward, bool inner_is_ip6, std::uint16_t gue_port) {
    if (forward == Forward::gre) {
        out.u16(0);  // No checksum, key or sequence; version 0.
        out.u16(inner_is_ip6 ? kEtherIp6 : kEtherIp4);
    } else if (forward == Forward::gue) {
        out.u16(0);  // Source port: patched with entropy.
        out.u16(gue_port);
        out.u16(0);  // Length: patched.
        out.u16(0);  // Checksum: patched over IPv6, and stays 0 over IPv4.
        out.u8(0);   // Variant 0, data, no extension words.
        out.u8(inner_is_ip6 ? kProtoIp6 : kProtoIp4);
        out.u16(0);
    }
}

std::uint8_t protocol_of(Forward forward, bool inner_is_ip6) {
    if (forward == Forward::gre) return kProtoGre;
    if (forward == Forward::gue) return kProtoUdp;
    return inner_is_ip6 ? kProtoIp6 : kProtoIp4;
}

Result<IpAddress> outer_source(const IpAddress& backend, const NextHop& hop,
                               const TunnelSources& sources) {
    const auto& prefix = backend.is_ip6 ? sources.ip6 : sources.ip4;
    if (prefix) return prefix->network().address;
    if (hop.preferred_source.is_ip6 == backend.is_ip6 && !hop.preferred_source.is_unspecified())
        return hop.preferred_source;
    return fail(Errc::unsupported,
                "no " + std::string(backend.is_ip6 ? "IPv6" : "IPv4") +
                    " source address for tunnels to " + backend.text(),
                std::string("set node.tunnel_source.") + (backend.is_ip6 ? "ipv6" : "ipv4") +
                    ", or give " + hop.interface + " an address");
}

Result<void> check(Forward forward, const IpAddress& backend, const NextHop& hop) {
    if (hop.state != HopState::resolved)
        return fail(Errc::internal, "header template for " + backend.text() +
                                        " whose next hop is " + name_of(hop.state));
    if (forward == Forward::local)
        return fail(Errc::internal, "header template for local delivery");
    if (forward == Forward::l2 && hop.via_gateway)
        return fail(Errc::unsupported,
                    "l2 forwarding to " + backend.text() + ", which is behind a gateway",
                    "put the backend on a network of this node, or forward by ipip, gre or gue");
    if (hop.vlans.size() > SLC_MAX_VLANS)
        return fail(Errc::internal, "more than two VLAN tags towards " + backend.text());
    return {};
}

}  // namespace

Result<slc_template> build_template(Forward forward, bool inner_is_ip6, const IpAddress& backend,
                                    const NextHop& hop, const TunnelSources& sources) {
    SLC_CHECK(check(forward, backend, hop), "build header");
    slc_template out{};
    HeaderWriter header(out);
    const bool is_l2 = forward == Forward::l2;
    const bool ether_is_ip6 = is_l2 ? inner_is_ip6 : backend.is_ip6;
    write_l2(header, hop, ether_is_ip6 ? kEtherIp6 : kEtherIp4);
    const std::size_t l2_len = header.used();
    std::size_t ip_len = 0;
    if (!is_l2) {
        const auto source = SLC_TRY(outer_source(backend, hop, sources), "build header");
        write_ip(header, protocol_of(forward, inner_is_ip6), source, backend);
        ip_len = header.used() - l2_len;
        write_tunnel(header, forward, inner_is_ip6, sources.gue_port);
    }
    if (header.overflow())
        return fail(Errc::internal, "build header: longer than a template can hold");

    const std::span<const std::uint8_t> written(out.hdr, header.used());
    out.ifindex = hop.ifindex;
    out.mtu = hop.mtu;
    out.len = static_cast<slc_u8>(header.used());
    out.l2_len = static_cast<slc_u8>(l2_len);
    if (is_l2) {
        out.flags = SLC_TEMPLATE_L2;
        return out;
    }
    if (backend.is_ip6)
        out.flags |= SLC_TEMPLATE_IP6;
    else
        out.ip_sum = sum_words(written.subspan(l2_len, ip_len));
    if (forward == Forward::gue) {
        out.flags |= SLC_TEMPLATE_UDP;
        if (backend.is_ip6) {
            const std::array<std::uint8_t, 2> protocol = {0, kProtoUdp};
            out.udp_sum = sum_words(written.subspan(l2_len + 8)) + sum_words(protocol);
        }
    }
    return out;
}

std::uint32_t entropy_mask4_be(const TunnelSources& sources) {
    if (!sources.ip4) return 0;
    IpAddress ones;
    for (std::size_t i = 0; i < 4; ++i) ones.bytes[i] = 0xff;
    return ~IpPrefix{ones, sources.ip4->len}.network().address.ip4_be();
}

std::uint64_t entropy_mask6_be(const TunnelSources& sources) {
    if (!sources.ip6) return 0;
    IpAddress ones;
    ones.is_ip6 = true;
    ones.bytes.fill(0xff);
    const IpAddress network = IpPrefix{ones, sources.ip6->len}.network().address;
    std::uint64_t low;
    std::memcpy(&low, network.bytes.data() + 8, sizeof low);
    return ~low;
}

}  // namespace sluice::plan
