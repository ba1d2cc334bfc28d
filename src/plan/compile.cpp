// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <span>
#include <unordered_map>

#include "config/rules.h"
#include "plan/destination_tables.h"
#include "plan/fallback.h"
#include "plan/header_template.h"
#include "plan/image.h"
#include "plan/ring.h"
#include "sluice/hash.h"

namespace sluice::plan {
namespace {

using config::Config;

/// Owners by number; 0 is nobody.
struct Owners {
    std::uint32_t customer = 0;
    std::uint32_t policy = 0;
};

/// `members`: the ids of the group's backends, in order, and perhaps more.
std::vector<std::uint32_t> lay_out(const config::Group& group,
                                   std::span<const std::uint32_t> members,
                                   const Overrides& overrides, const ImageRing& ring) {
    std::vector<RingCandidate> candidates;
    candidates.reserve(group.backends.size());
    const auto weights = ring_weights(group, overrides);
    for (std::size_t i = 0; i < group.backends.size(); ++i) {
        const config::Backend backend = effective(group, group.backends[i], overrides);
        candidates.push_back(
            {{ring_key(backend.address), members[i], weights[i]}, ring_role(group, backend)});
    }
    const RingKind kind =
        ring.balance == config::Balance::maglev ? RingKind::maglev : RingKind::rendezvous;
    auto owners = build_owners(candidates, kind, ring.wanted_log2);
    // A ring that is larger than it wants to be repeats itself: the same packets, the same owners.
    const std::size_t wanted = owners.size();
    owners.resize(std::size_t{1} << ring.log2);
    for (std::size_t i = wanted; i < owners.size(); ++i) owners[i] = owners[i - wanted];
    return owners;
}

class Compiler {
 public:
    Compiler(const Config& config, IdStore& ids, const CompileOptions& options)
        : config_(config),
          ids_(ids),
          options_(options),
          fallbacks_(config),
          geometry_(options.flows.value_or(flow_geometry(config))) {}

    Result<Image> run() {
        SLC_CHECK(assign_ids(), "assign ids");
        SLC_CHECK(build_rings(), "build rings");
        build_members();
        build_services();
        build_destinations();
        fill_node();
        return std::move(image_);
    }

 private:
    Result<void> assign_ids() {
        std::vector<std::string> services, members, customers, policies;
        const auto owner = [&](const std::string& customer, const std::string& policy) {
            if (!customer.empty()) customers.push_back(customer);
            if (!policy.empty()) policies.push_back(policy);
        };
        for (const auto& service : config_.services) {
            services.push_back(service.name);
            owner(service.customer, service.policy);
        }
        for (const auto& entry : config_.protected_prefixes) owner(entry.customer, entry.policy);
        for (const auto& group : config_.groups) {
            first_member_.push_back(members.size());
            for (const auto& backend : group.backends)
                members.push_back(member_name(group, backend));
        }
        for (const auto& [group, address] : options_.retired)
            members.push_back(member_name(group, address));
        service_ids_ = SLC_TRY(ids_.services.assign_only(services), "services");
        member_ids_ = SLC_TRY(ids_.members.assign_only(members), "backends");
        (void)SLC_TRY(ids_.customers.assign_only(customers), "customers");
        (void)SLC_TRY(ids_.policies.assign_only(policies), "policies");
        image_.highest_service = ids_.services.highest();
        image_.highest_member = ids_.members.highest();
        image_.highest_customer = ids_.customers.highest();
        image_.highest_policy = ids_.policies.highest();
        return {};
    }

    /// One ring for each group and way of balancing that some service asks for.
    Result<void> build_rings() {
        for (const auto& service : config_.services) {
            if (service.forward == config::Forward::local) continue;
            const auto key = std::pair(service.group, service.balance);
            if (ring_index_.contains(key)) continue;
            ring_index_.emplace(key, static_cast<std::uint32_t>(image_.rings.size()));
            SLC_CHECK(build_ring(service.group, service.balance),
                      "group " + config_.groups[service.group].name);
        }
        return {};
    }

