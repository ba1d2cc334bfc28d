// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/pcap.h"

#include <cerrno>

namespace sluice::packet {
namespace {

// draft-ietf-opsawg-pcapng, little endian throughout.
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a, kInterface = 1, kEnhancedPacket = 6;
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;

void put16(std::string& out, std::uint16_t value) {
    out.push_back(static_cast<char>(value));
    out.push_back(static_cast<char>(value >> 8));
}

void put32(std::string& out, std::uint32_t value) {
    put16(out, static_cast<std::uint16_t>(value));
    put16(out, static_cast<std::uint16_t>(value >> 16));
}

void pad4(std::string& out) {
    while (out.size() % 4 != 0) out.push_back('\0');
}

std::string block(std::uint32_t type, const std::string& body) {
    std::string out;
    const auto total = static_cast<std::uint32_t>(body.size() + 12);
    put32(out, type);
    put32(out, total);
    out += body;
    put32(out, total);
    return out;
}

}  // namespace

Result<PcapWriter> PcapWriter::open(const std::string& path) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    const int saved = errno;
    if (!out) return fail(sys_error(saved, "open " + path));
    std::string section;
    put32(section, kByteOrderMagic);
    put16(section, 1);
    put16(section, 0);
    put32(section, ~0U);
    put32(section, ~0U);
    std::string interface;
    put16(interface, 1);  // LINKTYPE_ETHERNET
    put16(interface, 0);
    put32(interface, 0);
    out << block(kSectionHeader, section) << block(kInterface, interface);
    return PcapWriter(std::move(out));
}

void PcapWriter::write(const Bytes& frame, std::string_view comment) {
    std::string body;
    put32(body, 0);
    put32(body, 0);
    put32(body, 0);
    put32(body, static_cast<std::uint32_t>(frame.size()));
    put32(body, static_cast<std::uint32_t>(frame.size()));
    body.append(frame.begin(), frame.end());
    pad4(body);
    put16(body, 1);  // opt_comment
    put16(body, static_cast<std::uint16_t>(comment.size()));
    body += comment;
    pad4(body);
    put32(body, 0);
    out_ << block(kEnhancedPacket, body);
    out_.flush();
}

}  // namespace sluice::packet
