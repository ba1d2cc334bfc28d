// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/packet_invariants.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/reasons.h"
#include "tests/packet/dissect.h"

namespace sluice::packet {
namespace {

using Finding = std::optional<std::string>;

/// Frames up to this length keep their padding (bpf/stage/forward.h, slc_trim).
constexpr std::size_t kPaddedFrame = 64;

bool is_vip(const World& world, const IpAddress& address) {
    return std::ranges::any_of(world.vips,
                               [&](const IpPrefix& vip) { return vip.contains(address); });
}

std::optional<IpAddress> source_of(const Bytes& frame) {
    const Head head = head_of(frame);
    IpAddress out;
    out.is_ip6 = head.ether_type == 0x86dd;
    const std::size_t at = head.l3 + (out.is_ip6 ? 8 : 12);
    const std::size_t size = out.is_ip6 ? 16 : 4;
    if (!head.readable || frame.size() < at + size) return {};
    std::copy_n(frame.begin() + static_cast<long>(at), size, out.bytes.begin());
    return out;
}

bool is_tunnel_of_a_peer(const World& world, const Bytes& in) {
    const auto source = source_of(in);
    const auto destination = destination_of(in);
    if (!source || !destination) return false;
    const bool ends_here =
        world.agent || std::ranges::find(world.endpoints, *destination) != world.endpoints.end();
    return ends_here && std::ranges::any_of(world.peers, [&](const IpPrefix& peer) {
               return peer.contains(*source);
           });
}

Finding check_drop(const World& world, const Bytes& in, Reason reason) {
    const auto destination = destination_of(in);
    if (destination && !world.agent && is_vip(world, *destination)) return {};
    if (is_tunnel_of_a_peer(world, in)) return {};
    // Nobody can say for whom it was.
    const bool unreadable =
        !world.agent && (reason == Reason::HDR_TRUNCATED || reason == Reason::IP_VERSION);
    if (unreadable) return {};
    return fmt::format("dropped ({}) though it is for {}", label_of(reason),
                       destination ? destination->text() : "nobody");
}

/// The frame without the tunnel in front of its inner packet: the end of what came in, but for the
/// ECN field and the checksum over it.
Finding check_stripped(const World& world, const Bytes& in, const Bytes& out) {
    const Head head = head_of(in);
    const auto destination = destination_of(out);
    if (!destination || !is_vip(world, *destination)) return "stripped for an address of nobody";
    if (!is_tunnel_of_a_peer(world, in)) return "stripped a tunnel of a stranger";
    if (out.size() + 20 > in.size()) return "stripped less than a header";
    if (!std::equal(out.begin(), out.begin() + static_cast<long>(head.l3) - 2, in.begin()))
        return "link header changed";
    const std::size_t removed = in.size() - out.size();
    const bool six = head_of(out).ether_type == 0x86dd;
    for (std::size_t at = head.l3; at < out.size(); ++at) {
        const std::size_t in_header = at - head.l3;
        const bool may_change =
            six ? in_header == 1 : in_header == 1 || in_header == 10 || in_header == 11;
        if (!may_change && out[at] != in[at + removed])
            return fmt::format("byte {} of the inner packet changed", in_header);
    }
    return {};
}

Finding check_pass(const World& world, const Bytes& in, const Bytes& out, Reason reason) {
    if (reason == Reason::DECAPSULATED) return check_stripped(world, in, out);
    return in == out ? Finding{} : "passed, but changed";
}

/// Bytes behind the IP packet, as far as it says where it ends.
std::size_t padding_of(const Bytes& frame) {
    const auto ip = ip_of(frame);
    const Head head = head_of(frame);
    return ip ? frame.size() - head.l3 - ip->size() : 0;
}

Finding check_answer(const World& world, const Bytes& in, const Bytes& out, Reason reason) {
    const auto asked = source_of(in);
    const auto answered = destination_of(out);
    const auto speaker = source_of(out);
    if (const Finding wrong = judge(out, false, padding_of(in)); wrong) return wrong;
    // ICMP quotes all of a short packet, behind its own headers.
    const std::size_t more = reason == Reason::REJECTED_UNREACHABLE ? 40 + 8 : 0;
    if (out.size() > in.size() + more) return "the answer is longer than the request";
    if (reason == Reason::ECHO_REPLIED && out.size() != in.size()) return "an echo of another size";
    if (!asked || !answered || *asked != *answered) return "answered to somebody else";
    if (!speaker || !is_vip(world, *speaker)) return "answered by somebody else";
    if (!std::equal(out.begin(), out.begin() + 6, in.begin() + 6))
        return "answered to another link";
    if ((out[6] & 1) != 0) return "sent from a group address of the link";
    return {};
}

/// The last number of the MAC address says which way out of case.h it is.
std::size_t mtu_of(const Bytes& out) {
    switch (out[5]) {
        case 11:
            return 1500;
        case 13:
            return 1280;
        default:
            return 9000;
    }
}

Finding check_sent(const World& world, const Bytes& in, const Bytes& out) {
    const auto before = ip_of(in);
    const auto after = ip_of(out);
    if (!before || !after) return "sent what is not IP";
    const Mac node(kNodeMac);
    if (!std::equal(node.bytes.begin(), node.bytes.end(), out.begin() + 6))
        return "sent from another link address";
    if (after->size() > mtu_of(out))
        return fmt::format("sent {} bytes where {} fit", after->size(), mtu_of(out));
    const std::size_t padding = in.size() <= kPaddedFrame ? padding_of(in) : 0;
    if (*before == *after)  // L2: what came is what goes
        return padding_of(out) <= padding ? Finding{} : "padding grew";
    const Finding wrong = judge(out, true, padding, world.gue_port);
    const auto carried = inner_of(out, world.gue_port);
    if (!carried || *carried != *before) return wrong ? wrong : "carries another packet";
    // GUE over IPv6 takes its sum from the sums inside. Where those are wrong so is it, and the
    // receiver drops outside what it would have dropped inside.
    if (wrong == "GUE: UDP checksum" && !sums_right(*before)) return {};
    return wrong;
}

Finding check_verdict(const World& world, const Bytes& in, const RunResult& run, Reason reason) {
    const bool drops = plan::is_drop(static_cast<slc_reason>(reason));
    switch (run.verdict) {
        case Verdict::drop:
            return drops ? check_drop(world, in, reason) : "dropped for a reason that is no drop";
        case Verdict::pass:
            return drops ? "passed for a reason that is a drop"
                         : check_pass(world, in, run.frame, reason);
        case Verdict::tx:
        case Verdict::redirect:
            break;
        default:
            return fmt::format("verdict {}", static_cast<int>(run.verdict));
    }
    if (world.agent) return "sent by an agent";
    switch (reason) {
        case Reason::FORWARDED:
        case Reason::FORWARDED_FRAGMENT:
        case Reason::FORWARDED_ICMP_ERROR:
        case Reason::FORWARDED_REMEMBERED:
        case Reason::FORWARDED_PREVIOUS:
        case Reason::FORWARDED_CONNECTION_ID:
        case Reason::FORWARDED_SERVER_ID:
        case Reason::FORWARDED_ICMP_UNSURE:
            return check_sent(world, in, run.frame);
        case Reason::ECHO_REPLIED:
        case Reason::TOO_BIG_REPLIED:
        case Reason::REJECTED_RESET:
        case Reason::REJECTED_UNREACHABLE:
            return check_answer(world, in, run.frame, reason);
        default:
            return "sent for a reason that sends nothing";
    }
}

}  // namespace

World World::of(const config::Config& config) {
    World world;
    for (const config::Service& service : config.services) world.vips.push_back(service.vip);
    if (config.node.decap) {
        world.endpoints = config.node.decap->addresses;
        world.peers = config.node.decap->from;
    }
    world.gue_port = config.node.gue_port;
    return world;
}

std::optional<std::string> violated(const World& world, const Bytes& in, const RunResult& run,
                                    const ReasonMove& move) {
    if (move.packets != 1 || move.bytes != in.size())
        return fmt::format("counted {} packets and {} bytes of a frame of {}", move.packets,
                           move.bytes, in.size());
    return check_verdict(world, in, run, move.reason);
}

}  // namespace sluice::packet