    Result<void> build_ring(std::size_t group_index, config::Balance balance) {
        const auto& group = config_.groups[group_index];
        ImageRing ring{group_index, balance, static_cast<std::uint32_t>(image_.slots.size())};
        const auto least = options_.least_log2.find({group.name, balance});
        ring.empty = group.backends.empty() && least == options_.least_log2.end();
        if (ring.empty) {
            image_.ring_list.push_back(ring);
            image_.rings.push_back(0);
            return {};
        }
        std::vector<RingMember> members;
        for (const auto& backend : group.backends)
            members.push_back({ring_key(backend.address), 0, backend.weight});
        // By what is configured alone: health and drains must not resize a ring.
        ring.log2 = ring.wanted_log2 = ring_log2(members);
        if (least != options_.least_log2.end()) ring.log2 = std::max(ring.log2, least->second);
        if (image_.slots.size() + (std::size_t{1} << ring.log2) > kMaxSlots)
            return fail(
                Errc::limit,
                "more ring slots than one node can hold (" + std::to_string(kMaxSlots) + ")",
                "split the configuration over several nodes, or share groups");
        const std::size_t serving = serving_group(config_, group_index, options_.overrides);
        const auto ids = std::span(member_ids_).subspan(first_member_[serving]);
        for (const std::uint32_t owner :
             lay_out(config_.groups[serving], ids, options_.overrides, ring))
            image_.slots.push_back(SLC_SLOT_MAKE(owner, owner, 0));
        image_.rings.push_back(ring_descriptor(ring));
        image_.ring_list.push_back(ring);
        return {};
    }

    void build_members() {
        std::vector<std::uint32_t> variants(config_.groups.size(), 0);
        std::unordered_map<std::string, std::size_t> group_at;
        for (const auto& service : config_.services)
            if (service.forward != config::Forward::local)
                variants[service.group] |= 1u << SLC_VARIANT(static_cast<int>(service.forward),
                                                             service.vip.address.is_ip6);
        fallbacks_.spread(variants);
        const auto add = [&](std::size_t g, std::size_t b, const IpAddress& address,
                             std::uint32_t id) {
            image_.members.push_back({id, g, b, address, variants[g]});
            image_.members.back().family = fallbacks_.last_of(g);
            if (b != kRetired) {
                image_.members.back().weight = config_.groups[g].backends[b].weight;
                image_.members.back().state = config_.groups[g].backends[b].state;
            }
            image_.templates += static_cast<std::uint32_t>(__builtin_popcount(variants[g]));
            // Of retired members too: packets still go to them.
            if ((variants[g] & kTunnels) != 0)
                image_.node.features |= address.is_ip6 ? SLC_FEATURE_OUTER6 : SLC_FEATURE_OUTER4;
        };
        for (std::size_t g = 0; g < config_.groups.size(); ++g) {
            const auto& group = config_.groups[g];
            group_at.emplace(group.name, g);
            for (std::size_t b = 0; b < group.backends.size(); ++b) {
                add(g, b, group.backends[b].address, member_ids_[first_member_[g] + b]);
                for (const auto& key : server_id_keys(config_, g, group.backends[b]))
                    image_.server_ids.push_back({key, image_.members.back().id});
            }
        }
        std::size_t next = member_ids_.size() - options_.retired.size();
        for (const auto& [group, address] : options_.retired) {
            const std::uint32_t id = member_ids_[next++];
            if (const auto at = group_at.find(group); at != group_at.end()) {
                add(at->second, kRetired, address, id);
                add_retired_ids(at->second, address);
            }
        }
        image_.accounts = flow_accounts(config_, geometry_.entries());
    }

    /// Connections that name a retired member by its id find it, unless a backend has the id now.
    void add_retired_ids(std::size_t group, const IpAddress& address) {
        const auto found =
            options_.retired_ids.find(member_name(config_.groups[group].name, address));
        if (found == options_.retired_ids.end()) return;
        config::Backend backend;
        backend.address = address;
        backend.server_id = found->second;
        for (const auto& key : server_id_keys(config_, group, backend)) {
            const bool taken = std::any_of(
                image_.server_ids.begin(), image_.server_ids.end(), [&key](const auto& other) {
                    return std::memcmp(&other.key, &key, sizeof key) == 0;
                });
            if (!taken) image_.server_ids.push_back({key, image_.members.back().id});
        }
    }

    [[nodiscard]] Owners owners_of(const std::string& customer, const std::string& policy,
                                   const IpPrefix& at) const {
        const config::Protected* around = nullptr;
        for (const auto& entry : config_.protected_prefixes) {
            const bool holds = entry.prefix.len <= at.len && entry.prefix.contains(at.address);
            if (holds && (around == nullptr || entry.prefix.len > around->prefix.len))
                around = &entry;
        }
        const auto pick = [](const std::string& own, const std::string& outer) {
            return own.empty() ? outer : own;
        };
        return {ids_.customers.find(pick(customer, around ? around->customer : "")),
                ids_.policies.find(pick(policy, around ? around->policy : ""))};
    }

