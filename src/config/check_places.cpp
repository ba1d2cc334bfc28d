// SPDX-License-Identifier: Apache-2.0
#include "config/check_places.h"

#include <string_view>
#include <unordered_map>

#include "config/rules.h"

namespace sluice::config {
namespace {

IpAddress probed_address(const IpPrefix& vip) {
    IpAddress out = vip.address;
    if (vip.len + 1 < vip.address.bits()) out.bytes[vip.address.is_ip6 ? 15 : 3] |= 1;
    return out;
}

}  // namespace

std::optional<Protocol> protocol_of(const Check& check) {
    switch (check.type) {
        case CheckType::tcp:
        case CheckType::http:
        case CheckType::https:
        case CheckType::grpc:
            return Protocol::tcp;
        case CheckType::udp:
            return Protocol::udp;
        case CheckType::dns:
            return check.dns.over_tcp ? Protocol::tcp : Protocol::udp;
        case CheckType::icmp:
        case CheckType::command:
            break;
    }
    return std::nullopt;
}

CheckPlaces::CheckPlaces(const Config& config, const std::vector<bool>& left_out)
    : config_(config), services_(config.groups.size()) {
    std::unordered_map<std::string_view, std::size_t> by_name;
    for (std::size_t i = 0; i < config.groups.size(); ++i)
        if (!config.groups[i].anonymous) by_name.try_emplace(config.groups[i].name, i);
    for (std::size_t i = 0; i < config.services.size(); ++i) {
        const bool is_out = i < left_out.size() && left_out[i];
        if (is_out || config.services[i].forward == Forward::local) continue;
        std::size_t group = config.services[i].group;
        for (std::size_t step = 0; step <= kMaxFallbacks; ++step) {
            auto& services = services_[group];
            if (!services.empty() && services.back() == i) break;  // Groups in a circle.
            services.push_back(i);
            const auto next = by_name.find(config.groups[group].health.fallback);
            if (next == by_name.end()) break;
            group = next->second;
        }
    }
}

bool CheckPlaces::fits(const Check& check, const Service& service) {
    const auto protocol = protocol_of(check);
    return !protocol || service.protocol == Protocol::both || service.protocol == *protocol;
}

bool CheckPlaces::has_port(const Check& check) {
    return check.type != CheckType::icmp && check.type != CheckType::command;
}

std::optional<CheckPlace> CheckPlaces::find(std::size_t group, const Check& check) const {
    const bool needs_port = has_port(check) && check.port == 0;
    const bool needs_fit = check.via == CheckVia::vip || needs_port;
    std::optional<std::size_t> found;
    for (const std::size_t index : services_[group]) {
        const Service& service = config_.services[index];
        if (!check.service.empty() && service.name != check.service) continue;
        const bool good = fits(check, service) && (!needs_port || service.ports.is_single());
        if (good || (!needs_fit && !found)) found = index;
        if (good) break;
    }
    if (!found) return std::nullopt;
    const Service& service = config_.services[*found];
    CheckPlace out{*found, probed_address(service.vip), check.port};
    if (out.port == 0 && check.type != CheckType::icmp && service.ports.is_single())
        out.port = service.ports.first;
    return out;
}

}  // namespace sluice::config
