// SPDX-License-Identifier: Apache-2.0
#include "plan/change_plan.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "plan/change_diff.h"
#include "plan/inherit.h"
#include "plan/ring_moves.h"
#include "sluice/limits.h"

namespace sluice::plan {
namespace {

using config::Config;

/// What the roads cost: docs/performance.md, "Roads".
struct RoadCosts {
    double entry_us = 1'500;        ///< Parts that every change has.
    double map_us = 1'500;          ///< With the grace periods that it waits for.
    double program_us = 370'000;    ///< Opening, loading and verifying.
    double ring_us = 100;           ///< For each ring that is built anew.
    double slot_us = 0.06;          ///< For each of its slots.
    double backend_us = 4;          ///< For each backend added or removed.
    double table_byte_us = 0.0008;  ///< For each byte of tables that are filled.
};
constexpr RoadCosts kCosts;

constexpr std::size_t kMostNotes = 20;  ///< Of one kind.

constexpr std::uint32_t kTunnelVariants = (1u << (2 * SLC_FORWARD_L2)) - 1;

/// What a change by the map road takes of the reserves of the loaded tables.
struct Needs {
    std::uint64_t members = 0;
    std::uint64_t cells = 0;
    std::uint64_t slots = 0;
    std::uint64_t server_ids = 0;
    std::uint32_t features = 0;  ///< Outer families that the loaded program does not have.
};

bool is_backend(const Change& change) {
    return change.what.starts_with("backend ");
}

Needs needs_of(const Running& running, const Image& image) {
    Needs out;
    const Image& loaded = *running.image;
    if (image.highest_member > loaded.highest_member)
        out.members = image.highest_member - loaded.highest_member;
    std::vector<bool> known(std::size_t{image.highest_member} + 1);
    for (const ImageMember& member : loaded.members)
        if (member.id < known.size()) known[member.id] = true;
    for (const ImageMember& member : image.members) {
        if (known[member.id]) continue;
        out.cells += static_cast<std::uint64_t>(__builtin_popcount(member.variants));
        if ((member.variants & kTunnelVariants) != 0)
            out.features |= member.address.is_ip6 ? SLC_FEATURE_OUTER6 : SLC_FEATURE_OUTER4;
    }
    out.features &= ~loaded.node.features;
    const auto bytes = [](const ImageServerId& id) {
        return std::string_view(reinterpret_cast<const char*>(&id.key), sizeof id.key);
    };
    std::unordered_set<std::string_view> ids;
    for (const ImageServerId& id : loaded.server_ids) ids.insert(bytes(id));
    for (const ImageServerId& id : image.server_ids) out.server_ids += ids.count(bytes(id)) ^ 1u;
    return out;
}

/// Raises what the loaded tables have no room for to the program road, and says what lacks.
class Reserves {
 public:
    Reserves(const Running& running, const Needs& needs, ChangePlan& plan)
        : running_(running), needs_(needs), plan_(plan) {}

    void check() {
        const auto added = [](const Change& change) {
            return is_backend(change) && change.kind == ChangeKind::added;
        };
        need("backends", needs_.members, running_.free_members, added);
        need("header templates", needs_.cells, running_.free_cells, added);
        need("ring slots", needs_.slots, running_.free_slots, [](const Change& change) {
            return is_backend(change) && change.why.starts_with("its ring grows");
        });
        need("server ids", needs_.server_ids, running_.free_server_ids, [](const Change& change) {
            return is_backend(change) && (change.field == "server_id" ||
                                          (change.kind == ChangeKind::added &&
                                           change.after.find("server_id") != std::string::npos));
        });
        if (needs_.features != 0)
            raise(std::string("the loaded program has no code for tunnels over ") +
                      ((needs_.features & SLC_FEATURE_OUTER6) != 0 ? "IPv6" : "IPv4"),
                  added);
    }

 private:
    template <typename Concerns>
    void need(const char* noun, std::uint64_t wanted, std::uint64_t free, Concerns concerns) {
        if (wanted <= free) return;
        raise("the loaded tables have room for " + std::to_string(free) + " more " + noun +
                  ", and " + std::to_string(wanted) + " are needed",
              concerns);
    }

    template <typename Concerns>
    void raise(const std::string& why, Concerns concerns) {
        plan_.notes.push_back(why + ": new programs and tables are loaded");
        for (Change& change : plan_.changes) {
            if (change.road >= Road::program || !concerns(change)) continue;
            change.road = Road::program;
            change.why = why;
        }
    }

