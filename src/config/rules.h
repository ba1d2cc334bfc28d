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

/// A number up to 2^32 - 1, or "0x" and 1 to 30 hex digits. Leading zeros of those count for
/// nothing: how long an id is on the wire is said by the service.
std::optional<ServerId> parse_server_id(std::string_view text);

/// 32 hex digits, not all zero; the first 16 are the first number.
std::optional<std::array<std::uint64_t, 2>> parse_ring_secret(std::string_view text);

}  // namespace sluice::config
