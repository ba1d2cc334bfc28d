// SPDX-License-Identifier: Apache-2.0
#include "announce/bird_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::announce {
namespace {

constexpr std::string_view kHead =
    "# Written by sluiced: changes are lost. In bird.conf:\n"
    "#   include \"<this file>\";\n"
    "# and in the export filter towards routers:\n"
    "#   if proto ~ \"sluice*\" then accept;\n";
constexpr std::string_view kDraining = " { bgp_community.add((65535,0)); bgp_local_pref = 0; }";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// The next word of a table's line, or nothing.
std::string_view next_word(std::string_view& line) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
        line = {};
        return {};
    }
    const std::size_t end = std::min(line.find_first_of(" \t", begin), line.size());
    const std::string_view word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

/// Of what a stranger sent: short, and nothing that a terminal interprets.
std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, 200)) out += c >= 0x20 && c < 0x7f ? c : '?';
    return out;
}

}  // namespace

std::string bird_protocol_name(const IpPrefix& prefix) {
    std::string out = prefix.address.is_ip6 ? "sluice6_" : "sluice4_";
    for (const char c : prefix.address.text()) {
        // "::ffff:1.2.3.4" must not be called like "::ffff:1:2:3:4".
        if (c == '.' && prefix.address.is_ip6)
            out += 'd';
        else
            out += c == '.' || c == ':' ? '_' : c;
    }
    return out + fmt::format("_{}", prefix.len);
}

std::string bird_file(const PrefixWishes& wishes) {
    std::string out(kHead);
    for (const auto& [prefix, wish] : wishes) {
        out += fmt::format("protocol static {} {{ {}{}; route {}/{} blackhole{}; }}\n",
                           bird_protocol_name(prefix), wish == Wish::withdraw ? "disabled; " : "",
                           prefix.address.is_ip6 ? "ipv6" : "ipv4", prefix.network().address.text(),
                           prefix.len, wish == Wish::drain ? kDraining : "");
    }
    return out;
}

std::string BirdReply::text() const {
    if (lines.empty()) return {};
    return fmt::format("{:04} {}", lines.back().code, printable(lines.back().text));
}

void BirdReplies::add(std::string_view bytes) {
    while (problem_.empty() && !bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view part = bytes.substr(0, end);
        if (partial_.size() + part.size() > kLineMax) {
            problem_ = "a line without end";
            return;
        }
        partial_ += part;
        if (end == std::string_view::npos) return;
        bytes.remove_prefix(end + 1);
        take_line(partial_);
        partial_.clear();
    }
}

void BirdReplies::take_line(std::string_view line) {
    if (!line.empty() && line[0] == '+') return;
    BirdLine out;
    bool is_last = false;
    if (!line.empty() && line[0] == ' ' && !reply_.lines.empty()) {
        out.code = reply_.lines.back().code;
        out.text = line.substr(1);
    } else if (line.size() >= 5 && std::all_of(line.begin(), line.begin() + 4, is_digit) &&
               (line[4] == ' ' || line[4] == '-')) {
        for (const char c : line.substr(0, 4))
            out.code = static_cast<std::uint16_t>(out.code * 10 + (c - '0'));
        out.text = line.substr(5);
        is_last = line[4] == ' ';
    } else {
        problem_ = "an unexpected line: \"" + printable(line) + "\"";
        return;
    }
    size_ += line.size() + sizeof(BirdLine);
    if (size_ > kReplyMax) {
        problem_ = "a reply without end";
        return;
    }
    reply_.lines.push_back(std::move(out));
    if (!is_last) return;
    ready_.push_back(std::move(reply_));
    reply_ = {};
    size_ = 0;
}

std::optional<BirdReply> BirdReplies::next() {
    if (ready_.empty()) return std::nullopt;
    BirdReply out = std::move(ready_.front());
    ready_.pop_front();
    return out;
}

std::vector<BirdProtocol> bird_protocols(const BirdReply& reply) {
    std::vector<BirdProtocol> out;
    for (const BirdLine& line : reply.lines) {
        if (line.code != 1002) continue;
        std::string_view rest = line.text;
        const std::string_view name = next_word(rest);
        const std::string_view kind = next_word(rest);
        next_word(rest);  // Table.
        const std::string_view state = next_word(rest);
        // Operators may call protocols of their own "sluice-something".
        const bool is_ours = name.starts_with("sluice4_") || name.starts_with("sluice6_");
        if (is_ours && kind == "Static" && !state.empty())
            out.push_back({std::string(name), std::string(state)});
    }
    return out;
}

std::vector<std::string> bird_route_owners(const BirdReply& reply) {
    std::vector<std::string> out;
    for (const BirdLine& line : reply.lines) {
        if (line.code != 1007) continue;
        const std::size_t open = line.text.find('[');
        if (open == std::string::npos) continue;
        std::string_view rest = std::string_view(line.text).substr(open + 1);
        const std::string_view name = next_word(rest);
        if (name.starts_with("sluice4_") || name.starts_with("sluice6_")) out.emplace_back(name);
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

}  // namespace sluice::announce
