// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the API may ask about packets: samples as they come, captures, what a packet would do, who
/// sends most. Plain values and small sessions; the Controller implements it, tests use a fake.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "kernel/packet_filter.h"
#include "observe/names.h"
#include "sluice/types.h"

namespace sluice::control {

struct Explanation;         // control/explanation.h
struct ExplanationRequest;  // likewise

/// Samples after those that the cursor has seen, oldest first.
struct SampleCursor {
    std::vector<std::uint64_t> seen;  ///< By CPU: the last seq; empty: begin with what is there.
};
struct SampleBatch {
    std::vector<slc_sample> samples;
    std::vector<std::uint32_t> cpus;  ///< Parallel: which CPU took it.
    std::uint64_t lost = 0;           ///< Overwritten before they were read.
    bool is_cut = false;              ///< There may be more now.
};

/// Sends most, by the sketch of samples: estimates.
struct Talker {
    IpAddress source;
    std::uint32_t service = 0;  ///< Id; 0: none.
    /// Since it was noticed; forgotten when others send more for a while.
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped_packets = 0;
    double packets_per_s = 0;  ///< In the last 10 to 15 seconds, these.
    double bytes_per_s = 0;
    double dropped_per_s = 0;
};

/// What CaptureSession::ended() says of one whose time is over.
inline constexpr std::string_view kEndedByTime = "time";
inline constexpr std::chrono::seconds kCapturePatience{30};

/// What is set must hold. Names are those of the configuration in force.
struct CaptureRequest {
    std::vector<std::string> interfaces;
    std::vector<kernel::FilterInstruction> filter;
    std::vector<std::string>
        verdicts;  ///< "drop", "pass", "tx", "redirect", "forward" (tx or redirect).
    std::vector<std::string> reasons;
    std::vector<std::string> services;
    std::vector<std::string> backends;  ///< "web/10.0.0.5".
    bool at_entry = true;
    bool at_exit = true;
    std::uint32_t snap = SLC_TAP_MAX_SNAP;  ///< Bytes.
    std::uint32_t one_in = 1;               ///< Of the packets that match.
    std::size_t buffer = std::size_t{32} << 20;
    std::chrono::seconds duration{};  ///< 0: until its session ends.
    std::string author;               ///< For the log: "uid 1000".
    std::string name;                 ///< By which end_capture() finds it; may be empty.
};

/// A capture under way; it ends with its last owner, and the data plane is then as before. So it is
/// when its time is over, and when its owner has not read for kCapturePatience: what a person who
/// has left holds is what was caught, and not everybody's packets.
class CaptureSession {
 public:
    virtual ~CaptureSession() = default;
    using OnEvent = std::function<void(const slc_tap_event& event, std::span<const std::byte> in,
                                       std::span<const std::byte> out)>;
    /// At most `limit` packets; how many there were.
    virtual std::size_t read(std::size_t limit, const OnEvent& on_event) = 0;
    virtual slc_tap_count counts() const = 0;
    /// Takes no more packets, so that matched = read + lost + skipped once nothing is left to read.
    virtual void stop() = 0;
    /// Of the generation that packets go through now.
    virtual std::shared_ptr<const observe::Names> names() const = 0;
    /// Empty, or why it is over before its owner said so: "the interface is gone", or kEndedByTime.
    virtual std::string ended() const = 0;
};

class Observation {
 public:
    virtual ~Observation() = default;
    /// Never null; empty while no configuration is in force.
    virtual std::shared_ptr<const observe::Names> names() = 0;
    virtual SampleBatch samples(SampleCursor& cursor) = 0;
    /// What takes the time of a sample to nanoseconds since 1970.
    [[nodiscard]] virtual std::int64_t wall_offset_ns() const = 0;
    /// One packet in so many is sampled; 0: none are.
    virtual std::uint32_t sampled_one_in() const = 0;
    /// Those who send most now first; a hundred at most.
    virtual std::vector<Talker> talkers() = 0;
    /// Errors: conflict while another capture is under way, or a canary; not_found and invalid for
    /// names; those of loading programs.
    virtual Result<std::unique_ptr<CaptureSession>> capture(const CaptureRequest& request) = 0;
    /// The capture of this name, or any when it is empty, is stopped, and its ended() says so: its
    /// reader comes to an end in order. Errors: not_found.
    virtual Result<void> end_capture(const std::string& name) = 0;
    /// Nothing live is touched. Errors: invalid for a packet, or a configuration to compare with.
    virtual Result<Explanation> explain(const ExplanationRequest& request) = 0;
};

}  // namespace sluice::control
