// SPDX-License-Identifier: Apache-2.0
#include "plan/flow_plan.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <set>

namespace sluice::plan {
namespace {

using config::Service;

std::chrono::seconds longest(const config::Lifetimes& lifetimes) {
    return std::max({lifetimes.embryonic, lifetimes.established, lifetimes.closing, lifetimes.udp});
}

std::uint64_t ticks(std::chrono::seconds lifetime, std::uint8_t shift) {
    const auto ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(lifetime).count());
    return (ns + (std::uint64_t{1} << shift) - 1) >> shift;
}

bool carries(const Service& service, config::Protocol protocol) {
    return service.protocol == protocol || service.protocol == config::Protocol::both;
}

/// Bytes of a key of this service's kind; 0 where it routes by nothing.
std::uint8_t key_len(const Service& service) {
    switch (service.routing.by) {
        case config::RouteBy::ring:
            return 0;
        case config::RouteBy::quic_lb:
            return service.routing.server_id_len;
        case config::RouteBy::tcp_server_id:
        case config::RouteBy::katran:
            break;
    }
    return 4;
}

}  // namespace

FlowGeometry flow_geometry(const config::Config& config) {
    FlowGeometry out;
    const auto buckets = std::bit_ceil(std::max<std::uint32_t>(config.node.flow_entries, 1)) /
                         std::uint32_t{SLC_FLOW_WAYS};
    out.log2 = static_cast<std::uint8_t>(std::clamp<int>(
        buckets == 0 ? 0 : std::countr_zero(buckets), SLC_FLOW_MIN_LOG2, SLC_FLOW_MAX_LOG2));
    std::chrono::seconds lifetime{1};
    for (const Service& service : config.services)
        if (service.tracking != config::Tracking::never)
            lifetime = std::max(lifetime, longest(service.lifetimes));
    while (ticks(lifetime, out.shift) > SLC_FLOW_MAX_TICKS && out.shift < SLC_FLOW_MAX_SHIFT)
        ++out.shift;
    return out;
}

std::uint8_t ticks_of(std::chrono::seconds lifetime, std::uint8_t shift) {
    return static_cast<std::uint8_t>(
        std::clamp<std::uint64_t>(ticks(lifetime, shift), 1, SLC_FLOW_MAX_TICKS));
}

std::chrono::seconds window_of(const Service& service) {
    std::chrono::seconds out{0};
    if (service.tracking == config::Tracking::never) return out;
    if (carries(service, config::Protocol::tcp)) out = service.lifetimes.established;
    if (carries(service, config::Protocol::udp)) out = std::max(out, service.lifetimes.udp);
    return out;
}

void fill_flow_fields(const Service& service, std::uint8_t shift, slc_service& record) {
    record.lifetime[SLC_FLOW_EMBRYONIC] = ticks_of(service.lifetimes.embryonic, shift);
    record.lifetime[SLC_FLOW_ESTABLISHED] = ticks_of(service.lifetimes.established, shift);
    record.lifetime[SLC_FLOW_CLOSING] = ticks_of(service.lifetimes.closing, shift);
    record.lifetime[SLC_FLOW_DATAGRAM] = ticks_of(service.lifetimes.udp, shift);
    if (service.tracking == config::Tracking::always) record.flags |= SLC_SERVICE_TRACK_ALWAYS;
    if (service.tracking == config::Tracking::never) record.flags |= SLC_SERVICE_TRACK_NEVER;
    record.id_format = static_cast<slc_u8>(service.routing.by);
    record.id_len = service.routing.server_id_len;
    record.id_rotation = service.routing.rotation;
}

static_assert(static_cast<int>(config::RouteBy::tcp_server_id) == SLC_ID_TCP_OPTION);
static_assert(static_cast<int>(config::RouteBy::quic_lb) == SLC_ID_QUIC_LB);
static_assert(static_cast<int>(config::RouteBy::katran) == SLC_ID_KATRAN);

std::vector<slc_account> flow_accounts(const config::Config& config, std::uint64_t entries) {
    std::vector<slc_account> out(config.groups.size() + 1);
    std::uint64_t reserved = 0;
    for (std::size_t g = 0; g < config.groups.size(); ++g) {
        const config::FlowShare& flows = config.groups[g].flows;
        out[g + 1].share = entries * flows.share / 100;
        out[g + 1].ceiling = entries * flows.ceiling / 100;
        reserved += out[g + 1].share;
    }
    out[0].ceiling = entries - std::min(reserved, entries);
    return out;
}

std::vector<slc_server_id> server_id_keys(const config::Config& config, std::size_t group,
                                          const config::Backend& backend) {
    std::vector<slc_server_id> out;
    if (!backend.server_id) return out;
    const config::ServerId& id = *backend.server_id;
    std::set<std::uint8_t> lengths;
    for (const Service& service : config.services)
        if (service.forward != config::Forward::local && service.group == group)
            lengths.insert(key_len(service));
    lengths.erase(0);
    for (const std::uint8_t len : lengths) {
        if (id.len > len) continue;  // Another service of the group has the longer ids.
        slc_server_id key{};
        key.group = static_cast<slc_u32>(group + 1);
        key.len = len;
        std::memcpy(key.id + len - id.len, id.bytes.data(), id.len);
        out.push_back(key);
    }
    return out;
}

}  // namespace sluice::plan
