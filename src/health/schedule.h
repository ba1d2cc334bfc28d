// SPDX-License-Identifier: Apache-2.0
#pragma once

/// When checks begin, how many run at once, and when they are given up: the part of the checker
/// that lives on its reactor. One timer a target: while nothing runs, of the next check; while one
/// runs, of its end.
///
///  - Times are health/pace.h's: even, and never more than an interval apart.
///  - Of `Limits::in_flight` places three quarters are for targets whose last check timed out:
///    however many hang, the others find room. Who finds none waits in order; how late everybody
///    begins is counted.
///  - When this thread gets no CPU for longer than a check may take, answers are read before
///  anybody
///    is said to be late.
///  - A target is never checked twice at once.

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/reactor.h"
#include "health/command_thread.h"
#include "health/icmp_errors.h"
#include "health/icmp_port.h"
#include "health/lateness.h"
#include "health/outcome.h"
#include "health/pace.h"
#include "health/probe.h"
#include "health/target.h"
#include "health/tls.h"

namespace sluice::health {

struct Limits {
    std::size_t in_flight = 4096;    ///< Checks at once, commands apart: so many descriptors.
    std::size_t commands = 16;       ///< Programs at once.
    std::size_t outcomes = 262'144;  ///< That wait to be taken.
};

struct Figures {
    std::size_t targets = 0;
    std::size_t in_flight = 0;
    std::size_t most_in_flight = 0;
    std::size_t waiting = 0;  ///< For a place, now.
    std::size_t most_waiting = 0;
    std::uint64_t waited = 0;  ///< Checks that had to, ever.
    std::uint64_t begun = 0;
    std::uint64_t passed = 0;
    std::uint64_t failed = 0;
    std::uint64_t local = 0;           ///< Ended with Why::local.
    std::uint64_t lost_outcomes = 0;   ///< Nobody took them in time.
    IcmpErrors::Counts errors;         ///< Heard from the network.
    std::chrono::microseconds cpu{0};  ///< Of the checker's thread, ever.
    Lateness lateness;
};

/// A target and what is needed to check it.
struct Prepared {
    Target target;
    std::shared_ptr<const Tls> tls;
};

class Schedule {
 public:
    /// `is_news`: not a pass that follows a pass.
    using Sink = std::function<void(Outcome, bool is_news)>;

    Schedule(Reactor& reactor, Limits limits, std::uint64_t seed, Sink sink);
    Schedule(const Schedule&) = delete;
    Schedule& operator=(const Schedule&) = delete;
    ~Schedule();

    /// Watches these and no others. Keys of targets that were other ones before, or are gone, are
    /// returned: a check of theirs that is running ends without an outcome.
    std::vector<std::string> set(std::vector<Prepared> targets);
    /// Begins a check at once, or after the one that is running, unless one began within a tenth of
    /// the interval: then at that time. Unknown keys are none of its business.
    void check_now(const std::string& key);
    /// The same for every target of this backend that has not failed often enough already
    /// (Check::fall): whoever is known to be down is not asked more often for it.
    void suspect(const IpAddress& backend);
    [[nodiscard]] const Figures& figures();

 private:
    using Time = Reactor::Time;
    struct Entry;
    /// Who shares places: those who hang do with the rest of the same kind.
    struct Pool {
        std::size_t most = 0;
        std::size_t most_slow = 0;
        std::size_t running = 0;
        std::size_t running_slow = 0;
        std::deque<Entry*> waiting;
        std::deque<Entry*> waiting_slow;
        bool is_filling = false;
    };

    void add(Prepared prepared, Time now);
    void check_now(Entry& entry);
    void remove(Entry& entry);
    void on_timer(Entry& entry);
    void on_finding(Entry& entry, Finding finding);
    void begin(Entry& entry, bool first);
    [[nodiscard]] static bool has_place(const Pool& pool, bool is_slow);
    void run(Entry& entry);
    void release(Entry& entry);
    void fill(Pool& pool);
    [[nodiscard]] Time next_due(Entry& entry, Time now);
    Pool& pool_of(const Entry& entry);
    void count_waiting();

    Reactor& reactor_;
    Sink sink_;
    IcmpPort icmp4_;
    IcmpPort icmp6_;
    CommandThread commands_;
    ProbeShared shared_;
    Pool sockets_;
    Pool programs_;
    std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;
    std::multimap<IpAddress, Entry*> entries_of_;  ///< By the backend's own address.
    Pace pace_;
    Figures figures_;
};

}  // namespace sluice::health
