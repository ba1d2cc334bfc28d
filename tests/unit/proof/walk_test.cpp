// SPDX-License-Identifier: Apache-2.0
// A packet's walk in sentences, of what a twin may have said. No kernel.
#include "proof/walk.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "config/parse.h"
#include "packet/notation.h"
#include "sluice/flow.h"

namespace sluice::proof {
namespace {

constexpr const char* kConfig = R"(
version: 2
node: {interfaces: [eth0], ring_secret: 000102030405060708090a0b0c0d0e0f}
groups:
  web: {backends: [10.0.0.5, 10.0.0.6]}
  ids: {backends: [{address: 10.0.0.7, server_id: 7}]}
protected: [{prefix: 203.0.113.0/24, customer: acme, policy: strict}]
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 443, forward: ipip, group: web}
  - {name: many, vip: 192.0.2.10, protocol: udp, port: 8000-8099, forward: gre, group: web}
  - {name: all, vip: 198.18.0.0/16, protocol: tcp, port: any, forward: l2, group: web}
  - {name: here, vip: 192.0.2.12, protocol: tcp, port: 22, forward: local}
  - {name: named, vip: 192.0.2.13, protocol: tcp, port: 443, forward: ipip, group: ids,
     route_by: tcp-server-id}
)";
constexpr const char* kSyn = "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn";
enum Service : std::uint32_t { kNone, kWeb, kMany, kAll, kHere, kNamed };
constexpr std::uint32_t kFive = 5, kSix = 6, kSeven = 7;
constexpr std::uint64_t kHash = 0x123456789abcdef0;
constexpr std::uint64_t kRing = SLC_RING_MAKE(256, 8);

const config::Config& config() {
    static const config::Config kParsed = [] {
        auto outcome = config::parse(kConfig, "test.yaml");
        for (const auto& error : outcome.errors) ADD_FAILURE() << error.text();
        return std::move(outcome.config);
    }();
    return kParsed;
}

WalkScene scene() {
    WalkScene out{config(), {}};
    out.names.service = [](std::uint32_t id) { return config().services[id - 1].name; };
    out.names.backend = [](std::uint32_t id) {
        return IpAddress::parse("10.0.0." + std::to_string(id));
    };
    out.names.member = [](std::uint32_t id) {
        return (id == kSeven ? "ids/10.0.0." : "web/10.0.0.") + std::to_string(id);
    };
    out.customer = [](std::uint32_t) { return std::string("acme"); };
    out.policy = [](std::uint32_t) { return std::string("strict"); };
    out.interface = [](std::uint32_t ifindex) { return "eth" + std::to_string(ifindex); };
    out.why_unresolved = [](const IpAddress&) { return std::string("no neighbour"); };
    out.generation = 3;
    out.came_by = "eth0";
    out.entry = "received by eth0; generation 3 takes it";
    return out;
}

/// What a twin says of a packet: a hundred ways begin like this.
struct Said {
    Trace trace;
    slc_proof& answer() { return trace.said.answer; }

