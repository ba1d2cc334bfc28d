// SPDX-License-Identifier: Apache-2.0

/// The half of the controller that tells of remembered flows and of changes in progress.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "control/controller.h"
#include "control/flow_explain.h"

namespace sluice::control {
namespace {

constexpr std::size_t kBucketsPerStep = 4096;
constexpr std::size_t kRecordsPerStep = 2048;

std::chrono::milliseconds in_ms(const plan::FlowGeometry& geometry, std::uint32_t ticks) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(geometry.tick() * ticks);
}

std::string backend_text(const std::optional<IpAddress>& address) {
    return address ? address->text() : "none";
}

/// The sentence for each way.
std::string way_text(const FlowExplanation& found, const FlowAnswer& answer) {
    const std::string to = backend_text(answer.backend);
    switch (found.way) {
        case FlowExplanation::Way::ring:
            return answer.open ? "a new flow goes to the owner of its slot, " + to +
                                     ", and is remembered there while the change is in progress"
                               : "the ring sends it to " + to;
        case FlowExplanation::Way::remembered:
            return "the flow table remembers it for " + to;
        case FlowExplanation::Way::previous:
            return "nobody remembers it and its slot is changing: it may be older, and goes to "
                   "the former owner, " +
                   to;
        case FlowExplanation::Way::held:
            return "flows of its slot found no room in the flow table: until that has ceased, "
                   "new ones go to the former owner, " +
                   to;
        case FlowExplanation::Way::refused:
            return "it finds no room in the flow table, and goes to the former owner, " + to;
    }
    return {};
}

const char* way_name(FlowExplanation::Way way) {
    switch (way) {
        case FlowExplanation::Way::ring:
            return "ring";
        case FlowExplanation::Way::remembered:
            return "remembered";
        case FlowExplanation::Way::previous:
            return "previous";
        case FlowExplanation::Way::held:
        case FlowExplanation::Way::refused:
            break;
    }
    return "refused";
}

}  // namespace

ChangeStatus Controller::change_status(const plan::TransitionCounts& counts) const {
    const plan::Instant at = now();
    const auto left = [at](plan::Instant end) {
        return end.count() == 0 ? std::chrono::milliseconds(0)
                                : std::max(end - at, std::chrono::milliseconds(1));
    };
    return {counts.preparing,         counts.open,          counts.marked, counts.held,
            left(counts.window_ends), left(counts.deadline)};
}

Result<BackendStatus> Controller::backend(const std::string& owner, const IpAddress& address) {
    const std::size_t index = SLC_TRY(find_member(owner, address), "backend");
    BackendStatus out = describe(live_->image.members[index]);
    const auto& member = live_->image.members[index];
    for (const auto& service : live_->config.services)
        if (service.forward != config::Forward::local && service.group == member.group)
            out.services.push_back(service.name);
    std::uint64_t owned = 0, all = 0;
    for (const std::size_t i : live_->changes->rings_of(member.group)) {
        if (live_->image.ring_list[i].group != member.group) continue;
        const auto slots = live_->changes->ring(i).slots();
        all += slots.size();
        owned += static_cast<std::uint64_t>(std::count_if(
            slots.begin(), slots.end(),
            [&member](std::uint64_t slot) { return SLC_SLOT_CURRENT(slot) == member.id; }));
    }
    if (all != 0) out.ring_share = static_cast<double>(owned) / static_cast<double>(all);
    const slc_counter counter = state_->member(member.id);
    out.traffic = {counter.packets, counter.bytes};
    out.change =
        change_status(live_->changes->counts_of(member.group, member.id, out.remembered != 0));
    return out;
}

Result<FlowPage> Controller::flows(const FlowQuery& query, FlowAction action,
                                   std::uint64_t cursor) {
    if (!live_) return fail(Errc::unreachable, "no configuration is in force yet");
    FlowFilter filter;
    if (!query.group.empty())
        filter.group = static_cast<std::uint32_t>(SLC_TRY(find_group(query.group), "flows")) + 1;
    if (query.backend) {
        // A purge of one group's backend must not reach its namesake in another.
        if (query.group.empty())
            return fail(Errc::invalid, "a backend is asked for without its group");
        const std::size_t index = SLC_TRY(find_member(query.group, *query.backend), "flows");
        filter.member = live_->image.members[index].id;
    }
    if (query.flow_class) filter.flow_class = static_cast<std::uint32_t>(*query.flow_class);
    if (query.min_age) filter.min_age = *query.min_age;
    if (query.max_age) filter.max_age = *query.max_age;
    return walk_flows(filter, action, cursor);
}

FlowPage Controller::walk_flows(const FlowFilter& filter, FlowAction action, std::uint64_t cursor) {
    FlowPage page;
    const auto& flows = state_->flows();
    // The table that is being left first, so that no flow that moves meanwhile is missed.
    const std::size_t left = flows.leaving() ? flows.leaving()->buckets().size() : 0;
    const std::size_t all = left + flows.current().buckets().size();
    std::uint64_t at = cursor;
    const std::uint64_t end = std::min<std::uint64_t>(all, at + kBucketsPerStep);
    for (; at < end && page.records.size() < kRecordsPerStep; ++at) {
        const kernel::FlowTable& table = at < left ? *flows.leaving() : flows.current();
        const auto bucket = static_cast<std::uint32_t>(at < left ? at : at - left);
        const std::uint32_t tick = table.tick();
        for (std::uint64_t& place : table.buckets()[bucket].entry) {
            const std::uint64_t entry = std::atomic_ref(place).load();
            if (!matches(filter, entry, tick, table.geometry)) continue;
            if (action == FlowAction::purge) {
                if (!free_entry(place, entry, *live_->generation)) continue;
                sweep_.count_cut(SLC_FLOW_MEMBER_OF(entry), 1);
            }
            ++page.matched;
            if (action == FlowAction::list)
                page.records.push_back(record_of(entry, bucket, tick, table.geometry));
        }
    }
    page.next = at;
    page.done = at >= all;
    return page;
}

