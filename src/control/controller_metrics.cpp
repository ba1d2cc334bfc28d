// SPDX-License-Identifier: Apache-2.0

/// What the controller tells /metrics, and how counts stay with their names.

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "base/log.h"
#include "base/version.h"
#include "control/controller.h"
#include "control/metrics_source.h"
#include "kernel/pinned_text.h"
#include "node/nic_counters.h"
#include "observe/losses.h"

namespace sluice::control {
namespace {

constexpr const char* kLedgerPin = "/counter_ledger";
/// What counters of others said last need not be kept at each reading (counter_ledger.h).
constexpr std::chrono::minutes kKeepReadEvery{1};
/// Words of a service: its counter, that of its flows, and its drops by row.
constexpr std::size_t kServiceWords = sizeof(slc_service_counter) / 8;
constexpr std::size_t kFlowWords = sizeof(slc_flow_counter) / 8;
constexpr std::size_t kCounterWords = sizeof(slc_counter) / 8;

/// Adds to a counter its share of `words`, from `at` on.
template <typename Counter>
void add_words(std::vector<Counter>& counters, std::size_t index, const CounterLedger::Words& words,
               std::size_t at = 0) {
    constexpr std::size_t kWords = sizeof(Counter) / sizeof(std::uint64_t);
    if (index >= counters.size()) return;
    std::array<std::uint64_t, kWords> value{};
    std::memcpy(value.data(), &counters[index], sizeof(Counter));
    for (std::size_t i = 0; i < kWords && at + i < words.size(); ++i) value[i] += words[at + i];
    std::memcpy(&counters[index], value.data(), sizeof(Counter));
}

template <typename Counter>
void append_words(CounterLedger::Words& to, const std::vector<Counter>& counters,
                  std::size_t index) {
    constexpr std::size_t kWords = sizeof(Counter) / sizeof(std::uint64_t);
    std::array<std::uint64_t, kWords> value{};
    if (index < counters.size()) std::memcpy(value.data(), &counters[index], sizeof(Counter));
    to.insert(to.end(), value.begin(), value.end());
}

/// What names have counted: cells, and what the ledger says of them.
void settle(const CounterLedger& ledger, CellKind kind, const plan::IdSpace& ids,
            std::vector<slc_counter>& counters) {
    for (const auto& [id, cell] : ledger.cells(kind))
        if (ids.find(cell.name) == id) add_words(counters, id, cell.offset);
}

std::vector<OwnerMetrics> owners_of(const std::map<std::string, std::uint32_t>& names,
                                    const std::vector<slc_counter>& counters) {
    std::vector<OwnerMetrics> out;
    for (const auto& [name, id] : names)
        out.push_back({name, id < counters.size() ? counters[id] : slc_counter{}});
    return out;
}

bool takes_traffic(const config::Backend& backend) {
    return backend.state == config::BackendState::ready && backend.weight > 0;
}

std::optional<bool> healthy_of(const health::Judge* judge) {
    if (judge == nullptr || judge->state() == health::State::unknown) return {};
    return judge->state() == health::State::up;
}

/// Of each group, how many backends there are that take traffic and can be reached, by variant.
using Ready = std::vector<std::array<std::uint32_t, SLC_VARIANTS>>;

}  // namespace

CounterLedger& Controller::ledger() {
    const std::string path = instance_ ? instance_->state_directory() + kLedgerPin : std::string();
    if (path == ledger_pin_) return ledger_;
    ledger_pin_ = path;
    ledger_ = {};
    auto text = kernel::read_pinned_text(path);
    if (!text && text.error().code == Errc::not_found) return ledger_;
    auto read = text ? CounterLedger::from_text(*text) : fail(std::move(text).error());
    if (read)
        ledger_ = std::move(*read);
    else
        log_event(LogLevel::error, "metrics.ledger_lost", {{"error", read.error().what}});
    return ledger_;
}

void Controller::keep_ledger(bool also_read) {
    if (!ledger().take_changed(also_read) || ledger_pin_.empty()) return;
    auto written = kernel::write_pinned_text(ledger_pin_, ledger_.to_text());
    if (!written)
        log_event(LogLevel::error, "metrics.ledger_not_kept", {{"error", written.error().what}});
}

/// As soon as ids that were given to other names count for them, and not before: a change that is
/// refused half-way leaves every count whose it was.
void Controller::hand_over_counts(plan::IdStore& ids) {
    const auto services = ids.services.take_handovers();
    const auto members = ids.members.take_handovers();
    const auto customers = ids.customers.take_handovers();
    const auto policies = ids.policies.take_handovers();
    if (!state_) return;
    if (!services.empty()) {
        const auto counters = state_->services();
        const auto flows = state_->flow_counters();
        const auto drops = state_->drops();
        for (const auto& each : services) {
            CounterLedger::Words raw;
            append_words(raw, counters, each.id);
            append_words(raw, flows, each.id);
            for (std::size_t row = 0; row < SLC_DROP_ROWS; ++row)
                append_words(raw, drops, std::size_t{each.id} * SLC_DROP_ROWS + row);
            ledger().hand_over(CellKind::service, each.id, each.from, each.to, raw);
        }
    }
    const auto hand_over = [this](CellKind kind, const std::vector<plan::IdSpace::Handover>& list,
                                  const std::vector<slc_counter>& counters) {
        for (const auto& each : list) {
            CounterLedger::Words raw;
            append_words(raw, counters, each.id);
            ledger().hand_over(kind, each.id, each.from, each.to, raw);
        }
    };
    if (!members.empty()) hand_over(CellKind::member, members, state_->members());
    if (!customers.empty()) hand_over(CellKind::customer, customers, state_->customers());
    if (!policies.empty()) hand_over(CellKind::policy, policies, state_->policies());
    keep_ledger();
}

/// Rows in which several interfaces count are said once.
void Controller::note_shared_rows(const std::set<std::string>& shared) {
    for (const std::string& interfaces : shared)
        if (!shared_rows_.contains(interfaces))
            log_event(LogLevel::warning, "metrics.row_shared", {{"interfaces", interfaces}});
    shared_rows_ = shared;
}

/// An interface that was made again counts in another row; one row may have had several. Where
/// several count in one at a time, that is nobody's count alone: it is kept under all their names,
/// so that each goes on where it was once it has a row for itself.
std::vector<std::optional<kernel::InterfaceCounts>> Controller::interface_counts() {
    const auto counters = state_->interfaces();
    const auto raw_of = [&](std::uint32_t row) {
        CounterLedger::Words raw;
        append_words(raw, counters, row);
        return raw;
    };
    std::map<std::uint32_t, std::set<std::string>> rows;
    for (const auto& each : live_->attachments)
        rows[each.ifindex % SLC_INTERFACE_ROWS].insert(each.interface);
    std::set<std::string> shared;
    for (const auto& [row, interfaces] : rows) {
        std::string holder;
        for (const auto& interface : interfaces) {
            holder += (holder.empty() ? "" : " ") + interface;
            const std::uint32_t* before = ledger().find(CellKind::interface, interface);
            if (before == nullptr || *before == row) continue;
            const std::uint32_t left = *before;
            ledger().hand_over(CellKind::interface, left, {}, {}, raw_of(left));
        }
        ledger().hand_over(CellKind::interface, row, {}, holder, raw_of(row));
        if (interfaces.size() > 1) shared.insert(holder);
    }
    note_shared_rows(shared);
    std::vector<std::optional<kernel::InterfaceCounts>> out;
    for (const auto& each : live_->attachments) {
        const std::uint32_t row = each.ifindex % SLC_INTERFACE_ROWS;
        out.emplace_back();
        if (rows.at(row).size() > 1 || row >= counters.size()) continue;
        std::vector<kernel::InterfaceCounts> value{counters[row]};
        add_words(value, 0, ledger().cells(CellKind::interface).at(row).offset);
        out.back() = value.front();
    }
    keep_ledger();
    return out;
}

/// When interfaces are attached or made again: what others counted in their rows is theirs.
void Controller::follow_rows() {
    const auto& attachments = live_->attachments;
    const bool is_known =
        std::all_of(attachments.begin(), attachments.end(), [this](const auto& each) {
            const std::uint32_t* row = ledger().find(CellKind::interface, each.interface);
            return row != nullptr && *row == each.ifindex % SLC_INTERFACE_ROWS;
        });
    if (!is_known) (void)interface_counts();
}

MetricsSource Controller::metrics() {
    const Clock::time_point began = Clock::now();
    MetricsSource out;
    out.at = began.time_since_epoch();
    out.summary = summary();
    out.version = version();
    out.instruction_set = kernel::name_of(isa_);
    if (options_.metrics_series != 0) out.max_series = options_.metrics_series;
    out.reload = reload_;
    fill_daemon_metrics(out);
    if (live_) {
        if (awaiting_) {
            out.awaiting = awaiting_->number;
            out.confirm_left_s =
                std::max(0.0, std::chrono::duration<double>(awaiting_->until - wall_now()).count());
        }
        if (canary_)
            out.canary = CanaryMetrics{canary_->loaded.number, canary_->what.share, canary_->since};
        out.sampled_one_in = sampled_one_in();
        fill_announce_metrics(out);
        out.maps = maps();
        fill_interface_metrics(out);
        fill_service_metrics(out);
        fill_backend_metrics(out);
        auto customers = state_->customers();
        settle(ledger(), CellKind::customer, live_->ids.customers, customers);
        out.customers = owners_of(live_->ids.customers.names(), customers);
        auto policies = state_->policies();
        settle(ledger(), CellKind::policy, live_->ids.policies, policies);
        out.policies = owners_of(live_->ids.policies.names(), policies);
    }
    out.gather_s = std::chrono::duration<double>(Clock::now() - began).count();
    return out;
}

/// The file may come later: a state directory that is mounted after the start, a disk with room
/// again. Until then nothing is told that earlier runs have counted more of.
void Controller::open_kept_counters() {
    if (kept_) return;
    auto opened = KeptCounters::open(options_.state_dir + "/counters");
    if (opened)
        kept_.emplace(std::move(*opened));
    else if (!std::exchange(kept_failed_, true))
        log_event(LogLevel::warning, "metrics.counters_not_kept", {{"error", opened.error().what}});
}

void Controller::fill_daemon_metrics(MetricsSource& out) {
    open_kept_counters();
    KeptCounters own;
    KeptCounters& kept = kept_ ? *kept_ : own;
    out.daemon.is_whole = kept_.has_value();
    const auto& cut = sweep_.cut();
    out.process = process_figures();
    out.daemon.samples_lost = kept.fold(Kept::samples_lost, observe::lost(observe::Loss::samples));
    out.daemon.captures_lost =
        kept.fold(Kept::captures_lost, observe::lost(observe::Loss::captures));
    out.daemon.events_missed = kept.fold(Kept::events_missed, observe::lost(observe::Loss::events));
    out.daemon.flows_cut =
        kept.fold(Kept::flows_cut, std::accumulate(cut.begin(), cut.end(), std::uint64_t{0}));
    out.daemon.cpu_us =
        kept.fold(Kept::cpu_us, static_cast<std::uint64_t>(out.process.cpu.count()));
}

void Controller::fill_interface_metrics(MetricsSource& out) {
    out.reasons = state_->reasons();
    out.reasons.resize(std::size_t{SLC_REASON_COUNT} * SLC_FAMPROTO_COUNT);
    const auto counts = interface_counts();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < live_->attachments.size(); ++i) {
        const auto& attachment = live_->attachments[i];
        names.push_back(attachment.interface);
        out.interfaces.push_back({attachment.interface,
                                  instance_->is_attached(attachment.interface), attachment.generic,
                                  counts[i]});
    }
    // Counters of others begin anew with a driver or an interface, and some have 32 bits only.
    if (auto nic = node::read_nic_counters(names)) {
        for (auto& each : *nic) {
            const std::string key = each.interface + '/' +
                                    (each.queue ? std::to_string(*each.queue) : "") + '/' +
                                    node::name_of(each.kind) + '/' + node::name_of(each.source);
            each.value = ledger().steady(key, each.value);
        }
        out.nic = std::move(*nic);
    }
    if (auto backlogs = node::read_cpu_backlogs()) {
        for (auto& each : *backlogs) {
            const std::string key = "cpu/" + std::to_string(each.cpu) + '/';
            each.processed = ledger().steady(key + "processed", each.processed, 32);
            each.dropped = ledger().steady(key + "dropped", each.dropped, 32);
            each.time_squeezed = ledger().steady(key + "squeezed", each.time_squeezed, 32);
        }
        out.backlogs = std::move(*backlogs);
    }
    const Clock::time_point read = Clock::now();
    const bool is_due = read - reading_kept_ >= kKeepReadEvery;
    if (is_due) reading_kept_ = read;
    keep_ledger(is_due);
}

