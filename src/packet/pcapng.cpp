// SPDX-License-Identifier: Apache-2.0
#include "packet/pcapng.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "sluice/limits.h"

namespace sluice::packet {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks are written as they lie");

constexpr std::uint32_t kByteOrder = 0x1a2b3c4d;
constexpr std::uint16_t kEthernet = 1;
constexpr std::uint8_t kNanoseconds = 9;   // 10^-9 s.
constexpr std::uint8_t kVerdictOfXdp = 2;  // What follows is the answer of an XDP program.
constexpr std::size_t kFrameLen = 12;      // Of a block: type, length, and the length again.
constexpr std::size_t kPacketHeadLen = 20;

enum Option : std::uint16_t {
    kEnd = 0,
    kComment = 1,
    kHardware = 2,
    kOs = 3,
    kApplication = 4,
    kInterfaceName = 2,
    kInterfaceResolution = 9,
    kFlags = 2,
    kDropCount = 4,
    kPacketId = 5,
    kQueue = 6,
    kVerdict = 7,
    kStartTime = 2,
    kEndTime = 3,
    kReceived = 4,
    kDropped = 5,
    kAccepted = 6,
    kDelivered = 8,
};

template <typename T>
void put_number(std::string& out, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof bytes);
}

/// `at` lies within.
template <typename T>
T number_at(std::string_view bytes, std::size_t at) {
    T out;
    std::memcpy(&out, bytes.data() + at, sizeof out);
    return out;
}

std::size_t padded(std::size_t len) {
    return (len + 3) / 4 * 4;
}

void pad(std::string& out, std::size_t len) {
    out.append(padded(len) - len, '\0');
}

/// The upper half of a time comes first, in either byte order.
void put_time(std::string& out, std::uint64_t time) {
    put_number(out, static_cast<std::uint32_t>(time >> 32));
    put_number(out, static_cast<std::uint32_t>(time));
}

std::uint64_t time_at(std::string_view bytes, std::size_t at) {
    return std::uint64_t{number_at<std::uint32_t>(bytes, at)} << 32 |
           number_at<std::uint32_t>(bytes, at + 4);
}

/// The beginning of a text that has room, without half a character of UTF-8.
std::string_view cut(std::string_view text) {
    if (text.size() <= kMaxPcapngText) return text;
    std::size_t len = kMaxPcapngText;
    while (len > 0 && (static_cast<unsigned char>(text[len]) & 0xc0) == 0x80) --len;
    return text.substr(0, len);
}

void put_option(std::string& out, Option option, std::string_view value) {
    put_number(out, static_cast<std::uint16_t>(option));
    put_number(out, static_cast<std::uint16_t>(value.size()));
    out += value;
    pad(out, value.size());
}

void put_text(std::string& out, Option option, std::string_view text) {
    if (!text.empty()) put_option(out, option, cut(text));
}

template <typename T>
void put_number_option(std::string& out, Option option, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    put_option(out, option, {bytes, sizeof bytes});
}

template <typename T>
void put_number_option(std::string& out, Option option, const std::optional<T>& value) {
    if (value) put_number_option(out, option, *value);
}

void put_time_option(std::string& out, Option option, std::uint64_t time) {
    put_number_option(out, option, time << 32 | time >> 32);
}

/// A block from its first byte on; the destructor closes it.
class Block {
 public:
    Block(std::string& out, PcapngType type) : out_(out), start_(out.size()) {
        put_number(out_, static_cast<std::uint32_t>(type));
        put_number(out_, std::uint32_t{0});
    }
    ~Block() {
        put_option(out_, kEnd, {});
        const auto len = static_cast<std::uint32_t>(out_.size() + 4 - start_);
        std::memcpy(out_.data() + start_ + 4, &len, sizeof len);
        put_number(out_, len);
    }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

 private:
    std::string& out_;
    std::size_t start_;
};

/// Every option of a block in turn.
class OptionReader {
 public:
    /// `left` begins with an option, or is empty.
    explicit OptionReader(std::string_view left) : left_(left) {}

    /// False at the end, and where there is no whole option.
    bool next() {
        if (left_.size() < 4) return false;
        option = static_cast<Option>(number_at<std::uint16_t>(left_, 0));
        const std::size_t len = number_at<std::uint16_t>(left_, 2);
        if (option == kEnd || padded(len) > left_.size() - 4) return false;
        value = left_.substr(4, len);
        left_.remove_prefix(4 + padded(len));
        return true;
    }

    template <typename T>
    [[nodiscard]] std::optional<T> number() const {
        if (value.size() != sizeof(T)) return std::nullopt;
        return number_at<T>(value, 0);
    }

    Option option = kEnd;
    std::string_view value;

 private:
    std::string_view left_;
};

/// Between the two frames of a block that has room for `least` bytes.
Result<std::string_view> body_of(const PcapngBlock& block, PcapngType type, std::size_t least) {
    if (block.type != type || block.bytes.size() < kFrameLen + least)
        return fail(Errc::invalid, "pcapng: a block is too short, or of another type");
    return block.bytes.substr(8, block.bytes.size() - kFrameLen);
}

}  // namespace

void put(std::string& out, const PcapngSection& section) {
    const Block block(out, PcapngType::section);
    put_number(out, kByteOrder);
    put_number(out, std::uint16_t{1});  // Version 1.0.
    put_number(out, std::uint16_t{0});
    put_number(out, ~std::uint64_t{0});  // How long it will be is not known.
    put_text(out, kHardware, section.hardware);
    put_text(out, kOs, section.os);
    put_text(out, kApplication, section.application);
}

