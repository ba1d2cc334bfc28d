// SPDX-License-Identifier: Apache-2.0
#include "kernel/probe_path.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>

namespace sluice::kernel {
namespace {

constexpr const char* kProgram = "slc_probe";
constexpr const char* kTargets = "slc_probe_targets";
constexpr const char* kCounters = "slc_probe_counters";

std::uint64_t packets_of(int fd, std::uint32_t outcome) {
    std::vector<slc_counter> cells(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
    if (::bpf_map_lookup_elem(fd, &outcome, cells.data()) != 0) return 0;
    std::uint64_t sum = 0;
    for (const slc_counter& cell : cells) sum += cell.packets;
    return sum;
}

}  // namespace

Result<std::unique_ptr<ProbePath>> ProbePath::open(std::uint32_t max_members, InstructionSet isa) {
    BpfObject object = SLC_TRY(BpfObject::open(ObjectName::probe, isa), "probes");
    SLC_CHECK(object.set_max_entries(kTargets, std::max(max_members, 1u)), "probes");
    SLC_CHECK(object.load(), "probes");
    return std::unique_ptr<ProbePath>(new ProbePath(std::move(object)));
}

int ProbePath::program_fd() const {
    return object_.program_fd(kProgram);
}

Result<void> ProbePath::attach(const std::string& interface) {
    const auto found = filters_.find(interface);
    bool is_taken = false;
    if (found != filters_.end()) {
        const TcFilter::State state = found->second->state();
        if (state == TcFilter::State::in_place) return {};
        is_taken = state == TcFilter::State::taken;
        if (!is_taken) filters_.erase(found);
    }
    if (is_taken)
        return fail(Errc::conflict, interface + ": another sluiced has taken the egress for itself",
                    "have one of them check its backends directly (via: direct)");
    auto filter = SLC_TRY(TcFilter::attach(program_fd(), kProgram, interface), "probes");
    filters_.insert_or_assign(interface, std::move(filter));
    return {};
}

Result<void> ProbePath::follow(const std::set<std::string>& interfaces) {
    std::erase_if(filters_, [&](const auto& each) { return !interfaces.contains(each.first); });
    Result<void> out;
    for (const std::string& interface : interfaces) {
        auto attached = attach(interface);
        if (attached) continue;
        if (out)
            out = std::move(attached);
        else
            out.error().what += "; " + attached.error().what;
    }
    return out;
}

Result<void> ProbePath::set(std::uint32_t member, const slc_template& tmpl) {
    const slc_probe_target target{tmpl};
    if (::bpf_map_update_elem(object_.map_fd(kTargets), &member, &target, BPF_ANY) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "probes of backend " + std::to_string(member)));
    }
    members_.insert(member);
    return {};
}

void ProbePath::erase(std::uint32_t member) {
    if (members_.erase(member) == 0) return;
    (void)::bpf_map_delete_elem(object_.map_fd(kTargets), &member);
}

void ProbePath::keep_only(const std::set<std::uint32_t>& members) {
    std::vector<std::uint32_t> leaving;
    std::ranges::set_difference(members_, members, std::back_inserter(leaving));
    for (const std::uint32_t member : leaving) erase(member);
}

ProbeCounts ProbePath::counts() const {
    const int fd = object_.map_fd(kCounters);
    return {.sent = packets_of(fd, SLC_PROBE_SENT),
            .no_target = packets_of(fd, SLC_PROBE_NO_TARGET),
            .not_ip = packets_of(fd, SLC_PROBE_NOT_IP),
            .no_room = packets_of(fd, SLC_PROBE_NO_ROOM)};
}

}  // namespace sluice::kernel
