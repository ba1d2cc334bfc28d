// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/dissect.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace sluice::packet {
namespace {

constexpr std::uint8_t kInIp4 = 4, kInIp6 = 41, kInGre = 47, kInUdp = 17, kInTcp = 6;

std::uint16_t get16(const Bytes& bytes, std::size_t at) {
    return static_cast<std::uint16_t>((bytes[at] << 8) | bytes[at + 1]);
}

std::uint32_t get32(const Bytes& bytes, std::size_t at) {
    return (static_cast<std::uint32_t>(get16(bytes, at)) << 16) | get16(bytes, at + 2);
}

std::string hex(const Bytes& bytes, std::size_t from, std::size_t size) {
    std::string out;
    for (std::size_t i = from; i < from + size && i < bytes.size(); ++i)
        out += fmt::format("{:02x}", bytes[i]);
    return out;
}

std::string ip_text(const Bytes& bytes, std::size_t at, bool six) {
    IpAddress address;
    address.is_ip6 = six;
    std::copy_n(bytes.begin() + static_cast<long>(at), six ? 16 : 4, address.bytes.begin());
    return address.text();
}

/// Walks one frame and writes down what it sees.
class Dissector {
 public:
    Dissector(const Bytes& frame, std::uint16_t gue_port) : f_(frame), gue_port_(gue_port) {}

    Fields run() {
        if (!room(14)) return rest("eth.cut");
        add("eth.dst", hex(f_, 0, 6));
        add("eth.src", hex(f_, 6, 6));
        std::uint16_t type = get16(f_, 12);
        at_ = 14;
        int tags = 0;
        while ((type == 0x8100 || type == 0x88a8) && room(4)) {
            add(fmt::format("vlan[{}].protocol", tags), fmt::format("{:#06x}", type));
            add(fmt::format("vlan[{}].tci", tags), fmt::format("{:#06x}", get16(f_, at_)));
            type = get16(f_, at_ + 2);
            at_ += 4;
            ++tags;
        }
        add("eth.type", fmt::format("{:#06x}", type));
        if (type == 0x0800) return ip4();
        if (type == 0x86dd) return ip6();
        return rest("data");
    }

 private:
    [[nodiscard]] bool room(std::size_t size) const { return at_ + size <= f_.size(); }
    void add(const std::string& name, std::string value) {
        std::string key = name;
        for (int n = 1; used_.contains(key); ++n) key = fmt::format("{}#{}", name, n);
        used_[key] = true;
        fields_.emplace_back(key, std::move(value));
    }
    void number(const std::string& name, std::uint64_t value) { add(name, fmt::to_string(value)); }
    void hexed(const std::string& name, std::uint64_t value) {
        add(name, fmt::format("{:#x}", value));
    }
    Fields rest(const std::string& name) {
        add(name, fmt::format("{} bytes {}", f_.size() - std::min(at_, f_.size()),
                              hex(f_, at_, f_.size())));
        return fields_;
    }

    Fields ip4() {
        if (!room(20)) return rest("ip4.cut");
        const std::string p = fmt::format("ip4[{}].", depth_++);
        hexed(p + "version_words", f_[at_]);
        hexed(p + "tos", f_[at_ + 1]);
        number(p + "len", get16(f_, at_ + 2));
        hexed(p + "id", get16(f_, at_ + 4));
        hexed(p + "flags_offset", get16(f_, at_ + 6));
        number(p + "ttl", f_[at_ + 8]);
        number(p + "proto", f_[at_ + 9]);
        hexed(p + "checksum", get16(f_, at_ + 10));
        add(p + "src", ip_text(f_, at_ + 12, false));
        add(p + "dst", ip_text(f_, at_ + 16, false));
        const std::uint8_t proto = f_[at_ + 9];
        const bool later = (get16(f_, at_ + 6) & 0x1fff) != 0;
        const std::size_t len = std::max<std::size_t>(20, (f_[at_] & 0xf) * 4U);
        if (!room(len)) return rest(p + "options");
        if (len > 20) add(p + "options", hex(f_, at_ + 20, len - 20));
        at_ += len;
        return later ? rest("fragment") : transport(proto);
    }

