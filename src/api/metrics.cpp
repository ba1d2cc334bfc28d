// SPDX-License-Identifier: Apache-2.0
#include "api/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "api/json.h"
#include "api/metrics_lines.h"
#include "health/outcome.h"
#include "plan/reasons.h"

namespace sluice::api {
namespace {

using control::BackendMetrics;
using control::MetricsSource;
using control::ServiceMetrics;

constexpr std::size_t kPieceLen = std::size_t{192} << 10;

enum class Metric : std::size_t {
#define SLC_METRIC(symbol, name, type, labels, help) symbol,
#include "api/metrics.def"
#undef SLC_METRIC
    count,
};

const control::MapStatus* flow_map(const MetricsSource& source) {
    const auto found = std::find_if(source.maps.maps.begin(), source.maps.maps.end(),
                                    [](const auto& map) { return map.name == "slc_flows"; });
    return found == source.maps.maps.end() ? nullptr : &*found;
}

// ---- rows: how many of a family there are to look at, and the lines of one ----

struct Rows {
    std::size_t (*count)(const MetricsSource&);
    void (*put)(const MetricsSource&, std::size_t row, Lines& to);
};

std::size_t one(const MetricsSource&) {
    return 1;
}
std::size_t interfaces(const MetricsSource& source) {
    return source.interfaces.size();
}
std::size_t reasons(const MetricsSource& source) {
    return source.reasons.size() / SLC_FAMPROTO_COUNT;
}
/// Behind the reasons of the whole node those of the services.
std::size_t drops(const MetricsSource& source) {
    return reasons(source) + source.drops.size();
}
std::size_t services(const MetricsSource& source) {
    return source.services.size();
}
std::size_t customers(const MetricsSource& source) {
    return source.customers.size();
}
std::size_t policies(const MetricsSource& source) {
    return source.policies.size();
}
std::size_t backends(const MetricsSource& source) {
    return source.backends.size();
}
std::size_t watched(const MetricsSource& source) {
    return source.health.size();
}
std::size_t maps(const MetricsSource& source) {
    return source.maps.maps.size();
}
std::size_t flow_classes(const MetricsSource& source) {
    const auto* flows = flow_map(source);
    return flows == nullptr ? 0 : flows->classes.size();
}
std::size_t flow_groups(const MetricsSource& source) {
    const auto* flows = flow_map(source);
    return flows == nullptr ? 0 : flows->groups.size();
}
std::size_t backlogs(const MetricsSource& source) {
    return source.backlogs.size();
}
std::size_t vips(const MetricsSource& source) {
    return source.vips.size();
}
std::size_t ways(const MetricsSource& source) {
    return source.ways.size();
}
std::size_t nic_values(const MetricsSource& source) {
    return source.nic.size();
}

void put_action(const MetricsSource& source, std::size_t row, Lines& to,
                slc_u64 slc_counter::* field) {
    const auto& interface = source.interfaces[row];
    if (!interface.counts) return;
    const std::pair<const char*, const slc_counter*> actions[] = {
        {"drop", &interface.counts->dropped},
        {"pass", &interface.counts->passed},
        {"forward", &interface.counts->sent}};
    for (const auto& [action, counter] : actions)
        to.put({{"iface", interface.name}, {"action", action}}, counter->*field);
}

void put_reason(const MetricsSource& source, std::size_t row, Lines& to,
                slc_u64 slc_counter::* field) {
    const auto& text = plan::reason_text(static_cast<slc_reason>(row));
    for (std::size_t family = 0; family <= SLC_FAMPROTO_IP6_OTHER; ++family)
        to.put({{"reason", text.label},
                {"outcome", outcome_of(text.label)},
                {"family", plan::famproto_label(static_cast<slc_famproto>(family))}},
               source.reasons[row * SLC_FAMPROTO_COUNT + family].*field);
}

/// Whether its drops are counted by service too.
bool is_by_service(slc_reason reason) {
    switch (reason) {
#define SLC_BY_SERVICE(row, symbol) \
    case SLC_REASON_##symbol:       \
        return true;
        SLC_DROP_REASONS(SLC_BY_SERVICE)
#undef SLC_BY_SERVICE
        default:
            return false;
    }
}

void put_drop(const MetricsSource& source, std::size_t row, Lines& to,
              slc_u64 slc_counter::* field) {
    if (row < reasons(source)) {
        const auto reason = static_cast<slc_reason>(row);
        if (!plan::is_drop(reason) || is_by_service(reason)) return;
        std::uint64_t sum = 0;
        for (std::size_t family = 0; family < SLC_FAMPROTO_COUNT; ++family)
            sum += source.reasons[row * SLC_FAMPROTO_COUNT + family].*field;
        return to.put({{"reason", plan::reason_text(reason).label}}, sum);
    }
    const auto& drop = source.drops[row - reasons(source)];
    const std::string_view service =
        drop.service ? std::string_view(source.services[*drop.service].name) : std::string_view();
    to.put({{"reason", plan::reason_text(drop.reason).label}, {"service", service}},
           drop.counts.*field);
}

template <typename Number>
void put_service(const MetricsSource& source, std::size_t row, Lines& to, Number value) {
    const ServiceMetrics& service = source.services[row];
    const IpPrefix& vip = service.vip;
    to.put({{"service", service.name},
            {"vip", vip.is_host() ? vip.address.text() : vip.text()},
            {"port", config::text_of(service.ports)},
            {"proto", config::name_of(service.protocol)}},
           value);
}

void put_owner(const char* label, const control::OwnerMetrics& owner, Lines& to,
               slc_u64 slc_counter::* field) {
    to.put({{label, owner.name}}, owner.counts.*field);
}

template <typename Number>
void put_backend(const MetricsSource& source, std::size_t row, Lines& to, Number value) {
    const BackendMetrics& backend = source.backends[row];
    to.put({{"group", source.groups[backend.group]}, {"backend", backend.address.text()}}, value);
}

void put_flows(const MetricsSource& source, std::size_t row, Lines& to,
               slc_u64 slc_flow_counter::* field) {
    const ServiceMetrics& service = source.services[row];
    if (service.tracked) to.put({{"service", service.name}}, service.flows.*field);
}

void put_changing(const MetricsSource& source, Lines& to) {
    std::uint64_t marked = 0, preparing = 0, open = 0, held = 0;
    for (const auto& ring : source.maps.changes) {
        marked += ring.change.marked_slots;
        preparing += ring.change.preparing_slots;
        open += ring.change.open_slots;
        held += ring.change.held_slots;
    }
    to.put({{"state", "marked"}}, marked);
    to.put({{"state", "preparing"}}, preparing);
    to.put({{"state", "open"}}, open);
    to.put({{"state", "held"}}, held);
}

void put_full_in(const control::MapStatus& map, Lines& to) {
    if (!map.life || !map.life->trend) return;
    const auto& left = map.life->trend->full_in;
    to.put({{"map", map.name}}, left ? seconds_in(*left) : std::numeric_limits<double>::infinity());
}

// The lines of each family: `s` is the source, `i` the row, `to` takes lines.
#define SLC_ROWS(symbol, count, ...)                                                       \
    case Metric::symbol:                                                                   \
        return {                                                                           \
            count, [](const MetricsSource& s, [[maybe_unused]] std::size_t i, Lines& to) { \
                __VA_ARGS__;                                                               \
            }                                                                              \
        }

Rows node_rows(Metric metric) {
    switch (metric) {
        SLC_ROWS(build_info, one,
                 to.put({{"version", s.version},
                         {"abi", std::to_string(SLC_ABI_VERSION)},
                         {"instruction_set", s.instruction_set}},
                        true));
        SLC_ROWS(node_info, one,
                 if (s.summary.generation != 0)
                     to.put({{"node", s.summary.node}, {"digest", s.summary.digest}}, true));
        SLC_ROWS(config_revision, one, to.put(s.summary.generation));
        SLC_ROWS(config_reload_success, one, to.put(s.reload.success));
        SLC_ROWS(config_reload_time, one, to.put(seconds_of(s.reload.at)));
        SLC_ROWS(config_confirm_pending, one, to.put(s.awaiting.has_value()));
        SLC_ROWS(config_confirm_left, one, to.put(s.confirm_left_s));
        SLC_ROWS(canary_running, one, to.put(s.canary.has_value()));
        SLC_ROWS(canary_share, one, to.put(s.canary ? s.canary->share : 0.0));
        SLC_ROWS(canary_start, one, to.put(s.canary ? seconds_of(s.canary->since) : 0.0));
        SLC_ROWS(sampling, one, to.put(s.sampled_one_in));
        SLC_ROWS(events_lost, one, if (!s.daemon.is_whole) return;
                 to.put({{"kind", "samples"}}, s.daemon.samples_lost);
                 to.put({{"kind", "captures"}}, s.daemon.captures_lost);
                 to.put({{"kind", "events"}}, s.daemon.events_missed));
        SLC_ROWS(services, one, to.put(std::uint64_t{s.summary.services}));
        SLC_ROWS(backends, one, to.put(std::uint64_t{s.summary.backends}));
        SLC_ROWS(interface_attached, interfaces,
                 to.put({{"iface", s.interfaces[i].name}}, s.interfaces[i].attached));
        SLC_ROWS(interface_generic, interfaces,
                 to.put({{"iface", s.interfaces[i].name}}, s.interfaces[i].generic));
        SLC_ROWS(action_packets, interfaces, put_action(s, i, to, &slc_counter::packets));
        SLC_ROWS(action_bytes, interfaces, put_action(s, i, to, &slc_counter::bytes));
        SLC_ROWS(reason_packets, reasons, put_reason(s, i, to, &slc_counter::packets));
        SLC_ROWS(reason_bytes, reasons, put_reason(s, i, to, &slc_counter::bytes));
        SLC_ROWS(drop_packets, drops, put_drop(s, i, to, &slc_counter::packets));
        SLC_ROWS(drop_bytes, drops, put_drop(s, i, to, &slc_counter::bytes));
        default:
            return {nullptr, nullptr};
    }
}

std::string vip_label(const IpPrefix& vip) {
    return vip.is_host() ? vip.address.text() : vip.text();
}

Rows announce_rows(Metric metric) {
    switch (metric) {
        SLC_ROWS(node_draining, one, to.put(s.is_draining));
        SLC_ROWS(vip_wanted, vips, to.put({{"vip", vip_label(s.vips[i].vip)}}, s.vips[i].wanted));
        SLC_ROWS(vip_announced, vips,
                 to.put({{"vip", vip_label(s.vips[i].vip)}}, s.vips[i].announced));
        SLC_ROWS(vip_conflicts, one, to.put(s.vip_conflicts));
        SLC_ROWS(announce_way_up, ways, to.put({{"way", s.ways[i].name}}, s.ways[i].up));
        SLC_ROWS(announce_resets, ways, to.put({{"way", s.ways[i].name}}, s.ways[i].resets));
        default:
            return {nullptr, nullptr};
    }
}

Rows service_rows(Metric metric) {
    switch (metric) {
        SLC_ROWS(service_info, services, const ServiceMetrics& of = s.services[i];
                 to.put({{"service", of.name},
                         {"group", of.group ? s.groups[*of.group] : std::string()},
                         {"customer", of.customer},
                         {"policy", of.policy},
                         {"forward", config::name_of(of.forward)}},
                        true));
        SLC_ROWS(service_packets, services, put_service(s, i, to, s.services[i].counts.packets));
        SLC_ROWS(service_bytes, services, put_service(s, i, to, s.services[i].counts.bytes));
        SLC_ROWS(service_dropped_packets, services,
                 put_service(s, i, to, s.services[i].counts.dropped_packets));
        SLC_ROWS(service_dropped_bytes, services,
                 put_service(s, i, to, s.services[i].counts.dropped_bytes));
        SLC_ROWS(service_new_flows, services, put_service(s, i, to, s.services[i].flows.inserts));
        SLC_ROWS(service_backends, services,
                 to.put({{"service", s.services[i].name}}, s.services[i].backends));
        SLC_ROWS(service_ready, services,
                 to.put({{"service", s.services[i].name}}, s.services[i].backends_ready));
        SLC_ROWS(customer_packets, customers,
                 put_owner("customer", s.customers[i], to, &slc_counter::packets));
        SLC_ROWS(customer_bytes, customers,
                 put_owner("customer", s.customers[i], to, &slc_counter::bytes));
        SLC_ROWS(policy_packets, policies,
                 put_owner("policy", s.policies[i], to, &slc_counter::packets));
        SLC_ROWS(policy_bytes, policies,
                 put_owner("policy", s.policies[i], to, &slc_counter::bytes));
        SLC_ROWS(backend_packets, backends, put_backend(s, i, to, s.backends[i].counts.packets));
        SLC_ROWS(backend_bytes, backends, put_backend(s, i, to, s.backends[i].counts.bytes));
        SLC_ROWS(backend_up, backends, put_backend(s, i, to, s.backends[i].up));
        SLC_ROWS(backend_weight, backends, put_backend(s, i, to, s.backends[i].weight));
        SLC_ROWS(backend_remembered, backends,
                 if (s.backends[i].remembered != 0)
                     put_backend(s, i, to, s.backends[i].remembered));
        default:
            return {nullptr, nullptr};
    }
}

Rows health_rows(Metric metric) {
    switch (metric) {
        SLC_ROWS(backend_healthy, backends,
                 if (s.backends[i].healthy) put_backend(s, i, to, *s.backends[i].healthy));
        SLC_ROWS(group_healthy, watched,
                 to.put({{"group", s.health[i].group}}, s.health[i].healthy));
        SLC_ROWS(group_counted, watched,
                 to.put({{"group", s.health[i].group}}, s.health[i].counted));
        SLC_ROWS(group_condition, watched,
                 for (const char* word : {"healthy", "degraded", "panic", "none"})
                     to.put({{"group", s.health[i].group}, {"condition", word}},
                            s.health[i].condition == word));
        SLC_ROWS(checks, watched,
                 for (const auto& [why, count] : s.health[i].outcomes)
                     to.put({{"group", s.health[i].group}, {"result", why}}, count));
        SLC_ROWS(check_duration, watched, const auto& of = s.health[i].durations;
                 to.put_histogram({{"group", s.health[i].group}}, of.kBounds, of.counts, of.sum));
        SLC_ROWS(check_late, one, const auto& of = s.checker.lateness;
                 if (!s.health.empty()) to.put_histogram({}, of.kBounds, of.cells(), of.sum()));
        SLC_ROWS(check_targets, one, to.put(s.checker.targets));
        SLC_ROWS(check_waiting, one, to.put(s.checker.waiting));
        SLC_ROWS(check_lost, one, to.put(s.checker.lost_outcomes));
        SLC_ROWS(probe_packets, one, if (!s.probes) return;
                 to.put({{"result", "sent"}}, s.probes->sent);
                 to.put({{"result", "no_target"}}, s.probes->no_target);
                 to.put({{"result", "not_ip"}}, s.probes->not_ip);
                 to.put({{"result", "no_room"}}, s.probes->no_room));
        default:
            return {nullptr, nullptr};
    }
}

Rows table_rows(Metric metric) {
    switch (metric) {
        SLC_ROWS(flow_hits, services, put_flows(s, i, to, &slc_flow_counter::hits));
        SLC_ROWS(flow_misses, services, put_flows(s, i, to, &slc_flow_counter::misses));
        SLC_ROWS(flow_refused, services, const ServiceMetrics& of = s.services[i];
                 if (!of.tracked) return;
                 to.put({{"service", of.name}, {"why", "full"}}, of.flows.refused_full);
                 to.put({{"service", of.name}, {"why", "ceiling"}}, of.flows.refused_ceiling));
        SLC_ROWS(flow_held, services, put_flows(s, i, to, &slc_flow_counter::held));
        SLC_ROWS(flow_unknown_ids, services, put_flows(s, i, to, &slc_flow_counter::ids_unknown));
        SLC_ROWS(flow_cut, one, if (s.daemon.is_whole) to.put(s.daemon.flows_cut));
        SLC_ROWS(flow_entries, flow_classes, const auto& of = flow_map(s)->classes[i];
                 to.put({{"class", of.name}}, of.entries));
        SLC_ROWS(flow_oldest, one,
                 if (const auto* flows = flow_map(s)) to.put(seconds_in(flows->oldest)));
        SLC_ROWS(flow_swept, one,
                 if (const auto* flows = flow_map(s)) to.put(seconds_in(flows->swept)));
        SLC_ROWS(flow_leaving, one, if (const auto* flows = flow_map(s)) to.put(flows->leaving));
        SLC_ROWS(group_entries, flow_groups, const auto& of = flow_map(s)->groups[i];
                 to.put({{"group", of.name}}, of.entries));
        SLC_ROWS(group_share, flow_groups, const auto& of = flow_map(s)->groups[i];
                 to.put({{"group", of.name}}, of.share));
        SLC_ROWS(group_ceiling, flow_groups, const auto& of = flow_map(s)->groups[i];
                 to.put({{"group", of.name}}, of.ceiling));
        SLC_ROWS(changing_rings, one, to.put(std::uint64_t{s.maps.changes.size()}));
        SLC_ROWS(changing_slots, one, put_changing(s, to));
        SLC_ROWS(map_entries, maps, const auto& map = s.maps.maps[i];
                 if (map.counted) to.put({{"map", map.name}}, map.entries));
        SLC_ROWS(map_max_entries, maps, const auto& map = s.maps.maps[i];
                 to.put({{"map", map.name}}, map.capacity));
        SLC_ROWS(map_pressure, maps, const auto& map = s.maps.maps[i];
                 if (map.counted && map.capacity != 0)
                     to.put({{"map", map.name}},
                            static_cast<double>(map.entries) / static_cast<double>(map.capacity)));
        SLC_ROWS(map_bytes, maps, const auto& map = s.maps.maps[i];
                 to.put({{"map", map.name}}, map.bytes));
        SLC_ROWS(map_full_in, maps, put_full_in(s.maps.maps[i], to));
        default:
            return {nullptr, nullptr};
    }
}

Rows daemon_rows(Metric metric) {
    switch (metric) {
        SLC_ROWS(backlog_processed, backlogs, const auto& of = s.backlogs[i];
                 to.put({{"cpu", std::to_string(of.cpu)}}, of.processed));
        SLC_ROWS(backlog_dropped, backlogs, const auto& of = s.backlogs[i];
                 to.put({{"cpu", std::to_string(of.cpu)}}, of.dropped));
        SLC_ROWS(backlog_squeezed, backlogs, const auto& of = s.backlogs[i];
                 to.put({{"cpu", std::to_string(of.cpu)}}, of.time_squeezed));
        SLC_ROWS(gather_seconds, one, to.put(s.gather_s));
        SLC_ROWS(process_cpu, one,
                 if (s.daemon.is_whole) to.put(static_cast<double>(s.daemon.cpu_us) / 1e6));
        SLC_ROWS(process_resident, one, to.put(s.process.resident_bytes));
        SLC_ROWS(process_virtual, one, to.put(s.process.virtual_bytes));
        SLC_ROWS(process_fds, one, to.put(s.process.open_fds));
        SLC_ROWS(process_max_fds, one, to.put(s.process.max_fds));
        SLC_ROWS(process_start, one, to.put(seconds_in(s.process.started)));
        default:
            return {nullptr, nullptr};
    }
}
#undef SLC_ROWS

Rows rows_of(Metric metric) {
    for (const auto rows :
         {node_rows, announce_rows, service_rows, health_rows, table_rows, daemon_rows})
        if (const Rows found = rows(metric); found.put != nullptr) return found;
    return {one, [](const MetricsSource&, std::size_t, Lines&) {}};
}

std::vector<MetricFamily> make_families() {
    std::vector<MetricFamily> out;
#define SLC_METRIC(symbol, name, type, labels, help) \
    out.push_back({name, MetricType::type, labels, help});
#include "api/metrics.def"
#undef SLC_METRIC
#define SLC_NIC_FAMILY(kind, text)                                                          \
    out.push_back({"sluice_nic_" #kind "_total", MetricType::counter, "iface,queue,source", \
                   "The NIC and the kernel below: " text                                    \
                   ". Never add values of different sources, nor a queue's to "             \
                   "those without a queue."});
    SLC_NIC_COUNTERS(SLC_NIC_FAMILY)
#undef SLC_NIC_FAMILY
    return out;
}

}  // namespace

const std::vector<MetricFamily>& metric_families() {
    static const std::vector<MetricFamily> families = make_families();
    return families;
}

const char* name_of(MetricType type) {
    switch (type) {
        case MetricType::gauge:
            return "gauge";
        case MetricType::counter:
            return "counter";
        case MetricType::histogram:
            return "histogram";
    }
    return "untyped";
}

// ---- a page ----

/// How many rows of each kind are told, and how many series are not.
struct MetricsPage::Bounds {
    std::size_t services = 0;
    std::size_t vips = 0;
    std::size_t drops = 0;
    std::size_t owners = 0;
    std::size_t groups = 0;
    std::size_t watched = 0;
    std::size_t backends = 0;
    std::uint64_t left_out = 0;
};

namespace {

/// Series that one of each has at most.
constexpr std::size_t kPerService = 14;
constexpr std::size_t kPerVip = 2;
constexpr std::size_t kPerDrop = 2;
constexpr std::size_t kPerOwner = 2;
constexpr std::size_t kPerGroup = 3;
constexpr std::size_t kPerBackend = 6;
/// A group that is watched: its condition, what its checks found, how long they took.
constexpr std::size_t kPerWatched = 6 + static_cast<std::size_t>(health::Why::local) + 1 +
                                    control::CheckDurations::kBounds.size() + 3;

/// What always goes out.
std::size_t fixed_series(const MetricsSource& source) {
    const std::size_t reason = std::size_t{SLC_REASON_COUNT} * (SLC_FAMPROTO_IP6_OTHER + 3) * 2;
    return static_cast<std::size_t>(Metric::count) + reason + 10 * source.interfaces.size() +
           5 * source.maps.maps.size() + 3 * source.backlogs.size() + source.nic.size() +
           2 * source.ways.size() + health::Lateness::kBounds.size() + 6;
}

/// Takes what fits of `count` rows out of the room; what does not is left out.
std::size_t take(std::size_t count, std::size_t per_row, std::size_t& room, std::uint64_t& out) {
    const std::size_t taken = std::min(count, room / per_row);
    room -= taken * per_row;
    out += (count - taken) * per_row;
    return taken;
}

MetricsPage::Bounds bounds_of(const MetricsSource& source) {
    MetricsPage::Bounds out;
    const std::size_t fixed = fixed_series(source);
    std::size_t room = source.max_series - std::min(source.max_series, fixed);
    out.services = take(source.services.size(), kPerService, room, out.left_out);
    out.vips = take(source.vips.size(), kPerVip, room, out.left_out);
    out.owners =
        take(source.customers.size() + source.policies.size(), kPerOwner, room, out.left_out);
    out.groups = take(flow_groups(source), kPerGroup, room, out.left_out);
    out.watched = take(source.health.size(), kPerWatched, room, out.left_out);
    out.drops = take(source.drops.size(), kPerDrop, room, out.left_out);
    out.backends = take(source.backends.size(), kPerBackend, room, out.left_out);
    return out;
}

std::size_t bounded(std::size_t (*count)(const MetricsSource&), const MetricsSource& source,
                    const MetricsPage::Bounds& bounds) {
    const std::size_t all = count(source);
    if (count == services) return std::min(all, bounds.services);
    if (count == vips) return std::min(all, bounds.vips);
    if (count == drops) return std::min(all, reasons(source) + bounds.drops);
    if (count == customers) return std::min(all, bounds.owners);
    if (count == policies)
        return std::min(all, bounds.owners - std::min(bounds.owners, source.customers.size()));
    if (count == flow_groups) return std::min(all, bounds.groups);
    if (count == watched) return std::min(all, bounds.watched);
    if (count == backends) return std::min(all, bounds.backends);
    return all;
}

}  // namespace

MetricsPage::MetricsPage(MetricsSource source)
    : source_(std::move(source)), bounds_(std::make_unique<Bounds>(bounds_of(source_))) {}

MetricsPage::~MetricsPage() = default;

bool MetricsPage::append(std::string& out, std::size_t len) {
    constexpr auto kOwn = static_cast<std::size_t>(Metric::count);
    const std::vector<MetricFamily>& families = metric_families();
    const std::size_t end = out.size() + len;
    for (; family_ < families.size(); ++family_, row_ = 0, has_head_ = false) {
        Lines to(out, families[family_], has_head_);
        const auto metric = static_cast<Metric>(family_);
        if (metric == Metric::series_left_out) {
            to.put(bounds_->left_out);
            continue;
        }
        const bool is_nic = family_ >= kOwn;
        const Rows rows = is_nic ? Rows{nic_values, nullptr} : rows_of(metric);
        const std::size_t count = bounded(rows.count, source_, *bounds_);
        for (; row_ < count; ++row_) {
            if (out.size() >= end) return true;
            if (!is_nic) {
                rows.put(source_, row_, to);
                continue;
            }
            const node::NicCounter& counter = source_.nic[row_];
            if (static_cast<std::size_t>(counter.kind) != family_ - kOwn) continue;
            to.put({{"iface", counter.interface},
                    {"queue", counter.queue ? std::to_string(*counter.queue) : std::string()},
                    {"source", node::name_of(counter.source)}},
                   counter.value);
        }
    }
    return false;
}

std::string MetricsPage::text() {
    std::string out;
    while (append(out, kPieceLen)) continue;
    return out;
}

Result<void> MetricsStream::step(control::NodeView& node) {
    if (!page_) {
        page_ = std::make_unique<MetricsPage>(node.metrics());
        return {};
    }
    done_ = !page_->append(piece_, kPieceLen);
    return {};
}

std::string metrics_reference() {
    std::string out =
        "# Metrics\n\n"
        "<!-- Made by `sluice reference metrics` from src/api/metrics.def; a test compares it. "
        "Do not edit. -->\n\n"
        "What `/metrics` tells. sluice-metrics(7) says how to scrape it and what counts mean.\n\n"
        "| metric | type | labels | meaning |\n|---|---|---|---|\n";
    for (const MetricFamily& family : metric_families()) {
        std::string labels;
        for (std::size_t at = 0; at < family.labels.size();) {
            const std::size_t comma = std::min(family.labels.find(',', at), family.labels.size());
            labels +=
                fmt::format("{}`{}`", at == 0 ? "" : ", ", family.labels.substr(at, comma - at));
            at = comma + 1;
        }
        out += fmt::format("| `{}` | {} | {} | {} |\n", family.name, name_of(family.type), labels,
                           family.help);
    }
    return out;
}

}  // namespace sluice::api
