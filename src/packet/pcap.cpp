// SPDX-License-Identifier: Apache-2.0
#include "packet/pcap.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "sluice/limits.h"

namespace sluice::packet {
namespace {

using View = std::span<const std::uint8_t>;

constexpr std::uint32_t kMicroseconds = 0xa1b2c3d4, kNanoseconds = 0xa1b23c4d;
constexpr std::uint32_t kSection = 0x0a0d0d0a, kByteOrder = 0x1a2b3c4d;
constexpr std::uint32_t kInterface = 1, kOldPacket = 2, kSimplePacket = 3, kEnhancedPacket = 6;
constexpr std::uint16_t kResolutionOption = 9;
constexpr std::uint32_t kLinkTypeBits = 0x03ffffff;  // Above: the length of frame checksums.
constexpr std::uint64_t kBillion = 1'000'000'000;

enum LinkType : std::uint32_t {
    kEthernet = 1,
    kRawBsd = 12,
    kRaw = 101,
    kCooked = 113,
    kIp4 = 228,
    kIp6 = 229,
    kCooked2 = 276,
};

std::uint32_t get(View view, std::size_t at, std::size_t width, bool is_big) {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < width; ++i)
        out = out << 8 | view[at + (is_big ? i : width - 1 - i)];
    return out;
}

struct Link {
    std::uint32_t type = 0;
    std::uint32_t snap_len = 0;  ///< 0: unlimited.
    std::uint8_t resolution = 6;
};

/// `ticks` of 10^-n seconds, or of 2^-n with the highest bit set, as nanoseconds.
std::uint64_t nanoseconds(std::uint64_t ticks, std::uint8_t resolution) {
    const unsigned exponent = resolution & 0x7f;
    if ((resolution & 0x80) != 0) {
        if (exponent > 63) return 0;
        const std::uint64_t part = ticks & ((std::uint64_t{1} << exponent) - 1);
        const auto scaled = static_cast<unsigned __int128>(part) * kBillion >> exponent;
        return (ticks >> exponent) * kBillion + static_cast<std::uint64_t>(scaled);
    }
    if (exponent > 19) return 0;
    std::uint64_t scale = 1;
    for (unsigned i = std::min(exponent, 9u); i < std::max(exponent, 9u); ++i) scale *= 10;
    return exponent <= 9 ? ticks * scale : ticks / scale;
}

std::vector<std::uint8_t> with_ethernet(std::uint16_t type, View packet) {
    std::vector<std::uint8_t> out = {0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0xc1};
    out.push_back(static_cast<std::uint8_t>(type >> 8));
    out.push_back(static_cast<std::uint8_t>(type));
    out.insert(out.end(), packet.begin(), packet.end());
    return out;
}

/// The frame of a captured packet; nothing when it is too short for its link's header.
std::optional<std::vector<std::uint8_t>> frame_of(std::uint32_t link, View packet) {
    const auto cooked = [&](std::size_t header, std::size_t type_at) {
        std::optional<std::vector<std::uint8_t>> out;
        if (packet.size() < header) return out;
        out = with_ethernet(static_cast<std::uint16_t>(get(packet, type_at, 2, true)),
                            packet.subspan(header));
        return out;
    };
    switch (link) {
        case kEthernet:
            return std::vector<std::uint8_t>(packet.begin(), packet.end());
        case kCooked:
            return cooked(16, 14);
        case kCooked2:
            return cooked(20, 0);
        case kIp4:
            return with_ethernet(0x0800, packet);
        case kIp6:
            return with_ethernet(0x86dd, packet);
        default:
            if (packet.empty()) return std::nullopt;
            return with_ethernet(packet[0] >> 4 == 6 ? 0x86dd : 0x0800, packet);
    }
}

bool is_known(std::uint32_t link) {
    constexpr std::uint32_t kKnown[] = {kEthernet, kRawBsd, kRaw, kCooked, kIp4, kIp6, kCooked2};
    return std::ranges::find(kKnown, link) != std::end(kKnown);
}

class CaptureReader {
 public:
    explicit CaptureReader(View file) : file_(file) {}

    Result<std::vector<CapturedFrame>> read() {
        if (file_.size() < 24) return fail(Errc::invalid, "no capture: shorter than its header");
        for (const bool is_big : {false, true}) {
            is_big_ = is_big;
            const std::uint32_t magic = u32(0);
            if (magic == kMicroseconds || magic == kNanoseconds)
                return done(classic(magic == kNanoseconds));
        }
        if (u32(0) == kSection) return done(blocks());
        return fail(Errc::invalid, "neither pcap nor pcapng");
    }

 private:
    [[nodiscard]] std::uint32_t u32(std::size_t at) const { return get(file_, at, 4, is_big_); }
    [[nodiscard]] std::uint32_t u16(std::size_t at) const { return get(file_, at, 2, is_big_); }
    [[nodiscard]] std::size_t left(std::size_t at) const { return file_.size() - at; }

    Result<std::vector<CapturedFrame>> done(const Result<void>& result) {
        if (!result) return fail(result.error());
        return std::move(frames_);
    }
    [[nodiscard]] tl::unexpected<Error> wrong_frame(std::string_view why) const {
        return fail(Errc::invalid, fmt::format("frame {}: {}", frames_.size() + 1, why));
    }
    static tl::unexpected<Error> wrong_block(std::size_t at, std::string_view why) {
        return fail(Errc::invalid, fmt::format("block at byte {}: {}", at, why));
    }

