// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Writes captures as pcapng, little-endian, with times in nanoseconds: a section, its interfaces,
/// packets of Ethernet with what is known of each (comment, direction, queue, verdict), and
/// statistics. And takes such a stream apart again, block by block, as it comes. api/capture_stream
/// writes what the command (cli/capture.cpp) reads; other people's captures are read by pcap.h.
///
///   Section Header, { Interface Description | Enhanced Packet }..., Interface Statistics...
///
/// draft-ietf-opsawg-pcapng. Pure: bytes are appended to a string. What is written has bounds
/// whatever it is given: texts are cut at kMaxPcapngText, packets at SLC_MAX_FRAME_LEN. What is
/// read is not trusted: every length is checked.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::packet {

inline constexpr std::size_t kMaxPcapngText = 2048;  ///< Bytes of a comment, or of a name.
/// Bytes of a whole block: a packet with all its options, and room.
inline constexpr std::size_t kMaxPcapngBlock = 32768;

enum class PcapngType : std::uint32_t {
    section = 0x0a0d0d0a,
    interface = 1,
    statistics = 5,
    packet = 6,
};

struct PcapngSection {
    std::string hardware;  ///< Empty, here and below: not written.
    std::string os;
    std::string application;
};

struct PcapngInterface {
    std::string name;
    std::uint32_t snap_len = 0;  ///< Most bytes of its packets; 0: all.
};

enum class PcapngDirection : std::uint8_t { unknown = 0, inbound = 1, outbound = 2 };

struct PcapngPacket {
    std::uint32_t interface = 0;  ///< Counted from 0, as they were described in the section.
    std::uint64_t time_ns = 0;    ///< Since 1970.
    std::uint32_t len = 0;        ///< Of the whole frame.
    std::string_view bytes;       ///< Of it, the beginning.
    PcapngDirection direction = PcapngDirection::unknown;
    std::optional<std::uint64_t> lost_before;  ///< Since the packet before it.
    std::optional<std::uint64_t> id;           ///< The same packet, seen elsewhere, has the same.
    std::optional<std::uint32_t> queue;
    std::optional<std::uint64_t> xdp_action;  ///< As linux/bpf.h numbers them: XDP_DROP is 1.
    std::string_view comment;
};

struct PcapngStatistics {
    std::uint32_t interface = 0;
    std::uint64_t start_ns = 0;  ///< Since 1970, both.
    std::uint64_t end_ns = 0;
    std::optional<std::uint64_t> received;
    std::optional<std::uint64_t> lost;
    std::optional<std::uint64_t> accepted;   ///< By the filter.
    std::optional<std::uint64_t> delivered;  ///< Written.
    std::string_view comment;
};

void put(std::string& out, const PcapngSection& section);
void put(std::string& out, const PcapngInterface& interface);
void put(std::string& out, const PcapngPacket& packet);
void put(std::string& out, const PcapngStatistics& statistics);

/// A block, whole; its bytes are good until the next one.
struct PcapngBlock {
    PcapngType type;
    std::string_view bytes;
};

/// Finds the blocks in a stream that comes in pieces of any size; what is held is one block.
class PcapngSplitter {
 public:
    using OnBlock = std::function<Result<void>(const PcapngBlock& block)>;

    /// Errors: invalid for what is no pcapng of ours, and on_block's. Nothing may follow one.
    Result<void> take(std::string_view bytes, const OnBlock& on_block);
    /// No block has begun and not ended.
    [[nodiscard]] bool is_between() const { return held_.empty(); }

 private:
    std::string held_;
};

/// What a block of this type says; texts and bytes are parts of it. Errors: invalid.
Result<PcapngInterface> read_interface(const PcapngBlock& block);
Result<PcapngPacket> read_packet(const PcapngBlock& block);
Result<PcapngStatistics> read_statistics(const PcapngBlock& block);

}  // namespace sluice::packet