    void build_services() {
        image_.services.resize(image_.highest_service + 1);
        for (std::size_t i = 0; i < config_.services.size(); ++i) {
            const auto& service = config_.services[i];
            const std::uint32_t id = service_ids_[i];
            const Owners owners = owners_of(service.customer, service.policy, service.vip);
            slc_service& record = image_.services[id];
            image_.service_ids.push_back(id);
            record.forward = static_cast<slc_u8>(service.forward);
            record.affinity = static_cast<slc_u8>(service.affinity);
            record.flags = service.dscp_copy ? SLC_SERVICE_DSCP_COPY : 0;
            record.dscp = service.dscp;
            record.customer = owners.customer;
            record.policy = owners.policy;
            if (service.forward == config::Forward::local) continue;
            record.group = static_cast<slc_u32>(service.group + 1);
            record.family = static_cast<slc_u32>(fallbacks_.last_of(service.group) + 1);
            if (fallbacks_.rejects(service.group)) record.flags |= SLC_SERVICE_REJECT;
            fill_flow_fields(service, geometry_.shift, record);
            record.ring = ring_index_.at({service.group, service.balance});
        }
    }

    slc_vip& vip_of(const IpPrefix& vip) {
        const auto [place, added] = vip_index_.emplace(vip, vip_records_.size());
        if (added) {
            slc_vip record{};
            const auto words = address_words(vip.address);
            std::copy(words.begin(), words.end(), record.addr_be);
            record.flags = SLC_VIP_USED | (vip.address.is_ip6 ? SLC_VIP_IP6 : 0);
            record.vip = static_cast<slc_u32>(vip_records_.size() + 1);
            const Owners owners = owners_of("", "", vip);
            record.customer = owners.customer;
            record.policy = owners.policy;
            vip_records_.push_back(record);
            vip_prefixes_.push_back(vip);
        }
        return vip_records_[place->second];
    }

    void add_service(const config::Service& service) {
        slc_vip& vip = vip_of(service.vip);
        const std::uint32_t id = ids_.services.find(service.name);
        if (service.unmatched == config::Unmatched::pass) vip.flags |= SLC_VIP_PASS_UNMATCHED;
        if (vip.customer == 0) vip.customer = image_.services[id].customer;
        if (vip.policy == 0) vip.policy = image_.services[id].policy;
        for (const std::uint8_t proto : {IPPROTO_TCP, IPPROTO_UDP}) {
            const bool wanted =
                service.protocol == config::Protocol::both ||
                (service.protocol == config::Protocol::tcp) == (proto == IPPROTO_TCP);
            if (!wanted) continue;
            if (service.ports.any)
                (proto == IPPROTO_TCP ? vip.any_tcp : vip.any_udp) = id;
            else if (service.ports.is_single())
                port_entries_.push_back({vip.vip, proto, service.ports.first, id});
            else
                ranges_[{vip.vip, proto}].push_back({service.ports, id});
        }
    }

    void build_ranges() {
        image_.ranges.emplace_back();
        for (auto& [owner, list] : ranges_) {
            std::sort(list.begin(), list.end(), [](const auto& left, const auto& right) {
                return left.first.first < right.first.first;
            });
            slc_ranges record{};
            std::fill(std::begin(record.first), std::end(record.first), slc_u16{0xffff});
            for (std::size_t i = 0; i < list.size(); ++i) {
                record.first[i] = list[i].first.first;
                record.last[i] = list[i].first.last;
                record.service[i] = list[i].second;
            }
            slc_vip& vip = vip_records_[owner.first - 1];
            vip.flags |= SLC_VIP_RANGES;
            (owner.second == IPPROTO_TCP ? vip.ranges_tcp : vip.ranges_udp) =
                static_cast<slc_u32>(image_.ranges.size());
            image_.ranges.push_back(record);
        }
    }

