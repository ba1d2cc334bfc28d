// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A history: what an operator, a flood and fate do to a node, made from one seed. It is played
/// against the planner, the transitions and the flow table with live connections in between, and it
/// breaks, or not. A history that breaks is cut down to the orders that it takes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/model/clients.h"

namespace sluice::model {

enum class Order : std::uint8_t {
    drain,
    ready,
    maint,
    down,
    weight,
    remove,
    add_back,
    add,
    undo,  ///< Of the last change of state or weight.
    grow,
    shrink,
    swap,
    resize,
    kill,
    start,
    flood,
    limit,
};
const char* name_of(Order order);

struct Action {
    Instant at;  ///< Since the beginning.
    Order order;
    std::uint32_t a = 0;  ///< Chance for what the order leaves open, taken modulo what there is.
    std::uint32_t b = 0;
    std::uint32_t deadline_ms = 0;  ///< 0: none.
};

/// What does not change while a history goes on.
struct Setup {
    std::uint64_t seed = 0;
    std::vector<Service> services;
    std::uint32_t groups = 1;
    std::uint32_t backends = 3;
    std::uint32_t ring_log2 = 4;
    bool rendezvous = false;
    bool keeps_failed = false;
    plan::FlowGeometry geometry;
    std::uint32_t share_percent = 0;
    std::uint32_t ceiling_percent = 100;
    TrafficSetup traffic;
    ControlTimes times;
    /// A flood never ends; every change then gets a deadline, which ends it.
    bool lasting_flood = false;
};

struct History {
    Setup setup;
    std::vector<Action> actions;
};

History random_history(std::uint64_t seed);

struct Outcome {
    std::optional<std::string> broken;
    TrafficCounts traffic;
    FlowCounts flows;
    std::uint64_t cut = 0;
    std::uint64_t forgotten = 0;
    std::uint64_t forged = 0;
    std::uint64_t flooded = 0;
    void add(const Outcome& other);
};

Outcome play(const History& history);

/// The fewest actions that still break the history.
History shrunk(const History& history);

std::string text_of(const History& history);

}  // namespace sluice::model
