// SPDX-License-Identifier: Apache-2.0
#pragma once

/// IP and Ethernet addresses as values, parsed and printed in their canonical forms.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// An IPv4 or IPv6 address, in network byte order. IPv4 uses the first four bytes, the rest is
/// zero.
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};
    bool is_ip6 = false;

    /// Strict: what inet_pton accepts and nothing else (no leading zeros, no scope, no brackets).
    static std::optional<IpAddress> parse(std::string_view text);
    static IpAddress from_ip4(std::uint32_t addr_be);
    static IpAddress from_ip6(const void* sixteen_bytes);

    /// RFC 5952 for IPv6.
    [[nodiscard]] std::string text() const;
    /// IPv4 only: the address as loaded from a packet.
    [[nodiscard]] std::uint32_t ip4_be() const;
    [[nodiscard]] std::uint8_t bits() const { return is_ip6 ? 128 : 32; }
    [[nodiscard]] bool is_unspecified() const;
    [[nodiscard]] bool is_loopback() const;
    [[nodiscard]] bool is_multicast() const;
    [[nodiscard]] bool is_link_local() const;  ///< fe80::/10 or 169.254.0.0/16.
    [[nodiscard]] bool is_broadcast() const;   ///< 255.255.255.255.

    auto operator<=>(const IpAddress&) const = default;
};

/// An address and a prefix length. `address` may have host bits; `network()` clears them.
struct IpPrefix {
    IpAddress address;
    std::uint8_t len = 0;

    /// "10.0.0.0/8", or an address alone, which means the whole of it.
    static std::optional<IpPrefix> parse(std::string_view text);
    [[nodiscard]] std::string text() const;
    [[nodiscard]] bool is_host() const { return len == address.bits(); }
    [[nodiscard]] bool has_host_bits() const;
    [[nodiscard]] IpPrefix network() const;
    [[nodiscard]] bool contains(const IpAddress& other) const;
    [[nodiscard]] bool overlaps(const IpPrefix& other) const;

    auto operator<=>(const IpPrefix&) const = default;
};

struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};

    static std::optional<MacAddress> parse(std::string_view text);
    [[nodiscard]] std::string text() const;  ///< "02:00:00:00:00:01".
    [[nodiscard]] bool is_zero() const;

    auto operator<=>(const MacAddress&) const = default;
};

}  // namespace sluice
