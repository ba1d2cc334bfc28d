// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "packet/spec.h"
#include "packet/words.h"
#include "sluice/limits.h"

namespace sluice::packet {
namespace {

constexpr const char* kExample =
    "for example: tcp 198.51.100.7:1234 > 192.0.2.10:443 syn; the notation is in "
    "docs/reference/packets.md";
constexpr std::size_t kMaxText = 2 * SLC_MAX_FRAME_LEN + 4096;
constexpr std::size_t kLongHeaderLen = 48;  // Of a QUIC packet when no length is said.
constexpr std::size_t kInitialLen = 1200;   // RFC 9000 14.1
constexpr std::size_t kMaxConnectionId = 20;

/// KEY or KEY=VALUE.
struct Option {
    std::string_view word;
    std::string_view key;
    std::string_view value;
    bool has_value = false;
};

Option option_of(std::string_view word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return {word, word, {}, false};
    return {word, word.substr(0, equals), word.substr(equals + 1), true};
}

using Setter = Result<void> (*)(Spec& spec, const Option& option);

/// Sets a number of any width.
template <auto Member, std::uint32_t Least, std::uint32_t Most>
Result<void> number(Spec& spec, const Option& option) {
    const auto value = read_number(option.word, option.value, Least, Most);
    if (!value) return fail(value.error());
    auto& field = spec.*Member;
    field = static_cast<std::uint32_t>(*value);
    return {};
}

template <auto Member>
Result<void> bytes(Spec& spec, const Option& option) {
    auto value = read_hex(option.word, option.value);
    if (!value) return fail(value.error());
    if (value->size() > SLC_MAX_FRAME_LEN)
        return fail(wrong_word(option.word, "is longer than any frame"));
    spec.*Member = std::move(*value);
    return {};
}

Result<void> set_df(Spec& spec, const Option& /*option*/) {
    spec.df = true;
    return {};
}

Result<void> set_fragment(Spec& spec, const Option& option) {
    std::string_view digits = option.value;
    spec.more_fragments = digits.ends_with('+');
    if (spec.more_fragments) digits.remove_suffix(1);
    const auto offset = read_number(option.word, digits, 0, 65528);
    if (!offset) return fail(offset.error());
    if (*offset % 8 != 0)
        return fail(wrong_word(option.word, "needs an offset in bytes that eight divides"));
    spec.fragment = *offset;
    return {};
}

Result<void> set_vlans(Spec& spec, const Option& option) {
    std::string_view rest = option.value;
    while (true) {
        const std::size_t comma = rest.find(',');
        const auto id = read_number(option.word, rest.substr(0, comma), 0, 4095);
        if (!id) return fail(id.error());
        spec.vlans.push_back(static_cast<std::uint16_t>(*id));
        if (spec.vlans.size() > kMaxVlans)
            return fail(wrong_word(option.word, fmt::format("has more than {} tags", kMaxVlans)));
        if (comma == std::string_view::npos) return {};
        rest.remove_prefix(comma + 1);
    }
}

Result<void> set_extensions(Spec& spec, const Option& option) {
    constexpr std::pair<std::string_view, std::uint8_t> kNames[] = {
        {"hop-by-hop", 0}, {"routing", 43}, {"auth", 51}, {"destination", 60}};
    std::string_view rest = option.value;
    while (true) {
        const std::size_t comma = rest.find(',');
        const auto* found = std::ranges::find(kNames, rest.substr(0, comma),
                                              &std::pair<std::string_view, std::uint8_t>::first);
        if (found == std::end(kNames))
            return fail(
                wrong_word(option.word, "lists hop-by-hop, destination, routing and auth only"));
        spec.extensions.push_back(found->second);
        if (spec.extensions.size() > 2 * SLC_MAX_EXT_HEADERS)
            return fail(wrong_word(option.word, "lists too many headers"));
        if (comma == std::string_view::npos) return {};
        rest.remove_prefix(comma + 1);
    }
}

Result<void> set_tcp_options(Spec& spec, const Option& option) {
    const auto value = read_hex(option.word, option.value);
    if (!value) return fail(value.error());
    spec.options.insert(spec.options.end(), value->begin(), value->end());
    if (spec.options.size() > kMaxTcpOptions)
        return fail(wrong_word(option.word, "makes more than 40 bytes of TCP options"));
    return {};
}

/// Katran's option: kind 0xB7, length 6, 32 bits.
Result<void> set_server_id(Spec& spec, const Option& option) {
    const auto id = read_number(option.word, option.value, 0, UINT32_MAX);
    if (!id) return fail(id.error());
    const std::string digits = fmt::format("b706{:08x}", *id);
    return set_tcp_options(spec, {option.word, option.key, digits, true});
}

Result<void> set_mtu(Spec& spec, const Option& option) {
    const bool is_answer = spec.icmp_type == (spec.kind == SpecKind::icmp6 ? 2 : 3);
    if (!is_answer)
        return fail(wrong_word(option.word, "belongs behind frag-needed or packet-too-big"));
    return number<&Spec::icmp_rest, 0, UINT32_MAX>(spec, option);
}

Result<void> set_echo_id(Spec& spec, const Option& option) {
    const auto value = read_number(option.word, option.value, 0, 0xffff);
    if (!value) return fail(value.error());
    spec.icmp_rest = *value << 16 | (spec.icmp_rest & 0xffff);
    return {};
}

Result<void> set_echo_seq(Spec& spec, const Option& option) {
    const auto value = read_number(option.word, option.value, 0, 0xffff);
    if (!value) return fail(value.error());
    spec.icmp_rest = (spec.icmp_rest & 0xffff0000u) | *value;
    return {};
}

/// RFC 8999: a long header of version 1 with a source connection id of four bytes, or a short one.
Result<void> set_quic(Spec& spec, const Option& option) {
    const auto id = read_hex(option.word, option.value);
    if (!id) return fail(id.error());
    if (id->size() > kMaxConnectionId)
        return fail(wrong_word(option.word, "is longer than a connection id, 20 bytes"));
    const bool is_short = option.key == "quic";
    const std::uint8_t type = option.key == "quic_initial" ? 0 : option.key == "quic_0rtt" ? 1 : 2;
    spec.data.clear();
    spec.data.push_back(is_short ? 0x41 : static_cast<std::uint8_t>(0xc0 | type << 4));
    if (!is_short) {
        for (const std::uint8_t byte : {0, 0, 0, 1}) spec.data.push_back(byte);
        spec.data.push_back(static_cast<std::uint8_t>(id->size()));
    }
    spec.data.insert(spec.data.end(), id->begin(), id->end());
    if (!is_short)
        for (const std::uint8_t byte : {4, 0xc1, 0xc2, 0xc3, 0xc4}) spec.data.push_back(byte);
    if (!spec.len) spec.len = type == 0 && !is_short ? kInitialLen : kLongHeaderLen;
    return {};
}

// Kinds that an option belongs to.
constexpr std::uint32_t bit(SpecKind kind) {
    return 1u << static_cast<unsigned>(kind);
}
constexpr std::uint32_t kTcpOnly = bit(SpecKind::tcp);
constexpr std::uint32_t kUdpOnly = bit(SpecKind::udp);
constexpr std::uint32_t kIcmps = bit(SpecKind::icmp) | bit(SpecKind::icmp6);
constexpr std::uint32_t kTunnels = bit(SpecKind::ipip) | bit(SpecKind::gre) | bit(SpecKind::gue);
constexpr std::uint32_t kOtherIp = bit(SpecKind::ip);
constexpr std::uint32_t kPlain = kTcpOnly | kUdpOnly | bit(SpecKind::sctp) | kIcmps | kOtherIp;
constexpr std::uint32_t kIp = kPlain | kTunnels;
constexpr std::uint32_t kRaw = bit(SpecKind::raw_frame) | bit(SpecKind::raw_ip);
constexpr std::uint32_t kEther = bit(SpecKind::ether);

struct Rule {
    std::string_view key;
    bool has_value;
    std::uint32_t kinds;
    bool outermost;  ///< Of the frame, not of a packet within.
    Setter set;
};

constexpr Rule kRules[] = {
    {"len", true, kPlain | kEther | kRaw, false, number<&Spec::len, 0, 65535>},
    {"data", true, kPlain | kEther, false, bytes<&Spec::data>},
    {"ttl", true, kIp, false, number<&Spec::ttl, 0, 255>},
    {"dscp", true, kIp, false, number<&Spec::dscp, 0, 63>},
    {"ecn", true, kIp, false, number<&Spec::ecn, 0, 3>},
    {"df", false, kIp, false, set_df},
    {"id", true, kIp, false, number<&Spec::id, 0, UINT32_MAX>},
    {"frag", true, kIp, false, set_fragment},
    {"ext", true, kIp, false, set_extensions},
    {"ip_options", true, kIp, false, bytes<&Spec::ip_options>},
    {"ip_len", true, kIp, false, number<&Spec::ip_len, 0, 65535>},
    {"ip_checksum", true, kIp, false, number<&Spec::ip_checksum, 0, 65535>},
    {"proto", true, kOtherIp, false, number<&Spec::protocol, 0, 255>},
    {"options", true, kTcpOnly, false, set_tcp_options},
    {"server_id", true, kTcpOnly, false, set_server_id},
    {"tcp_words", true, kTcpOnly, false, number<&Spec::tcp_words, 0, 15>},
    {"udp_len", true, kUdpOnly, false, number<&Spec::udp_len, 0, 65535>},
    {"checksum", true, kTcpOnly | kUdpOnly | kIcmps | bit(SpecKind::gue), false,
     number<&Spec::checksum, 0, 65535>},
    {"quic", true, kUdpOnly, false, set_quic},
    {"quic_initial", true, kUdpOnly, false, set_quic},
    {"quic_0rtt", true, kUdpOnly, false, set_quic},
    {"quic_handshake", true, kUdpOnly, false, set_quic},
    {"type", true, kIcmps, false, number<&Spec::icmp_type, 0, 255>},
    {"code", true, kIcmps, false, number<&Spec::icmp_code, 0, 255>},
    {"mtu", true, kIcmps, false, set_mtu},
    {"echo_id", true, kIcmps, false, set_echo_id},
    {"echo_seq", true, kIcmps, false, set_echo_seq},
    {"rest", true, kIcmps, false, number<&Spec::icmp_rest, 0, UINT32_MAX>},
    {"quote", true, kIcmps, false, number<&Spec::quote, 0, SLC_MAX_FRAME_LEN>},
    {"vlan", true, kIp | kEther | bit(SpecKind::raw_ip), true, set_vlans},
    {"cut", true, kIp | kEther | kRaw, true, number<&Spec::cut, 0, SLC_MAX_FRAME_LEN>},
};

/// "syn+ack"; false when it is none.
bool set_flags(Spec& spec, std::string_view word) {
    constexpr std::pair<std::string_view, std::uint8_t> kFlags[] = {
        {"fin", tcp_flag::fin}, {"syn", tcp_flag::syn}, {"rst", tcp_flag::rst},
        {"psh", tcp_flag::psh}, {"ack", tcp_flag::ack}, {"urg", tcp_flag::urg},
        {"ece", tcp_flag::ece}, {"cwr", tcp_flag::cwr}, {"none", 0}};
    std::uint8_t flags = spec.flags.value_or(0);
    while (true) {
        const std::size_t plus = word.find('+');
        const auto* found = std::ranges::find(kFlags, word.substr(0, plus),
                                              &std::pair<std::string_view, std::uint8_t>::first);
        if (found == std::end(kFlags)) return false;
        flags |= found->second;
        if (plus == std::string_view::npos) break;
        word.remove_prefix(plus + 1);
    }
    spec.flags = flags;
    return true;
}

bool set_icmp_name(Spec& spec, std::string_view word) {
    for (const IcmpName& name : icmp_names()) {
        if (name.six != (spec.kind == SpecKind::icmp6) || word != name.name) continue;
        spec.icmp_type = name.type;
        spec.icmp_code = name.code;
        spec.icmp_rest = name.rest;
        return true;
    }
    return false;
}

class Reader {
 public:
    explicit Reader(std::vector<std::string_view> words) : words_(std::move(words)) {}

