// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The words of a notation, and what a word may mean: numbers, hexadecimal digits, addresses with
/// ports. Every error names its word. Only src/packet includes it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "packet/spec.h"

namespace sluice::packet {

/// An Errc::invalid that begins with the word in quotes.
Error wrong_word(std::string_view word, std::string_view why, std::string hint = {});

/// Between blanks; '>', '(', ')', '{' and '}' are words of their own.
std::vector<std::string_view> words_of(std::string_view text);

/// Decimal, or hexadecimal behind "0x"; `least`..`most`. `word` is what an error names.
Result<std::uint32_t> read_number(std::string_view word, std::string_view digits,
                                  std::uint32_t least, std::uint32_t most);
/// Two digits a byte, with or without "0x".
Result<Octets> read_hex(std::string_view word, std::string_view digits);

struct Endpoint {
    IpAddress address;
    std::optional<std::uint16_t> port;
};
/// ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT.
Result<Endpoint> read_endpoint(std::string_view word);

std::string text_of(const Endpoint& endpoint);
std::string hex_of(const Octets& bytes);

}  // namespace sluice::packet
