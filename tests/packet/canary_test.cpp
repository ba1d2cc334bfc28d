// SPDX-License-Identifier: Apache-2.0
//
// The canary's root program: which clients it sends to slot 1, and that it is always the same ones.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernel/bpf_object.h"
#include "kernel/canary_client.h"
#include "sluice/hash.h"
#include "tests/packet/harness.h"

namespace sluice::packet {
namespace {

constexpr const char* kRouter4 = "203.0.113.1";
constexpr const char* kRouter6 = "2001:db8:f::1";
constexpr slc_u64 kWhole = 1ULL << 32;
constexpr slc_u64 kKey[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};

/// A program that says `verdict`, of the kind that the root's array takes.
UniqueFd saying(Verdict verdict) {
    bpf_insn program[2] = {};
    program[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    program[0].imm = static_cast<int>(verdict);
    program[1].code = BPF_JMP | BPF_EXIT;
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_XDP,
                .prog_flags = BPF_F_XDP_HAS_FRAGS);
    return UniqueFd(::bpf_prog_load(BPF_PROG_TYPE_XDP, "slc_says", "GPL", program, 2, &options));
}

/// The program as it is attached, with slot 0 saying "drop" and slot 1 saying "tx".
class CanaryRoot {
 public:
    static Result<CanaryRoot> open(double share) {
        CanaryRoot out(SLC_TRY(
            kernel::BpfObject::open(kernel::ObjectName::root_canary, instruction_set()), "root"));
        slc_canary constants{};
        std::copy(std::begin(kKey), std::end(kKey), constants.key);
        constants.share = static_cast<slc_u64>(share * static_cast<double>(kWhole));
        out.share_ = constants.share;
        SLC_CHECK(out.object_.set_constants(".rodata.canary", &constants, sizeof constants),
                  "root");
        SLC_CHECK(out.object_.load(), "root");
        SLC_CHECK(out.fill(0, Verdict::drop), "slot 0");
        SLC_CHECK(out.fill(1, Verdict::tx), "slot 1");
        return out;
    }

    Result<void> fill(std::uint32_t slot, Verdict verdict) {
        const UniqueFd program = saying(verdict);
        const int fd = program.get();
        if (::bpf_map_update_elem(object_.map_fd("slc_root_progs"), &slot, &fd, BPF_ANY) != 0)
            return fail(sys_error(errno, "fill"));
        programs_.push_back(UniqueFd(::dup(fd)));
        return {};
    }
    void empty(std::uint32_t slot) {
        is_whole_ = false;
        (void)::bpf_map_delete_elem(object_.map_fd("slc_root_progs"), &slot);
    }

    /// The slot that the frame went to; -1: to none. User space says the same of it.
    [[nodiscard]] int slot_of(const Bytes& frame) const {
        const auto run = test_run(object_.program_fd("slc_root_canary"), frame);
        EXPECT_TRUE(run) << run.error().what;
        if (!run) return -2;
        EXPECT_EQ(run->frame, frame);
        const int slot = run->verdict == Verdict::tx ? 1 : run->verdict == Verdict::drop ? 0 : -1;
        if (is_whole_) {
            const auto hash = kernel::canary_client_hash(frame, kKey);
            EXPECT_EQ(slot == 1, share_ >= kWhole || (hash && *hash < share_));
        }
        return slot;
    }
    [[nodiscard]] int slot_of(const Packet& packet) const { return slot_of(packet.bytes()); }

    [[nodiscard]] std::uint64_t missed() const {
        std::vector<std::uint64_t> counts(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
        const std::uint32_t zero = 0;
        (void)::bpf_map_lookup_elem(object_.map_fd("slc_root_missed"), &zero, counts.data());
        std::uint64_t sum = 0;
        for (const std::uint64_t count : counts) sum += count;
        return sum;
    }

 private:
    explicit CanaryRoot(kernel::BpfObject object) : object_(std::move(object)) {}
    kernel::BpfObject object_;
    std::vector<UniqueFd> programs_;
    slc_u64 share_ = 0;
    bool is_whole_ = true;  ///< Both slots are filled.
};

CanaryRoot canary(double share) {
    auto opened = CanaryRoot::open(share);
    if (!opened) {
        std::fprintf(stderr, "error: %s\n", opened.error().what.c_str());
        std::exit(1);
    }
    return std::move(*opened);
}

/// Clients that nobody chose.
class Clients {
 public:
    Ip four() {
        const auto number = static_cast<std::uint32_t>(random_());
        return Ip(fmt::format("{}.{}.{}.{}", 1 + (number >> 24) % 126, number >> 16 & 255,
                              number >> 8 & 255, number & 255)
                      .c_str());
    }
    Ip six() {
        const std::uint64_t number = random_();
        return Ip(fmt::format("2001:db8:{:x}:{:x}::{:x}", number >> 48, number >> 32 & 0xffff,
                              (number & 0xffff) + 1)
                      .c_str());
    }

