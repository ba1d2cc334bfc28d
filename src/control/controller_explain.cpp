// SPDX-License-Identifier: Apache-2.0

/// What a packet would do: the controller's side of `sluice explain`. It runs on twins over copies
/// of what packets read at this moment; nothing live is written.

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <ctime>

#include "control/controller.h"
#include "control/explanation.h"
#include "packet/notation.h"

namespace sluice::control {
namespace {

constexpr std::size_t kShortestFrame = 14;

/// What the data plane reads as its clock.
std::uint64_t clock_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(now.tv_nsec);
}

std::string interface_text(std::uint32_t ifindex) {
    char name[IF_NAMESIZE] = {};
    if (::if_indextoname(ifindex, name) != nullptr) return name;
    return fmt::format("interface {}", ifindex);
}

std::function<std::string(std::uint32_t)> namer(const plan::IdSpace& ids) {
    return [names = ids.names_by_id()](std::uint32_t id) -> std::string {
        const auto found = names.find(id);
        return found == names.end() ? std::string() : found->second;
    };
}

/// Whether the header template that a planned packet took is one that a proof assumes, because the
/// backend has not answered yet.
bool is_assumed(const Loaded& next, const kernel::Generation& generation,
                const proof::Trace& trace) {
    const slc_exit_record& rec = trace.said.answer.rec;
    if (!trace.header || rec.service >= next.image.services.size() ||
        rec.member >= generation.members().size())
        return false;
    const bool is_ip6 = rec.famproto >= SLC_FAMPROTO_IP6_TCP;
    const std::uint32_t forward = next.image.services[rec.service].forward;
    return generation.members()[rec.member].cell[SLC_VARIANT(forward, is_ip6)] == 0;
}

}  // namespace

/// A packet, by which interface it comes, and when.
struct Controller::Asked {
    const std::vector<std::uint8_t>& frame;
    std::string interface;
    std::uint32_t ifindex = 0;
    bool is_given = false;  ///< The interface is the caller's.
    std::uint64_t now_ns = 0;
};

Result<Controller::Asked> Controller::asked_of(const ExplanationRequest& request) const {
    if (request.frame.size() < kShortestFrame || request.frame.size() > SLC_MAX_FRAME_LEN)
        return fail(Errc::invalid,
                    fmt::format("a frame of {} bytes: {}..{} are possible", request.frame.size(),
                                kShortestFrame, SLC_MAX_FRAME_LEN));
    Asked out{request.frame, request.interface, 0, !request.interface.empty(), clock_ns()};
    if (out.is_given) {
        out.ifindex = ::if_nametoindex(out.interface.c_str());
        if (out.ifindex == 0)
            return fail(Errc::not_found, "no interface " + out.interface,
                        "sluice node show lists those of this node");
        return out;
    }
    for (const std::string& name : live_->config.node.interfaces) {
        out.ifindex = ::if_nametoindex(name.c_str());
        out.interface = name;
        if (out.ifindex != 0) break;
    }
    return out;
}

proof::WalkScene Controller::scene_of(const Loaded& loaded, const Asked& asked) const {
    proof::WalkScene out{loaded.config, names_of(loaded)};
    out.customer = namer(loaded.ids.customers);
    out.policy = namer(loaded.ids.policies);
    out.interface = interface_text;
    out.why_unresolved = [&loaded](const IpAddress& address) -> std::string {
        const auto hop = loaded.hops.find(address);
        return hop == loaded.hops.end() ? std::string() : hop->second.why;
    };
    out.generation = loaded.number;
    out.came_by = asked.interface;
    return out;
}

