// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Samples as the data plane takes them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "packet/notation.h"
#include "sluice/types.h"

namespace sluice::proof {

/// Of a packet without tags.
inline slc_sample sample_of(const std::string& notation, std::uint64_t time_ns = 1) {
    const auto frame = packet::build(notation);
    EXPECT_TRUE(frame) << frame.error().what;
    slc_sample out{};
    out.seq = 1;
    out.time_ns = time_ns;
    out.ifindex = 1;
    out.rec.len = static_cast<slc_u32>(frame->size());
    std::memcpy(&out.proto_be, frame->data() + 12, sizeof out.proto_be);
    out.cap_len = static_cast<slc_u16>(std::min<std::size_t>(frame->size() - 14, sizeof out.data));
    std::memcpy(out.data, frame->data() + 14, out.cap_len);
    return out;
}

}  // namespace sluice::proof
