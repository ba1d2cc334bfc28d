// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How full the tables of the data plane are, and since when: plain values, part of
/// control/status.h.

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "observe/table_watch.h"

namespace sluice::control {

/// Entries by the time since their last packet: below each of these, and the rest.
inline constexpr std::array<std::chrono::seconds, 5> kAgeBounds = {
    std::chrono::seconds(1), std::chrono::seconds(10), std::chrono::seconds(60),
    std::chrono::seconds(600), std::chrono::seconds(3600)};
using AgeHistogram = std::array<std::uint64_t, kAgeBounds.size() + 1>;

/// The class of an age: index of an AgeHistogram.
constexpr std::size_t age_class(std::chrono::milliseconds age) {
    std::size_t out = 0;
    while (out < kAgeBounds.size() && age >= kAgeBounds[out]) ++out;
    return out;
}

/// What a shared table holds of one service.
struct ServiceUse {
    std::string service;
    std::uint64_t entries = 0;
};

/// Of tables that fill and empty by themselves; `trend` is not there before they were watched.
struct TableLife {
    std::optional<observe::TableView> trend;
    bool counts_inserts = false;  ///< Whether the data plane counts them, and refusals.
    std::uint64_t expired = 0;    ///< Entries whose time is over and whose place is not yet free.
    AgeHistogram ages{};          ///< Of the live entries.
    std::vector<ServiceUse> services;  ///< Those that use most.
};

}  // namespace sluice::control
