// SPDX-License-Identifier: Apache-2.0
//
// Fragments: the first one decides, later ones follow it.
#include <bpf/bpf.h>
#include <fmt/format.h>

#include "tests/packet/harness.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "forward.yaml";
constexpr std::uint32_t kId = 0x4242;

/// A service to send fragments to.
struct Target {
    const char* name;
    const char* service;
    std::uint16_t port;
    bool six;
    const char* backend;
    const char* mode;
};

constexpr Target kTargets[] = {
    {"ipip_4in4", "ipip-4in4", 1014, false, "10.0.0.5", "ipip"},
    {"ipip_6in4", "ipip-6in4", 1014, true, "10.0.0.5", "ipip"},
    {"gre_4in6", "gre-4in6", 1026, false, "fd00::5", "gre"},
    {"gue_4in4", "gue-4in4", 1034, false, "10.0.0.5", "gue"},
    {"gue_4in6", "gue-4in6", 1036, false, "fd00::5", "gue"},
    {"gue_6in6", "gue-6in6", 1036, true, "fd00::5", "gue"},
    {"l2_4", "l2-4", 1040, false, "10.0.0.5", "l2"},
    {"l2_6", "l2-6", 1040, true, "fd00::5", "l2"},
};

Packet ip_of(const Target& target) {
    return target.six ? ip6() : ip4();
}

Packet wrap(const Target& target) {
    const std::string mode = target.mode;
    if (mode == "gue") return outer_gue(target.backend);
    if (mode == "gre") return outer(target.backend) / gre();
    if (mode == "l2") return link_to(target.backend);
    return outer(target.backend);
}

Flow later_flow(bool six, std::uint8_t proto, std::uint32_t id = kId) {
    return {.src = six ? kClient6 : kClient4,
            .dst = six ? kVip6 : kVip4,
            .proto = six ? std::uint8_t{0} : proto,  // RFC 8200 4.5
            .fragment_id = id};
}

Flow first_flow(const Target& target, std::uint8_t proto) {
    return {.src = target.six ? kClient6 : kClient4,
            .dst = target.six ? kVip6 : kVip4,
            .dport = target.port,
            .proto = proto};
}

/// The packet behind its link layer.
Packet behind_link(const Packet& packet) {
    return inner(packet);
}

std::vector<Case> followed() {
    std::vector<Case> rows;
    for (const Target& target : kTargets)
        for (const bool is_tcp : {false, true}) {
            const Packet transport =
                is_tcp ? tcp({.dport = target.port, .flags = kAck}) : udp({.dport = target.port});
            const auto parts =
                fragments(eth() / ip_of(target) / transport / payload(3001), 1400, kId);
            const std::string what = fmt::format("{}_{}", target.name, is_tcp ? "tcp" : "udp");
            const std::uint8_t proto = is_tcp ? 6 : 17;
            rows.push_back({.name = "first_fragment_" + what,
                            .config = kConfig,
                            .in = parts[0],
                            .want = tx(Reason::FORWARDED, wrap(target) / behind_link(parts[0])),
                            .service = target.service,
                            .backend = target.backend,
                            .flow = first_flow(target, proto)});
            for (std::size_t i = 1; i < parts.size(); ++i)
                rows.push_back(
                    {.name = fmt::format("fragment_{}_{}", i, what),
                     .config = kConfig,
                     .before = {parts[0]},
                     .in = parts[i],
                     .want = tx(Reason::FORWARDED_FRAGMENT, wrap(target) / behind_link(parts[i])),
                     .service = target.service,
                     .backend = target.backend,
                     .flow = later_flow(target.six, proto)});
            rows.push_back({.name = "fragment_before_its_first_one_" + what,
                            .config = kConfig,
                            .before = {parts[2]},
                            .in = parts[1],
                            .want = drop(Reason::FRAG_UNKNOWN)});
        }
    return rows;
}

