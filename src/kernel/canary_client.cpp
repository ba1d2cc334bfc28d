// SPDX-License-Identifier: Apache-2.0
#include "kernel/canary_client.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "sluice/hash.h"

namespace sluice::kernel {
namespace {

using View = std::span<const std::uint8_t>;

constexpr double kWhole = 4294967296.0;  // 2^32: see struct slc_canary.
constexpr std::size_t kEthernetLen = 14, kIp4Len = 20, kIp6Len = 40, kIcmpLen = 8;
constexpr std::size_t kFarthest = 128;  // An ICMP header that begins beyond is not looked at.

std::uint16_t get16(View bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

/// As the data plane loads it.
std::uint32_t word(View bytes, std::size_t at) {
    std::uint32_t out = 0;
    std::memcpy(&out, bytes.data() + at, sizeof out);
    return out;
}

bool is_error(bool is_ip6, std::uint8_t type) {
    if (is_ip6) return type >= 1 && type <= 4;
    return type == 3 || type == 11 || type == 12;
}

/// The packet that an ICMP error quotes, when that much of it is there.
std::optional<View> quoted(View frame, std::size_t icmp, bool is_ip6) {
    const std::size_t size = is_ip6 ? kIp6Len : kIp4Len;
    if (icmp >= kFarthest || frame.size() < icmp + kIcmpLen + size) return std::nullopt;
    if (!is_error(is_ip6, frame[icmp])) return std::nullopt;
    return frame.subspan(icmp + kIcmpLen);
}

std::uint64_t hash4(View frame, std::size_t l3, slc_u64 key) {
    const View ip = frame.subspan(l3);
    std::uint32_t client = word(ip, 12);
    if (ip[9] == 1 && (get16(ip, 6) & 0x1fff) == 0)
        if (const auto quote = quoted(frame, l3 + (ip[0] & 0xfU) * 4U, false))
            client = word(*quote, 16);
    return slc_mix(key, client);
}

std::uint64_t hash6(View frame, std::size_t l3, slc_u64 key) {
    View client = frame.subspan(l3 + 8);
    if (frame[l3 + 6] == 58)
        if (const auto quote = quoted(frame, l3 + kIp6Len, true)) client = quote->subspan(24);
    const auto pair = [&](std::size_t at) {
        return std::uint64_t{word(client, at)} << 32 | word(client, at + 4);
    };
    return slc_mix(slc_mix(key, pair(0)), pair(8));
}

}  // namespace

slc_u64 canary_share(double share) {
    return std::max<slc_u64>(1, static_cast<slc_u64>(std::llround(share * kWhole)));
}

std::optional<std::uint32_t> canary_client_hash(View frame, const slc_u64 (&key)[2]) {
    std::size_t l3 = kEthernetLen;
    for (int tags = 0;; ++tags, l3 += 4) {
        if (frame.size() < l3) return std::nullopt;
        const std::uint16_t type = get16(frame, l3 - 2);
        if (type != 0x8100 && type != 0x88a8) break;
        if (tags == SLC_MAX_VLANS) return std::nullopt;
    }
    const std::uint16_t type = get16(frame, l3 - 2);
    std::uint64_t state = 0;
    if (type == 0x0800 && frame.size() >= l3 + kIp4Len)
        state = hash4(frame, l3, key[0]);
    else if (type == 0x86dd && frame.size() >= l3 + kIp6Len)
        state = hash6(frame, l3, key[0]);
    else
        return std::nullopt;
    return static_cast<std::uint32_t>(slc_finish(state, key[1]) >> 32);
}

}  // namespace sluice::kernel
