// SPDX-License-Identifier: Apache-2.0
#include "proof/sample_frame.h"

#include <algorithm>
#include <bit>
#include <span>

namespace sluice::proof {
namespace {

constexpr std::uint16_t kIp4 = 0x0800, kIp6 = 0x86dd;
constexpr std::size_t kEthernetLen = 14, kIp4Len = 20, kIp6Len = 40;

std::uint16_t host_order(std::uint16_t value_be) {
    return std::endian::native == std::endian::little
               ? static_cast<std::uint16_t>(value_be << 8 | value_be >> 8)
               : value_be;
}

/// Length that the IP header says; 0: there is none.
std::size_t ip_len(std::uint16_t type, std::span<const std::uint8_t> ip) {
    const auto get16 = [&](std::size_t at) { return std::size_t{ip[at]} << 8 | ip[at + 1]; };
    if (type == kIp4 && ip.size() >= kIp4Len) return get16(2);
    if (type == kIp6 && ip.size() >= kIp6Len) return get16(4) + kIp6Len;
    return 0;
}

bool is_echo_request(std::uint16_t type, std::span<const std::uint8_t> ip) {
    if (type == kIp4) {
        const std::size_t header = std::size_t{ip[0]} % 16 * 4;
        return ip[9] == 1 && ip.size() > header && ip[header] == 8;
    }
    return type == kIp6 && ip[6] == 58 && ip.size() > kIp6Len && ip[kIp6Len] == 128;
}

}  // namespace

std::optional<std::vector<std::uint8_t>> frame_of(const slc_sample& sample) {
    const std::size_t size = std::min<std::size_t>(sample.cap_len, sizeof sample.data);
    if (size == 0) return std::nullopt;
    const std::span<const std::uint8_t> data(sample.data, size);
    const std::uint16_t type = host_order(sample.proto_be);
    const std::size_t len = ip_len(type, data);
    const bool is_cut = len > size;
    if (is_cut && is_echo_request(type, data)) return std::nullopt;
    std::vector<std::uint8_t> out = {0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0xc1};
    out.push_back(static_cast<std::uint8_t>(type >> 8));
    out.push_back(static_cast<std::uint8_t>(type));
    out.insert(out.end(), data.begin(), data.end());
    // A frame that was shorter than its IP packet stays so: it is one that is refused for it.
    const std::size_t received = std::max<std::size_t>(sample.rec.len, kEthernetLen) - kEthernetLen;
    const std::size_t whole = std::min({len, received, std::size_t{SLC_MAX_FRAME_LEN}});
    if (is_cut && whole > size) out.resize(kEthernetLen + whole);
    return out;
}

}  // namespace sluice::proof
