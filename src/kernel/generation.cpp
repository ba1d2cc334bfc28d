// SPDX-License-Identifier: Apache-2.0
#include "kernel/generation.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "kernel/grace_period.h"
#include "kernel/tables.h"

namespace sluice::kernel {
namespace {

/// Stages behind tail calls: program, slot of slc_stages (enum slc_tail), and the features of which
/// one must be there; 0 means always.
struct Stage {
    const char* program;
    std::uint32_t slot;
    std::uint32_t features;
};

constexpr std::uint32_t kForwards =
    SLC_FEATURE_IPIP | SLC_FEATURE_GRE | SLC_FEATURE_GUE | SLC_FEATURE_L2;
constexpr Stage kStages[] = {
    {"slc_icmp", 0, 0},
    {"slc_frag", 1, 0},
    {"slc_ext", 2, SLC_FEATURE_IP6},
    {"slc_too_big", 3, kForwards},
    {"slc_decap", 4, SLC_FEATURE_DECAP},
    {"slc_follow", 5, SLC_FEATURE_TRACKING},
};

bool needed(const Stage& stage, const slc_node& node) {
    return stage.features == 0 || (node.features & stage.features) != 0;
}

constexpr std::chrono::milliseconds kLongerThanAnyPacket{500};

void use_flows(const FlowMap& flows, slc_node& node) {
    node.flow_log2 = flows.current().geometry.log2;
    node.flow_shift = flows.current().geometry.shift;
    if (!flows.leaving()) return;
    node.features |= SLC_FEATURE_FLOWS_OLD;
    node.flow_old_log2 = flows.leaving()->geometry.log2;
    node.flow_old_shift = flows.leaving()->geometry.shift;
}

std::uint32_t cells_for(const plan::Image& image) {
    // Every cell may be rewritten once before the grace period ends, and cell 0 means "none".
    return 2 * image.templates + 64;
}

}  // namespace

Result<Generation> Generation::load(const plan::Image& image, const StateMaps& state,
                                    const LoadOptions& options) {
    Generation out(SLC_TRY(BpfObject::open(ObjectName::balancer, options.isa), "load"));
    Layout layout = lay_out(image, cells_for(image));
    layout.node.frag_mask = state.frag_buckets() - 1;
    use_flows(state.flows(), layout.node);
    SLC_CHECK(size_tables(out.object_, image, cells_for(image)), "load");
    for (const auto& [name, fd] : state.current())
        SLC_CHECK(out.object_.reuse_map(name.c_str(), fd), "load");
    for (const Stage& stage : kStages)
        if (!needed(stage, image.node))
            SLC_CHECK(out.object_.leave_out_program(stage.program), "load");
    SLC_CHECK(out.object_.set_node(&layout.node, sizeof layout.node), "load");
    SLC_CHECK(out.object_.load(options.verbose_log), "load");
    SLC_CHECK(fill_tables(out.object_, image, layout), "load");
    SLC_CHECK(out.fill_live(image, layout), "load");
    SLC_CHECK(out.fill_stages(image, options), "load");
    return out;
}

Result<void> Generation::fill_live(const plan::Image& image, const Layout& layout) {
    const slc_node& node = layout.node;
    node_ = node;
    plan_ = SLC_TRY(MappedValue::map(map_fd("slc_plan"), layout.plan_size, "slc_plan"), "map");
    live_ = SLC_TRY(MappedValue::map(map_fd("slc_live"), layout.live_size, "slc_live"), "map");
    services_ = plan_.records<slc_service>(node.services_at, node.services);
    rings_ = live_.records<std::uint64_t>(0, node.rings);
    slots_ = live_.records<std::uint64_t>(node.slots_at, node.slots);
    members_ = live_.records<slc_member>(node.members_at, node.members);
    templates_ = live_.records<slc_template>(node.templates_at, node.templates);
    accounts_ = live_.records<slc_account>(node.accounts_at, node.accounts);
    std::copy(image.accounts.begin(), image.accounts.end(), accounts_.begin());
    std::copy(image.slots.begin(), image.slots.end(), slots_.begin());
    std::copy(image.rings.begin(), image.rings.end(), rings_.begin());
    for (const auto& member : image.members)
        members_[member.id].group = static_cast<slc_u32>(member.group + 1);
    for (std::uint32_t cell = node.templates - 1; cell > 0; --cell) free_cells_.push_back(cell);
    return {};
}

Result<void> Generation::fill_stages(const plan::Image& image, const LoadOptions& options) {
    for (const Stage& stage : kStages) {
        if (!needed(stage, image.node)) continue;
        const int fd = program_fd(stage.program);
        if (::bpf_map_update_elem(map_fd("slc_stages"), &stage.slot, &fd, BPF_ANY) != 0) {
            const int saved = errno;
            return fail(sys_error(saved, std::string("install stage ") + stage.program));
        }
    }
    if (options.next.empty()) return {};
    const UniqueFd next(::bpf_obj_get(options.next.c_str()));
    if (!next.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "next: open " + options.next)
                        .advise("node.next names an XDP program pinned on a bpffs"));
    }
    const std::uint32_t slot = 0;
    const int fd = next.get();
    if (::bpf_map_update_elem(map_fd("slc_next"), &slot, &fd, BPF_ANY) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "next: install " + options.next)
                        .advise("it must be an XDP program of section xdp.frags, not bound to a "
                                "device: a program array takes one kind only"));
    }
    return {};
}

