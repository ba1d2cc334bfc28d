// SPDX-License-Identifier: Apache-2.0
#include "proof/walk.h"

#include <fmt/format.h>

#include <algorithm>

#include "packet/notation.h"
#include "plan/fallback.h"
#include "plan/reasons.h"
#include "proof/outcome.h"
#include "proof/walk_steps.h"

namespace sluice::proof {
namespace {

const config::Service* service_of(const WalkScene& scene, std::uint32_t id) {
    const std::string name = id != 0 ? scene.names.service(id) : std::string();
    for (const auto& service : scene.config.services)
        if (!name.empty() && service.name == name) return &service;
    return nullptr;
}

/// As its record says it.
std::uint32_t family_of(const WalkScene& scene, const config::Service& service) {
    return static_cast<std::uint32_t>(plan::Fallbacks(scene.config).last_of(service.group)) + 1;
}

void fill_outcome(const Trace& trace, const WalkScene& scene, Walk& out) {
    const slc_exit_record& rec = trace.said.answer.rec;
    const Outcome outcome = outcome_of(trace.in, trace.said, scene.names);
    out.generation = scene.generation;
    out.verdict = plan::verdict_label(rec.verdict);
    out.stage = plan::stage_label(rec.stage);
    out.reason = plan::reason_label(rec.reason);
    if (rec.reason < SLC_REASON_COUNT) {
        const auto& reason = plan::reason_text(static_cast<slc_reason>(rec.reason));
        out.text = reason.text;
        out.remedy = reason.remedy;
    }
    out.service = outcome.service;
    if (const config::Service* service = service_of(scene, rec.service);
        service != nullptr && service->forward != config::Forward::local)
        out.group = scene.config.groups[service->group].name;
    if (rec.member != 0) out.backend = scene.names.member(rec.member);
    if (rec.customer != 0) out.customer = scene.customer(rec.customer);
    if (rec.policy != 0) out.policy = scene.policy(rec.policy);
    if (outcome.encapsulation) out.encapsulation = config::name_of(*outcome.encapsulation);
    if (rec.verdict == SLC_VERDICT_TX) out.egress = scene.came_by;
    if (rec.verdict == SLC_VERDICT_REDIRECT && trace.header)
        out.egress = scene.interface(trace.header->ifindex);
}

void fill_packet(const Trace& trace, Walk& out) {
    const slc_proof& answer = trace.said.answer;
    out.hash = answer.hash;
    if ((trace.ring & SLC_RING_VALID) != 0 && (answer.slot_word != 0 || answer.slot != 0))
        out.slot = answer.slot - SLC_RING_OFFSET(trace.ring);
    if (answer.rec.verdict == SLC_VERDICT_DROP) return;
    out.out = trace.said.frame;
    out.out_text = packet::describe(out.out);
}

/// Why a packet is dropped that this stage would answer if there had not been too many.
slc_reason unanswered_of(std::uint8_t stage) {
    if (stage == SLC_STAGE_TOO_BIG) return SLC_REASON_TOO_BIG_UNANSWERED;
    return stage == SLC_STAGE_REJECT ? SLC_REASON_REJECTED_UNANSWERED : SLC_REASON_ICMP_RATE;
}

/// What only time, rate or another part of the machine decides.
void fill_assumptions(const Trace& trace, const WalkScene& scene, Walk& out) {
    const slc_proof& answer = trace.said.answer;
    const std::uint16_t reason = answer.rec.reason;
    const auto& node = scene.config.node;
    if (reason < SLC_REASON_COUNT && plan::is_answer(static_cast<slc_reason>(reason)))
        out.assumptions.push_back(fmt::format(
            "rate: the CPU that receives it has sent fewer than node.icmp_rate ({} a second) "
            "answers; above that it is dropped ({})",
            node.icmp_rate, plan::reason_label(unanswered_of(answer.rec.stage))));
    if (answer.flow_asked != 0)
        out.assumptions.emplace_back(
            "time: flows are remembered as they are at this moment; packets of the same flow, and "
            "the end of the change, make it otherwise");
    if (answer.rec.stage == SLC_STAGE_FRAG || reason == SLC_REASON_FORWARDED_FRAGMENT)
        out.assumptions.push_back(
            fmt::format("time: fragments are remembered as they are at this moment, each for {} s "
                        "after the first of its packet",
                        SLC_FRAG_LIFETIME_S));
    if (answer.rec.verdict == SLC_VERDICT_PASS && !node.next.empty())
        out.assumptions.push_back("next: what " + node.next + " makes of it was not asked");
}

void add_difference(std::vector<std::string>& out, const char* what, const std::string& now,
                    const std::string& planned) {
    if (now == planned) return;
    out.push_back(fmt::format("{} {}, planned {}", what, now.empty() ? "none" : now,
                              planned.empty() ? "none" : planned));
}

}  // namespace

Trace read_trace(const kernel::Twin& twin, std::span<const std::uint8_t> frame,
                 kernel::TwinAnswer said, std::uint64_t clock_ns, const WalkScene& scene) {
    Trace out;
    out.in.assign(frame.begin(), frame.end());
    out.said = std::move(said);
    const slc_proof& answer = out.said.answer;
    const config::Service* service = service_of(scene, answer.rec.service);
    if (service == nullptr || service->forward == config::Forward::local) return out;
    out.ring = twin.ring(answer.ring);
    if (answer.rec.member != 0) {
        const bool is_ip6 = answer.rec.famproto >= SLC_FAMPROTO_IP6_TCP;
        const auto* header = twin.header(
            answer.rec.member, SLC_VARIANT(static_cast<std::uint32_t>(service->forward), is_ip6));
        if (header != nullptr) out.header = *header;
    }
    if (answer.flow_asked != 0)
        out.after = twin.flow(answer.hash, family_of(scene, *service), clock_ns);
    return out;
}

Result<Trace> trace(kernel::Twin& twin, const TraceRequest& request, const WalkScene& scene) {
    SLC_CHECK(request.prepare(), "twin");
    auto said = SLC_TRY(twin.run(request.frame, request.clock_ns, request.ifindex), "run");
    if (said.answer.flow_asked == 0 || request.flows == nullptr)
        return read_trace(twin, request.frame, std::move(said), request.clock_ns, scene);
    // The hash is known now: where it leads is asked again beside what is remembered of the flow.
    SLC_CHECK(request.prepare(), "twin");
    twin.copy_flow(*request.flows, said.answer.hash);
    const config::Service* service = service_of(scene, said.answer.rec.service);
    const std::uint32_t family = service != nullptr ? family_of(scene, *service) : 0;
    const auto before = twin.flow(said.answer.hash, family, request.clock_ns);
    said = SLC_TRY(twin.run(request.frame, request.clock_ns, request.ifindex), "run");
    Trace out = read_trace(twin, request.frame, std::move(said), request.clock_ns, scene);
    out.before = before;
    return out;
}

Walk walk_of(const Trace& trace, const WalkScene& scene) {
    Walk out;
    fill_outcome(trace, scene, out);
    fill_packet(trace, out);
    add_steps(trace, scene, service_of(scene, trace.said.answer.rec.service), out);
    fill_assumptions(trace, scene, out);
    return out;
}

std::vector<std::string> differences(const Walk& now, const Walk& planned) {
    std::vector<std::string> out;
    add_difference(out, "verdict", now.verdict, planned.verdict);
    add_difference(out, "reason", now.reason, planned.reason);
    add_difference(out, "service", now.service, planned.service);
    add_difference(out, "backend", now.backend, planned.backend);
    add_difference(out, "customer", now.customer, planned.customer);
    add_difference(out, "policy", now.policy, planned.policy);
    add_difference(out, "encapsulation", now.encapsulation, planned.encapsulation);
    add_difference(out, "interface", now.egress, planned.egress);
    if (out.empty() && now.out != planned.out) {
        add_difference(out, "packet", now.out_text, planned.out_text);
        if (out.empty()) out.emplace_back("the bytes of the packet");
    }
    return out;
}

}  // namespace sluice::proof
