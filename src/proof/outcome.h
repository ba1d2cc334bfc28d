// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What became of a packet on a twin, in the operator's words, and whether it is what a test
/// expects. Pure. Only src/proof includes it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "config/model.h"
#include "kernel/twin.h"
#include "proof/proof.h"

namespace sluice::proof {

struct Outcome {
    slc_exit_record rec{};
    std::string service;               ///< Empty: none.
    std::optional<IpAddress> backend;  ///< Nothing: none.
    std::optional<config::Forward> encapsulation;
};

/// `frame` is what went in.
Outcome outcome_of(std::span<const std::uint8_t> frame, const kernel::TwinAnswer& answer,
                   const Names& names);

/// How the frame that leaves carries the one that came: by the growth of its IP packet and the
/// outer protocol. Nothing when it is neither.
std::optional<config::Forward> encapsulation_of(std::span<const std::uint8_t> in,
                                                std::span<const std::uint8_t> out);

/// "expected backend 10.0.0.5, got 10.0.0.6 (forwarded)"; empty when all is as expected.
/// `previous`: of the packet before in the same test, where there is one.
std::string mismatch(const config::Expectation& expected, const Outcome& got,
                     const Outcome* previous);

/// Whether it was sent to a backend, this node's own included, rather than answered or dropped.
bool is_to_backend(const slc_exit_record& rec);
/// "forwarded to web/10.0.0.5", "dropped (no_such_port)", "passed to Linux (not_ours)".
std::string outcome_text(const slc_exit_record& rec, const std::string& member);

}  // namespace sluice::proof
