// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>

#include "config/draft.h"
#include "sluice/limits.h"

namespace sluice::config {
namespace {

void check_limit(Findings& findings, Mark mark, std::string path, std::size_t count,
                 std::size_t limit, std::string_view noun) {
    if (count > limit)
        findings.error(mark, std::move(path),
                       std::to_string(count) + " " + std::string(noun) + ", at most " +
                           std::to_string(limit) + " are possible");
}

/// Ids are 1.., so that one value less than the table has room for is possible.
void check_counts(const Draft& draft, Findings& findings) {
    const Config& config = draft.config;
    check_limit(findings, draft.services_mark, "services", config.services.size(),
                SLC_MAX_SERVICES - 1, "services");
    check_limit(findings, draft.groups_mark.line != 0 ? draft.groups_mark : draft.services_mark,
                "groups", config.groups.size(), SLC_MAX_GROUPS, "groups");
    std::size_t members = 0;
    for (const Group& group : config.groups) members += group.backends.size();
    check_limit(findings, draft.groups_mark.line != 0 ? draft.groups_mark : draft.services_mark,
                "groups", members, SLC_MAX_MEMBERS - 1, "backends in all groups");

    std::set<std::string_view> customers;
    std::set<std::string_view> policies;
    const auto add_owner = [&](const auto& owned) {
        if (!owned.customer.empty()) customers.insert(owned.customer);
        if (!owned.policy.empty()) policies.insert(owned.policy);
    };
    for (const Service& service : config.services) add_owner(service);
    for (const Protected& item : config.protected_prefixes) add_owner(item);
    check_limit(findings, draft.services_mark, "services", customers.size(), SLC_MAX_CUSTOMERS - 1,
                "customers");
    check_limit(findings, draft.services_mark, "services", policies.size(), SLC_MAX_POLICIES - 1,
                "policies");
}

/// Exact addresses share one table, prefixes one trie for each family.
void check_addresses(const Draft& draft, Findings& findings) {
    std::set<IpPrefix> hosts;
    std::set<IpPrefix> prefixes[2];
    const auto add = [&](const IpPrefix& prefix) {
        (prefix.is_host() ? hosts : prefixes[prefix.address.is_ip6 ? 1 : 0]).insert(prefix);
    };
    for (std::size_t i = 0; i < draft.services.size(); ++i)
        if (draft.services[i].has_vip) add(draft.config.services[i].vip);
    for (const Protected& item : draft.config.protected_prefixes)
        prefixes[item.prefix.address.is_ip6 ? 1 : 0].insert(item.prefix);
    if (draft.config.node.decap)
        for (const IpAddress& address : draft.config.node.decap->addresses)
            add({address, address.bits()});
    check_limit(findings, draft.services_mark, "services", hosts.size(), SLC_MAX_VIPS,
                "single addresses (VIPs and node.decap.addresses)");
    for (const bool is_ip6 : {false, true})
        check_limit(
            findings, draft.services_mark.line != 0 ? draft.services_mark : draft.protected_mark,
            "services", prefixes[is_ip6 ? 1 : 0].size(), SLC_MAX_PREFIXES,
            is_ip6 ? "IPv6 prefixes (VIPs and protected)" : "IPv4 prefixes (VIPs and protected)");
}

/// Prefixes that hold an address, the longest first. Costs one lookup for each length in use.
class Covering {
 public:
    void add(const IpPrefix& prefix, std::size_t service) {
        services_.try_emplace(prefix, service);
        lengths_.insert({prefix.address.is_ip6, prefix.len});
    }

    /// The service of the longest prefix with at least the whole of `inner`.
    [[nodiscard]] std::optional<std::size_t> find(const IpPrefix& inner) const {
        for (auto length = lengths_.rbegin(); length != lengths_.rend(); ++length) {
            if (length->first != inner.address.is_ip6 || length->second > inner.len) continue;
            const auto found = services_.find(IpPrefix{inner.address, length->second}.network());
            if (found != services_.end()) return found->second;
        }
        return std::nullopt;
    }