    Result<Spec> frame() {
        auto spec = packet(0);
        if (spec && !at_end()) return fail(wrong_word(peek(), "stands behind the packet's end"));
        return spec;
    }

 private:
    [[nodiscard]] bool at_end() const { return at_ == words_.size(); }
    [[nodiscard]] std::string_view peek() const { return at_end() ? "" : words_[at_]; }
    std::string_view next() { return at_end() ? "" : words_[at_++]; }

    Result<Spec> packet(std::size_t depth) {
        Spec spec;
        if (at_end()) return fail(Errc::invalid, "a packet is missing", kExample);
        auto begun = begin(spec, depth);
        if (!begun) return fail(begun.error());
        while (!at_end() && peek() != ")" && peek() != "}") {
            auto done = part(spec, depth);
            if (!done) return fail(done.error());
        }
        auto whole = check(spec);
        if (!whole) return fail(whole.error());
        return spec;
    }

    /// The kind of packet and its addresses.
    Result<void> begin(Spec& spec, std::size_t depth) {
        const std::string_view word = next();
        first_ = word;
        if (word == "hex" || word.starts_with("hex:")) return raw(spec, word, depth);
        if (word == "ether" && depth == 0) {
            spec.kind = SpecKind::ether;
            const auto type = read_number(peek(), peek(), 0x600, 0xffff);
            if (!type) return fail(type.error());
            spec.ether_type = static_cast<std::uint16_t>(*type);
            next();
            return {};
        }
        for (const SpecKind kind :
             {SpecKind::tcp, SpecKind::udp, SpecKind::sctp, SpecKind::icmp, SpecKind::icmp6,
              SpecKind::ip, SpecKind::ipip, SpecKind::gre, SpecKind::gue}) {
            if (word != word_of(kind)) continue;
            spec.kind = kind;
            if (kind == SpecKind::gue) spec.source_port = kDefaultGueSourcePort;
            if (kind == SpecKind::gue) spec.destination_port = kDefaultGuePort;
            return addresses(spec);
        }
        return fail(wrong_word(word,
                               "begins no packet: tcp, udp, sctp, icmp, icmp6, ip, ipip, gre, gue, "
                               "ether or hex do",
                               kExample));
    }

