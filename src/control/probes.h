// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The marks of probes that go to a VIP at one very backend, and the headers that belong to them
/// (kernel/probe_path.h). A mark stands for a member and the way that packets of one kind reach it:
/// checks of several services need several.
///
///   probes.begin(vips);
///   ... target.mark = probes.mark_of(way, header) ...   // for every target
///   probes.end();                                        // the others' marks are free again
///
/// Owned by the controller, on its thread. Without such a check nothing is loaded or attached.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "kernel/instruction_set.h"
#include "kernel/probe_path.h"
#include "sluice/types.h"

namespace sluice::control {

class Probes {
 public:
    /// A member and SLC_VARIANT(forward, inner_is_ip6).
    using Way = std::pair<std::uint32_t, std::uint32_t>;
    static constexpr std::uint32_t kMost = 1u << 18;  ///< Ways at once.

    explicit Probes(kernel::InstructionSet isa) : isa_(isa) {}

    /// `vips`: where the checks go that will ask for marks; routes to them say where programs are
    /// needed.
    void begin(std::set<IpAddress> vips);
    /// The same for as long as the way is in use. `header` null: the member is not resolved, its
    /// probes are dropped. Nothing: probes cannot be sent.
    std::optional<std::uint32_t> mark_of(const Way& way, const slc_template* header);
    void end();

    /// The header of a member has changed; ways that are not in use are none of its business.
    void renew(const Way& way, const slc_template* header);
    /// Routes may lead elsewhere, interfaces may have come back.
    void follow_routes();

    /// Why probes do not leave; empty while they do.
    [[nodiscard]] const std::string& problem() const { return problem_; }
    [[nodiscard]] std::optional<kernel::ProbeCounts> counts() const;

 private:
    void note(Result<void> outcome);

    kernel::InstructionSet isa_;
    std::unique_ptr<kernel::ProbePath> path_;
    std::set<IpAddress> vips_;
    std::map<Way, std::uint32_t> numbers_;
    std::set<Way> asked_;  ///< Since begin().
    std::vector<std::uint32_t> free_;
    std::uint32_t next_ = 1;
    std::string problem_;
};

}  // namespace sluice::control
