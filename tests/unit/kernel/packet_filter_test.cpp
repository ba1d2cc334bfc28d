// SPDX-License-Identifier: Apache-2.0
//
// Filters in the kernel against libpcap's own interpreter: the same frames, the same answers.
#include "kernel/packet_filter.h"

#include <gtest/gtest.h>

#include <linux/filter.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <set>

#include "tests/unit/kernel/filter_rig.h"

namespace sluice::kernel {
namespace {

using model::Random;
using test::compiled;
using test::Filter;
using test::Frame;
using test::PacketFilterTest;
using test::random_frames;
using test::Tally;

/// With how it must end on random frames, lest the comparison compares nothing.
struct Expression {
    const char* text;
    enum { sometimes, never, always } matches = sometimes;
};

const Expression kExpressions[] = {
    {"", Expression::always},
    {"ip"},
    {"ip6"},
    {"arp"},
    {"rarp"},
    {"tcp"},
    {"udp"},
    {"icmp"},
    {"icmp6"},
    {"sctp"},
    {"not ip"},
    {"ip or ip6"},
    {"tcp or udp or icmp or icmp6"},
    {"ip proto 132"},
    {"ip6 proto 17"},
    {"ether proto 0x0806"},
    {"ether broadcast"},
    {"ether multicast"},
    {"ether host 02:00:00:00:00:01"},
    {"ether src 02:00:00:00:00:02"},
    {"ether dst 02:00:00:00:00:03 and ip"},
    {"ip multicast"},
    {"ip6 multicast"},
    {"host 10.0.0.1"},
    {"src host 10.0.0.1"},
    {"dst host 10.0.0.2"},
    {"src 10.0.0.1 and dst 10.0.0.2"},
    {"host 10.0.0.1 or host 10.0.0.2 or host 192.0.2.7"},
    {"host 2001:db8::1"},
    {"src host 2001:db8::2 and dst host 2001:db8::1"},
    {"ip host 10.0.0.3"},
    {"arp host 10.0.0.3"},
    {"net 10.0.0.0/8"},
    {"net 192.0.2.0/24"},
    {"src net 192.0.2.128/25"},
    {"dst net 10.0.0.0/30"},
    {"net 10.0.0.0 mask 255.255.255.252"},
    {"net 2001:db8::/48"},
    {"net 2001:db8:0:1::/64"},
    {"src net 2001:db8::/64"},
    {"net 0.0.0.0/0"},
    {"port 443"},
    {"tcp port 443"},
    {"udp port 53"},
    {"sctp port 80"},
    {"src port 1234"},
    {"dst port 65535"},
    {"tcp dst port 80 and src port 1234"},
    {"port 80 or port 443"},
    {"not port 22"},
    {"portrange 50-90"},
    {"tcp portrange 400-9000"},
    {"udp src portrange 0-1023"},
    {"host 10.0.0.1 and tcp port 443"},
    {"host 10.0.0.1 and not tcp port 443"},
    {"ip and (tcp port 80 or udp port 53) and net 10.0.0.0/29"},
    {"(ip6 and tcp) or (ip and udp and dst port 53)"},
    {"tcp[tcpflags] & tcp-syn != 0"},
    {"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"},
    {"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src net 10.0.0.0/31"},
    {"tcp[13] = 0x12"},
    {"tcp[12] & 0xf0 > 0x50"},
    {"icmp[icmptype] = icmp-echo or icmp[icmptype] = icmp-echoreply"},
    {"icmp[icmptype] = icmp-unreach and icmp[icmpcode] = 4"},
    {"icmp6[icmp6type] = icmp6-echo"},
    {"ip[6:2] & 0x1fff = 0"},
    {"ip[6:2] & 0x1fff != 0"},
    {"ip[6] & 0x20 != 0"},
    {"ip[0] & 0xf > 5"},
    {"ip[8] < 64"},
    {"ip[2:2] > 100"},
    {"ip6[6] = 44"},
    {"ip6[4:2] >= 40"},
    {"udp[4:2] < 16"},
    {"udp[8] < 128"},
    {"greater 100"},
    {"greater 4096"},
    {"less 60"},
    {"len > 3000 and len < 5000"},
    {"len = 14"},
    {"ether[0] & 1 = 0"},
    {"ether[0] & 1 != 0"},
    {"ether[6:4] = 0x02000000"},
    {"ether[12:2] > 1500"},
    {"ether[100] > 127"},
    {"ether[3000:4] > 0x7fffffff"},
    {"ether[3517:4] > 0x40000000"},
    {"ether[3518:4] > 0x40000000"},
    {"ether[3519:4] > 0x40000000"},
    {"ether[3519:2] < 0x8000"},
    {"ether[4096] & 1 = 1"},
    {"ether[9001:2] & 3 = 2"},
    {"ether[20000] = 0", Expression::never},
    {"ether[70000] = 0", Expression::never},
    {"ether[ether[20]] > 100"},
    {"ether[ip[2:2]:2] & 1 = 1"},
    {"ip[ip[0] & 0xf] < 128"},
    {"ip[ip[2:2] - 1] > 64"},
    {"ip[ip[9] - 20] > 64"},
    {"tcp[((tcp[12] & 0xf0) >> 2):4] & 0xff > 0x40"},
    {"tcp[((tcp[12:1] & 0xf0) >> 2):4] != 0x47455420"},
    {"(ip[2:2] - ((ip[0] & 0xf) << 2)) - ((tcp[12] & 0xf0) >> 2) != 0"},
    {"ip[2:2] * 3 + 5 > 300"},
    {"ip[4:2] / 256 = ip[4]"},
    {"ip[4:2] % 7 = 3"},
    {"ip[4:2] / ip[8] > 200"},
    {"ip[4:2] % ip[8] = 0"},
    {"ip[4:2] ^ ip[10:2] > 0x8000"},
    {"ip[4] | ip[5] = 255"},
    {"1 << ip[8] = 0"},
    {"ip[12:4] >> ip[8] > 0"},
    {"-ip[8] > 0xffffff80"},
    {"ip[8] - 200 > 0"},
    {"ether[14] + ether[15] = 0x45"},
    {"len - 14 = ip[2:2]"},
    {"vlan"},
    {"vlan 5"},
    {"vlan and ip"},
    {"vlan 6 and tcp port 443"},
    {"vlan and vlan"},
    {"vlan 7 and vlan 8 and ip6"},
    {"ip or (vlan and ip) or (vlan and vlan and ip)"},
    {"vlan and ether[14:2] & 0xfff < 8"},
    {"llc"},
    {"ether proto \\stp"},
    {"geneve"},
    {"mpls", Expression::never},
    {"pppoes", Expression::never},
    {"ip and not (tcp or udp)"},
    {"ip6 and ip6[40] = 0x00"},
    {"tcp and port 443 and host 2001:db8::1"},
    {"arp[6:2] = 1"},
    {"arp[14:4] = 0x0a000002"},
};

TEST_F(PacketFilterTest, expressions_match_what_they_match_in_libpcap) {
    Random random(1);
    const std::vector<Frame> frames = random_frames(random, 3000);
    EXPECT_GT(std::count_if(frames.begin(), frames.end(),
                            [](const Frame& one) { return one.size() > 4096; }),
              100);
    for (const Expression& one : kExpressions) {
        SCOPED_TRACE(one.text);
        const Filter filter = compiled(one.text);
        ASSERT_FALSE(filter.empty());
        const Tally tally = compare(filter, frames);
        EXPECT_EQ(tally.wrong, 0u);
        EXPECT_EQ(tally.matched > 0, one.matches != Expression::never);
        EXPECT_EQ(tally.missed > 0, one.matches != Expression::always);
    }
}

/// Every code that check_filter() takes; written down a second time, from the kernel's list.
constexpr std::uint16_t kCodes[] = {
    0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x00, 0x60,        // ld
    0xb1, 0x81, 0x01, 0x61, 0x02, 0x03,                          // ldx, st, stx
    0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c,  // alu
    0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0x94, 0x9c, 0xa4,
    0xac, 0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d,  // jmp
    0x06, 0x16, 0x07, 0x87,                                      // ret, misc
};

std::uint32_t random_operand(Random& random) {
    switch (random.below(8)) {
        case 0:
            return static_cast<std::uint32_t>(random.next());
        case 1:
            return static_cast<std::uint32_t>(random.between(3300, 4200));
        case 2: {
            constexpr std::uint32_t corners[] = {
                0,      1,      31,     32,      0xff,       0x3ffc,     0x3fff,     0x4000,
                0x4001, 0xfffe, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0};
            return corners[random.below(std::size(corners))];
        }
        default:
            return static_cast<std::uint32_t>(random.below(64));
    }
}

/// An instruction that `behind` others follow, most of the time a sound one.
FilterInstruction random_instruction(Random& random, std::size_t behind) {
    FilterInstruction one{kCodes[random.below(std::size(kCodes))], 0, 0, random_operand(random)};
    const bool memory = one.code == (BPF_LD | BPF_MEM) || one.code == (BPF_LDX | BPF_MEM) ||
                        BPF_CLASS(one.code) == BPF_ST || BPF_CLASS(one.code) == BPF_STX;
    if (memory) one.operand = static_cast<std::uint32_t>(random.below(BPF_MEMWORDS));
    if (BPF_CLASS(one.code) != BPF_JMP || behind == 0) return one;
    const std::uint64_t reach = std::min<std::uint64_t>(behind, random.chance(70) ? 4 : 256);
    one.if_true = static_cast<std::uint8_t>(random.below(reach));
    one.if_false = static_cast<std::uint8_t>(random.below(reach));
    if (BPF_OP(one.code) == BPF_JA) one.operand = static_cast<std::uint32_t>(random.below(reach));
    return one;
}

/// Ends by what it has computed. May be no filter.
Filter random_filter(Random& random, std::size_t length) {
    Filter filter;
    while (filter.size() + 1 < length)
        filter.push_back(random_instruction(random, length - 1 - filter.size()));
    filter.push_back({static_cast<std::uint16_t>(random.chance(80) ? BPF_RET | BPF_A : BPF_RET), 0,
                      0, static_cast<std::uint32_t>(random.below(2))});
    return filter;
}

/// May be no filter any more.
Filter mutated(Filter filter, Random& random) {
    for (auto times = random.between(1, 4); times > 0; --times) {
        const std::size_t at = random.below(filter.size());
        const std::size_t behind = filter.size() - 1 - at;
        const auto place = filter.begin() + static_cast<std::ptrdiff_t>(at);
        switch (random.below(6)) {
            case 0:
                place->operand += static_cast<std::uint32_t>(random.between(-2, 2));
                break;
            case 1:
                place->operand = random_operand(random);
                break;
            case 2:
                if (behind == 0) break;
                place->if_true =
                    static_cast<std::uint8_t>(random.below(std::min<std::size_t>(behind, 256)));
                std::swap(place->if_true, place->if_false);
                break;
            case 3:
                *place = random_instruction(random, behind);
                break;
            case 4:
                filter.insert(place, random_instruction(random, behind + 1));
                break;
            default:
                if (filter.size() > 1) filter.erase(place);
                break;
        }
    }
    return filter;
}

/// What became of many random filters.
struct Trial {
    std::size_t filters = 0;
    std::size_t matched = 0;
    std::size_t missed = 0;
    std::set<std::uint16_t> codes;

