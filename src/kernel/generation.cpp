// SPDX-License-Identifier: Apache-2.0
#include "kernel/generation.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "kernel/bpffs.h"
#include "kernel/grace_period.h"
#include "kernel/stages.h"

namespace sluice::kernel {
namespace {

constexpr std::chrono::milliseconds kLongerThanAnyPacket{500};
constexpr std::string_view kProgramPin = "_program";
constexpr const char* kConstants = ".rodata.node";
/// Written once, before the generation is live. slc_plan is compared as memory.
constexpr const char* kTries[] = {"slc_prefixes4", "slc_prefixes6", "slc_peers4", "slc_peers6"};

void use_flows(const FlowMap& flows, slc_node& node) {
    node.flow_log2 = flows.current().geometry.log2;
    node.flow_shift = flows.current().geometry.shift;
    node.features &= ~SLC_FEATURE_FLOWS_OLD;
    if (!flows.leaving()) return;
    node.features |= SLC_FEATURE_FLOWS_OLD;
    node.flow_old_log2 = flows.leaving()->geometry.log2;
    node.flow_old_shift = flows.leaving()->geometry.shift;
}

/// bpffs allows no dots in names, and libbpf names the sections of constants with one.
std::string pin_name(std::string name) {
    std::replace(name.begin(), name.end(), '.', '_');
    return name;
}

Result<UniqueFd> duplicate(int fd, const std::string& name) {
    UniqueFd out(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (out.valid()) return out;
    const int saved = errno;
    return fail(sys_error(saved, "keep " + name));
}

template <typename Record>
bool says(const MappedValue& value, std::size_t at, const std::vector<Record>& wanted) {
    return wanted.empty() || std::memcmp(value.records<Record>(at, wanted.size()).data(),
                                         wanted.data(), wanted.size() * sizeof(Record)) == 0;
}

bool is_same_prefix(const plan::ImagePrefix& left, const plan::ImagePrefix& right) {
    return left.prefix == right.prefix && left.record == right.record;
}

bool has_same_tries(const plan::Image& left, const plan::Image& right) {
    return left.peers == right.peers &&
           std::equal(left.prefixes.begin(), left.prefixes.end(), right.prefixes.begin(),
                      right.prefixes.end(), is_same_prefix);
}

bool has_same_ranges(const plan::Image& left, const plan::Image& right) {
    const std::size_t bytes = left.ranges.size() * sizeof(slc_ranges);
    return left.ranges.size() == right.ranges.size() &&
           (bytes == 0 || std::memcmp(left.ranges.data(), right.ranges.data(), bytes) == 0);
}

Result<void> leave_out_stages(BpfObject& object, const slc_node& node) {
    for (const Stage& stage : kStages)
        if (!stage.needed(node)) SLC_CHECK(object.leave_out_program(stage.program), "load");
    return {};
}

/// What only a twin has (twin.h).
Result<void> leave_out_proof(BpfObject& object) {
    return object.leave_out_map("slc_proof_value");
}

/// What only the programs of a tap have.
Result<void> leave_out_tap(BpfObject& object) {
    for (const char* map : kTapMaps) SLC_CHECK(object.leave_out_map(map), "load");
    return {};
}

Result<void> use_tap(BpfObject& object, const TapMaps& tap, const slc_node& node) {
    SLC_CHECK(object.reuse_map("slc_tap_events", tap.events_fd), "tap");
    SLC_CHECK(object.reuse_map("slc_tap_counts", tap.counts_fd), "tap");
    SLC_CHECK(object.reuse_map("slc_tap_scratches", tap.scratches_fd), "tap");
    SLC_CHECK(object.set_constants(".rodata.tap", &tap.conditions, sizeof tap.conditions), "tap");
    return object.set_node(&node, sizeof node);
}

/// Of load_code(): neither tables nor constants of what it is loaded over.
bool is_of_programs(const std::string& map, const TapMaps* tap) {
    const bool is_tap =
        std::find(std::begin(kTapMaps), std::end(kTapMaps), map) != std::end(kTapMaps);
    return map == "slc_stages" || map == "slc_next" || map == "slc_scratch" || is_tap ||
           (tap != nullptr && map == kConstants);
}

Result<void> use_state(BpfObject& object, const StateMaps& state, const LoadOptions& options) {
    const auto maps = options.canary ? state.canary_current() : state.current();
    for (const auto& [name, fd] : maps) SLC_CHECK(object.reuse_map(name.c_str(), fd), "load");
    return {};
}

}  // namespace

Result<Generation> Generation::load(const plan::Image& image, const StateMaps& state,
                                    const LoadOptions& options) {
    BpfObject object = SLC_TRY(BpfObject::open(ObjectName::balancer, options.isa), "load");
    const Capacity capacity = capacity_for(image);
    Layout layout = lay_out(image, capacity);
    layout.node.frag_mask = state.frag_buckets() - 1;
    use_flows(state.flows(), layout.node);
    SLC_CHECK(size_tables(object, image, capacity), "load");
    SLC_CHECK(use_state(object, state, options), "load");
    SLC_CHECK(leave_out_stages(object, layout.node), "load");
    SLC_CHECK(leave_out_proof(object), "load");
    SLC_CHECK(leave_out_tap(object), "load");
    SharedTables shared;
    if (options.share != nullptr && options.share_image != nullptr)
        shared = options.share->shared_with(image, *options.share_image, layout);
    for (const auto name : shared.names) {
        const std::string map(name);
        SLC_CHECK(object.reuse_map(map.c_str(), options.share->map_fd(map)), "load");
    }
    SLC_CHECK(object.set_node(&layout.node, sizeof layout.node), "load");
    SLC_CHECK(object.load(options.verbose_log), "load");
    SLC_CHECK(fill_tables(object, image, layout, shared), "load");
    Generation out;
    out.node_ = layout.node;
    SLC_CHECK(out.keep_descriptors(object), "load");
    SLC_CHECK(out.map_tables(layout.plan_size, layout.live_size), "load");
    out.fill_live(image);
    SLC_CHECK(out.fill_stages(options), "load");
    return out;
}

Result<Generation> Generation::load_code(const Generation& of, const StateMaps& state,
                                         const LoadOptions& options) {
    BpfObject object = SLC_TRY(BpfObject::open(ObjectName::balancer, options.isa), "load");
    SLC_CHECK(leave_out_stages(object, of.node_), "load");
    SLC_CHECK(leave_out_proof(object), "load");
    SLC_CHECK(use_state(object, state, options), "load");
    for (const auto& [name, fd] : of.maps_)
        if (!is_of_programs(name, options.tap))
            SLC_CHECK(object.reuse_map(name.c_str(), fd.get()), "load");
    Generation out;
    out.node_ = of.node_;
    if (options.tap != nullptr) {
        out.node_.features |= SLC_FEATURE_TAP;
        SLC_CHECK(use_tap(object, *options.tap, out.node_), "load");
    } else {
        SLC_CHECK(leave_out_tap(object), "load");
    }
    SLC_CHECK(object.load(options.verbose_log), "load");
    SLC_CHECK(out.keep_descriptors(object), "load");
    SLC_CHECK(out.map_tables(of.plan_.size(), of.live_size_), "load");
    out.slots_used_ = of.slots_used_;
    out.find_free_cells();
    SLC_CHECK(out.fill_stages(options), "load");
    return out;
}

Result<Generation> Generation::adopt(const std::string& directory, InstructionSet isa) {
    Generation out;
    std::map<std::string, std::string> names;  // of maps, by the names of their pins
    const BpfObject object = SLC_TRY(BpfObject::open(ObjectName::balancer, isa), "adopt");
    for (const auto& name : object.all_map_names()) names.emplace(pin_name(name), name);
    for (const auto& pin : list_pins(directory)) {
        UniqueFd fd(::bpf_obj_get((directory + "/" + pin).c_str()));
        if (!fd.valid()) {
            const int saved = errno;
            return fail(sys_error(saved, "adopt " + directory + "/" + pin));
        }
        if (const auto map = names.find(pin); map != names.end())
            out.maps_.emplace(map->second, std::move(fd));
        else if (pin.ends_with(kProgramPin))
            out.programs_.emplace(pin.substr(0, pin.size() - kProgramPin.size()), std::move(fd));
    }
    const auto size_of = [&out](const char* name) -> std::size_t {
        bpf_map_info info{};
        __u32 size = sizeof info;
        const int error = ::bpf_obj_get_info_by_fd(out.map_fd(name), &info, &size);
        return error == 0 ? info.value_size : 0;
    };
    const std::uint32_t zero = 0;
    if (size_of(kConstants) != sizeof(slc_node) ||
        ::bpf_map_lookup_elem(out.map_fd(kConstants), &zero, &out.node_) != 0)
        return fail(Errc::invalid, directory + " was written by another version of sluiced");
    if (out.program_fd() < 0 || out.map_fd("slc_stages") < 0)
        return fail(Errc::invalid, directory + " lacks some of its pins");
    out.infos_ = object.programs_as(out.programs_);
    SLC_CHECK(out.map_tables(size_of("slc_plan"), size_of("slc_live")), "adopt " + directory);
    for (const std::uint64_t descriptor : out.rings_)
        if ((descriptor & SLC_RING_VALID) != 0)
            out.slots_used_ = std::max(
                out.slots_used_, SLC_RING_OFFSET(descriptor) + (1u << SLC_RING_LOG2(descriptor)));
    out.find_free_cells();
    return out;
}

int Generation::program_fd(const std::string& name) const {
    const auto found = programs_.find(name);
    return found == programs_.end() ? -1 : found->second.get();
}

int Generation::map_fd(const std::string& name) const {
    const auto found = maps_.find(name);
    return found == maps_.end() ? -1 : found->second.get();
}

SharedTables Generation::shared_with(const plan::Image& image, const plan::Image& own,
                                     const Layout& layout) const {
    SharedTables out;
    const bool same_places = plan_.size() == layout.plan_size && node_.vips == layout.node.vips &&
                             node_.ports_at == layout.node.ports_at &&
                             node_.services_at == layout.node.services_at;
    if (same_places && says(plan_, 0, image.vips) && says(plan_, node_.ports_at, image.ports) &&
        says(plan_, node_.services_at, image.services))
        out.names.insert("slc_plan");
    if (has_same_tries(image, own)) out.names.insert(std::begin(kTries), std::end(kTries));
    if (has_same_ranges(image, own)) out.names.insert("slc_port_ranges");
    std::erase_if(out.names, [this](auto name) { return map_fd(std::string(name)) < 0; });
    return out;
}

Result<void> Generation::keep_descriptors(const BpfObject& object) {
    for (const auto& name : object.map_names())
        maps_.emplace(name, SLC_TRY(duplicate(object.map_fd(name.c_str()), name), "load"));
    infos_ = object.programs();
    for (const auto& program : infos_)
        programs_.emplace(
            program.name,
            SLC_TRY(duplicate(object.program_fd(program.name.c_str()), program.name), "load"));
    return {};
}

Result<void> Generation::map_tables(std::size_t plan_size, std::size_t live_size) {
    const auto lies_in = [](std::uint64_t at, std::uint64_t count, std::size_t each,
                            std::size_t whole) {
        return at <= whole && count * each <= whole - at;
    };
    const bool fits =
        lies_in(node_.services_at, node_.services, sizeof(slc_service), plan_size) &&
        lies_in(0, node_.rings, sizeof(slc_u64), live_size) &&
        lies_in(node_.slots_at, node_.slots, sizeof(slc_u64), live_size) &&
        lies_in(node_.members_at, node_.members, sizeof(slc_member), live_size) &&
        lies_in(node_.templates_at, node_.templates, sizeof(slc_template), live_size) &&
        lies_in(node_.accounts_at, node_.accounts, sizeof(slc_account), live_size);
    if (!fits) return fail(Errc::invalid, "tables do not lie where their constants say");
    plan_ = SLC_TRY(MappedValue::map(map_fd("slc_plan"), plan_size, "slc_plan"), "map");
    live_ = SLC_TRY(MappedValue::map(map_fd("slc_live"), live_size, "slc_live"), "map");
    live_size_ = live_size;
    services_ = plan_.records<slc_service>(node_.services_at, node_.services);
    rings_ = live_.records<std::uint64_t>(0, node_.rings);
    slots_ = live_.records<std::uint64_t>(node_.slots_at, node_.slots);
    members_ = live_.records<slc_member>(node_.members_at, node_.members);
    templates_ = live_.records<slc_template>(node_.templates_at, node_.templates);
    accounts_ = live_.records<slc_account>(node_.accounts_at, node_.accounts);
    return {};
}

void Generation::fill_live(const plan::Image& image) {
    std::copy(image.accounts.begin(), image.accounts.end(), accounts_.begin());
    std::copy(image.slots.begin(), image.slots.end(), slots_.begin());
    std::copy(image.rings.begin(), image.rings.end(), rings_.begin());
    for (const auto& member : image.members) members_[member.id] = plan::member_record(member);
    slots_used_ = static_cast<std::uint32_t>(image.slots.size());
    find_free_cells();
}

/// Cell 0 means "none".
void Generation::find_free_cells() {
    std::vector<bool> used(templates_.size());
    for (const slc_member& member : members_)
        for (const slc_u32 cell : member.cell)
            if (cell < used.size()) used[cell] = true;
    for (auto cell = static_cast<std::uint32_t>(templates_.size()) - 1; cell > 0; --cell)
        if (!used[cell]) free_cells_.push_back(cell);
}

Result<void> Generation::fill_stages(const LoadOptions& options) {
    for (const Stage& stage : kStages)
        if (stage.needed(node_))
            SLC_CHECK(set_stage(stage.program, program_fd(stage.program)), "load");
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

std::vector<std::string> Generation::programs_that_differ(const Generation& other) const {
    std::vector<std::string> out;
    for (const ProgramInfo& own : infos_)
        for (const ProgramInfo& theirs : other.infos_)
            if (own.name == theirs.name && own.tag != theirs.tag) out.push_back(own.name);
    if (infos_.size() != other.infos_.size()) out.emplace_back("slc_lb");
    return out;
}

Result<void> Generation::replace_stage(const std::string& program, const Generation& from,
                                       const std::string& directory) {
    const int fd = from.program_fd(program);
    const std::string path = directory + "/" + program + std::string(kProgramPin);
    // Renamed over the old one: somebody who adopts meanwhile finds either.
    const std::string fresh = path + "_new";
    (void)::unlink(fresh.c_str());
    if (::bpf_obj_pin(fd, fresh.c_str()) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "pin " + path));
    }
    SLC_CHECK(set_stage(program, fd), "replace stage");
    programs_.insert_or_assign(program, SLC_TRY(duplicate(fd, program), "replace stage"));
    for (ProgramInfo& own : infos_)
        for (const ProgramInfo& theirs : from.infos_)
            if (own.name == program && theirs.name == program) own = theirs;
    return {};
}

Result<void> Generation::set_stage(const std::string& program, int fd) {
    for (const Stage& stage : kStages) {
        if (program != stage.program) continue;
        if (::bpf_map_update_elem(map_fd("slc_stages"), &stage.slot, &fd, BPF_ANY) == 0) return {};
        const int saved = errno;
        return fail(sys_error(saved, "install stage " + program));
    }
    return fail(Errc::internal, "no stage " + program);
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

const slc_template* Generation::header(std::uint32_t member, std::uint32_t variant) const {
    if (member >= members_.size() || variant >= SLC_VARIANTS) return nullptr;
    const slc_u32 cell = members_[member].cell[variant];
    return cell != 0 && cell < templates_.size() ? &templates_[cell] : nullptr;
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

Result<void> Generation::set_member(std::uint32_t id, const slc_member& record) {
    if (id >= members_.size())
        return fail(Errc::limit, "no room for backend " + std::to_string(id) + " in this program");
    slc_member& place = members_[id];
    std::copy(std::begin(record.addr_be), std::end(record.addr_be), place.addr_be);
    place.weight = record.weight;
    place.state = record.state;
    place.is_ip6 = record.is_ip6;
    publish(place.family, record.family);
    publish(place.group, record.group);
    return {};
}

void Generation::clear_member(std::uint32_t id) {
    if (id >= members_.size()) return;
    for (std::uint32_t variant = 0; variant < SLC_VARIANTS; ++variant)
        (void)set_cell(id, variant, nullptr);
    publish(members_[id].flags, slc_u32{0});
    (void)set_member(id, slc_member{});
}

Result<std::uint32_t> Generation::take_slots(std::uint32_t count) {
    if (count > free_slots()) return fail(Errc::limit, "no room for more ring slots");
    const std::uint32_t offset = slots_used_;
    slots_used_ += count;
    return offset;
}

void Generation::set_ring(std::uint32_t index, std::uint64_t descriptor) {
    publish(rings_[index], descriptor);
}

Result<void> Generation::add_server_id(const plan::ImageServerId& id) {
    return set_server_id(map_fd("slc_server_ids"), id);
}

std::uint32_t Generation::server_ids_room() const {
    bpf_map_info info{};
    __u32 size = sizeof info;
    const int error = ::bpf_obj_get_info_by_fd(map_fd("slc_server_ids"), &info, &size);
    return error == 0 ? info.max_entries : 0;
}

void Generation::remove_server_id(const slc_server_id& key) {
    (void)::bpf_map_delete_elem(map_fd("slc_server_ids"), &key);
}

void Generation::set_account(std::uint32_t index, const slc_account& bounds) {
    publish(accounts_[index].share, bounds.share);
    publish(accounts_[index].ceiling, bounds.ceiling);
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
    const auto pin_one = [&directory](int fd, const std::string& name) -> Result<void> {
        const std::string path = directory + "/" + name;
        if (::bpf_obj_pin(fd, path.c_str()) == 0) return {};
        const int saved = errno;
        return fail(sys_error(saved, "pin " + path));
    };
    for (const auto& [name, fd] : maps_) SLC_CHECK(pin_one(fd.get(), pin_name(name)), "generation");
    // A map and a program may share a name in the object, but not in a directory.
    for (const auto& [name, fd] : programs_)
        SLC_CHECK(pin_one(fd.get(), name + std::string(kProgramPin)), "generation");
    return {};
}

bool is_same_map(int left, int right) {
    const auto id = [](int fd) -> std::uint32_t {
        bpf_map_info info{};
        __u32 size = sizeof info;
        return ::bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
    };
    return id(left) != 0 && id(left) == id(right);
}

}  // namespace sluice::kernel
