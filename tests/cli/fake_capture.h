// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A tap whose packets the test puts there, and the fixed ones of the fake node.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "control/observation.h"

namespace sluice::test {

struct FakePacket {
    slc_tap_event event{};
    std::vector<std::uint8_t> in;
    std::vector<std::uint8_t> out;
};

struct FakeTap {
    std::deque<FakePacket> packets;  ///< To be read.
    slc_tap_count counts{};
    std::shared_ptr<observe::Names> names = names_of(7);
    std::shared_ptr<observe::Names> next_names;  ///< From the first packet on that is theirs.
    std::string ended;
    std::uint32_t stops = 0;
    bool is_dry = false;  ///< It has ended when all is read.

    static std::shared_ptr<observe::Names> names_of(std::uint32_t generation);
    /// One more that matched. Notations of packet/notation.h; `out` empty: it did not leave.
    FakePacket& add(const std::string& in, const std::string& out = {});
};

class FakeCapture : public control::CaptureSession {
 public:
    explicit FakeCapture(std::shared_ptr<FakeTap> tap) : tap_(std::move(tap)) {}
    std::size_t read(std::size_t limit, const OnEvent& on_event) override;
    slc_tap_count counts() const override { return tap_->counts; }
    void stop() override { ++tap_->stops; }
    std::shared_ptr<const observe::Names> names() const override;
    std::string ended() const override;

 private:
    [[nodiscard]] bool is_swap_next() const;

    std::shared_ptr<FakeTap> tap_;
};

/// The fake node's capture: a packet of each verdict, of two generations, with a loss between them.
/// Service "wob" is unknown; what was asked for else does not matter.
Result<std::unique_ptr<control::CaptureSession>> fake_capture(
    const control::CaptureRequest& request);

}  // namespace sluice::test
