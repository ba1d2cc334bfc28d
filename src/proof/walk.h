// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A packet's walk through a generation, told: what a twin said of it (trace), in sentences (walk).
/// The controller explains packets with it; the packet tables compare every row with it.
///
///   trace()       a packet through a twin, with what is remembered of its flow now
///   read_trace()  the same of a packet that has been run already
///   walk_of()     pure: the sentences

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "kernel/twin.h"
#include "proof/proof.h"

namespace sluice::proof {

/// One step of the walk: "service", "192.0.2.10 is a VIP; tcp port 443 of it is service web".
struct WalkStep {
    std::string stage;
    std::string text;
};

/// What becomes of one packet in one generation.
struct Walk {
    std::uint32_t generation = 0;  ///< 0: of a configuration that is not in force.
    std::vector<WalkStep> steps;
    std::string verdict, stage, reason, text, remedy;
    std::string service, group, customer, policy, mitigation;
    std::string backend;                ///< "web/10.0.0.5": whom it is for, reached or not.
    std::string encapsulation;          ///< "ipip"; empty: it goes to no backend.
    std::string egress;                 ///< Interface that it leaves by.
    std::uint64_t hash = 0;             ///< Of its flow; 0: none was made.
    std::optional<std::uint32_t> slot;  ///< Within its ring.
    std::vector<std::uint8_t> out;      ///< The frame that leaves or is passed; empty for drops.
    std::string out_text;               ///< In the notation of packets.
    /// What live traffic may find otherwise, because it depends on time, rate or CPU.
    std::vector<std::string> assumptions;
};

/// How a generation is called, for the sentences.
struct WalkScene {
    const config::Config& config;
    Names names;
    std::function<std::string(std::uint32_t id)> customer = {}, policy = {};  ///< "" when unknown.
    std::function<std::string(std::uint32_t ifindex)> interface = {};
    /// Why nothing reaches a backend now; may be empty.
    std::function<std::string(const IpAddress& backend)> why_unresolved = {};
    std::uint32_t generation = 0;
    std::string came_by = {};  ///< Interface; empty: none in particular.
    std::string entry = {};    ///< The first sentence: who took the packet.
};

/// What a twin said of one packet, and what it read there.
struct Trace {
    std::vector<std::uint8_t> in;
    kernel::TwinAnswer said;
    std::uint64_t ring = 0;                        ///< Descriptor of the ring that was asked.
    std::optional<slc_template> header;            ///< Of the member, as its service forwards.
    std::optional<kernel::RememberedFlow> before;  ///< Of its flow, where that was asked for.
    std::optional<kernel::RememberedFlow> after;
};

struct TraceRequest {
    std::span<const std::uint8_t> frame;
    std::uint32_t ifindex = 0;  ///< As Twin::run takes it.
    std::uint64_t clock_ns = 0;
    const kernel::FlowMap* flows = nullptr;  ///< Null: nothing is remembered.
    /// Makes the twin what it shall be; before each run, of which there may be two.
    std::function<Result<void>()> prepare;
};

/// Errors: those of Twin::run and of `prepare`.
Result<Trace> trace(kernel::Twin& twin, const TraceRequest& request, const WalkScene& scene);
Trace read_trace(const kernel::Twin& twin, std::span<const std::uint8_t> frame,
                 kernel::TwinAnswer said, std::uint64_t clock_ns, const WalkScene& scene);

Walk walk_of(const Trace& trace, const WalkScene& scene);

/// "backend web/10.0.0.5, planned web/10.0.0.6"; nothing when a sender and a receiver would notice
/// none.
std::vector<std::string> differences(const Walk& now, const Walk& planned);

}  // namespace sluice::proof
