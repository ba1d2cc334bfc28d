// SPDX-License-Identifier: Apache-2.0
#include "health/dns_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace sluice::health {
namespace {

constexpr std::size_t kHeaderLen = 12;
constexpr std::size_t kMostName = 255;
constexpr std::size_t kMostLabel = 63;

void put16(std::string& out, unsigned value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value & 0xff);
}

unsigned get16(std::string_view bytes, std::size_t at) {
    return static_cast<unsigned>(static_cast<unsigned char>(bytes[at])) << 8 |
           static_cast<unsigned char>(bytes[at + 1]);
}

/// Labels with their lengths and the root's zero; empty: no name.
std::string wire_name(std::string_view name) {
    std::string out;
    if (name.ends_with('.')) name.remove_suffix(1);
    while (!name.empty()) {
        const std::size_t dot = name.find('.');
        const std::string_view label = name.substr(0, dot);
        if (label.empty() || label.size() > kMostLabel) return {};
        out += static_cast<char>(label.size());
        out += label;
        name.remove_prefix(dot == std::string_view::npos ? name.size() : dot + 1);
    }
    out += '\0';
    return out.size() > kMostName ? std::string() : out;
}

/// RFC 1035 section 4.1.1, RFC 2136 section 2.2.
std::string rcode_name(unsigned rcode) {
    static constexpr const char* kNames[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                             "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                             "NXRRSET", "NOTAUTH", "NOTZONE"};
    return rcode < std::size(kNames) ? kNames[rcode] : fmt::format("RCODE {}", rcode);
}

/// Everything from the name to the class, as it must be echoed.
std::string question(const config::CheckDns& check) {
    std::string out = wire_name(check.name);
    if (out.empty()) return {};
    put16(out, check.type);
    put16(out, 1);  // IN
    return out;
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

/// Names are compared without case (RFC 4343), type and class are numbers.
bool is_same_question(std::string_view asked, std::string_view told) {
    told = told.substr(0, asked.size());
    const std::size_t name_len = asked.size() - 4;
    return told.size() == asked.size() && told.substr(name_len) == asked.substr(name_len) &&
           std::equal(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(name_len),
                      told.begin(), [](char a, char b) { return lower(a) == lower(b); });
}

Finding not_dns(std::string text) {
    return {.why = Why::protocol, .text = std::move(text), .load = {}};
}

}  // namespace

std::string dns_query(const config::CheckDns& check, std::uint16_t id) {
    const std::string asked = question(check);
    if (asked.empty()) return {};
    std::string out;
    put16(out, id);
    put16(out, 0x0100);  // QUERY, recursion desired.
    put16(out, 1);
    for (int i = 0; i < 3; ++i) put16(out, 0);
    return out + asked;
}

bool is_stray_dns(std::uint16_t id, std::string_view message) {
    return message.size() >= kHeaderLen && get16(message, 0) != id;
}

Finding judge_dns(const config::CheckDns& check, std::uint16_t id, std::string_view message) {
    if (message.size() < kHeaderLen)
        return not_dns(fmt::format("{} bytes are no DNS message", message.size()));
    if (get16(message, 0) != id) return not_dns("answers another query");
    const unsigned flags = get16(message, 2);
    if ((flags & 0x8000) == 0) return not_dns("a query, not an answer");
    if ((flags & 0x7800) != 0) return not_dns("answers another kind of query");
    const unsigned rcode = flags & 0xf;
    // A server that could not read the question need not repeat it.
    const unsigned questions = get16(message, 4);
    const bool is_same =
        questions == 1 && is_same_question(question(check), message.substr(kHeaderLen));
    if (!is_same && !(questions == 0 && rcode != 0)) return not_dns("answers another question");
    if (rcode != check.rcode)
        return {.why = Why::rcode,
                .text = fmt::format("{}, wanted {}", rcode_name(rcode), rcode_name(check.rcode)),
                .load = {}};
    return {};
}

}  // namespace sluice::health
