// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "config/draft.h"
#include "sluice/limits.h"

namespace sluice::config {
namespace {

/// One service under one protocol: a service on both protocols is two of them.
struct Target {
    const Service* service = nullptr;
    std::size_t index = 0;
    bool is_udp = false;

    [[nodiscard]] bool same_place(const Target& other) const {
        return is_udp == other.is_udp && service->vip == other.service->vip;
    }
};

/// By VIP, protocol, `any` last, first port, and then in file order.
bool before(const Target& left, const Target& right) {
    const auto key = [](const Target& target) {
        return std::tuple(target.is_udp, target.service->ports.any, target.service->ports.first,
                          target.service->ports.last, target.index);
    };
    if (left.service->vip != right.service->vip) return left.service->vip < right.service->vip;
    return key(left) < key(right);
}

class OverlapCheck {
 public:
    OverlapCheck(const Draft& draft, Findings& findings) : draft_(draft), findings_(findings) {}

    /// Targets of one VIP and protocol, sorted. Every service that overlaps another is named once
    /// for each protocol and service, without comparing all pairs.
    void run(const std::vector<Target>& targets, std::size_t first, std::size_t last) {
        const Target* widest = nullptr;
        const Target* any = nullptr;
        std::size_t ranges = 0;
        for (std::size_t i = first; i < last; ++i) {
            const Target& target = targets[i];
            const Ports& ports = target.service->ports;
            if (ports.any) {
                if (any != nullptr) report(*any, target);
                if (any == nullptr) any = &target;
                continue;
            }
            if (!ports.is_single()) ++ranges;
            if (widest != nullptr && ports.first <= widest->service->ports.last)
                report(*widest, target);
            if (widest == nullptr || ports.last > widest->service->ports.last) widest = &target;
        }
        if (ranges > SLC_MAX_RANGES_PER_VIP)
            findings_.error(draft_.services[targets[first].index].port,
                            draft_.service_path(targets[first].index, "port"),
                            targets[first].service->vip.text() + " has " + std::to_string(ranges) +
                                " port ranges for " + name(targets[first]) + ", at most " +
                                std::to_string(SLC_MAX_RANGES_PER_VIP) + " are possible");
    }

 private:
    static const char* name(const Target& target) {
        return name_of(target.is_udp ? Protocol::udp : Protocol::tcp);
    }

    /// The later of the two in the file is at fault.
    void report(const Target& one, const Target& other) {
        const Target& later = one.index > other.index ? one : other;
        const Target& earlier = one.index > other.index ? other : one;
        if (!reported_.insert({later.index, earlier.index}).second) return;
        findings_.error(draft_.services[later.index].port, draft_.service_path(later.index, "port"),
                        std::string(name(later)) + " " + text_of(later.service->ports) + " of " +
                            text_of_vip(later.service->vip) + " overlaps " +
                            text_of(earlier.service->ports) + " of " +
                            draft_.service_place(earlier.index));
    }

    static std::string text_of_vip(const IpPrefix& vip) {
        return vip.is_host() ? vip.address.text() : vip.text();
    }

    const Draft& draft_;
    Findings& findings_;
    std::set<std::pair<std::size_t, std::size_t>> reported_;
};

void check_overlaps(const Draft& draft, Findings& findings) {
    std::vector<Target> targets;
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        if (!draft.services[i].has_target) continue;
        const Service& service = draft.config.services[i];
        if (service.protocol != Protocol::udp) targets.push_back({&service, i, false});
        if (service.protocol != Protocol::tcp) targets.push_back({&service, i, true});
    }
    std::sort(targets.begin(), targets.end(), before);
    OverlapCheck check(draft, findings);
    for (std::size_t first = 0; first < targets.size();) {
        std::size_t last = first + 1;
        while (last < targets.size() && targets[last].same_place(targets[first])) ++last;
        check.run(targets, first, last);
        first = last;
    }
}

/// What one service says of the other ports of its VIP holds for all services of that VIP.
void spread_unmatched(Draft& draft, Findings& findings) {
    std::map<IpPrefix, std::size_t> said;
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        if (!draft.services[i].has_vip || draft.services[i].unmatched.line == 0) continue;
        const Service& service = draft.config.services[i];
        const auto [entry, fresh] = said.try_emplace(service.vip, i);
        const Service& first = draft.config.services[entry->second];
        if (!fresh && first.unmatched != service.unmatched)
            findings.error(draft.services[i].unmatched, draft.service_path(i, "unmatched"),
                           std::string(name_of(service.unmatched)) + ", but " +
                               draft.service_place(entry->second) + " says " +
                               name_of(first.unmatched) + " for the same VIP");
    }
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        Service& service = draft.config.services[i];
        const auto found = said.find(service.vip);
        if (draft.services[i].has_vip && found != said.end())
            service.unmatched = draft.config.services[found->second].unmatched;
    }
}

