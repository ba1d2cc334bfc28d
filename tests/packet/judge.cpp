// SPDX-License-Identifier: Apache-2.0
//
// The judge of outgoing frames (dissect.h). Sums are taken over 16-bit words with a wide
// accumulator and compared with zero after folding: another way than packet.cpp goes.
#include <fmt/format.h>

#include "tests/packet/dissect.h"

namespace sluice::packet {
namespace {

/// A part of a frame: all reading is checked.
struct View {
    const Bytes* bytes;
    std::size_t from;
    std::size_t size;

    [[nodiscard]] std::uint8_t u8(std::size_t at) const { return (*bytes)[from + at]; }
    [[nodiscard]] std::uint16_t u16(std::size_t at) const {
        return static_cast<std::uint16_t>((u8(at) << 8) | u8(at + 1));
    }
    [[nodiscard]] View after(std::size_t skip) const { return {bytes, from + skip, size - skip}; }
    [[nodiscard]] View first(std::size_t len) const { return {bytes, from, len}; }
    [[nodiscard]] std::uint64_t sum() const {
        std::uint64_t total = 0;
        for (std::size_t i = 0; i + 1 < size; i += 2) total += u16(i);
        if (size % 2 == 1) total += static_cast<std::uint64_t>(u8(size - 1)) << 8;
        return total;
    }
};

/// A correct sum, its checksum field included, is a multiple of 0xffff and not zero.
bool sums_up(std::uint64_t sum) {
    return sum != 0 && sum % 0xffff == 0;
}

std::uint64_t pseudo_sum(const View& ip, bool six, std::uint8_t proto, std::size_t len) {
    const View addresses = six ? ip.after(8).first(32) : ip.after(12).first(8);
    return addresses.sum() + proto + (len >> 16) + (len & 0xffff);
}

/// One IP header and what follows it.
struct IpPart {
    View header;
    View payload;
    bool six = false;
    std::uint8_t proto = 0;
    bool fragment = false;
};

struct Finding {
    std::optional<std::string> wrong;
    IpPart part;
};

Finding wrong(std::string text) {
    return {std::move(text), {}};
}

/// The packet must fill the view, but for `padding` bytes behind it.
Finding read_ip4(const View& view, std::size_t padding) {
    if (view.size < 20) return wrong("IPv4 header cut");
    const std::size_t header = (view.u8(0) & 0xf) * 4U;
    if (view.u8(0) >> 4 != 4) return wrong("IPv4 version");
    if (header < 20 || header > view.size) return wrong("IPv4 header length");
    const std::size_t len = view.u16(2);
    if (len < header || len > view.size || view.size - len > padding)
        return wrong(fmt::format("IPv4 length {} in {} bytes", len, view.size));
    if (!sums_up(view.first(header).sum())) return wrong("IPv4 header sum");
    return {{},
            {view.first(header), view.first(len).after(header), false, view.u8(9),
             (view.u16(6) & 0x3fff) != 0}};
}

Finding read_ip6(const View& view, std::size_t padding) {
    if (view.size < 40) return wrong("IPv6 header cut");
    if (view.u8(0) >> 4 != 6) return wrong("IPv6 version");
    const std::size_t len = view.u16(4);
    if (40 + len > view.size || view.size - len - 40 > padding)
        return wrong(fmt::format("IPv6 length {} in {} bytes", len, view.size - 40));
    return {{}, {view.first(40), view.after(40).first(len), true, view.u8(6), false}};
}

Finding read_ip(const View& view, bool six, std::size_t padding) {
    return six ? read_ip6(view, padding) : read_ip4(view, padding);
}

struct Inner {
    std::optional<std::string> wrong;
    View view;
    bool six = false;
};

/// What a tunnel carries, by the protocol of its outer IP header.
Inner inside(const IpPart& outer, std::uint16_t gue_port) {
    const View& body = outer.payload;
    if (outer.proto == 4 || outer.proto == 41) return {{}, body, outer.proto == 41};
    if (outer.proto == 47) {
        if (body.size < 4 || body.u16(0) != 0) return {"GRE header", body};
        const std::uint16_t type = body.u16(2);
        if (type != 0x0800 && type != 0x86dd) return {"GRE protocol", body};
        return {{}, body.after(4), type == 0x86dd};
    }
    if (outer.proto == 17) {
        if (body.size < 12 || body.u16(2) != gue_port) return {"GUE header or port", body};
        if (body.u16(4) != body.size) return {"GUE: UDP length", body};
        if (body.u8(8) != 0 || body.u16(10) != 0) return {"GUE: flags", body};
        if (body.u8(9) != 4 && body.u8(9) != 41) return {"GUE: protocol", body};
        return {{}, body.after(12), body.u8(9) == 41};
    }
    return {fmt::format("outer protocol {}", outer.proto), body};
}

/// RFC 8200 8.1: over IPv6 there must be a sum; RFC 768: over IPv4 there may be.
std::optional<std::string> judge_udp_sum(const IpPart& outer) {
    const View& body = outer.payload;
    if (body.u16(6) == 0 && outer.six) return "GUE over IPv6 without UDP checksum";
    if (body.u16(6) != 0 &&
        !sums_up(body.sum() + pseudo_sum(outer.header, outer.six, 17, body.size)))
        return "GUE: UDP checksum";
    return {};
}

std::optional<std::string> judge_answer(const IpPart& part) {
    if (part.fragment) return {};
    if (part.proto == 1 && !part.six && !sums_up(part.payload.sum())) return "ICMP sum";
    if (part.proto == 58 && part.six &&
        !sums_up(part.payload.sum() + pseudo_sum(part.header, true, 58, part.payload.size)))
        return "ICMPv6 sum";
    return {};
}

}  // namespace

std::optional<std::string> judge(const Bytes& frame, bool tunnel, std::size_t padding,
                                 std::uint16_t gue_port) {
    const Head head = head_of(frame);
    if (!head.readable) return "Ethernet header cut";
    if (head.ether_type != 0x0800 && head.ether_type != 0x86dd) return "not IP";
    const View view{&frame, head.l3, frame.size() - head.l3};
    const Finding outer = read_ip(view, head.ether_type == 0x86dd, padding);
    if (outer.wrong) return outer.wrong;
    if (!tunnel) return judge_answer(outer.part);
    if (outer.part.fragment) return "outer fragment";
    const Inner inner = inside(outer.part, gue_port);
    if (inner.wrong) return inner.wrong;
    const std::size_t least = inner.six ? 40 : 20;
    if (inner.view.size < least) return "inner header cut";
    const std::size_t len = inner.six ? inner.view.u16(4) + 40U : inner.view.u16(2);
    if (len != inner.view.size)
        return fmt::format("inner length {} in {} bytes", len, inner.view.size);
    if (outer.part.proto == 17) return judge_udp_sum(outer.part);
    return {};
}

bool sums_right(const Bytes& ip) {
    if (ip.empty()) return true;
    const bool six = ip[0] >> 4 == 6;
    const Finding found = read_ip({&ip, 0, ip.size()}, six, ip.size());
    if (found.wrong) return false;
    const IpPart& part = found.part;
    const View& body = part.payload;
    if (part.fragment || (part.proto != 6 && part.proto != 17)) return true;
    if (part.proto == 17 && body.size >= 8 && body.u16(6) == 0) return true;
    return sums_up(body.sum() + pseudo_sum(part.header, six, part.proto, body.size));
}

std::optional<Bytes> inner_of(const Bytes& frame, std::uint16_t gue_port) {
    const Head head = head_of(frame);
    if (!head.readable) return {};
    const View view{&frame, head.l3, frame.size() - head.l3};
    const Finding outer = read_ip(view, head.ether_type == 0x86dd, frame.size());
    if (outer.wrong) return {};
    const Inner inner = inside(outer.part, gue_port);
    if (inner.wrong) return {};
    const auto from = frame.begin() + static_cast<long>(inner.view.from);
    return Bytes(from, from + static_cast<long>(inner.view.size));
}

}  // namespace sluice::packet
