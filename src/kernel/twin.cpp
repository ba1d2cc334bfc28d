// SPDX-License-Identifier: Apache-2.0
#include "kernel/twin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/stages.h"

namespace sluice::kernel {
namespace {

constexpr std::size_t kShortestFrame = 14;  // What the test run takes: an Ethernet header.
constexpr std::size_t kRoomForHeaders = 2048;

/// Written once, before their generation was live.
constexpr const char* kShared[] = {"slc_plan",        "slc_prefixes4", "slc_prefixes6",
                                   "slc_port_ranges", "slc_peers4",    "slc_peers6"};

/// Keeps the calling thread on one CPU for the length of a run.
class OnCpu {
 public:
    explicit OnCpu(int& cpu) {
        if (::sched_getaffinity(0, sizeof before_, &before_) != 0) return;
        if (cpu < 0 || !CPU_ISSET(cpu, &before_)) cpu = ::sched_getcpu();
        if (cpu < 0) return;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        is_bound_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
    }
    OnCpu(const OnCpu&) = delete;
    OnCpu& operator=(const OnCpu&) = delete;
    ~OnCpu() {
        if (is_bound_) ::sched_setaffinity(0, sizeof before_, &before_);
    }

 private:
    cpu_set_t before_{};
    bool is_bound_ = false;
};

bool is_of(const FlowTable& table, std::uint8_t log2, std::uint8_t shift) {
    return table.geometry.log2 == log2 && table.geometry.shift == shift;
}

/// The table with the geometry that a program was loaded for.
const FlowTable* find_table(const FlowMap& flows, std::uint8_t log2, std::uint8_t shift) {
    if (is_of(flows.current(), log2, shift)) return &flows.current();
    if (flows.leaving() && is_of(*flows.leaving(), log2, shift)) return &*flows.leaving();
    return nullptr;
}

template <typename Record>
void zero(std::span<Record> records) {
    if (!records.empty()) std::memset(records.data(), 0, records.size_bytes());
}

/// Packets write meanwhile: each word is whole, as they see it.
void copy_buckets(std::span<const slc_flow_bucket> from, std::span<slc_flow_bucket> to) {
    std::memcpy(to.data(), from.data(), std::min(from.size_bytes(), to.size_bytes()));
}

}  // namespace

Result<Twin> Twin::load(const Generation& generation, const StateMaps& /*state*/,
                        const LoadOptions& options) {
    Twin out(SLC_TRY(BpfObject::open(ObjectName::balancer, options.isa), "twin"));
    out.node_ = generation.node();
    out.node_.features |= SLC_FEATURE_PROOF;
    // It hands nothing on and samples nothing.
    out.node_.features &= ~(SLC_FEATURE_SAMPLE | SLC_FEATURE_NEXT);
    out.node_.sample_log2 = 0;  // Every packet is answered.
    SLC_CHECK(out.share_maps(generation), "twin");
    SLC_CHECK(out.size_maps(generation), "twin");
    for (const char* map : kTapMaps) SLC_CHECK(out.object_.leave_out_map(map), "twin");
    for (const Stage& stage : kStages)
        if (!stage.needed(out.node_))
            SLC_CHECK(out.object_.leave_out_program(stage.program), "twin");
    SLC_CHECK(out.object_.set_node(&out.node_, sizeof out.node_), "twin");
    SLC_CHECK(out.object_.load(options.verbose_log), "twin");
    SLC_CHECK(out.copy_server_ids(generation), "twin");
    SLC_CHECK(out.map_memory(generation.live_bytes().size()), "twin");
    SLC_CHECK(out.fill_stages(), "twin");
    out.out_.resize(SLC_MAX_FRAME_LEN + kRoomForHeaders);
    out.copy_live(generation);
    SLC_CHECK(out.clear_state(), "twin");
    return out;
}

void Twin::clear_server_ids() {
    const int map = object_.map_fd("slc_server_ids");
    slc_server_id key{};
    while (::bpf_map_get_next_key(map, nullptr, &key) == 0)
        if (::bpf_map_delete_elem(map, &key) != 0) return;
}

Result<void> Twin::set_server_ids(std::span<const plan::ImageServerId> ids) {
    clear_server_ids();
    for (const auto& id : ids)
        SLC_CHECK(set_server_id(object_.map_fd("slc_server_ids"), id), "proof");
    return {};
}

Result<void> Twin::copy_server_ids(const Generation& generation) {
    const int from = generation.map_fd("slc_server_ids");
    plan::ImageServerId id;
    const slc_server_id* last = nullptr;
    for (slc_server_id key{}; ::bpf_map_get_next_key(from, last, &key) == 0; last = &id.key) {
        id.key = key;
        if (::bpf_map_lookup_elem(from, &id.key, &id.member) == 0)
            SLC_CHECK(set_server_id(object_.map_fd("slc_server_ids"), id), "proof");
    }
    return {};
}

Result<void> Twin::share_maps(const Generation& generation) {
    for (const char* name : kShared) {
        const int fd = generation.map_fd(name);
        if (fd >= 0) SLC_CHECK(object_.reuse_map(name, fd), "share");
    }
    return {};
}

/// Counters keep the one entry that they are declared with: nobody reads them.
Result<void> Twin::size_maps(const Generation& generation) {
    SLC_CHECK(object_.set_value_size("slc_live", generation.live_bytes().size()), "size");
    SLC_CHECK(object_.set_max_entries("slc_server_ids", std::max(generation.server_ids_room(), 1u)),
              "size");
    const bool is_leaving = (node_.features & SLC_FEATURE_FLOWS_OLD) != 0;
    const std::pair<const char*, std::uint32_t> sizes[] = {
        {"slc_flows", 1u << node_.flow_log2},
        {"slc_flows_old", is_leaving ? 1u << node_.flow_old_log2 : 1},
        {"slc_frags", node_.frag_mask + 1},
    };
    for (const auto& [name, entries] : sizes)
        SLC_CHECK(object_.set_max_entries(name, entries), "size");
    return {};
}

Result<void> Twin::map_memory(std::size_t live_size) {
    const auto map = [this](const char* name, std::size_t size) {
        return MappedValue::map(object_.map_fd(name), size, name);
    };
    live_ = SLC_TRY(map("slc_live", live_size), "map");
    proof_ = SLC_TRY(map("slc_proof_value", sizeof(slc_proof)), "map");
    flows_ = SLC_TRY(map("slc_flows", sizeof(slc_flow_bucket) << node_.flow_log2), "map");
    if ((node_.features & SLC_FEATURE_FLOWS_OLD) != 0)
        flows_old_ =
            SLC_TRY(map("slc_flows_old", sizeof(slc_flow_bucket) << node_.flow_old_log2), "map");
    frags_ = SLC_TRY(map("slc_frags", sizeof(slc_frag_bucket) * (std::size_t{node_.frag_mask} + 1)),
                     "map");
    return {};
}

Result<void> Twin::fill_stages() {
    for (const Stage& stage : kStages) {
        if (!stage.needed(node_)) continue;
        const int fd = object_.program_fd(stage.program);
        if (::bpf_map_update_elem(object_.map_fd("slc_stages"), &stage.slot, &fd, BPF_ANY) == 0)
            continue;
        const int saved = errno;
        return fail(sys_error(saved, std::string("install stage ") + stage.program));
    }
    return {};
}

Result<void> Twin::fill_limiters() {
    const auto cpus = static_cast<std::size_t>(std::max(::libbpf_num_possible_cpus(), 1));
    const std::vector<slc_limiter> full(
        cpus, slc_limiter{0, static_cast<slc_u64>(node_.icmp_burst) * 1000});
    const std::uint32_t key = 0;
    for (const char* name : {"slc_limiters", "slc_reject_limiters"}) {
        if (::bpf_map_update_elem(object_.map_fd(name), &key, full.data(), BPF_ANY) == 0) continue;
        const int saved = errno;
        return fail(sys_error(saved, std::string("fill ") + name));
    }
    return {};
}

std::span<slc_flow_bucket> Twin::flows() const {
    return flows_.records<slc_flow_bucket>(0, std::size_t{1} << node_.flow_log2);
}

std::span<slc_flow_bucket> Twin::flows_old() const {
    if ((node_.features & SLC_FEATURE_FLOWS_OLD) == 0) return {};
    return flows_old_.records<slc_flow_bucket>(0, std::size_t{1} << node_.flow_old_log2);
}

std::span<slc_member> Twin::members() const {
    return live_.records<slc_member>(node_.members_at, node_.members);
}

std::span<slc_account> Twin::accounts() const {
    return live_.records<slc_account>(node_.accounts_at, node_.accounts);
}

void Twin::copy_live(const Generation& generation) {
    const std::span<std::byte> from = generation.live_bytes();
    const std::size_t size = std::min(from.size(), live_.size());
    std::memcpy(live_.records<std::byte>(0, size).data(), from.data(), size);
    find_free_cells();
}

/// Cell 0 means "none".
void Twin::find_free_cells() {
    std::vector<bool> used(node_.templates);
    for (const slc_member& member : members())
        for (const slc_u32 cell : member.cell)
            if (cell < used.size()) used[cell] = true;
    free_cells_.clear();
    for (std::uint32_t cell = node_.templates; cell-- > 1;)
        if (!used[cell]) free_cells_.push_back(cell);
}

void Twin::set_slots(std::span<const std::uint64_t> slots) {
    const auto to = live_.records<std::uint64_t>(node_.slots_at, node_.slots);
    std::copy_n(slots.begin(), std::min(slots.size(), to.size()), to.begin());
}

void Twin::set_rings(std::span<const std::uint64_t> descriptors) {
    const auto to = live_.records<std::uint64_t>(0, node_.rings);
    std::copy_n(descriptors.begin(), std::min(descriptors.size(), to.size()), to.begin());
}

void Twin::set_cell(std::uint32_t member, std::uint32_t variant, const slc_template& header) {
    if (member >= node_.members || variant >= SLC_VARIANTS) return;
    slc_u32& cell = members()[member].cell[variant];
    if (cell == 0) {
        if (free_cells_.empty()) return;
        cell = free_cells_.back();
        free_cells_.pop_back();
    }
    live_.records<slc_template>(node_.templates_at, node_.templates)[cell] = header;
}

void Twin::set_member(std::uint32_t id, const slc_member& record) {
    if (id >= node_.members) return;
    slc_member& place = members()[id];
    for (const slc_u32 cell : place.cell)
        if (cell != 0 && cell < node_.templates) free_cells_.push_back(cell);
    place = record;
    std::ranges::fill(place.cell, 0);
}

Result<void> Twin::clear_state() {
    SLC_CHECK(fill_limiters(), "clear");
    if (!is_clean_) {
        zero(flows());
        zero(flows_old());
        zero(frags_.records<slc_frag_bucket>(0, std::size_t{node_.frag_mask} + 1));
        is_clean_ = true;
    }
    for (slc_account& account : accounts()) account.used = 0;
    return {};
}

void Twin::copy_flows(const FlowMap& flows) {
    is_clean_ = false;
    const FlowTable* current = find_table(flows, node_.flow_log2, node_.flow_shift);
    if (current != nullptr) copy_buckets(current->buckets(), this->flows());
    const bool is_leaving = (node_.features & SLC_FEATURE_FLOWS_OLD) != 0;
    const FlowTable* old =
        is_leaving ? find_table(flows, node_.flow_old_log2, node_.flow_old_shift) : nullptr;
    if (old != nullptr && old != current) copy_buckets(old->buckets(), flows_old());
    count_used();
}

void Twin::copy_flow(const FlowMap& flows, std::uint64_t hash) {
    is_clean_ = false;
    const auto copy = [hash](const FlowTable* from, std::span<slc_flow_bucket> to) {
        if (from == nullptr) return;
        const std::uint32_t at = slc_flow_bucket_of(hash, from->geometry.log2);
        copy_buckets(from->buckets().subspan(at, 1), to.subspan(at, 1));
    };
    copy(find_table(flows, node_.flow_log2, node_.flow_shift), this->flows());
    if ((node_.features & SLC_FEATURE_FLOWS_OLD) != 0)
        copy(find_table(flows, node_.flow_old_log2, node_.flow_old_shift), flows_old());
}

Result<void> Twin::copy_frags(const StateMaps& state) {
    is_clean_ = false;
    const auto to = frags_.records<slc_frag_bucket>(0, std::size_t{node_.frag_mask} + 1);
    for (const auto& [name, fd] : state.current()) {
        if (name != "slc_frags") continue;
        // Another size would put them into other buckets.
        if (state.frag_buckets() != to.size()) return {};
        const auto from = SLC_TRY(MappedValue::map(fd, to.size_bytes(), "slc_frags"), "fragments");
        std::memcpy(to.data(), from.records<slc_frag_bucket>(0, to.size()).data(), to.size_bytes());
    }
    return {};
}

/// As struct slc_account says: beyond its share a group takes from account 0.
void Twin::count_used() {
    const auto groups = accounts();
    const auto owners = members();
    for (slc_account& account : groups) account.used = 0;
    for (const auto table : {flows(), flows_old()}) {
        for (const slc_flow_bucket& bucket : table) {
            for (const slc_u64 entry : bucket.entry) {
                const std::uint32_t member = SLC_FLOW_MEMBER_OF(entry);
                if (member == 0 || member >= owners.size()) continue;
                const std::uint32_t group = owners[member].group;
                if (group != 0 && group < groups.size()) ++groups[group].used;
            }
        }
    }
    for (std::size_t group = 1; group < groups.size(); ++group)
        groups[0].used += groups[group].used - std::min(groups[group].used, groups[group].share);
}

Result<TwinAnswer> Twin::run(std::span<const std::uint8_t> frame, std::uint64_t clock_ns,
                             std::uint32_t ifindex) {
    if (frame.size() < kShortestFrame)
        return fail(Errc::invalid, "a frame of " + std::to_string(frame.size()) +
                                       " bytes: no interface receives less than 14");
    slc_proof& proof = proof_.records<slc_proof>(0, 1)[0];
    is_clean_ = false;
    const OnCpu bound(cpu_);
    xdp_md context{};
    context.data_end = static_cast<__u32>(frame.size());
    context.ingress_ifindex = ifindex;
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = out_.data(),
                .data_size_in = static_cast<__u32>(frame.size()), .repeat = 1);
    int failed = EINVAL;
    for (const bool with_interface : {true, false}) {
        if (with_interface && ifindex == 0) continue;
        proof = {};
        proof.clock_ns = clock_ns;
        options.data_size_out = static_cast<__u32>(out_.size());
        options.ctx_in = with_interface ? &context : nullptr;
        options.ctx_size_in = with_interface ? sizeof context : 0;
        failed = ::bpf_prog_test_run_opts(object_.program_fd("slc_lb"), &options) == 0 ? 0 : errno;
        if (failed == 0) break;
    }
    if (failed != 0)
        return fail(sys_error(failed, "test run of " + std::to_string(frame.size()) + " bytes"));
    TwinAnswer out;
    out.action = static_cast<int>(options.retval);
    out.answer = proof;
    out.frame.assign(out_.begin(), out_.begin() + options.data_size_out);
    out.by_interface = options.ctx_in != nullptr;
    if (out.answer.answered == 0) return fail(Errc::internal, "a packet left without an answer");
    return out;
}

