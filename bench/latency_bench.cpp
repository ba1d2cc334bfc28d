// SPDX-License-Identifier: Apache-2.0
#include "bench/latency_bench.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <optional>
#include <thread>

#include "bench/driver.h"
#include "bench/echo.h"
#include "bench/lab.h"
#include "bench/live.h"
#include "bench/targets.h"
#include "kernel/agent.h"
#include "kernel/xdp_link.h"

namespace sluice::bench {
namespace {

using Json = nlohmann::json;

constexpr std::uint16_t kEchoPort = 7;
constexpr const char* kBackend = "10.78.0.2";
constexpr const char* kReflectedBackend = "10.79.0.2";
constexpr auto kNative = kernel::AttachMode::native;

MacAddress mac(std::uint8_t last) {
    return {{2, 0, 0, 0, 1, last}};
}

/// Sends at the driver's pace on CPU 0 until destroyed.
class Load {
 public:
    Load(const Namespace& where, Driver& driver, std::uint32_t ifindex) {
        // The signal only ends the system call; nobody else in this process sends it.
        struct sigaction ignore{};
        ignore.sa_handler = [](int) {};
        ::sigaction(SIGUSR1, &ignore, nullptr);
        thread_ = std::thread([this, &where, &driver, ifindex] {
            if (where.enter() && pin_to_cpu(0)) {
                while (!stop_ && send_live(driver, ifindex, 0, 1u << 30, &stop_)) {
                }
            }
            done_ = true;
        });
    }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;
    ~Load() {
        stop_ = true;
        // Again and again: the first may come just before the system call.
        while (!done_) {
            (void)::pthread_kill(thread_.native_handle(), SIGUSR1);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        thread_.join();
    }

 private:
    std::atomic<bool> stop_ = false;
    std::atomic<bool> done_ = false;
    std::thread thread_;
};

struct Lane {
    bool tcp = false;
    bool sluice = false;
    bool loaded = false;
    std::vector<Echoes> rounds;

