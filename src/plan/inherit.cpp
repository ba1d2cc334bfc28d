// SPDX-License-Identifier: Apache-2.0
#include "plan/inherit.h"

#include <utility>

#include "config/rules.h"
#include "plan/fallback.h"

namespace sluice::plan {
namespace {

using config::Config;

std::uint32_t log2_of(const std::vector<std::uint64_t>& slots) {
    return static_cast<std::uint32_t>(__builtin_ctzll(slots.size()));
}

/// Which members the slots of a ring name, each once, without 0. One for many rings: what it keeps
/// for a member is as wide as its id.
class NamedMembers {
 public:
    const std::vector<std::uint32_t>& of(const std::vector<std::uint64_t>& slots) {
        ++round_;
        named_.clear();
        for (const std::uint64_t slot : slots) {
            add(SLC_SLOT_CURRENT(slot));
            add(SLC_SLOT_PREVIOUS(slot));
        }
        return named_;
    }

 private:
    void add(std::uint32_t id) {
        if (id >= seen_.size()) seen_.resize(id + 1);
        if (id == 0 || std::exchange(seen_[id], round_) == round_) return;
        named_.push_back(id);
    }

    std::vector<std::uint32_t> seen_;  ///< By id: the round in which it was named last.
    std::uint32_t round_ = 0;
    std::vector<std::uint32_t> named_;
};

std::map<std::string, std::set<IpAddress>> backends_of(const Config& config) {
    std::map<std::string, std::set<IpAddress>> out;
    for (const auto& group : config.groups) {
        auto& own = out[group.name];  // A group that has lost its last backend is there, too.
        for (const auto& backend : group.backends) own.insert(backend.address);
    }
    return out;
}

/// By name of a group: those that may stand in for it, whose members its slots then name.
using Standins = std::map<std::string, std::set<std::string>>;

Standins standins_of(const Config& config) {
    const Fallbacks fallbacks(config);
    Standins out;
    for (std::size_t g = 0; g < config.groups.size(); ++g) {
        auto next = fallbacks.next_of(g);
        for (std::size_t step = 0; step < config::kMaxFallbacks && next; ++step) {
            out[config.groups[g].name].insert(config.groups[*next].name);
            next = fallbacks.next_of(*next);
        }
    }
    return out;
}

bool stands_in(const Standins& standins, const std::string& member, const std::string& group) {
    const auto found = standins.find(group);
    return found != standins.end() && found->second.contains(group_of(member));
}

/// The id in the new generation of what `id` was in a ring of `group` before.
std::uint32_t translate(std::uint32_t id, const std::string& group, const Standins& standins,
                        const LiveRings& live, const IdStore& ids) {
    const auto name = live.names.find(id);
    if (id == 0 || name == live.names.end()) return 0;
    if (stands_in(standins, name->second, group)) return ids.members.find(name->second);
    const auto address = address_of(name->second);
    return address ? ids.members.find(member_name(group, *address)) : 0;
}

}  // namespace

std::optional<IpAddress> address_of(const std::string& member_name) {
    const std::size_t slash = member_name.rfind('/');
    if (slash == std::string::npos) return std::nullopt;
    return IpAddress::parse(std::string_view(member_name).substr(slash + 1));
}

std::string group_of(const std::string& member_name) {
    return member_name.substr(0, member_name.rfind('/'));
}

std::map<RingName, std::size_t> predecessors(const Config& config, const LiveRings& live) {
    std::map<RingName, std::size_t> by_name;
    std::map<std::string, std::size_t> by_service;
    for (std::size_t i = 0; i < live.rings.size(); ++i) {
        by_name.emplace(RingName(live.rings[i].group, live.rings[i].balance), i);
        for (const auto& service : live.rings[i].services) by_service.emplace(service, i);
    }
    std::map<RingName, std::size_t> out;
    for (const auto& service : config.services) {
        if (service.forward == config::Forward::local) continue;
        const RingName name(config.groups[service.group].name, service.balance);
        if (out.contains(name)) continue;
        if (const auto same = by_name.find(name); same != by_name.end())
            out.emplace(name, same->second);
        else if (const auto before = by_service.find(service.name); before != by_service.end())
            out.emplace(name, before->second);
    }
    return out;
}

void retain(const Config& config, const LiveRings& live, CompileOptions& options) {
    const auto backends = backends_of(config);
    const Standins standins = standins_of(config);
    std::set<std::pair<std::string, IpAddress>> retired;
    const auto keep = [&](const std::string& ring, std::uint32_t id) {
        const auto name = live.names.find(id);
        if (name == live.names.end()) return;
        const std::string group =
            stands_in(standins, name->second, ring) ? group_of(name->second) : ring;
        const auto address = address_of(name->second);
        const auto own = backends.find(group);
        if (address && own != backends.end() && !own->second.contains(*address))
            retired.emplace(group, *address);
    };
    NamedMembers members;
    for (const auto& [name, ring] : predecessors(config, live)) {
        options.least_log2.emplace(name, log2_of(live.rings[ring].slots));
        for (const std::uint32_t id : members.of(live.rings[ring].slots)) keep(name.first, id);
    }
    for (const std::uint32_t id : live.remembered)
        if (const auto name = live.names.find(id); name != live.names.end())
            keep(group_of(name->second), id);
    options.retired.assign(retired.begin(), retired.end());
}

void inherit_slots(const Config& config, const LiveRings& live, const IdStore& ids, Image& image) {
    const auto continued = predecessors(config, live);
    const Standins standins = standins_of(config);
    NamedMembers members;
    std::vector<std::uint32_t> same;  // By id before: what this ring calls it now.
    for (const ImageRing& ring : image.ring_list) {
        if (ring.empty) continue;
        const std::string& group = config.groups[ring.group].name;
        const auto found = continued.find({group, ring.balance});
        if (found == continued.end()) continue;
        const LiveRing& before = live.rings[found->second];
        for (const std::uint32_t id : members.of(before.slots)) {
            if (id >= same.size()) same.resize(id + 1);
            same[id] = translate(id, group, standins, live, ids);
        }
        const auto now = [&](std::uint32_t id) { return id == 0 ? 0 : same[id]; };
        const auto slots = grown(before.slots, ring.log2);
        for (std::size_t i = 0; i < slots.size(); ++i) {
            const std::uint64_t flags = slots[i] & ~((std::uint64_t{1} << 40) - 1);
            image.slots[ring.offset + i] = SLC_SLOT_MAKE(now(SLC_SLOT_CURRENT(slots[i])),
                                                         now(SLC_SLOT_PREVIOUS(slots[i])), flags);
        }
    }
}

}  // namespace sluice::plan