 private:
    std::mt19937_64 random_{0x5eed};
};

/// One of each kind of client: of slot 0 and of slot 1.
struct Pair {
    Ip live = kClient4;
    Ip taken = kClient4;
};

Pair one_of_each(const CanaryRoot& root, bool six) {
    Clients clients;
    Pair out;
    int found = 0;
    for (int i = 0; i < 1000 && found != 3; ++i) {
        const Ip client = six ? clients.six() : clients.four();
        const Packet packet =
            six ? eth() / ip6({.src = client}) / tcp() : eth() / ip4({.src = client}) / tcp();
        const int slot = root.slot_of(packet);
        (slot == 1 ? out.taken : out.live) = client;
        found |= slot == 1 ? 2 : 1;
    }
    EXPECT_EQ(found, 3);
    return out;
}

TEST(Canary, TakesItsShareOfClientsAndMoreOfThemWithALargerOne) {
    constexpr int kClients = 3000;
    const double shares[] = {0.05, 0.25, 0.5};
    std::vector<CanaryRoot> roots;
    for (const double share : shares) roots.push_back(canary(share));
    for (const bool six : {false, true}) {
        Clients clients;
        int taken[3] = {};
        for (int i = 0; i < kClients; ++i) {
            const Bytes frame = six ? (eth() / ip6({.src = clients.six()}) / tcp()).bytes()
                                    : (eth() / ip4({.src = clients.four()}) / tcp()).bytes();
            int before = 0;
            for (std::size_t which = 0; which < 3; ++which) {
                const int slot = roots[which].slot_of(frame);
                EXPECT_GE(slot, before) << "who is in a small share is in a larger one";
                before = slot;
                taken[which] += slot;
            }
        }
        for (std::size_t which = 0; which < 3; ++which) {
            const double mean = kClients * shares[which];
            const double deviation = std::sqrt(mean * (1 - shares[which]));
            EXPECT_NEAR(taken[which], mean, 4 * deviation) << (six ? "IPv6 " : "IPv4 ") << which;
        }
    }
}

/// What user space says of a client is what the program does: hash.h with the canary's key.
TEST(Canary, TheShareIsThatOfTheKeyedHash) {
    const CanaryRoot root = canary(0.3);
    Clients clients;
    for (int i = 0; i < 500; ++i) {
        const Ip client = clients.four();
        const std::uint32_t source_be = plan::address_words(client)[3];
        const slc_u64 hash = slc_finish(slc_mix(kKey[0], source_be), kKey[1]) >> 32;
        const int slot = hash < static_cast<slc_u64>(0.3 * static_cast<double>(kWhole)) ? 1 : 0;
        EXPECT_EQ(root.slot_of(eth() / ip4({.src = client}) / tcp()), slot) << client.text();
    }
}

TEST(Canary, AClientGoesToOneSlotWhateverItSends) {
    const CanaryRoot root = canary(0.5);
    const Pair four = one_of_each(root, false);
    const Pair six = one_of_each(root, true);
    for (const int slot : {0, 1}) {
        const Ip client4 = slot == 1 ? four.taken : four.live;
        const Ip client6 = slot == 1 ? six.taken : six.live;
        const Packet ip = ip4({.src = client4});
        const Packet ip_six = ip6({.src = client6});
        std::vector<Packet> packets = {
            eth() / ip / udp({.sport = 1, .dport = 2}),
            eth() / ip / tcp({.sport = 9, .flags = kAck}) / payload(1200),
            eth() / ip / tcp() / payload(8000),
            eth() / vlan(100) / ip / tcp(),
            eth() / vlan(200, 0x88a8) / vlan(300) / ip / tcp(),
            eth() / ip4({.src = client4, .dst = "192.0.2.99", .options = Bytes(12, 1)}) / tcp(),
            eth() / ip4({.src = client4, .dst = "10.0.0.1"}) / ip4({.src = kRouter4}) / tcp(),
            eth() / ip / echo4(),
            cut(eth() / ip / tcp(), 34),
            eth() / ip_six / udp({.sport = 7, .dport = 2}),
            eth() / ip_six / udp() / payload(8000),
            eth() / vlan(100) / ip_six / tcp(),
            eth() / vlan(200, 0x88a8) / vlan(300) / ip_six / tcp(),
            eth() / ip_six / dest_opts() / tcp(),
            eth() / ip_six / echo6(),
            cut(eth() / ip_six / tcp(), 54),
        };
        for (const Packet& part : fragments(eth() / ip / udp() / payload(3000), 1400))
            packets.push_back(part);
        for (const Packet& part : fragments(eth() / ip_six / udp() / payload(3000), 1400))
            packets.push_back(part);
        for (std::size_t i = 0; i < packets.size(); ++i)
            EXPECT_EQ(root.slot_of(packets[i]), slot) << "packet " << i;
    }
}

/// A router's complaint about a flow goes where the flow's client's packets go.
TEST(Canary, AnIcmpErrorGoesWithTheClientThatItIsAbout) {
    const CanaryRoot root = canary(0.5);
    const Pair four = one_of_each(root, false);
    const Pair six = one_of_each(root, true);
    for (const int slot : {0, 1}) {
        // The router is a client of the other slot.
        const Ip about4 = slot == 1 ? four.taken : four.live;
        const Ip router4 = slot == 1 ? four.live : four.taken;
        const Ip about6 = slot == 1 ? six.taken : six.live;
        const Ip router6 = slot == 1 ? six.live : six.taken;
        const Packet sent4 = ip4({.src = kVip4, .dst = about4}) / tcp({.sport = 80});
        const Packet sent6 = ip6({.src = kVip6, .dst = about6}) / tcp({.sport = 80});
        for (const std::uint8_t type : {3, 11, 12}) {
            const Packet error = icmp4({.type = type, .code = 0}) / quote(sent4, 28);
            EXPECT_EQ(root.slot_of(eth() / ip4({.src = router4}) / error), slot) << int{type};
            EXPECT_EQ(root.slot_of(eth() / vlan(200, 0x88a8) / vlan(300) /
                                   ip4({.src = router4, .options = Bytes(40, 1)}) / error),
                      slot)
                << int{type};
        }
        for (const std::uint8_t type : {1, 2, 3, 4}) {
            const Packet error = icmp6({.type = type, .code = 0}) / quote(sent6);
            EXPECT_EQ(root.slot_of(eth() / ip6({.src = router6}) / error), slot) << int{type};
            EXPECT_EQ(root.slot_of(eth() / vlan(7) / ip6({.src = router6}) / error), slot);
        }
    }
}

/// Where nothing is quoted, or not enough, the sender counts: it speaks for itself.
TEST(Canary, OtherIcmpGoesWithItsSender) {
    const CanaryRoot root = canary(0.5);
    const Pair four = one_of_each(root, false);
    const Pair six = one_of_each(root, true);
    const Packet about_live4 = ip4({.src = kVip4, .dst = four.live}) / tcp();
    const Packet about_live6 = ip6({.src = kVip6, .dst = six.live}) / tcp();
    const Packet from_taken4 = eth() / ip4({.src = four.taken});
    const Packet from_taken6 = eth() / ip6({.src = six.taken});
    const Packet packets[] = {
        from_taken4 / icmp4({.type = 8}) / quote(about_live4),
        from_taken4 / icmp4({.type = 0}) / quote(about_live4),
        from_taken4 / icmp4({.type = 3}) / quote(about_live4, 19),
        from_taken4 / icmp4({.type = 3}),
        // A later fragment only looks like one.
        eth() / ip4({.src = four.taken, .offset = 10}) / icmp4({.type = 3}) / quote(about_live4),
        from_taken6 / icmp6({.type = 128}) / quote(about_live6),
        from_taken6 / icmp6({.type = 1}) / quote(about_live6, 39),
        from_taken6 / icmp6({.type = 135}) / quote(about_live6),
    };
    for (std::size_t i = 0; i < std::size(packets); ++i)
        EXPECT_EQ(root.slot_of(packets[i]), 1) << "packet " << i;
}

TEST(Canary, WhatHasNoClientStaysUnlessTheCanaryTakesAll) {
    const CanaryRoot most = canary(0.999999);
    const CanaryRoot all = canary(1);
    const Packet packets[] = {
        eth({.type = 0x0806}) / payload(46),
        eth() / vlan(1) / vlan(2) / vlan(3) / ip4() / tcp(),
        cut(eth() / ip4() / tcp(), 33),
        cut(eth() / ip6() / tcp(), 53),
        cut(eth() / vlan(1) / ip4() / tcp(), 17),
        cut(eth() / ip4() / tcp(), 14),
    };
    for (std::size_t i = 0; i < std::size(packets); ++i) {
        EXPECT_EQ(most.slot_of(packets[i]), 0) << "packet " << i;
        EXPECT_EQ(all.slot_of(packets[i]), 1) << "packet " << i;
    }
    EXPECT_EQ(all.slot_of(eth() / ip4() / tcp()), 1);
}

TEST(Canary, AnEmptySlotFallsBackToTheLiveOneAndThenToLinux) {
    CanaryRoot root = canary(1);
    const Packet packet = eth() / ip4() / tcp() / payload(5000);
    EXPECT_EQ(root.slot_of(packet), 1);
    root.empty(1);
    EXPECT_EQ(root.slot_of(packet), 0);
    EXPECT_EQ(root.missed(), 0U);
    root.empty(0);
    EXPECT_EQ(root.slot_of(packet), -1);
    EXPECT_EQ(root.missed(), 1U);
}

}  // namespace
}  // namespace sluice::packet