    explicit Said(const std::string& notation) {
        auto frame = packet::build(notation);
        EXPECT_TRUE(frame) << notation << ": " << frame.error().what;
        trace.in = *frame;
        trace.said.frame = trace.in;
        answer().answered = 1;
        answer().rec.famproto = SLC_FAMPROTO_IP4_TCP;
    }
    Said&& left(slc_verdict verdict, slc_stage stage, slc_reason reason) && {
        answer().rec.verdict = verdict;
        answer().rec.stage = stage;
        answer().rec.reason = reason;
        return std::move(*this);
    }
    Said&& vip(std::uint32_t flags = SLC_VIP_USED) && {
        answer().vip = 1;
        answer().vip_flags = flags;
        return std::move(*this);
    }
    Said&& service(std::uint32_t id, std::uint32_t member = 0) && {
        answer().rec.service = id;
        answer().rec.member = member;
        return std::move(std::move(*this).vip());
    }
    Said&& slot(std::uint64_t word) && {
        trace.ring = kRing;
        answer().hash = kHash;
        answer().slot = 256 + 17;
        answer().slot_word = word;
        return std::move(*this);
    }
    Said&& flow(slc_flow_how how, slc_flow_insert insert, std::uint32_t member,
                bool held = false) && {
        answer().flow_asked = 1;
        answer().flow_how = how;
        answer().flow_insert = insert;
        answer().flow_member = member;
        answer().flow_held = held ? 1 : 0;
        return std::move(*this);
    }
    Said&& remembered(std::uint32_t member, slc_flow_class kind, int seconds) && {
        trace.before = kernel::RememberedFlow{member, kind, std::chrono::seconds(seconds), false};
        return std::move(*this);
    }
    Said&& by_id(std::uint32_t flags, std::uint32_t member) && {
        answer().id_flags = SLC_PROOF_ID_ASKED | flags;
        answer().id.len = 4;
        answer().id.id[3] = 7;
        answer().id_member = member;
        return std::move(*this);
    }
    Said&& through(std::initializer_list<std::uint32_t> tails) && {
        for (const std::uint32_t tail : tails)
            answer().trail = answer().trail << SLC_PROOF_TRAIL_BITS | (tail + 1);
        return std::move(*this);
    }
    Said&& header(std::uint16_t mtu, std::uint8_t overhead, std::uint8_t flags = 0) && {
        slc_template out{};
        out.ifindex = 1;
        out.mtu = mtu;
        out.l2_len = 14;
        out.len = static_cast<std::uint8_t>(14 + overhead);
        out.flags = flags;
        out.hdr[5] = 2;
        trace.header = out;
        return std::move(*this);
    }
    Said&& out(const std::string& notation) && {
        trace.said.frame = *packet::build(notation);
        return std::move(*this);
    }
};

constexpr slc_u64 kMarked = SLC_SLOT_MARKED, kOpen = SLC_SLOT_MARKED | SLC_SLOT_OPEN;
constexpr std::uint32_t kIcmp = 0, kFrag = 1, kExt = 2, kTooBig = 3, kDecap = 4, kFollow = 5,
                        kReject = 7;

Said forwarded(std::uint32_t service, std::uint32_t member, std::uint64_t slot,
               slc_reason reason = SLC_REASON_FORWARDED, const std::string& notation = kSyn) {
    return Said(notation)
        .left(SLC_VERDICT_REDIRECT, SLC_STAGE_FORWARD, reason)
        .service(service, member)
        .slot(slot)
        .header(1500, 20)
        .out("ipip 10.255.0.1 > 10.0.0.5 { " + notation + " }");
}

struct Case {
    std::string name;
    Said said;
    /// "stage: text" of each step between the first, which is the scene's, and the last.
    std::vector<std::string> steps;
};

constexpr const char* kParse = "parse: Ethernet, IPv4, TCP: 40 bytes of IP in a frame of 54";
constexpr const char* kVip = "service: 192.0.2.10 is a VIP";
constexpr const char* kPort = "service: TCP port 443 is service web, by that very port";
constexpr const char* kNobody =
    "pick: no backend of group web may take traffic: its ring is nobody's";
constexpr const char* kOut =
    "forward: to web/10.0.0.5 by IP in IP: 20 bytes of outer header, 10.255.0.1 > 10.0.0.5; out of "
    "eth1 to 00:00:00:00:00:02; 60 bytes, of which eth1 takes 1500";
const std::string kSlot =
    "pick: the 5-tuple hashes to 123456789abcdef0, slot 17 of 256 in the maglev ring of group "
    "web; ";

