// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_metrics.h"

#include "sluice/types.h"

namespace sluice::test {
namespace {

using namespace control;
using std::chrono::seconds;
using std::chrono::system_clock;

const system_clock::time_point kMoment = system_clock::from_time_t(1767225600);  // 2026-01-01

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

ServiceMetrics service(const char* name, const char* vip, std::uint16_t port) {
    ServiceMetrics out;
    out.name = name;
    out.vip = IpPrefix::parse(vip).value();
    out.ports = {port, port, false};
    out.group = 0;
    out.tracked = true;
    out.counts = {.packets = 1000, .bytes = 64000, .dropped_packets = 10, .dropped_bytes = 640};
    out.flows = {.hits = 7,
                 .misses = 6,
                 .inserts = 5,
                 .refused_full = 4,
                 .refused_ceiling = 3,
                 .held = 2,
                 .ids_unknown = 1,
                 .zero = 0};
    out.backends = 2;
    out.backends_ready = 1;
    return out;
}

void add_packets(MetricsSource& out) {
    const kernel::InterfaceCounts counts{
        .dropped = {10, 1000}, .passed = {20, 2000}, .sent = {40, 4000}};
    out.interfaces = {{"eth0", true, false, counts}, {"eth1", false, true, std::nullopt}};
    out.reasons.resize(std::size_t{SLC_REASON_COUNT} * SLC_FAMPROTO_COUNT);
    const auto counter = [&out](std::size_t reason, std::size_t family) -> slc_counter& {
        return out.reasons[reason * SLC_FAMPROTO_COUNT + family];
    };
    counter(SLC_REASON_FORWARDED, SLC_FAMPROTO_IP4_TCP) = {900, 57600};
    counter(SLC_REASON_NO_SUCH_PORT, SLC_FAMPROTO_IP4_TCP) = {5, 300};
    counter(SLC_REASON_NO_SUCH_PORT, SLC_FAMPROTO_IP6_UDP) = {6, 400};
    out.drops = {{std::nullopt, SLC_REASON_NO_BACKEND, {0, 0}},
                 {1, SLC_REASON_NO_BACKEND, {10, 640}}};
    // More than a double can tell: 2^63 + 1.
    out.customers = {{"acme", {9223372036854775809u, 640}}};
    out.policies = {{"strict", {3, 192}}};
}

void add_tables(MetricsSource& out) {
    MapStatus flows;
    flows.name = "slc_flows";
    flows.kind = "state";
    flows.entries = 600;
    flows.capacity = 1024;
    flows.bytes = 8192;
    flows.counted = true;
    flows.classes = {{.name = "established", .entries = 600}};
    flows.groups = {{.name = "web", .entries = 600, .share = 512, .ceiling = 1024}};
    flows.oldest = seconds(30);
    flows.swept = seconds(2);
    flows.leaving = 4;
    flows.life.emplace();
    flows.life->trend.emplace();
    flows.life->trend->full_in = seconds(90);
    MapStatus vips;
    vips.name = "vips";
    vips.kind = "generation";
    vips.capacity = 16;
    vips.bytes = 512;
    out.maps.maps = {flows, vips};
    RingChange ring;
    ring.group = "web";
    ring.change = {.preparing_slots = 1, .open_slots = 2, .marked_slots = 5, .held_slots = 1};
    out.maps.changes = {ring};
}

void add_health(MetricsSource& out) {
    GroupHealth group;
    group.group = "web";
    group.condition = "degraded";
    group.healthy = 1;
    group.counted = 2;
    group.outcomes = {{"passed", 5}, {"refused", 1}};
    for (const int ms : {1, 3, 3, 3, 700, 20'000})
        group.durations.note(std::chrono::milliseconds(ms));
    out.health = {group};
    out.checker.targets = 2;
    out.checker.waiting = 1;
    out.checker.lost_outcomes = 7;
    out.probes = kernel::ProbeCounts{.sent = 4200, .no_target = 3};
    for (const int us : {40, 60, 6'000'000})
        out.checker.lateness.add(std::chrono::microseconds(us));
}

void add_machine(MetricsSource& out) {
#define SLC_FAKE_COUNTER(kind, text)                                                        \
    out.nic.push_back(                                                                      \
        {"eth0", std::nullopt, node::NicCounterKind::kind, node::NicSource::rtnetlink, 3}); \
    out.nic.push_back({"eth0", 1, node::NicCounterKind::kind, node::NicSource::driver, 2});
    SLC_NIC_COUNTERS(SLC_FAKE_COUNTER)
#undef SLC_FAKE_COUNTER
    out.backlogs = {{.cpu = 0, .processed = 9, .dropped = 1, .time_squeezed = 2}};
    out.daemon = {.samples_lost = 1,
                  .captures_lost = 2,
                  .events_missed = 3,
                  .flows_cut = 4,
                  .cpu_us = 1'500'000};
    out.process.resident_bytes = 1 << 20;
    out.process.virtual_bytes = 1 << 22;
    out.process.open_fds = 12;
    out.process.max_fds = 1024;
    out.process.started = std::chrono::milliseconds(1767225600500);
    out.gather_s = 0.25;
}

}  // namespace

MetricsSource fake_metrics(NodeSummary summary) {
    MetricsSource out;
    out.summary = std::move(summary);
    out.version = "1.0";
    out.instruction_set = "v3";
    out.reload = {.success = true, .at = kMoment, .error = {}};
    out.awaiting = 4;
    out.confirm_left_s = 30;
    out.canary = CanaryMetrics{5, 0.125, kMoment};
    out.sampled_one_in = 1024;
    out.services = {service("web", "192.0.2.10/32", 443),
                    service("any \"six\"", "2001:db8::/64", 80)};
    out.services[1].customer = "acme";
    out.services[1].policy = "strict";
    out.groups = {"web"};
    out.backends = {{0, ip("10.0.0.5"), 1, true, 600, {890, 56960}},
                    {0, ip("2001:db8:1::7"), 0, false, 0, {0, 0}}};
    out.backends[0].healthy = true;
    out.backends[1].healthy = false;
    out.vips = {{IpPrefix::parse("192.0.2.10/32").value(), true, true},
                {IpPrefix::parse("2001:db8::/64").value(), true, false}};
    out.ways = {{"bird", true, 0}, {"bgp 192.0.2.1", false, 3}};
    add_packets(out);
    add_tables(out);
    add_health(out);
    add_machine(out);
    return out;
}

}  // namespace sluice::test