std::vector<Case> unknown() {
    const auto parts = fragments(eth() / ip4() / udp({.dport = 1014}) / payload(3000), 1400, kId);
    const auto six = fragments(eth() / ip6() / udp({.dport = 1014}) / payload(3000), 1400, kId);
    const auto other_id =
        fragments(eth() / ip4() / udp({.dport = 1014}) / payload(3000), 1400, kId + 1);
    const auto other_source = fragments(
        eth() / ip4({.src = "198.51.100.8"}) / udp({.dport = 1014}) / payload(3000), 1400, kId);
    const auto other_proto =
        fragments(eth() / ip4() / tcp({.dport = 1014}) / payload(3000), 1400, kId);
    const auto other_id6 =
        fragments(eth() / ip6() / udp({.dport = 1014}) / payload(3000), 1400, kId | 0x10000);
    const auto no_port = fragments(eth() / ip4() / udp({.dport = 9}) / payload(3000), 1400, kId);
    const auto passing = fragments(
        eth() / ip4({.dst = "192.0.2.11"}) / udp({.dport = 9}) / payload(3000), 1400, kId);
    const auto passing_ping =
        fragments(eth() / ip4({.dst = "192.0.2.11"}) / echo4() / payload(3000), 1400, kId);
    const auto row = [](std::string name, const Packet& first, const Packet& later) {
        return Case{.name = std::move(name),
                    .config = kConfig,
                    .before = {first},
                    .in = later,
                    .want = drop(Reason::FRAG_UNKNOWN)};
    };
    return {
        row("fragment_of_another_packet", parts[0], other_id[1]),
        row("fragment_of_another_source", parts[0], other_source[1]),
        row("fragment_of_another_protocol", parts[0], other_proto[1]),
        row("fragment_of_another_packet_of_ipv6", six[0], other_id6[1]),
        row("fragment_whose_first_one_was_dropped", no_port[0], no_port[1]),
        {.name = "first_fragment_to_a_port_that_linux_has",
         .config = "services.yaml",
         .in = passing[0],
         .want = pass(Reason::PORT_PASSED)},
        {.name = "later_fragment_to_a_port_that_linux_has",
         .config = "services.yaml",
         .before = {passing[0]},
         .in = passing[1],
         .want = pass(Reason::PORT_PASSED)},
        {.name = "fragmented_ping_of_an_address_that_linux_has_too",
         .config = "services.yaml",
         .in = passing_ping[0],
         .want = pass(Reason::PORT_PASSED)},
        {.name = "first_fragment_to_no_such_port",
         .config = kConfig,
         .in = no_port[0],
         .want = drop(Reason::NO_SUCH_PORT)},
        {.name = "first_fragment_to_an_unresolved_backend",
         .config = kConfig,
         .in = fragments(eth() / ip4() / udp({.dport = 1090}) / payload(3000), 1400)[0],
         .want = drop(Reason::BACKEND_UNRESOLVED),
         .service = "unresolved-4"},
        {.name = "first_fragment_to_a_service_without_backends",
         .config = kConfig,
         .in = fragments(eth() / ip4() / udp({.dport = 1190}) / payload(3000), 1400)[0],
         .want = drop(Reason::NO_BACKEND),
         .service = "drained-4"},
    };
}

std::vector<Case> local() {
    const auto parts = fragments(eth() / ip4() / udp({.dport = 1050}) / payload(3000), 1400, kId);
    const auto here = fragments(eth() / ip6() / udp({.dport = 1100}) / payload(3000), 1400, kId);
    return {
        {.name = "first_fragment_of_a_local_service",
         .config = kConfig,
         .in = parts[0],
         .want = pass(Reason::DELIVERED_LOCAL),
         .service = "local-4"},
        {.name = "later_fragment_of_a_local_service",
         .config = kConfig,
         .before = {parts[0]},
         .in = parts[1],
         .want = pass(Reason::DELIVERED_LOCAL),
         .service = "local-4"},
        {.name = "later_fragment_to_a_backend_on_this_node",
         .config = kConfig,
         .before = {here[0]},
         .in = here[2],
         .want = pass(Reason::DELIVERED_LOCAL),
         .service = "here-6"},
    };
}

Case dropped(std::string name, const Packet& packet, Reason reason) {
    return {.name = std::move(name), .config = kConfig, .in = packet, .want = drop(reason)};
}