std::vector<Case> early_cases() {
    return {
        {"not_ip",
         Said("ether 0x0806 len=28").left(SLC_VERDICT_PASS, SLC_STAGE_PARSE, SLC_REASON_NOT_IP),
         {"parse: Ethernet, type 0x0806 in a frame of 42"}},
        {"cut_short",
         Said(std::string(kSyn) + " cut=20")
             .left(SLC_VERDICT_DROP, SLC_STAGE_PARSE, SLC_REASON_HDR_TRUNCATED),
         {"parse: Ethernet in a frame of 20"}},
        {"not_ours",
         Said("tcp 198.51.100.7:1234 > 192.0.2.99:443 syn vlan=10")
             .left(SLC_VERDICT_PASS, SLC_STAGE_SERVICE, SLC_REASON_NOT_OURS),
         {"parse: Ethernet, VLAN 10, IPv4, TCP: 40 bytes of IP in a frame of 58",
          "service: 192.0.2.99 is no VIP"}},
        {"protected_prefix",
         Said("tcp 198.51.100.7:1234 > 203.0.113.9:443 syn")
             .left(SLC_VERDICT_PASS, SLC_STAGE_SERVICE, SLC_REASON_NOT_OURS)
             .vip(SLC_VIP_USED | SLC_VIP_PROTECTED),
         {kParse, "service: 203.0.113.9 is no VIP; it lies in protected prefix 203.0.113.0/24"}},
        {"faulty_header_for_a_vip",
         Said(kSyn).left(SLC_VERDICT_DROP, SLC_STAGE_PARSE, SLC_REASON_TCP_FLAGS_INVALID).vip(),
         {kParse, kVip}},
        {"no_such_port",
         Said("tcp 198.51.100.7:1234 > 192.0.2.10:81 syn")
             .left(SLC_VERDICT_DROP, SLC_STAGE_SERVICE, SLC_REASON_NO_SUCH_PORT)
             .vip(),
         {kParse, "service: 192.0.2.10 is a VIP; no service of it takes TCP port 81"}},
        {"port_passed",
         Said("tcp 198.51.100.7:1234 > 192.0.2.10:81 syn")
             .left(SLC_VERDICT_PASS, SLC_STAGE_SERVICE, SLC_REASON_PORT_PASSED)
             .vip(),
         {kParse,
          "service: 192.0.2.10 is a VIP; no service of it takes TCP port 81, and it leaves such "
          "packets to Linux (unmatched: pass)"}},
        {"stage_missing_at_entry",
         Said(kSyn).left(SLC_VERDICT_DROP, SLC_STAGE_ENTRY, SLC_REASON_MAP_MISSED),
         {}},
    };
}

std::vector<Case> slot_cases() {
    return {
        {"steady_slot",
         forwarded(kWeb, kFive, SLC_SLOT_MAKE(kFive, 0, 0)),
         {kParse, kVip, kPort,
          kSlot + "it is web/10.0.0.5's and steady: no remembered flow is looked for", kOut}},
        {"every_flow_is_remembered",
         forwarded(kWeb, kFive, SLC_SLOT_MAKE(kFive, 0, 0))
             .flow(SLC_FLOW_BY_RING, SLC_FLOW_INSERTED, kFive),
         {kParse, kVip, kPort, kSlot + "it is web/10.0.0.5's, and the service remembers every flow",
          "pick: the flow is not remembered: it goes to web/10.0.0.5, and would be remembered "
          "there from now on",
          kOut}},
        {"remembered_in_an_open_slot",
         forwarded(kWeb, kFive, SLC_SLOT_MAKE(kSix, kFive, kOpen), SLC_REASON_FORWARDED_REMEMBERED)
             .flow(SLC_FLOW_BY_MEMORY, SLC_FLOW_NOT_ASKED, kFive)
             .remembered(kFive, SLC_FLOW_ESTABLISHED, 90),
         {kParse, kVip, kPort,
          kSlot + "a change is in progress there: new flows go to web/10.0.0.6, what nobody "
                  "remembers to web/10.0.0.5, as before",
          "pick: the flow table remembers the flow for web/10.0.0.5 (established, forgotten in 90s "
          "without another packet)",
          kOut}},
        {"older_than_the_change",
         forwarded(kWeb, kFive, SLC_SLOT_MAKE(kSix, kFive, kOpen), SLC_REASON_FORWARDED_PREVIOUS)
             .flow(SLC_FLOW_BY_PREVIOUS, SLC_FLOW_INSERTED, kFive),
         {kParse, kVip, kPort,
          kSlot + "a change is in progress there: new flows go to web/10.0.0.6, what nobody "
                  "remembers to web/10.0.0.5, as before",
          "pick: the flow is not remembered and may be older than the change: it goes to the "
          "former owner, web/10.0.0.5, and would be remembered there from now on",
          kOut}},
        {"no_room",
         forwarded(kWeb, kFive, SLC_SLOT_MAKE(kSix, kFive, kOpen), SLC_REASON_FORWARDED_PREVIOUS)
             .flow(SLC_FLOW_BY_PREVIOUS, SLC_FLOW_REFUSED_FULL, kFive),
         {kParse, kVip, kPort,
          kSlot + "a change is in progress there: new flows go to web/10.0.0.6, what nobody "
                  "remembers to web/10.0.0.5, as before",
          "pick: the flow is not remembered: it goes to web/10.0.0.5, because its place in the "
          "flow table is full",
          kOut}},
    };
}

