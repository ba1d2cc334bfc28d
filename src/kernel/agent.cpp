// SPDX-License-Identifier: Apache-2.0
#include "kernel/agent.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <random>
#include <set>

#include "kernel/bpffs.h"
#include "kernel/instruction_set.h"
#include "kernel/state_maps.h"
#include "kernel/tables.h"
#include "plan/reasons.h"

namespace sluice::kernel {
namespace {

constexpr const char* kCounters = "slc_reason_counters";

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
         {"slc_port_ranges", "slc_frags", "slc_limiters", "slc_scratch", "slc_stages"})
        SLC_CHECK(object.leave_out_map(map), "agent");
    return {};
}

}  // namespace

Result<Agent> Agent::open(const AgentOptions& options) {
    const InstructionSet isa = SLC_TRY(probe_instruction_set(), "agent");
    std::random_device random;
    const plan::Image image = plan::compile_agent(options.vips, options.from, options.gue_port,
                                                  (std::uint64_t{random()} << 32) | random());
    Agent out(SLC_TRY(BpfObject::open(ObjectName::agent, isa), "agent"));
    SLC_CHECK(leave_out_unused(out.object_), "agent");
    SLC_CHECK(size_tables(out.object_, image, 0), "agent");
    UniqueFd earlier;
    if (!options.bpffs.empty())
        earlier.reset(::bpf_obj_get((options.bpffs + "/" + kCounters).c_str()));
    if (earlier.valid())
        SLC_CHECK(out.object_.reuse_map(kCounters, earlier.get()), "agent");
    else
        SLC_CHECK(out.object_.set_max_entries(kCounters, kReasonRows * SLC_FAMPROTO_COUNT),
                  "agent");
    const Layout layout = lay_out(image, 0);
    SLC_CHECK(out.object_.set_node(&layout.node, sizeof layout.node), "agent");
    SLC_CHECK(out.object_.load(), "agent");
    SLC_CHECK(fill_tables(out.object_, image, layout), "agent");
    SLC_CHECK(out.attach_all(options), "agent");
    return out;
}

Result<void> Agent::attach_all(const AgentOptions& options) {
    bpffs_ = options.bpffs;
    if (!bpffs_.empty()) {
        // Links of an earlier agent go with their pins, so that ours find the interfaces free.
        SLC_CHECK(remove(bpffs_), "replace");
        SLC_CHECK(make_pin_directory(bpffs_), "pins");
        if (::bpf_obj_pin(object_.map_fd(kCounters), (bpffs_ + "/" + kCounters).c_str()) != 0) {
            const int saved = errno;
            return fail(sys_error(saved, "pin counters"));
        }
    }
    for (const auto& interface : options.interfaces) {
        XdpLink link =
            SLC_TRY(attach_xdp(object_.program_fd("slc_agent"), interface, options.mode), "attach");
        if (!bpffs_.empty()) {
            const std::string path = bpffs_ + "/link_" + std::to_string(link.attachment.ifindex);
            if (::bpf_obj_pin(link.fd.get(), path.c_str()) != 0) {
                const int saved = errno;
                return fail(sys_error(saved, "pin " + path));
            }
        }
        links_.push_back(std::move(link.fd));
        attachments_.push_back(std::move(link.attachment));
    }
    return {};
}

Agent::~Agent() {
    // A moved-from agent has no links and nothing to take away; one that was replaced by a newer
    // agent finds that one's pins, and leaves them.
    if (kept_ || links_.empty() || bpffs_.empty() || !owns_pins()) return;
    links_.clear();
    (void)remove(bpffs_);
}

bool Agent::owns_pins() const {
    std::set<std::uint32_t> ours;
    for (const UniqueFd& link : links_)
        if (const auto id = link_id(link.get())) ours.insert(*id);
    for (const auto& name : list_pins(bpffs_)) {
        if (!name.starts_with("link_")) continue;
        const UniqueFd pinned(::bpf_obj_get((bpffs_ + "/" + name).c_str()));
        const auto id = link_id(pinned.get());
        if (!id || !ours.contains(*id)) return false;
    }
    return true;
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
    if (bpffs_.empty()) return fail(Errc::invalid, "an agent without pins ends with its process");
    kept_ = true;
    return {};
}

Result<void> Agent::remove(const std::string& bpffs) {
    for (const auto& name : list_pins(bpffs)) {
        if (!name.starts_with("link_")) continue;
        const UniqueFd link(::bpf_obj_get((bpffs + "/" + name).c_str()));
        if (link.valid()) (void)::bpf_link_detach(link.get());
    }
    return remove_pins(bpffs);
}

}  // namespace sluice::kernel
