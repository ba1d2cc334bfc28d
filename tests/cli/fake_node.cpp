// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_node.h"

#include <algorithm>

#include "base/version.h"
#include "control/metrics_source.h"
#include "tests/cli/fake_announce.h"
#include "tests/cli/fake_health.h"
#include "tests/cli/fake_metrics.h"
#include "tests/cli/fake_top.h"

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
    out.configured_weight = 1;
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
    node.backends[0].configured_state = config::BackendState::drain;
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

ChangeStatus open_window() {
    ChangeStatus out;
    out.open_slots = 80;
    out.marked_slots = 86;
    out.window_left = std::chrono::milliseconds(899'400);
    return out;
}

NodeStatus changing() {
    NodeStatus node = healthy();
    BackendStatus& drained = node.backends[0];
    drained.state = config::BackendState::drain;
    drained.overridden = true;
    drained.override_left = std::chrono::seconds(3540);
    drained.remembered = 1234;
    drained.change = open_window();
    drained.change.held_slots = 2;
    drained.change.deadline_left = std::chrono::minutes(30);
    BackendStatus& heavier = node.backends[1];
    heavier.weight = 10;
    heavier.overridden = true;
    heavier.change = open_window();
    BackendStatus retired = backend("10.0.0.9", 4, 0, {77, 5000});
    retired.retired = true;
    retired.remembered = 1;
    retired.cut = 3;
    retired.services.clear();
    retired.change.marked_slots = 5;
    node.backends.push_back(retired);
    return node;
}

NodeStatus watched() {
    NodeStatus node = healthy();
    node.degraded = true;
    node.problems = {"group spare: panic, 1 of 4 backends is healthy: failed ones stay in"};
    const HealthStatus health = make_health(Scene::watched);
    for (std::size_t i = 0; i < node.backends.size(); ++i) {
        const BackendHealth& of = health.backends[i];
        BackendStatus& backend = node.backends[i];
        backend.health = of.state;
        backend.part = of.part;
        if (!of.is_out) continue;
        backend.health_why = of.explanation;
        backend.state = config::BackendState::down;
        backend.ring_share = 0;
    }
    node.backends[0].ring_share = 1;
    for (ServiceStatus& service : node.services) service.backends_ready = 1;
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
        case Scene::awaiting:
        case Scene::canary:
            return healthy();
        case Scene::degraded:
            return degraded();
        case Scene::crowded:
            return crowded();
        case Scene::changing:
            return changing();
        case Scene::watched:
            return watched();
        case Scene::empty:
            return empty();
    }
    return {};
}

