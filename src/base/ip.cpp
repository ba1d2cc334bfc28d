// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace sluice {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    char copy[INET6_ADDRSTRLEN];  // Longer than every address; what is longer is none.
    if (text.size() >= sizeof copy || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    copy[text.copy(copy, text.size())] = '\0';
    IpAddress out;
    if (::inet_pton(AF_INET, copy, out.bytes.data()) == 1) return out;
    out.bytes = {};
    out.is_ip6 = true;
    if (::inet_pton(AF_INET6, copy, out.bytes.data()) == 1) return out;
    return std::nullopt;
}

IpAddress IpAddress::from_ip4(std::uint32_t addr_be) {
    IpAddress out;
    std::memcpy(out.bytes.data(), &addr_be, sizeof addr_be);
    return out;
}

IpAddress IpAddress::from_ip6(const void* sixteen_bytes) {
    IpAddress out;
    out.is_ip6 = true;
    std::memcpy(out.bytes.data(), sixteen_bytes, out.bytes.size());
    return out;
}

/// inet_ntop goes through printf: a hundred thousand backends are named many times.
std::string IpAddress::text() const {
    char buffer[INET6_ADDRSTRLEN];
    if (is_ip6) {
        ::inet_ntop(AF_INET6, bytes.data(), buffer, sizeof buffer);
        return buffer;
    }
    char* end = buffer;
    for (std::size_t i = 0; i < 4; ++i) {
        if (i > 0) *end++ = '.';
        end = std::to_chars(end, buffer + sizeof buffer, bytes[i]).ptr;
    }
    return {buffer, end};
}

std::uint32_t IpAddress::ip4_be() const {
    std::uint32_t addr_be;
    std::memcpy(&addr_be, bytes.data(), sizeof addr_be);
    return addr_be;
}

bool IpAddress::is_unspecified() const {
    return std::all_of(bytes.begin(), bytes.end(), [](auto byte) { return byte == 0; });
}

bool IpAddress::is_loopback() const {
    if (!is_ip6) return bytes[0] == 127;
    return std::all_of(bytes.begin(), bytes.end() - 1, [](auto byte) { return byte == 0; }) &&
           bytes[15] == 1;
}

bool IpAddress::is_multicast() const {
    return is_ip6 ? bytes[0] == 0xff : (bytes[0] & 0xf0) == 0xe0;
}

bool IpAddress::is_link_local() const {
    if (is_ip6) return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    return bytes[0] == 169 && bytes[1] == 254;
}

bool IpAddress::is_broadcast() const {
    return !is_ip6 && ip4_be() == 0xffffffffu;
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) return std::nullopt;
    IpPrefix out{*address, address->bits()};
    if (slash == std::string_view::npos) return out;
    const std::string_view digits = text.substr(slash + 1);
    const bool leading_zero = digits.size() > 1 && digits.front() == '0';
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), out.len);
    if (error != std::errc() || end != digits.data() + digits.size() || leading_zero ||
        out.len > address->bits())
        return std::nullopt;
    return out;
}

std::string IpPrefix::text() const {
    return address.text() + "/" + std::to_string(len);
}

IpPrefix IpPrefix::network() const {
    IpPrefix out = *this;
    std::size_t whole = len / 8;
    if (len % 8 != 0) {
        out.address.bytes[whole] &= static_cast<std::uint8_t>(0xff00u >> (len % 8));
        ++whole;
    }
    std::fill(out.address.bytes.begin() + static_cast<std::ptrdiff_t>(whole),
              out.address.bytes.end(), std::uint8_t{0});
    return out;
}

bool IpPrefix::has_host_bits() const {
    return network().address != address;
}

bool IpPrefix::contains(const IpAddress& other) const {
    const std::size_t whole = len / 8;
    if (other.is_ip6 != address.is_ip6 ||
        std::memcmp(other.bytes.data(), address.bytes.data(), whole) != 0)
        return false;
    const auto mask = static_cast<std::uint8_t>(0xff00u >> (len % 8));
    return len % 8 == 0 || ((other.bytes[whole] ^ address.bytes[whole]) & mask) == 0;
}

bool IpPrefix::overlaps(const IpPrefix& other) const {
    return len <= other.len ? contains(other.address) : other.contains(address);
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
    MacAddress out;
    if (text.size() != 17) return std::nullopt;
    for (std::size_t i = 0; i < 6; ++i) {
        const char* first = text.data() + i * 3;
        const auto [end, error] = std::from_chars(first, first + 2, out.bytes[i], 16);
        if (error != std::errc() || end != first + 2) return std::nullopt;
        if (i < 5 && first[2] != ':') return std::nullopt;
    }
    return out;
}

std::string MacAddress::text() const {
    char buffer[18];
    std::snprintf(buffer, sizeof buffer, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1],
                  bytes[2], bytes[3], bytes[4], bytes[5]);
    return buffer;
}

bool MacAddress::is_zero() const {
    return *this == MacAddress{};
}

}  // namespace sluice