 private:
    std::map<IpPrefix, std::size_t> services_;
    std::set<std::pair<bool, std::uint8_t>> lengths_;
};

Covering vips_of(const Draft& draft) {
    Covering vips;
    for (std::size_t i = 0; i < draft.services.size(); ++i)
        if (draft.services[i].has_vip) vips.add(draft.config.services[i].vip, i);
    return vips;
}

/// A protected prefix counts what is not balanced: inside a VIP it would take packets from it.
void check_protected(const Draft& draft, const Covering& vips, Findings& findings) {
    std::map<IpPrefix, std::uint32_t> lines;
    for (std::size_t i = 0; i < draft.config.protected_prefixes.size(); ++i) {
        if (!draft.prefixes_good[i]) continue;
        const Protected& item = draft.config.protected_prefixes[i];
        const std::string path = "protected[" + std::to_string(i) + "].prefix";
        const auto [entry, fresh] = lines.try_emplace(item.prefix, item.mark.line);
        if (!fresh)
            findings.error(item.mark, path,
                           item.prefix.text() + " is protected twice, first on line " +
                               std::to_string(entry->second));
        if (const auto service = vips.find(item.prefix))
            findings.error(item.mark, path,
                           item.prefix.text() + " lies within the VIP of " +
                               draft.service_place(*service) +
                               ": give the service a customer or a policy instead");
    }
}

void check_decap(const Draft& draft, const Covering& vips, Findings& findings) {
    if (!draft.config.node.decap) return;
    const auto& addresses = draft.config.node.decap->addresses;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const auto service = vips.find({addresses[i], addresses[i].bits()});
        if (!service || !draft.config.services[*service].vip.is_host()) continue;
        findings.error(draft.decap_address_marks[i],
                       "node.decap.addresses[" + std::to_string(i) + "]",
                       addresses[i].text() + " is the VIP of " + draft.service_place(*service) +
                           ": tunnels end at an address of the node itself");
    }
}

void warn_groups(const Draft& draft, Findings& findings) {
    const CheckPlaces places = places_of(draft);
    for (std::size_t i = 0; i < draft.config.groups.size(); ++i) {
        const Group& group = draft.config.groups[i];
        const auto owning =
            std::count_if(group.backends.begin(), group.backends.end(), [](const Backend& backend) {
                return backend.weight > 0 && backend.state == BackendState::ready;
            });
        if (places.services_of(i).empty())
            findings.warning(group.mark, "groups." + group.name, "no service uses this group");
        else if (group.backends.empty())
            findings.warning(group.mark, draft.groups[i].path + ".backends",
                             "no backends: every packet of its services is dropped");
        else if (owning == 0)
            findings.warning(group.mark, draft.groups[i].path + ".backends",
                             "no backend is ready with a weight above 0: every packet of its "
                             "services is dropped");
        else if (group.backends.size() == 1)
            findings.warning(group.mark, draft.groups[i].path + ".backends",
                             "only one backend: nothing takes over when it fails");
    }
}

/// Keys that the forwarding mode gives no meaning to.
void warn_services(const Draft& draft, Findings& findings) {
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const Forward forward = draft.config.services[i].forward;
        const ServiceNotes& notes = draft.services[i];
        const auto idle = [&](Mark mark, std::string_view key) {
            if (mark.line != 0)
                findings.warning(mark, draft.service_path(i, key),
                                 std::string("has no effect with forward: ") + name_of(forward));
        };
        if (forward == Forward::local) {
            idle(notes.balance, "balance");
            idle(notes.affinity, "affinity");
        }
        if (forward == Forward::local || forward == Forward::l2) idle(notes.dscp, "dscp");
    }
}

void warn_inside_vips(const Draft& draft, const Covering& vips, Findings& findings) {
    for (std::size_t i = 0; i < draft.config.groups.size(); ++i)
        for (const Backend& backend : draft.config.groups[i].backends)
            if (const auto service = vips.find({backend.address, backend.address.bits()}))
                findings.warning(backend.mark, draft.groups[i].path + ".backends",
                                 "backend " + backend.address.text() + " lies within the VIP of " +
                                     draft.service_place(*service) +
                                     ": what reaches this node for it is balanced");
}

}  // namespace

std::string Draft::service_place(std::size_t index) const {
    const Service& service = config.services[index];
    return "service " + (service.name.empty() ? std::to_string(index) : service.name) + " (line " +
           std::to_string(service.mark.line) + ")";
}

void validate(Draft& draft, Findings& findings) {
    const Covering vips = vips_of(draft);
    check_counts(draft, findings);
    check_addresses(draft, findings);
    validate_targets(draft, findings);
    validate_backends(draft, findings);
    check_protected(draft, vips, findings);
    check_decap(draft, vips, findings);
    validate_flows(draft, findings);
    validate_health(draft, findings);
}

void warn(const Draft& draft, Findings& findings) {
    const Node& node = draft.config.node;
    const Mark place = node.mark.line != 0 ? node.mark : Mark{1, 1};
    if (node.interfaces.empty())
        findings.warning(place, "node.interfaces", "none: Sluice will see no packet");
    if (!node.has_ring_secret && node.ring_secret_file.empty())
        findings.warning(place, "node.ring_secret",
                         "none: anybody can compute which backend a connection takes");
    if (draft.config.services.empty())
        findings.warning(draft.services_mark, "services", "none: nothing is balanced");
    warn_groups(draft, findings);
    warn_services(draft, findings);
    warn_inside_vips(draft, vips_of(draft), findings);
    warn_flows(draft, findings);
    warn_health(draft, findings);
    warn_announce(draft, findings);
}

}  // namespace sluice::config
