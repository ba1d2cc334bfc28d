// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Proves a change before it takes effect: the tests of a configuration and a replay of sampled
/// live packets, through the twins of the generations (kernel/twin.h). Called by the controller.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "kernel/twin.h"
#include "proof/report.h"
#include "sluice/types.h"

namespace sluice::proof {

/// How ids of a generation are called in messages.
struct Names {
    std::function<std::string(std::uint32_t id)> service;  ///< "" when unknown.
    std::function<std::optional<IpAddress>(std::uint32_t id)> backend;
    std::function<std::string(std::uint32_t id)> member;  ///< "web/10.0.0.5".
};

/// Runs every test, each on cleared state. Errors: not_found or invalid for a capture that cannot
/// be read, with the place in the configuration; those of the kernel.
Result<void> run_tests(const config::Config& config, const std::string& file,
                       const std::string& directory, kernel::Twin& twin, const Names& names,
                       ProofReport& out);

/// What one twin made of one sample.
struct ReplayAnswer {
    bool ran = false;  ///< False: the sample cannot be run again (sample_frame.h).
    slc_exit_record rec{};
    std::string member;
};

/// Runs samples in order on what the twin holds: the first one now, and each as much later as it
/// was, up to ten seconds. Flows that are remembered now would be too young at a sample's own time,
/// and too old long after.
Result<std::vector<ReplayAnswer>> replay(std::span<const slc_sample> samples, kernel::Twin& twin,
                                         const Names& names);

/// Into replayed, moved, changed and differences. Moved is what goes to a backend of another
/// address; for what reason it goes there, and by which interface, is no difference.
void compare(std::span<const slc_sample> samples, std::span<const ReplayAnswer> before,
             std::span<const ReplayAnswer> after, ProofReport& out);

}  // namespace sluice::proof