    void add_endpoints() {
        if (!config_.node.decap) return;
        image_.peers = config_.node.decap->from;
        const auto& given = config_.node.decap->addresses;
        for (const IpAddress& address : given.empty() ? options_.local_addresses : given) {
            const IpPrefix whole{address, address.bits()};
            // A VIP on this host's own interface stays a VIP.
            if (vip_index_.contains(whole)) continue;
            slc_vip& record = vip_of(whole);
            record.flags |= SLC_VIP_ENDPOINT;
        }
    }

    /// Prefix records lie behind the table; a VIP prefix hides a protected one of the same length.
    void add_prefix(const IpPrefix& prefix, const slc_vip& record) {
        image_.prefixes.push_back({prefix, static_cast<std::uint32_t>(image_.vips.size())});
        image_.vips.push_back(record);
        image_.node.features |= prefix.address.is_ip6 ? SLC_FEATURE_PREFIX6 : SLC_FEATURE_PREFIX4;
    }

    void build_destinations() {
        for (const auto& service : config_.services) add_service(service);
        build_ranges();
        add_endpoints();
        std::vector<slc_vip> exact;
        for (std::size_t i = 0; i < vip_records_.size(); ++i)
            if (vip_prefixes_[i].is_host()) exact.push_back(vip_records_[i]);
        auto tables = build_destination_tables(exact, port_entries_, options_.table_seed);
        image_.vips = std::move(tables.vips);
        image_.ports = std::move(tables.ports);
        image_.node.vip_mask = static_cast<slc_u32>(image_.vips.size() - 1);
        image_.node.port_mask = static_cast<slc_u32>(image_.ports.size() - 1);
        std::copy(tables.key.begin(), tables.key.end(), image_.node.table_key);
        for (std::size_t i = 0; i < vip_records_.size(); ++i)
            if (!vip_prefixes_[i].is_host()) add_prefix(vip_prefixes_[i], vip_records_[i]);
        for (const auto& entry : config_.protected_prefixes) {
            if (vip_index_.contains(entry.prefix)) continue;
            slc_vip record{};
            const Owners owners = owners_of(entry.customer, entry.policy, entry.prefix);
            record.flags = SLC_VIP_USED | SLC_VIP_PROTECTED;
            record.customer = owners.customer;
            record.policy = owners.policy;
            add_prefix(entry.prefix, record);
        }
    }

    void fill_node() {
        slc_node& node = image_.node;
        node.ring_key[0] = config_.node.ring_secret[0];
        node.ring_key[1] = config_.node.ring_secret[1];
        node.frag_mask = options_.frag_buckets - 1;
        node.icmp_rate = config_.node.icmp_rate;
        node.icmp_burst = std::max(1u, config_.node.icmp_rate);
        node.generation = options_.generation;
        node.flow_log2 = geometry_.log2;
        node.flow_shift = geometry_.shift;
        node.gue_port_be = htons(config_.node.gue_port);
        const TunnelSources sources{config_.node.tunnel_source4, config_.node.tunnel_source6,
                                    config_.node.gue_port};
        node.tunnel4_host_mask_be = entropy_mask4_be(sources);
        node.tunnel6_host_mask_be = entropy_mask6_be(sources);
        for (const auto& service : config_.services) add_features(service);
        for (const slc_vip& vip : vip_records_)
            node.features |= vip.flags & SLC_VIP_IP6 ? SLC_FEATURE_IP6 : SLC_FEATURE_IP4;
        for (const auto& entry : config_.protected_prefixes)
            node.features |= entry.prefix.address.is_ip6 ? SLC_FEATURE_IP6 : SLC_FEATURE_IP4;
        if (!ranges_.empty()) node.features |= SLC_FEATURE_RANGES;
        if (image_.highest_customer || image_.highest_policy) node.features |= SLC_FEATURE_OWNERS;
        if (config_.node.decap) node.features |= SLC_FEATURE_DECAP;
        if (!config_.node.next.empty()) node.features |= SLC_FEATURE_NEXT;
        if (config_.node.sample_one_in != 0) {
            node.features |= SLC_FEATURE_SAMPLE;
            node.sample_log2 = static_cast<slc_u8>(std::bit_width(config_.node.sample_one_in) - 1);
        }
    }

