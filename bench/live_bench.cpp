// SPDX-License-Identifier: Apache-2.0
#include "bench/live_bench.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <map>
#include <optional>
#include <thread>

#include "bench/driver.h"
#include "bench/lab.h"
#include "bench/live.h"
#include "bench/targets.h"
#include "kernel/xdp_link.h"

namespace sluice::bench {
namespace {

using Json = nlohmann::json;

const MacAddress kClientMac{{2, 0, 0, 0, 0, 0x10}};
const MacAddress kBalancerMac{{2, 0, 0, 0, 0, 0x20}};

/// What the balancer's end of the wire does; several are measured in turn.
enum class Kind { reflector, sluice, linux_forwarding, nftables };

struct Lane {
    std::string name;
    Kind kind = Kind::sluice;
    std::uint64_t flows = 100;
    std::map<unsigned, std::vector<double>> mpps;  ///< By number of cores.
    std::string why_not;                           ///< Not measured, and why.
};

class LiveBench {
 public:
    explicit LiveBench(const LiveOptions& options) : options_(options) {}
    Result<void> measure();
    Json report(std::vector<Asked>& asked) const;

 private:
    Result<void> build();
    Result<void> round(Lane& lane, unsigned cores);
    Result<void> set_up_linux(Kind kind);
    Result<double> send(Driver& driver, unsigned cores);
    [[nodiscard]] plan::NextHop back_to_client() const;