    Result<void> raw(Spec& spec, std::string_view word, std::size_t depth) {
        if (depth != 0) return fail(wrong_word(word, "cannot stand within another packet"));
        spec.kind = SpecKind::raw_frame;
        std::string_view digits = word;
        if (word == "hex") {
            word = next();
            if (!word.starts_with("ip:"))
                return fail(wrong_word(word, "behind hex should be ip: and digits"));
            spec.kind = SpecKind::raw_ip;
            digits = word;
        }
        digits.remove_prefix(digits.find(':') + 1);
        auto value = read_hex(word, digits);
        if (!value) return fail(value.error());
        spec.raw = std::move(*value);
        return {};
    }

    Result<void> endpoint(std::string_view which, IpAddress& address,
                          std::optional<std::uint16_t>& port) {
        if (at_end()) return fail(Errc::invalid, fmt::format("the {} is missing", which), kExample);
        const auto read = read_endpoint(next());
        if (!read) return fail(read.error());
        address = read->address;
        if (read->port) port = read->port;
        return {};
    }

    Result<void> addresses(Spec& spec) {
        const std::size_t begin = at_;
        auto source = endpoint("source", spec.source, spec.source_port);
        if (!source) return source;
        const std::string_view arrow = next();
        if (arrow.empty())
            return fail(Errc::invalid, "'>' and the destination are missing", kExample);
        if (arrow != ">") return fail(wrong_word(arrow, "stands where '>' should", kExample));
        auto destination = endpoint("destination", spec.destination, spec.destination_port);
        if (!destination) return destination;
        if (spec.source.is_ip6 != spec.destination.is_ip6)
            return fail(wrong_word(words_[at_ - 1], "and the source are of two IP versions"));
        if (!has_ports(spec.kind) && (spec.source_port || spec.destination_port))
            return fail(wrong_word(words_[spec.source_port ? begin : at_ - 1],
                                   fmt::format("has a port, and {} has none", first_)));
        return {};
    }

