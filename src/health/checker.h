// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Makes checks, thousands a second, on a thread of its own: the controller says what is watched
/// and takes what was found out. Nothing of what it decides from that (health/judge.h) happens
/// here.
///
///   auto checker = SLC_TRY(Checker::start({}, [&] { loop.post([&] { on_outcomes(); }); }),
///   "health"); checker->set(targets); for (const Outcome& outcome : checker->take()) ...
///
/// Invariants:
///  - Descriptors, programs and bytes of every answer are bounded (health/schedule.h and the
///  probes),
///    so is the queue of outcomes: who does not take them loses the oldest, counted.
///  - Whatever a backend does, no other one's check waits for it.
///  - Outcomes of one target come in order. When set() returns, there is none of a target that it
///    removed or changed.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/reactor.h"
#include "base/result.h"
#include "health/outcome.h"
#include "health/schedule.h"
#include "health/target.h"

namespace sluice::health {

class Checker {
 public:
    /// Called on the checker's thread; must not block.
    using Wake = std::function<void()>;
    /// How long a pass that follows a pass may lie before `wake` is called; everything else wakes
    /// at once. So thousands of backends that are well do not wake the taker thousands of times.
    static constexpr std::chrono::milliseconds kLongestRest{100};

    /// `wake` tells that take() has something again.
    static Result<std::unique_ptr<Checker>> start(Limits limits, Wake wake);
    Checker(const Checker&) = delete;
    Checker& operator=(const Checker&) = delete;
    ~Checker();

    /// Watches these targets, whose keys differ, and no others. Those that have not changed keep
    /// their times. Reads the files of TLS settings where they are new or have changed: what cannot
    /// be read makes checks end with Why::local and says so. To be called by one thread at a time.
    void set(std::vector<Target> targets);
    /// Suspicion: checks soon, not more often than ten times in an interval.
    void check_now(std::string key);
    /// From now on the network's own errors about tunnels (health/icmp_errors.h) are suspicions:
    /// they make every check of that backend be made soon, until it is known to be down. Again for
    /// another port. Errors: denied without CAP_NET_RAW; checks go on without.
    Result<void> hear_errors(std::uint16_t gue_port);

    /// Everything since the last call, oldest first.
    std::vector<Outcome> take();
    /// Waits for the checker's thread, so at most for what it is doing right now.
    Figures figures();

 private:
    Checker(std::unique_ptr<ReactorThread> thread, Limits limits, Wake wake);

    void on_outcome(Outcome outcome, bool is_news);
    void flush();
    std::shared_ptr<const Tls> tls_of(const Target& target);

    Wake wake_;
    std::size_t most_outcomes_;
    std::map<std::string, std::weak_ptr<const Tls>> tls_;  ///< By settings; of set()'s caller.
    std::unique_ptr<ReactorThread> thread_;
    // These four belong to the thread.
    std::vector<Outcome> resting_;
    std::unique_ptr<Timer> rest_;
    std::unique_ptr<Schedule> schedule_;
    std::unique_ptr<IcmpErrors> errors_;

    std::mutex mutex_;
    std::vector<Outcome> outcomes_;
    std::uint64_t lost_ = 0;
};

}  // namespace sluice::health