void Controller::fill_service_metrics(MetricsSource& out) {
    auto counters = state_->services();
    auto flows = state_->flow_counters();
    auto drops = state_->drops();
    for (const auto& [id, cell] : ledger().cells(CellKind::service)) {
        if (live_->ids.services.find(cell.name) != id) continue;
        add_words(counters, id, cell.offset);
        add_words(flows, id, cell.offset, kServiceWords);
        for (std::size_t row = 0; row < SLC_DROP_ROWS; ++row)
            add_words(drops, std::size_t{id} * SLC_DROP_ROWS + row, cell.offset,
                      kServiceWords + kFlowWords + row * kCounterWords);
    }
    const auto put_drops = [&](std::size_t id, std::optional<std::uint32_t> service, bool always) {
        constexpr std::pair<std::size_t, slc_reason> kRows[] = {
#define SLC_DROP_ROW(row, symbol) {row, SLC_REASON_##symbol},
            SLC_DROP_REASONS(SLC_DROP_ROW)
#undef SLC_DROP_ROW
        };
        for (const auto& [row, reason] : kRows) {
            const std::size_t at = id * SLC_DROP_ROWS + row;
            const slc_counter counter = at < drops.size() ? drops[at] : slc_counter{};
            if (always || counter.packets != 0) out.drops.push_back({service, reason, counter});
        }
    };
    put_drops(0, std::nullopt, true);
    const auto& config = live_->config;
    out.services.reserve(config.services.size());
    for (std::size_t i = 0; i < config.services.size(); ++i) {
        const auto& service = config.services[i];
        const std::uint32_t id = live_->image.service_ids[i];
        ServiceMetrics entry;
        entry.name = service.name;
        entry.vip = service.vip;
        entry.protocol = service.protocol;
        entry.ports = service.ports;
        entry.forward = service.forward;
        entry.customer = service.customer;
        entry.policy = service.policy;
        if (id < counters.size()) entry.counts = counters[id];
        if (id < flows.size()) entry.flows = flows[id];
        if (service.forward != config::Forward::local) {
            entry.group = static_cast<std::uint32_t>(service.group);
            entry.tracked = service.tracking != config::Tracking::never;
            entry.backends =
                static_cast<std::uint32_t>(config.groups[service.group].backends.size());
        }
        out.services.push_back(std::move(entry));
        put_drops(id, static_cast<std::uint32_t>(i), false);
    }
}