/// On the generation that would take the packet.
Result<proof::Walk> Controller::walk_now(const Asked& asked) {
    Loaded* taker = &*live_;
    std::string canary;
    if (canary_) {
        const Canary& what = canary_->what;
        const bool is_its_interface =
            what.interfaces.empty() || std::find(what.interfaces.begin(), what.interfaces.end(),
                                                 asked.interface) != what.interfaces.end();
        const bool is_its_client =
            !what.interfaces.empty() ||
            SLC_TRY(instance_->is_canary_client(asked.frame, what.share), "canary");
        if (is_its_interface && is_its_client) taker = &canary_->loaded;
        canary = taker == &*live_ ? fmt::format("; the canary, generation {}, takes other packets",
                                                canary_->loaded.number)
                                  : fmt::format(", the canary, takes packets {}",
                                                what.interfaces.empty() ? "of this client"
                                                                        : "of this interface");
    }
    proof::WalkScene scene = scene_of(*taker, asked);
    scene.entry = fmt::format("received by {}{}; generation {}{}", asked.interface,
                              asked.is_given ? "" : ", the first of the node's interfaces",
                              taker->number, canary.empty() ? " takes it" : canary);
    kernel::Twin& twin = *SLC_TRY(twin_of(*taker), "twin");
    proof::TraceRequest request{asked.frame, asked.ifindex, asked.now_ns, &state_->flows(), {}};
    request.prepare = [&]() -> Result<void> {
        SLC_CHECK(twin.clear_state(), "clear");
        twin.copy_live(*taker->generation);
        SLC_CHECK(twin.set_server_ids(taker->image.server_ids), "server ids");
        return twin.copy_frags(*state_);
    };
    const auto traced = proof::trace(twin, request, scene);
    let_go_of_twin(*taker);
    const proof::Trace trace = SLC_TRY(traced, "run");
    proof::Walk out = proof::walk_of(trace, scene);
    if (asked.ifindex != 0 && !trace.said.by_interface)
        out.assumptions.push_back(
            "interface: the kernel's test run does not take packets as "
            "received by " +
            asked.interface + ", so what leaves is a redirect");
    const auto& interfaces = taker->config.node.interfaces;
    if (std::find(interfaces.begin(), interfaces.end(), asked.interface) == interfaces.end())
        out.assumptions.push_back("interface: Sluice is not on " + asked.interface +
                                  ": no packet that comes by it takes this way");
    return out;
}

/// Through another configuration, as a plan of it proves it: every transition is over, and nothing
/// is applied.
Result<proof::Walk> Controller::walk_planned(const Asked& asked,
                                             const ExplanationRequest& request) {
    ApplyRequest planned;
    planned.text = request.against;
    planned.file = request.file;
    planned.directory = request.directory;
    Candidate candidate = SLC_TRY(consider(planned, Clock::now(), Proving::no), "against");
    const auto walk = [&]() -> Result<proof::Walk> {
        const Loaded& next = candidate.aside ? candidate.aside->next : candidate.next;
        Loaded& shown = candidate.aside ? *live_ : candidate.next;
        proof::WalkScene scene = scene_of(next, asked);
        scene.generation = 0;
        scene.entry = fmt::format(
            "received by {}; {} takes it, with every transition over", asked.interface,
            request.file.empty() || request.file == "-" ? std::string("the planned configuration")
                                                        : request.file);
        kernel::Twin& twin = *SLC_TRY(twin_of(shown), "twin");
        proof::TraceRequest run{asked.frame, asked.ifindex, asked.now_ns, &state_->flows(), {}};
        run.prepare = [&]() -> Result<void> {
            SLC_CHECK(twin_as_planned(candidate), "plan");
            return twin.copy_frags(*state_);
        };
        const proof::Trace trace = SLC_TRY(proof::trace(twin, run, scene), "run");
        proof::Walk out = proof::walk_of(trace, scene);
        if (is_assumed(next, *shown.generation, trace))
            out.assumptions.push_back("time: " + out.backend +
                                      " has not answered yet; it is taken as if it could be "
                                      "reached");
        let_go_of_twin(shown);
        return out;
    };
    auto out = walk();
    discard(candidate);
    return out;
}

Result<Explanation> Controller::explain(const ExplanationRequest& request) {
    if (!live_) return fail(Errc::unreachable, "no configuration is in force yet");
    const Asked asked = SLC_TRY(asked_of(request), "explain");
    Explanation out;
    out.packet = packet::describe(request.frame);
    out.frame = request.frame;
    out.interface = asked.interface;
    out.now = SLC_TRY(walk_now(asked), "explain");
    if (!request.against.empty()) {
        out.planned = SLC_TRY(walk_planned(asked, request), "explain");
        out.differences = proof::differences(out.now, *out.planned);
    }
    return out;
}

}  // namespace sluice::control
