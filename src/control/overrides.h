// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What operators said of single backends at runtime, kept by member name in the state directory:
/// it outlives reloads, restarts and crashes until it is taken back or its time is over.

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "plan/image.h"

namespace sluice::control {

using WallTime = std::chrono::system_clock::time_point;

struct KeptOverride {
    plan::Override what;
    /// When each ends by itself, by the wall clock; nothing: it does not.
    std::optional<WallTime> state_until;
    std::optional<WallTime> weight_until;
    std::optional<WallTime> deadline;  ///< Of the change that it began.
    /// The first that ends.
    [[nodiscard]] std::optional<WallTime> until() const;
    bool operator==(const KeptOverride&) const = default;
};

class OverrideStore {
 public:
    /// Nothing is kept when there is no file. Errc::invalid for what save() did not write.
    static Result<OverrideStore> load(const std::string& path);
    Result<void> save() const;

    /// Adds to what is known of the member; what is not set in `what` stays, with its own end.
    void set(const std::string& member, const plan::Override& what, std::optional<WallTime> until);
    /// A deadline that a restart must not forget. Nothing where nothing is kept of the member.
    void set_deadline(const std::string& member, std::optional<WallTime> deadline);
    bool reset(const std::string& member);
    /// Drops what has ended; true when anything did.
    bool expire(WallTime now);
    [[nodiscard]] const KeptOverride* find(const std::string& member) const;
    [[nodiscard]] const plan::Overrides& overrides() const { return plain_; }
    [[nodiscard]] const std::map<std::string, KeptOverride>& all() const { return kept_; }

 private:
    std::string path_;
    std::map<std::string, KeptOverride> kept_;
    plan::Overrides plain_;  ///< The same without times.
};

}  // namespace sluice::control