std::vector<Case> refused() {
    const Packet tcp_part = ip4({.mf = true, .proto = 6});
    const Packet six_part = ip6() / fragment6({.mf = true, .next = 6});
    return {
        // RFC 1858 section 3: the header split over fragments, or written over by one.
        dropped("tiny_first_fragment_of_tcp", eth() / tcp_part / payload(8), Reason::FRAG_TINY),
        dropped("first_fragment_with_sixteen_bytes_of_tcp", eth() / tcp_part / payload(16),
                Reason::FRAG_TINY),
        dropped("first_fragment_that_ends_before_padding", eth() / tcp_part / payload(16) / pad(30),
                Reason::FRAG_TINY),
        dropped("tiny_first_fragment_of_tcp_in_ipv6", eth() / six_part / payload(16),
                Reason::FRAG_TINY),
        dropped("first_fragment_without_udp", eth() / ip4({.mf = true, .proto = 17}),
                Reason::FRAG_TINY),
        dropped("fragment_over_the_flags_of_tcp",
                eth() / ip4({.mf = true, .offset = 1, .proto = 6}) / payload(64),
                Reason::FRAG_TINY),
        dropped("fragment_over_the_flags_of_tcp_in_ipv6",
                eth() / ip6() / fragment6({.offset = 1, .mf = true, .next = 6}) / payload(64),
                Reason::FRAG_TINY),
        // RFC 7112: the first fragment holds all headers.
        dropped(
            "first_fragment_ends_inside_its_headers",
            eth() / ip6() / fragment6({.mf = true, .next = 60}) / raw({6, 1, 1, 12, 0, 0, 0, 0}),
            Reason::EXT_HEADER_CHAIN),
        dropped(
            "flags_of_a_first_fragment",
            fragments(eth() / ip4() / tcp({.dport = 1014, .flags = 0}) / payload(3000), 1400)[0],
            Reason::TCP_FLAGS_INVALID),
        dropped(
            "tcp_offset_in_a_first_fragment",
            fragments(eth() / ip4() / tcp({.dport = 1014, .words = 4}) / payload(3000), 1400)[0],
            Reason::TCP_HEADER_LEN),
        dropped("udp_length_in_a_first_fragment",
                fragments(eth() / ip4() / udp({.dport = 1014, .len = 4}) / payload(3000), 1400)[0],
                Reason::UDP_LEN),
        dropped("fragmented_ping", fragments(eth() / ip4() / echo4() / payload(3000), 1400)[0],
                Reason::FRAG_ICMP),
        dropped("later_fragment_of_a_ping",
                fragments(eth() / ip4() / echo4() / payload(3000), 1400)[1], Reason::FRAG_ICMP),
        dropped("fragmented_ping_of_ipv6",
                fragments(eth() / ip6() / echo6() / payload(3000), 1400)[0], Reason::FRAG_ICMP),
        dropped("fragmented_sctp", fragments(eth() / ip4() / sctp() / payload(3000), 1400)[0],
                Reason::PROTOCOL_UNSUPPORTED),
        dropped("fragment_with_a_spoofed_source",
                eth() / ip4({.src = "127.0.0.1", .offset = 20, .proto = 17}) / payload(64),
                Reason::IP_SOURCE_INVALID),
    };
}

/// Extension headers in front of the fragment header belong to every fragment, those behind it to
/// the first one.
std::vector<Case> with_extension_headers() {
    const Target target = kTargets[1];
    const Packet front = eth() / ip6() / hop_by_hop() / dest_opts();
    const Packet whole = ip6() / dest_opts() / udp({.dport = target.port}) / payload(2000);
    const Bytes bytes = whole.bytes();
    const Bytes first(bytes.begin() + 40, bytes.begin() + 40 + 1200);
    const Bytes second(bytes.begin() + 40 + 1200, bytes.end());
    const Packet part0 = front / fragment6({.mf = true, .id = kId, .next = 60}) / raw(first);
    const Packet part1 = front / fragment6({.offset = 150, .id = kId, .next = 60}) / raw(second);

    Packet far = eth() / ip6() / hop_by_hop();
    for (int i = 0; i < 5; ++i) far = far / dest_opts(Bytes(254, 0));
    const Packet far_first = far / fragment6({.mf = true, .id = kId}) /
                             udp({.dport = target.port, .len = 1208}) / payload(400);
    return {
        {.name = "first_fragment_between_extension_headers",
         .config = kConfig,
         .in = part0,
         .want = tx(Reason::FORWARDED, wrap(target) / inner(part0)),
         .service = target.service,
         .flow = first_flow(target, 17)},
        {.name = "later_fragment_between_extension_headers",
         .config = kConfig,
         .before = {part0},
         .in = part1,
         .want = tx(Reason::FORWARDED_FRAGMENT, wrap(target) / inner(part1)),
         .service = target.service,
         .flow = later_flow(true, 0)},
        {.name = "first_fragment_behind_1300_bytes_of_headers",
         .config = kConfig,
         .in = far_first,
         .want = tx(Reason::FORWARDED, wrap(target) / inner(far_first)),
         .service = target.service,
         .inner_sums = false},
    };
}

