// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A reactor that runs on the test's own thread until something has come true.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "base/reactor.h"

namespace sluice::announce {

inline std::unique_ptr<Reactor> open_reactor() {
    auto reactor = Reactor::open();
    EXPECT_TRUE(reactor.has_value());
    return std::move(reactor).value();
}

/// False: not within ten seconds.
template <typename Condition>
bool run_until(Reactor& reactor, Condition condition) {
    const auto deadline = Reactor::Clock::now() + std::chrono::seconds(10);
    while (!condition()) {
        if (Reactor::Clock::now() > deadline) return false;
        reactor.run_once(std::chrono::milliseconds(5));
    }
    return true;
}

}  // namespace sluice::announce
