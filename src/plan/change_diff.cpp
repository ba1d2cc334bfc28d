// SPDX-License-Identifier: Apache-2.0
#include "plan/change_diff.h"

#include <algorithm>
#include <set>

#include "base/duration.h"
#include "plan/flow_plan.h"

namespace sluice::plan {
namespace {

using config::Config;
using config::Group;
using config::Service;

// Why each road is consistent, and no cheaper one.
constexpr const char* kNoPacket = "no packet sees it";
constexpr const char* kDaemonOnly = "read by the daemon alone; slots move as it says from now on";
constexpr const char* kWatched = "backends are watched otherwise; no packet sees it";
constexpr const char* kFamily =
    "services' records and backends' header templates are laid out for it when a program is loaded";
constexpr const char* kRouters = "routers are told; no packet sees it";
constexpr const char* kSlots = "slots move one by one, each by one aligned store";
constexpr const char* kAccount = "the group's account takes it by one aligned store";
constexpr const char* kAddBackend =
    "its record and templates are written where nobody reads, before slots name it";
constexpr const char* kRemoveBackend =
    "slots leave it one by one; its record stays until its last remembered flow has ended";
constexpr const char* kServerIds =
    "one entry of the table of server ids, which packets look up in one step";
constexpr const char* kServiceRecord =
    "the record of a service is fixed when a program is loaded: its fields change together";
constexpr const char* kTargets =
    "the tables of VIPs and ports are laid out when a program is loaded";
constexpr const char* kTick =
    "the tick of the flow table changes, and with it what every stored age means";
constexpr const char* kSameTicks = "the same in ticks of the flow table: no packet sees it";
constexpr const char* kConstant = "a constant of the loaded program";
constexpr const char* kNumbers = "groups are numbered in the tables of the loaded program";
constexpr const char* kInterfaces =
    "all interfaces get the generation at the same instant, or none does";
constexpr const char* kOverride =
    "an override, and it stays: applying a file does not end it (sluice backend reset)";

std::string text_of(const IpPrefix& prefix) {
    return prefix.is_host() ? prefix.address.text() : prefix.text();
}

std::string text_of(const std::optional<IpPrefix>& prefix) {
    return prefix ? text_of(*prefix) : std::string();
}

template <typename Item, typename Text>
std::string joined(const std::vector<Item>& items, Text text) {
    std::string out;
    for (const Item& item : items) out += (out.empty() ? "" : ", ") + text(item);
    return out;
}

std::string percent(std::uint32_t value) {
    return std::to_string(value) + "%";
}

std::string lifetimes_text(const config::Lifetimes& lifetimes) {
    return "embryonic " + text_of_duration(lifetimes.embryonic) + ", established " +
           text_of_duration(lifetimes.established) + ", closing " +
           text_of_duration(lifetimes.closing) + ", udp " + text_of_duration(lifetimes.udp);
}

std::string routing_text(const config::Routing& routing) {
    std::string by = config::name_of(routing.by);
    if (routing.by != config::RouteBy::quic_lb) return by;
    return by + ", rotation " + std::to_string(routing.rotation) + ", server_id_length " +
           std::to_string(routing.server_id_len);
}

std::string decap_text(const std::optional<config::Decap>& decap) {
    if (!decap) return {};
    std::string out =
        "from " + joined(decap->from, [](const IpPrefix& item) { return text_of(item); });
    if (decap->addresses.empty()) return out;
    return out + " to " +
           joined(decap->addresses, [](const IpAddress& item) { return item.text(); });
}

std::string deadline_text(std::chrono::seconds deadline) {
    return deadline.count() == 0 ? "none" : text_of_duration(deadline);
}

std::string owner_text(const std::string& customer, const std::string& policy) {
    std::string out = customer.empty() ? "" : "customer " + customer;
    if (!policy.empty()) out += (out.empty() ? "policy " : ", policy ") + policy;
    return out;
}

std::string backend_text(const config::Backend& backend) {
    std::string out = "weight " + std::to_string(backend.weight);
    if (backend.state != config::BackendState::ready)
        out += std::string(", ") + config::name_of(backend.state);
    if (backend.server_id) out += ", server_id " + config::text_of(*backend.server_id);
    return out;
}

std::string service_text(const Config& config, const Service& service) {
    std::string out = target_text(service) + ", " + config::name_of(service.forward);
    if (service.forward == config::Forward::local) return out;
    const Group& group = config.groups[service.group];
    if (group.anonymous) return out + ", " + count_text(group.backends.size(), "backend");
    return out + ", group " + group.name;
}

std::string group_of_service(const Config& config, const Service& service) {
    if (service.forward == config::Forward::local) return "none";
    const Group& group = config.groups[service.group];
    return group.anonymous ? "its own" : group.name;
}

std::string max_moved_text(const config::Proof& proof) {
    if (!proof.max_moved) return "any";
    std::string out = std::to_string(*proof.max_moved * 100);
    out.erase(out.find_last_not_of('0') + 1);
    if (out.ends_with('.')) out.pop_back();
    return out + "%";
}

std::string flapping_text(const config::Health& health) {
    if (health.flap_limit == 0) return "never held";
    return std::to_string(health.flap_limit) + " in " + text_of_duration(health.flap_window) +
           ", held for " + text_of_duration(health.flap_hold);
}

std::string when_none_text(const config::Health& health) {
    return config::name_of(health.when_none) +
           (health.fallback.empty() ? std::string() : " on " + health.fallback);
}

std::string checks_text(const std::vector<config::Check>& checks) {
    if (checks.empty()) return "none";
    return joined(checks, [](const config::Check& check) {
        return std::string(config::name_of(check.type)) + " every " +
               text_of_millis(check.interval);
    });
}

std::string bgp_text(const config::AnnounceBgp& bgp) {
    return "AS " + std::to_string(bgp.as) + " to " +
           joined(bgp.peers, [](const config::BgpPeer& peer) { return peer.address.text(); });
}

std::string kernel_text(const config::AnnounceKernel& kernel) {
    return kernel.interface.empty() ? "routes in table " + std::to_string(kernel.table)
                                    : "addresses of " + kernel.interface;
}

bool same_ticks(const config::Lifetimes& left, const config::Lifetimes& right, std::uint8_t shift) {
    const auto same = [shift](std::chrono::seconds one, std::chrono::seconds other) {
        return ticks_of(one, shift) == ticks_of(other, shift);
    };
    return same(left.embryonic, right.embryonic) && same(left.established, right.established) &&
           same(left.closing, right.closing) && same(left.udp, right.udp);
}

/// Items of one configuration by name.
template <typename Item>
std::unordered_map<std::string, const Item*> by_name(const std::vector<Item>& items) {
    std::unordered_map<std::string, const Item*> out;
    out.reserve(items.size());
    for (const Item& item : items) out.emplace(item.name, &item);
    return out;
}

struct AddressHash {
    std::size_t operator()(const IpAddress& address) const {
        return std::hash<std::string_view>()(
            {reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()});
    }
};

using BackendsByAddress = std::unordered_map<IpAddress, const config::Backend*, AddressHash>;

BackendsByAddress by_address(const Group& group) {
    BackendsByAddress out;
    out.reserve(group.backends.size());
    for (const auto& backend : group.backends) out.emplace(backend.address, &backend);
    return out;
}

/// Whether what both lists have comes in the same order in both.
template <typename Item, typename Key>
bool same_order(const std::vector<Item>& before, const std::vector<Item>& after, Key key) {
    std::unordered_map<std::string, std::size_t> places;
    places.reserve(before.size());
    for (std::size_t i = 0; i < before.size(); ++i) places.emplace(key(before[i]), i);
    std::size_t last = 0;
    for (const Item& item : after) {
        const auto found = places.find(key(item));
        if (found == places.end()) continue;
        if (found->second < last) return false;
        last = found->second;
    }
    return true;
}

class Differ {
 public:
    Differ(const Config& before, const Config& after, const DiffOptions& options)
        : before_(before), after_(after), options_(options) {}