std::vector<Case> refusal_cases() {
    return {
        {"held",
         forwarded(kWeb, kFive, SLC_SLOT_MAKE(kSix, kFive, kOpen | SLC_SLOT_HELD),
                   SLC_REASON_FORWARDED_PREVIOUS)
             .flow(SLC_FLOW_BY_PREVIOUS, SLC_FLOW_REFUSED_CEILING, kFive, true),
         {kParse, kVip, kPort,
          kSlot + "a change is in progress there: new flows go to web/10.0.0.6, what nobody "
                  "remembers to web/10.0.0.5, as before",
          "pick: the flow is not remembered; other new flows of the slot found no room in the flow "
          "table, so until that has ceased it goes to the former owner, web/10.0.0.5, because the "
          "group may not remember more flows",
          kOut}},
        {"marked_only",
         forwarded(kWeb, kFive, SLC_SLOT_MAKE(kFive, kSix, kMarked))
             .flow(SLC_FLOW_BY_RING, SLC_FLOW_NOT_ASKED, kFive),
         {kParse, kVip, kPort,
          kSlot + "it is web/10.0.0.5's; a change has just been made there, and flows that are "
                  "remembered for another backend stay with it",
          "pick: the flow is not remembered: it goes to web/10.0.0.5", kOut}},
        {"tracks_nothing",
         forwarded(kWeb, kFive, SLC_SLOT_MAKE(kFive, kSix, kOpen)),
         {kParse, kVip, kPort,
          kSlot + "it is web/10.0.0.5's; a change is in progress there, but the service remembers "
                  "no flows",
          kOut}},
        {"nobody_takes_traffic",
         Said(kSyn).left(SLC_VERDICT_DROP, SLC_STAGE_PICK, SLC_REASON_NO_BACKEND).service(kWeb),
         {kParse, kVip, kPort, kNobody}},
    };
}