    void add_features(const config::Service& service) {
        static constexpr std::uint32_t kForward[] = {
            SLC_FEATURE_IPIP, SLC_FEATURE_GRE, SLC_FEATURE_GUE, SLC_FEATURE_L2, SLC_FEATURE_LOCAL};
        std::uint32_t& features = image_.node.features;
        features |= kForward[static_cast<int>(service.forward)];
        if (service.ports.any) features |= SLC_FEATURE_ANY_PORT;
        if (service.dscp_copy) features |= SLC_FEATURE_DSCP_COPY;
        if (service.affinity == config::Affinity::source) features |= SLC_FEATURE_AFFINITY_SOURCE;
        if (service.affinity == config::Affinity::source_port)
            features |= SLC_FEATURE_AFFINITY_SOURCE_PORT;
        if (service.forward == config::Forward::local) return;
        if (fallbacks_.rejects(service.group)) features |= SLC_FEATURE_REJECT;
        if (service.tracking != config::Tracking::never) features |= SLC_FEATURE_TRACKING;
        if (service.routing.by == config::RouteBy::tcp_server_id)
            features |= SLC_FEATURE_TCP_SERVER_ID;
        if (service.routing.by == config::RouteBy::quic_lb ||
            service.routing.by == config::RouteBy::katran)
            features |= SLC_FEATURE_CONNECTION_ID;
    }

    /// Variants that put an outer IP header in front: ipip, gre and gue, of both families.
    static constexpr std::uint32_t kTunnels = (1u << (2 * SLC_FORWARD_L2)) - 1;

