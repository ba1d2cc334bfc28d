// SPDX-License-Identifier: Apache-2.0
#include "kernel/agent.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "kernel/bpffs.h"
#include "kernel/instruction_set.h"
#include "kernel/stages.h"
#include "kernel/state_maps.h"
#include "kernel/tables.h"
#include "plan/reasons.h"

namespace sluice::kernel {
namespace {

constexpr const char* kCounters = "slc_reason_counters";
/// Room for more reasons than there will be keeps one map for ever.
constexpr std::uint32_t kRows = 256;

Result<std::vector<AgentCounter>> read_counters(int fd) {
    const int cpus = ::libbpf_num_possible_cpus();
    if (cpus <= 0) return fail(Errc::system, "count CPUs");
    std::vector<slc_counter> row(static_cast<std::size_t>(cpus));
    std::vector<AgentCounter> out;
    for (std::uint32_t reason = 0; reason < SLC_REASON_COUNT; ++reason) {
        if (!plan::is_agent_reason(static_cast<slc_reason>(reason))) continue;
        const auto& text = plan::reason_text(static_cast<slc_reason>(reason));
        AgentCounter counter{text.label, text.text, 0, 0};
        for (std::uint32_t family = 0; family < SLC_FAMPROTO_COUNT; ++family) {
            const std::uint32_t index = reason * SLC_FAMPROTO_COUNT + family;
            if (::bpf_map_lookup_elem(fd, &index, row.data()) != 0) {
                const int saved = errno;
                return fail(sys_error(saved, "read counters"));
            }
            for (const slc_counter& value : row) {
                counter.packets += value.packets;
                counter.bytes += value.bytes;
            }
        }
        out.push_back(std::move(counter));
    }
    return out;
}

/// Only what the agent's program refers to is made; the rest of maps.h is the balancer's.
Result<void> leave_out_unused(BpfObject& object) {
    for (const char* map :
         {"slc_port_ranges", "slc_frags", "slc_flows", "slc_flows_old", "slc_flow_counters",
          "slc_server_ids", "slc_limiters", "slc_reject_limiters", "slc_scratch", "slc_stages",
          "slc_samples", "slc_sample_counts", "slc_proof_value", "slc_drop_stamps", "slc_talkers"})
        SLC_CHECK(object.leave_out_map(map), "agent");
    for (const char* map : kTapMaps) SLC_CHECK(object.leave_out_map(map), "agent");
    return {};
}

Result<UniqueFd> lock(const std::string& path) {
    return lock_pins(path, "another sluice agent",
                     "stop it, or give this one a name of its own (--name)");
}

Result<void> remove_everything(const std::string& bpffs) {
    for (const auto& name : list_pins(bpffs)) {
        if (!name.starts_with("link_")) continue;
        const UniqueFd link(::bpf_obj_get((bpffs + "/" + name).c_str()));
        if (link.valid()) (void)::bpf_link_detach(link.get());
    }
    return remove_pins(bpffs);
}

}  // namespace

Result<Agent> Agent::open(const AgentOptions& options) {
    const InstructionSet isa = SLC_TRY(probe_instruction_set(), "agent");
    std::random_device random;
    const plan::Image image = plan::compile_agent(options.vips, options.from, options.gue_port,
                                                  (std::uint64_t{random()} << 32) | random());
    const Layout layout = lay_out(image, {});
    Agent out(SLC_TRY(BpfObject::open(ObjectName::agent, isa), "agent"), options);
    UniqueFd earlier;
    if (!options.bpffs.empty()) {
        SLC_CHECK(make_pin_directory(options.bpffs), "agent");
        out.lock_ = SLC_TRY(lock(options.bpffs), "agent");
        earlier.reset(::bpf_obj_get((options.bpffs + "/" + kCounters).c_str()));
    }
    SLC_CHECK(leave_out_unused(out.object_), "agent");
    SLC_CHECK(size_tables(out.object_, image, {}), "agent");
    if (earlier.valid())
        SLC_CHECK(out.object_.reuse_map(kCounters, earlier.get()), "agent");
    else
        SLC_CHECK(out.object_.set_max_entries(kCounters, kRows * SLC_FAMPROTO_COUNT), "agent");
    SLC_CHECK(out.object_.set_node(&layout.node, sizeof layout.node), "agent");
    SLC_CHECK(out.object_.load(), "agent");
    SLC_CHECK(fill_tables(out.object_, image, layout), "agent");
    if (!options.bpffs.empty() && !earlier.valid()) SLC_CHECK(out.pin_counters(), "agent");
    for (const auto& interface : options.interfaces) SLC_CHECK(out.attach(interface), "agent");
    out.drop_other_links();
    return out;
}

Result<void> Agent::pin_counters() {
    const std::string path = options_.bpffs + "/" + kCounters;
    if (::bpf_obj_pin(object_.map_fd(kCounters), path.c_str()) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "pin " + path));
}

