// SPDX-License-Identifier: Apache-2.0
#include "bench/observe_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/client.h"
#include "base/log.h"
#include "bench/node.h"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBurst{100};

/// `sluice observe --follow` without its printing: every line is read as JSON.
class Reader {
 public:
    Reader()
        : thread_([this] {
              (void)pin_to_cpu(0);
              const api::Client client(Node::socket());
              const auto read = client.stream(
                  "/api/v1/observe?follow=1&last=0", [this](std::string_view line) -> Result<void> {
                      if (stop_) return fail(Errc::internal, "enough");
                      const auto value = nlohmann::json::parse(line, nullptr, false);
                      if (value.contains("lost"))
                          lost_ += value["lost"].get<std::uint64_t>();
                      else if (value.contains("verdict"))
                          ++samples_;
                      return {};
                  });
              if (!read && !stop_) failed_ = true;
          }) {}
    ~Reader() {
        stop_ = true;
        thread_.join();  // At the next line, or at a sign of life: packets go on meanwhile.
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    [[nodiscard]] std::uint64_t samples() const { return samples_; }
    [[nodiscard]] std::uint64_t lost() const { return lost_; }
    [[nodiscard]] bool failed() const { return failed_; }
    void stop() { stop_ = true; }

 private:
    std::atomic<bool> stop_ = false;
    std::atomic<bool> failed_ = false;
    std::atomic<std::uint64_t> samples_ = 0;
    std::atomic<std::uint64_t> lost_ = 0;
    std::thread thread_;
};

struct Load {
    double ns = 0;    ///< Median of the bursts.
    double mpps = 0;  ///< As it came out.
};

Result<Load> send(Driver& driver, const ObserveOptions& options) {
    const auto packets = static_cast<std::uint32_t>(options.mpps * 1e6 *
                                                    std::chrono::duration<double>(kBurst).count());
    std::vector<double> ns;
    const auto began = Clock::now();
    for (unsigned burst = 0; burst < options.bursts; ++burst) {
        ns.push_back(SLC_TRY(driver.run(packets), "burst").ns);
        std::this_thread::sleep_until(began + kBurst * (burst + 1));
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    return Load{spread_of(ns).median,
                static_cast<double>(packets) * options.bursts / seconds / 1e6};
}

struct Measured {
    std::vector<double> alone_ns, beside_ns, mpps;
    std::uint64_t samples = 0;
    std::uint64_t lost = 0;
};

Result<Measured> measure(const ObserveOptions& options) {
    Driver driver = SLC_TRY(Node::aimed_driver(), "packets");
    Measured out;
    (void)SLC_TRY(send(driver, options), "warm up");
    for (unsigned round = 0; round < options.rounds; ++round) {
        progress(fmt::format("observe: round {} of {}", round + 1, options.rounds));
        out.alone_ns.push_back(SLC_TRY(send(driver, options), "alone").ns);
        Reader reader;
        const auto deadline = Clock::now() + std::chrono::seconds(10);
        while (reader.samples() == 0 && !reader.failed() && Clock::now() < deadline)
            (void)SLC_TRY(driver.run(10'000), "first sample");
        const Load load = SLC_TRY(send(driver, options), "beside");
        if (reader.failed() || reader.samples() == 0)
            return fail(Errc::internal, "the reader got nothing");
        out.beside_ns.push_back(load.ns);
        out.mpps.push_back(load.mpps);
        out.samples += reader.samples();
        out.lost += reader.lost();
        reader.stop();
        (void)SLC_TRY(driver.run(10'000), "last sample");
    }
    return out;
}

}  // namespace

Result<nlohmann::json> run_observe(const ObserveOptions& options, std::vector<Asked>& asked) {
    log_setup(LogFormat::logfmt, LogLevel::error);
    progress("observe: a node is made");
    const auto node = SLC_TRY(Node::open({}), "observe");
    const Measured measured = SLC_TRY(measure(options), "observe");
    progress("");
    const Spread ratio = ratio_of(measured.beside_ns, measured.alone_ns);
    Table table({"", "median (least..most)"});
    table.add({"packet alone, ns", text_of(spread_of(measured.alone_ns))});
    table.add({"packet beside a reader, ns", text_of(spread_of(measured.beside_ns))});
    table.add({"ratio", text_of(ratio, 3)});
    table.add({"Mpps beside a reader", text_of(spread_of(measured.mpps), 2)});
    fmt::print("1 packet of 1,024 sampled; {} samples read, {} lost\n\n{}\n", measured.samples,
               measured.lost, table.text());
    asked.push_back(at_most("packet beside a reader, of one alone", ratio.median, 1.05));
    asked.push_back(at_least("Mpps", spread_of(measured.mpps).median, 0.95 * options.mpps));
    return nlohmann::json{{"packet_alone_ns", to_json(spread_of(measured.alone_ns))},
                          {"packet_beside_ns", to_json(spread_of(measured.beside_ns))},
                          {"packet_ratio", to_json(ratio)},
                          {"mpps", to_json(spread_of(measured.mpps))},
                          {"samples", measured.samples},
                          {"lost", measured.lost}};
}

}  // namespace sluice::bench
