// SPDX-License-Identifier: Apache-2.0
#include "config/rules.h"

#include <net/if.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <vector>

#include "sluice/limits.h"

namespace sluice::config {
namespace {

bool is_alnum(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

struct Unusable {
    IpPrefix prefix;
    const char* what;
};

const std::vector<Unusable>& unusable() {
    static const std::vector<Unusable> blocks = [] {
        constexpr std::pair<const char*, const char*> kBlocks[] = {
            {"0.0.0.0/8", "unspecified"},
            {"127.0.0.0/8", "loopback"},
            {"169.254.0.0/16", "link-local"},
            {"224.0.0.0/4", "multicast"},
            {"255.255.255.255/32", "broadcast"},
            {"::/128", "unspecified"},
            {"::1/128", "loopback"},
            {"::ffff:0:0/96", "IPv4-mapped"},
            {"fe80::/10", "link-local"},
            {"ff00::/8", "multicast"},
        };
        std::vector<Unusable> out;
        for (const auto& [text, what] : kBlocks) out.push_back({*IpPrefix::parse(text), what});
        return out;
    }();
    return blocks;
}

}  // namespace

std::string problem_with_name(std::string_view name) {
    if (name.empty()) return "is empty";
    if (name.size() > SLC_MAX_NAME_LEN)
        return "is longer than " + std::to_string(SLC_MAX_NAME_LEN) + " characters";
    const bool good = is_alnum(name.front()) && std::all_of(name.begin(), name.end(), [](char c) {
                          return is_alnum(c) || c == '-' || c == '_' || c == '.';
                      });
    if (good) return {};
    return "is not a name: letters, digits and \"-_.\", the first a letter or digit";
}

std::string problem_with_test_name(std::string_view name) {
    const bool good = !name.empty() && name.size() <= kMaxTestName &&
                      std::none_of(name.begin(), name.end(), [](char c) {
                          return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
                      });
    if (good) return {};
    return "is not a name: one line of 1 to " + std::to_string(kMaxTestName) + " bytes";
}

std::string problem_with_interface(std::string_view name) {
    const bool good = !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
                      std::all_of(
                          name.begin(), name.end(),
                          [](char c) { return c > ' ' && c <= '~' && c != '/' && c != ':'; });
    if (good) return {};
    return "is not the name of an interface: 1 to 15 characters, no space, \"/\" or \":\"";
}

std::string problem_with_address(const IpAddress& address) {
    for (const Unusable& block : unusable()) {
        if (!block.prefix.contains(address)) continue;
        std::string out = "is ";
        out += block.what[0] == 'u' || block.what[0] == 'I' ? "an " : "a ";
        return out + block.what + " address";
    }
    return {};
}

std::string problem_with_prefix(const IpPrefix& prefix) {
    if (prefix.has_host_bits())
        return "has bits beyond its length: write " + prefix.network().text();
    if (prefix.is_host()) return problem_with_address(prefix.address);
    for (const Unusable& block : unusable())
        if (block.prefix.overlaps(prefix)) return "holds " + std::string(block.what) + " addresses";
    return {};
}

std::optional<ServerId> parse_server_id(std::string_view text) {
    ServerId out;
    std::string digits(text);
    if (text.starts_with("0x")) {
        digits = text.substr(2);
    } else {
        std::uint32_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool leading_zero = text.size() > 1 && text.front() == '0';
        if (error != std::errc() || end != text.data() + text.size() || leading_zero)
            return std::nullopt;
        char hex[2 * sizeof value];
        digits.assign(hex, std::to_chars(hex, hex + sizeof hex, value, 16).ptr);
    }
    if (digits.empty() || digits.size() > 2 * out.bytes.size()) return std::nullopt;
    if (digits.size() % 2 != 0) digits.insert(digits.begin(), '0');
    for (std::size_t at = 0; at < digits.size(); at += 2) {
        std::uint8_t byte = 0;
        const char* first = digits.data() + at;
        if (std::from_chars(first, first + 2, byte, 16).ptr != first + 2) return std::nullopt;
        const bool is_last = at + 2 == digits.size();
        if (byte != 0 || out.len > 0 || is_last) out.bytes[out.len++] = byte;
    }
    return out;
}

std::optional<std::array<std::uint64_t, 2>> parse_ring_secret(std::string_view text) {
    std::array<std::uint64_t, 2> out{};
    if (text.size() != 32) return std::nullopt;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const char* first = text.data() + 16 * i;
        const auto [end, error] = std::from_chars(first, first + 16, out[i], 16);
        if (error != std::errc() || end != first + 16) return std::nullopt;
    }
    if (out[0] == 0 && out[1] == 0) return std::nullopt;
    return out;
}

}  // namespace sluice::config
