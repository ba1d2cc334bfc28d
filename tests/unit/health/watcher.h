// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A checker in a test, with what it found so far.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "health/checker.h"

namespace sluice::health {

class Watcher {
 public:
    explicit Watcher(Limits limits = {});

    Checker& checker() { return *checker_; }
    /// Waits until `enough` of all outcomes so far; false after ten seconds.
    bool wait_until(const std::function<bool(const std::vector<Outcome>&)>& enough);
    /// Watches this target alone, checks it at once and waits for the first outcome.
    Outcome check(const Target& target);
    /// All that came.
    const std::vector<Outcome>& outcomes() { return outcomes_; }

 private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool has_more_ = false;
    std::vector<Outcome> outcomes_;
    std::unique_ptr<Checker> checker_;
};

/// Of a check with these settings at 127.0.0.1; the key is "backend".
Target target_of(config::Check check, std::uint16_t port);

/// With an interval of ten seconds and a timeout that the slowest machine keeps: checks that are to
/// fail of it say so themselves.
config::Check check_of(config::CheckType type);

/// The one word and text of an outcome: "status: 503 Service Unavailable"; "passed: 200".
std::string text_of(const Outcome& outcome);

}  // namespace sluice::health
