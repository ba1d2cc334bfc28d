// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_node.h"

#include "base/version.h"

namespace sluice::test {
namespace {

using namespace control;

constexpr std::time_t kStarted = 1767225600;  // 2026-01-01 00:00:00 UTC

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

std::vector<ReasonStatus> all_reasons() {
    return {
#define SLC_REASON(symbol, label, text, remedy) {label, text, remedy, {}},
#include "sluice/reasons.def"
#undef SLC_REASON
    };
}

void count(NodeStatus& node, std::string_view label, Traffic traffic) {
    for (ReasonStatus& reason : node.reasons)
        if (reason.label == label) reason.traffic = traffic;
}

BackendStatus backend(const char* address, std::uint32_t member, double share, Traffic traffic) {
    BackendStatus out;
    out.group = "web";
    out.address = ip(address);
    out.member = member;
    out.weight = 1;
    out.hop = plan::HopState::resolved;
    out.interface = "eth0";
    out.next_mac = MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(member)}};
    out.ring_share = share;
    out.traffic = traffic;
    out.services = {"web", "web6"};
    return out;
}

ServiceStatus service(const char* name, std::uint32_t id, const char* vip) {
    ServiceStatus out;
    out.name = name;
    out.id = id;
    out.vip = IpPrefix{ip(vip), ip(vip).bits()};
    out.ports = {80, 80, false};
    out.group = "web";
    out.ring_slots = 256;
    out.backends_total = 3;
    out.backends_ready = 3;
    return out;
}

NodeStatus healthy() {
    NodeStatus node;
    node.version = version();
    node.node = "edge-1";
    node.generation = 3;
    node.config_file = "/etc/sluice/sluice.yaml";
    node.config_digest = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";
    node.started = std::chrono::system_clock::from_time_t(kStarted);
    node.reload = {true, std::chrono::system_clock::from_time_t(kStarted + 3661), ""};
    node.instruction_set = "v4";
    node.interfaces = {{"eth0", 2, "virtio_net", "native", true, 1500}};
    node.backends = {backend("10.0.0.5", 1, 0.3359375, {4'000'000, 512'000'000}),
                     backend("10.0.0.6", 2, 0.33203125, {3'999'999, 511'999'872}),
                     backend("2001:db8:1::7", 3, 0.33203125, {1234, 157'952})};
    node.services = {service("web", 1, "192.0.2.10"), service("web6", 2, "2001:db8::10")};
    node.services[0].traffic = {8'000'000, 1'024'000'000};
    node.services[0].dropped = {7, 420};
    node.services[1].traffic = {1233, 157'824};
    node.services[1].customer = "acme";
    node.services[1].policy = "edge";
    node.reasons = all_reasons();
    count(node, "forwarded", {18'446'744'073'709'551'615u, 1'024'157'824});
    count(node, "not_ours", {512, 40'960});
    count(node, "tcp_flags_invalid", {7, 420});
    node.families = {
        {"ip4_tcp", {8'000'007, 1'024'000'420}}, {"ip6_tcp", {1233, 157'824}}, {"ip6_udp", {}}};
    node.customers = {{"acme", 1, {1233, 157'824}}};
    node.policies = {{"edge", 1, {1233, 157'824}}};
    node.programs = {{"slc_lb", 812, 2210}, {"slc_icmp", 640, 655}};
    return node;
}

NodeStatus degraded() {
    NodeStatus node = healthy();
    node.degraded = true;
    node.problems = {"the last reload was refused; the configuration before it is in force",
                     "service web6 has no backend that it can send to",
                     "eth1: the driver has no native XDP, generic is in use"};
    node.reload.success = false;
    node.reload.error =
        "/etc/sluice/sluice.yaml: 2 errors\n/etc/sluice/sluice.yaml:4:7: services[0]: no group";
    node.interfaces.push_back({"eth1", 3, "e1000", "generic", true, 1500});
    node.services[0].backends_ready = 2;
    node.services[1].backends_ready = 0;
    node.backends[0].state = config::BackendState::drain;
    node.backends[0].ring_share = 0;
    BackendStatus& lost = node.backends[2];
    lost.hop = plan::HopState::unresolved;
    lost.why = "no neighbour 2001:db8:1::7 on eth0";
    lost.interface.clear();
    lost.next_mac = {};
    count(node, "backend_unresolved", {51'234, 6'557'952});
    count(node, "no_such_port", {999, 59'940});
    count(node, "decap_source_refused", {3, 300});
    return node;
}

NodeStatus crowded() {
    NodeStatus node = healthy();
    for (std::uint32_t i = 3; i <= 14; ++i) {
        node.services.push_back(service(("service-" + std::to_string(i)).c_str(), i, "192.0.2.10"));
        node.services.back().ports = {static_cast<std::uint16_t>(8000 + i),
                                      static_cast<std::uint16_t>(8000 + i), false};
        node.services.back().traffic = {i * 100, i * 6400};
        node.problems.push_back("problem number " + std::to_string(i));
    }
    for (const char* label : {"land", "udp_len", "no_such_port", "frag_unknown", "ip_version"})
        count(node, label, {10, 600});
    node.services.back().forward = config::Forward::local;
    node.services.back().backends_ready = 0;
    node.services.back().backends_total = 0;
    return node;
}

NodeStatus empty() {
    NodeStatus node;
    node.version = version();
    node.node = "edge-1";
    node.config_file = "/etc/sluice/sluice.yaml";
    node.started = std::chrono::system_clock::from_time_t(kStarted);
    node.degraded = true;
    node.problems = {"no configuration is in force"};
    node.reasons = all_reasons();
    return node;
}

}  // namespace

NodeStatus make_status(Scene scene) {
    switch (scene) {
        case Scene::healthy:
            return healthy();
        case Scene::degraded:
            return degraded();
        case Scene::crowded:
            return crowded();
        case Scene::empty:
            return empty();
    }
    return {};
}

Result<void> FakeNode::reload() {
    ++reloads;
    if (!status_.reload.success)
        return fail(Errc::invalid, "/etc/sluice/sluice.yaml: 2 errors",
                    "sluice config check shows them");
    ++status_.generation;
    return {};
}

std::string FakeNode::config_text() {
    return "version: 1\n"
           "node:\n"
           "  interfaces: [eth0]\n"
           "  ring_secret: 000102030405060708090a0b0c0d0e0f\n"
           "services: []\n";
}

}  // namespace sluice::test