Result<void> Generation::set_cell(std::uint32_t member, std::uint32_t variant,
                                  const slc_template* header) {
    if (member >= members_.size() || variant >= SLC_VARIANTS)
        return fail(Errc::internal, "no such member or variant");
    slc_u32& place = members_[member].cell[variant];
    const slc_u32 old = place;
    slc_u32 cell = 0;
    if (header != nullptr) {
        if (old != 0 && std::memcmp(&templates_[old], header, sizeof *header) == 0) return {};
        if (free_cells_.empty()) return fail(Errc::limit, "no free header template");
        cell = free_cells_.back();
        free_cells_.pop_back();
        templates_[cell] = *header;
    }
    publish(place, cell);
    if (old != 0) retired_cells_.push_back(old);
    return {};
}

void Generation::set_local(std::uint32_t member, bool local) {
    slc_u32& flags = members_[member].flags;
    publish(flags, local ? flags | SLC_MEMBER_LOCAL : flags & ~SLC_MEMBER_LOCAL);
}

void Generation::set_down(std::uint32_t member, bool down) {
    slc_u32& flags = members_[member].flags;
    publish(flags, down ? flags | SLC_MEMBER_DOWN : flags & ~SLC_MEMBER_DOWN);
}

void Generation::reclaim() {
    if (retired_cells_.empty() && ageing_cells_.empty()) return;
    const auto take_back = [this](std::vector<std::uint32_t>& cells) {
        free_cells_.insert(free_cells_.end(), cells.begin(), cells.end());
        cells.clear();
    };
    if (wait_for_packets()) {
        take_back(ageing_cells_);
        take_back(retired_cells_);
        return;
    }
    // Then cells rest for longer than any packet takes.
    const auto now = std::chrono::steady_clock::now();
    if (now - aged_since_ < kLongerThanAnyPacket) return;
    take_back(ageing_cells_);
    ageing_cells_.swap(retired_cells_);
    aged_since_ = now;
}

std::vector<Generation::TableSize> Generation::table_sizes() const {
    const auto size = [](const char* name, bool live, std::uint64_t records, std::size_t each) {
        return TableSize{name, live, records, records * each};
    };
    return {size("slc_vips", false, node_.vips, sizeof(slc_vip)),
            size("slc_ports", false, std::uint64_t{node_.ports} * SLC_PORT_WAYS, sizeof(slc_port)),
            size("slc_services", false, node_.services, sizeof(slc_service)),
            size("slc_rings", true, node_.rings, sizeof(slc_u64)),
            size("slc_slots", true, node_.slots, sizeof(slc_u64)),
            size("slc_members", true, node_.members, sizeof(slc_member)),
            size("slc_templates", true, node_.templates, sizeof(slc_template)),
            size("slc_accounts", true, node_.accounts, sizeof(slc_account))};
}

Result<void> Generation::pin(const std::string& directory) const {
    for (const auto& name : object_.map_names()) {
        // libbpf names the sections of constants after the object; bpffs allows no dots in names.
        std::string file = name;
        std::replace(file.begin(), file.end(), '.', '_');
        if (::bpf_obj_pin(map_fd(name.c_str()), (directory + "/" + file).c_str()) != 0) {
            const int saved = errno;
            return fail(sys_error(saved, "pin " + directory + "/" + file));
        }
    }
    for (const auto& program : object_.programs()) {
        const std::string path = directory + "/" + program.name;
        // A map and a program may share a name in the object, but not in a directory.
        if (::bpf_obj_pin(program_fd(program.name.c_str()), (path + "_program").c_str()) != 0) {
            const int saved = errno;
            return fail(sys_error(saved, "pin " + path + "_program"));
        }
    }
    return {};
}

}  // namespace sluice::kernel