    Result<void> add(const Link& link, View packet, std::uint64_t wire_len, std::uint64_t time_ns) {
        if (frames_.size() == kMaxCaptureFrames)
            return fail(Errc::limit, fmt::format("more than {} frames", kMaxCaptureFrames));
        if (!is_known(link.type))
            return wrong_frame(fmt::format(
                "link type {} is not read, only Ethernet, bare IP and cooked", link.type));
        auto frame = frame_of(link.type, packet);
        if (!frame) return wrong_frame("shorter than its link's header");
        if (frame->size() > SLC_MAX_FRAME_LEN)
            return wrong_frame(
                fmt::format("{} bytes; {} is the most", frame->size(), SLC_MAX_FRAME_LEN));
        const std::uint64_t missing = wire_len > packet.size() ? wire_len - packet.size() : 0;
        frames_.push_back({static_cast<std::uint32_t>(frames_.size() + 1), time_ns,
                           std::move(*frame), static_cast<std::uint32_t>(missing)});
        return {};
    }

    /// pcap: a header, then records.
    Result<void> classic(bool in_nanoseconds) {
        const Link link{u32(20) & kLinkTypeBits, 0, 0};
        for (std::size_t at = 24; at < file_.size();) {
            if (left(at) < 16) return wrong_frame("the file ends in its header");
            const std::uint64_t time_ns =
                u32(at) * kBillion + std::uint64_t{u32(at + 4)} * (in_nanoseconds ? 1 : 1000);
            const std::size_t size = u32(at + 8);
            const std::size_t wire_len = u32(at + 12);
            at += 16;
            if (size > left(at))
                return wrong_frame(fmt::format("{} bytes, and {} are left", size, left(at)));
            auto added = add(link, file_.subspan(at, size), wire_len, time_ns);
            if (!added) return added;
            at += size;
        }
        return {};
    }

    /// pcapng: blocks of type, length, body, length.
    Result<void> blocks() {
        for (std::size_t at = 0; at < file_.size();) {
            if (left(at) < 12) return wrong_block(at, "the file ends in it");
            const bool is_section = u32(at) == kSection;  // The same in both byte orders.
            if (is_section) {
                is_big_ = get(file_, at + 8, 4, true) == kByteOrder;
                if (u32(at + 8) != kByteOrder) return wrong_block(at, "no byte order");
                links_.clear();
            }
            const std::size_t size = u32(at + 4);
            if (size < 12 || size % 4 != 0 || size > left(at))
                return wrong_block(at,
                                   fmt::format("a length of {}, and {} are left", size, left(at)));
            if (u32(at + size - 4) != size) return wrong_block(at, "its two lengths differ");
            auto read = block(u32(at), at + 8, size - 12);
            if (!read) return read;
            at += size;
        }
        return {};
    }

    Result<void> block(std::uint32_t type, std::size_t at, std::size_t size) {
        switch (type) {
            case kInterface:
                return interface(at, size);
            case kEnhancedPacket:
            case kOldPacket:
                return packet(type == kOldPacket, at, size);
            case kSimplePacket:
                return simple_packet(at, size);
            default:
                return {};  // Names, statistics, comments.
        }
    }

    Result<void> interface(std::size_t at, std::size_t size) {
        if (size < 8) return wrong_block(at - 8, "an interface without its link type");
        if (links_.size() == kMaxCaptureFrames) return wrong_block(at - 8, "too many interfaces");
        Link link{u16(at), u32(at + 4), 6};
        const std::size_t end = at + size;
        for (std::size_t option = at + 8; end - option >= 4;) {
            const std::size_t option_len = u16(option + 2);
            const std::size_t padded = (option_len + 3) / 4 * 4;
            if (u16(option) == 0) break;
            if (padded > end - option - 4) return wrong_block(at - 8, "an option beyond its end");
            if (u16(option) == kResolutionOption && option_len == 1)
                link.resolution = file_[option + 4];
            option += 4 + padded;
        }
        links_.push_back(link);
        return {};
    }

    Result<void> packet(bool is_old, std::size_t at, std::size_t size) {
        if (size < 20) return wrong_frame("its block is too short");
        const std::size_t number = is_old ? u16(at) : u32(at);
        if (number >= links_.size())
            return wrong_frame(fmt::format("interface {} of {}", number, links_.size()));
        const std::size_t captured = u32(at + 12);
        if (captured > size - 20)
            return wrong_frame(fmt::format("{} bytes in a block with {}", captured, size - 20));
        const std::uint64_t ticks = std::uint64_t{u32(at + 4)} << 32 | u32(at + 8);
        const Link& link = links_[number];
        return add(link, file_.subspan(at + 20, captured), u32(at + 16),
                   nanoseconds(ticks, link.resolution));
    }

    Result<void> simple_packet(std::size_t at, std::size_t size) {
        if (size < 4) return wrong_frame("its block is too short");
        if (links_.empty()) return wrong_frame("no interface is described before it");
        const std::size_t wire_len = u32(at);
        const std::size_t snap_len = links_[0].snap_len == 0 ? wire_len : links_[0].snap_len;
        const std::size_t captured = std::min({wire_len, snap_len, size - 4});
        return add(links_[0], file_.subspan(at + 4, captured), wire_len, 0);
    }

    View file_;
    bool is_big_ = false;
    std::vector<Link> links_;
    std::vector<CapturedFrame> frames_;
};

}  // namespace

Result<std::vector<CapturedFrame>> read_capture(std::span<const std::uint8_t> file) {
    return CaptureReader(file).read();
}

Result<std::vector<CapturedFrame>> read_capture_file(const std::string& path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    // Neither a pipe nor a device: they may never end.
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
        return fail(Errc::invalid, path + " is no regular file");
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (!error && size > kMaxCaptureBytes)
        return fail(Errc::limit, fmt::format("{}: {} bytes; {} is the most for a capture", path,
                                             size, kMaxCaptureBytes));
    const std::string content = SLC_TRY(read_whole_file(path), "capture");
    return SLC_TRY(
        read_capture({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()}),
        path);
}

}  // namespace sluice::packet
