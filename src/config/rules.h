// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What single values may be, whoever asks: the parsers, and the command line for its flags. Each
/// function returns what is wrong, as the end of a sentence that begins with the value, or "".

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "config/model.h"

namespace sluice::config {

inline constexpr std::uint32_t kMaxSampling = 1u << 20;
inline constexpr std::uint32_t kMaxKeptGenerations = 16;
inline constexpr std::uint32_t kMaxJitter = 50;  ///< Hundredths.
inline constexpr std::uint32_t kMaxRiseFall = 100;
inline constexpr std::uint32_t kMaxFlapLimit = 1'000;
inline constexpr std::size_t kMaxChecks = 16;        ///< Of one group.
inline constexpr std::size_t kMaxFallbacks = 8;      ///< One after the other.
inline constexpr std::size_t kMaxCheckText = 1'024;  ///< Bytes that an answer must contain.
inline constexpr std::size_t kMaxDatagram = 1'200;   ///< Fits into every tunnel.
inline constexpr std::size_t kMaxCommand = 64;       ///< Words.
inline constexpr std::size_t kMaxStatusRanges = 32;
inline constexpr std::size_t kMaxPeers = 64;
inline constexpr std::size_t kMaxCommunities = 64;
inline constexpr std::uint32_t kMaxPrepend = 16;
inline constexpr std::size_t kMaxTests = 10'000;
inline constexpr std::size_t kMaxTestName = 200;
inline constexpr std::size_t kMaxTestPackets = 1'000;  ///< Of one test.

/// Letters, digits and "-_.", the first a letter or digit, at most SLC_MAX_NAME_LEN. Names become
/// directories, labels and words of commands.
std::string problem_with_name(std::string_view name);

/// Of a test: one line of text that people read, at most kMaxTestName bytes.
std::string problem_with_test_name(std::string_view name);

/// What the kernel takes as the name of a network device.
std::string problem_with_interface(std::string_view name);

/// Unicast addresses that other machines can reach, and no others.
std::string problem_with_address(const IpAddress& address);

/// Host bits, and everything problem_with_address() refuses for any address of it.
std::string problem_with_prefix(const IpPrefix& prefix);

/// Absolute, and what the kernel takes.
std::string problem_with_path(std::string_view path);

/// Of a check: what may stand in the request line, in `Host`, in a certificate, and so on. All of
/// it goes to the network as it is, and none of it can end a line there.
std::string problem_with_http_path(std::string_view path);
std::string problem_with_host(std::string_view host);
std::string problem_with_server_name(std::string_view name);
std::string problem_with_header_name(std::string_view name);
std::string problem_with_field_name(std::string_view name);
std::string problem_with_grpc_service(std::string_view name);
std::string problem_with_domain(std::string_view name);

/// "200" or "200-299": 100..599.
std::optional<StatusRange> parse_status(std::string_view text);
std::string text_of(const StatusRange& range);

/// Text as it is, or "hex:" and an even number of hex digits.
std::optional<std::string> parse_bytes(std::string_view text);
/// As text where that is printable ASCII, else in hex: parse_bytes() reads it back.
std::string text_of_bytes(std::string_view bytes);

/// A word of DNS and its number (RFC 1035 3.2.2, 4.1.1 and the registry of IANA).
struct DnsWord {
    std::string_view word;
    std::uint16_t value;
};
inline constexpr std::array<DnsWord, 13> kDnsTypes = {{{"A", 1},
                                                       {"NS", 2},
                                                       {"CNAME", 5},
                                                       {"SOA", 6},
                                                       {"PTR", 12},
                                                       {"MX", 15},
                                                       {"TXT", 16},
                                                       {"AAAA", 28},
                                                       {"SRV", 33},
                                                       {"DNSKEY", 48},
                                                       {"SVCB", 64},
                                                       {"HTTPS", 65},
                                                       {"CAA", 257}}};
inline constexpr std::array<DnsWord, 6> kDnsRcodes = {{{"NOERROR", 0},
                                                       {"FORMERR", 1},
                                                       {"SERVFAIL", 2},
                                                       {"NXDOMAIN", 3},
                                                       {"NOTIMP", 4},
                                                       {"REFUSED", 5}}};

/// "65000:1", "65000:1:2", or the word of a well-known one (RFC 1997, 3765, 7999, 8326).
std::optional<BgpCommunity> parse_community(std::string_view text);

/// A number up to 2^32 - 1, or "0x" and 1 to 30 hex digits. Leading zeros of those count for
/// nothing: how long an id is on the wire is said by the service.
std::optional<ServerId> parse_server_id(std::string_view text);

/// 32 hex digits, not all zero; the first 16 are the first number.
std::optional<std::array<std::uint64_t, 2>> parse_ring_secret(std::string_view text);

}  // namespace sluice::config
