// SPDX-License-Identifier: Apache-2.0
#include "config/rules.h"

#include <net/if.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <climits>
#include <vector>

#include "sluice/limits.h"

namespace sluice::config {
namespace {

bool is_alnum(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

bool is_graphic(char c) {
    return c > ' ' && c <= '~';
}

bool is_host(char c) {
    return is_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':';
}

/// 1 to `most` characters of one kind.
template <typename Kind>
bool is_made_of(std::string_view text, std::size_t most, Kind is_kind) {
    return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), is_kind);
}

/// Decimal digits without leading zeros.
std::optional<std::uint32_t> number_of(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool leading_zero = text.size() > 1 && text.front() == '0';
    if (error != std::errc() || end != text.data() + text.size() || leading_zero)
        return std::nullopt;
    return value;
}

std::optional<std::uint16_t> status_of(std::string_view text) {
    const auto value = number_of(text);
    if (!value || *value < 100 || *value > 599) return std::nullopt;
    return static_cast<std::uint16_t>(*value);
}

constexpr std::string_view kHex = "hex:";

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

std::string problem_with_path(std::string_view path) {
    if (path.starts_with('/') && path.size() < PATH_MAX &&
        path.find('\0') == std::string_view::npos)
        return {};
    return "is not an absolute path";
}

std::string problem_with_http_path(std::string_view path) {
    if (path.starts_with('/') && is_made_of(path, 1024, is_graphic)) return {};
    return "is not a path: it begins with \"/\" and has no space, as in /healthz?full=1";
}

std::string problem_with_host(std::string_view host) {
    if (is_made_of(host, 255, [](char c) { return is_host(c) || c == '[' || c == ']'; })) return {};
    return "is not a host, as in www.example.com or www.example.com:8080";
}

std::string problem_with_server_name(std::string_view name) {
    if (is_made_of(name, 253, is_host)) return {};
    return "is not the name or the address of a server";
}

std::string problem_with_header_name(std::string_view name) {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";  // RFC 9110 5.6.2.
    if (is_made_of(name, 64,
                   [&](char c) { return is_alnum(c) || kMarks.find(c) != std::string_view::npos; }))
        return {};
    return "is not the name of a header";
}

std::string problem_with_field_name(std::string_view name) {
    if (is_made_of(name, 64, [](char c) { return c == ' ' || is_graphic(c); })) return {};
    return "is not the name of a field: 1 to 64 printable characters";
}

std::string problem_with_grpc_service(std::string_view name) {
    if (is_made_of(name, 255, [](char c) {
            return is_alnum(c) || c == '.' || c == '_' || c == '/' || c == '-';
        }))
        return {};
    return "is not the name of a gRPC service, as in shop.v1.Cart";
}

std::string problem_with_domain(std::string_view name) {
    constexpr const char* kProblem = "is not a domain name, as in example.com";
    if (name == ".") return {};
    if (name.ends_with('.')) name.remove_suffix(1);
    if (!is_made_of(name, 253,
                    [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; }))
        return kProblem;
    for (std::size_t first = 0; first <= name.size();) {
        const std::size_t last = std::min(name.find('.', first), name.size());
        if (last == first || last - first > 63) return kProblem;  // RFC 1035 2.3.4.
        first = last + 1;
    }
    return {};
}

std::optional<StatusRange> parse_status(std::string_view text) {
    const std::size_t dash = std::min(text.find('-'), text.size());
    const auto first = status_of(text.substr(0, dash));
    const auto last = dash == text.size() ? first : status_of(text.substr(dash + 1));
    if (!first || !last || *first > *last) return std::nullopt;
    return StatusRange{*first, *last};
}

std::string text_of(const StatusRange& range) {
    const std::string first = std::to_string(range.first);
    return range.first == range.last ? first : first + "-" + std::to_string(range.last);
}

std::optional<std::string> parse_bytes(std::string_view text) {
    if (!text.starts_with(kHex)) return std::string(text);
    text.remove_prefix(kHex.size());
    if (text.empty() || text.size() % 2 != 0) return std::nullopt;
    std::string out;
    out.reserve(text.size() / 2);
    for (std::size_t at = 0; at < text.size(); at += 2) {
        std::uint8_t byte = 0;
        const char* first = text.data() + at;
        if (std::from_chars(first, first + 2, byte, 16).ptr != first + 2) return std::nullopt;
        out += static_cast<char>(byte);
    }
    return out;
}

std::string text_of_bytes(std::string_view bytes) {
    const bool is_text =
        !bytes.starts_with(kHex) &&
        std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == ' ' || is_graphic(c); });
    if (is_text) return std::string(bytes);
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out(kHex);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

std::optional<BgpCommunity> parse_community(std::string_view text) {
    constexpr std::pair<std::string_view, std::uint32_t> kWellKnown[] = {
        {"graceful-shutdown", 0},        {"blackhole", 666},
        {"no-export", 0xff01},           {"no-advertise", 0xff02},
        {"no-export-subconfed", 0xff03}, {"no-peer", 0xff04},
    };
    for (const auto& [word, value] : kWellKnown)
        if (text == word) return BgpCommunity{{0xffff, value, 0}, false};
    BgpCommunity out;
    std::size_t parts = 0;
    for (std::size_t first = 0; first <= text.size(); ++parts) {
        const std::size_t last = std::min(text.find(':', first), text.size());
        const auto value = number_of(text.substr(first, last - first));
        if (!value || parts == 3) return std::nullopt;
        out.values[parts] = *value;
        first = last + 1;
    }
    out.is_large = parts == 3;
    if (parts < 2 || (parts == 2 && std::max(out.values[0], out.values[1]) > 0xffff))
        return std::nullopt;
    return out;
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
