// SPDX-License-Identifier: Apache-2.0

/// The status half of the controller: what is in force, as plain values.

#include <algorithm>
#include <map>

#include "base/version.h"
#include "control/controller.h"
#include "plan/header_template.h"
#include "plan/reasons.h"

namespace sluice::control {
namespace {

template <typename Counter>
Traffic traffic_at(const std::vector<Counter>& counters, std::uint32_t index) {
    if (index >= counters.size()) return {};
    return {counters[index].packets, counters[index].bytes};
}

bool takes_traffic(const config::Backend& backend) {
    return backend.state == config::BackendState::ready && backend.weight > 0;
}

bool reachable(const plan::NextHop& hop) {
    return hop.state == plan::HopState::resolved || hop.state == plan::HopState::local;
}

std::vector<OwnerStatus> owners(const std::map<std::string, std::uint32_t>& names,
                                const std::vector<slc_counter>& counters) {
    std::vector<OwnerStatus> out;
    for (const auto& [name, id] : names) out.push_back({name, id, traffic_at(counters, id)});
    return out;
}

/// Of a group in panic, or without anybody healthy.
std::string sentence_of(const GroupHealth& group) {
    std::string out = "group " + group.group + ": " + std::to_string(group.healthy) + " of " +
                      std::to_string(group.counted) + " backends healthy: ";
    if (group.condition == "panic") return out + "panic, failed ones stay in";
    if (group.when_none == "reject") return out + "its services refuse";
    if (group.when_none == "withdraw") return out + "its VIPs are withdrawn";
    if (group.fallback.empty()) return out + "those stay in that failed last";
    return out + "group " + group.fallback + " stands in";
}

/// Slots by member id, and all slots of each group.
struct RingShares {
    std::vector<std::uint64_t> of_member;
    std::vector<std::uint64_t> of_group;
};

RingShares ring_shares(const plan::Image& image, const kernel::Generation& generation,
                       std::size_t groups) {
    RingShares out;
    out.of_member.resize(generation.members().size());
    out.of_group.resize(groups);
    const auto slots = generation.slots();
    for (const auto& ring : image.ring_list) {
        if (ring.empty) continue;
        const std::uint64_t size = std::uint64_t{1} << ring.log2;
        out.of_group[ring.group] += size;
        for (std::uint64_t i = 0; i < size; ++i) {
            const std::uint32_t owner = SLC_SLOT_CURRENT(slots[ring.offset + i]);
            if (owner < out.of_member.size()) ++out.of_member[owner];
        }
    }
    return out;
}

}  // namespace

NodeStatus Controller::status() {
    NodeStatus out;
    out.version = version();
    out.config_file = options_.config_file;
    out.started = started_;
    out.reload = reload_;
    out.standing = duty_.standing();
    out.instruction_set = kernel::name_of(isa_);
    if (!live_) {
        out.degraded = true;
        out.problems.push_back("no configuration is in force");
        return out;
    }
    out.node = live_->config.node.name;
    out.generation = live_->number;
    out.config_digest = live_->digest;
    fill_interfaces(out);
    fill_backends(out);
    fill_services(out);
    fill_counters(out);
    for (const auto& program : live_->generation->programs())
        out.programs.push_back({program.name, program.instructions, program.instructions_built});
    fill_problems(out);
    return out;
}

NodeSummary Controller::summary() const {
    NodeSummary out;
    out.file = options_.config_file;
    if (!live_) return out;
    out.node = live_->config.node.name;
    out.generation = live_->number;
    out.digest = live_->digest;
    out.services = live_->config.services.size();
    out.backends = live_->image.members.size();
    return out;
}

void Controller::fill_interfaces(NodeStatus& out) const {
    for (const auto& attachment : live_->attachments) {
        InterfaceStatus entry;
        entry.name = attachment.interface;
        entry.ifindex = attachment.ifindex;
        entry.xdp_mode = attachment.generic ? "generic" : "native";
        entry.attached = instance_->is_attached(attachment.interface);
        if (const auto link = network_->link_info(attachment.interface)) {
            entry.driver = link->kind;
            entry.mtu = link->mtu;
        }
        out.interfaces.push_back(std::move(entry));
    }
}

BackendStatus Controller::describe(const plan::ImageMember& member) const {
    const auto& group = live_->config.groups[member.group];
    BackendStatus out;
    out.group = group.name;
    out.address = member.address;
    out.member = member.id;
    out.retired = member.backend == plan::kRetired;
    out.state = config::BackendState::drain;
    if (!out.retired) {
        const auto& configured = group.backends[member.backend];
        const auto in_force = plan::effective(group, configured, overrides());
        out.state = in_force.state;
        out.weight = in_force.weight;
        out.configured_state = configured.state;
        out.configured_weight = configured.weight;
    }
    if (const auto* kept = overrides_.find(plan::member_name(group.name, member.address))) {
        out.overridden = true;
        if (const auto until = kept->until())
            out.override_left =
                std::max(std::chrono::seconds(1), std::chrono::duration_cast<std::chrono::seconds>(
                                                      *until - std::chrono::system_clock::now()));
    }
    describe_health(plan::member_name(group.name, member.address), out);
    const auto& totals = sweep_.totals();
    if (member.id < totals.by_member.size()) out.remembered = totals.by_member[member.id];
    if (member.id < sweep_.cut().size()) out.cut = sweep_.cut()[member.id];
    const auto hop = live_->hops.find(member.address);
    if (hop == live_->hops.end()) return out;
    out.hop = hop->second.state;
    if (!reachable(hop->second)) out.why = hop->second.why;
    out.interface = hop->second.interface;
    out.next_mac = hop->second.destination;
    return out;
}

void Controller::fill_backends(NodeStatus& out) const {
    const auto counters = state_->members();
    const RingShares shares =
        ring_shares(live_->image, *live_->generation, live_->config.groups.size());
    std::map<std::uint32_t, plan::TransitionCounts> changing;
    const auto& remembered = sweep_.totals().by_member;
    const auto is_remembered = [&remembered](std::uint32_t member) {
        return member < remembered.size() && remembered[member] != 0;
    };
    for (std::size_t i = 0; i < live_->changes->size(); ++i)
        for (const auto& [member, counts] : live_->changes->ring(i).counts_by_member(is_remembered))
            changing[member].add(counts);
    std::map<std::size_t, std::vector<const config::Service*>> services;
    for (const auto& service : live_->config.services)
        if (service.forward != config::Forward::local) services[service.group].push_back(&service);
    for (const auto& member : live_->image.members) {
        BackendStatus entry = describe(member);
        entry.change = change_status(changing[member.id]);
        if (const auto all = shares.of_group[member.group]; all != 0)
            entry.ring_share =
                static_cast<double>(shares.of_member[member.id]) / static_cast<double>(all);
        entry.traffic = traffic_at(counters, member.id);
        const auto hop = live_->hops.find(member.address);
        for (const config::Service* service : services[member.group]) {
            entry.services.push_back(service->name);
            const bool l2_gateway = service->forward == config::Forward::l2 &&
                                    entry.hop == plan::HopState::resolved &&
                                    hop->second.via_gateway;
            if (l2_gateway)
                entry.why =
                    "forward: l2 needs a backend on the same link, and this one is "
                    "behind a gateway";
        }
        out.backends.push_back(std::move(entry));
    }
}

void Controller::fill_services(NodeStatus& out) const {
    const auto counters = state_->services();
    for (std::size_t i = 0; i < live_->config.services.size(); ++i) {
        const auto& service = live_->config.services[i];
        ServiceStatus entry;
        entry.name = service.name;
        entry.id = live_->image.service_ids[i];
        entry.vip = service.vip;
        entry.protocol = service.protocol;
        entry.ports = service.ports;
        entry.forward = service.forward;
        entry.balance = service.balance;
        entry.affinity = service.affinity;
        entry.customer = service.customer;
        entry.policy = service.policy;
        entry.traffic = traffic_at(counters, entry.id);
        if (entry.id < counters.size())
            entry.dropped = {counters[entry.id].dropped_packets, counters[entry.id].dropped_bytes};
        if (service.forward != config::Forward::local) {
            const auto& group = live_->config.groups[service.group];
            const auto& ring = live_->image.ring_list[live_->image.services[entry.id].ring];
            entry.group = group.name;
            entry.ring_slots = ring.empty ? 0 : 1u << ring.log2;
            entry.backends_total = static_cast<std::uint32_t>(group.backends.size());
            for (const auto& backend : group.backends) {
                const auto hop = live_->hops.find(backend.address);
                const bool l2_gateway = service.forward == config::Forward::l2 &&
                                        hop != live_->hops.end() && hop->second.via_gateway;
                const auto in_force = plan::effective(group, backend, overrides());
                entry.backends_ready += takes_traffic(in_force) && hop != live_->hops.end() &&
                                        reachable(hop->second) && !l2_gateway;
            }
        }
        out.services.push_back(std::move(entry));
    }
}

void Controller::fill_counters(NodeStatus& out) const {
    const auto counters = state_->reasons();
    std::vector<Traffic> families(SLC_FAMPROTO_COUNT);
    for (std::uint32_t reason = 0; reason < SLC_REASON_COUNT; ++reason) {
        const auto& text = plan::reason_text(static_cast<slc_reason>(reason));
        ReasonStatus entry{text.label, text.text, text.remedy, {}};
        for (std::uint32_t family = 0; family < SLC_FAMPROTO_COUNT; ++family) {
            const Traffic traffic = traffic_at(counters, reason * SLC_FAMPROTO_COUNT + family);
            entry.traffic.packets += traffic.packets;
            entry.traffic.bytes += traffic.bytes;
            families[family].packets += traffic.packets;
            families[family].bytes += traffic.bytes;
        }
        out.reasons.push_back(std::move(entry));
    }
    for (std::uint32_t family = 0; family <= SLC_FAMPROTO_IP6_OTHER; ++family)
        out.families.push_back(
            {plan::famproto_label(static_cast<slc_famproto>(family)), families[family]});
    out.customers = owners(live_->ids.customers.names(), state_->customers());
    out.policies = owners(live_->ids.policies.names(), state_->policies());
}

void Controller::fill_problems(NodeStatus& out) const {
    const auto problem = [&out](std::string text) {
        out.degraded = true;
        out.problems.push_back(std::move(text));
    };
    if (!reload_.success)
        problem("the last reload was refused; the configuration before it is in force");
    if (!code_error_.empty())
        problem("programs of an earlier sluiced go on: those of this one were refused: " +
                code_error_);
    if (awaiting_)
        out.problems.push_back("generation " + std::to_string(awaiting_->number) +
                               " waits for sluice config confirm, or undoes itself");
    if (canary_)
        out.problems.push_back("generation " + std::to_string(canary_->loaded.number) +
                               " runs as a canary: sluice config canary show");
    for (std::size_t i = 0; i < out.interfaces.size(); ++i) {
        const auto& entry = out.interfaces[i];
        if (!entry.attached)
            problem("interface " + entry.name + ": not attached, the interface is gone or down");
        if (live_->attachments[i].fell_back)
            problem("interface " + entry.name +
                    ": generic XDP, because native was refused: " + live_->attachments[i].why);
    }
    for (const auto& service : out.services)
        if (service.forward != config::Forward::local && service.backends_ready == 0)
            problem("service " + service.name + ": no backend can be reached");
    for (const auto& backend : out.backends)
        if (!backend.why.empty() && !backend.retired)
            problem("backend " + backend.group + "/" + backend.address.text() + ": " + backend.why);
    for (const GroupHealth& group : health_.groups()) {
        if (group.condition == "panic" || group.condition == "none") problem(sentence_of(group));
        if (!group.trouble.empty())
            problem("group " + group.group + " cannot be checked: " + group.trouble);
    }
    if (!deaf_vip_.empty()) problem(deaf_problem());
    if (!probes_.problem().empty()) problem("checks of VIPs cannot be sent: " + probes_.problem());
    for (std::size_t i = 0; i < live_->changes->size(); ++i)
        if (const auto held = live_->changes->ring(i).counts().held; held != 0)
            out.problems.push_back("group " +
                                   live_->config.groups[live_->image.ring_list[i].group].name +
                                   ": " + std::to_string(held) +
                                   " slots are held, because flows find no room in the flow "
                                   "table: sluice map list -o wide");
    for (const auto& way : announcing_.status().ways)
        if (!way.is_up && !way.last_error.empty())
            problem("announcing by " + way.name + ": " + way.last_error);
    if (vip_watch_)
        for (const auto& conflict : vip_watch_->conflicts())
            problem("VIP " + conflict.vip.text() + ": " + conflict.mac.text() +
                    " answers for it, too, on " + conflict.interface +
                    ": traffic goes past the balancer");
    if (!live_->config.node.has_ring_secret)
        out.problems.push_back(
            "node.ring_secret is not set: anybody can compute which backend a flow goes to");
}

}  // namespace sluice::control