std::string Agent::link_pin(std::uint32_t ifindex) const {
    return options_.bpffs + "/link_" + std::to_string(ifindex);
}

/// The link an earlier agent has pinned for this interface, with our program in it.
Result<XdpLink> Agent::take_over(const std::string& interface, std::uint32_t ifindex) const {
    XdpLink out;
    out.fd.reset(::bpf_obj_get(link_pin(ifindex).c_str()));
    if (!out.fd.valid()) return fail(Errc::not_found, "no link");
    const bool generic = SLC_TRY(is_generic(ifindex), "take over");
    const bool wanted =
        options_.mode == AttachMode::automatic || generic == (options_.mode == AttachMode::generic);
    if (!wanted || SLC_TRY(link_ifindex(out.fd.get()), "take over") != ifindex)
        return fail(Errc::not_found, "another link");
    if (::bpf_link_update(out.fd.get(), object_.program_fd("slc_agent"), nullptr) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "take over"));
    }
    out.attachment.interface = interface;
    out.attachment.ifindex = ifindex;
    out.attachment.generic = generic;
    return out;
}

Result<void> Agent::attach(const std::string& interface) {
    const std::uint32_t ifindex = SLC_TRY(ifindex_of(interface), "attach");
    const bool pins = !options_.bpffs.empty();
    auto link = pins ? take_over(interface, ifindex) : Result<XdpLink>(fail(Errc::not_found, ""));
    if (!link) {
        if (pins) {
            const UniqueFd stale(::bpf_obj_get(link_pin(ifindex).c_str()));
            if (stale.valid()) (void)::bpf_link_detach(stale.get());
            SLC_CHECK(remove_pins(link_pin(ifindex)), "attach " + interface);
        }
        link = attach_xdp(object_.program_fd("slc_agent"), interface, options_.mode);
        if (!link) return fail(std::move(link).error());
        if (pins && ::bpf_obj_pin(link->fd.get(), link_pin(ifindex).c_str()) != 0) {
            const int saved = errno;
            return fail(sys_error(saved, "pin the link of " + interface));
        }
    }
    links_.push_back(std::move(link->fd));
    attachments_.push_back(std::move(link->attachment));
    return {};
}

/// Links for interfaces that are no longer configured, or gone.
void Agent::drop_other_links() const {
    for (const auto& name : list_pins(options_.bpffs)) {
        const std::string path = options_.bpffs + "/" + name;
        const bool ours = std::any_of(
            attachments_.begin(), attachments_.end(),
            [&](const Attachment& attachment) { return link_pin(attachment.ifindex) == path; });
        if (ours || !name.starts_with("link_")) continue;
        const UniqueFd link(::bpf_obj_get(path.c_str()));
        if (link.valid()) (void)::bpf_link_detach(link.get());
        (void)remove_pins(path);
    }
}

std::vector<std::string> Agent::attach_again() {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < attachments_.size();) {
        const std::string interface = attachments_[i].interface;
        const auto now = ifindex_of(interface);
        const auto held = link_ifindex(links_[i].get());
        const bool holds = now && held && *now == *held;
        if (holds || !now) {
            if (!now) out.push_back(interface);
            ++i;
            continue;
        }
        if (!attach(interface)) {
            out.push_back(interface);
            ++i;
            continue;
        }
        // The new link is the last one; it takes the place of the one whose device is gone.
        links_[i] = std::move(links_.back());
        attachments_[i] = std::move(attachments_.back());
        links_.pop_back();
        attachments_.pop_back();
        drop_other_links();
        ++i;
    }
    return out;
}

Agent::~Agent() {
    // A moved-from agent has no lock and nothing to take away.
    if (kept_ || !lock_.valid()) return;
    links_.clear();
    (void)remove_everything(options_.bpffs);
}

Result<std::vector<AgentCounter>> Agent::counters() const {
    return read_counters(object_.map_fd(kCounters));
}

Result<std::vector<AgentCounter>> Agent::counters_of(const std::string& bpffs) {
    const std::string path = bpffs + "/" + kCounters;
    const UniqueFd fd(::bpf_obj_get(path.c_str()));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open " + path).advise("is an agent running here?"));
    }
    return read_counters(fd.get());
}

Result<void> Agent::keep() {
    if (options_.bpffs.empty())
        return fail(Errc::invalid, "an agent without pins ends with its process");
    kept_ = true;
    return {};
}

Result<void> Agent::remove(const std::string& bpffs) {
    const auto held = lock(bpffs);
    if (!held && held.error().code == Errc::not_found) return {};
    if (!held) return fail(held.error());
    return remove_everything(bpffs);
}

}  // namespace sluice::kernel
