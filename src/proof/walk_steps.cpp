// SPDX-License-Identifier: Apache-2.0
#include "proof/walk_steps.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "base/duration.h"
#include "kernel/stages.h"
#include "plan/reasons.h"
#include "proof/headers.h"
#include "sluice/flow.h"

namespace sluice::proof {
namespace {

constexpr const char* kClasses[] = {"embryonic", "established", "closing", "datagram"};
constexpr const char* kForwardNames[] = {"IP in IP", "GRE", "GUE", "L2", "local"};

/// Whether the packet was handed to this stage.
bool went_to(const slc_proof& answer, std::string_view program) {
    for (slc_u64 trail = answer.trail; trail != 0; trail >>= SLC_PROOF_TRAIL_BITS)
        for (const kernel::Stage& stage : kernel::kStages)
            if (stage.slot + 1 == (trail & SLC_PROOF_TRAIL_MASK) && program == stage.program)
                return true;
    return false;
}

std::string span_text(std::chrono::nanoseconds span) {
    return text_of_duration(std::chrono::duration_cast<std::chrono::seconds>(span));
}

std::string mac_text(const slc_u8* bytes) {
    MacAddress mac;
    std::copy_n(bytes, mac.bytes.size(), mac.bytes.begin());
    return mac.text();
}

class Steps {
 public:
    Steps(const Trace& trace, const WalkScene& scene, const config::Service* service, Walk& out)
        : trace_(trace),
          scene_(scene),
          service_(service),
          out_(out),
          answer_(trace.said.answer),
          rec_(trace.said.answer.rec),
          in_(headers_of(trace.in)) {}

    void add() {
        step("entry", scene_.entry);
        if (rec_.stage == SLC_STAGE_ENTRY) return leave();
        parse();
        if (answer_.vip != 0 || rec_.stage == SLC_STAGE_SERVICE) destination();
        if (went("slc_ext")) extensions();
        if (went("slc_decap")) step("decap", decap_text());
        if (went("slc_frag")) step("frag", fragment_text());
        if (went("slc_icmp")) step("icmp", icmp_text());
        if (service_ != nullptr) matched();
        if (service_ != nullptr && !is_recalled()) pick();
        if (is_at_forward()) step("forward", forward_text());
        if (went("slc_too_big")) step("too_big", too_big_text());
        if (went("slc_reject")) step("reject", reject_text());
        leave();
    }

 private:
    void step(const char* stage, std::string text) {
        if (!text.empty()) out_.steps.push_back({stage, std::move(text)});
    }
    [[nodiscard]] bool went(std::string_view program) const { return went_to(answer_, program); }
    [[nodiscard]] std::string backend(std::uint32_t id) const {
        const std::string name = id != 0 ? scene_.names.member(id) : std::string("nobody");
        return name.empty() ? fmt::format("member {}", id) : name;
    }
    /// A later fragment: it goes where its first one went.
    [[nodiscard]] bool is_recalled() const { return went("slc_frag") && in_.fragment_offset != 0; }
    [[nodiscard]] bool is_of_quote() const { return went("slc_icmp"); }
    [[nodiscard]] bool is_at_forward() const {
        return rec_.stage == SLC_STAGE_FORWARD || rec_.stage == SLC_STAGE_TOO_BIG;
    }

    void parse() {
        std::string text = "Ethernet";
        for (const std::uint16_t id : in_.vlans) text += fmt::format(", VLAN {}", id);
        if (!in_.is_ip) {
            if (rec_.reason == SLC_REASON_NOT_IP)
                text += fmt::format(", type 0x{:04x}", in_.ether_type);
        } else {
            text += in_.source.is_ip6 ? ", IPv6" : ", IPv4";
            text += ", " + protocol_name(in_.protocol);
            if (in_.is_fragment)
                text += in_.fragment_offset == 0
                            ? ", a first fragment"
                            : fmt::format(", a fragment at {}", in_.fragment_offset);
            text += fmt::format(": {} bytes of IP", in_.ip_len);
        }
        step("parse", text + fmt::format(" in a frame of {}", trace_.in.size()));
    }

    void extensions() {
        step("parse",
             fmt::format("{} IPv6 extension header{} read; {} behind {}", in_.extensions.size(),
                         in_.extensions.size() == 1 ? "" : "s", protocol_name(in_.protocol),
                         in_.extensions.size() == 1 ? "it" : "them"));
    }