    const Running& running_;
    const Needs& needs_;
    ChangePlan& plan_;
};

std::uint64_t count_ports(const Image& image) {
    std::uint64_t out = 0;
    for (const slc_port_bucket& bucket : image.ports)
        for (const slc_port& entry : bucket.entry) out += entry.vip != 0 ? 1 : 0;
    return out;
}

/// An entry of the kernel's prefix trie with its key and value, as its allocator rounds it.
constexpr std::uint64_t kTrieEntryBytes = 64;

std::vector<TableUse> tables_of(const Config& next, const Image& image) {
    const std::size_t exact_places = std::size_t{image.node.vip_mask} + 1;
    const auto exact = std::count_if(
        image.vips.begin(),
        image.vips.begin() + static_cast<std::ptrdiff_t>(std::min(exact_places, image.vips.size())),
        [](const slc_vip& vip) { return (vip.flags & SLC_VIP_USED) != 0; });
    const auto prefixes6 =
        std::count_if(image.prefixes.begin(), image.prefixes.end(),
                      [](const ImagePrefix& entry) { return entry.prefix.address.is_ip6; });
    const auto prefixes4 = static_cast<std::ptrdiff_t>(image.prefixes.size()) - prefixes6;
    const auto ranges = image.ranges.empty() ? 0 : image.ranges.size() - 1;
    const std::uint64_t cells = 2 * std::uint64_t{image.templates} + 64;
    const auto trie = [](const char* name, std::ptrdiff_t used, std::uint64_t capacity) {
        const auto entries = static_cast<std::uint64_t>(used);
        return TableUse{name, entries, capacity, entries * kTrieEntryBytes};
    };
    return {
        {"vips", static_cast<std::uint64_t>(exact), SLC_MAX_VIPS,
         image.vips.size() * sizeof(slc_vip)},
        trie("prefixes4", prefixes4, SLC_MAX_PREFIXES),
        trie("prefixes6", prefixes6, SLC_MAX_PREFIXES),
        {"ports", count_ports(image), 0, image.ports.size() * sizeof(slc_port_bucket)},
        {"port_ranges", ranges, 0, image.ranges.size() * sizeof(slc_ranges)},
        {"services", next.services.size(), SLC_MAX_SERVICES - 1,
         image.services.size() * sizeof(slc_service)},
        {"groups", next.groups.size(), SLC_MAX_GROUPS, image.accounts.size() * sizeof(slc_account)},
        {"backends", image.members.size(), SLC_MAX_MEMBERS - 1,
         (std::uint64_t{image.highest_member} + 1) * sizeof(slc_member)},
        {"header_templates", image.templates, 0, cells * sizeof(slc_template)},
        {"ring_slots", image.slots.size(), kMaxSlots, image.slots.size() * sizeof(slc_u64)},
        {"server_ids", image.server_ids.size(), 0,
         image.server_ids.size() * (sizeof(slc_server_id) + sizeof(slc_u32))},
        trie("tunnel_peers", static_cast<std::ptrdiff_t>(image.peers.size()), SLC_MAX_TUNNEL_PEERS),
    };
}

// ---- estimates ----

std::chrono::microseconds microseconds(double value) {
    return std::chrono::microseconds(std::llround(value));
}

void estimate(const RingMoves& rings, bool resizes, const Image& image, ChangePlan& plan) {
    const auto backends = static_cast<double>(
        std::count_if(plan.changes.begin(), plan.changes.end(), [](const Change& change) {
            return is_backend(change) && change.kind != ChangeKind::changed;
        }));
    const double building =
        kCosts.ring_us * rings.changed + kCosts.slot_us * static_cast<double>(rings.built);
    std::uint64_t bytes = 0;
    for (const TableUse& table : plan.tables) bytes += table.bytes;
    const std::uint64_t flows =
        resizes ? (std::uint64_t{SLC_FLOW_WAYS} << image.node.flow_log2) * sizeof(slc_u64) : 0;
    plan.by_road = {
        {microseconds(kCosts.entry_us + building), 0},
        {microseconds(kCosts.map_us + building + kCosts.backend_us * backends), 0},
        {microseconds(kCosts.program_us + building +
                      kCosts.table_byte_us * static_cast<double>(bytes)),
         bytes + flows},
    };
    for (int road = 0; road < static_cast<int>(plan.road) - 1; ++road)
        plan.by_road[static_cast<std::size_t>(road)] = {};
    if (plan.road != Road::none)
        plan.estimate = plan.by_road[static_cast<std::size_t>(plan.road) - 1];
}

// ---- notes ----

/// At most so many of a kind, and how many more there are.
void add_notes(std::vector<std::string>& notes, std::vector<std::string> more) {
    const std::size_t count = more.size();
    more.resize(std::min(count, kMostNotes));
    if (count > kMostNotes)
        more.push_back("and " + std::to_string(count - kMostNotes) + " more of this kind");
    notes.insert(notes.end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
}

bool has_owner(const config::Group& group, const Overrides& overrides) {
    return std::any_of(group.backends.begin(), group.backends.end(), [&](const auto& backend) {
        const config::Backend now =
            overrides.empty() ? backend : effective(group, backend, overrides);
        return now.weight > 0 && now.state == config::BackendState::ready;
    });
}

/// Services that nobody answers for, by name of the group.
std::vector<std::string> unanswered(const Running& running, const Config& next) {
    std::unordered_set<std::string> without;
    if (running.config != nullptr)
        for (const auto& group : running.config->groups)
            if (!has_owner(group, running.overrides)) without.insert(group.name);
    std::vector<bool> used(next.groups.size());
    for (const auto& service : next.services)
        if (service.forward != config::Forward::local) used[service.group] = true;
    std::vector<std::string> out;
    for (std::size_t g = 0; g < next.groups.size(); ++g) {
        const auto& group = next.groups[g];
        if (used[g] && !without.contains(group.name) && !has_owner(group, running.overrides))
            out.push_back("group " + group.name +
                          ": no backend is ready with a weight above 0: new connections of its "
                          "services are dropped");
    }
    return out;
}

/// What ends with a service: its connections, unless another one takes its place.
void note_services(const Config& before, const Config& next, std::vector<std::string>& notes) {
    std::unordered_set<std::string> names;
    std::unordered_map<std::string, const config::Service*> targets;
    std::unordered_map<std::string, const config::Service*> old;
    for (const auto& service : next.services) names.insert(service.name);
    for (const auto& service : before.services) old.emplace(service.name, &service);
    for (const auto& service : next.services)
        if (!old.contains(service.name)) targets.emplace(target_text(service), &service);
    std::vector<std::string> ended;
    for (const auto& service : before.services) {
        if (names.contains(service.name)) continue;
        const auto heir = targets.find(target_text(service));
        if (heir == targets.end())
            ended.push_back("service " + service.name + ": its connections end with it");
        else
            ended.push_back("service " + heir->second->name + ": takes " + target_text(service) +
                            " over from " + service.name + ", with counters of its own");
    }
    std::vector<std::string> rehashed;
    for (const auto& service : next.services) {
        const auto was = old.find(service.name);
        if (was != old.end() && was->second->affinity != service.affinity &&
            service.forward != config::Forward::local)
            rehashed.push_back("service " + service.name +
                               ": another affinity gives its packets other slots at once: "
                               "connections that nobody remembers are cut");
    }
    add_notes(notes, std::move(ended));
    add_notes(notes, std::move(rehashed));
}

void note_overrides(const Running& running, const Config& next, std::vector<std::string>& notes) {
    if (running.overrides.empty()) return;
    std::unordered_set<std::string> members;
    for (const auto& group : next.groups)
        for (const auto& backend : group.backends) members.insert(member_name(group, backend));
    std::vector<std::string> ended;
    for (const auto& [name, override] : running.overrides)
        if (!members.contains(name))
            ended.push_back("backend " + name + ": its override ends with it");
    add_notes(notes, std::move(ended));
}

void note_all(const Running& running, const Config& next, ChangePlan& plan) {
    if (running.config != nullptr) {
        const Config& before = *running.config;
        if (before.node.name != next.node.name)
            plan.notes.emplace_back(
                "node.name cannot change while sluiced runs: this will be refused");
        if (before.node.ring_secret != next.node.ring_secret)
            plan.notes.emplace_back(
                "another ring secret gives every packet another slot at once: connections that "
                "nobody remembers are cut; all nodes of a fleet must change together");
        if (plan.loses_rollback)
            plan.notes.emplace_back(
                "the flow table is made anew with another size or tick: while the old one is read "
                "too, and after it is gone, going back means the same again, not one swap");
        note_services(before, next, plan.notes);
    }
    add_notes(plan.notes, unanswered(running, next));
    note_overrides(running, next, plan.notes);
}

/// Nothing runs: everything is added, and the node's settings are no changes.
Config nothing_like(const Config& next) {
    Config out;
    out.node = next.node;
    out.node.interfaces.clear();
    return out;
}

}  // namespace

const char* name_of(Road road) {
    switch (road) {
        case Road::none:
            return "none";
        case Road::entry:
            return "entry";
        case Road::map:
            return "map";
        case Road::program:
            return "program";
    }
    return "?";
}

std::optional<Road> road_of(std::string_view word) {
    for (const Road road : {Road::none, Road::entry, Road::map, Road::program})
        if (word == name_of(road)) return road;
    return std::nullopt;
}

const char* name_of(ChangeKind kind) {
    switch (kind) {
        case ChangeKind::added:
            return "added";
        case ChangeKind::removed:
            return "removed";
        case ChangeKind::changed:
            return "changed";
    }
    return "?";
}

ChangePlan make_plan(const Running& running, const Config& next, const Image& image,
                     const IdStore& ids) {
    const bool has_running = running.config != nullptr && running.image != nullptr;
    ChangePlan out;
    DiffOptions options;
    std::uint64_t new_slots = 0;
    options.growths = ring_growths(running, next, image, new_slots);
    const Config before = has_running ? Config{} : nothing_like(next);
    out.changes = diff_configs(has_running ? *running.config : before, next, options);
    if (has_running) {
        Needs needs = needs_of(running, image);
        needs.slots = new_slots;
        // What loads new tables anyway needs no room in those that are there.
        const bool loads =
            std::any_of(out.changes.begin(), out.changes.end(),
                        [](const Change& change) { return change.road == Road::program; });
        if (!loads) Reserves(running, needs, out).check();
        out.loses_rollback = resizes_flows(*running.config, next);
    }
    if (!has_running)
        for (Change& change : out.changes) change.why = "nothing is loaded yet";
    for (const Change& change : out.changes) out.road = std::max(out.road, change.road);
    // A first configuration without anything in it still takes a program.
    if (!has_running) out.road = Road::program;
    RingMoves rings = ring_moves(running, next, image, ids);
    out.moves = std::move(rings.moves);
    out.slots = rings.slots;
    out.moved = rings.moved;
    out.tables = tables_of(next, image);
    add_notes(out.notes, std::move(rings.notes));
    note_all(running, next, out);
    estimate(rings, out.loses_rollback, image, out);
    return out;
}

Result<void> check_road(const ChangePlan& plan, Road forced) {
    if (forced >= plan.road) return {};
    const auto found = std::find_if(plan.changes.begin(), plan.changes.end(),
                                    [&](const Change& change) { return change.road > forced; });
    const std::string road = name_of(forced);
    if (found == plan.changes.end())
        return fail(Errc::conflict, "road " + road + ": nothing is loaded yet",
                    "the first configuration takes the road program");
    const std::string what = found->what + (found->field.empty() ? "" : " " + found->field);
    return fail(Errc::conflict,
                "road " + road + " is not consistent for " + what + " (" + name_of(found->kind) +
                    "): " + found->why,
                std::string("it takes the road ") + name_of(plan.road) + ", or leave --road out");
}

std::vector<Change> make_drift(const Config& running, const Overrides& overrides,
                               const Config& file) {
    DiffOptions options;
    options.overrides = &overrides;
    const auto wanted = [](const config::Group& group) {
        std::vector<RingMember> members;
        members.reserve(group.backends.size());
        for (const auto& backend : group.backends)
            members.push_back({ring_key(backend.address), 0, backend.weight});
        return ring_log2(members);
    };
    std::unordered_map<std::string, const config::Group*> was;
    for (const auto& group : running.groups) was.emplace(group.name, &group);
    for (const auto& group : file.groups) {
        const auto found = was.find(group.name);
        if (found == was.end() || found->second->backends == group.backends) continue;
        const std::uint32_t from = wanted(*found->second);
        const std::uint32_t to = wanted(group);
        if (to > from) options.growths.emplace(group.name, RingGrowth{from, to});
    }
    return diff_configs(running, file, options);
}

}  // namespace sluice::plan
