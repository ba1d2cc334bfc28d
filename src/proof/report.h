// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a proof says, as plain values: filled by proof.h, told by the API and the command.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::proof {

/// A test that did not hold. `where` is "file:line:column".
struct TestFailure {
    std::string test;
    std::string where;
    std::string text;  ///< "expected backend 10.0.0.5, got 10.0.0.6 (forwarded)".
};

/// A kind of live packet that would be treated otherwise.
struct ReplayDifference {
    std::string packet;  ///< One of them, in the notation of packets.
    std::string was;     ///< "forwarded to web/10.0.0.5".
    std::string now;
    std::uint64_t count = 0;
};

struct ProofReport {
    std::uint32_t tests = 0;
    std::uint32_t packets = 0;  ///< Of tests.
    std::vector<TestFailure> failures;
    std::uint64_t replayed = 0;                 ///< Live packets.
    std::uint64_t moved = 0;                    ///< To another backend.
    std::uint64_t changed = 0;                  ///< Another verdict or reason.
    std::vector<ReplayDifference> differences;  ///< Most frequent first, at most 20.
    std::optional<double> max_moved;            ///< The bound in force.
    std::chrono::microseconds took{0};
};

}  // namespace sluice::proof
