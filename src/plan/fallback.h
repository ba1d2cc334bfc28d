// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Groups that stand in for others while those have nobody healthy (when_none: fallback), as far as
/// tables must be laid out for it before it happens. Pure. Chains are finite: configurations with
/// circles are refused.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "config/model.h"

namespace sluice::plan {

class Fallbacks {
 public:
    explicit Fallbacks(const config::Config& config);

    /// Index of the group that this one falls back on.
    [[nodiscard]] std::optional<std::size_t> next_of(std::size_t group) const;
    /// The end of its chain: the group itself if it falls back on none. Groups that end alike are
    /// one family (slc_member).
    [[nodiscard]] std::size_t last_of(std::size_t group) const;
    /// Whether packets of its services are answered when nobody of its chain takes them.
    [[nodiscard]] bool rejects(std::size_t group) const;
    /// What the services of each group need of its members (by group, bits), handed on to those who
    /// may stand in for them.
    void spread(std::vector<std::uint32_t>& needs) const;

 private:
    std::vector<std::optional<std::size_t>> next_;
    std::vector<bool> rejects_;  ///< As the group itself says.
};

}  // namespace sluice::plan
