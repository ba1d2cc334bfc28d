// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a client has seen, as one line of JSON. Docs of the fields: tests/traffic/README.md.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sluice::traffic {

enum class Kind { talk, silent, brief, datagrams };
inline constexpr std::array<const char*, 4> kKindNames = {"talk", "silent", "brief", "datagrams"};

struct OfBackend {
    std::uint64_t opened = 0;
    std::uint64_t broken = 0;
    std::uint64_t last_start_ns = 0;  ///< When the newest of its connections began.
};

/// Connections (or flows of datagrams) of one kind.
struct Counts {
    std::uint64_t begun = 0;
    std::uint64_t opened = 0;     ///< The backend has said who it is.
    std::uint64_t finished = 0;   ///< In good order, by both ends.
    std::uint64_t broken = 0;     ///< After the handshake, for any of the reasons that follow.
    std::uint64_t resets = 0;     ///< Of those.
    std::uint64_t corrupt = 0;    ///< Of those: other bytes than were sent.
    std::uint64_t failed = 0;     ///< Handshakes.
    std::uint64_t slow = 0;       ///< Handshakes that needed more than one SYN.
    std::uint64_t rounds = 0;     ///< Questions that were answered.
    std::uint64_t lost = 0;       ///< Datagrams without an answer as yet.
    std::uint64_t overslept = 0;  ///< This process was held up for longer than a flow may be idle.
    std::uint64_t up_bytes = 0;
    std::uint64_t down_bytes = 0;
    std::uint64_t slowest_ns = 0;      ///< Handshake.
    std::uint64_t longest_gap_ns = 0;  ///< Between two times that a connection's backend was heard.
    std::map<std::string, OfBackend> backends;
};

struct Trouble {
    Kind kind = Kind::talk;
    std::string why;
    std::string tuple;
    std::string backend;
    std::uint64_t start_ns = 0;
    std::uint64_t at_ns = 0;
};

struct Report {
    static constexpr std::size_t kMaxTroubles = 50;
    static constexpr std::size_t kMaxSlowStarts = 2000;

    std::array<Counts, kKindNames.size()> of;
    std::vector<Trouble> troubles;           ///< The first of them.
    std::vector<std::uint64_t> slow_starts;  ///< When handshakes that were slow or failed began.
    std::uint64_t start_ns = 0;

    Counts& operator[](Kind kind) { return of[static_cast<std::size_t>(kind)]; }
    /// One line.
    [[nodiscard]] std::string json(std::uint64_t now_ns) const;
};

}  // namespace sluice::traffic
