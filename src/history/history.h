// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Every configuration that was applied or refused on this node, in SQLite
/// (<state-dir>/history.db): text, author, message, digest, time and outcome. It is also the
/// journal of the change in progress: a record is written as `applying` before anything is touched,
/// so that a daemon that was killed half-way knows what it was about to do, and a change that waits
/// for its confirmation is undone in time whatever happened to the daemon.
///
///   begin()  -> generation number, outcome `applying`, durable when it returns
///   finish() -> how it ended
///
/// One writer (the lock of the instance guarantees it); anybody may read. Not thread-safe.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::history {

using WallTime = std::chrono::system_clock::time_point;

enum class Outcome {
    applying,   ///< Begun; nobody has said how it ended.
    in_force,   ///< The last one of these is what packets meet.
    awaiting,   ///< In force until confirm_by, unless it is confirmed.
    replaced,   ///< Was in force; another one came after it.
    undone,     ///< Was in force; not confirmed in time, or rolled back by its confirmation's end.
    refused,    ///< Never took effect; `error` says why.
    canary,     ///< Takes a part of the traffic beside the one in force.
    withdrawn,  ///< A canary that was taken back.
};
const char* name_of(Outcome outcome);

struct Record {
    std::uint32_t generation = 0;  ///< 1.., never reused.
    std::uint32_t base = 0;        ///< Generation that was in force when it was applied; 0: none.
    std::uint32_t restores = 0;    ///< A rollback: the generation whose text this is; else 0.
    std::string text;
    std::string digest;  ///< SHA-256 of text, hex.
    std::string file;    ///< As the one who applied it named it; may be empty.
    std::string
        file_digest;  ///< Of the daemon's own configuration file at that time; may be empty.
    std::string author;
    std::string message;
    std::string road;  ///< "entry", "map", "program" or empty.
    WallTime at;       ///< When it was begun.
    std::optional<WallTime> ended;
    std::optional<WallTime> confirm_by;
    Outcome outcome = Outcome::applying;
    std::string error;
};

/// What begin() needs; the rest of a Record follows from it.
struct Begin {
    std::uint32_t base = 0;
    std::uint32_t restores = 0;
    std::string text, digest, file, file_digest, author, message;
    std::optional<WallTime> confirm_by;
};

class History {
 public:
    /// Opens or makes the database, and brings one of the version before up to this one. Errors:
    /// unsupported, by name, for one of a later version; invalid for a file that is none, with what
    /// to do; denied; limit for a full disk.
    static Result<History> open(const std::string& path);
    History(History&&) noexcept;
    History& operator=(History&&) noexcept;
    ~History();

    /// Durable when it returns. `least` is below the number that it gets: pins may know of later
    /// generations than a database that was lost. Errc::limit when the disk is full.
    Result<std::uint32_t> begin(const Begin& what, std::uint32_t least = 0);
    Result<void> finish(std::uint32_t generation, Outcome outcome, std::string_view road = {},
                        std::string_view error = {});
    /// in_force, and no confirmation is waited for any more.
    Result<void> confirm(std::uint32_t generation);

    /// Newest first, without their texts.
    [[nodiscard]] Result<std::vector<Record>> list(std::uint32_t limit) const;
    /// Errc::not_found.
    [[nodiscard]] Result<Record> get(std::uint32_t generation) const;
    /// The one that is in force or awaiting; nothing before the first.
    [[nodiscard]] Result<std::optional<Record>> in_force() const;
    /// Those that are still `applying`: a daemon was killed half-way.
    [[nodiscard]] Result<std::vector<Record>> unfinished() const;
    /// Forgets the texts and records of all but the newest `keep` that are not in force.
    Result<void> prune(std::uint32_t keep);

 private:
    struct Database;
    explicit History(std::unique_ptr<Database> database);
    std::unique_ptr<Database> database_;
};

}  // namespace sluice::history