bool Controller::matches(const FlowFilter& filter, std::uint64_t entry, std::uint32_t tick,
                         const plan::FlowGeometry& geometry) const {
    if (!slc_flow_is_alive(entry, tick)) return false;
    const std::uint32_t id = SLC_FLOW_MEMBER_OF(entry);
    const auto members = std::as_const(*live_->generation).members();
    const std::uint32_t group = id < members.size() ? members[id].group : 0;
    const std::uint32_t kind = SLC_FLOW_CLASS_OF(entry);
    if (group == 0 || (filter.group != 0 && group != filter.group) ||
        (filter.member != 0 && id != filter.member) ||
        (filter.flow_class && *filter.flow_class != kind))
        return false;
    const auto age = flow_age(entry, tick, live_->lifetimes[group][kind], geometry);
    return filter.min_age <= age && age <= filter.max_age;
}

FlowRecord Controller::record_of(std::uint64_t entry, std::uint32_t bucket, std::uint32_t tick,
                                 const plan::FlowGeometry& geometry) const {
    FlowRecord out;
    const std::uint32_t id = SLC_FLOW_MEMBER_OF(entry);
    const std::uint32_t group = std::as_const(*live_->generation).members()[id].group;
    const std::uint32_t kind = SLC_FLOW_CLASS_OF(entry);
    out.fingerprint = entry >> SLC_FLOW_FINGERPRINT_SHIFT;
    out.bucket = bucket;
    out.group = live_->config.groups[group - 1].name;
    if (const auto address = address_of_member(id)) out.backend = *address;
    out.flow_class = static_cast<FlowClass>(kind);
    out.age = flow_age(entry, tick, live_->lifetimes[group][kind], geometry);
    out.expires = in_ms(geometry, slc_flow_left(entry, tick));
    return out;
}

std::optional<IpAddress> Controller::address_of_member(std::uint32_t id) const {
    const auto found = live_->addresses.find(id);
    if (found == live_->addresses.end()) return std::nullopt;
    return found->second;
}

Result<FlowAnswer> Controller::flow(const FlowTuple& tuple) {
    if (!live_) return fail(Errc::unreachable, "no configuration is in force yet");
    if (tuple.source.is_ip6 != tuple.destination.is_ip6)
        return fail(Errc::invalid, "source and destination are of different families");
    FlowAnswer out;
    const config::Service* service = service_for(live_->config, tuple);
    if (service == nullptr) {
        const auto& services = live_->config.services;
        const bool is_vip = std::any_of(
            services.begin(), services.end(),
            [&](const config::Service& each) { return each.vip.contains(tuple.destination); });
        out.why = is_vip ? "no_such_port" : "not_ours";
        out.text = is_vip ? "the VIP has no service on that protocol and port"
                          : "the destination is no VIP: it goes up to Linux";
        return out;
    }
    out.service = service->name;
    if (service->forward == config::Forward::local) {
        out.why = "local";
        out.text = "the service is delivered to this node's Linux";
        return out;
    }
    explain_flow(tuple, *service, out);
    return out;
}

void Controller::explain_flow(const FlowTuple& tuple, const config::Service& service,
                              FlowAnswer& out) {
    const std::uint32_t id = live_->ids.services.find(service.name);
    const auto& ring = live_->image.ring_list[live_->image.services[id].ring];
    out.group = live_->config.groups[service.group].name;
    const auto by_id = member_by_id(live_->image, service, tuple.id);
    if (by_id != 0 &&
        (std::as_const(*live_->generation).members()[by_id].flags & SLC_MEMBER_DOWN) == 0) {
        const bool is_tcp = service.routing.by == config::RouteBy::tcp_server_id;
        out.backend = address_of_member(by_id);
        out.why = is_tcp ? "server_id" : "connection_id";
        out.text = std::string("its ") + (is_tcp ? "server id" : "connection id") + " names " +
                   backend_text(out.backend);
        return;
    }
    if (ring.empty) {
        out.why = "no_backend";
        out.text = "the group has no backend";
        return;
    }
    const FlowExplanation found =
        control::explain_flow(live_->scene(overrides()), *state_, service, id, tuple);
    out.hash = found.hash;
    out.ring_slots = 1u << ring.log2;
    out.slot = found.slot;
    out.marked = (found.word & SLC_SLOT_MARKED) != 0;
    out.open = (found.word & SLC_SLOT_OPEN) != 0;
    out.held = (found.word & (SLC_SLOT_HELD | SLC_SLOT_REFUSED)) != 0;
    out.current = address_of_member(SLC_SLOT_CURRENT(found.word));
    out.previous = address_of_member(SLC_SLOT_PREVIOUS(found.word));
    if (found.entry != 0) {
        const auto& flows = state_->flows();
        const auto& table = found.in_leaving ? *flows.leaving() : flows.current();
        const std::uint32_t bucket = slc_flow_bucket_of(found.hash, table.geometry.log2);
        out.remembered = record_of(found.entry, bucket, table.tick(), table.geometry);
    }
    out.backend = address_of_member(found.member);
    out.why = found.member == 0 ? "no_backend" : way_name(found.way);
    out.text = found.member == 0 ? "no backend of the group may take it" : way_text(found, out);
}

}  // namespace sluice::control
