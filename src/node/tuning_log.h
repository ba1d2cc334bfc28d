// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Carries plans out and takes them back. What is changed is written to <state-dir>/tuning.json
/// before it is changed, so that whatever happens in between, what was can be put back.
///
/// A file of an earlier boot says nothing any more: NICs begin anew with the machine. A device is
/// known by its number, which no other gets before the next boot: one that was renamed is found
/// again, one that is gone took its settings with it.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "node/nic_port.h"
#include "node/tuning.h"

namespace sluice::node {

/// One setting that was changed, or was about to be.
struct TunedSetting {
    std::string interface;  ///< Its name then.
    std::uint32_t ifindex = 0;
    std::string setting;
    std::string was;
    std::string wanted;
    std::string made;  ///< What the device said afterwards; empty: it was not asked any more.

    bool operator==(const TunedSetting&) const = default;
};

/// Where numbers of devices mean what they meant.
struct DeviceNumbers {
    std::string boot;     ///< /proc/sys/kernel/random/boot_id
    std::string network;  ///< Network namespace: "net:[4026531840]".

    /// Of this machine and process, now.
    static DeviceNumbers here();
};

class TuningLog {
 public:
    /// Held until this object goes. Errc::conflict when somebody else holds it, or when it tells
    /// of another network namespace.
    static Result<TuningLog> open(const std::string& state_dir, DeviceNumbers numbers);

    /// In the order in which they were changed.
    [[nodiscard]] const std::vector<TunedSetting>& settings() const { return settings_; }
    /// The record of one; null: it is not changed.
    [[nodiscard]] const TunedSetting* find(std::uint32_t ifindex, const std::string& setting) const;
    /// What was there before the first change stays what was. Written when it returns.
    Result<void> begin(const TunedSetting& setting);
    Result<void> made(std::uint32_t ifindex, const std::string& setting, const std::string& value);
    Result<void> forget(std::uint32_t ifindex, const std::string& setting);
    /// The record as it was when find() told it.
    Result<void> restore(const TunedSetting& setting);

 private:
    TuningLog(std::string path, DeviceNumbers numbers, UniqueFd lock);
    Result<void> load();
    [[nodiscard]] Result<void> save() const;
    TunedSetting* at(std::uint32_t ifindex, const std::string& setting);

    std::string path_;
    DeviceNumbers numbers_;
    UniqueFd lock_;
    std::vector<TunedSetting> settings_;
};

enum class TuningEnd {
    made,
    failed,     ///< Not made; what belongs to it was taken back. Or not undone: still recorded.
    skipped,    ///< Not made, and not needed.
    undone,     ///< Back to what was.
    gone,       ///< Its device is, or the device, which is up, has no such setting any more.
    left,       ///< Somebody else has changed it since: left as it is.
    postponed,  ///< It would reset the link while XDP handles packets: still to be undone.
};

/// "made", "failed", ...
const char* name_of(TuningEnd end);

struct TuningOutcome {
    std::string interface;
    std::string setting;
    std::string from;
    std::string to;
    TuningEnd end = TuningEnd::made;
    std::string error;  ///< Why not.

    bool operator==(const TuningOutcome&) const = default;
};

/// Makes the steps of each plan in order. Each interface is changed as far as is needed, or not at
/// all: when a needed step fails, what this call has changed of it goes back to what it was before,
/// last change first, except what would reset the link under traffic where the plan may not. What
/// earlier calls have changed stays, and stays recorded. Fails only when the log cannot be written:
/// then nothing is changed that is not in it.
Result<std::vector<TuningOutcome>> apply_tuning(const std::vector<TuningPlan>& plans, NicPort& port,
                                                TuningLog& log);

/// Puts back what was, last change first. What cannot be read or put back stays in the log and does
/// not stop the rest.
Result<std::vector<TuningOutcome>> undo_tuning(NicPort& port, TuningLog& log, bool allow_reset);

/// The same for whoever removes a node: nothing was tuned is no error, and no outcome.
Result<std::vector<TuningOutcome>> undo_tuning(const std::string& state_dir);

}  // namespace sluice::node