std::vector<Case> id_cases() {
    const std::string packet = "tcp 198.51.100.7:1234 > 192.0.2.13:443 ack";
    const std::string vip = "service: 192.0.2.13 is a VIP";
    const std::string port = "service: TCP port 443 is service named, by that very port";
    const std::string slot =
        "pick: the 5-tuple hashes to 123456789abcdef0, slot 17 of 256 in the maglev ring of group "
        "ids; it is ids/10.0.0.7's and steady: no remembered flow is looked for";
    const auto said = [&](std::uint64_t word) {
        return Said(packet)
            .left(SLC_VERDICT_DROP, SLC_STAGE_FORWARD, SLC_REASON_BACKEND_UNRESOLVED)
            .service(kNamed, kSeven)
            .slot(word);
    };
    const std::string down = "forward: ids/10.0.0.7 cannot be reached: no neighbour";
    const std::uint64_t steady = SLC_SLOT_MAKE(kSeven, 0, 0);
    return {
        {"id_names_a_backend",
         said(0).by_id(SLC_PROOF_ID_READ, kSeven),
         {kParse, vip, port,
          "pick: its TCP server id 00000007 names ids/10.0.0.7, whatever the ring says", down}},
        {"id_names_nobody",
         said(steady).by_id(SLC_PROOF_ID_READ, 0),
         {kParse, vip, port,
          "pick: its TCP server id 00000007 names no backend of the group: the ring decides", slot,
          down}},
        {"id_names_a_failed_backend",
         said(steady).by_id(SLC_PROOF_ID_READ, kSix),
         {kParse, vip, port,
          "pick: its TCP server id 00000007 names web/10.0.0.6, which takes nothing now: the ring "
          "decides",
          slot, down}},
        {"no_id",
         said(steady).by_id(0, 0),
         {kParse, vip, port, "pick: it carries no TCP server id that can be read: the ring decides",
          slot, down}},
    };
}

const std::string kSteady = "it is web/10.0.0.5's and steady: no remembered flow is looked for";

std::vector<Case> way_cases() {
    return {
        {"range_of_ports",
         Said("udp 198.51.100.7:1234 > 192.0.2.10:8010 len=4")
             .left(SLC_VERDICT_DROP, SLC_STAGE_FORWARD, SLC_REASON_HEADROOM)
             .service(kMany, kFive)
             .slot(SLC_SLOT_MAKE(kFive, 0, 0))
             .header(1500, 24),
         {"parse: Ethernet, IPv4, UDP: 32 bytes of IP in a frame of 46", kVip,
          "service: UDP port 8010 is service many, by its range of ports, 8000-8099",
          kSlot + kSteady,
          "forward: to web/10.0.0.5 by GRE: 24 bytes of outer header; out of eth1 to "
          "00:00:00:00:00:02; 56 bytes, of which eth1 takes 1500"}},
        {"prefix_and_any_port",
         Said("tcp 198.51.100.7:1234 > 198.18.1.2:9 syn")
             .left(SLC_VERDICT_TX, SLC_STAGE_FORWARD, SLC_REASON_FORWARDED)
             .service(kAll, kFive)
             .slot(SLC_SLOT_MAKE(kFive, 0, 0))
             .header(1500, 0, SLC_TEMPLATE_L2),
         {kParse, "service: 198.18.1.2 lies in the VIP prefix 198.18.0.0/16",
          "service: TCP port 9 is service all, by any port", kSlot + kSteady,
          "forward: to web/10.0.0.5 by L2: a new Ethernet header, the IP packet as it is; out of "
          "eth1 to 00:00:00:00:00:02; 40 bytes, of which eth1 takes 1500"}},
        {"local_service",
         Said("tcp 198.51.100.7:1234 > 192.0.2.12:22 syn")
             .left(SLC_VERDICT_PASS, SLC_STAGE_FORWARD, SLC_REASON_DELIVERED_LOCAL)
             .service(kHere),
         {kParse, "service: 192.0.2.12 is a VIP",
          "service: TCP port 22 is service here, by that very port",
          "pick: the service is delivered to this node: no backend is chosen",
          "forward: this node is the backend: passed to Linux as it is"}},
        {"too_big",
         Said("tcp 198.51.100.7:1234 > 192.0.2.10:443 ack len=1460 df")
             .left(SLC_VERDICT_TX, SLC_STAGE_TOO_BIG, SLC_REASON_TOO_BIG_REPLIED)
             .service(kWeb, kFive)
             .slot(SLC_SLOT_MAKE(kFive, 0, 0))
             .through({kTooBig})
             .header(1500, 20),
         {"parse: Ethernet, IPv4, TCP: 1500 bytes of IP in a frame of 1514", kVip, kPort,
          kSlot + kSteady,
          "forward: to web/10.0.0.5 by IP in IP: 20 bytes of outer header; out of eth1 to "
          "00:00:00:00:00:02; 1520 bytes are too many, of which eth1 takes 1500",
          "too_big: 198.51.100.7 is told that at most 1480 bytes fit, by ICMP fragmentation needed "
          "from 192.0.2.10"}},
        {"rejected_by_a_reset",
         Said(kSyn)
             .left(SLC_VERDICT_TX, SLC_STAGE_REJECT, SLC_REASON_REJECTED_RESET)
             .service(kWeb)
             .through({kReject}),
         {kParse, kVip, kPort, kNobody,
          "reject: nobody takes it, and 198.51.100.7 is told so by a TCP reset from 192.0.2.10"}},
        {"rejected_as_unreachable",
         Said("udp 198.51.100.7:1234 > 192.0.2.10:8001")
             .left(SLC_VERDICT_TX, SLC_STAGE_REJECT, SLC_REASON_REJECTED_UNREACHABLE)
             .service(kMany)
             .through({kReject}),
         {"parse: Ethernet, IPv4, UDP: 28 bytes of IP in a frame of 42", kVip,
          "service: UDP port 8001 is service many, by its range of ports, 8000-8099", kNobody,
          "reject: nobody takes it, and 198.51.100.7 is told so by ICMP port unreachable from "
          "192.0.2.10"}},
        {"rejected_without_an_answer",
         Said("tcp 198.51.100.7:1234 > 192.0.2.10:443 rst")
             .left(SLC_VERDICT_DROP, SLC_STAGE_REJECT, SLC_REASON_REJECTED_UNANSWERED)
             .service(kWeb)
             .through({kReject}),
         {kParse, kVip, kPort, kNobody,
          "reject: nobody takes it, and it cannot be answered: itself a reset, a fragment of TCP, "
          "damaged, a broadcast, or above the rate"}},
    };
}