    std::vector<Change> run() {
        diff_node();
        diff_interfaces();
        diff_announce();
        diff_groups();
        diff_services();
        diff_protected();
        diff_proof();
        diff_order();
        changes_.insert(changes_.end(), std::make_move_iterator(removed_.begin()),
                        std::make_move_iterator(removed_.end()));
        return std::move(changes_);
    }

 private:
    void added(std::string what, std::string text, Road road, std::string why) {
        changes_.push_back(
            {ChangeKind::added, std::move(what), "", "", std::move(text), road, std::move(why)});
    }

    void removed(std::string what, std::string text, Road road, std::string why) {
        removed_.push_back(
            {ChangeKind::removed, std::move(what), "", std::move(text), "", road, std::move(why)});
    }

    void field(const std::string& what, const char* name, std::string before, std::string after,
               Road road, std::string why) {
        if (before == after) return;
        changes_.push_back({ChangeKind::changed, what, name, std::move(before), std::move(after),
                            road, std::move(why)});
    }

    // ---- the node ----

    void diff_node() {
        const config::Node& was = before_.node;
        const config::Node& now = after_.node;
        const auto constant = [this](const char* name, std::string before, std::string after) {
            field("node", name, std::move(before), std::move(after), Road::program, kConstant);
        };
        field("node", "name", was.name, now.name, Road::program,
              "another name is another instance; it cannot change while sluiced runs");
        field("node", "xdp_mode", config::name_of(was.xdp_mode), config::name_of(now.xdp_mode),
              Road::program, kInterfaces);
        constant("tunnel_source.ipv4", text_of(was.tunnel_source4), text_of(now.tunnel_source4));
        constant("tunnel_source.ipv6", text_of(was.tunnel_source6), text_of(now.tunnel_source6));
        if (was.ring_secret != now.ring_secret)
            constant("ring_secret", was.has_ring_secret ? "one secret" : "none",
                     now.has_ring_secret ? "another secret" : "none");
        field("node", "ring_secret_file", was.ring_secret_file, now.ring_secret_file, Road::none,
              "no packet sees where a secret is kept");
        constant("icmp_rate", std::to_string(was.icmp_rate), std::to_string(now.icmp_rate));
        constant("gue_port", std::to_string(was.gue_port), std::to_string(now.gue_port));
        field("node", "flows.entries", std::to_string(was.flow_entries),
              std::to_string(now.flow_entries), Road::program,
              "the new program reads a new table, then the old one, until nothing is left in it");
        constant("next", was.next, now.next);
        constant("sampling", std::to_string(was.sample_one_in), std::to_string(now.sample_one_in));
        field("node", "keep_generations", std::to_string(was.keep_generations),
              std::to_string(now.keep_generations), Road::none, kNoPacket);
        constant("decap", decap_text(was.decap), decap_text(now.decap));
    }

