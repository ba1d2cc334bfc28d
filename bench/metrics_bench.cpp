// SPDX-License-Identifier: Apache-2.0
#include "bench/metrics_bench.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "api/client.h"
#include "api/server.h"
#include "base/log.h"
#include "bench/driver.h"
#include "bench/lab.h"
#include "control/controller.h"
#include "control/metrics_source.h"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kPlace = "/mnt";

/// Mounts of its own: a bpffs and a place for files that nobody else sees.
Result<void> make_place() {
    const std::string pins = std::string(kPlace) + "/bpf";
    const bool done = ::unshare(CLONE_NEWNS) == 0 &&
                      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                      ::mount("tmpfs", kPlace, "tmpfs", 0, "mode=0700") == 0 &&
                      std::filesystem::create_directory(pins) &&
                      ::mount("bpf", pins.c_str(), "bpf", 0, "mode=0700") == 0;
    const int saved = errno;
    if (!done) return fail(sys_error(saved, "private mounts"));
    return {};
}

std::string config_of(const MetricsOptions& options) {
    std::string out =
        "version: 2\n"
        "node: {name: metrics, interfaces: [in0], tunnel_source: {ipv4: 10.255.0.0/24}, "
        "ring_secret: 000102030405060708090a0b0c0d0e0f}\ngroups:\n";
    for (unsigned g = 0; g < options.services; ++g) {
        out += fmt::format("  group-{:05}:\n    backends: [", g);
        for (unsigned b = 0; b < options.backends; ++b) {
            const unsigned number = g * options.backends + b;
            out += fmt::format("{}10.{}.{}.{}", b == 0 ? "" : ", ", 64 + (number >> 16),
                               number >> 8 & 255, number & 255);
        }
        out += "]\n";
    }
    out += "services:\n";
    for (unsigned g = 0; g < options.services; ++g)
        out +=
            fmt::format("  - {{name: service-{:05}, vip: {}, port: {}, group: group-{:05}}}\n", g,
                        g == 0 ? kVip4 : fmt::format("198.18.{}.{}", g >> 8, g & 255), kPort, g);
    return out;
}

/// The daemon's parts, on a thread of their own.
class Node {
 public:
    static Result<std::unique_ptr<Node>> open(const MetricsOptions& options) {
        SLC_CHECK(make_place(), "metrics");
        auto out = std::unique_ptr<Node>(new Node());
        out->space_ = SLC_TRY(Namespace::create(), "metrics");
        SLC_CHECK(out->space_->enter(), "metrics");
        for (const char* line : {"ip link add in0 type veth peer name out0", "ip link set in0 up",
                                 "ip link set out0 up", "ip addr add 10.0.0.1/24 dev in0",
                                 "ip route add 10.64.0.0/10 via 10.0.0.254",
                                 "ip neigh add 10.0.0.254 lladdr 02:00:00:00:00:fe dev in0"})
            SLC_CHECK(run_line(line), "metrics");
        control::Controller::Options about;
        about.config_file = std::string(kPlace) + "/sluice.yaml";
        about.bpffs = std::string(kPlace) + "/bpf/sluice";
        about.state_dir = std::string(kPlace) + "/state";
        std::ofstream(about.config_file) << config_of(options);
        out->controller_ = SLC_TRY(control::Controller::open(about), "metrics");
        SLC_CHECK(out->controller_->apply_file(), "metrics");
        out->loop_ = SLC_TRY(api::Loop::open(), "metrics");
        api::ServerOptions listen;
        listen.socket_path = socket();
        out->server_ =
            SLC_TRY(api::Server::open(*out->loop_, listen, *out->controller_), "metrics");
        out->loop_->every(control::Controller::kChangeTick,
                          [node = out.get()] { node->controller_->on_change_tick(); });
        SLC_CHECK(out->loop_->on_readable(out->controller_->network_fd(),
                                          [node = out.get()] { node->controller_->on_network(); }),
                  "metrics");
        // The daemon's own look at what it was not told of: next hops that were not known at first.
        out->controller_->on_network();
        const auto backends = out->controller_->metrics().backends;
        const bool is_up = std::all_of(backends.begin(), backends.end(),
                                       [](const auto& backend) { return backend.up; });
        if (!is_up) return fail(Errc::internal, "a backend has no next hop");
        out->thread_ = std::thread([node = out.get()] {
            (void)pin_to_cpu(0);
            (void)node->loop_->run().has_value();
        });
        return out;
    }
    ~Node() {
        if (!thread_.joinable()) return;
        loop_->post([this] { loop_->stop(); });
        thread_.join();
    }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    static std::string socket() { return std::string(kPlace) + "/api.sock"; }
    /// The generation in force; it is the first.
    static std::string program_pin() {
        return std::string(kPlace) + "/bpf/sluice/metrics/gen/1/slc_lb_program";
    }

 private:
    Node() = default;
    std::optional<Namespace> space_;
    std::unique_ptr<control::Controller> controller_;
    std::unique_ptr<api::Loop> loop_;
    std::unique_ptr<api::Server> server_;
    std::thread thread_;
};

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
    const UniqueFd program(::bpf_obj_get(Node::program_pin().c_str()));
    const int saved = errno;
    if (!program.valid()) return fail(sys_error(saved, "open " + Node::program_pin()));
    SLC_CHECK(pin_to_cpu(last_cpu()), "packets");
    Driver driver = SLC_TRY(Driver::load({}), "packets");
    SLC_CHECK(driver.aim(program.get(), true), "packets");
    const std::uint32_t verdict = SLC_TRY(driver.run(1), "packets").verdict;
    if (verdict != XDP_TX && verdict != XDP_REDIRECT)
        return fail(Errc::internal, fmt::format("the packet is not forwarded, but {}", verdict));
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
    const auto node = SLC_TRY(Node::open(options), "metrics");
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
