// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One packet that was sampled, and what was decided about it: a sample of the data plane
/// (slc_sample) with ids as names. Pure. Made by whoever tells of packets, chosen by
/// observe/decision_filter.h.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "observe/names.h"
#include "sluice/types.h"

namespace sluice::observe {

/// Strings are empty, and numbers unset, where nothing is known or there is none.
struct Decision {
    std::uint64_t time_ns = 0;  ///< Since 1970; the clock has the grain of the kernel's tick.
    std::uint32_t cpu = 0;
    std::string interface;  ///< By which the packet came.
    std::uint16_t queue = 0;
    std::uint32_t generation = 0;  ///< In force then; 0: not known.
    std::string verdict;           ///< "drop", "pass", "tx", "redirect".
    std::string stage;
    std::string reason;
    std::string service;
    std::string backend;
    std::string customer;
    std::string policy;
    std::string mitigation;
    std::string protocol;  ///< "tcp", "udp", "sctp", "icmp", "icmp6", or the number.
    std::optional<IpAddress> source;
    std::optional<IpAddress> destination;
    std::optional<std::uint16_t> source_port;
    std::optional<std::uint16_t> destination_port;
    std::uint32_t len = 0;   ///< Of the frame as received.
    std::uint32_t hash = 0;  ///< Of its flow, low bits; 0: none was made.
    /// Written down because nothing of its reason was for a while: it stands for itself alone.
    bool is_extra = false;
};

/// The generations that samples may be of: what is in force, and what was before it for as long as
/// anybody has watched.
class NameHistory {
 public:
    /// What is in force now; nothing happens while that stays the same.
    void take(std::shared_ptr<const Names> names);
    /// In force at `time_ns` (CLOCK_MONOTONIC); nullptr: before all that are known.
    [[nodiscard]] const Names* at(std::uint64_t time_ns) const;
    /// The same among those whose programs call themselves `pinned`, or the oldest of them; where
    /// there is none, at(time_ns), else the newest.
    [[nodiscard]] const Names* of(std::uint32_t pinned, std::uint64_t time_ns) const;
    /// The newest; null before the first.
    [[nodiscard]] const Names* newest() const {
        return kept_.empty() ? nullptr : kept_.back().get();
    }

 private:
    static constexpr std::size_t kKept = 8;
    std::vector<std::shared_ptr<const Names>> kept_;
};

/// `wall_offset_ns` takes CLOCK_MONOTONIC to nanoseconds since 1970.
Decision decision_of(const slc_sample& sample, std::uint32_t cpu, const NameHistory& names,
                     std::int64_t wall_offset_ns);

/// The sampled packet in the notation of packet/notation.h, as far as it was kept; empty when
/// nothing was, as of an answer of ours.
std::string packet_text(const slc_sample& sample);

/// "2026-11-21T13:00:00.123456789Z".
std::string time_text(std::uint64_t time_ns);

}  // namespace sluice::observe