std::vector<Case> fragment_cases() {
    return {
        {"echo",
         Said("icmp 198.51.100.7 > 192.0.2.10 echo-request")
             .left(SLC_VERDICT_TX, SLC_STAGE_ICMP, SLC_REASON_ECHO_REPLIED)
             .vip()
             .through({kIcmp}),
         {"parse: Ethernet, IPv4, ICMP: 28 bytes of IP in a frame of 42", kVip,
          "icmp: an echo request: it is answered here, and no backend is asked"}},
        {"later_fragment",
         Said("udp 198.51.100.7 > 192.0.2.10 frag=1480 id=9 len=8")
             .left(SLC_VERDICT_REDIRECT, SLC_STAGE_FORWARD, SLC_REASON_FORWARDED_FRAGMENT)
             .service(kMany, kFive)
             .through({kFrag})
             .header(1500, 24)
             .out("gre 10.255.0.1 > 10.0.0.5 { udp 198.51.100.7 > 192.0.2.10 frag=1480 id=9 }"),
         {"parse: Ethernet, IPv4, UDP, a fragment at 1480: 28 bytes of IP in a frame of 42", kVip,
          "frag: a later fragment of packet 9 of 198.51.100.7, whose first one went to "
          "web/10.0.0.5",
          "forward: to web/10.0.0.5 by GRE: 24 bytes of outer header, 10.255.0.1 > 10.0.0.5; out "
          "of eth1 to 00:00:00:00:00:02; 52 bytes, of which eth1 takes 1500"}},
        {"fragment_whose_first_is_unknown",
         Said("udp 198.51.100.7 > 192.0.2.10 frag=1480 id=9 len=8")
             .left(SLC_VERDICT_DROP, SLC_STAGE_SERVICE, SLC_REASON_FRAG_UNKNOWN)
             .vip()
             .through({kFrag}),
         {"parse: Ethernet, IPv4, UDP, a fragment at 1480: 28 bytes of IP in a frame of 42", kVip,
          "frag: a later fragment of packet 9 of 198.51.100.7, whose first one is not "
          "remembered"}},
    };
}

