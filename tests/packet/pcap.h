// SPDX-License-Identifier: Apache-2.0
#pragma once

/// pcapng files of test frames, each with a comment: what tests/packet/verify.py and people read.

#include <fstream>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tests/packet/packet.h"

namespace sluice::packet {

class PcapWriter {
 public:
    static Result<PcapWriter> open(const std::string& path);

    /// Appends one frame; the comment ends up in Wireshark's "packet comments".
    void write(const Bytes& frame, std::string_view comment);
    [[nodiscard]] bool ok() const { return out_.good(); }

 private:
    explicit PcapWriter(std::ofstream out) : out_(std::move(out)) {}
    std::ofstream out_;
};

}  // namespace sluice::packet