    Fields ip6() {
        if (!room(40)) return rest("ip6.cut");
        const std::string p = fmt::format("ip6[{}].", depth_++);
        const std::uint32_t first = get32(f_, at_);
        hexed(p + "version", first >> 28);
        hexed(p + "traffic_class", (first >> 20) & 0xff);
        hexed(p + "flow", first & 0xfffff);
        number(p + "len", get16(f_, at_ + 4));
        number(p + "next", f_[at_ + 6]);
        number(p + "hops", f_[at_ + 7]);
        add(p + "src", ip_text(f_, at_ + 8, true));
        add(p + "dst", ip_text(f_, at_ + 24, true));
        const std::uint8_t next = f_[at_ + 6];
        at_ += 40;
        return transport(next);
    }

    Fields extension(std::uint8_t proto) {
        if (!room(8)) return rest("ext.cut");
        const std::string p = fmt::format("ext{}.", proto);
        const std::size_t size = proto == 44   ? 8
                                 : proto == 51 ? (f_[at_ + 1] + 2U) * 4U
                                               : (f_[at_ + 1] + 1U) * 8U;
        add(p + "bytes", hex(f_, at_, size));
        const std::uint8_t next = f_[at_];
        const bool later = proto == 44 && (get16(f_, at_ + 2) & 0xfff8) != 0;
        if (!room(size)) return rest("ext.cut");
        at_ += size;
        return later ? rest("fragment") : transport(next);
    }

    Fields transport(std::uint8_t proto) {
        switch (proto) {
            case kInIp4:
                return ip4();
            case kInIp6:
                return ip6();
            case 0:
            case 43:
            case 44:
            case 51:
            case 60:
                return extension(proto);
            case kInTcp:
                return tcp();
            case kInUdp:
                return udp();
            case kInGre:
                return gre();
            case 1:
            case 58:
                return icmp();
            default:
                return rest("data");
        }
    }

    Fields tcp() {
        if (!room(20)) return rest("tcp.cut");
        number("tcp.sport", get16(f_, at_));
        number("tcp.dport", get16(f_, at_ + 2));
        number("tcp.seq", get32(f_, at_ + 4));
        number("tcp.ack", get32(f_, at_ + 8));
        hexed("tcp.words_flags", get16(f_, at_ + 12));
        number("tcp.window", get16(f_, at_ + 14));
        hexed("tcp.checksum", get16(f_, at_ + 16));
        number("tcp.urgent", get16(f_, at_ + 18));
        at_ += 20;
        return rest("tcp.rest");
    }

    Fields udp() {
        if (!room(8)) return rest("udp.cut");
        number("udp.sport", get16(f_, at_));
        number("udp.dport", get16(f_, at_ + 2));
        number("udp.len", get16(f_, at_ + 4));
        hexed("udp.checksum", get16(f_, at_ + 6));
        const bool gue = get16(f_, at_ + 2) == gue_port_;
        at_ += 8;
        if (!gue || !room(4) || (f_[at_] & 0xc0) != 0) return rest("udp.rest");
        add("gue.bytes", hex(f_, at_, 4));
        const std::uint8_t proto = f_[at_ + 1];
        at_ += 4 + (f_[at_] & 0x1f) * 4U;
        return at_ <= f_.size() ? transport(proto) : rest("gue.cut");
    }

    Fields gre() {
        if (!room(4)) return rest("gre.cut");
        hexed("gre.flags", get16(f_, at_));
        hexed("gre.protocol", get16(f_, at_ + 2));
        const std::uint16_t type = get16(f_, at_ + 2);
        const bool plain = get16(f_, at_) == 0;
        at_ += 4;
        if (plain && type == 0x0800) return ip4();
        if (plain && type == 0x86dd) return ip6();
        return rest("gre.rest");
    }

