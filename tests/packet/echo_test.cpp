// SPDX-License-Identifier: Apache-2.0
//
// Echo requests to a VIP are answered, with a right checksum whatever the carries, and a limit.
#include <fmt/format.h>

#include "tests/packet/dissect.h"
#include "tests/packet/harness.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "forward.yaml";

Packet back(const Packet& tags = {}) {
    return eth({.dst = kClientMac, .src = kNodeMac}) / tags;
}

Case answered(std::string name, const Packet& in, const Packet& out) {
    return {.name = std::move(name),
            .config = kConfig,
            .in = in,
            .want = tx(Reason::ECHO_REPLIED, out)};
}

std::vector<Case> lengths() {
    std::vector<Case> rows;
    for (const std::size_t size :
         {0,   1,   2,    3,    7,    8,    31,   55,   56,   57,   255,  503,  504,  505, 511,
          512, 513, 1016, 1024, 1025, 1471, 1472, 3000, 4095, 4096, 4097, 8000, 8192, 8972}) {
        rows.push_back(answered(
            fmt::format("ping_of_{}_bytes", size),
            eth() / ip4({.ttl = 3}) / echo4(77, 1) / payload(size),
            back() / ip4({.src = kVip4, .dst = kClient4}) / echo4(77, 1, 0) / payload(size)));
        rows.push_back(answered(
            fmt::format("ping_of_{}_bytes_in_ipv6", size),
            eth() / ip6({.hops = 3}) / echo6(77, 1) / payload(size),
            back() / ip6({.src = kVip6, .dst = kClient6}) / echo6(77, 1, 129) / payload(size)));
    }
    return rows;
}

std::vector<Case> shapes() {
    const Packet tags = vlan(9, 0x88a8) / vlan(10);
    const Bytes options(40, 1);
    return {
        answered("ping_through_two_tags", eth() / tags / ip4() / echo4() / payload(56),
                 back(tags) / ip4({.src = kVip4, .dst = kClient4}) / echo4(1, 1, 0) / payload(56)),
        answered("ping_with_options", eth() / ip4({.options = options}) / echo4() / payload(56),
                 back() / ip4({.src = kVip4, .dst = kClient4, .options = options}) /
                     echo4(1, 1, 0) / payload(56)),
        answered(
            "padded_ping", eth() / ip4() / echo4() / payload(3) / pad(15),
            back() / ip4({.src = kVip4, .dst = kClient4}) / echo4(1, 1, 0) / payload(3) / pad(15)),
        answered("ping_keeps_class_and_flow",
                 eth() / ip6({.traffic_class = 0xb9, .flow = 0xfffff}) / echo6() / payload(9),
                 back() /
                     ip6({.src = kVip6, .dst = kClient6, .traffic_class = 0xb9, .flow = 0xfffff}) /
                     echo6(1, 1, 129) / payload(9)),
    };
}

std::vector<Case> refused() {
    const Packet good = eth() / ip4() / echo4(1, 2) / payload(56);
    const Packet good6 = eth() / ip6() / echo6(1, 2) / payload(57);
    const auto dropped = [](std::string name, const Packet& packet, Reason reason) {
        return Case{.name = std::move(name), .config = kConfig, .in = packet, .want = drop(reason)};
    };
    std::vector<Case> rows;
    for (const std::size_t at : {36U, 38U, 41U, 42U, 97U})
        rows.push_back(dropped(fmt::format("damaged_ping_at_{}", at), corrupt(good, at),
                               Reason::ICMP_CHECKSUM));
    for (const std::size_t at : {56U, 60U, 118U})
        rows.push_back(dropped(fmt::format("damaged_ping_of_ipv6_at_{}", at), corrupt(good6, at),
                               Reason::ICMP_CHECKSUM));
    rows.push_back(
        dropped("ping_whose_ip_header_is_damaged", corrupt(good, 22), Reason::ICMP_CHECKSUM));
    // RFC 1122 3.2.2: what the link carried to many gets no answer.
    const Eth group{.dst = "ff:ff:ff:ff:ff:ff"};
    rows.push_back(dropped("ping_by_broadcast", eth(group) / ip4() / echo4(), Reason::ICMP_TYPE));
    rows.push_back(dropped("ping_by_multicast_of_the_link",
                           eth({.dst = "33:33:00:00:00:01"}) / ip6() / echo6(), Reason::ICMP_TYPE));
    rows.push_back({.name = "second_ping_at_one_a_second",
                    .config = "rate.yaml",
                    .before = {good},
                    .in = good,
                    .want = drop(Reason::ICMP_RATE)});
    rows.push_back({.name = "second_ping_of_ipv6_at_one_a_second",
                    .config = "rate.yaml",
                    .before = {good},
                    .in = good6,
                    .want = drop(Reason::ICMP_RATE)});
    return rows;
}

/// Runs `request(word)` for every 16-bit word and compares the answer with `answer(word)`.
template <typename Request, typename Answer>
void every_word(const Request& request, const Answer& answer) {
    Bench& bench = bench_for(kConfig);
    for (std::uint32_t word = 0; word < 0x10000; ++word) {
        if (word % 500 == 0) bench.reset_state();
        const auto id = static_cast<std::uint16_t>(word);
        const auto got = test_run(bench.generation().program_fd(), request(id).bytes());
        ASSERT_TRUE(got) << got.error().what;
        ASSERT_EQ(got->verdict, Verdict::tx) << "word " << word;
        const Bytes want = answer(id).bytes();
        ASSERT_EQ(got->frame, want) << "word " << word << "\n" << diff(want, got->frame);
    }
}

TEST(EchoChecksum, EveryIdentifierKeepsItsCarry) {
    every_word([](std::uint16_t id) { return eth() / ip4() / echo4(id, 0xffff); },
               [](std::uint16_t id) {
                   return back() / ip4({.src = kVip4, .dst = kClient4}) / echo4(id, 0xffff, 0);
               });
}

TEST(EchoChecksum, EverySequenceOfIpv6KeepsItsCarry) {
    every_word([](std::uint16_t seq) { return eth() / ip6() / echo6(0x7fff, seq) / payload(1); },
               [](std::uint16_t seq) {
                   return back() / ip6({.src = kVip6, .dst = kClient6}) / echo6(0x7fff, seq, 129) /
                          payload(1);
               });
}

/// The answer's IPv4 header checksum is patched: every value it can have, by the identification.
TEST(EchoChecksum, EveryIpv4HeaderKeepsItsCarry) {
    every_word([](std::uint16_t id) { return eth() / ip4({.id = id, .ttl = 1}) / echo4(); },
               [](std::uint16_t id) {
                   return back() / ip4({.src = kVip4, .dst = kClient4, .id = id}) / echo4(1, 1, 0);
               });
}

TEST(EchoRate, RefillsByTheClock) {
    Bench& bench = bench_for("rate.yaml");
    const int fd = bench.state_fd("slc_limiters");
    ASSERT_GE(fd, 0);
    const Bytes ping = (eth() / ip4() / echo4()).bytes();
    bench.reset_state();
    // A bucket of one: what comes at once, however long it was quiet before.
    int answered = 0;
    for (int i = 0; i < 5; ++i)
        if (bench.run(ping).run.verdict == Verdict::tx) ++answered;
    EXPECT_EQ(answered, 1);
}

SLC_PACKET_TABLE(EchoLengths, lengths());
SLC_PACKET_TABLE(EchoShapes, shapes());
SLC_PACKET_TABLE(EchoRefused, refused());

}  // namespace
}  // namespace sluice::packet
