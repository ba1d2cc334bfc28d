// SPDX-License-Identifier: Apache-2.0
#pragma once

/// BGP messages as tests write them: in hexadecimal, with the header put in front.

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "announce/bgp_message.h"

namespace sluice::announce {

/// "04 fde8" -> three bytes.
inline Bytes hex(std::string_view text) {
    Bytes out;
    int high = -1;
    for (const char c : text) {
        if (c == ' ') continue;
        const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
        if (high < 0) {
            high = digit;
        } else {
            out.push_back(static_cast<std::uint8_t>(high << 4 | digit));
            high = -1;
        }
    }
    EXPECT_EQ(high, -1) << "half a byte: " << text;
    return out;
}

inline std::string hex_of(ByteView bytes) {
    std::string out;
    for (const std::uint8_t byte : bytes) {
        constexpr char kDigits[] = "0123456789abcdef";
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

/// Marker, length, type, and then `body`.
inline Bytes message(std::uint8_t type, std::string_view body) {
    Bytes out(16, 0xff);
    const Bytes rest = hex(body);
    const std::size_t size = kBgpHeader + rest.size();
    out.push_back(static_cast<std::uint8_t>(size >> 8));
    out.push_back(static_cast<std::uint8_t>(size));
    out.push_back(type);
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
}

inline Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

}  // namespace sluice::announce