    void add(const Filter& filter, const Tally& tally) {
        ++filters;
        matched += tally.matched;
        missed += tally.missed;
        for (const FilterInstruction& one : filter) codes.insert(one.code);
    }
};

TEST_F(PacketFilterTest, random_filters_match_what_they_match_in_libpcap) {
    Random random(2);
    const std::vector<Frame> frames = random_frames(random, 24);
    Trial trial;
    while (trial.filters < 2000 && !HasFailure()) {
        const Filter filter = random_filter(random, 2 + random.below(random.chance(90) ? 30 : 300));
        if (!check_filter(filter)) continue;
        trial.add(filter, compare(filter, frames));
    }
    EXPECT_EQ(trial.codes.size(), std::size(kCodes));
    EXPECT_GT(trial.matched, 3000u);
    EXPECT_GT(trial.missed, 3000u);
}

TEST_F(PacketFilterTest, damaged_filters_match_what_they_match_in_libpcap) {
    Random random(3);
    const std::vector<Frame> frames = random_frames(random, 32);
    std::vector<Filter> sound;
    for (const Expression& one : kExpressions) sound.push_back(compiled(one.text));
    Trial trial;
    while (trial.filters < 2000 && !HasFailure()) {
        const Filter filter = mutated(sound[random.below(sound.size())], random);
        if (!check_filter(filter)) continue;
        trial.add(filter, compare(filter, frames));
    }
    EXPECT_GT(trial.matched, 10000u);
    EXPECT_GT(trial.missed, 10000u);
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const sluice::test::VerdictProgram probe(XDP_PASS);
    if (probe.program_fd() < 0) {
        std::printf(
            "skipped: unit_packet_filter: loading BPF programs needs CAP_BPF and "
            "CAP_NET_ADMIN\n");
        return 77;
    }
    return RUN_ALL_TESTS();
}
