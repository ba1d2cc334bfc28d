// SPDX-License-Identifier: Apache-2.0
// Captures of every form that tools write, and what is wrong with a broken one.
#include "packet/pcap.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>

#include "base/file.h"
#include "packet/notation.h"
#include "tests/packet/pcap.h"

namespace sluice::packet {
namespace {

constexpr std::uint64_t kBillion = 1'000'000'000;
constexpr const char* kPacket = "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn";
constexpr std::uint32_t kEthernet = 1, kRaw = 101, kCooked = 113, kCooked2 = 276;

/// Writes numbers in one byte order.
struct Writer {
    bool big = false;
    Bytes out;

    Writer& number(std::uint64_t value, std::size_t width) {
        for (std::size_t i = 0; i < width; ++i)
            out.push_back(static_cast<std::uint8_t>(value >> 8 * (big ? width - 1 - i : i)));
        return *this;
    }
    Writer& u16(std::uint64_t value) { return number(value, 2); }
    Writer& u32(std::uint64_t value) { return number(value, 4); }
    Writer& bytes(const Bytes& value) {
        out.insert(out.end(), value.begin(), value.end());
        return *this;
    }
    Writer& block(std::uint32_t type, const Bytes& body) {
        Bytes padded = body;
        padded.resize((body.size() + 3) / 4 * 4);
        return u32(type).u32(padded.size() + 12).bytes(padded).u32(padded.size() + 12);
    }
};

Writer classic(bool big, std::uint32_t magic, std::uint32_t link) {
    Writer file{big, {}};
    file.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(link);
    return file;
}

Writer& record(Writer& file, const Bytes& frame, std::uint32_t seconds = 5,
               std::uint32_t fraction = 7, std::uint32_t missing = 0) {
    return file.u32(seconds)
        .u32(fraction)
        .u32(frame.size())
        .u32(frame.size() + missing)
        .bytes(frame);
}

Writer pcapng(bool big, std::uint32_t link, const Bytes& options = {}) {
    Writer file{big, {}};
    file.block(0x0a0d0d0a, Writer{big, {}}.u32(0x1a2b3c4d).u16(1).u16(0).number(~0ull, 8).out);
    file.block(1, Writer{big, {}}.u16(link).u16(0).u32(0).bytes(options).out);
    return file;
}

Bytes enhanced(bool big, const Bytes& frame, std::uint64_t ticks, std::uint32_t missing = 0) {
    return Writer{big, {}}
        .u32(0)
        .u32(ticks >> 32)
        .u32(ticks & 0xffffffff)
        .u32(frame.size())
        .u32(frame.size() + missing)
        .bytes(frame)
        .out;
}

Bytes frame_of(const char* notation) {
    auto frame = build(notation);
    return frame ? *frame : Bytes{};
}

Bytes without_ethernet(const Bytes& frame) {
    return {frame.begin() + 14, frame.end()};
}

std::vector<CapturedFrame> read(const Bytes& file) {
    auto frames = read_capture(file);
    EXPECT_TRUE(frames) << (frames ? "" : frames.error().what);
    return frames ? *frames : std::vector<CapturedFrame>{};
}

std::string fault(const Bytes& file) {
    const auto frames = read_capture(file);
    return frames ? "read" : frames.error().what;
}

TEST(Pcap, reads_both_byte_orders_and_both_units) {
    for (const bool big : {false, true}) {
        for (const bool nano : {false, true}) {
            Writer file = classic(big, nano ? 0xa1b23c4d : 0xa1b2c3d4, kEthernet);
            record(file, frame_of(kPacket));
            record(file, frame_of("ether 0x0806 len=28"), 6);
            const auto frames = read(file.out);
            ASSERT_EQ(frames.size(), 2u);
            EXPECT_EQ(describe(frames[0].bytes), kPacket);
            EXPECT_EQ(frames[0].number, 1u);
            EXPECT_EQ(frames[0].time_ns, 5 * kBillion + (nano ? 7 : 7000));
            EXPECT_EQ(frames[1].number, 2u);
            EXPECT_EQ(describe(frames[1].bytes), "ether 0x0806 len=28");
        }
    }
}

TEST(Pcap, says_how_much_of_a_frame_was_cut_off) {
    Writer file = classic(false, 0xa1b2c3d4, kEthernet);
    Bytes frame = frame_of(kPacket);
    frame.resize(40);
    record(file, frame, 5, 7, 14);
    EXPECT_EQ(read(file.out).at(0).missing, 14u);
}

TEST(Pcap, gives_every_link_an_ethernet_header) {
    const Bytes ip = without_ethernet(frame_of(kPacket));
    const Bytes ip6 = without_ethernet(frame_of("udp [2001:db8::1]:1 > [2001:db8::2]:2"));
    Bytes cooked(14, 0);
    cooked.insert(cooked.end(), {0x08, 0x00});
    Bytes cooked2 = {0x08, 0x00};
    cooked2.resize(20);
    for (const auto& [link, header] : {std::pair{kRaw, Bytes{}},
                                       {12u, Bytes{}},
                                       {228u, Bytes{}},
                                       {kCooked, cooked},
                                       {kCooked2, cooked2},
                                       {kRaw | 0x04000000u, Bytes{}}}) {
        Writer file = classic(true, 0xa1b2c3d4, link);
        Bytes packet = header;
        packet.insert(packet.end(), ip.begin(), ip.end());
        record(file, packet);
        EXPECT_EQ(describe(read(file.out).at(0).bytes), kPacket) << link;
    }
    for (const std::uint32_t link : {kRaw, 229u}) {
        Writer file = classic(false, 0xa1b2c3d4, link);
        record(file, ip6);
        EXPECT_EQ(describe(read(file.out).at(0).bytes), "udp [2001:db8::1]:1 > [2001:db8::2]:2");
    }
}

TEST(Pcapng, reads_enhanced_simple_and_old_blocks_among_others) {
    for (const bool big : {false, true}) {
        Writer file = pcapng(big, kEthernet);
        const Bytes frame = frame_of(kPacket);
        file.block(5, Bytes(8, 0));  // statistics of the interface
        file.block(6, enhanced(big, frame, 3'000'001, 9));
        file.block(3, Writer{big, {}}.u32(frame.size()).bytes(frame).out);
        file.block(2, Writer{big, {}}
                          .u16(0)
                          .u16(0)
                          .u32(0)
                          .u32(4'000'000)
                          .u32(frame.size())
                          .u32(frame.size())
                          .bytes(frame)
                          .out);
        const auto frames = read(file.out);
        ASSERT_EQ(frames.size(), 3u);
        for (const CapturedFrame& captured : frames) EXPECT_EQ(describe(captured.bytes), kPacket);
        EXPECT_EQ(frames[0].time_ns, 3 * kBillion + 1000);
        EXPECT_EQ(frames[0].missing, 9u);
        EXPECT_EQ(frames[1].time_ns, 0u);
        EXPECT_EQ(frames[2].time_ns, 4 * kBillion);
        EXPECT_EQ(frames[2].number, 3u);
    }
}

TEST(Pcapng, counts_time_in_the_unit_of_the_interface) {
    const std::tuple<std::uint8_t, std::uint64_t, std::uint64_t> kTimes[] = {
        {0, 5, 5 * kBillion},
        {6, 5'000'007, 5 * kBillion + 7000},
        {9, 5'000'000'007, 5 * kBillion + 7},
        {12, 5'000'000'007'000, 5 * kBillion + 7},
        {0x80 | 10, 5 * 1024 + 512, 5 * kBillion + kBillion / 2},
        {0x80 | 32, (5ull << 32) + (1ull << 31), 5 * kBillion + kBillion / 2},
    };
    for (const auto& [resolution, ticks, expected] : kTimes) {
        const Bytes option = Writer{}.u16(9).u16(1).bytes({resolution, 0, 0, 0}).u32(0).out;
        Writer file = pcapng(false, kEthernet, option);
        file.block(6, enhanced(false, frame_of(kPacket), ticks));
        EXPECT_EQ(read(file.out).at(0).time_ns, expected) << int{resolution};
    }
}

TEST(Pcapng, begins_anew_with_each_section) {
    Writer file = pcapng(false, kRaw);
    const Writer second = pcapng(true, kEthernet);
    file.bytes(second.out);
    file.big = true;
    file.block(6, enhanced(true, frame_of(kPacket), 1));
    EXPECT_EQ(describe(read(file.out).at(0).bytes), kPacket);
}

TEST(Pcapng, reads_what_the_packet_tests_write) {
    const std::string path = testing::TempDir() + "/sluice-pcap-test." + std::to_string(::getpid());
    {
        auto out = PcapWriter::open(path);
        ASSERT_TRUE(out);
        out->write(frame_of(kPacket), "a comment");
        out->write(frame_of("ether 0x0806 len=28"), "another");
    }
    const auto frames = read_capture_file(path);
    ASSERT_TRUE(frames) << frames.error().what;
    ASSERT_EQ(frames->size(), 2u);
    EXPECT_EQ((*frames)[0].bytes, frame_of(kPacket));
    std::filesystem::remove(path);
}

TEST(Pcap, names_the_frame_that_is_wrong) {
    const Bytes frame = frame_of(kPacket);
    const auto with = [](Writer file, const Bytes& rest) { return file.bytes(rest).out; };
    Writer good = classic(false, 0xa1b2c3d4, kEthernet);
    record(good, frame);
    const auto lone = [](std::uint32_t link, const Bytes& packet) {
        Writer file = classic(false, 0xa1b2c3d4, link);
        return record(file, packet).out;
    };
    const Writer ng = pcapng(false, kEthernet);
    const auto block = [&](std::uint32_t type, const Bytes& body) {
        Writer file = ng;
        return file.block(type, body).out;
    };
    const std::pair<Bytes, const char*> kFaults[] = {
        {{}, "no capture: shorter than its header"},
        {Bytes(24, 7), "neither pcap nor pcapng"},
        {with(good, Bytes(15, 0)), "frame 2: the file ends in its header"},
        {with(good, Writer{}.u32(0).u32(0).u32(9).u32(9).bytes(Bytes(8, 0)).out),
         "frame 2: 9 bytes, and 8 are left"},
        {with(good, Writer{}.u32(0).u32(0).u32(0xffffffff).u32(9).out),
         "frame 2: 4294967295 bytes, and 0 are left"},
        {with(good, Writer{}.u32(0).u32(0).u32(16385).u32(16385).bytes(Bytes(16385, 0)).out),
         "frame 2: 16385 bytes; 16384 is the most"},
        {lone(127, frame), "frame 1: link type 127 is not read, only Ethernet, bare IP and cooked"},
        {lone(kCooked, Bytes(15, 0)), "frame 1: shorter than its link's header"},
        {with(ng, Bytes(8, 0)), "block at byte 48: the file ends in it"},
        {with(ng, Writer{}.u32(6).u32(13).u32(0).u32(0).out),
         "block at byte 48: a length of 13, and 16 are left"},
        {with(ng, Writer{}.u32(6).u32(16).u32(0).u32(12).out),
         "block at byte 48: its two lengths differ"},
        {with(ng, Writer{}.u32(0x0a0d0d0a).u32(28).u32(0).bytes(Bytes(16, 0)).out),
         "block at byte 48: no byte order"},
        {block(6, Bytes(16, 0)), "frame 1: its block is too short"},
        {block(6, Writer{}.u32(1).bytes(Bytes(20, 0)).out), "frame 1: interface 1 of 1"},
        {block(6, Writer{}.u32(0).u32(0).u32(0).u32(5).u32(5).u32(0).out),
         "frame 1: 5 bytes in a block with 4"},
        {block(1, Bytes(4, 0)), "block at byte 48: an interface without its link type"},
        {block(1, Writer{}.u32(1).u32(0).u16(9).u16(9).u32(0).out),
         "block at byte 48: an option beyond its end"},
    };
    for (const auto& [file, what] : kFaults) EXPECT_EQ(fault(file), what);
}

TEST(Pcap, reads_regular_files_only) {
    EXPECT_EQ(read_capture_file("/dev/zero").error().what, "/dev/zero is no regular file");
    EXPECT_EQ(read_capture_file("/no/such/file").error().code, Errc::not_found);
}

TEST(Pcap, survives_damage) {
    std::mt19937 random(6);
    Writer good = classic(true, 0xa1b2c3d4, kRaw);
    for (int i = 0; i < 4; ++i) record(good, without_ethernet(frame_of(kPacket)));
    Writer ng = pcapng(false, kCooked, Writer{}.u16(9).u16(1).u32(9).u32(0).out);
    for (int i = 0; i < 4; ++i) ng.block(6, enhanced(false, frame_of(kPacket), 1u << i));
    int wrong = 0;
    for (int round = 0; round < 20000; ++round) {
        Bytes file = round % 2 == 0 ? good.out : ng.out;
        for (unsigned damages = 1 + random() % 4; damages > 0; --damages)
            file[random() % file.size()] = static_cast<std::uint8_t>(random());
        if (random() % 4 == 0) file.resize(random() % file.size());
        const auto frames = read_capture(file);
        if (!frames) {
            ++wrong;
            continue;
        }
        for (const CapturedFrame& frame : *frames) ASSERT_FALSE(describe(frame.bytes).empty());
    }
    EXPECT_GT(wrong, 1000);
}

}  // namespace
}  // namespace sluice::packet