std::optional<RememberedFlow> Twin::flow(std::uint64_t hash, std::uint32_t family,
                                         std::uint64_t clock_ns) const {
    const auto find = [&](std::span<slc_flow_bucket> table, std::uint8_t log2, std::uint8_t shift,
                          bool is_leaving) -> std::optional<RememberedFlow> {
        if (table.empty()) return std::nullopt;
        const auto tick = static_cast<std::uint32_t>(clock_ns >> shift);
        for (const slc_u64 entry : table[slc_flow_bucket_of(hash, log2)].entry) {
            const std::uint32_t member = SLC_FLOW_MEMBER_OF(entry);
            const bool is_it = ((entry ^ hash) & SLC_FLOW_FINGERPRINT_MASK) == 0 &&
                               slc_flow_is_alive(entry, tick) && member < members().size() &&
                               SLC_FAMILY_OF(members()[member]) == family &&
                               (members()[member].flags & SLC_MEMBER_DOWN) == 0;
            if (!is_it) continue;
            const std::chrono::nanoseconds left{std::uint64_t{slc_flow_left(entry, tick)} << shift};
            return RememberedFlow{member, SLC_FLOW_CLASS_OF(entry), left, is_leaving};
        }
        return std::nullopt;
    };
    if (const auto found = find(flows(), node_.flow_log2, node_.flow_shift, false)) return found;
    return find(flows_old(), node_.flow_old_log2, node_.flow_old_shift, true);
}

std::uint64_t Twin::ring(std::uint32_t index) const {
    return index < node_.rings ? live_.records<std::uint64_t>(0, node_.rings)[index] : 0;
}

const slc_template* Twin::header(std::uint32_t member, std::uint32_t variant) const {
    if (member >= node_.members || variant >= SLC_VARIANTS) return nullptr;
    const slc_u32 cell = members()[member].cell[variant];
    if (cell == 0 || cell >= node_.templates) return nullptr;
    return &live_.records<slc_template>(node_.templates_at, node_.templates)[cell];
}

}  // namespace sluice::kernel