    /// An option, flags, or what is carried.
    Result<void> part(Spec& spec, std::size_t depth) {
        const std::string_view word = next();
        if (word == "{" && is_tunnel(spec.kind)) return inner(spec, depth, "{", "}");
        if (word == "of" && is_icmp(spec.kind)) {
            const std::string_view open = next();
            if (open != "(") return fail(wrong_word(open, "stands where '(' should, behind of"));
            return inner(spec, depth, "(", ")");
        }
        if (spec.kind == SpecKind::tcp && set_flags(spec, word)) return {};
        if (is_icmp(spec.kind) && !spec.icmp_type && set_icmp_name(spec, word)) return {};
        return option(spec, depth, option_of(word));
    }

    Result<void> inner(Spec& spec, std::size_t depth, std::string_view open,
                       std::string_view close) {
        if (depth >= kMaxNesting) return fail(wrong_word(open, "nests packets too deeply"));
        if (!spec.inner.empty()) return fail(wrong_word(open, "begins a second inner packet"));
        const std::string_view outer_word = first_;
        auto carried = packet(depth + 1);
        if (!carried) return fail(carried.error());
        if (next() != close)
            return fail(Errc::invalid, fmt::format("'{}' is missing behind the packet within {}",
                                                   close, outer_word));
        first_ = outer_word;
        spec.inner.push_back(std::move(*carried));
        return {};
    }

