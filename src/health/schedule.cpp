// SPDX-License-Identifier: Apache-2.0
#include "health/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace sluice::health {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

constexpr auto kGrace = std::chrono::milliseconds(50);
constexpr int kSuspicionParts = 10;  ///< Of an interval: how near two checks may be.

}  // namespace

struct Schedule::Entry final : Probe::Owner {
    enum class Stage { idle, waiting, running };

    Entry(Schedule& owner, Prepared prepared)
        : schedule(owner),
          target(std::move(prepared.target)),
          timer(owner.reactor_, [this] { schedule.on_timer(*this); }),
          tls(std::move(prepared.tls)),
          probe(make_probe(target, tls, owner.shared_, *this)) {}

    void on_finding(Finding finding) override { schedule.on_finding(*this, std::move(finding)); }

    Schedule& schedule;
    const Target target;
    Timer timer;
    const std::shared_ptr<const Tls> tls;
    std::unique_ptr<Probe> probe;
    Stage stage = Stage::idle;
    bool is_slow = false;        ///< The last check timed out.
    bool runs_as_slow = false;   ///< How the running one is counted.
    bool again = false;          ///< Suspicion came while one was running.
    bool has_grace = false;      ///< The running one got more time than its timeout.
    bool has_passed = false;     ///< The last one.
    std::uint32_t failures = 0;  ///< In a row.
    Time due;
    Time begun;
};

Schedule::Schedule(Reactor& reactor, Limits limits, std::uint64_t seed, Sink sink)
    : reactor_(reactor),
      sink_(std::move(sink)),
      icmp4_(reactor, false),
      icmp6_(reactor, true),
      commands_(limits.commands),
      shared_{.reactor = reactor, .icmp4 = icmp4_, .icmp6 = icmp6_, .commands = commands_},
      pace_(seed) {
    sockets_.most = std::max<std::size_t>(limits.in_flight, 2);
    programs_.most = std::max<std::size_t>(limits.commands, 2);
    for (Pool* pool : {&sockets_, &programs_})
        pool->most_slow = std::max<std::size_t>(pool->most * 3 / 4, 1);
}

Schedule::~Schedule() = default;

Schedule::Pool& Schedule::pool_of(const Entry& entry) {
    return entry.target.check->type == config::CheckType::command ? programs_ : sockets_;
}

std::vector<std::string> Schedule::set(std::vector<Prepared> targets) {
    const Time now = Reactor::Clock::now();
    std::vector<std::string> ended;
    std::unordered_set<std::string> wanted;
    std::vector<Prepared> fresh;
    for (Prepared& each : targets) {
        wanted.insert(each.target.key);
        const auto found = entries_.find(each.target.key);
        if (found != entries_.end() && found->second->target == each.target &&
            found->second->tls == each.tls)
            continue;
        if (found != entries_.end()) {
            ended.push_back(each.target.key);
            remove(*found->second);
            entries_.erase(found);
        }
        fresh.push_back(std::move(each));
    }
    for (auto each = entries_.begin(); each != entries_.end();) {
        if (wanted.contains(each->first)) {
            ++each;
            continue;
        }
        ended.push_back(each->first);
        remove(*each->second);
        each = entries_.erase(each);
    }
    for (Prepared& each : fresh) add(std::move(each), now);
    fill(sockets_);
    fill(programs_);
    return ended;
}

void Schedule::add(Prepared prepared, Time now) {
    auto entry = std::make_unique<Entry>(*this, std::move(prepared));
    entry->due = pace_.first(now, *entry->target.check);
    entry->timer.set_at(entry->due);
    const std::string& key = entry->target.key;
    entries_of_.emplace(entry->target.backend_address, entry.get());
    entries_[key] = std::move(entry);
}

void Schedule::remove(Entry& entry) {
    Pool& pool = pool_of(entry);
    const auto [first, last] = entries_of_.equal_range(entry.target.backend_address);
    entries_of_.erase(
        std::find_if(first, last, [&](const auto& each) { return each.second == &entry; }));
    if (entry.stage == Entry::Stage::running) release(entry);
    if (entry.stage == Entry::Stage::waiting)
        for (auto* queue : {&pool.waiting, &pool.waiting_slow}) std::erase(*queue, &entry);
}

void Schedule::check_now(const std::string& key) {
    const auto found = entries_.find(key);
    if (found != entries_.end()) check_now(*found->second);
}

void Schedule::suspect(const IpAddress& backend) {
    const auto [first, last] = entries_of_.equal_range(backend);
    std::vector<Entry*> suspects;
    for (auto each = first; each != last; ++each)
        if (each->second->failures < each->second->target.check->fall)
            suspects.push_back(each->second);
    for (Entry* each : suspects) check_now(*each);
}

