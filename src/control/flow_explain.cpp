// SPDX-License-Identifier: Apache-2.0
#include "control/flow_explain.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "sluice/hash.h"

namespace {

/// What slc_flow_decide asks its includer.
struct ExplainEnv {
    std::span<const slc_member> members;
};

int member_fit(const ExplainEnv* env, std::uint32_t member, std::uint32_t family);

}  // namespace

#define SLC_FLOW_ENV const ExplainEnv
#define SLC_FLOW_MEMBER(env, member, family) member_fit(env, member, family)
#define SLC_FLOW_ACCOUNT(env, member) \
    (static_cast<void>(env), static_cast<void>(member), static_cast<slc_account*>(nullptr))
#include "sluice/flow_decide.h"

namespace {

int member_fit(const ExplainEnv* env, std::uint32_t member, std::uint32_t family) {
    if (member >= env->members.size() || SLC_FAMILY_OF(env->members[member]) != family)
        return SLC_FLOW_FOREIGN;
    return (env->members[member].flags & SLC_MEMBER_DOWN) != 0 ? SLC_FLOW_DEAD : SLC_FLOW_FITS;
}

}  // namespace

namespace sluice::control {
namespace {

using config::Service;

bool carries(const Service& service, config::Protocol protocol) {
    return service.protocol == protocol || service.protocol == config::Protocol::both;
}

/// Exact port before range before any.
int rank(const config::Ports& ports) {
    if (ports.any) return 0;
    return ports.is_single() ? 2 : 1;
}

slc_flow_bucket copy_of(const kernel::FlowTable& table, std::uint32_t index) {
    slc_flow_bucket out{};
    slc_flow_bucket& live = table.buckets()[index];
    for (int i = 0; i < SLC_FLOW_WAYS; ++i) out.entry[i] = std::atomic_ref(live.entry[i]).load();
    return out;
}

slc_account copy_of(slc_account& account) {
    slc_account out = account;
    out.used = std::atomic_ref(account.used).load();
    return out;
}

slc_u8 kind_of(const FlowTuple& tuple) {
    if (tuple.protocol == config::Protocol::udp) return SLC_FLOW_UDP;
    return tuple.syn ? SLC_FLOW_SYN : SLC_FLOW_PACKET;
}

FlowExplanation::Way way_of(const slc_flow_answer& answer) {
    if (answer.how == SLC_FLOW_BY_MEMORY) return FlowExplanation::Way::remembered;
    if (answer.how == SLC_FLOW_BY_RING) return FlowExplanation::Way::ring;
    if (answer.held != 0) return FlowExplanation::Way::held;
    return answer.insert > SLC_FLOW_INSERTED ? FlowExplanation::Way::refused
                                             : FlowExplanation::Way::previous;
}

}  // namespace

const Service* service_for(const config::Config& config, const FlowTuple& tuple) {
    const Service* best = nullptr;
    int longest = -1;
    for (const Service& service : config.services)
        if (service.vip.contains(tuple.destination))
            longest = std::max<int>(longest, service.vip.len);
    for (const Service& service : config.services) {
        const config::Ports& ports = service.ports;
        const bool fits = service.vip.contains(tuple.destination) && service.vip.len == longest &&
                          carries(service, tuple.protocol) &&
                          (ports.any || (ports.first <= tuple.destination_port &&
                                         tuple.destination_port <= ports.last));
        if (fits && (best == nullptr || rank(ports) > rank(best->ports))) best = &service;
    }
    return best;
}

std::uint64_t flow_hash(const config::Config& config, const Service& service,
                        const FlowTuple& tuple) {
    const auto source = plan::address_words(tuple.source);
    auto destination = plan::address_words(tuple.destination);
    std::uint16_t sport_be = htons(tuple.source_port), dport_be = htons(tuple.destination_port);
    std::uint8_t proto = tuple.protocol == config::Protocol::tcp ? IPPROTO_TCP : IPPROTO_UDP;
    if (service.affinity != config::Affinity::five_tuple) {
        destination = {};
        dport_be = 0;
        proto = 0;
    }
    if (service.affinity == config::Affinity::source) sport_be = 0;
    const auto& key = config.node.ring_secret;
    if (!tuple.source.is_ip6)
        return slc_flow_hash4(key[0], key[1], source[3], destination[3], sport_be, dport_be, proto);
    return slc_flow_hash6(key[0], key[1], source.data(), destination.data(), sport_be, dport_be,
                          proto);
}

std::uint32_t member_by_id(const plan::Image& image, const Service& service,
                           const std::vector<std::uint8_t>& id) {
    slc_server_id key{};
    key.group = static_cast<slc_u32>(service.group + 1);
    std::size_t from = 0;
    switch (service.routing.by) {
        case config::RouteBy::ring:
            return 0;
        case config::RouteBy::tcp_server_id:
            if (id.size() != 4) return 0;
            key.len = 4;
            break;
        case config::RouteBy::quic_lb:
            if (id.empty() || id[0] >> 5 != service.routing.rotation) return 0;
            key.len = service.routing.server_id_len;
            from = 1;
            break;
        case config::RouteBy::katran:
            return 0;
    }
    if (id.size() < from + key.len) return 0;
    std::memcpy(key.id, id.data() + from, key.len);
    for (const auto& entry : image.server_ids)
        if (std::memcmp(&entry.key, &key, sizeof key) == 0) return entry.member;
    return 0;
}

FlowExplanation explain_flow(const Changes::Scene& scene, const kernel::StateMaps& state,
                             const Service& service, std::uint32_t service_id,
                             const FlowTuple& tuple) {
    FlowExplanation out;
    const slc_service& record = scene.image.services[service_id];
    const plan::ImageRing& ring = scene.image.ring_list[record.ring];
    out.hash = flow_hash(scene.config, service, tuple);
    out.slot = slc_slot_of(out.hash, ring.log2);
    out.word = std::atomic_ref(slots_of(scene.generation, ring)[out.slot]).load();
    out.member = SLC_SLOT_CURRENT(out.word);
    const bool asked =
        (out.word & SLC_SLOT_MARKED) != 0 || service.tracking == config::Tracking::always;
    if (!asked || service.tracking == config::Tracking::never) return out;

    const kernel::FlowMap& flows = state.flows();
    const kernel::FlowTable& table = flows.current();
    slc_flow_bucket bucket = copy_of(table, slc_flow_bucket_of(out.hash, table.geometry.log2));
    slc_flow_bucket old{};
    slc_account account = copy_of(scene.generation.accounts()[record.group]);
    slc_account pool = copy_of(scene.generation.accounts()[0]);
    slc_flow_places places{};
    places.bucket = &bucket;
    places.account = &account;
    places.pool = &pool;
    if (flows.leaving()) {
        old =
            copy_of(*flows.leaving(), slc_flow_bucket_of(out.hash, flows.leaving()->geometry.log2));
        places.old = &old;
        places.old_tick = flows.leaving()->tick();
        places.old_coarser = flows.leaving()->geometry.shift - table.geometry.shift;
    }
    slc_flow_ask ask{};
    ask.hash = out.hash;
    ask.slot = out.word;
    ask.tick = table.tick();
    ask.family = SLC_FAMILY_OF(record);
    std::copy(std::begin(record.lifetime), std::end(record.lifetime), ask.lifetime);
    ask.kind = kind_of(tuple);
    ask.shared = service.affinity != config::Affinity::five_tuple;
    ask.always = service.tracking == config::Tracking::always;
    const ExplainEnv env{std::as_const(scene.generation).members()};
    slc_u64 dead = 0;
    out.bucket = slc_flow_bucket_of(out.hash, table.geometry.log2);
    if (slc_flow_find(&bucket, &ask, ask.tick, &env, &out.entry, &dead) < 0 && places.old)
        out.in_leaving = slc_flow_find(&old, &ask, places.old_tick, &env, &out.entry, &dead) >= 0;
    slc_flow_answer answer{};
    slc_flow_decide(&places, &ask, &env, &answer);
    out.member = answer.member;
    out.way = way_of(answer);
    return out;
}

}  // namespace sluice::control