    [[nodiscard]] std::string name() const {
        return fmt::format("{}, {}, {}", tcp ? "TCP" : "UDP", loaded ? "80 % load" : "idle",
                           sluice ? "Sluice" : "Linux forwarding");
    }
    [[nodiscard]] std::vector<double> percentiles(double share) const {
        std::vector<double> out;
        for (const Echoes& echoes : rounds) out.push_back(echoes.percentile(share));
        return out;
    }
};

Packets load_packets() {
    Packets packets{Traffic::udp4, 10'000};
    packets.source = mac(5);
    packets.destination = mac(6);
    return packets;
}

class LatencyBench {
 public:
    explicit LatencyBench(const LatencyOptions& options) : options_(options) {}
    Result<void> measure();
    Json report() const;

 private:
    Result<void> build();
    Result<void> build_balancer();
    Result<void> build_backend();
    Result<SluiceTarget> load_sluice() const;
    Result<double> most_mpps(Driver& driver) const;
    Result<void> round(Lane& lane, Driver& driver);

    const LatencyOptions& options_;
    std::optional<Namespace> client_, balancer_, backend_, generator_;
    std::uint32_t l1_ = 0, l2_ = 0, g0_ = 0;
    std::optional<kernel::Agent> agent_;
    std::optional<EchoServer> server_;
    kernel::XdpLink counting_;
    double load_mpps_ = 0;
    std::vector<Lane> lanes_;
};

Result<void> static_neighbour(const std::string& address, const MacAddress& at,
                              const char* interface) {
    return run_line(fmt::format("ip neigh replace {} lladdr {} dev {} nud permanent", address,
                                at.text(), interface));
}

Result<void> LatencyBench::build_balancer() {
    const Inside inside = SLC_TRY(Inside::enter(*balancer_), "balancer");
    for (const char* name : {"all", "l0", "l1", "l2"})
        SLC_CHECK(set_sysctl(fmt::format("net/ipv4/conf/{}/rp_filter", name), "0"), "balancer");
    SLC_CHECK(set_sysctl("net/ipv4/ip_forward", "1"), "balancer");
    SLC_CHECK(static_neighbour("10.77.0.2", mac(1), "l0"), "balancer");
    SLC_CHECK(static_neighbour(kBackend, mac(4), "l1"), "balancer");
    SLC_CHECK(run_line(fmt::format("ip route add {} via {}", kVip4, kBackend)), "balancer");
    l1_ = SLC_TRY(index_of("l1"), "balancer");
    l2_ = SLC_TRY(index_of("l2"), "balancer");
    return {};
}

Result<void> LatencyBench::build_backend() {
    {
        const Inside inside = SLC_TRY(Inside::enter(*backend_), "backend");
        for (const char* name : {"all", "b0"})
            SLC_CHECK(set_sysctl(fmt::format("net/ipv4/conf/{}/rp_filter", name), "0"), "backend");
        SLC_CHECK(run_line(fmt::format("ip addr add {}/32 dev lo", kVip4)), "backend");
        SLC_CHECK(static_neighbour("10.78.0.1", mac(3), "b0"), "backend");
        SLC_CHECK(run_line("ip route add default via 10.78.0.1"), "backend");
        kernel::AgentOptions options;
        options.interfaces = {"b0"};
        options.vips = {*IpPrefix::parse(kVip4)};
        options.from = {*IpPrefix::parse("10.255.0.0/24")};
        options.mode = kNative;
        agent_.emplace(SLC_TRY(kernel::Agent::open(options), "agent"));
    }
    server_.emplace(SLC_TRY(EchoServer::start(*backend_, kVip4, kEchoPort, 0), "backend"));
    return {};
}

Result<void> LatencyBench::build() {
    client_ = SLC_TRY(Namespace::create(), "client");
    balancer_ = SLC_TRY(Namespace::create(), "balancer");
    backend_ = SLC_TRY(Namespace::create(), "backend");
    generator_ = SLC_TRY(Namespace::create(), "generator");
    const unsigned queues = last_cpu() + 1;
    SLC_CHECK(connect_veth(*client_, {"c0", mac(1), "10.77.0.2/24"}, *balancer_,
                           {"l0", mac(2), "10.77.0.1/24"}, queues),
              "client");
    SLC_CHECK(connect_veth(*balancer_, {"l1", mac(3), "10.78.0.1/24"}, *backend_,
                           {"b0", mac(4), "10.78.0.2/24"}, queues),
              "backend");
    SLC_CHECK(connect_veth(*generator_, {"g0", mac(5), "10.79.0.2/24"}, *balancer_,
                           {"l2", mac(6), "10.79.0.1/24"}, queues),
              "generator");
    SLC_CHECK(build_balancer(), "latency");
    SLC_CHECK(build_backend(), "latency");
    {
        const Inside inside = SLC_TRY(Inside::enter(*client_), "client");
        SLC_CHECK(static_neighbour("10.77.0.1", mac(2), "c0"), "client");
        SLC_CHECK(run_line("ip route add default via 10.77.0.1"), "client");
    }
    const Inside inside = SLC_TRY(Inside::enter(*generator_), "generator");
    g0_ = SLC_TRY(index_of("g0"), "generator");
    return {};
}

/// Echoes go to the backend behind l1; the load, on the VIP's other port, back out of l2.
Result<SluiceTarget> LatencyBench::load_sluice() const {
    SluiceSetup setup;
    setup.ip6 = false;
    setup.backends = 1;
    config::Config config = config_of(setup);
    config.groups[0].backends[0].address = *IpAddress::parse(kReflectedBackend);
    config.groups.push_back(config.groups[0]);
    config.groups[1].name = "echo";
    config.groups[1].backends[0].address = *IpAddress::parse(kBackend);
    config.services.push_back(config.services[0]);
    config.services[1].name = "echo";
    config.services[1].ports = {kEchoPort, kEchoPort, false};
    config.services[1].group = 1;
    return SluiceTarget::load(config, [this](const IpAddress& backend) {
        plan::NextHop hop = test_hop();
        const bool echo = backend.text() == kBackend;
        hop.ifindex = echo ? l1_ : l2_;
        hop.source = echo ? mac(3) : mac(6);
        hop.destination = echo ? mac(4) : mac(5);
        return hop;
    });
}

/// What one core carries of the load through Sluice: the best of some bursts.
Result<double> LatencyBench::most_mpps(Driver& driver) const {
    double best = 0;
    Result<void> outcome;
    const auto burst = [&]() -> Result<void> {
        SLC_CHECK(reset_count(driver), "count");
        SLC_CHECK(send_live(driver, g0_, 0, 500'000), "burst");
        best = std::max(best, SLC_TRY(counted_mpps(driver), "count"));
        return {};
    };
    std::thread([&] {
        outcome = generator_->enter();
        if (outcome) outcome = pin_to_cpu(0);
        for (int i = 0; i < 5 && outcome; ++i) outcome = burst();
    }).join();
    SLC_CHECK(std::move(outcome), "most");
    return best;
}

Result<void> LatencyBench::round(Lane& lane, Driver& driver) {
    std::optional<SluiceTarget> sluice;
    kernel::XdpLink on_client;
    kernel::XdpLink on_generator;
    if (lane.sluice) sluice = SLC_TRY(load_sluice(), lane.name());
    {
        const Inside inside = SLC_TRY(Inside::enter(*balancer_), lane.name());
        const int program = sluice ? sluice->program() : driver.program("bench_reflect");
        on_generator = SLC_TRY(kernel::attach_xdp(program, "l2", kNative), lane.name());
        if (sluice) on_client = SLC_TRY(kernel::attach_xdp(program, "l0", kNative), lane.name());
    }
    std::optional<Driver> paced;
    std::optional<Load> load;
    if (lane.loaded) {
        // The first such lane is one of Sluice's: the rate is what it can take.
        if (load_mpps_ == 0) load_mpps_ = 0.8 * SLC_TRY(most_mpps(driver), "load");
        Packets packets = load_packets();
        packets.pace_ns = static_cast<std::uint64_t>(64'000 / load_mpps_);
        paced = SLC_TRY(Driver::load(packets), "load");
        load.emplace(*generator_, *paced, g0_);
    }
    Result<Echoes> echoes;
    std::thread([&] {
        if (auto entered = client_->enter(); !entered) {
            echoes = fail(std::move(entered).error());
            return;
        }
        (void)pin_to_cpu(last_cpu());
        go_first();
        echoes = ask_echoes(lane.tcp, kVip4, kEchoPort, options_.echoes);
    }).join();
    lane.rounds.push_back(SLC_TRY(std::move(echoes), lane.name()));
    return {};
}

Result<void> LatencyBench::measure() {
    SLC_CHECK(build(), "latency");
    Driver driver = SLC_TRY(Driver::load(load_packets()), "latency");
    {
        const Inside inside = SLC_TRY(Inside::enter(*generator_), "latency");
        counting_ =
            SLC_TRY(kernel::attach_xdp(driver.program("bench_count"), "g0", kNative), "latency");
    }
    for (const bool loaded : {false, true})
        for (const bool tcp : {false, true})
            for (const bool sluice : {true, false}) lanes_.push_back({tcp, sluice, loaded, {}});
    for (unsigned number = 0; number < options_.rounds; ++number) {
        for (Lane& lane : lanes_) {
            progress(fmt::format("round {} of {}: {}", number + 1, options_.rounds, lane.name()));
            SLC_CHECK(round(lane, driver), lane.name());
        }
    }
    counting_.fd.reset();
    progress("");
    return {};
}

Json LatencyBench::report() const {
    Table table({"round trip, us", "p50", "p99", "p99.9", "lost"});
    Json rows = Json::array();
    constexpr std::pair<const char*, double> kShares[] = {
        {"p50", 0.5}, {"p99", 0.99}, {"p99_9", 0.999}};
    for (std::size_t i = 0; i < lanes_.size(); i += 2) {
        const Lane& with = lanes_[i];
        const Lane& without = lanes_[i + 1];
        std::vector<std::string> added{fmt::format("  added by Sluice")};
        for (const Lane* lane : {&without, &with}) {
            std::vector<std::string> row{lane->name()};
            Json values = Json::object();
            std::uint64_t lost = 0;
            for (const Echoes& echoes : lane->rounds) lost += echoes.lost;
            for (const auto& [name, share] : kShares) {
                const Spread spread = spread_of(lane->percentiles(share));
                row.push_back(text_of(spread));
                values[name] = to_json(spread);
            }
            row.push_back(std::to_string(lost));
            table.add(row);
            rows.push_back({{"way", lane->name()}, {"us", values}, {"lost", lost}});
        }
        Json differences = Json::object();
        for (const auto& [name, share] : kShares) {
            std::vector<double> rounds = with.percentiles(share);
            const std::vector<double> base = without.percentiles(share);
            for (std::size_t r = 0; r < rounds.size(); ++r) rounds[r] -= base[r];
            const Spread spread = spread_of(rounds);
            added.push_back(fmt::format("{:+.1f}", spread.median));
            differences[name] = to_json(spread);
        }
        table.add(added);
        rows.back()["added_us"] = differences;
    }
    fmt::print(
        "{} echoes a round, {} rounds: median (min..max) of the rounds' percentiles; "
        "load {:.2f} Mpps on CPU 0, beside the server\n\n{}\n",
        options_.echoes, options_.rounds, load_mpps_, table.text());
    return {{"echoes", options_.echoes},
            {"rounds", options_.rounds},
            {"load_mpps", load_mpps_},
            {"ways", rows}};
}

}  // namespace

Result<Json> run_latency(const LatencyOptions& options, std::vector<Asked>&) {
    LatencyBench bench(options);
    SLC_CHECK(bench.measure(), "latency");
    return bench.report();
}

}  // namespace sluice::bench
