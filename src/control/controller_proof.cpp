// SPDX-License-Identifier: Apache-2.0

/// No change takes effect unproven: the tests of the configuration, and what it would do with the
/// packets that were sampled last.

#include <algorithm>

#include "base/log.h"
#include "config/load.h"
#include "control/controller.h"
#include "plan/header_template.h"

namespace sluice::control {
namespace {

/// A twin beside a table of this size is not worth its memory between two changes.
constexpr std::size_t kKeepTwinBelow = std::size_t{64} << 20;

/// Where a backend that has not answered yet would be: any neighbour, any interface.
plan::NextHop assumed_hop(const IpAddress& address) {
    plan::NextHop out;
    out.preferred_source = address;  // Of its family; nobody sees it.
    out.state = plan::HopState::resolved;
    out.ifindex = 1;
    out.interface = "lo";
    out.mtu = 1500;
    return out;
}

/// What cannot be reached yet is proven as if it could.
void resolve_all(kernel::Twin& twin, const Loaded& loaded, const kernel::Generation& generation) {
    const config::Node& node = loaded.config.node;
    const plan::TunnelSources sources{node.tunnel_source4, node.tunnel_source6, node.gue_port};
    for (const auto& member : loaded.image.members) {
        if (member.id >= generation.members().size()) continue;
        const slc_member& record = generation.members()[member.id];
        if ((record.flags & SLC_MEMBER_LOCAL) != 0) continue;
        for (std::uint32_t variant = 0; variant < SLC_VARIANTS; ++variant) {
            if ((member.variants & (1u << variant)) == 0 || record.cell[variant] != 0) continue;
            const auto header =
                plan::build_template(static_cast<config::Forward>(variant >> 1), (variant & 1) != 0,
                                     member.address, assumed_hop(member.address), sources);
            if (header) twin.set_cell(member.id, variant, *header);
        }
    }
}

}  // namespace

proof::Names Controller::names_of(const Loaded& loaded) {
    proof::Names out;
    out.service = [&loaded](std::uint32_t id) -> std::string {
        for (std::size_t i = 0; i < loaded.image.service_ids.size(); ++i)
            if (loaded.image.service_ids[i] == id) return loaded.config.services[i].name;
        return {};
    };
    out.backend = [&loaded](std::uint32_t id) -> std::optional<IpAddress> {
        const auto found = loaded.addresses.find(id);
        if (found == loaded.addresses.end()) return std::nullopt;
        return found->second;
    };
    const std::map<std::uint32_t, std::string> names = loaded.ids.members.names_by_id();
    out.member = [names](std::uint32_t id) -> std::string {
        const auto found = names.find(id);
        return found == names.end() ? std::string() : found->second;
    };
    return out;
}

Result<kernel::Twin*> Controller::twin_of(Loaded& loaded) {
    if (!loaded.twin) {
        kernel::LoadOptions load;
        load.isa = isa_;
        auto twin = SLC_TRY(kernel::Twin::load(*loaded.generation, *state_, load), "proof");
        loaded.twin.emplace(std::move(twin));
    }
    return &*loaded.twin;
}

/// The twin of what is planned, with every transition over: that of what runs where only slots and
/// members differ. No flow is remembered there.
Result<kernel::Twin*> Controller::twin_as_planned(Candidate& candidate) {
    Loaded& next = candidate.aside ? candidate.aside->next : candidate.next;
    Loaded& shown = candidate.aside ? *live_ : next;
    kernel::Twin* const twin = SLC_TRY(twin_of(shown), "proof");
    SLC_CHECK(twin->clear_state(), "proof");
    twin->copy_live(*shown.generation);
    resolve_all(*twin, next, *shown.generation);
    SLC_CHECK(twin->set_server_ids(next.image.server_ids), "proof");
    if (candidate.aside) {
        const Proposal proposal = propose(*live_, *candidate.aside);
        twin->set_slots(proposal.slots);
        twin->set_rings(proposal.rings);
    } else {
        std::vector<std::uint64_t> slots(shown.generation->slots().size());
        std::copy(next.wanted.slots.begin(), next.wanted.slots.end(), slots.begin());
        twin->set_slots(slots);
    }
    return twin;
}

/// Unless it is small enough to be kept for the next time.
void Controller::let_go_of_twin(Loaded& loaded) const {
    if (!loaded.twin || !loaded.generation) return;
    const std::size_t copies = loaded.generation->live_bytes().size() +
                               state_->flows().current().geometry.entries() * sizeof(std::uint64_t);
    if (copies > kKeepTwinBelow) loaded.twin.reset();
}

/// First what runs now, on the twin of what is in force; then what shall run, with every transition
/// over: the same twin where only slots and members differ.
Result<void> Controller::prove(Candidate& candidate) {
    const auto began = Clock::now();
    Loaded& next = candidate.aside ? candidate.aside->next : candidate.next;
    ProofReport& report = candidate.report.proof;
    report.max_moved = next.config.proof.max_moved;
    std::vector<slc_sample> samples = live_ ? state_->samples().read() : std::vector<slc_sample>{};
    // Rare drops are there beside their share, and would change that of what moves.
    std::erase_if(samples,
                  [](const slc_sample& sample) { return (sample.flags & SLC_SAMPLE_EXTRA) != 0; });
    if (next.config.tests.empty() && samples.empty()) return {};
    std::vector<proof::ReplayAnswer> before;
    if (!samples.empty()) {
        kernel::Twin& twin = *SLC_TRY(twin_of(*live_), "proof");
        twin.copy_live(*live_->generation);
        resolve_all(twin, *live_, *live_->generation);
        SLC_CHECK(twin.set_server_ids(live_->image.server_ids), "proof");
        SLC_CHECK(twin.clear_state(), "proof");
        twin.copy_flows(state_->flows());
        before = SLC_TRY(proof::replay(samples, twin, names_of(*live_)), "replay");
    }
    kernel::Twin& twin = *SLC_TRY(twin_as_planned(candidate), "proof");
    SLC_CHECK(
        proof::run_tests(next.config, next.file, next.directory, twin, names_of(next), report),
        "tests");
    if (!samples.empty()) {
        SLC_CHECK(twin.clear_state(), "proof");
        twin.copy_flows(state_->flows());
        const auto after = SLC_TRY(proof::replay(samples, twin, names_of(next)), "replay");
        proof::compare(samples, before, after, report);
    }
    let_go_of_twin(next);
    if (live_) let_go_of_twin(*live_);
    const bool moved_too_much =
        report.max_moved && static_cast<double>(report.moved) >
                                *report.max_moved * static_cast<double>(report.replayed);
    candidate.report.holds = report.failures.empty() && !moved_too_much;
    report.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
    return {};
}

/// Programs of another daemon, over the tables in force, against the tests in force.
Result<void> Controller::prove_code(const kernel::Generation& fresh) {
    if (live_->config.tests.empty()) return {};
    kernel::LoadOptions load;
    load.isa = isa_;
    kernel::Twin twin = SLC_TRY(kernel::Twin::load(fresh, *state_, load), "proof");
    twin.copy_live(fresh);
    resolve_all(twin, *live_, fresh);
    SLC_CHECK(twin.set_server_ids(live_->image.server_ids), "proof");
    std::vector<std::uint64_t> slots(fresh.slots().begin(), fresh.slots().end());
    const Wanted wanted = wanted_of(*live_, overrides());
    for (std::size_t i = 0; i < live_->image.ring_list.size(); ++i) {
        const auto& ring = live_->image.ring_list[i];
        if (ring.empty) continue;
        const auto from = wanted.slots.begin() + wanted.offsets[i];
        std::copy(from, from + (std::ptrdiff_t{1} << ring.log2), slots.begin() + ring.offset);
    }
    twin.set_slots(slots);
    ProofReport report;
    SLC_CHECK(proof::run_tests(live_->config, live_->file, live_->directory, twin, names_of(*live_),
                               report),
              "tests");
    if (report.failures.empty()) return {};
    return fail(Errc::conflict,
                "test '" + report.failures.front().test + "': " + report.failures.front().text);
}

}  // namespace sluice::control
