// SPDX-License-Identifier: Apache-2.0
#include "packet/pasted.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>

#include "packet/notation.h"

namespace sluice::packet {
namespace {

constexpr std::size_t kEthernetLen = 14, kIp4Len = 20, kIp6Len = 40;
constexpr std::string_view kBlanks = " \t\r\n";

bool is_hex(char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}

/// "0x0010:", before a line of a dump.
bool is_offset(std::string_view word) {
    return word.size() > 3 && word.starts_with("0x") && word.ends_with(':') &&
           std::all_of(word.begin() + 2, word.end() - 1, is_hex);
}

/// The digits of a text that holds bytes and nothing else.
std::optional<std::string> digits_of(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
        std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(text.size(), end + 1));
        if (is_offset(word)) continue;
        if (word.starts_with("0x")) word.remove_prefix(2);
        for (const char c : word) {
            if (!is_hex(c) && c != ':') return std::nullopt;
            if (c != ':') out += c;
        }
    }
    // As many as the shortest packet has; what is shorter may be a word of the notation.
    if (out.size() < 2 * kEthernetLen) return std::nullopt;
    return out;
}

std::uint8_t byte_at(std::string_view digits, std::size_t at) {
    const auto value = [](char c) {
        return std::isdigit(static_cast<unsigned char>(c)) != 0
                   ? c - '0'
                   : std::tolower(static_cast<unsigned char>(c)) - 'a' + 10;
    };
    return static_cast<std::uint8_t>(value(digits[2 * at]) * 16 + value(digits[2 * at + 1]));
}

std::size_t word_at(std::string_view digits, std::size_t at) {
    return std::size_t{byte_at(digits, at)} << 8 | byte_at(digits, at + 1);
}

/// Whether an IP packet begins here whose length fits what there is.
bool is_ip(std::string_view digits) {
    const std::size_t size = digits.size() / 2;
    if (size < kIp4Len) return false;
    const unsigned version = byte_at(digits, 0) >> 4;
    if (version == 4)
        return (byte_at(digits, 0) & 0xf) >= 5 && word_at(digits, 2) >= kIp4Len &&
               word_at(digits, 2) <= size;
    return version == 6 && size >= kIp6Len && word_at(digits, 4) + kIp6Len <= size;
}

/// Whether it reads like an Ethernet header with what it says behind it. It is asked where an IP
/// packet seems to begin at once: a MAC address may look like the beginning of one.
bool is_ethernet(std::string_view digits) {
    const std::size_t type = word_at(digits, 12);
    if (type == 0x0800 || type == 0x86dd) return is_ip(digits.substr(2 * kEthernetLen));
    return type == 0x0806 || type == 0x8100 || type == 0x88a8;
}

}  // namespace

Result<std::vector<std::uint8_t>> read_packet(std::string_view text) {
    const auto digits = digits_of(text);
    if (!digits) return build(text);
    if (digits->size() % 2 != 0)
        return fail(Errc::invalid, "an odd number of hexadecimal digits", "each byte has two");
    const bool bare = is_ip(*digits) && !is_ethernet(*digits);
    return build((bare ? "hex ip:" : "hex:") + *digits);
}

}  // namespace sluice::packet