NodeSummary FakeNode::summary() const {
    return {status_.node,        status_.generation,      status_.config_digest,
            status_.config_file, status_.services.size(), status_.backends.size()};
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

FakeNode::FakeNode(Scene scene, FakeFlows flows)
    : configured(waiting_in(scene)),
      scene_(scene),
      status_(make_status(scene)),
      flows_(flows),
      announced_(make_announcements(scene)) {
    status_.standing = announced_.node;
}

AnnounceStatus FakeNode::announcements() {
    if (drain_phase_ > 0 && ++drain_phase_ == 4) set_node_state(announced_, NodeState::drained);
    return announced_;
}

Result<AnnounceStatus> FakeNode::order_node(const NodeOrder& order) {
    last_node_order = order;
    if (order.drain && !announced_.is_configured)
        return fail(Errc::conflict, "nothing announces the VIPs of this node",
                    "the configuration has no section announce: routers have to be told another "
                    "way");
    const auto moment = std::chrono::system_clock::from_time_t(kStarted + 600);
    announced_.node = {};
    announced_.node.since = moment;
    drain_phase_ = order.drain ? 1 : 0;
    if (order.drain) {
        announced_.node.withdraw_at = moment + std::chrono::seconds(30);
        announced_.node.until_quiet = order.until_quiet;
        if (order.deadline) announced_.node.deadline = moment + *order.deadline;
        if (order.keep) announced_.node.ready_at = moment + *order.keep;
    }
    set_node_state(announced_, order.drain ? NodeState::draining : NodeState::ready);
    status_.standing = announced_.node;
    return announced_;
}

Result<HealthStatus> FakeNode::health(const HealthQuery& query) {
    HealthStatus out = make_health(scene_);
    if (query.owner.empty()) return out;
    const std::string group = query.owner == "web6" ? "web" : query.owner;
    const auto is_other = [&group](const auto& each) { return each.group != group; };
    if (group != "web" && std::all_of(out.groups.begin(), out.groups.end(), is_other))
        return fail(Errc::not_found, "no group or service '" + query.owner + "' with backends",
                    "sluice backend list shows them all");
    if (query.backend && find(query.owner, *query.backend) == nullptr)
        return fail(backend(query.owner, *query.backend).error());
    std::erase_if(out.groups, is_other);
    std::erase_if(out.backends, [&](const auto& each) {
        return is_other(each) || (query.backend && each.address != *query.backend);
    });
    if (!query.history)
        for (BackendHealth& each : out.backends) each.history.clear();
    return out;
}

BackendStatus* FakeNode::find(const std::string& owner, const IpAddress& address) {
    for (BackendStatus& backend : status_.backends) {
        const bool is_owner = backend.group == owner ||
                              std::find(backend.services.begin(), backend.services.end(), owner) !=
                                  backend.services.end();
        if (is_owner && backend.address == address) return &backend;
    }
    return nullptr;
}

Result<BackendStatus> FakeNode::backend(const std::string& owner, const IpAddress& address) {
    BackendStatus* found = find(owner, address);
    if (found == nullptr)
        return fail(Errc::not_found, "no backend '" + owner + "/" + address.text() + "'",
                    "sluice backend list shows them all");
    if (phase_ == 0) return *found;
    const bool has_deadline = found->change.deadline_left.count() > 0;
    phase_ = has_deadline ? std::min(phase_ + 1, 3) : phase_ + 1;
    ChangeStatus& change = found->change;
    change.preparing_slots = 0;
    change.open_slots = phase_ < 4 ? 86 : 0;
    change.held_slots = phase_ == 3 ? 2 : 0;
    change.marked_slots = phase_ < 4 ? 86 : phase_ == 4 ? 40 : 0;
    change.window_left = std::chrono::minutes(phase_ < 4 ? 15 : 0);
    static constexpr std::uint64_t kRemembered[] = {0, 0, 1200, 1300, 33, 0};
    found->remembered = kRemembered[std::min(phase_, 5)];
    return *found;
}

Result<BackendStatus> FakeNode::order(const BackendOrder& order) {
    BackendStatus* found = find(order.owner, order.address);
    if (found == nullptr) return backend(order.owner, order.address);
    last_order = order;
    if (found->retired)
        return fail(Errc::conflict, "10.0.0.9 is retired: no configuration has it",
                    "its flows end by themselves; sluice flow purge ends them now");
    if (order.state == config::BackendState::ready && order.weight == 0)
        return fail(Errc::invalid, "a ready backend of weight 0", "--state drain says the same");
    found->overridden = !order.reset;
    found->state = order.reset ? found->configured_state : order.state.value_or(found->state);
    found->weight = order.reset ? found->configured_weight : order.weight.value_or(found->weight);
    found->override_left = order.keep.value_or(std::chrono::seconds(0));
    found->change = {};
    found->change.preparing_slots = 86;
    found->change.marked_slots = 86;
    found->change.window_left = std::chrono::seconds(903);
    found->change.deadline_left = order.deadline.value_or(std::chrono::seconds(0));
    phase_ = 1;
    return *found;
}

Result<FlowPage> FakeNode::flows(const FlowQuery& query, FlowAction action, std::uint64_t cursor) {
    ++steps;
    if (!query.group.empty() && query.group != "web" && query.group != "web6")
        return fail(Errc::not_found, "no group or service '" + query.group + "'",
                    "sluice service list shows them all");
    if (cursor >= flows_.fails_at) return fail(Errc::system, "the table was lost");
    static const IpAddress kBackends[] = {ip("10.0.0.5"), ip("10.0.0.6"), ip("2001:db8:1::7")};
    FlowPage page;
    page.next = std::min(cursor + flows_.step_len, flows_.count);
    page.done = page.next == flows_.count;
    for (std::uint64_t i = cursor; i < page.next; ++i) {
        FlowRecord record;
        record.group = "web";
        record.backend = kBackends[i % 3];
        record.flow_class = static_cast<FlowClass>(i % 4);
        record.age = std::chrono::milliseconds(i * 1500);
        record.expires = std::chrono::milliseconds(900'000 - i % 600 * 1500);
        record.bucket = static_cast<std::uint32_t>(i * 8);
        record.fingerprint = 0x3'0000'0000 + i;
        if ((query.backend && record.backend != *query.backend) ||
            (query.flow_class && record.flow_class != *query.flow_class) ||
            (query.min_age && record.age < *query.min_age) ||
            (query.max_age && record.age > *query.max_age))
            continue;
        ++page.matched;
        if (action == FlowAction::purge) ++purged;
        if (action == FlowAction::list) page.records.push_back(std::move(record));
    }
    return page;
}

Result<FlowAnswer> FakeNode::flow(const FlowTuple& tuple) {
    FlowAnswer out;
    out.why = "not_ours";
    out.text = "no VIP has this address; Linux gets the packet";
    if (tuple.destination != ip("192.0.2.10")) return out;
    out.why = "no_such_port";
    out.text = "the VIP has no service on this port; the packet is dropped";
    if (tuple.destination_port == 81) return out;
    out.service = "web";
    out.group = "web";
    out.hash = 0x0123'4567'89ab'cdef;
    out.ring_slots = 256;
    out.slot = 17;
    out.current = ip("10.0.0.6");
    out.previous = ip("10.0.0.6");
    out.backend = ip("10.0.0.6");
    out.why = tuple.id.empty() ? "ring" : "server_id";
    out.text = tuple.id.empty() ? "its slot says so" : "the packet names it";
    if (tuple.destination_port != 80 || !tuple.id.empty()) return out;
    out.previous = ip("10.0.0.5");
    out.marked = true;
    out.open = true;
    out.held = tuple.syn;
    out.backend = ip("10.0.0.5");
    out.why = tuple.syn ? "refused" : "remembered";
    out.text = tuple.syn ? "it would find no room to be remembered" : "it began there";
    if (tuple.syn) return out;
    out.remembered = FlowRecord{0x3'0000'0001,
                                4711,
                                "web",
                                ip("10.0.0.5"),
                                FlowClass::established,
                                std::chrono::milliseconds(3400),
                                std::chrono::milliseconds(896'600)};
    return out;
}

namespace {

MapStatus fragments() {
    MapStatus frags;
    frags.name = "slc_frags";
    frags.kind = "state";
    frags.counted = true;
    frags.entries = 40;
    frags.capacity = 4096;
    frags.bytes = 65'536;
    frags.oldest = std::chrono::seconds(14);
    frags.life = TableLife{.trend = observe::TableView{.growth = {0.4, 0, 0}, .full_in = {}},
                           .counts_inserts = false,
                           .expired = 900,
                           .ages = {10, 25, 5, 0, 0, 0},
                           .services = {{"web", 30}, {"web6", 10}}};
    return frags;
}

}  // namespace

MapsStatus FakeNode::maps() {
    MapsStatus out;
    MapStatus services;
    services.name = "slc_services";
    services.kind = "generation";
    services.counted = true;
    services.entries = 3;
    services.capacity = 65536;
    services.bytes = 4'194'304;
    MapStatus flows;
    flows.name = "slc_flows";
    flows.kind = "state";
    flows.counted = true;
    flows.entries = status_.backends.size() > 3 ? 1'000'000 : 6;
    flows.capacity = 1'048'576;
    flows.bytes = 8'388'608;
    flows.classes = {{.name = "embryonic", .entries = 2}, {.name = "established", .entries = 4}};
    MapStatus::Use use;
    use.name = "web";
    use.entries = flows.entries;
    use.share = 104'857;
    use.ceiling = 524'288;
    use.hits = 123'456;
    use.misses = 789;
    use.inserts = 6;
    use.ids_unknown = 5;
    flows.groups = {use};
    flows.oldest = std::chrono::milliseconds(123'456);
    flows.swept = std::chrono::milliseconds(2345);
    flows.life = TableLife{.trend = observe::TableView{.pressure = 6.0 / 1'048'576, .full_in = {}},
                           .counts_inserts = true,
                           .expired = 3,
                           .ages = {1, 1, 3, 1, 0, 0},
                           .services = {}};
    if (status_.backends.size() > 3) {
        flows.groups[0].refused_full = 4;
        flows.groups[0].refused_ceiling = 3;
        flows.groups[0].held = 2;
        flows.leaving = 512;
        flows.life->trend = observe::TableView{.pressure = 0.954,
                                               .level = observe::TableLevel::critical,
                                               .growth = {120.5, 100, 20},
                                               .inserts = {200, 180.25, 40},
                                               .refused = {3, 0.5, 0.1},
                                               .expired = {79.5, 80.25, 20},
                                               .evicted = {0, 0, 0},
                                               .full_in = std::chrono::seconds(403)};
        flows.groups[0].trend = observe::TableView{.pressure = 1.9,
                                                   .level = observe::TableLevel::critical,
                                                   .full_in = std::chrono::seconds(0)};
        out.changes = {{"web", config::Balance::maglev, 256, status_.backends[0].change}};
    }
    MapStatus samples;
    samples.name = "slc_samples";
    samples.kind = "state";
    samples.capacity = 1024;
    samples.bytes = 262'144;
    out.maps = {services, flows, fragments(), samples};
    return out;
}

control::MetricsSource FakeNode::metrics() {
    control::MetricsSource out = fake_metrics(summary());
    move_on(out, seconds_++, status_.services.size() > 2);
    return out;
}

}  // namespace sluice::test