    void diff_interfaces() {
        const auto& was = before_.node.interfaces;
        const auto& now = after_.node.interfaces;
        const std::set<std::string> old(was.begin(), was.end());
        const std::set<std::string> fresh(now.begin(), now.end());
        for (const auto& name : now)
            if (!old.contains(name)) added("interface " + name, "", Road::program, kInterfaces);
        for (const auto& name : was)
            if (!fresh.contains(name)) removed("interface " + name, "", Road::program, kInterfaces);
    }

    /// The same for what has more to it than its text says.
    template <typename Item, typename Text>
    void part(const std::string& what, const char* name, const Item& was, const Item& now,
              Text text, Road road, const char* why) {
        if (was == now) return;
        const std::string before = text(was);
        const std::string after = text(now);
        field(what, name, before, after == before ? after + ", otherwise" : after, road, why);
    }

    // ---- announcements ----

    void diff_announce() {
        const auto ways = [](const config::Announce& announce) {
            std::string out = announce.bird ? "BIRD" : "";
            if (announce.bgp) out += (out.empty() ? "" : ", ") + bgp_text(*announce.bgp);
            if (announce.kernel) out += (out.empty() ? "" : ", ") + kernel_text(*announce.kernel);
            return out;
        };
        if (!before_.announce && !after_.announce) return;
        if (!before_.announce)
            return added("announce", ways(*after_.announce), Road::none, kRouters);
        if (!after_.announce)
            return removed("announce", ways(*before_.announce), Road::none, kRouters);
        const config::Announce& was = *before_.announce;
        const config::Announce& now = *after_.announce;
        const auto optional = [&](const char* name, const auto& before, const auto& after,
                                  auto text) {
            part(
                "announce", name, before, after,
                [&](const auto& value) { return value ? text(*value) : std::string("none"); },
                Road::none, kRouters);
        };
        optional("bird", was.bird, now.bird, [](const auto& bird) { return bird.include; });
        optional("bgp", was.bgp, now.bgp, bgp_text);
        optional("kernel", was.kernel, now.kernel, kernel_text);
        field("announce", "while_healthy", config::name_of(was.while_healthy),
              config::name_of(now.while_healthy), Road::none, kRouters);
        field("announce", "on_daemon_exit", config::name_of(was.on_daemon_exit),
              config::name_of(now.on_daemon_exit), Road::none, kRouters);
        field("announce", "drain", text_of_duration(was.drain), text_of_duration(now.drain),
              Road::none, kRouters);
    }