    const Config& config_;
    IdStore& ids_;
    const CompileOptions& options_;
    const Fallbacks fallbacks_;
    const FlowGeometry geometry_;
    Image image_;
    std::vector<std::uint32_t> service_ids_;  ///< Parallel to Config::services.
    std::vector<std::uint32_t> member_ids_;   ///< Of all backends, then of retired members.
    std::vector<std::size_t> first_member_;   ///< Where those of each group begin.
    std::map<std::pair<std::size_t, config::Balance>, std::uint32_t> ring_index_;
    std::vector<slc_vip> vip_records_;
    std::vector<IpPrefix> vip_prefixes_;  ///< Parallel to vip_records_.
    std::map<IpPrefix, std::size_t> vip_index_;
    std::vector<PortEntry> port_entries_;
    std::map<std::pair<std::uint32_t, std::uint8_t>,
             std::vector<std::pair<config::Ports, std::uint32_t>>>
        ranges_;
};

}  // namespace

Result<Image> compile(const Config& config, IdStore& ids, const CompileOptions& options) {
    return Compiler(config, ids, options).run();
}

Image compile_agent(const std::vector<IpPrefix>& vips, const std::vector<IpPrefix>& peers,
                    std::uint16_t gue_port, std::uint64_t table_seed) {
    config::Config config;
    config.node.gue_port = gue_port;
    config.node.sample_one_in = 0;  // An agent has nobody who asks for samples.
    config.node.decap.emplace();
    config.node.decap->from = peers;
    for (const IpPrefix& vip : vips) {
        config::Service service;
        service.name = vip.text();
        service.vip = vip;
        service.ports = {0, 65535, true};
        service.forward = config::Forward::local;
        config.services.push_back(service);
    }
    IdStore ids;
    CompileOptions options;
    options.table_seed = table_seed;
    auto image = compile(config, ids, options);
    // Bounded by config::parse_agent: no id space and no ring can overflow here.
    return image ? std::move(*image) : Image{};
}

slc_member member_record(const ImageMember& member) {
    slc_member out{};
    out.group = static_cast<slc_u32>(member.group + 1);
    out.family = static_cast<slc_u32>(member.family + 1);
    const auto words = address_words(member.address);
    std::copy(words.begin(), words.end(), out.addr_be);
    out.is_ip6 = member.address.is_ip6 ? 1 : 0;
    out.weight = static_cast<slc_u16>(member.weight);
    out.state = SLC_MEMBER_STATE_READY;
    if (member.backend == kRetired)
        out.state = SLC_MEMBER_STATE_RETIRED;
    else if (member.state == config::BackendState::drain)
        out.state = SLC_MEMBER_STATE_DRAIN;
    else if (member.state == config::BackendState::maint)
        out.state = SLC_MEMBER_STATE_MAINT;
    return out;
}

std::uint64_t ring_descriptor(const ImageRing& ring) {
    const std::uint64_t kind =
        ring.balance == config::Balance::rendezvous ? SLC_RING_RENDEZVOUS : 0;
    return SLC_RING_MAKE(ring.offset, ring.log2) | kind;
}

std::string member_name(const std::string& group, const IpAddress& address) {
    return group + "/" + address.text();
}

std::string member_name(const config::Group& group, const config::Backend& backend) {
    return member_name(group.name, backend.address);
}

config::Backend effective(const config::Group& group, const config::Backend& backend,
                          const Overrides& overrides) {
    config::Backend out = backend;
    if (overrides.empty()) return out;
    const auto found = overrides.find(member_name(group, backend));
    if (found == overrides.end()) return out;
    out.state = found->second.state.value_or(out.state);
    out.weight = found->second.weight.value_or(out.weight);
    return out;
}

std::string fallback_key(const std::string& group) {
    return group + "/";
}

std::optional<std::size_t> group_named(const Config& config, const std::string& name) {
    for (std::size_t g = 0; g < config.groups.size(); ++g)
        if (!config.groups[g].anonymous && config.groups[g].name == name) return g;
    return std::nullopt;
}

std::size_t serving_group(const Config& config, std::size_t group, const Overrides& overrides) {
    if (overrides.empty()) return group;
    std::size_t now = group;
    for (std::size_t step = 0; step <= config::kMaxFallbacks; ++step) {
        const auto found = overrides.find(fallback_key(config.groups[now].name));
        if (found == overrides.end() || !found->second.fall_back) return now;
        const auto next = group_named(config, config.groups[now].health.fallback);
        if (!next) return now;
        now = *next;
    }
    return group;  // In a circle nobody is healthy.
}

std::vector<std::uint32_t> ring_weights(const config::Group& group, const Overrides& overrides) {
    struct Weight {
        std::uint32_t weight;
        std::uint32_t part;
    };
    std::vector<Weight> all;
    all.reserve(group.backends.size());
    std::uint64_t heaviest = 1;  // In thousandths.
    bool is_whole = true;
    for (const auto& backend : group.backends) {
        Weight now{backend.weight, kWholePart};
        const auto found =
            overrides.empty() ? overrides.end() : overrides.find(member_name(group, backend));
        if (found != overrides.end()) {
            now.weight = found->second.weight.value_or(now.weight);
            now.part = found->second.part.value_or(kWholePart);
        }
        is_whole = is_whole && now.part == kWholePart;
        heaviest = std::max(heaviest, std::uint64_t{now.weight} * std::max(now.part, kWholePart));
        all.push_back(now);
    }
    const std::uint64_t scale =
        is_whole ? 1 : std::uint64_t{kMostRingWeight} * kWholePart / heaviest;
    std::vector<std::uint32_t> out;
    out.reserve(all.size());
    for (const Weight& now : all) {
        const std::uint64_t scaled = now.weight * scale * now.part / kWholePart;
        out.push_back(
            static_cast<std::uint32_t>(now.weight == 0 ? 0 : std::max<std::uint64_t>(scaled, 1)));
    }
    return out;
}

RingRole ring_role(const config::Group& group, const config::Backend& effective) {
    switch (effective.state) {
        case config::BackendState::ready:
            break;
        case config::BackendState::drain:
            return RingRole::leaves;
        case config::BackendState::maint:
            return RingRole::replaced;
        case config::BackendState::down:
            return group.on_down == config::OnDown::keep ? RingRole::leaves : RingRole::replaced;
    }
    return RingRole::owns;
}

std::vector<std::uint32_t> ring_owners(const Config& config, const IdStore& ids,
                                       const Overrides& overrides, const ImageRing& ring) {
    const auto& group = config.groups[serving_group(config, ring.group, overrides)];
    std::vector<std::uint32_t> members;
    members.reserve(group.backends.size());
    for (const auto& backend : group.backends)
        members.push_back(ids.members.find(member_name(group, backend)));
    return lay_out(group, members, overrides, ring);
}

std::uint64_t ring_key(const IpAddress& address) {
    std::uint64_t words[2];
    std::memcpy(words, address.bytes.data(), sizeof words);
    const std::uint64_t family = address.is_ip6 ? 6 : 4;
    return slc_finish(slc_mix(slc_mix(family, words[0]), words[1]), 0x452821e638d01377ull);
}

std::array<slc_u32, 4> address_words(const IpAddress& address) {
    std::array<slc_u32, 4> words{};
    if (address.is_ip6)
        std::memcpy(words.data(), address.bytes.data(), sizeof words);
    else
        words[3] = address.ip4_be();
    return words;
}

}  // namespace sluice::plan
