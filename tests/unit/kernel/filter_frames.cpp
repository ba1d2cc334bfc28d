// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/kernel/filter_frames.h"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace sluice::test {
namespace {

using model::Random;

constexpr std::size_t kLeast = 14;
constexpr std::array<std::uint16_t, 8> kPorts{22, 53, 80, 443, 1234, 8080, 6081, 65535};

void add(Frame& frame, std::initializer_list<int> bytes) {
    for (const int byte : bytes) frame.push_back(static_cast<std::uint8_t>(byte));
}

void add16(Frame& frame, std::uint64_t number) {
    add(frame, {static_cast<int>(number >> 8 & 0xff), static_cast<int>(number & 0xff)});
}

void add_noise(Frame& frame, Random& random, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        frame.push_back(static_cast<std::uint8_t>(random.next()));
}

void add_ports(Frame& frame, Random& random) {
    for (int i = 0; i < 2; ++i)
        add16(frame, random.chance(80) ? kPorts[random.below(kPorts.size())] : random.below(65536));
}

/// Returns the number of the protocol.
int add_transport(Frame& frame, Random& random, bool ip6) {
    switch (random.below(6)) {
        case 0:
        case 1: {  // TCP, flags of a connection or any
            add_ports(frame, random);
            add_noise(frame, random, 8);
            constexpr std::array<int, 6> flags{0x02, 0x12, 0x10, 0x18, 0x11, 0x04};
            const auto words = static_cast<int>(random.between(5, 8));
            add(frame, {words << 4, random.chance(80) ? flags[random.below(flags.size())]
                                                      : static_cast<int>(random.below(256))});
            add_noise(frame, random, 6 + 4 * (static_cast<std::size_t>(words) - 5));
            return 6;
        }
        case 2:
        case 3:  // UDP
            add_ports(frame, random);
            add16(frame, random.between(8, 64));
            add16(frame, 0);
            return 17;
        case 4: {  // ICMP
            constexpr std::array<int, 6> types{0, 8, 3, 11, 128, 129};
            add(frame, {types[random.below(types.size())], static_cast<int>(random.below(5))});
            add_noise(frame, random, 6);
            return ip6 ? 58 : 1;
        }
        default:  // SCTP, or something that nobody knows
            add_ports(frame, random);
            add_noise(frame, random, 8);
            return random.chance(50) ? 132 : static_cast<int>(random.below(256));
    }
}

void add_address4(Frame& frame, Random& random) {
    if (random.chance(70)) return add(frame, {10, 0, 0, static_cast<int>(1 + random.below(4))});
    if (random.chance(50)) return add(frame, {192, 0, 2, static_cast<int>(random.below(256))});
    add_noise(frame, random, 4);
}

void add_address6(Frame& frame, Random& random) {
    if (random.chance(10)) return add_noise(frame, random, 16);
    if (random.chance(10)) return add(frame, {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    add(frame, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, static_cast<int>(random.below(2))});
    add(frame, {0, 0, 0, 0, 0, 0, 0, static_cast<int>(1 + random.below(3))});
}

void add_ip4(Frame& frame, Random& random) {
    Frame inner;
    const int protocol = add_transport(inner, random, false);
    add_noise(inner, random, random.below(200));
    const auto words = static_cast<int>(random.chance(75) ? 5 : random.between(6, 15));
    add(frame, {0x40 | words, static_cast<int>(random.below(256))});
    add16(frame, static_cast<std::uint64_t>(words) * 4 + inner.size());
    add16(frame, random.next());
    // Whole, with a piece to follow, or a later piece.
    const std::uint64_t piece = random.below(8);
    add16(frame, piece == 0   ? 0x2000
                 : piece == 1 ? 1 + random.below(0x1fff)
                              : (random.chance(50) ? 0x4000 : 0));
    add(frame, {static_cast<int>(random.below(256)), protocol});
    add16(frame, random.next());
    add_address4(frame, random);
    add_address4(frame, random);
    add_noise(frame, random, 4 * (static_cast<std::size_t>(words) - 5));
    frame.insert(frame.end(), inner.begin(), inner.end());
}

void add_ip6(Frame& frame, Random& random) {
    Frame inner;
    const int protocol = add_transport(inner, random, true);
    add_noise(inner, random, random.below(200));
    const bool fragment = random.chance(15);
    add(frame, {0x60 | static_cast<int>(random.below(16)), 0, 0, 0});
    add16(frame, inner.size() + (fragment ? 8 : 0));
    add(frame, {fragment ? 44 : protocol, static_cast<int>(random.below(256))});
    add_address6(frame, random);
    add_address6(frame, random);
    if (fragment) {
        add(frame, {protocol, 0});
        add16(frame, random.below(4) == 0 ? 1 : random.next());
        add_noise(frame, random, 4);
    }
    frame.insert(frame.end(), inner.begin(), inner.end());
}

void add_arp(Frame& frame, Random& random) {
    add(frame, {0, 1, 8, 0, 6, 4, 0, static_cast<int>(1 + random.below(2))});
    add_noise(frame, random, 6);
    add_address4(frame, random);
    add_noise(frame, random, 6);
    add_address4(frame, random);
}

void add_mac(Frame& frame, Random& random) {
    switch (random.below(4)) {
        case 0:
            return add(frame, {255, 255, 255, 255, 255, 255});
        case 1:
            return add(frame, {1, 0, 0x5e, 0, 0, static_cast<int>(random.below(256))});
        default:
            return add(frame, {2, 0, 0, 0, 0, static_cast<int>(1 + random.below(3))});
    }
}

Frame sound_frame(Random& random) {
    Frame frame;
    add_mac(frame, random);
    add_mac(frame, random);
    for (auto tags = random.chance(70) ? 0 : random.between(1, 2); tags > 0; --tags) {
        add16(frame, tags == 2 ? 0x88a8 : 0x8100);
        add16(frame, random.chance(70) ? random.between(5, 8) : random.next());
    }
    const std::uint64_t kind = random.below(20);
    if (kind < 9) {
        add16(frame, 0x0800);
        add_ip4(frame, random);
    } else if (kind < 15) {
        add16(frame, 0x86dd);
        add_ip6(frame, random);
    } else if (kind < 17) {
        add16(frame, random.chance(80) ? 0x0806 : 0x8035);
        add_arp(frame, random);
    } else {
        add16(frame, kind == 17 ? 100 + random.below(1401) : random.next());  // 802.3, or any type
        if (kind == 17 && random.chance(50)) add(frame, {0x42, 0x42, 3});     // a spanning tree's
        add_noise(frame, random, random.below(100));
    }
    return frame;
}

}  // namespace

Frame random_frame(Random& random) {
    Frame frame = sound_frame(random);
    const std::uint64_t fate = random.below(20);
    if (fate < 4) {
        frame.resize(std::min<std::size_t>(frame.size(), kLeast + random.below(80)));
    } else if (fate < 6) {
        for (auto flips = random.between(1, 6); flips > 0; --flips)
            frame[random.below(frame.size())] = static_cast<std::uint8_t>(random.next());
    } else if (fate < 7) {
        frame.clear();
        add_noise(frame, random, kLeast + random.below(120));
    } else if (fate < 9) {
        // Around the end of a page, or of several of them.
        const auto size =
            random.chance(50) ? random.between(3300, 4200) : random.between(4200, 20000);
        if (static_cast<std::size_t>(size) > frame.size())
            add_noise(frame, random, static_cast<std::size_t>(size) - frame.size());
    }
    return frame;
}

std::vector<Frame> random_frames(Random& random, std::size_t count) {
    std::vector<Frame> frames;
    while (frames.size() < count) frames.push_back(random_frame(random));
    return frames;
}

}  // namespace sluice::test