    // ---- groups and their backends ----

    void diff_groups() {
        const auto was = by_name(before_.groups);
        for (const Group& group : after_.groups) {
            const auto found = was.find(group.name);
            if (found != was.end())
                diff_group(*found->second, group);
            else if (!group.anonymous)  // Another service's line tells of what it brings along.
                added("group " + group.name, group_text(group), Road::program, kNumbers);
        }
        const auto now = by_name(after_.groups);
        for (const Group& group : before_.groups)
            if (!group.anonymous && !now.contains(group.name))
                removed("group " + group.name, group_text(group), Road::program, kNumbers);
    }

    static std::string group_text(const Group& group) {
        return std::string(config::name_of(group.balance)) + ", " +
               count_text(group.backends.size(), "backend");
    }

    void diff_group(const Group& was, const Group& now) {
        const std::string what = (now.anonymous ? "service " : "group ") + now.name;
        field(what, "backends", was.anonymous ? "its own list" : "a group",
              now.anonymous ? "its own list" : "a group", Road::none,
              "the same group to packets, written elsewhere");
        if (!now.anonymous && !was.anonymous)
            field(what, "balance", config::name_of(was.balance), config::name_of(now.balance),
                  Road::none, "a default: services whose rings change by it are listed");
        field(what, "on_down", config::name_of(was.on_down), config::name_of(now.on_down),
              Road::entry, kDaemonOnly);
        field(what, "deadline", deadline_text(was.deadline), deadline_text(now.deadline),
              Road::entry, kDaemonOnly);
        field(what, "flows.share", percent(was.flows.share), percent(now.flows.share), Road::entry,
              kAccount);
        field(what, "flows.ceiling", percent(was.flows.ceiling), percent(now.flows.ceiling),
              Road::entry, kAccount);
        diff_health(what, was.health, now.health);
        diff_backends(was, now);
    }

    void diff_health(const std::string& what, const config::Health& was,
                     const config::Health& now) {
        using config::WhenNone;
        part(what, "health.checks", was.checks, now.checks, checks_text, Road::none, kWatched);
        field(what, "health.min_healthy", percent(was.min_healthy), percent(now.min_healthy),
              Road::entry, kDaemonOnly);
        const auto is_in_tables = [](WhenNone value) {
            return value == WhenNone::reject || value == WhenNone::fallback;
        };
        const bool loads = is_in_tables(was.when_none) || is_in_tables(now.when_none);
        field(what, "health.when_none", when_none_text(was), when_none_text(now),
              loads ? Road::program : Road::entry, loads ? kFamily : kDaemonOnly);
        field(what, "health.slow_start", text_of_duration(was.slow_start),
              text_of_duration(now.slow_start), Road::entry, kDaemonOnly);
        field(what, "health.flapping", flapping_text(was), flapping_text(now), Road::entry,
              kDaemonOnly);
    }

    void diff_backends(const Group& was, const Group& now) {
        const bool overridden = options_.overrides != nullptr && !options_.overrides->empty();
        if (!overridden && was.backends == now.backends) return;
        growth_ = nullptr;
        if (const auto found = options_.growths.find(now.name); found != options_.growths.end())
            growth_ = &found->second;
        const BackendsByAddress old = by_address(was);
        const std::string prefix = "backend " + now.name + "/";
        for (const auto& backend : now.backends) {
            const auto found = old.find(backend.address);
            if (found != old.end())
                diff_backend(now, *found->second, backend);
            else
                added(prefix + backend.address.text(), backend_text(backend), Road::map,
                      with_growth(kAddBackend));
        }
        const BackendsByAddress fresh = by_address(now);
        for (const auto& backend : was.backends)
            if (!fresh.contains(backend.address))
                removed(prefix + backend.address.text(), backend_text(backend), Road::map,
                        kRemoveBackend);
        const auto text = [](const config::Backend& backend) { return backend.address.text(); };
        if (was.backends != now.backends && !same_order(was.backends, now.backends, text))
            field("group " + now.name, "order of backends", "", "another", Road::none, kNoPacket);
    }

    [[nodiscard]] std::string with_growth(const char* why) const {
        if (growth_ == nullptr) return why;
        return std::string("its ring grows from ") +
               std::to_string(std::uint64_t{1} << growth_->from_log2) + " to " +
               std::to_string(std::uint64_t{1} << growth_->to_log2) +
               " slots: laid out aside, then one store of its descriptor";
    }