    Fields icmp() {
        if (!room(8)) return rest("icmp.cut");
        number("icmp.type", f_[at_]);
        number("icmp.code", f_[at_ + 1]);
        hexed("icmp.checksum", get16(f_, at_ + 2));
        hexed("icmp.rest", get32(f_, at_ + 4));
        at_ += 8;
        return rest("icmp.data");
    }

    const Bytes& f_;
    std::uint16_t gue_port_;
    std::size_t at_ = 0;
    int depth_ = 0;
    Fields fields_;
    std::map<std::string, bool> used_;
};

}  // namespace

Fields dissect(const Bytes& frame, std::uint16_t gue_port) {
    return Dissector(frame, gue_port).run();
}

std::string hexdump(const Bytes& bytes) {
    std::string out;
    for (std::size_t row = 0; row < bytes.size(); row += 16) {
        out += fmt::format("  {:04x} ", row);
        for (std::size_t i = row; i < std::min(row + 16, bytes.size()); ++i)
            out += fmt::format(" {:02x}", bytes[i]);
        out += '\n';
        if (row == 240 && bytes.size() > 512) {
            out += fmt::format("  ... {} bytes in all\n", bytes.size());
            break;
        }
    }
    return out;
}

std::string diff(const Bytes& want, const Bytes& got) {
    if (want == got) return {};
    std::string out =
        fmt::format("frame of {} bytes wanted, {} bytes came:\n", want.size(), got.size());
    const Fields left = dissect(want);
    const Fields right = dissect(got);
    const std::map<std::string, std::string> have(right.begin(), right.end());
    const std::map<std::string, std::string> need(left.begin(), left.end());
    for (const auto& [name, value] : left) {
        const auto other = have.find(name);
        if (other == have.end())
            out += fmt::format("  {}: wanted {}, absent\n", name, value);
        else if (other->second != value)
            out += fmt::format("  {}: wanted {}, came {}\n", name, value, other->second);
    }
    for (const auto& [name, value] : right)
        if (!need.contains(name)) out += fmt::format("  {}: unexpected {}\n", name, value);
    return out + "wanted:\n" + hexdump(want) + "came:\n" + hexdump(got);
}

Head head_of(const Bytes& frame) {
    Head head;
    if (frame.size() < 14) return head;
    head.ether_type = get16(frame, 12);
    head.l3 = 14;
    for (int tag = 0; tag < 2; ++tag) {
        if (head.ether_type != 0x8100 && head.ether_type != 0x88a8) break;
        if (frame.size() < head.l3 + 4) return head;
        head.ether_type = get16(frame, head.l3 + 2);
        head.l3 += 4;
    }
    head.readable = true;
    return head;
}

std::optional<IpAddress> destination_of(const Bytes& frame) {
    const Head head = head_of(frame);
    if (!head.readable) return {};
    IpAddress address;
    if (head.ether_type == 0x0800 && frame.size() >= head.l3 + 20) {
        std::copy_n(frame.begin() + static_cast<long>(head.l3 + 16), 4, address.bytes.begin());
        return address;
    }
    if (head.ether_type == 0x86dd && frame.size() >= head.l3 + 40) {
        address.is_ip6 = true;
        std::copy_n(frame.begin() + static_cast<long>(head.l3 + 24), 16, address.bytes.begin());
        return address;
    }
    return {};
}

std::optional<Bytes> ip_of(const Bytes& frame) {
    const Head head = head_of(frame);
    if (!head.readable || (head.ether_type != 0x0800 && head.ether_type != 0x86dd)) return {};
    Bytes ip(frame.begin() + static_cast<long>(head.l3), frame.end());
    std::size_t len = ip.size();
    if (head.ether_type == 0x0800 && ip.size() >= 20) len = get16(ip, 2);
    if (head.ether_type == 0x86dd && ip.size() >= 40) len = get16(ip, 4) + 40U;
    if (len < ip.size()) ip.resize(len);
    return ip;
}

}  // namespace sluice::packet
