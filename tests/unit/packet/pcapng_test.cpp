// SPDX-License-Identifier: Apache-2.0
// What is written as pcapng: read back by our own readers here, and by Wireshark's in pcapng.py.
#include "packet/pcapng.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "packet/notation.h"
#include "packet/pcap.h"
#include "sluice/limits.h"

namespace sluice::packet {
namespace {

constexpr std::uint64_t kTime = 1'795'266'000'123'456'789;
constexpr const char* kPacket = "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn";
constexpr const char* kComment = "verdict=drop reason=no_such_port stage=service generation=7";

std::string frame() {
    const auto built = build(kPacket);
    return built ? std::string(built->begin(), built->end()) : std::string();
}

/// Two interfaces and three packets: dropped; sent to another interface; cut by the snap length.
std::string capture(const std::string& frame) {
    std::string out;
    put(out, PcapngSection{"x86_64", "Linux 6.1.0", "sluice 1.0.0"});
    put(out, PcapngInterface{"eth0", 0});
    PcapngPacket packet;
    packet.time_ns = kTime;
    packet.len = static_cast<std::uint32_t>(frame.size());
    packet.bytes = frame;
    packet.direction = PcapngDirection::inbound;
    packet.id = 1;
    packet.queue = 3;
    packet.xdp_action = 1;
    packet.comment = kComment;
    put(out, packet);
    put(out, PcapngInterface{"eth1", 54});
    packet.interface = 1;
    packet.time_ns = kTime + 1;
    packet.direction = PcapngDirection::outbound;
    packet.lost_before = 17;
    packet.id = std::uint64_t{1} << 40;
    packet.queue = 0;
    packet.xdp_action = 4;
    packet.comment = "verdict=redirect reason=forwarded lost_before=17";
    put(out, packet);
    PcapngPacket plain;
    plain.interface = 1;
    plain.time_ns = kTime + 2;
    plain.len = 1514;
    plain.bytes = std::string_view(frame).substr(0, 54);
    put(out, plain);
    PcapngStatistics statistics;
    statistics.start_ns = kTime - 1'000'000'000;
    statistics.end_ns = kTime + 1'000'000'000;
    statistics.received = 20;
    statistics.lost = 17;
    statistics.accepted = 19;
    statistics.delivered = 1;
    statistics.comment = "matched=20 written=3 lost=17";
    put(out, statistics);
    return out;
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct OwnedBlock {
    PcapngType type;
    std::string bytes;
};

Result<std::vector<OwnedBlock>> split(std::string_view stream, std::size_t piece) {
    std::vector<OwnedBlock> out;
    PcapngSplitter splitter;
    while (!stream.empty()) {
        auto taken = splitter.take(stream.substr(0, piece),
                                   [&out](const PcapngBlock& block) -> Result<void> {
                                       out.push_back({block.type, std::string(block.bytes)});
                                       return {};
                                   });
        if (!taken) return fail(std::move(taken).error());
        stream.remove_prefix(std::min(piece, stream.size()));
    }
    if (!splitter.is_between()) return fail(Errc::invalid, "ends within a block");
    return out;
}

TEST(Pcapng, the_reader_of_captures_reads_what_is_written) {
    const std::string sent = frame();
    ASSERT_FALSE(sent.empty());
    const std::string file = capture(sent);
    const auto frames = read_capture(bytes_of(file));
    ASSERT_TRUE(frames.has_value()) << frames.error().what;
    ASSERT_EQ(frames->size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ((*frames)[i].time_ns, kTime + i);
        EXPECT_EQ(describe((*frames)[i].bytes), kPacket);
    }
    EXPECT_EQ((*frames)[2].missing, 1460u);
    EXPECT_TRUE(write_file(SLUICE_PCAPNG_FILE, file).has_value());  // For Wireshark's own reader.
}

TEST(Pcapng, every_block_says_what_it_was_given_however_the_bytes_come) {
    const std::string sent = frame();
    const std::string file = capture(sent);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, file.size()}) {
        const auto blocks = split(file, piece);
        ASSERT_TRUE(blocks.has_value()) << blocks.error().what;
        ASSERT_EQ(blocks->size(), 7u);
        const auto block = [&](std::size_t i) {
            return PcapngBlock{(*blocks)[i].type, (*blocks)[i].bytes};
        };
        EXPECT_EQ(block(0).type, PcapngType::section);
        EXPECT_EQ(read_interface(block(1))->name, "eth0");
        EXPECT_EQ(read_interface(block(3))->name, "eth1");
        EXPECT_EQ(read_interface(block(3))->snap_len, 54u);
        const auto packet = read_packet(block(4));
        ASSERT_TRUE(packet.has_value());
        EXPECT_EQ(packet->interface, 1u);
        EXPECT_EQ(packet->time_ns, kTime + 1);
        EXPECT_EQ(packet->len, sent.size());
        EXPECT_EQ(packet->bytes, sent);
        EXPECT_EQ(packet->direction, PcapngDirection::outbound);
        EXPECT_EQ(packet->lost_before, 17u);
        EXPECT_EQ(packet->id, std::uint64_t{1} << 40);
        EXPECT_EQ(packet->queue, 0u);
        EXPECT_EQ(packet->xdp_action, 4u);
        EXPECT_EQ(packet->comment, "verdict=redirect reason=forwarded lost_before=17");
        const auto plain = read_packet(block(5));
        ASSERT_TRUE(plain.has_value());
        EXPECT_EQ(plain->direction, PcapngDirection::unknown);
        EXPECT_FALSE(plain->lost_before || plain->id || plain->queue || plain->xdp_action);
        EXPECT_EQ(plain->comment, "");
        const auto statistics = read_statistics(block(6));
        ASSERT_TRUE(statistics.has_value());
        EXPECT_EQ(statistics->start_ns, kTime - 1'000'000'000);
        EXPECT_EQ(statistics->end_ns, kTime + 1'000'000'000);
        EXPECT_EQ(statistics->received, 20u);
        EXPECT_EQ(statistics->lost, 17u);
        EXPECT_EQ(statistics->accepted, 19u);
        EXPECT_EQ(statistics->delivered, 1u);
        EXPECT_EQ(statistics->comment, "matched=20 written=3 lost=17");
    }
}

TEST(Pcapng, texts_and_packets_are_cut_at_their_bounds) {
    // The bound lies within the last character that begins before it.
    std::string text(kMaxPcapngText - 1, 'x');
    text += "\u00e9";
    std::string out;
    PcapngPacket packet;
    const std::string bytes(SLC_MAX_FRAME_LEN + 1, '\x02');
    packet.bytes = bytes;
    packet.len = SLC_MAX_FRAME_LEN + 1;
    packet.comment = text;
    packet.lost_before = packet.id = packet.xdp_action = packet.queue = 1;
    put(out, packet);
    EXPECT_LE(out.size(), kMaxPcapngBlock);
    const auto read = read_packet({PcapngType::packet, out});
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->comment, text.substr(0, kMaxPcapngText - 1));
    EXPECT_EQ(read->bytes.size(), std::size_t{SLC_MAX_FRAME_LEN});
    EXPECT_EQ(read->len, SLC_MAX_FRAME_LEN + 1u);
}

TEST(Pcapng, a_stream_that_is_none_is_refused) {
    const std::string file = capture(frame());
    std::string longer = file;
    longer[4] = '\x7f';  // Its two lengths differ; and then far too much, and no multiple of 4.
    EXPECT_EQ(split(longer, 9).error().what, "pcapng: a block of 127 bytes");
    longer[4] = '\x40';
    EXPECT_EQ(split(longer, 9).error().what, "pcapng: the two lengths of a block differ");
    longer[6] = '\x7f';
    EXPECT_EQ(split(longer, 9).error().what, "pcapng: a block of 8323136 bytes");
    EXPECT_FALSE(split(std::string_view(file).substr(0, file.size() - 1), 9).has_value());
    EXPECT_EQ(split("HTTP/1.1 200 OK", 15).error().what, "pcapng: a block of 825110831 bytes");
}

TEST(Pcapng, damaged_blocks_are_read_within_their_bounds) {
    const std::string file = capture(frame());
    const auto blocks = split(file, file.size());
    ASSERT_TRUE(blocks.has_value());
    std::mt19937 random(7);
    std::size_t read = 0;
    for (int round = 0; round < 20'000; ++round) {
        const OwnedBlock& from = (*blocks)[random() % blocks->size()];
        std::string bytes = from.bytes;
        bytes.resize(random() % 4 == 0 ? random() % bytes.size() : bytes.size());
        for (int i = 0; i < 3 && !bytes.empty(); ++i)
            bytes[random() % bytes.size()] = static_cast<char>(random());
        const PcapngBlock block{from.type, bytes};
        const auto packet = read_packet(block);
        EXPECT_LE(packet ? packet->bytes.size() + packet->comment.size() : 0, bytes.size());
        read += packet.has_value() || read_interface(block).has_value() ||
                read_statistics(block).has_value();
    }
    EXPECT_GT(read, 1000u);
}

}  // namespace
}  // namespace sluice::packet