    /// Allocates nothing when nothing differs: there may be a hundred thousand of them.
    void diff_backend(const Group& group, const config::Backend& was, const config::Backend& now) {
        const Override* override = nullptr;
        if (options_.overrides != nullptr && !options_.overrides->empty()) {
            const auto found = options_.overrides->find(member_name(group, now));
            if (found != options_.overrides->end()) override = &found->second;
        }
        if (was == now && override == nullptr) return;
        const std::string what = "backend " + member_name(group, now);
        const auto text = [](std::uint32_t weight) { return std::to_string(weight); };
        const auto state = [](config::BackendState value) { return config::name_of(value); };
        overridable(what, "weight", text(was.weight), text(now.weight),
                    override != nullptr && override->weight ? text(*override->weight) : "");
        overridable(what, "state", state(was.state), state(now.state),
                    override != nullptr && override->state ? state(*override->state) : "");
        const auto id = [](const config::Backend& backend) {
            return backend.server_id ? config::text_of(*backend.server_id) : std::string("none");
        };
        field(what, "server_id", id(was), id(now), Road::map, kServerIds);
    }

    void overridable(const std::string& what, const char* name, const std::string& was,
                     const std::string& now, const std::string& override) {
        const bool overridden = !override.empty() && (override != now || was != now);
        const std::string before =
            overridden ? override + " (override, " + now + " in the file)" : was;
        if (overridden && was == now)
            field(what, name, before, now, Road::none, kOverride);
        else if (was != now)
            field(what, name, before, now, growth_ != nullptr ? Road::map : Road::entry,
                  with_growth(kSlots));
    }

    // ---- services ----

    void diff_services() {
        const bool new_tick =
            flow_geometry(before_).shift != (shift_ = flow_geometry(after_).shift);
        const auto was = by_name(before_.services);
        for (const Service& service : after_.services) {
            const auto found = was.find(service.name);
            if (found == was.end())
                added("service " + service.name, service_text(after_, service), Road::program,
                      kTargets);
            else
                diff_service(*found->second, service, new_tick);
        }
        const auto now = by_name(after_.services);
        for (const Service& service : before_.services)
            if (!now.contains(service.name))
                removed("service " + service.name, service_text(before_, service), Road::program,
                        kTargets);
    }

    void diff_service(const Service& was, const Service& now, bool new_tick) {
        const std::string what = "service " + now.name;
        const auto target = [&](const char* name, std::string before, std::string after) {
            field(what, name, std::move(before), std::move(after), Road::program, kTargets);
        };
        const auto record = [&](const char* name, std::string before, std::string after) {
            field(what, name, std::move(before), std::move(after), Road::program, kServiceRecord);
        };
        target("vip", text_of(was.vip), text_of(now.vip));
        target("protocol", config::name_of(was.protocol), config::name_of(now.protocol));
        target("port", config::text_of(was.ports), config::text_of(now.ports));
        target("unmatched", config::name_of(was.unmatched), config::name_of(now.unmatched));
        record("forward", config::name_of(was.forward), config::name_of(now.forward));
        record("group", group_of_service(before_, was), group_of_service(after_, now));
        const bool local = was.forward == config::Forward::local && now.forward == was.forward;
        field(what, "balance", config::name_of(was.balance), config::name_of(now.balance),
              local ? Road::none : Road::program, local ? kNoPacket : kServiceRecord);
        record("affinity", config::name_of(was.affinity), config::name_of(now.affinity));
        const auto dscp = [](const Service& service) {
            return service.dscp_copy ? std::string("copy") : std::to_string(service.dscp);
        };
        record("dscp", dscp(was), dscp(now));
        record("tracking", config::name_of(was.tracking), config::name_of(now.tracking));
        record("route_by", routing_text(was.routing), routing_text(now.routing));
        record("customer", was.customer, now.customer);
        record("policy", was.policy, now.policy);
        const auto truth = [](bool value) { return value ? "true" : "false"; };
        field(what, "announce", truth(was.announce), truth(now.announce), Road::none, kRouters);
        if (was.lifetimes == now.lifetimes) return;
        const bool same = !new_tick && same_ticks(was.lifetimes, now.lifetimes, shift_);
        const char* why = same ? kSameTicks : kServiceRecord;
        if (new_tick) why = kTick;
        field(what, "lifetimes", lifetimes_text(was.lifetimes), lifetimes_text(now.lifetimes),
              same ? Road::none : Road::program, why);
    }

    // ---- the rest ----

