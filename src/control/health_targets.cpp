// SPDX-License-Identifier: Apache-2.0
#include "control/health_targets.h"

#include <charconv>

#include "config/check_places.h"
#include "plan/image.h"

namespace sluice::control {
namespace {

/// What a command sends cannot be marked.
bool needs_mark(const config::Check& check) {
    return check.via == config::CheckVia::vip && check.type != config::CheckType::command;
}

}  // namespace

std::set<IpAddress> marked_vips(const std::vector<GroupChecks>& checks) {
    std::set<IpAddress> out;
    for (const GroupChecks& group : checks)
        for (const GroupChecks::Place& place : group.places)
            if (needs_mark(*place.check)) out.insert(place.vip);
    return out;
}

std::vector<GroupChecks> checks_of(const config::Config& config) {
    std::vector<GroupChecks> out;
    const config::CheckPlaces places(config);
    for (std::size_t g = 0; g < config.groups.size(); ++g) {
        GroupChecks checks{.group = g, .places = {}};
        for (const config::Check& check : config.groups[g].health.checks) {
            const auto place = places.find(g, check);
            if (!place) break;  // No service uses the group.
            const config::Service& service = config.services[place->service];
            checks.places.push_back({.check = std::make_shared<const config::Check>(check),
                                     .service = service.name,
                                     .vip = place->vip,
                                     .port = place->port,
                                     .forward = service.forward});
        }
        if (!checks.places.empty()) out.push_back(std::move(checks));
    }
    return out;
}

std::string target_key(const std::string& member, std::size_t check) {
    return member + '#' + std::to_string(check);
}

TargetKey parse_target_key(std::string_view key) {
    const std::size_t at = key.rfind('#');
    TargetKey out;
    if (at == std::string_view::npos) return out;
    const std::string_view number = key.substr(at + 1);
    const auto read = std::from_chars(number.data(), number.data() + number.size(), out.check);
    if (read.ec == std::errc() && read.ptr == number.data() + number.size())
        out.member = key.substr(0, at);
    return out;
}

void add_targets(const config::Group& group, const GroupChecks& checks,
                 const config::Backend& backend, const MarkOf& mark_of,
                 std::vector<health::Target>& out) {
    const std::string member = plan::member_name(group, backend);
    for (std::size_t i = 0; i < checks.places.size(); ++i) {
        const GroupChecks::Place& place = checks.places[i];
        health::Target target{.key = target_key(member, i),
                              .check = place.check,
                              .address = backend.address,
                              .port = place.port,
                              .source = {},
                              .backend_address = backend.address,
                              .service = place.service,
                              .group = group.name,
                              .backend = backend.address.text()};
        if (needs_mark(*place.check)) {
            const auto mark = mark_of(member, place.forward, place.vip);
            if (!mark) continue;
            target.address = place.vip;
            target.mark = mark->mark;
            target.source = mark->source;
        }
        out.push_back(std::move(target));
    }
}

}  // namespace sluice::control