void Controller::fill_backend_metrics(MetricsSource& out) {
    auto counters = state_->members();
    settle(ledger(), CellKind::member, live_->ids.members, counters);
    std::map<std::uint32_t, plan::Override> by_id;
    for (const auto& [name, what] : overrides()) by_id[live_->ids.members.find(name)] = what;
    const auto records = std::as_const(*live_->generation).members();
    const auto& remembered = sweep_.totals().by_member;
    Ready ready(live_->config.groups.size());
    for (const auto& group : live_->config.groups) out.groups.push_back(group.name);
    out.backends.reserve(live_->image.members.size());
    const bool is_watching = health_.is_watching();
    if (is_watching) {
        out.health = health_.groups();
        out.checker = health_.checker();
    }
    out.probes = probes_.counts();
    if (vip_watch_) out.vip_conflicts = vip_watch_->conflicts().size();
    for (const auto& member : live_->image.members) {
        const slc_member record = member.id < records.size() ? records[member.id] : slc_member{};
        config::Backend in_force;
        in_force.weight = 0;
        if (member.backend != plan::kRetired) {
            in_force = live_->config.groups[member.group].backends[member.backend];
            if (const auto what = by_id.find(member.id); what != by_id.end()) {
                in_force.state = what->second.state.value_or(in_force.state);
                in_force.weight = what->second.weight.value_or(in_force.weight);
            }
        }
        const bool is_local = (record.flags & SLC_MEMBER_LOCAL) != 0;
        bool is_reached = is_local;
        for (std::uint32_t variant = 0; variant < SLC_VARIANTS; ++variant) {
            const bool is_resolved = is_local || record.cell[variant] != 0;
            is_reached = is_reached || is_resolved;
            ready[member.group][variant] += is_resolved && takes_traffic(in_force);
        }
        BackendMetrics entry;
        entry.group = static_cast<std::uint32_t>(member.group);
        entry.address = member.address;
        entry.weight = in_force.weight;
        entry.up = is_reached && (record.flags & SLC_MEMBER_DOWN) == 0 &&
                   in_force.state != config::BackendState::down;
        if (member.id < remembered.size()) entry.remembered = remembered[member.id];
        if (member.id < counters.size()) entry.counts = counters[member.id];
        if (is_watching)
            entry.healthy = healthy_of(
                health_.judge_of(plan::member_name(out.groups[entry.group], member.address)));
        out.backends.push_back(entry);
    }
    for (std::size_t i = 0; i < out.services.size(); ++i) {
        auto& service = out.services[i];
        if (!service.group) continue;
        const slc_service& record = live_->image.services[live_->image.service_ids[i]];
        service.backends_ready =
            ready[*service.group][SLC_VARIANT(record.forward, service.vip.address.is_ip6)];
    }
}

}  // namespace sluice::control
