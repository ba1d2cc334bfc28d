// SPDX-License-Identifier: Apache-2.0
#include "observe/decision.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <ctime>
#include <span>
#include <unordered_map>

#include "packet/notation.h"
#include "plan/reasons.h"

namespace sluice::observe {
namespace {

using View = std::span<const std::uint8_t>;

constexpr std::uint16_t kIp4 = 0x0800, kIp6 = 0x86dd;
constexpr std::size_t kEthernetLen = 14, kIp4Len = 20, kIp6Len = 40;
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

std::uint16_t get16(View view, std::size_t at) {
    return static_cast<std::uint16_t>(view[at] << 8 | view[at + 1]);
}

std::uint16_t type_of(const slc_sample& sample) {
    return std::endian::native == std::endian::little
               ? static_cast<std::uint16_t>(sample.proto_be << 8 | sample.proto_be >> 8)
               : sample.proto_be;
}

View data_of(const slc_sample& sample) {
    return {sample.data, std::min<std::size_t>(sample.cap_len, sizeof sample.data)};
}

std::string protocol_name(std::uint8_t protocol) {
    switch (protocol) {
        case 1:
            return "icmp";
        case 6:
            return "tcp";
        case 17:
            return "udp";
        case 58:
            return "icmp6";
        case 132:
            return "sctp";
        default:
            return std::to_string(protocol);
    }
}

/// Where the transport header begins, and of which protocol it is. Nothing: it is not there.
struct Transport {
    std::uint8_t protocol = 0;
    std::optional<std::size_t> offset;
};

Transport transport_of_ip4(View ip) {
    const bool is_later_fragment = (get16(ip, 6) & 0x1fff) != 0;
    if (is_later_fragment) return {ip[9], std::nullopt};
    return {ip[9], std::size_t{ip[0]} % 16 * 4};
}

/// RFC 8200 4.1; authentication headers count in words of four bytes (RFC 4302 2.2).
Transport transport_of_ip6(View ip) {
    Transport out{ip[6], kIp6Len};
    while (true) {
        constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kAuth = 51,
                               kDestination = 60;
        const std::size_t at = *out.offset;
        if (at + 8 > ip.size()) return out;
        const std::uint8_t next = ip[at];
        switch (out.protocol) {
            case kHopByHop:
            case kRouting:
            case kDestination:
                out = {next, at + 8 + std::size_t{ip[at + 1]} * 8};
                break;
            case kAuth:
                out = {next, at + 8 + std::size_t{ip[at + 1]} * 4};
                break;
            case kFragment:
                if ((get16(ip, at + 2) & 0xfff8) != 0) return {next, std::nullopt};
                out = {next, at + 8};
                break;
            default:
                return out;
        }
    }
}

void take_headers(Decision& out, std::uint16_t type, View ip) {
    Transport transport;
    if (type == kIp4 && ip.size() >= kIp4Len) {
        std::uint32_t addresses[2];
        std::copy_n(ip.begin() + 12, sizeof addresses, reinterpret_cast<std::uint8_t*>(addresses));
        out.source = IpAddress::from_ip4(addresses[0]);
        out.destination = IpAddress::from_ip4(addresses[1]);
        transport = transport_of_ip4(ip);
    } else if (type == kIp6 && ip.size() >= kIp6Len) {
        out.source = IpAddress::from_ip6(&ip[8]);
        out.destination = IpAddress::from_ip6(&ip[24]);
        transport = transport_of_ip6(ip);
    } else {
        return;
    }
    out.protocol = protocol_name(transport.protocol);
    const bool has_ports =
        transport.protocol == 6 || transport.protocol == 17 || transport.protocol == 132;
    if (!has_ports || !transport.offset || *transport.offset + 4 > ip.size()) return;
    out.source_port = get16(ip, *transport.offset);
    out.destination_port = get16(ip, *transport.offset + 2);
}

/// By what counts, where nothing of the packet was kept.
std::string protocol_of(std::uint32_t famproto) {
    switch (famproto) {
        case SLC_FAMPROTO_IP4_TCP:
        case SLC_FAMPROTO_IP6_TCP:
            return "tcp";
        case SLC_FAMPROTO_IP4_UDP:
        case SLC_FAMPROTO_IP6_UDP:
            return "udp";
        case SLC_FAMPROTO_IP4_ICMP:
            return "icmp";
        case SLC_FAMPROTO_IP6_ICMP:
            return "icmp6";
        default:
            return {};
    }
}

std::size_t ip_len_of(std::uint16_t type, View ip) {
    if (type == kIp4 && ip.size() >= kIp4Len) return get16(ip, 2);
    if (type == kIp6 && ip.size() >= kIp6Len) return get16(ip, 4) + kIp6Len;
    return ip.size();
}

}  // namespace

void NameHistory::take(std::shared_ptr<const Names> names) {
    if (!kept_.empty() && kept_.back() == names) return;
    // An interface that came or went makes other names of the same generation.
    const bool is_same = !kept_.empty() && kept_.back()->generation == names->generation &&
                         kept_.back()->since_ns == names->since_ns;
    if (is_same) kept_.pop_back();
    kept_.push_back(std::move(names));
    if (kept_.size() > kKept) kept_.erase(kept_.begin());
}

const Names* NameHistory::at(std::uint64_t time_ns) const {
    for (auto names = kept_.rbegin(); names != kept_.rend(); ++names)
        if ((*names)->since_ns <= time_ns) return names->get();
    return nullptr;
}

const Names* NameHistory::of(std::uint32_t pinned, std::uint64_t time_ns) const {
    const Names* oldest = nullptr;
    for (auto names = kept_.rbegin(); names != kept_.rend(); ++names) {
        if ((*names)->pinned != pinned) continue;
        if ((*names)->since_ns <= time_ns) return names->get();
        oldest = names->get();
    }
    if (oldest != nullptr) return oldest;
    const Names* then = at(time_ns);
    return then != nullptr ? then : newest();
}

Decision decision_of(const slc_sample& sample, std::uint32_t cpu, const NameHistory& names,
                     std::int64_t wall_offset_ns) {
    static const Names kNone;
    const slc_exit_record& rec = sample.rec;
    const Names* then = names.at(sample.time_ns);
    const Names& now = names.newest() != nullptr ? *names.newest() : kNone;
    // An id keeps its name for as long as anybody remembers it, so newer names tell of older
    // samples too; only who ran out of ids gives one to another name.
    const auto name = [&](auto member, std::uint32_t id) {
        const bool is_known = then != nullptr && ((*then).*member).contains(id);
        return name_in((is_known ? *then : now).*member, id);
    };
    Decision out;
    out.time_ns = sample.time_ns + static_cast<std::uint64_t>(wall_offset_ns);
    out.cpu = cpu;
    out.interface = name(&Names::interfaces, sample.ifindex);
    out.queue = sample.queue;
    out.generation = then != nullptr ? then->generation : 0;
    out.verdict = plan::verdict_label(rec.verdict);
    out.stage = plan::stage_label(rec.stage);
    out.reason = plan::reason_label(rec.reason);
    out.service = name(&Names::services, rec.service);
    out.backend = name(&Names::backends, rec.member);
    out.customer = name(&Names::customers, rec.customer);
    out.policy = name(&Names::policies, rec.policy);
    out.mitigation = name(&Names::mitigations, rec.mitigation);
    out.len = rec.len;
    out.hash = sample.hash;
    out.is_extra = (sample.flags & SLC_SAMPLE_EXTRA) != 0;
    take_headers(out, type_of(sample), data_of(sample));
    if (out.protocol.empty()) out.protocol = protocol_of(rec.famproto);
    return out;
}

std::string packet_text(const slc_sample& sample) {
    const View data = data_of(sample);
    if (data.empty()) return {};
    const std::uint16_t type = type_of(sample);
    std::vector<std::uint8_t> frame(kEthernetLen);
    frame[12] = static_cast<std::uint8_t>(type >> 8);
    frame[13] = static_cast<std::uint8_t>(type);
    frame.insert(frame.end(), data.begin(), data.end());
    // Zeros stand for what was not kept, so that lengths are those of the packet. A frame that was
    // shorter than its IP packet stays so: that is why it was refused.
    const std::size_t received = std::max<std::size_t>(sample.rec.len, kEthernetLen);
    const std::size_t len =
        std::min({kEthernetLen + ip_len_of(type, data), received, std::size_t{SLC_MAX_FRAME_LEN}});
    if (len > frame.size()) frame.resize(len);
    return packet::describe(frame);
}

std::string time_text(std::uint64_t time_ns) {
    const auto seconds = static_cast<std::time_t>(time_ns / kNsPerSecond);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       time_ns % kNsPerSecond);
}

}  // namespace sluice::observe
