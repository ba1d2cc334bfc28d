// SPDX-License-Identifier: Apache-2.0
#include "bench/metrics_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "api/client.h"
#include "base/log.h"
#include "bench/node.h"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Page {
    double ms = 0;
    std::size_t bytes = 0;
    std::size_t series = 0;
};

double ms_since(Clock::time_point began) {
    return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

Result<Page> scrape() {
    const api::Client client(Node::socket());
    std::string text;
    const auto began = Clock::now();
    SLC_CHECK(client.read("/metrics",
                          [&text](std::string_view bytes) -> Result<void> {
                              text += bytes;
                              return {};
                          }),
              "scrape");
    Page out{ms_since(began), text.size(), 0};
    bool is_line_start = true;
    for (const char c : text) {
        out.series += is_line_start && c != '#';
        is_line_start = c == '\n';
    }
    return out;
}

Result<double> ask_livez() {
    const auto began = Clock::now();
    (void)SLC_TRY(api::Client(Node::socket()).get("/livez"), "livez");
    return ms_since(began);
}

/// Scrapes without a pause until it is destroyed.
class Scraper {
 public:
    Scraper()
        : thread_([this] {
              (void)pin_to_cpu(0);
              while (!stop_ && !failed_) {
                  const auto page = scrape();
                  if (!page) failed_ = true;
                  ++scrapes_;
              }
          }) {}
    ~Scraper() { (void)end().has_value(); }
    Scraper(const Scraper&) = delete;
    Scraper& operator=(const Scraper&) = delete;

    /// How many there were; an error when one failed.
    Result<unsigned> end() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
        if (failed_) return fail(Errc::internal, "a scrape failed");
        return scrapes_.load();
    }

 private:
    std::atomic<bool> stop_ = false;
    std::atomic<bool> failed_ = false;
    std::atomic<unsigned> scrapes_ = 0;
    std::thread thread_;
};

/// Waits of others while scrapes run without a pause: the longest of each round's.
Result<std::vector<double>> measure_waits(const MetricsOptions& options) {
    std::vector<double> out;
    Scraper scraper;
    for (unsigned round = 0; round < options.rounds; ++round) {
        double longest = 0;
        for (int i = 0; i < 20; ++i) longest = std::max(longest, SLC_TRY(ask_livez(), "waits"));
        out.push_back(longest);
    }
    (void)SLC_TRY(scraper.end(), "waits");
    return out;
}

struct PacketTimes {
    std::vector<double> alone_ns;
    std::vector<double> beside_ns;
    unsigned scrapes = 0;
};

Result<PacketTimes> measure_packets(const MetricsOptions& options) {
    Driver driver = SLC_TRY(Node::aimed_driver(), "packets");
    PacketTimes out;
    const auto measure = [&]() -> Result<double> {
        return SLC_TRY(driver.run(options.packets), "packets").ns;
    };
    (void)SLC_TRY(measure(), "warm up");
    for (unsigned round = 0; round < options.rounds; ++round) {
        progress(fmt::format("metrics: packets, round {} of {}", round + 1, options.rounds));
        out.alone_ns.push_back(SLC_TRY(measure(), "alone"));
        Scraper scraper;
        out.beside_ns.push_back(SLC_TRY(measure(), "beside"));
        out.scrapes += SLC_TRY(scraper.end(), "beside");
    }
    return out;
}

}  // namespace

Result<nlohmann::json> run_metrics(const MetricsOptions& options, std::vector<Asked>& asked) {
    log_setup(LogFormat::logfmt, LogLevel::error);
    progress("metrics: a node is made");
    const auto node = SLC_TRY(Node::open({options.services, options.backends}), "metrics");
    std::vector<double> livez;
    std::vector<double> scrapes;
    Page page;
    (void)SLC_TRY(scrape(), "metrics");
    for (unsigned round = 0; round < options.rounds; ++round) {
        progress(fmt::format("metrics: round {} of {}", round + 1, options.rounds));
        livez.push_back(SLC_TRY(ask_livez(), "metrics"));
        page = SLC_TRY(scrape(), "metrics");
        scrapes.push_back(page.ms);
    }
    const auto waits = SLC_TRY(measure_waits(options), "metrics");
    const PacketTimes packets = SLC_TRY(measure_packets(options), "metrics");
    progress("");
    const Spread ratio = ratio_of(packets.beside_ns, packets.alone_ns);
    Table table({"", "median (least..most)"});
    table.add({"GET /metrics, ms", text_of(spread_of(scrapes))});
    table.add({"GET /livez, ms", text_of(spread_of(livez), 2)});
    table.add({"times as long", text_of(ratio_of(scrapes, livez), 0)});
    table.add({"longest wait for /livez beside scrapes, ms", text_of(spread_of(waits))});
    table.add({"packet alone, ns", text_of(spread_of(packets.alone_ns))});
    table.add({"packet beside scrapes, ns", text_of(spread_of(packets.beside_ns))});
    table.add({"ratio", text_of(ratio, 3)});
    fmt::print(
        "{} services of {} backends: {} series in {} bytes; {} scrapes beside packets\n\n{}\n",
        options.services, options.backends, page.series, page.bytes, packets.scrapes, table.text());
    asked.push_back(at_least("series", static_cast<double>(page.series), 50'000));
    asked.push_back(at_most("scrape, s", spread_of(scrapes).median / 1000, 0.5));
    asked.push_back(at_most("packet beside scrapes, of one alone", ratio.median, 1.05));
    return nlohmann::json{{"services", options.services},
                          {"backends", options.backends},
                          {"series", page.series},
                          {"bytes", page.bytes},
                          {"scrape_ms", to_json(spread_of(scrapes))},
                          {"livez_ms", to_json(spread_of(livez))},
                          {"longest_wait_ms", to_json(spread_of(waits))},
                          {"packet_alone_ns", to_json(spread_of(packets.alone_ns))},
                          {"packet_beside_ns", to_json(spread_of(packets.beside_ns))},
                          {"packet_ratio", to_json(ratio)},
                          {"scrapes_beside", packets.scrapes}};
}

}  // namespace sluice::bench
