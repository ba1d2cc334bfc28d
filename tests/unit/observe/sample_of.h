// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A sample of a packet in the notation of docs/reference/packets.md, as the data plane takes it.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "packet/notation.h"
#include "sluice/types.h"

namespace sluice::observe {

inline constexpr std::size_t kEthernetLen = 14;

inline slc_sample sample_of(const std::string& packet, slc_exit_record rec = {}) {
    const auto frame = packet::build(packet);
    EXPECT_TRUE(frame.has_value()) << packet;
    slc_sample out{};
    if (!frame) return out;
    // Where the tags of VLANs end.
    std::size_t type_at = 12;
    while ((*frame)[type_at] == 0x81 || (*frame)[type_at] == 0x88) type_at += 4;
    const std::size_t begin = type_at + 2;
    out.seq = 1;
    out.time_ns = 5'000'000'000;
    out.rec = rec;
    out.rec.len = static_cast<slc_u32>(frame->size());
    out.ifindex = 2;
    out.queue = 3;
    out.hash = 0xabcd;
    std::copy_n(frame->begin() + static_cast<std::ptrdiff_t>(type_at), sizeof out.proto_be,
                reinterpret_cast<std::uint8_t*>(&out.proto_be));
    out.cap_len =
        static_cast<slc_u16>(std::min<std::size_t>(frame->size() - begin, SLC_SAMPLE_LEN));
    std::copy_n(frame->begin() + static_cast<std::ptrdiff_t>(begin), out.cap_len, out.data);
    return out;
}

}  // namespace sluice::observe