/// Which groups are reached through tunnels: by the first service that does so.
std::vector<std::optional<std::size_t>> tunnelled_groups(const Draft& draft) {
    std::vector<std::optional<std::size_t>> out(draft.config.groups.size());
    const CheckPlaces places = places_of(draft);
    for (std::size_t group = 0; group < out.size(); ++group)
        for (const std::size_t i : places.services_of(group)) {
            const Forward forward = draft.config.services[i].forward;
            const bool tunnels =
                forward == Forward::ipip || forward == Forward::gre || forward == Forward::gue;
            if (tunnels && !out[group]) out[group] = i;
        }
    return out;
}

/// A tunnel needs a source of the backend's family. Said once for each group and family.
void check_sources(const Draft& draft, Findings& findings) {
    const Node& node = draft.config.node;
    // Without tunnel_source each next hop's own address serves; with half of one, nothing does. A
    // tunnel_source with nothing good in it was reported already.
    if (draft.tunnel_source.line == 0 || (!node.tunnel_source4 && !node.tunnel_source6)) return;
    const auto tunnelled = tunnelled_groups(draft);
    for (std::size_t i = 0; i < draft.config.groups.size(); ++i) {
        if (!tunnelled[i]) continue;
        bool said[2] = {node.tunnel_source4.has_value(), node.tunnel_source6.has_value()};
        for (const Backend& backend : draft.config.groups[i].backends) {
            bool& quiet = said[backend.address.is_ip6 ? 1 : 0];
            if (quiet) continue;
            quiet = true;
            const Service& service = draft.config.services[*tunnelled[i]];
            findings.error(backend.mark, draft.groups[i].path + ".backends",
                           std::string(name_of(service.forward)) + " of " +
                               draft.service_place(*tunnelled[i]) + " to " +
                               backend.address.text() + " needs node.tunnel_source." +
                               (backend.address.is_ip6 ? "ipv6" : "ipv4") +
                               ": tunnel_source (line " + std::to_string(draft.tunnel_source.line) +
                               ") has only " + (backend.address.is_ip6 ? "ipv4" : "ipv6"));
        }
    }
}

}  // namespace

void validate_targets(Draft& draft, Findings& findings) {
    check_overlaps(draft, findings);
    spread_unmatched(draft, findings);
}

void validate_backends(const Draft& draft, Findings& findings) {
    std::unordered_map<IpAddress, std::size_t, AddressHash> vips;
    for (std::size_t i = 0; i < draft.services.size(); ++i)
        if (draft.services[i].has_vip && draft.config.services[i].vip.is_host())
            vips.try_emplace(draft.config.services[i].vip.address, i);
    for (std::size_t i = 0; i < draft.config.groups.size(); ++i) {
        for (const Backend& backend : draft.config.groups[i].backends) {
            const auto found = vips.find(backend.address);
            if (found == vips.end()) continue;
            findings.error(backend.mark, draft.groups[i].path + ".backends",
                           "backend " + backend.address.text() + " is the VIP of " +
                               draft.service_place(found->second) +
                               ": packets would come back for ever");
        }
    }
    check_sources(draft, findings);
}

}  // namespace sluice::config