std::vector<Case> rare_cases() {
    return {
        {"icmp_error_about_a_flow",
         Said("icmp 203.0.113.1 > 192.0.2.10 time-exceeded of ( tcp 192.0.2.10:443 > "
              "198.51.100.7:1234 )")
             .left(SLC_VERDICT_DROP, SLC_STAGE_FORWARD, SLC_REASON_BACKEND_UNRESOLVED)
             .service(kWeb, kFive)
             .slot(SLC_SLOT_MAKE(kFive, 0, 0))
             .through({kIcmp, kFollow}),
         {"parse: Ethernet, IPv4, ICMP: 68 bytes of IP in a frame of 82", kVip,
          "icmp: an error about a packet that a backend has sent: it goes where the flow goes that "
          "the quoted packet belongs to",
          "service: the quoted packet is service web, by that very port",
          "pick: the 5-tuple, read backwards, hashes to 123456789abcdef0, slot 17 of 256 in the "
          "maglev ring of group web; " +
              kSteady,
          "forward: web/10.0.0.5 cannot be reached: no neighbour"}},
        {"extension_headers",
         Said("tcp [2001:db8::7]:1234 > [2001:db8:a::10]:443 syn ext=hop-by-hop,destination")
             .left(SLC_VERDICT_DROP, SLC_STAGE_SERVICE, SLC_REASON_NO_SUCH_PORT)
             .vip(SLC_VIP_USED | SLC_VIP_IP6)
             .through({kExt}),
         {"parse: Ethernet, IPv6, TCP: 76 bytes of IP in a frame of 90",
          "service: 2001:db8:a::10 is a VIP; no service of it takes TCP port 443",
          "parse: 2 IPv6 extension headers read; TCP behind them"}},
        {"tunnel_of_a_balancer",
         Said("ipip 10.255.0.1 > 10.0.0.1 { tcp 198.51.100.7:1234 > 192.0.2.10:443 }")
             .left(SLC_VERDICT_PASS, SLC_STAGE_DECAP, SLC_REASON_DECAPSULATED)
             .vip(SLC_VIP_ENDPOINT | SLC_VIP_USED)
             .through({kDecap}),
         {"parse: Ethernet, IPv4, IPv4 in IP: 60 bytes of IP in a frame of 74",
          "service: 10.0.0.1 is this node's own, and tunnels of balancers may end there",
          "decap: IPv4 in IP from 10.255.0.1: tunnel header of a known balancer stripped, passed "
          "to Linux"}},
    };
}

std::vector<Case> all_cases() {
    std::vector<Case> out = early_cases();
    for (const auto& more :
         {slot_cases(), refusal_cases(), id_cases(), way_cases(), fragment_cases(), rare_cases()})
        out.insert(out.end(), more.begin(), more.end());
    return out;
}

class Walks : public testing::TestWithParam<Case> {};

TEST_P(Walks, are_told_stage_by_stage) {
    const Walk walk = walk_of(GetParam().said.trace, scene());
    std::vector<std::string> steps;
    for (const auto& step : walk.steps) steps.push_back(step.stage + ": " + step.text);
    ASSERT_GE(steps.size(), 2U);
    EXPECT_EQ(steps.front(), "entry: received by eth0; generation 3 takes it");
    EXPECT_TRUE(steps.back().starts_with("exit: ")) << steps.back();
    EXPECT_TRUE(steps.back().ends_with(": " + walk.text)) << steps.back();
    EXPECT_EQ(std::vector<std::string>(steps.begin() + 1, steps.end() - 1), GetParam().steps);
}

INSTANTIATE_TEST_SUITE_P(Table, Walks, testing::ValuesIn(all_cases()),
                         [](const auto& row) { return row.param.name; });

