// SPDX-License-Identifier: Apache-2.0

/// Shares of the flow table, and routing by ids: each service against its group.

#include <algorithm>

#include "base/duration.h"
#include "config/draft.h"

namespace sluice::config {
namespace {

/// A group and the flow table; said once, where the sum goes beyond it.
void check_shares(const Draft& draft, Findings& findings) {
    std::uint64_t sum = 0;
    const GroupNotes* beyond = nullptr;
    for (std::size_t i = 0; i < draft.groups.size(); ++i) {
        sum += draft.config.groups[i].flows.share;
        if (sum > 100 && beyond == nullptr) beyond = &draft.groups[i];
    }
    if (beyond != nullptr)
        findings.error(beyond->share, beyond->path + ".flows.share",
                       "the shares of all groups together are " + std::to_string(sum) +
                           "% of the flow table, at most 100% are possible");
}

/// How long an id may be for `routing`, in bytes.
std::uint8_t room_of(const Routing& routing) {
    return routing.by == RouteBy::quic_lb ? routing.server_id_len : std::uint8_t{4};
}

/// The services that choose backends of each group by id: how many, and which of them has room for
/// the fewest bytes.
struct IdUse {
    std::size_t services = 0;
    std::size_t narrowest = 0;
};

std::vector<IdUse> uses_of(const Draft& draft) {
    std::vector<IdUse> out(draft.config.groups.size());
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const Service& service = draft.config.services[i];
        if (service.routing.by == RouteBy::ring || !draft.services[i].has_group) continue;
        IdUse& use = out[service.group];
        if (use.services++ == 0 ||
            room_of(service.routing) < room_of(draft.config.services[use.narrowest].routing))
            use.narrowest = i;
    }
    return out;
}

void check_routing(const Draft& draft, Findings& findings) {
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const Service& service = draft.config.services[i];
        const ServiceNotes& notes = draft.services[i];
        if (service.routing.by == RouteBy::ring) continue;
        const bool is_tcp = service.routing.by == RouteBy::tcp_server_id;
        if (notes.has_protocol && service.protocol == (is_tcp ? Protocol::udp : Protocol::tcp))
            findings.error(notes.route_by, draft.service_path(i, "route_by"),
                           std::string(name_of(service.routing.by)) + " needs protocol " +
                               (is_tcp ? "tcp" : "udp") + " or both");
        if (!notes.has_group || draft.groups[service.group].mentions_server_id) continue;
        const Group& group = draft.config.groups[service.group];
        findings.error(
            notes.route_by, draft.service_path(i, "route_by"),
            std::string(name_of(service.routing.by)) + " needs backends with a server_id: " +
                (group.anonymous
                     ? std::string("this service")
                     : "group " + group.name + " (line " + std::to_string(group.mark.line) + ")") +
                " has none");
    }
}

void check_ids(const Draft& draft, Findings& findings) {
    const std::vector<IdUse> uses = uses_of(draft);
    for (std::size_t i = 0; i < draft.groups.size(); ++i) {
        if (uses[i].services == 0) continue;
        const Routing& routing = draft.config.services[uses[i].narrowest].routing;
        const auto& backends = draft.config.groups[i].backends;
        for (std::size_t at = 0; at < backends.size(); ++at) {
            if (!backends[at].server_id || backends[at].server_id->len <= room_of(routing))
                continue;
            findings.error(draft.groups[i].server_ids[at], draft.groups[i].path + ".backends",
                           "server id " + text_of(*backends[at].server_id) + " has " +
                               std::to_string(backends[at].server_id->len) + " bytes, but " +
                               name_of(routing.by) + " of " +
                               draft.service_place(uses[i].narrowest) + " has room for " +
                               std::to_string(room_of(routing)));
        }
    }
}

/// A server sends its SYN-ACK six times and waits 1, 2, 4, 8, 16 and 32 seconds for the answer
/// (Linux with net.ipv4.tcp_synack_retries = 5): after 63 it has given up.
constexpr std::chrono::seconds kHandshake{63};

void warn_lifetimes(const Draft& draft, Findings& findings) {
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const Service& service = draft.config.services[i];
        const ServiceNotes& notes = draft.services[i];
        for (std::size_t at = 0; at < notes.lifetimes.size(); ++at) {
            if (notes.lifetimes[at].line == 0) continue;
            const std::string_view key = keys::kLifetimesNames[at];
            const std::string path = draft.service_path(i, "lifetimes.") + std::string(key);
            if (service.protocol == (key == "udp" ? Protocol::tcp : Protocol::udp))
                findings.warning(
                    notes.lifetimes[at], path,
                    std::string("has no effect with protocol: ") + name_of(service.protocol));
            else if (key == "embryonic" && service.lifetimes.embryonic <= kHandshake)
                findings.warning(
                    notes.lifetimes[at], path,
                    text_of_duration(service.lifetimes.embryonic) +
                        " is too short for slow handshakes: servers repeat their SYN-ACK for 63s");
        }
    }
}

/// Said once for each group.
void warn_ids(const Draft& draft, Findings& findings) {
    const std::vector<IdUse> uses = uses_of(draft);
    for (std::size_t i = 0; i < draft.groups.size(); ++i) {
        const auto& backends = draft.config.groups[i].backends;
        const bool has_use = uses[i].services > 0;
        const auto odd = std::find_if(
            backends.begin(), backends.end(),
            [&](const Backend& backend) { return backend.server_id.has_value() != has_use; });
        if (odd == backends.end()) continue;
        const auto at = static_cast<std::size_t>(odd - backends.begin());
        if (has_use)
            findings.warning(odd->mark, draft.groups[i].path + ".backends",
                             "backend " + odd->address.text() + " has no server_id: no packet of " +
                                 draft.service_place(uses[i].narrowest) + " can name it");
        else
            findings.warning(draft.groups[i].server_ids[at], draft.groups[i].path + ".backends",
                             "server_id has no effect: no service of this group has route_by");
    }
}

}  // namespace

void validate_flows(const Draft& draft, Findings& findings) {
    check_shares(draft, findings);
    check_routing(draft, findings);
    check_ids(draft, findings);
}

void warn_flows(const Draft& draft, Findings& findings) {
    warn_lifetimes(draft, findings);
    warn_ids(draft, findings);
}

}  // namespace sluice::config
