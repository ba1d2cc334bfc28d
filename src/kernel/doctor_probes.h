// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Whether probes of health checks can reach VIPs through the tunnel, and be answered: routes to
/// the VIPs, source addresses, filters of sources, rules for marks. Facts are read in one place and
/// judged in another, so that nodes that are not at hand can be judged in tests.

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "kernel/doctor.h"
#include "kernel/probe_path.h"

namespace sluice::kernel {

/// How an interface takes answers of backends, whose source is the VIP.
struct AnswerFacts {
    std::string interface;
    /// The greater of the interface's and of all: 0 none, 1 strict, 2 loose (ip-sysctl.rst).
    int rp_filter = 0;
    bool accept_local = false;  ///< Of the interface or of all.
    bool operator==(const AnswerFacts&) const = default;
};

/// A policy rule that looks at marks: (mark & mask) == value.
struct MarkRule {
    std::uint32_t priority = 0;
    std::uint32_t value = 0;
    std::uint32_t mask = 0;
    bool is_ip6 = false;
    bool operator==(const MarkRule&) const = default;
};

struct ProbePathFacts {
    std::vector<ProbeRoute> routes;       ///< One for each VIP.
    std::vector<AnswerFacts> interfaces;  ///< By which backends' answers come.
    std::vector<MarkRule> rules;          ///< Inverted ones left out.
};

/// IPv4's, as it is now.
AnswerFacts read_answers(const std::string& interface);
/// Of the calling thread's network namespace.
Result<ProbePathFacts> read_probe_path(const ProbedVips& probed);
std::vector<DoctorCheck> judge_probe_path(const ProbePathFacts& facts);

}  // namespace sluice::kernel
