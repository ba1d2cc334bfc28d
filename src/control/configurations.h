// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What may be asked of a node about configurations: plan, apply, confirm, roll back, history,
/// canary. The daemon's Controller implements it; the API asks; tests use a fake.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "history/history.h"
#include "plan/change_plan.h"
#include "proof/report.h"

namespace sluice::control {

/// Which packets a generation gets first.
struct Canary {
    std::vector<std::string> interfaces;  ///< All that come by these; or
    double share = 0;                     ///< this part of client addresses, 0..1; always the same.
};

struct ApplyRequest {
    std::string text;
    std::string file;       ///< What to call it in messages; absolute, or "-".
    std::string directory;  ///< Where its relative paths begin; empty: that of the daemon's file.
    std::string author;
    std::string message;
    std::optional<std::chrono::seconds> confirm_within;
    std::optional<plan::Road> road;  ///< Forced.
    std::optional<Canary> canary;
    bool dry_run = false;  ///< Plan and prove, as plan() does.
};

using proof::ProofReport;
using proof::ReplayDifference;
using proof::TestFailure;

struct PlanReport {
    std::uint32_t base = 0;  ///< Generation in force.
    std::string digest;
    plan::ChangePlan plan;
    plan::Road road = plan::Road::none;  ///< Taken, or to be taken.
    ProofReport proof;
    bool holds = true;  ///< No test failed and nothing moved beyond its bound.
    /// Of the parts, one after the other ("parse", "compile", "plan", "load", "prove", "swap"; a
    /// rollback's are "reconcile", "journal"); then, from the order on, "effect" (packets met it)
    /// and "total".
    std::vector<std::pair<std::string, std::chrono::microseconds>> times;
};

struct ApplyReport {
    PlanReport plan;
    std::uint32_t generation = 0;  ///< 0: a dry run, or nothing to change.
    history::Outcome outcome = history::Outcome::in_force;
    std::optional<std::chrono::seconds> confirm_left;
};

struct GenerationStatus {
    history::Record record;  ///< Without its text.
    bool live = false;
    bool loaded = false;  ///< Rolling back to it is one swap.
    bool canary = false;
};

struct CanaryStatus {
    std::uint32_t generation = 0;
    Canary what;
    std::chrono::system_clock::time_point since;
    std::uint64_t packets = 0, dropped_packets = 0;              ///< Of the canary.
    std::uint64_t other_packets = 0, other_dropped_packets = 0;  ///< Of the rest, since then.
};

class Configurations {
 public:
    virtual ~Configurations() = default;
    /// Nothing is touched. Errc::invalid carries all faults of the text.
    virtual Result<PlanReport> plan(const ApplyRequest& request) = 0;
    /// Whole or not at all. Errors: invalid for a configuration that is none; conflict for tests or
    /// bounds that do not hold (Error::what lists them), a forced road that is not consistent, a
    /// change that waits for its confirmation, a canary in progress; limit.
    virtual Result<ApplyReport> apply(const ApplyRequest& request) = 0;
    /// The change that waits stays. Errc::not_found when none does.
    virtual Result<void> confirm() = 0;
    /// To a generation, or to the one before the one in force.
    virtual Result<ApplyReport> rollback(std::optional<std::uint32_t> generation,
                                         const std::string& author, const std::string& message) = 0;
    virtual Result<std::vector<GenerationStatus>> history(std::uint32_t limit) = 0;
    /// With its text.
    virtual Result<GenerationStatus> generation(std::uint32_t number) = 0;
    /// What differs between a text and what runs, runtime overrides included.
    virtual Result<std::vector<plan::Change>> drift(const std::string& text,
                                                    const std::string& file) = 0;
    /// The text of the daemon's own configuration file.
    virtual Result<std::string> file_text() = 0;
    virtual std::optional<CanaryStatus> canary() = 0;
    /// The canary takes everything, or is taken back. Errc::not_found when there is none.
    virtual Result<ApplyReport> end_canary(bool promote) = 0;
};

}  // namespace sluice::control