TEST(Walk, says_what_became_of_the_packet) {
    const Walk walk = walk_of(forwarded(kWeb, kFive, SLC_SLOT_MAKE(kFive, 0, 0)).trace, scene());
    EXPECT_EQ(walk.generation, 3U);
    EXPECT_EQ(walk.verdict, "redirect");
    EXPECT_EQ(walk.stage, "forward");
    EXPECT_EQ(walk.reason, "forwarded");
    EXPECT_EQ(walk.service, "web");
    EXPECT_EQ(walk.group, "web");
    EXPECT_EQ(walk.backend, "web/10.0.0.5");
    EXPECT_EQ(walk.encapsulation, "ipip");
    EXPECT_EQ(walk.egress, "eth1");
    EXPECT_EQ(walk.hash, kHash);
    EXPECT_EQ(walk.slot, 17U);
    EXPECT_EQ(walk.out_text, "ipip 10.255.0.1 > 10.0.0.5 { " + std::string(kSyn) + " }");
    EXPECT_EQ(walk.steps.back().text, "sent out of eth1: sent to the backend that the ring chose");
    EXPECT_TRUE(walk.assumptions.empty());
}

TEST(Walk, of_a_drop_has_no_packet_and_says_what_helps) {
    const Walk walk = walk_of(
        Said(kSyn).left(SLC_VERDICT_DROP, SLC_STAGE_SERVICE, SLC_REASON_NO_SUCH_PORT).vip().trace,
        scene());
    EXPECT_TRUE(walk.out.empty());
    EXPECT_EQ(walk.out_text, "");
    EXPECT_EQ(walk.egress, "");
    EXPECT_EQ(walk.remedy, "add a service, or set unmatched: pass");
}

TEST(Walk, names_what_time_and_rate_may_change) {
    struct Row {
        Said said;
        std::vector<std::string> begins;
    };
    const Row rows[] = {
        {forwarded(kWeb, kFive, SLC_SLOT_MAKE(kFive, 0, 0)), {}},
        {Said("icmp 198.51.100.7 > 192.0.2.10 echo-request")
             .left(SLC_VERDICT_TX, SLC_STAGE_ICMP, SLC_REASON_ECHO_REPLIED)
             .vip(),
         {"rate: "}},
        {forwarded(kWeb, kFive, SLC_SLOT_MAKE(kFive, kSix, kMarked))
             .flow(SLC_FLOW_BY_RING, SLC_FLOW_NOT_ASKED, kFive),
         {"time: flows "}},
        {Said("udp 198.51.100.7 > 192.0.2.10 frag=1480 id=9 len=8")
             .left(SLC_VERDICT_DROP, SLC_STAGE_FRAG, SLC_REASON_FRAG_UNKNOWN)
             .vip(),
         {"time: fragments "}},
    };
    for (const Row& row : rows) {
        const Walk walk = walk_of(row.said.trace, scene());
        ASSERT_EQ(walk.assumptions.size(), row.begins.size()) << walk.reason;
        for (std::size_t i = 0; i < row.begins.size(); ++i)
            EXPECT_TRUE(walk.assumptions[i].starts_with(row.begins[i])) << walk.assumptions[i];
    }
}

TEST(Walk, differs_in_what_sender_and_receiver_would_notice) {
    const Walk now = walk_of(forwarded(kWeb, kFive, SLC_SLOT_MAKE(kFive, 0, 0)).trace, scene());
    EXPECT_TRUE(differences(now, now).empty());
    Walk planned = now;
    planned.slot = 4;
    planned.steps.clear();
    planned.generation = 0;
    EXPECT_TRUE(differences(now, planned).empty()) << "nobody notices";
    planned.backend = "web/10.0.0.6";
    planned.out[20] ^= 1;
    planned.egress = "";
    EXPECT_EQ(differences(now, planned),
              (std::vector<std::string>{"backend web/10.0.0.5, planned web/10.0.0.6",
                                        "interface eth1, planned none"}));
    Walk other_bytes = now;
    other_bytes.out[0] ^= 2;
    EXPECT_EQ(differences(now, other_bytes), std::vector<std::string>{"the bytes of the packet"});
}

}  // namespace
}  // namespace sluice::proof