    void diff_protected() {
        std::unordered_map<std::string, const config::Protected*> was;
        std::set<IpPrefix> now;
        for (const auto& item : before_.protected_prefixes) was.emplace(item.prefix.text(), &item);
        for (const auto& item : after_.protected_prefixes) {
            now.insert(item.prefix);
            const std::string what = "protected " + text_of(item.prefix);
            const std::string owner = owner_text(item.customer, item.policy);
            const auto found = was.find(item.prefix.text());
            if (found == was.end()) {
                added(what, owner, Road::program, kTargets);
                continue;
            }
            field(what, "customer", found->second->customer, item.customer, Road::program,
                  kTargets);
            field(what, "policy", found->second->policy, item.policy, Road::program, kTargets);
        }
        for (const auto& item : before_.protected_prefixes)
            if (!now.contains(item.prefix))
                removed("protected " + text_of(item.prefix), owner_text(item.customer, item.policy),
                        Road::program, kTargets);
    }

    void diff_proof() {
        field("proof", "max_moved", max_moved_text(before_.proof), max_moved_text(after_.proof),
              Road::none, kNoPacket);
        const auto was = by_name(before_.tests);
        const auto text = [](const config::Test& test) {
            return count_text(test.packets.size(), "packet");
        };
        for (const config::Test& test : after_.tests) {
            const auto found = was.find(test.name);
            if (found == was.end())
                added("test " + test.name, text(test), Road::none, kNoPacket);
            else if (*found->second != test)
                field("test " + test.name, "packets", text(*found->second),
                      text(test) + ", others or expected otherwise", Road::none, kNoPacket);
        }
        const auto now = by_name(after_.tests);
        for (const config::Test& test : before_.tests)
            if (!now.contains(test.name))
                removed("test " + test.name, text(test), Road::none, kNoPacket);
    }

    /// Groups are numbered in the order of their file, rings and VIPs in that of their services.
    void diff_order() {
        const auto name = [](const auto& item) { return item.name; };
        const auto say = [this](const char* what) {
            field(what, "order", "", "another", Road::none, kNoPacket);
        };
        if (!same_order(before_.groups, after_.groups, name))
            field("groups", "order", "", "another", Road::program, kNumbers);
        if (!same_order(before_.services, after_.services, name)) {
            if (ring_order(before_) == ring_order(after_) &&
                vip_order(before_) == vip_order(after_))
                say("services");
            else
                field("services", "order", "", "another", Road::program,
                      "rings and VIPs are numbered in the tables of the loaded program");
        }
        if (!same_order(before_.protected_prefixes, after_.protected_prefixes,
                        [](const auto& item) { return item.prefix.text(); }))
            field("protected", "order", "", "another", Road::program,
                  "prefixes are numbered in the tables of the loaded program");
        if (!same_order(before_.tests, after_.tests, name)) say("tests");
        if (!same_order(before_.node.interfaces, after_.node.interfaces,
                        [](const auto& item) { return item; }))
            say("interfaces");
    }

    static std::vector<std::pair<std::string, config::Balance>> ring_order(const Config& config) {
        std::vector<std::pair<std::string, config::Balance>> out;
        std::set<std::pair<std::size_t, config::Balance>> seen;
        for (const Service& service : config.services)
            if (service.forward != config::Forward::local &&
                seen.emplace(service.group, service.balance).second)
                out.emplace_back(config.groups[service.group].name, service.balance);
        return out;
    }

    static std::vector<IpPrefix> vip_order(const Config& config) {
        std::vector<IpPrefix> out;
        std::set<IpPrefix> seen;
        for (const Service& service : config.services)
            if (seen.insert(service.vip).second) out.push_back(service.vip);
        return out;
    }

    const Config& before_;
    const Config& after_;
    const DiffOptions& options_;
    const RingGrowth* growth_ = nullptr;  ///< Of the group at hand.
    std::uint8_t shift_ = 0;
    std::vector<Change> changes_;
    std::vector<Change> removed_;
};

}  // namespace

std::vector<Change> diff_configs(const Config& before, const Config& after,
                                 const DiffOptions& options) {
    return Differ(before, after, options).run();
}

bool resizes_flows(const Config& before, const Config& after) {
    return !(flow_geometry(before) == flow_geometry(after));
}

std::string target_text(const Service& service) {
    return text_of(service.vip) + " " + config::name_of(service.protocol) + " " +
           config::text_of(service.ports);
}

std::string count_text(std::uint64_t count, const std::string& noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace sluice::plan
