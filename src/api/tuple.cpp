// SPDX-License-Identifier: Apache-2.0
#include "api/tuple.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

namespace sluice::api {
namespace {

constexpr const char* kGrammar =
    "for example: tcp 198.51.100.7:1234 > 192.0.2.10:443 syn; IPv6 as [2001:db8::7]:1234";
constexpr std::size_t kMaxTupleLen = 256;  // The longest that is right has some 110 bytes.
constexpr std::size_t kMaxIdLen = 20;      // A QUIC connection id (RFC 9000 17.2).

struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;
};

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, port);
    if (error != std::errc() || last != end) return std::nullopt;
    return port;
}

Result<Endpoint> parse_endpoint(std::string_view word, const char* which) {
    const auto wrong = [&](std::string_view why) {
        return fail(Errc::invalid, fmt::format("{} '{}': {}", which, word, why), kGrammar);
    };
    std::string_view address = word;
    std::string_view port;
    const bool is_bracketed = word.starts_with('[');
    const std::size_t bracket = is_bracketed ? word.find(']') : std::string_view::npos;
    if (is_bracketed) {
        if (bracket == std::string_view::npos || bracket + 1 >= word.size() ||
            word[bracket + 1] != ':')
            return wrong("not [ADDRESS]:PORT");
        address = word.substr(1, bracket - 1);
        port = word.substr(bracket + 2);
    } else {
        const std::size_t colon = word.rfind(':');
        if (colon == std::string_view::npos) return wrong("no port");
        if (word.find(':') != colon) return wrong("an IPv6 address is written in brackets");
        address = word.substr(0, colon);
        port = word.substr(colon + 1);
    }
    const auto parsed = IpAddress::parse(address);
    if (!parsed || parsed->is_ip6 != is_bracketed)
        return wrong(fmt::format("'{}' is no IPv{} address", address, is_bracketed ? 6 : 4));
    const auto number = parse_port(port);
    if (!number) return wrong(fmt::format("'{}' is not a port (0..65535)", port));
    return Endpoint{*parsed, *number};
}

/// Words between blanks; '>' is a word of its own.
std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> out;
    std::size_t at = 0;
    while (at < text.size()) {
        if (text[at] == ' ' || text[at] == '\t') {
            ++at;
            continue;
        }
        const std::size_t end =
            text[at] == '>' ? at + 1 : std::min(text.find_first_of(" \t>", at), text.size());
        out.push_back(text.substr(at, end - at));
        at = end;
    }
    return out;
}

std::string endpoint_text(const IpAddress& address, std::uint16_t port) {
    return address.is_ip6 ? fmt::format("[{}]:{}", address.text(), port)
                          : fmt::format("{}:{}", address.text(), port);
}

}  // namespace

Result<control::FlowTuple> parse_tuple(std::string_view text) {
    const auto wrong = [](std::string what) {
        return fail(Errc::invalid, std::move(what), kGrammar);
    };
    if (text.size() > kMaxTupleLen) return wrong("the tuple is too long");
    const auto words = words_of(text);
    if (words.empty()) return wrong("the tuple is empty");
    control::FlowTuple out;
    if (words[0] == "udp")
        out.protocol = config::Protocol::udp;
    else if (words[0] != "tcp")
        return wrong(fmt::format("a tuple begins with tcp or udp, not '{}'", words[0]));
    if (words.size() < 4 || words[2] != ">")
        return wrong("a tuple is PROTOCOL SOURCE > DESTINATION");
    const Endpoint source = SLC_TRY(parse_endpoint(words[1], "source"), "tuple");
    const Endpoint destination = SLC_TRY(parse_endpoint(words[3], "destination"), "tuple");
    if (source.address.is_ip6 != destination.address.is_ip6)
        return wrong("source and destination are not of one IP version");
    const bool has_syn = words.size() == 5 && words[4] == "syn";
    if (words.size() > 4 && !has_syn)
        return wrong(
            fmt::format("'{}' behind the destination: only syn may stand there", words[4]));
    if (has_syn && out.protocol == config::Protocol::udp) return wrong("udp has no syn");
    out.source = source.address;
    out.source_port = source.port;
    out.destination = destination.address;
    out.destination_port = destination.port;
    out.syn = has_syn;
    return out;
}

std::string text_of(const control::FlowTuple& tuple) {
    return fmt::format("{} {} > {}{}", config::name_of(tuple.protocol),
                       endpoint_text(tuple.source, tuple.source_port),
                       endpoint_text(tuple.destination, tuple.destination_port),
                       tuple.syn ? " syn" : "");
}

Result<std::vector<std::uint8_t>> parse_id(std::string_view text) {
    std::string_view digits = text;
    if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
    std::vector<std::uint8_t> out;
    const bool has_len =
        !digits.empty() && digits.size() % 2 == 0 && digits.size() <= kMaxIdLen * 2;
    for (std::size_t i = 0; has_len && i < digits.size(); i += 2) {
        std::uint8_t byte = 0;
        const auto [end, error] = std::from_chars(&digits[i], &digits[i] + 2, byte, 16);
        if (error != std::errc() || end != &digits[i] + 2) break;
        out.push_back(byte);
    }
    if (!has_len || out.size() * 2 != digits.size())
        return fail(Errc::invalid, fmt::format("'{}' is no id", text.substr(0, kMaxTupleLen)),
                    "1 to 20 bytes as hexadecimal digits, for example 00000007");
    return out;
}

}  // namespace sluice::api