void Schedule::check_now(Entry& entry) {
    if (entry.stage == Entry::Stage::running) entry.again = true;
    if (entry.stage != Entry::Stage::idle) return;
    const Time now = Reactor::Clock::now();
    const Time earliest = entry.begun + entry.target.check->interval / kSuspicionParts;
    if (entry.begun != Time{} && now < earliest) {
        // Suspicions come in swarms: the first one has made this check early already.
        entry.due = std::min(entry.due, earliest);
        entry.timer.set_at(entry.due);
        return;
    }
    entry.due = now;
    begin(entry, true);
}

void Schedule::on_timer(Entry& entry) {
    if (entry.stage == Entry::Stage::idle) return begin(entry, false);
    // Who comes late itself cannot say that an answer does: it may lie here unread.
    const Time now = Reactor::Clock::now();
    if (now - entry.timer.when() > kGrace && !std::exchange(entry.has_grace, true)) {
        entry.timer.set_at(now + kGrace);
        return;
    }
    Finding finding{.why = Why::timeout, .text = {}, .load = {}};
    finding.text = fmt::format("after {} ms: {}", entry.target.check->timeout.count(),
                               entry.probe->progress());
    on_finding(entry, std::move(finding));
}

bool Schedule::has_place(const Pool& pool, bool is_slow) {
    return pool.running < pool.most && (!is_slow || pool.running_slow < pool.most_slow);
}

void Schedule::begin(Entry& entry, bool first) {
    Pool& pool = pool_of(entry);
    auto& queue = entry.is_slow ? pool.waiting_slow : pool.waiting;
    if (queue.empty() && has_place(pool, entry.is_slow)) return run(entry);
    entry.timer.stop();
    entry.stage = Entry::Stage::waiting;
    if (first)
        queue.push_front(&entry);
    else
        queue.push_back(&entry);
    ++figures_.waited;
    count_waiting();
}

void Schedule::count_waiting() {
    figures_.waiting = 0;
    for (const Pool* pool : {&sockets_, &programs_})
        figures_.waiting += pool->waiting.size() + pool->waiting_slow.size();
    figures_.most_waiting = std::max(figures_.most_waiting, figures_.waiting);
}

void Schedule::run(Entry& entry) {
    Pool& pool = pool_of(entry);
    ++pool.running;
    entry.has_grace = false;
    entry.runs_as_slow = entry.is_slow;
    if (entry.runs_as_slow) ++pool.running_slow;
    figures_.in_flight = sockets_.running + programs_.running;
    figures_.most_in_flight = std::max(figures_.most_in_flight, figures_.in_flight);
    ++figures_.begun;
    entry.stage = Entry::Stage::running;
    entry.begun = Reactor::Clock::now();
    figures_.lateness.add(duration_cast<microseconds>(entry.begun - entry.due));
    entry.timer.set_at(entry.begun + entry.target.check->timeout);
    entry.probe->start();
}

void Schedule::release(Entry& entry) {
    entry.timer.stop();
    entry.probe->stop();
    Pool& pool = pool_of(entry);
    --pool.running;
    if (entry.runs_as_slow) --pool.running_slow;
    entry.stage = Entry::Stage::idle;
    figures_.in_flight = sockets_.running + programs_.running;
}

void Schedule::on_finding(Entry& entry, Finding finding) {
    release(entry);
    const Time now = Reactor::Clock::now();
    Outcome outcome{.key = entry.target.key,
                    .ok = finding.why == Why::passed,
                    .why = finding.why,
                    .text = std::move(finding.text),
                    .load = finding.load,
                    .duration = duration_cast<microseconds>(now - entry.begun),
                    .at = now};
    entry.is_slow = outcome.why == Why::timeout;
    ++(outcome.ok ? figures_.passed : outcome.why == Why::local ? figures_.local : figures_.failed);
    entry.due = next_due(entry, now);
    entry.timer.set_at(entry.due);
    const bool is_news = !outcome.ok || !entry.has_passed;
    entry.has_passed = outcome.ok;
    if (outcome.why != Why::local) entry.failures = outcome.ok ? 0 : entry.failures + 1;
    sink_(std::move(outcome), is_news);
    fill(pool_of(entry));
}

Schedule::Time Schedule::next_due(Entry& entry, Time now) {
    const config::Check& check = *entry.target.check;
    if (std::exchange(entry.again, false))
        return std::max(now, entry.begun + check.interval / kSuspicionParts);
    // From when it was due, so that lateness does not add up; but never to catch up.
    return std::max(now, pace_.next(entry.due, check));
}

/// Those who waited, in order, while there are places. Not entered twice: a check may end while it
/// begins, which calls this again.
void Schedule::fill(Pool& pool) {
    if (pool.is_filling) return;
    pool.is_filling = true;
    for (const bool is_slow : {false, true}) {
        auto& queue = is_slow ? pool.waiting_slow : pool.waiting;
        while (!queue.empty() && has_place(pool, is_slow)) {
            Entry* entry = queue.front();
            queue.pop_front();
            run(*entry);
        }
    }
    pool.is_filling = false;
    count_waiting();
}

const Figures& Schedule::figures() {
    figures_.targets = entries_.size();
    return figures_;
}

}  // namespace sluice::health
