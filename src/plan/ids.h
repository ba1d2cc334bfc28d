// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Stable numeric ids of named things: services, members, customers, policies. A name keeps its id
/// for as long as the store remembers it, across reloads and restarts, because counters, remembered
/// flows and captures refer to ids. Kept as JSON in the node's state directory.

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::plan {

/// Names to ids 1..limit-1. The lowest id never used comes first; an id whose name was released is
/// reused only when none of those is left, oldest release first, and never while it is held.
class IdSpace {
 public:
    explicit IdSpace(std::uint32_t limit) : limit_(limit) {}

    /// The id of `name`, assigned now if it has none; a released name that comes back gets its old
    /// id for as long as nobody else needed it. Errc::limit when all are in use.
    Result<std::uint32_t> assign(const std::string& name);
    [[nodiscard]] std::uint32_t find(const std::string& name) const;  ///< 0: unknown.
    /// The name that has each id, or had it last.
    [[nodiscard]] std::map<std::uint32_t, std::string> names_by_id() const;
    /// In name order.
    [[nodiscard]] std::map<std::string, std::uint32_t> names() const;
    /// Releases every name that is not in `keep`. Its id stays reserved until reuse is needed.
    void retain(const std::set<std::string>& keep);
    /// The same and then assign() for each of `names`, in name order; their ids, in the order of
    /// `names`, which may hold one twice. What to do for a hundred thousand names.
    Result<std::vector<std::uint32_t>> assign_only(std::span<const std::string> names);
    [[nodiscard]] std::uint32_t highest() const;  ///< Highest id ever assigned, or 0.

    /// An id that was given to another name. Not kept: who holds counts asks before ids are saved.
    struct Handover {
        std::uint32_t id = 0;
        std::string from;
        std::string to;
    };
    /// Those since this was called last, in order.
    [[nodiscard]] std::vector<Handover> take_handovers() { return std::exchange(handovers_, {}); }

 private:
    friend struct IdCodec;  ///< To and from JSON, in ids.cpp.

    /// Those of `names`, in that order.
    void release(std::vector<std::string> names);

    std::uint32_t limit_;
    std::uint32_t next_ = 1;
    std::unordered_map<std::string, std::uint32_t> ids_;
    /// By release order.
    std::map<std::uint64_t, std::pair<std::string, std::uint32_t>> released_;
    std::unordered_map<std::string, std::uint64_t> released_names_;  ///< Into `released_`.
    std::uint64_t release_count_ = 0;
    std::vector<Handover> handovers_;
};

/// All spaces of a node. Member names are "group/address".
class IdStore {
 public:
    IdStore();

    IdSpace services;
    IdSpace members;
    IdSpace customers;
    IdSpace policies;

    [[nodiscard]] std::string to_json() const;
    /// Errc::invalid for anything that to_json() did not write, duplicate or out-of-range ids too;
    /// white space does not matter.
    static Result<IdStore> from_json(std::string_view text);
};

}  // namespace sluice::plan