    void destination();
    [[nodiscard]] std::string prefix_text() const;
    [[nodiscard]] std::string decap_text() const;
    [[nodiscard]] std::string fragment_text() const;
    [[nodiscard]] std::string icmp_text() const;
    void matched();
    void pick();
    [[nodiscard]] std::string id_text() const;
    [[nodiscard]] std::string slot_text() const;
    [[nodiscard]] std::string transition_text() const;
    [[nodiscard]] std::string flow_text() const;
    [[nodiscard]] std::string not_remembered_text() const;
    [[nodiscard]] std::string forward_text() const;
    [[nodiscard]] std::string header_text(const slc_template& header) const;
    [[nodiscard]] std::string too_big_text() const;
    [[nodiscard]] std::string reject_text() const;
    void leave();

    const Trace& trace_;
    const WalkScene& scene_;
    const config::Service* service_;
    Walk& out_;
    const slc_proof& answer_;
    const slc_exit_record& rec_;
    Headers in_;
};

/// The longest configured prefix around the destination, VIPs and protected ones.
std::string Steps::prefix_text() const {
    const IpPrefix* best = nullptr;
    const auto take = [&](const IpPrefix& prefix) {
        if (prefix.contains(in_.destination) && (best == nullptr || prefix.len > best->len))
            best = &prefix;
    };
    if ((answer_.vip_flags & SLC_VIP_PROTECTED) != 0)
        for (const auto& each : scene_.config.protected_prefixes) take(each.prefix);
    else
        for (const auto& each : scene_.config.services) take(each.vip);
    return best == nullptr || best->is_host() ? in_.destination.text() : best->text();
}

void Steps::destination() {
    const std::string address = in_.destination.text();
    if (answer_.vip == 0) return step("service", in_.is_ip ? address + " is no VIP" : "");
    if ((answer_.vip_flags & SLC_VIP_ENDPOINT) != 0)
        return step("service",
                    address + " is this node's own, and tunnels of balancers may end there");
    const std::string prefix = prefix_text();
    const bool is_host = prefix == address;
    if ((answer_.vip_flags & SLC_VIP_PROTECTED) != 0)
        return step("service",
                    fmt::format("{} is no VIP; it lies in protected prefix {}", address, prefix));
    std::string text = is_host ? address + " is a VIP"
                               : fmt::format("{} lies in the VIP prefix {}", address, prefix);
    if (service_ == nullptr && rec_.stage == SLC_STAGE_SERVICE && !is_recalled()) {
        text += in_.ports ? fmt::format("; no service of it takes {} port {}",
                                        protocol_name(in_.protocol), in_.ports->destination)
                          : fmt::format("; no service takes {}", protocol_name(in_.protocol));
        if (rec_.reason == SLC_REASON_PORT_PASSED)
            text += ", and it leaves such packets to Linux (unmatched: pass)";
    }
    step("service", text);
}

std::string Steps::decap_text() const {
    if (rec_.reason == SLC_REASON_NOT_OURS) return "it is no tunnel packet";
    return fmt::format("{} from {}: {}", protocol_name(in_.protocol), in_.source.text(), out_.text);
}

std::string Steps::fragment_text() const {
    const std::string which = fmt::format("packet {} of {}", in_.fragment_id, in_.source.text());
    if (in_.fragment_offset == 0)
        return fmt::format(
            "the first fragment of {}: it has the ports, and where it goes the others go for {} s",
            which, SLC_FRAG_LIFETIME_S);
    if (service_ == nullptr)
        return fmt::format("a later fragment of {}, whose first one is not remembered", which);
    return fmt::format("a later fragment of {}, whose first one went to {}", which,
                       backend(rec_.member));
}

std::string Steps::icmp_text() const {
    if (rec_.reason == SLC_REASON_ECHO_REPLIED)
        return "an echo request: it is answered here, and no backend is asked";
    if (service_ == nullptr) return "";
    return "an error about a packet that a backend has sent: it goes where the flow goes that the "
           "quoted packet belongs to";
}

/// How the port was matched; of an error, that of the packet which it quotes.
void Steps::matched() {
    if (is_recalled()) return;
    const config::Ports& ports = service_->ports;
    const char* how = ports.any           ? "by any port"
                      : ports.is_single() ? "by that very port"
                                          : "by its range of ports";
    const std::string what = is_of_quote() ? "the quoted packet"
                                           : fmt::format("{} port {}", protocol_name(in_.protocol),
                                                         in_.ports ? in_.ports->destination : 0);
    std::string text = fmt::format("{} is service {}, {}", what, service_->name, how);
    if (!ports.any && !ports.is_single()) text += ", " + config::text_of(ports);
    if (!out_.customer.empty()) text += ", of customer " + out_.customer;
    if (!out_.policy.empty()) text += ", under policy " + out_.policy;
    step("service", text);
}

void Steps::pick() {
    if (service_->forward == config::Forward::local)
        return step("pick", "the service is delivered to this node: no backend is chosen");
    step("pick", id_text());
    const bool is_named =
        answer_.slot_word == 0 && answer_.id_member != 0 && answer_.id_member == rec_.member;
    if (is_named) return;
    step("pick", slot_text());
    if (answer_.flow_asked != 0) step("pick", flow_text());
}

std::string Steps::id_text() const {
    if ((answer_.id_flags & SLC_PROOF_ID_ASKED) == 0) return "";
    const bool is_tcp = service_->routing.by == config::RouteBy::tcp_server_id;
    const char* kind = is_tcp ? "TCP server id" : "QUIC connection id";
    if ((answer_.id_flags & SLC_PROOF_ID_READ) == 0)
        return fmt::format("it carries no {} that can be read: the ring decides", kind);
    const std::size_t len = std::min<std::size_t>(answer_.id.len, sizeof answer_.id.id);
    const std::string id = fmt::format("{:02x}", fmt::join(answer_.id.id, answer_.id.id + len, ""));
    if (answer_.id_member == 0)
        return fmt::format("its {} {} names no backend of the group: the ring decides", kind, id);
    if (answer_.slot_word != 0)
        return fmt::format("its {} {} names {}, which takes nothing now: the ring decides", kind,
                           id, backend(answer_.id_member));
    return fmt::format("its {} {} names {}, whatever the ring says", kind, id,
                       backend(answer_.id_member));
}

std::string Steps::slot_text() const {
    if ((rec_.reason == SLC_REASON_NO_BACKEND || rec_.stage == SLC_STAGE_REJECT) &&
        answer_.slot_word == 0)
        return fmt::format("no backend of group {} may take traffic: its ring is nobody's",
                           out_.group);
    if (answer_.slot_word == 0) return "";
    const char* what = "the 5-tuple";
    if (service_->affinity == config::Affinity::source) what = "the source address";
    if (service_->affinity == config::Affinity::source_port) what = "the source address and port";
    std::string text =
        fmt::format("{}{} hashes to {:016x}, slot {} of {} in the {} ring of group {}; ", what,
                    is_of_quote() ? ", read backwards," : "", answer_.hash, out_.slot.value_or(0),
                    std::uint64_t{1} << SLC_RING_LOG2(trace_.ring),
                    config::name_of(service_->balance), out_.group);
    return text + transition_text();
}

std::string Steps::transition_text() const {
    const slc_u64 slot = answer_.slot_word;
    const std::string current = backend(SLC_SLOT_CURRENT(slot));
    if ((slot & SLC_SLOT_MARKED) == 0)
        return answer_.flow_asked != 0
                   ? fmt::format("it is {}'s, and the service remembers every flow", current)
                   : fmt::format("it is {}'s and steady: no remembered flow is looked for",
                                 current);
    if (answer_.flow_asked == 0)
        return fmt::format(
            "it is {}'s; a change is in progress there, but the service remembers "
            "no flows",
            current);
    if ((slot & SLC_SLOT_OPEN) == 0)
        return fmt::format(
            "it is {}'s; a change has just been made there, and flows that are "
            "remembered for another backend stay with it",
            current);
    return fmt::format(
        "a change is in progress there: new flows go to {}, what nobody remembers "
        "to {}, as before",
        current, backend(SLC_SLOT_PREVIOUS(slot)));
}

std::string Steps::flow_text() const {
    if (answer_.flow_how != SLC_FLOW_BY_MEMORY) return not_remembered_text();
    std::string text =
        fmt::format("the flow table remembers the flow for {}", backend(answer_.flow_member));
    if (!trace_.before) return text;
    const auto& flow = *trace_.before;
    text += fmt::format(" ({}, forgotten in {} without another packet)",
                        kClasses[flow.flow_class % std::size(kClasses)], span_text(flow.left));
    if (flow.is_leaving) text += ", in the table of another size that is being left";
    return text;
}

std::string Steps::not_remembered_text() const {
    std::string text = "the flow is not remembered";
    if (answer_.flow_held != 0)
        text += fmt::format(
            "; other new flows of the slot found no room in the flow table, so until that has "
            "ceased it goes to the former owner, {}",
            backend(answer_.flow_member));
    else if (answer_.flow_how == SLC_FLOW_BY_PREVIOUS && answer_.flow_insert <= SLC_FLOW_INSERTED)
        text += fmt::format(" and may be older than the change: it goes to the former owner, {}",
                            backend(answer_.flow_member));
    else
        text += fmt::format(": it goes to {}", backend(answer_.flow_member));
    if (answer_.flow_insert == SLC_FLOW_INSERTED)
        text += ", and would be remembered there from now on";
    if (answer_.flow_insert == SLC_FLOW_REFUSED_FULL)
        text += ", because its place in the flow table is full";
    if (answer_.flow_insert == SLC_FLOW_REFUSED_CEILING)
        text += ", because the group may not remember more flows";
    return text;
}

std::string Steps::forward_text() const {
    if (rec_.reason == SLC_REASON_DELIVERED_LOCAL)
        return "this node is the backend: passed to Linux as it is";
    if (rec_.reason == SLC_REASON_BACKEND_UNRESOLVED) {
        const auto address = scene_.names.backend(rec_.member);
        const std::string why =
            address && scene_.why_unresolved ? scene_.why_unresolved(*address) : std::string();
        return fmt::format("{} cannot be reached{}{}", backend(rec_.member),
                           why.empty() ? "" : ": ", why);
    }
    return trace_.header ? header_text(*trace_.header) : std::string();
}

std::string Steps::header_text(const slc_template& header) const {
    const std::size_t overhead = header.len - std::size_t{header.l2_len};
    const std::string interface = scene_.interface(header.ifindex);
    std::string text = fmt::format("to {} by {}: ", backend(rec_.member),
                                   kForwardNames[static_cast<int>(service_->forward)]);
    const Headers outer = headers_of(trace_.said.frame);
    if ((header.flags & SLC_TEMPLATE_L2) != 0)
        text += "a new Ethernet header, the IP packet as it is";
    else if (rec_.stage == SLC_STAGE_FORWARD && rec_.verdict != SLC_VERDICT_DROP && outer.is_ip)
        text += fmt::format("{} bytes of outer header, {} > {}", overhead, outer.source.text(),
                            outer.destination.text());
    else
        text += fmt::format("{} bytes of outer header", overhead);
    text += fmt::format("; out of {} to {}", interface, mac_text(header.hdr));
    for (std::size_t at = 14; at + 4 <= header.l2_len; at += 4)
        text += fmt::format(", VLAN {}", (header.hdr[at] << 8 | header.hdr[at + 1]) & 0xfff);
    const bool fits = in_.ip_len + overhead <= header.mtu;
    return text + fmt::format("; {} bytes{}, of which {} takes {}", in_.ip_len + overhead,
                              fits ? "" : " are too many", interface, header.mtu);
}

std::string Steps::too_big_text() const {
    if (rec_.reason != SLC_REASON_TOO_BIG_REPLIED)
        return in_.df || in_.source.is_ip6
                   ? "it cannot be answered: a later fragment, ICMP, a broadcast, or above the rate"
                   : "its sender did not ask to be told (DF is clear)";
    const std::size_t overhead =
        trace_.header ? trace_.header->len - std::size_t{trace_.header->l2_len} : 0;
    const std::size_t fits = trace_.header ? trace_.header->mtu - overhead : 0;
    return fmt::format("{} is told that at most {} bytes fit, by {} from {}", in_.source.text(),
                       fits,
                       in_.source.is_ip6 ? "ICMPv6 packet too big" : "ICMP fragmentation needed",
                       in_.destination.text());
}

std::string Steps::reject_text() const {
    const std::string sender = in_.source.text();
    const std::string vip = in_.destination.text();
    switch (rec_.reason) {
        case SLC_REASON_REJECTED_RESET:
            return fmt::format("nobody takes it, and {} is told so by a TCP reset from {}", sender,
                               vip);
        case SLC_REASON_REJECTED_UNREACHABLE:
            return fmt::format("nobody takes it, and {} is told so by {} port unreachable from {}",
                               sender, in_.source.is_ip6 ? "ICMPv6" : "ICMP", vip);
        default:
            return "nobody takes it, and it cannot be answered: itself a reset, a fragment of TCP, "
                   "damaged, a broadcast, or above the rate";
    }
}

void Steps::leave() {
    std::string what;
    switch (rec_.verdict) {
        case SLC_VERDICT_DROP:
            what = "dropped";
            break;
        case SLC_VERDICT_PASS:
            what = "to Linux";
            break;
        default:
            what = out_.egress.empty() ? std::string("sent") : "sent out of " + out_.egress;
            break;
    }
    step("exit", fmt::format("{}: {}", what, out_.text));
}

}  // namespace

void add_steps(const Trace& trace, const WalkScene& scene, const config::Service* service,
               Walk& out) {
    Steps(trace, scene, service, out).add();
}

}  // namespace sluice::proof