void put(std::string& out, const PcapngInterface& interface) {
    const Block block(out, PcapngType::interface);
    put_number(out, kEthernet);
    put_number(out, std::uint16_t{0});
    put_number(out, interface.snap_len);
    put_text(out, kInterfaceName, interface.name);
    put_number_option(out, kInterfaceResolution, kNanoseconds);
}

void put(std::string& out, const PcapngPacket& packet) {
    const std::string_view bytes = packet.bytes.substr(0, SLC_MAX_FRAME_LEN);
    const Block block(out, PcapngType::packet);
    put_number(out, packet.interface);
    put_time(out, packet.time_ns);
    put_number(out, static_cast<std::uint32_t>(bytes.size()));
    put_number(out, packet.len);
    out += bytes;
    pad(out, bytes.size());
    put_text(out, kComment, packet.comment);
    if (packet.direction != PcapngDirection::unknown)
        put_number_option(out, kFlags, static_cast<std::uint32_t>(packet.direction));
    put_number_option(out, kDropCount, packet.lost_before);
    put_number_option(out, kPacketId, packet.id);
    put_number_option(out, kQueue, packet.queue);
    if (packet.xdp_action) {
        char verdict[9] = {kVerdictOfXdp};
        std::memcpy(verdict + 1, &*packet.xdp_action, sizeof *packet.xdp_action);
        put_option(out, kVerdict, {verdict, sizeof verdict});
    }
}

void put(std::string& out, const PcapngStatistics& statistics) {
    const Block block(out, PcapngType::statistics);
    put_number(out, statistics.interface);
    put_time(out, statistics.end_ns);
    put_text(out, kComment, statistics.comment);
    put_time_option(out, kStartTime, statistics.start_ns);
    put_time_option(out, kEndTime, statistics.end_ns);
    put_number_option(out, kReceived, statistics.received);
    put_number_option(out, kDropped, statistics.lost);
    put_number_option(out, kAccepted, statistics.accepted);
    put_number_option(out, kDelivered, statistics.delivered);
}

Result<void> PcapngSplitter::take(std::string_view bytes, const OnBlock& on_block) {
    if (!held_.empty()) {
        held_ += bytes;
        bytes = held_;
    }
    while (bytes.size() >= kFrameLen) {
        const std::size_t len = number_at<std::uint32_t>(bytes, 4);
        if (len < kFrameLen || len % 4 != 0 || len > kMaxPcapngBlock)
            return fail(Errc::invalid, fmt::format("pcapng: a block of {} bytes", len));
        if (bytes.size() < len) break;
        if (number_at<std::uint32_t>(bytes, len - 4) != len)
            return fail(Errc::invalid, "pcapng: the two lengths of a block differ");
        const auto type = static_cast<PcapngType>(number_at<std::uint32_t>(bytes, 0));
        auto taken = on_block({type, bytes.substr(0, len)});
        if (!taken) return taken;
        bytes.remove_prefix(len);
    }
    held_ = std::string(bytes);
    return {};
}

Result<PcapngInterface> read_interface(const PcapngBlock& block) {
    const auto body = body_of(block, PcapngType::interface, 8);
    if (!body) return fail(body.error());
    PcapngInterface out;
    out.snap_len = number_at<std::uint32_t>(*body, 4);
    for (OptionReader option(body->substr(8)); option.next();)
        if (option.option == kInterfaceName) out.name = option.value;
    return out;
}

Result<PcapngPacket> read_packet(const PcapngBlock& block) {
    const auto body = body_of(block, PcapngType::packet, kPacketHeadLen);
    if (!body) return fail(body.error());
    const std::size_t captured = number_at<std::uint32_t>(*body, 12);
    if (captured > SLC_MAX_FRAME_LEN || padded(captured) > body->size() - kPacketHeadLen)
        return fail(Errc::invalid, "pcapng: a packet is longer than its block");
    PcapngPacket out;
    out.interface = number_at<std::uint32_t>(*body, 0);
    out.time_ns = time_at(*body, 4);
    out.len = number_at<std::uint32_t>(*body, 16);
    out.bytes = body->substr(kPacketHeadLen, captured);
    OptionReader option(body->substr(kPacketHeadLen + padded(captured)));
    while (option.next()) {
        if (option.option == kComment)
            out.comment = option.value;
        else if (option.option == kFlags)
            out.direction =
                static_cast<PcapngDirection>(option.number<std::uint32_t>().value_or(0) & 3);
        else if (option.option == kDropCount)
            out.lost_before = option.number<std::uint64_t>();
        else if (option.option == kPacketId)
            out.id = option.number<std::uint64_t>();
        else if (option.option == kQueue)
            out.queue = option.number<std::uint32_t>();
        else if (option.option == kVerdict && option.value.size() == 9 &&
                 option.value[0] == kVerdictOfXdp)
            out.xdp_action = number_at<std::uint64_t>(option.value, 1);
    }
    return out;
}

Result<PcapngStatistics> read_statistics(const PcapngBlock& block) {
    const auto body = body_of(block, PcapngType::statistics, 12);
    if (!body) return fail(body.error());
    PcapngStatistics out;
    out.interface = number_at<std::uint32_t>(*body, 0);
    out.end_ns = time_at(*body, 4);
    for (OptionReader option(body->substr(12)); option.next();) {
        if (option.option == kComment)
            out.comment = option.value;
        else if (option.option == kStartTime && option.value.size() == 8)
            out.start_ns = time_at(option.value, 0);
        else if (option.option == kReceived)
            out.received = option.number<std::uint64_t>();
        else if (option.option == kDropped)
            out.lost = option.number<std::uint64_t>();
        else if (option.option == kAccepted)
            out.accepted = option.number<std::uint64_t>();
        else if (option.option == kDelivered)
            out.delivered = option.number<std::uint64_t>();
    }
    return out;
}

}  // namespace sluice::packet
