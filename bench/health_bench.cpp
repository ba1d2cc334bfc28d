// SPDX-License-Identifier: Apache-2.0
#include "bench/health_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "bench/health_servers.h"
#include "health/checker.h"

namespace sluice::bench {
namespace {

using health::Checker;
using health::Target;
using std::chrono::milliseconds;

struct Scenario {
    const char* name;
    std::vector<config::CheckType> types;  ///< Each backend is checked by all of them.
    /// One in so many backends: handshakes cost the server, on this same machine, as much again.
    unsigned one_in = 1;
};

const std::vector<Scenario>& scenarios() {
    static const std::vector<Scenario> all{
        {"tcp", {config::CheckType::tcp}, 1},
        {"http", {config::CheckType::http}, 1},
        {"tcp and http", {config::CheckType::tcp, config::CheckType::http}, 1},
        {"https, one in four backends", {config::CheckType::https}, 4},
    };
    return all;
}

std::vector<Target> targets_of(const Scenario& scenario, const HealthOptions& options,
                               const HealthServers& servers) {
    std::vector<Target> out;
    for (const config::CheckType type : scenario.types) {
        config::Check check;
        check.type = type;
        check.interval = milliseconds(options.interval_ms);
        check.timeout = check.interval;
        check.tls.verify = false;
        check.http.body = "ok";
        const auto shared = std::make_shared<const config::Check>(check);
        for (std::uint32_t i = 0; i < options.backends / scenario.one_in; ++i) {
            Target target;
            target.key = fmt::format("group/{}/{}", static_cast<int>(type), i);
            target.check = shared;
            // 127.16.0.1 and on.
            target.address = IpAddress::from_ip4(__builtin_bswap32(0x7f10'0001 + i));
            target.port =
                type == config::CheckType::https ? servers.https_port() : servers.http_port();
            out.push_back(std::move(target));
        }
    }
    return out;
}

struct Round {
    double rate = 0;       ///< Checks a second.
    double cpu = 0;        ///< Of one core, %.
    double each_us = 0;    ///< CPU time of a check.
    double median_ms = 0;  ///< Lateness.
    double p99_ms = 0;
    double most_ms = 0;
    std::uint64_t failed = 0;
};

double ms_of(std::chrono::microseconds time) {
    return static_cast<double>(time.count()) / 1000;
}

/// Takes outcomes as a controller would, until `end`.
class Taker {
 public:
    void wake() {
        const std::lock_guard lock(mutex_);
        has_more_ = true;
        condition_.notify_one();
    }
    void take_until(Checker& checker, std::chrono::steady_clock::time_point end) {
        for (;;) {
            std::unique_lock lock(mutex_);
            if (!condition_.wait_until(lock, end, [this] { return has_more_; })) return;
            has_more_ = false;
            lock.unlock();
            checker.take();
        }
    }

 private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool has_more_ = false;
};

Result<Round> measure(const std::vector<Target>& targets, const HealthOptions& options) {
    Taker taker;
    auto checker = SLC_TRY(Checker::start({}, [&] { taker.wake(); }), "checker");
    checker->set(targets);
    // Every target's first check comes within an interval.
    auto end = std::chrono::steady_clock::now() + milliseconds(options.interval_ms);
    taker.take_until(*checker, end);
    const health::Figures before = checker->figures();
    const auto begin = std::chrono::steady_clock::now();
    taker.take_until(*checker, begin + std::chrono::seconds(options.seconds));
    const health::Figures after = checker->figures();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const std::chrono::duration<double> cpu = after.cpu - before.cpu;
    const auto checks = static_cast<double>(after.begun - before.begun);
    return Round{.rate = checks / took.count(),
                 .cpu = 100 * cpu.count() / took.count(),
                 .each_us = 1e6 * cpu.count() / checks,
                 .median_ms = ms_of(after.lateness.quantile(0.5)),
                 .p99_ms = ms_of(after.lateness.quantile(0.99)),
                 .most_ms = ms_of(after.lateness.most()),
                 .failed = after.failed + after.local};
}

Spread spread_over(const std::vector<Round>& rounds, double Round::* figure) {
    std::vector<double> values;
    for (const Round& round : rounds) values.push_back(round.*figure);
    return spread_of(std::move(values));
}

bool is_wanted(const HealthOptions& options, const std::string& name) {
    return options.only.empty() ||
           std::any_of(options.only.begin(), options.only.end(), [&](const std::string& part) {
               return name.find(part) != std::string::npos;
           });
}

void judge(const Scenario& scenario, const std::vector<Round>& rounds, std::vector<Asked>& asked) {
    const std::string name = scenario.name;
    std::uint64_t failed = 0;
    for (const Round& round : rounds) failed += round.failed;
    asked.push_back(at_most(name + ": checks that failed", static_cast<double>(failed), 0));
    if (scenario.types.size() == 2)
        asked.push_back(at_most(name + ": CPU of the checker, % of one core",
                                spread_over(rounds, &Round::cpu).median, 20));
    asked.push_back(at_most(name + ": the latest check of all, ms",
                            spread_over(rounds, &Round::most_ms).max, 100));
}

}  // namespace

Result<nlohmann::json> run_health(const HealthOptions& options, std::vector<Asked>& asked) {
    const HealthServers servers = SLC_TRY(HealthServers::start(), "health");
    Table table({"checks", "a second", "CPU, % of one core", "CPU of each, us", "late: median, ms",
                 "p99, ms", "latest, ms"});
    nlohmann::json rows = nlohmann::json::array();
    for (const Scenario& scenario : scenarios()) {
        if (!is_wanted(options, scenario.name)) continue;
        const std::vector<Target> targets = targets_of(scenario, options, servers);
        std::vector<Round> rounds;
        for (unsigned i = 0; i < options.rounds; ++i) {
            progress(
                fmt::format("health: {}, round {} of {}", scenario.name, i + 1, options.rounds));
            rounds.push_back(SLC_TRY(measure(targets, options), scenario.name));
        }
        const Spread rate = spread_over(rounds, &Round::rate);
        const Spread cpu = spread_over(rounds, &Round::cpu);
        const Spread each = spread_over(rounds, &Round::each_us);
        const Spread median = spread_over(rounds, &Round::median_ms);
        const Spread p99 = spread_over(rounds, &Round::p99_ms);
        const Spread most = spread_over(rounds, &Round::most_ms);
        table.add({scenario.name, text_of(rate, 0), text_of(cpu), text_of(each), text_of(median, 2),
                   text_of(p99, 2), text_of(most, 1)});
        rows.push_back({{"checks", scenario.name},
                        {"per_second", to_json(rate)},
                        {"cpu_percent", to_json(cpu)},
                        {"cpu_each_us", to_json(each)},
                        {"late_median_ms", to_json(median)},
                        {"late_p99_ms", to_json(p99)},
                        {"late_most_ms", to_json(most)}});
        judge(scenario, rounds, asked);
    }
    progress("");
    fmt::print(
        "{} backends, each checked every {} ms less up to 10 % of jitter; lateness up to "
        "the bound of its cell\n\n{}\n",
        options.backends, options.interval_ms, table.text());
    return nlohmann::json{{"backends", options.backends}, {"health", std::move(rows)}};
}

}  // namespace sluice::bench
