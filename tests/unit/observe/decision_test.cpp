// SPDX-License-Identifier: Apache-2.0
#include "observe/decision.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/observe/sample_of.h"

namespace sluice::observe {
namespace {

std::shared_ptr<Names> names(std::uint32_t generation, std::uint64_t since_ns) {
    auto out = std::make_shared<Names>();
    out->generation = generation;
    out->since_ns = since_ns;
    out->services = {{1, "web"}};
    out->backends = {{1, "web/10.0.0.5"}};
    out->customers = {{4, "acme"}};
    out->policies = {{5, "strict"}};
    out->interfaces = {{2, "eth0"}};
    return out;
}

NameHistory history_of(std::shared_ptr<const Names> only) {
    NameHistory out;
    out.take(std::move(only));
    return out;
}

TEST(Decision, ids_become_names_and_times_become_dates) {
    slc_exit_record rec{};
    rec.verdict = SLC_VERDICT_DROP;
    rec.stage = SLC_STAGE_PICK;
    rec.reason = SLC_REASON_NO_BACKEND;
    rec.service = 1;
    rec.member = 1;
    rec.customer = 4;
    rec.policy = 5;
    rec.mitigation = 77;
    slc_sample sample = sample_of("tcp 198.51.100.7:1234 > 192.0.2.10:443 syn", rec);
    sample.flags = SLC_SAMPLE_EXTRA;
    const Decision got = decision_of(sample, 6, history_of(names(3, 1)), 1'000);
    EXPECT_EQ(got.time_ns, 5'000'001'000u);
    EXPECT_EQ(got.cpu, 6u);
    EXPECT_EQ(got.interface, "eth0");
    EXPECT_EQ(got.queue, 3u);
    EXPECT_EQ(got.generation, 3u);
    EXPECT_EQ(got.verdict, "drop");
    EXPECT_EQ(got.stage, "pick");
    EXPECT_EQ(got.reason, "no_backend");
    EXPECT_EQ(got.service, "web");
    EXPECT_EQ(got.backend, "web/10.0.0.5");
    EXPECT_EQ(got.customer, "acme");
    EXPECT_EQ(got.policy, "strict");
    EXPECT_EQ(got.mitigation, "#77");
    EXPECT_EQ(got.len, 54u);
    EXPECT_EQ(got.hash, 0xabcdu);
    EXPECT_TRUE(got.is_extra);
    EXPECT_EQ(time_text(1'767'225'600'000'000'123), "2026-01-01T00:00:00.000000123Z");
}

struct PacketCase {
    const char* packet;
    const char* protocol;
    const char* source;
    int source_port;  ///< -1: none.
    const char* destination;
    int destination_port;
    const char* told;  ///< Empty: as `packet`.
};

const PacketCase kPackets[] = {
    {"tcp 198.51.100.7:1234 > 192.0.2.10:443 syn", "tcp", "198.51.100.7", 1234, "192.0.2.10", 443,
     ""},
    {"tcp 198.51.100.7:1234 > 192.0.2.10:443 ack len=1400", "tcp", "198.51.100.7", 1234,
     "192.0.2.10", 443, ""},
    {"tcp 198.51.100.7:1234 > 192.0.2.10:443 syn ip_options=01010101", "tcp", "198.51.100.7", 1234,
     "192.0.2.10", 443, ""},
    {"tcp 198.51.100.7:1234 > 192.0.2.10:443 syn vlan=10", "tcp", "198.51.100.7", 1234,
     "192.0.2.10", 443, "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn"},
    {"udp [2001:db8::7]:5353 > [2001:db8:a::10]:443 len=100", "udp", "2001:db8::7", 5353,
     "2001:db8:a::10", 443, ""},
    {"udp [2001:db8::7]:5353 > [2001:db8:a::10]:443 ext=hop-by-hop,destination,routing", "udp",
     "2001:db8::7", 5353, "2001:db8:a::10", 443, ""},
    {"udp [2001:db8::7]:5353 > [2001:db8:a::10]:443 ext=auth", "udp", "2001:db8::7", 5353,
     "2001:db8:a::10", 443, ""},
    {"udp 198.51.100.7:53 > 192.0.2.10:53 len=800 frag=0+ id=1", "udp", "198.51.100.7", 53,
     "192.0.2.10", 53, ""},
    {"udp 198.51.100.7 > 192.0.2.10 len=100 frag=1480 id=1", "udp", "198.51.100.7", -1,
     "192.0.2.10", -1, ""},
    {"udp 2001:db8::7 > 2001:db8:a::10 len=100 frag=1480 id=1", "udp", "2001:db8::7", -1,
     "2001:db8:a::10", -1, ""},
    {"sctp 198.51.100.7:7 > 192.0.2.10:8", "sctp", "198.51.100.7", 7, "192.0.2.10", 8, ""},
    {"icmp 203.0.113.1 > 192.0.2.10 echo-request", "icmp", "203.0.113.1", -1, "192.0.2.10", -1, ""},
    {"icmp6 2001:db8::7 > 2001:db8:a::10 echo-request", "icmp6", "2001:db8::7", -1,
     "2001:db8:a::10", -1, ""},
    {"ip 198.51.100.7 > 192.0.2.10 proto=89", "89", "198.51.100.7", -1, "192.0.2.10", -1, ""},
    {"ether 0x0806 len=28", "", "", -1, "", -1, ""},
};

TEST(Decision, a_packet_is_told_by_its_headers_and_in_the_notation) {
    const auto text_of = [](const std::optional<IpAddress>& address) {
        return address ? address->text() : std::string();
    };
    const auto number_of = [](const std::optional<std::uint16_t>& port) {
        return port ? int{*port} : -1;
    };
    for (const PacketCase& test : kPackets) {
        const slc_sample sample = sample_of(test.packet);
        const Decision got = decision_of(sample, 0, NameHistory(), 0);
        EXPECT_EQ(got.protocol, test.protocol) << test.packet;
        EXPECT_EQ(text_of(got.source), test.source) << test.packet;
        EXPECT_EQ(number_of(got.source_port), test.source_port) << test.packet;
        EXPECT_EQ(text_of(got.destination), test.destination) << test.packet;
        EXPECT_EQ(number_of(got.destination_port), test.destination_port) << test.packet;
        EXPECT_EQ(packet_text(sample), *test.told == '\0' ? test.packet : test.told);
        EXPECT_EQ(got.generation, 0u);
    }
}

TEST(Decision, where_nothing_was_kept_the_family_is_known) {
    slc_sample sample{};
    sample.rec.famproto = SLC_FAMPROTO_IP6_ICMP;
    const Decision got = decision_of(sample, 0, NameHistory(), 0);
    EXPECT_EQ(got.protocol, "icmp6");
    EXPECT_FALSE(got.source.has_value());
    EXPECT_EQ(packet_text(sample), "");
}

TEST(Decision, random_bytes_are_told_without_a_fault) {
    std::mt19937 random(20260101);
    for (int round = 0; round < 20'000; ++round) {
        slc_sample sample{};
        for (slc_u8& byte : sample.data) byte = static_cast<slc_u8>(random());
        sample.cap_len = static_cast<slc_u16>(random() % (SLC_SAMPLE_LEN + 2));
        sample.rec.len = static_cast<slc_u32>(random() % 2000);
        const bool is_ip6 = random() % 2 == 0;
        sample.proto_be = is_ip6 ? 0xdd86 : 0x0008;
        sample.data[0] = static_cast<slc_u8>(is_ip6 ? 0x60 : 0x40 | random() % 16);
        if (is_ip6 && random() % 2 == 0)
            sample.data[6] = static_cast<slc_u8>(std::vector{0, 43, 44, 51, 60}[random() % 5]);
        sample.rec.reason = static_cast<slc_u16>(random());
        sample.rec.verdict = static_cast<slc_u8>(random());
        sample.rec.stage = static_cast<slc_u8>(random());
        const Decision got = decision_of(sample, 0, NameHistory(), 0);
        EXPECT_FALSE(got.reason.empty());
        EXPECT_EQ(packet_text(sample).empty(), sample.cap_len == 0);
    }
}

TEST(NameHistory, a_sample_is_of_the_generation_that_was_in_force_then) {
    NameHistory history;
    EXPECT_EQ(history.at(5), nullptr);
    EXPECT_EQ(history.newest(), nullptr);
    history.take(names(3, 100));
    history.take(names(4, 200));
    EXPECT_EQ(history.at(99), nullptr);
    EXPECT_EQ(history.at(100)->generation, 3u);
    EXPECT_EQ(history.at(199)->generation, 3u);
    EXPECT_EQ(history.at(200)->generation, 4u);
    EXPECT_EQ(history.newest()->generation, 4u);
    for (std::uint32_t later = 5; later < 50; ++later) history.take(names(later, later * 100));
    EXPECT_EQ(history.at(200), nullptr) << "only the last few are kept";
    EXPECT_EQ(history.at(10'000)->generation, 49u);
}

TEST(NameHistory, other_names_of_the_same_generation_take_its_place) {
    NameHistory history;
    history.take(names(2, 50));
    history.take(names(3, 100));
    for (std::uint32_t i = 0; i < 20; ++i) {
        auto more = names(3, 100);
        more->interfaces[10 + i] = "eth" + std::to_string(i);
        history.take(more);
    }
    EXPECT_EQ(history.at(60)->generation, 2u);
    EXPECT_TRUE(history.at(100)->interfaces.contains(29));
}

TEST(NameHistory, an_id_that_was_given_to_another_name_has_its_own_at_each_time) {
    NameHistory history;
    history.take(names(3, 1'000'000'000));
    auto after = names(4, 6'000'000'000);
    after->services = {{1, "api"}, {2, "dns"}};
    history.take(after);
    slc_exit_record rec{};
    rec.service = 1;
    slc_sample sample = sample_of("tcp 198.51.100.7:1234 > 192.0.2.10:443 syn", rec);
    EXPECT_EQ(decision_of(sample, 0, history, 0).service, "web");
    sample.time_ns = 6'000'000'000;
    EXPECT_EQ(decision_of(sample, 0, history, 0).service, "api");
    // The coarse clock was behind: what only the next generation knows is that one's.
    sample.time_ns = 5'999'000'000;
    sample.rec.service = 2;
    EXPECT_EQ(decision_of(sample, 0, history, 0).service, "dns");
}

}  // namespace
}  // namespace sluice::observe
