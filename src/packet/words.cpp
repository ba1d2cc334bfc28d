// SPDX-License-Identifier: Apache-2.0
#include "packet/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace sluice::packet {
namespace {

constexpr std::string_view kAlone = ">(){}";
constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::size_t kMaxQuotedWord = 48;

bool is_alone(char c) {
    return kAlone.find(c) != std::string_view::npos;
}

/// As much of a word as belongs into a message.
std::string shortened(std::string_view word) {
    if (word.size() <= kMaxQuotedWord) return std::string(word);
    return std::string(word.substr(0, kMaxQuotedWord)) + "...";
}

std::optional<std::uint32_t> number_of(std::string_view digits) {
    const bool is_hex = digits.starts_with("0x") || digits.starts_with("0X");
    if (is_hex) digits.remove_prefix(2);
    std::uint32_t out = 0;
    const char* end = digits.data() + digits.size();
    const auto [last, error] = std::from_chars(digits.data(), end, out, is_hex ? 16 : 10);
    if (error != std::errc() || last != end) return std::nullopt;
    return out;
}

}  // namespace

Error wrong_word(std::string_view word, std::string_view why, std::string hint) {
    return make_error(Errc::invalid, fmt::format("'{}' {}", shortened(word), why), std::move(hint));
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> out;
    std::size_t at = 0;
    while (at < text.size()) {
        if (kBlanks.find(text[at]) != std::string_view::npos) {
            ++at;
            continue;
        }
        std::size_t end = at + 1;
        if (!is_alone(text[at]))
            while (end < text.size() && !is_alone(text[end]) &&
                   kBlanks.find(text[end]) == std::string_view::npos)
                ++end;
        out.push_back(text.substr(at, end - at));
        at = end;
    }
    return out;
}

Result<std::uint32_t> read_number(std::string_view word, std::string_view digits,
                                  std::uint32_t least, std::uint32_t most) {
    const auto number = number_of(digits);
    if (!number || *number < least || *number > most)
        return fail(wrong_word(word, fmt::format("needs a number, {}..{}", least, most)));
    return *number;
}

Result<Octets> read_hex(std::string_view word, std::string_view digits) {
    if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
    Octets out;
    out.reserve(digits.size() / 2);
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        std::uint8_t byte = 0;
        const char* end = digits.data() + i + 2;
        const auto [last, error] = std::from_chars(digits.data() + i, end, byte, 16);
        if (error != std::errc() || last != end) break;
        out.push_back(byte);
    }
    if (digits.empty() || out.size() * 2 != digits.size())
        return fail(wrong_word(word, "needs bytes as hexadecimal digits, two each"));
    return out;
}

Result<Endpoint> read_endpoint(std::string_view word) {
    Endpoint out;
    std::string_view address = word;
    std::optional<std::string_view> port;
    if (word.starts_with('[')) {
        const std::size_t bracket = word.find(']');
        const bool has_end = bracket != std::string_view::npos;
        if (!has_end || (bracket + 1 < word.size() && word[bracket + 1] != ':'))
            return fail(wrong_word(word, "is not [ADDRESS]:PORT"));
        address = word.substr(1, bracket - 1);
        if (bracket + 1 < word.size()) port = word.substr(bracket + 2);
    } else if (std::ranges::count(word, ':') == 1) {
        address = word.substr(0, word.find(':'));
        port = word.substr(word.find(':') + 1);
    }
    const auto parsed = IpAddress::parse(address);
    if (!parsed || (word.starts_with('[') && !parsed->is_ip6))
        return fail(wrong_word(
            word, fmt::format("holds no IPv{} address", word.starts_with('[') ? "6" : "4 or IPv6"),
            "IPv6 with a port is written in brackets: [2001:db8::7]:443"));
    out.address = *parsed;
    if (!port) return out;
    const auto number = number_of(*port);
    if (!number || *number > 0xffff || port->starts_with("0x"))
        return fail(wrong_word(word, fmt::format("has no port (0..65535) but '{}'", *port)));
    out.port = static_cast<std::uint16_t>(*number);
    return out;
}

std::string text_of(const Endpoint& endpoint) {
    const std::string address = endpoint.address.text();
    if (!endpoint.port) return address;
    return endpoint.address.is_ip6 ? fmt::format("[{}]:{}", address, *endpoint.port)
                                   : fmt::format("{}:{}", address, *endpoint.port);
}

std::string hex_of(const Octets& bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) fmt::format_to(std::back_inserter(out), "{:02x}", byte);
    return out;
}

}  // namespace sluice::packet
