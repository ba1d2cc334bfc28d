// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What is wanted of announcements and what became of it, as values: between the announcer
/// (announce/announcer.h) and whoever decides which VIPs are to be announced.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ip.h"

namespace sluice::announce {

enum class Wish {
    withdraw,  ///< Known, so that announcing it later is quick.
    drain,     ///< Announced with the sign of a graceful shutdown (RFC 8326).
    announce,
};

const char* name_of(Wish wish);

/// A prefix that is not in it is withdrawn, and forgotten.
using PrefixWishes = std::map<IpPrefix, Wish>;

enum class PrefixState {
    wanted,     ///< On its way.
    announced,  ///< The router, or who speaks to it, has been told.
    draining,   ///< The same, with the sign of a graceful shutdown.
    withdrawn,  ///< As wished.
    failing,    ///< Is not what was wished; `why` says it.
};
const char* name_of(PrefixState state);

struct PrefixReport {
    PrefixState state = PrefixState::wanted;
    std::string why{};  ///< Of `wanted` and `failing`; may be empty.
    bool operator==(const PrefixReport&) const = default;
};

/// One of the ways that announcements go, and how it does.
struct WayReport {
    std::string name;          ///< "bird", "bgp 192.0.2.1", "kernel".
    std::string state;         ///< "established", "connect", "up", ...
    bool is_up = false;        ///< Takes announcements.
    std::string last_error{};  ///< Kept until it works again, and while it does not.
    std::chrono::system_clock::time_point since{};
    std::uint64_t resets = 0;  ///< Sessions or connections that were lost.
    bool operator==(const WayReport&) const = default;
};

struct PrefixStatus {
    IpPrefix prefix;
    Wish wish = Wish::withdraw;
    PrefixReport report;                 ///< Of the way that does worst, with its name in `why`.
    std::vector<PrefixReport> by_way{};  ///< In the order of AnnounceReport::ways.
    std::chrono::system_clock::time_point since{};  ///< In the state that `report` says.
    bool operator==(const PrefixStatus&) const = default;
};

struct AnnounceReport {
    std::vector<PrefixStatus> prefixes;  ///< In the order of their addresses.
    std::vector<WayReport> ways;
    bool operator==(const AnnounceReport&) const = default;
};

}  // namespace sluice::announce
