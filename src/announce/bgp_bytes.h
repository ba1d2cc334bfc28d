// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Big-endian numbers in and out of buffers: what announce/bgp_read.cpp and bgp_write.cpp share.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "announce/bgp_message.h"

namespace sluice::announce {

inline void put8(Bytes& out, std::uint32_t value) {
    out.push_back(static_cast<std::uint8_t>(value));
}
inline void put16(Bytes& out, std::uint32_t value) {
    put8(out, value >> 8);
    put8(out, value);
}
inline void put32(Bytes& out, std::uint32_t value) {
    put16(out, value >> 16);
    put16(out, value);
}
inline void put_all(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}
/// Overwrites two bytes that were put before the length was known.
inline void set16(Bytes& out, std::size_t at, std::size_t value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
}

/// Takes from the front of a buffer; nothing once it is too short.
class ByteReader {
 public:
    explicit ByteReader(ByteView bytes) : rest_(bytes) {}

    [[nodiscard]] bool empty() const { return rest_.empty(); }
    [[nodiscard]] std::size_t size() const { return rest_.size(); }

    std::optional<ByteView> take(std::size_t count) {
        if (count > rest_.size()) return std::nullopt;
        const ByteView taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    std::optional<std::uint8_t> u8() {
        const auto bytes = take(1);
        if (!bytes) return std::nullopt;
        return (*bytes)[0];
    }
    std::optional<std::uint16_t> u16() {
        const auto bytes = take(2);
        if (!bytes) return std::nullopt;
        return static_cast<std::uint16_t>((*bytes)[0] << 8 | (*bytes)[1]);
    }
    std::optional<std::uint32_t> u32() {
        const auto bytes = take(4);
        if (!bytes) return std::nullopt;
        return std::uint32_t{(*bytes)[0]} << 24 | std::uint32_t{(*bytes)[1]} << 16 |
               std::uint32_t{(*bytes)[2]} << 8 | (*bytes)[3];
    }

 private:
    ByteView rest_;
};

}  // namespace sluice::announce