    Result<void> option(Spec& spec, std::size_t depth, const Option& option) {
        const Rule* rule = std::ranges::find(kRules, option.key, &Rule::key);
        const bool is_known = rule != std::end(kRules) && (rule->kinds & bit(spec.kind)) != 0;
        if (!is_known)
            return fail(wrong_word(option.word, fmt::format("is nothing that {} has", name(spec)),
                                   known(spec)));
        if (rule->outermost && depth != 0)
            return fail(wrong_word(option.word, "belongs to the frame, not to a packet within"));
        if (option.has_value != rule->has_value)
            return fail(wrong_word(
                option.word, rule->has_value ? "needs a value behind '='" : "takes no value"));
        return rule->set(spec, option);
    }

    static std::string name(const Spec& spec) {
        const char* word = word_of(spec.kind);
        return word != nullptr ? word : "hex";
    }

    /// What may stand behind the addresses, for a hint.
    static std::string known(const Spec& spec) {
        std::string out = fmt::format("{} takes:", name(spec));
        if (spec.kind == SpecKind::tcp) out += " syn ack fin rst psh urg ece cwr none";
        if (is_icmp(spec.kind))
            for (const IcmpName& name : icmp_names())
                if (name.six == (spec.kind == SpecKind::icmp6))
                    out += fmt::format(" {}", name.name);
        for (const Rule& rule : kRules)
            if ((rule.kinds & bit(spec.kind)) != 0)
                out += fmt::format(" {}{}", rule.key, rule.has_value ? "=" : "");
        return out;
    }

    /// What several words say together.
    Result<void> check(const Spec& spec) const {
        const auto wrong = [this](std::string_view why) {
            return fail(make_error(Errc::invalid, fmt::format("{}: {}", first_, why), kExample));
        };
        const bool needs_ports = has_ports(spec.kind) && !spec.is_later_fragment();
        if (needs_ports && !spec.source_port) return wrong("the source has no port");
        if (needs_ports && !spec.destination_port) return wrong("the destination has no port");
        if (is_tunnel(spec.kind) && spec.inner.empty())
            return wrong("what the tunnel carries is missing: { tcp ... }");
        if (is_icmp(spec.kind) && !spec.icmp_type && !spec.is_later_fragment())
            return wrong("the type is missing, for example echo-request or type=8");
        if (spec.len && *spec.len < spec.data.size()) return wrong("data= is longer than len=");
        if (!spec.inner.empty() && (!spec.data.empty() || spec.len))
            return wrong("it quotes a packet and cannot have data= or len= too");
        if (spec.kind == SpecKind::icmp && spec.is_ip6()) return wrong("with IPv6 it is icmp6");
        if (spec.kind == SpecKind::icmp6 && !spec.is_ip6()) return wrong("with IPv4 it is icmp");
        return check_ip(spec);
    }

    Result<void> check_ip(const Spec& spec) const {
        const auto wrong = [this](std::string_view why) {
            return fail(make_error(Errc::invalid, fmt::format("{}: {}", first_, why), kExample));
        };
        const bool is_raw = spec.kind == SpecKind::raw_frame || spec.kind == SpecKind::raw_ip;
        if (is_raw || spec.kind == SpecKind::ether) return {};
        if (spec.is_ip6() && (spec.df || !spec.ip_options.empty() || spec.ip_checksum))
            return wrong("IPv6 has no df, ip_options or ip_checksum");
        if (spec.is_ip6() && spec.id && !spec.fragment)
            return wrong("IPv6 has an id in fragments only (frag=)");
        if (!spec.is_ip6() && !spec.extensions.empty()) return wrong("IPv4 has no ext=");
        if (!spec.is_ip6() && spec.id.value_or(0) > 0xffff) return wrong("id= is 0..65535 in IPv4");
        if (spec.ip_options.size() > kMaxIpOptions)
            return wrong("ip_options= has more than 40 bytes");
        return {};
    }

    std::vector<std::string_view> words_;
    std::size_t at_ = 0;
    std::string_view first_;  ///< The word that began the packet being read.
};

}  // namespace

Result<Spec> read_spec(std::string_view text) {
    if (text.size() > kMaxText)
        return fail(Errc::invalid, fmt::format("longer than {} bytes", kMaxText));
    return Reader(words_of(text)).frame();
}

}  // namespace sluice::packet