    const LiveOptions& options_;
    std::optional<Namespace> client_;
    std::optional<Namespace> balancer_;
    std::uint32_t client_index_ = 0;
    std::uint32_t balancer_index_ = 0;
    std::vector<Lane> lanes_;
    std::vector<unsigned> cores_;
};

Result<void> LiveBench::build() {
    cores_ = {1};
    if (last_cpu() > 0) cores_.push_back(last_cpu() + 1);
    client_ = SLC_TRY(Namespace::create(), "client");
    balancer_ = SLC_TRY(Namespace::create(), "balancer");
    SLC_CHECK(connect_veth(*client_, {"c0", kClientMac, "10.77.0.2/24"}, *balancer_,
                           {"l0", kBalancerMac, "10.77.0.1/24"}, last_cpu() + 1),
              "live");
    {
        const Inside inside = SLC_TRY(Inside::enter(*client_), "client");
        client_index_ = SLC_TRY(index_of("c0"), "client");
    }
    const Inside inside = SLC_TRY(Inside::enter(*balancer_), "balancer");
    balancer_index_ = SLC_TRY(index_of("l0"), "balancer");
    for (const char* name :
         {"all/rp_filter", "l0/rp_filter", "all/send_redirects", "l0/send_redirects"})
        SLC_CHECK(set_sysctl(std::string("net/ipv4/conf/") + name, "0"), "balancer");
    SLC_CHECK(run_line(fmt::format("ip neigh replace 10.77.0.2 lladdr {} dev l0 nud permanent",
                                   kClientMac.text())),
              "balancer");
    return {};
}

plan::NextHop LiveBench::back_to_client() const {
    plan::NextHop hop = test_hop();
    hop.ifindex = balancer_index_;
    hop.interface = "l0";
    hop.source = kBalancerMac;
    hop.destination = kClientMac;
    return hop;
}

/// Linux on its own: a route for the VIP back to where packets came from, and for nftables a
/// translation to four backends on that route, chosen by a hash of source address and port.
Result<void> LiveBench::set_up_linux(Kind kind) {
    const Inside inside = SLC_TRY(Inside::enter(*balancer_), "linux");
    SLC_CHECK(set_sysctl("net/ipv4/ip_forward", "1"), "linux");
    SLC_CHECK(run_line("ip route replace 192.0.2.0/24 via 10.77.0.2"), "linux");
    SLC_CHECK(run_line("ip route replace 10.88.0.0/24 via 10.77.0.2"), "linux");
    if (kind == Kind::linux_forwarding) {
        // Without connection tracking: the table of another lane must not be in the way.
        (void)run_line("nft delete table ip sluice_bench");
        return {};
    }
    return run_command({"nft", "-f", "-"},
                       "table ip sluice_bench\n"
                       "delete table ip sluice_bench\n"
                       "table ip sluice_bench {\n"
                       "  chain prerouting {\n"
                       "    type nat hook prerouting priority dstnat;\n"
                       "    ip daddr 192.0.2.10 tcp dport 80 dnat to jhash ip saddr . tcp sport "
                       "mod 4 map { 0 : 10.88.0.1, 1 : 10.88.0.2, 2 : 10.88.0.3, 3 : 10.88.0.4 }\n"
                       "  }\n"
                       "}\n");
}

Result<double> LiveBench::send(Driver& driver, unsigned cores) {
    SLC_CHECK(reset_count(driver), "count");
    std::vector<std::thread> senders;
    std::vector<Result<void>> outcomes(cores);
    for (unsigned cpu = 0; cpu < cores; ++cpu) {
        // One core: the last one, as in the test run.
        const unsigned on = cores == 1 ? last_cpu() : cpu;
        senders.emplace_back([&, cpu, on] {
            outcomes[cpu] = client_->enter();
            if (outcomes[cpu]) outcomes[cpu] = pin_to_cpu(on);
            go_first();
            if (outcomes[cpu])
                outcomes[cpu] = send_live(driver, client_index_, on, options_.packets);
        });
    }
    for (std::thread& sender : senders) sender.join();
    for (Result<void>& outcome : outcomes) SLC_CHECK(std::move(outcome), "send");
    return counted_mpps(driver);
}

Result<void> LiveBench::round(Lane& lane, unsigned cores) {
    Packets packets{Traffic::tcp4, lane.flows};
    packets.source = kClientMac;
    packets.destination = kBalancerMac;
    Driver driver = SLC_TRY(Driver::load(packets), lane.name);
    std::optional<SluiceTarget> sluice;
    kernel::XdpLink count;
    kernel::XdpLink under_test;
    {
        const Inside inside = SLC_TRY(Inside::enter(*client_), lane.name);
        count = SLC_TRY(
            kernel::attach_xdp(driver.program("bench_count"), "c0", kernel::AttachMode::native),
            lane.name);
    }
    if (lane.kind == Kind::sluice) {
        SluiceSetup setup;
        setup.ip6 = false;
        sluice = SLC_TRY(SluiceTarget::load(config_of(setup),
                                            [&](const IpAddress&) { return back_to_client(); }),
                         lane.name);
    }
    if (lane.kind == Kind::sluice || lane.kind == Kind::reflector) {
        const int program = sluice ? sluice->program() : driver.program("bench_reflect");
        const Inside inside = SLC_TRY(Inside::enter(*balancer_), lane.name);
        under_test =
            SLC_TRY(kernel::attach_xdp(program, "l0", kernel::AttachMode::native), lane.name);
    } else if (auto ready = set_up_linux(lane.kind); !ready) {
        lane.why_not = ready.error().what;
        return {};
    }
    // Several bursts and the best of them: others on the machine can only make one slower.
    double best = 0;
    for (int burst = 0; burst < 4; ++burst)
        best = std::max(best, SLC_TRY(send(driver, cores), lane.name));
    lane.mpps[cores].push_back(best);
    return {};
}

Result<void> LiveBench::measure() {
    SLC_CHECK(build(), "live");
    lanes_.push_back({"bare XDP_TX reflector", Kind::reflector, 100, {}, {}});
    lanes_.push_back({"Sluice, IPIP, 100 flows", Kind::sluice, 100, {}, {}});
    lanes_.push_back({"Sluice, IPIP, 1 M flows", Kind::sluice, 1'000'000, {}, {}});
    lanes_.push_back({"Sluice, IPIP, 10 M flows", Kind::sluice, 10'000'000, {}, {}});
    if (options_.peers) {
        lanes_.push_back({"Linux forwarding, 100 flows", Kind::linux_forwarding, 100, {}, {}});
        lanes_.push_back({"nftables DNAT, 100 flows", Kind::nftables, 100, {}, {}});
    }
    for (unsigned number = 0; number < options_.rounds; ++number) {
        for (const unsigned cores : cores_) {
            for (Lane& lane : lanes_) {
                progress(fmt::format("round {} of {}: {}, cores: {}", number + 1, options_.rounds,
                                     lane.name, cores));
                if (lane.why_not.empty()) SLC_CHECK(round(lane, cores), lane.name);
            }
        }
    }
    progress("");
    return {};
}

Json LiveBench::report(std::vector<Asked>& asked) const {
    std::vector<std::string> header{"Mpps"};
    for (const unsigned cores : cores_) {
        header.push_back(fmt::format("{} {}", cores, cores == 1 ? "core" : "cores"));
        header.emplace_back("of reflector");
    }
    Table table(header);
    Json rows = Json::array();
    const Lane& reflector = lanes_.front();
    for (const Lane& lane : lanes_) {
        std::vector<std::string> row{lane.name};
        Json by_cores = Json::object();
        for (const unsigned cores : cores_) {
            const auto it = lane.mpps.find(cores);
            if (it == lane.mpps.end()) continue;
            const Spread speed = spread_of(it->second);
            const Spread ratio = ratio_of(it->second, reflector.mpps.at(cores));
            row.push_back(text_of(speed, 2));
            row.push_back(fmt::format("{:.2f}", ratio.median));
            by_cores[std::to_string(cores)] = {{"mpps", to_json(speed)},
                                               {"of_reflector", to_json(ratio)},
                                               {"rounds_mpps", it->second}};
            if (lane.kind == Kind::sluice)
                asked.push_back(at_least(
                    fmt::format("live, {} against the reflector, {} core(s)", lane.name, cores),
                    ratio.median, 0.75));
        }
        if (!lane.why_not.empty()) row.push_back("not measured: " + lane.why_not);
        table.add(row);
        rows.push_back({{"way", lane.name}, {"cores", by_cores}, {"why_not", lane.why_not}});
    }
    fmt::print(
        "{} frames of 64 bytes a core and burst, best of 4 bursts, {} rounds: median "
        "(min..max)\n\n{}\n",
        options_.packets, options_.rounds, table.text());
    return {{"packets", options_.packets}, {"rounds", options_.rounds}, {"ways", rows}};
}

}  // namespace

Result<Json> run_live(const LiveOptions& options, std::vector<Asked>& asked) {
    LiveBench bench(options);
    SLC_CHECK(bench.measure(), "live");
    return bench.report(asked);
}

}  // namespace sluice::bench
