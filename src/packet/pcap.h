// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Reads captures: pcap and pcapng, of either byte order, with times in any unit; links of
/// Ethernet, bare IP, and "any" of Linux (cooked, versions 1 and 2), which get an Ethernet header.
/// Called by src/proof for tests that name a capture. The bytes are not trusted: every length is
/// checked, and a file and its frames have bounds.
///
/// draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, and the registry of link types there.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::packet {

inline constexpr std::size_t kMaxCaptureBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxCaptureFrames = 100000;

struct CapturedFrame {
    std::uint32_t number = 0;         ///< 1-based, as tshark counts.
    std::uint64_t time_ns = 0;        ///< Since 1970; 0 when the capture does not say.
    std::vector<std::uint8_t> bytes;  ///< With an Ethernet header.
    std::uint32_t missing = 0;        ///< Bytes that the capture has cut off its end.
};

/// Errors: invalid with the number of the frame, or the offset of the block, that is wrong.
Result<std::vector<CapturedFrame>> read_capture(std::span<const std::uint8_t> file);

/// Errors, besides: not_found, denied; limit beyond kMaxCaptureBytes.
Result<std::vector<CapturedFrame>> read_capture_file(const std::string& path);

}  // namespace sluice::packet