/// Makes every remembered fragment `seconds` older.
void age_fragments(Bench& bench, std::uint32_t seconds) {
    const int fd = bench.state_fd("slc_frags");
    for (std::uint32_t i = 0; i < 256; ++i) {
        slc_frag_bucket bucket{};
        ASSERT_EQ(::bpf_map_lookup_elem(fd, &i, &bucket), 0);
        for (slc_frag& entry : bucket.entry) entry.member_stamp -= seconds << 20;
        ASSERT_EQ(::bpf_map_update_elem(fd, &i, &bucket, BPF_ANY), 0);
    }
}

TEST(Fragments, AreForgottenAfterTheirLifetime) {
    Bench& bench = bench_for(kConfig);
    const auto parts = fragments(eth() / ip4() / udp({.dport = 1014}) / payload(3000), 1400, kId);
    for (const auto& [age, reason] : std::vector<std::pair<std::uint32_t, Reason>>{
             {SLC_FRAG_LIFETIME_S - 1, Reason::FORWARDED_FRAGMENT},
             {SLC_FRAG_LIFETIME_S + 2, Reason::FRAG_UNKNOWN},
             {600, Reason::FRAG_UNKNOWN}}) {
        bench.reset_state();
        (void)bench.run(parts[0].bytes());
        age_fragments(bench, age);
        const Outcome got = bench.run(parts[1].bytes());
        ASSERT_EQ(got.reasons.size(), 1U);
        EXPECT_EQ(got.reasons[0].reason, reason) << "after " << age << " s";
    }
}

TEST(Fragments, AFloodOfFirstFragmentsCostsOnlyFragments) {
    Bench& bench = bench_for(kConfig);
    bench.reset_state();
    // Half as many again as the table holds; a slow machine must end within their lifetime.
    constexpr std::uint32_t kFlood = 1536;
    const Packet datagram = eth() / ip4() / udp({.dport = 1014}) / payload(2000);
    for (std::uint32_t id = 0; id < kFlood; ++id)
        ASSERT_TRUE(
            test_run(bench.generation().program_fd(), fragments(datagram, 1400, id)[0].bytes()));
    // The table holds 1,024: the newest is there, and what is forgotten is said so.
    const Outcome newest = bench.run(fragments(datagram, 1400, kFlood - 1)[1].bytes());
    ASSERT_EQ(newest.reasons.size(), 1U);
    EXPECT_EQ(newest.reasons[0].reason, Reason::FORWARDED_FRAGMENT);
    // By the verdict alone: counters take longer to read than fragments live.
    int remembered = 0;
    for (std::uint32_t id = 0; id < kFlood; ++id) {
        const auto run =
            test_run(bench.generation().program_fd(), fragments(datagram, 1400, id)[1].bytes());
        ASSERT_TRUE(run);
        remembered += run->verdict == Verdict::tx ? 1 : 0;
    }
    EXPECT_GT(remembered, 900);
    EXPECT_LE(remembered, 1024);
}

SLC_PACKET_TABLE(FragmentsFollowed, followed());
SLC_PACKET_TABLE(FragmentsUnknown, unknown());
SLC_PACKET_TABLE(FragmentsLocal, local());
SLC_PACKET_TABLE(FragmentsRefused, refused());
SLC_PACKET_TABLE(FragmentsAndHeaders, with_extension_headers());

}  // namespace
}  // namespace sluice::packet
