// SPDX-License-Identifier: Apache-2.0
#include "plan/read_back.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <unordered_map>

#include "plan/flow_plan.h"

namespace sluice::plan {
namespace {

using config::Config;

tl::unexpected<Error> contradiction(const std::string& what) {
    return fail(Errc::conflict, what,
                "the pins are not those of one generation as sluiced writes it");
}

IpAddress address_in(const slc_u32 (&words)[4], bool is_ip6) {
    return is_ip6 ? IpAddress::from_ip6(words) : IpAddress::from_ip4(words[3]);
}

/// Where packets of a service go to, as the tables of destinations say it.
struct Target {
    std::optional<IpPrefix> vip;
    config::Ports ports;
    bool tcp = false;
    bool udp = false;
    bool pass = false;
};

/// A VIP under its number.
struct NumberedVip {
    IpPrefix prefix;
    const slc_vip* record = nullptr;
};

class ReadBack {
 public:
    ReadBack(const KernelTables& tables, const Meta& meta) : tables_(tables), meta_(meta) {}

    Result<Config> run() {
        if (meta_.abi != SLC_ABI_VERSION)
            return fail(Errc::unsupported, "tables of layout " + std::to_string(meta_.abi) +
                                               ", written by sluice " + meta_.sluice +
                                               ": this one knows layout " +
                                               std::to_string(SLC_ABI_VERSION));
        SLC_CHECK(read_groups(), "groups");
        SLC_CHECK(read_members(), "backends");
        SLC_CHECK(read_server_ids(), "server ids");
        SLC_CHECK(read_destinations(), "destinations");
        SLC_CHECK(read_services(), "services");
        read_node();
        out_.proof = meta_.proof;
        out_.tests = meta_.tests;
        out_.announce = meta_.announce;
        return std::move(out_);
    }

 private:
    // ---- groups ----

    Result<void> read_groups() {
        if (tables_.accounts.size() < meta_.groups.size() + 1)
            return contradiction(std::to_string(tables_.accounts.size()) + " accounts for " +
                                 std::to_string(meta_.groups.size()) + " groups");
        std::uint64_t entries = tables_.accounts[0].ceiling;
        for (std::size_t g = 1; g <= meta_.groups.size(); ++g) entries += tables_.accounts[g].share;
        for (std::size_t g = 0; g < meta_.groups.size(); ++g) {
            const MetaGroup& from = meta_.groups[g];
            const slc_account& account = tables_.accounts[g + 1];
            config::Group group;
            group.name = from.name;
            group.anonymous = from.anonymous;
            group.balance = from.balance;
            group.on_down = from.on_down;
            group.deadline = from.deadline;
            group.health = from.health;
            group.flows.share = SLC_TRY(percent_of(account.share, entries), from.name);
            group.flows.ceiling = SLC_TRY(percent_of(account.ceiling, entries), from.name);
            out_.groups.push_back(std::move(group));
        }
        return {};
    }

    /// The table has more than a hundred entries, so that each percentage has a number of its own.
    static Result<std::uint32_t> percent_of(std::uint64_t part, std::uint64_t whole) {
        const std::uint64_t percent = whole == 0 ? 101 : (part * 100 + whole - 1) / whole;
        if (percent > 100 || whole * percent / 100 != part)
            return contradiction(std::to_string(part) + " of " + std::to_string(whole) +
                                 " entries of the flow table are no percentage");
        return static_cast<std::uint32_t>(percent);
    }

    // ---- backends ----

    Result<void> read_members() {
        std::vector<std::vector<std::uint32_t>> ids(out_.groups.size());
        for (std::uint32_t id = 1; id < tables_.members.size(); ++id) {
            const slc_member& member = tables_.members[id];
            if (member.group == 0 || member.state == SLC_MEMBER_STATE_RETIRED) continue;
            if (member.group > out_.groups.size() || member.state > SLC_MEMBER_STATE_MAINT)
                return contradiction("member " + std::to_string(id) + ": group " +
                                     std::to_string(member.group) + ", state " +
                                     std::to_string(member.state));
            ids[member.group - 1].push_back(id);
        }
        places_.assign(tables_.members.size(), {});
        std::size_t number = 0;
        for (auto& own : ids) {
            auto& backends = out_.groups[number].backends;
            put_in_order(own, meta_.groups[number++].order);
            for (const std::uint32_t id : own) {
                places_[id] = {number, backends.size()};
                backends.push_back(backend_of(tables_.members[id]));
            }
        }
        return {};
    }

    static config::Backend backend_of(const slc_member& member) {
        config::Backend out;
        out.address = address_in(member.addr_be, member.is_ip6 != 0);
        out.weight = member.weight;
        if (member.state == SLC_MEMBER_STATE_DRAIN) out.state = config::BackendState::drain;
        if (member.state == SLC_MEMBER_STATE_MAINT) out.state = config::BackendState::maint;
        return out;
    }

    /// That of the file, then those that it does not name, by address.
    void put_in_order(std::vector<std::uint32_t>& ids,
                      const std::vector<std::uint32_t>& order) const {
        std::unordered_map<std::uint32_t, std::size_t> places;
        places.reserve(order.size());
        for (std::size_t i = 0; i < order.size(); ++i) places.emplace(order[i], i);
        const auto key = [&](std::uint32_t id) {
            const auto found = places.find(id);
            const slc_member& member = tables_.members[id];
            return std::pair(found == places.end() ? order.size() : found->second,
                             address_in(member.addr_be, member.is_ip6 != 0));
        };
        std::vector<std::pair<std::pair<std::size_t, IpAddress>, std::uint32_t>> keyed;
        keyed.reserve(ids.size());
        for (const std::uint32_t id : ids) keyed.emplace_back(key(id), id);
        std::sort(keyed.begin(), keyed.end());
        ids.clear();
        for (const auto& [at, id] : keyed) ids.push_back(id);
    }

    config::Backend* backend_at(std::uint32_t id) {
        if (id >= places_.size() || places_[id].first == 0) return nullptr;
        return &out_.groups[places_[id].first - 1].backends[places_[id].second];
    }

    Result<void> read_server_ids() {
        for (std::size_t g = 0; g < meta_.groups.size(); ++g)
            for (const auto& [id, server_id] : meta_.groups[g].server_ids)
                if (config::Backend* backend = backend_at(id)) backend->server_id = server_id;
        std::set<std::uint32_t> read;
        for (const ImageServerId& entry : tables_.server_ids) {
            config::Backend* backend = backend_at(entry.member);
            if (backend == nullptr) continue;  // Retired: its connections still use it.
            if (places_[entry.member].first != entry.key.group ||
                entry.key.len > sizeof entry.key.id)
                return contradiction("an id of group " + std::to_string(entry.key.group) +
                                     " names member " + std::to_string(entry.member));
            const config::ServerId id = significant(entry.key);
            if (!read.insert(entry.member).second && backend->server_id != id)
                return contradiction("member " + std::to_string(entry.member) +
                                     " has two server ids");
            backend->server_id = id;
        }
        return {};
    }

    /// Without leading zeros; one zero byte for 0.
    static config::ServerId significant(const slc_server_id& key) {
        std::size_t first = 0;
        while (first + 1 < key.len && key.id[first] == 0) ++first;
        config::ServerId out;
        out.len = static_cast<std::uint8_t>(key.len - first);
        std::memcpy(out.bytes.data(), key.id + first, out.len);
        return out;
    }

    // ---- destinations ----

    Result<void> read_destinations() {
        read_exact();
        SLC_CHECK(read_prefixes(), "prefixes");
        for (const auto& [number, vip] : vips_) SLC_CHECK(read_vip(vip), vip.prefix.text());
        for (const slc_port_bucket& bucket : tables_.ports)
            for (const slc_port& entry : bucket.entry) {
                if (entry.vip == 0) continue;
                const auto vip = vips_.find(entry.vip);
                if (vip == vips_.end())
                    return contradiction("a port of VIP " + std::to_string(entry.vip) +
                                         ", which does not exist");
                const std::uint16_t port = ntohs(entry.port_be);
                SLC_CHECK(add_target(entry.service, vip->second, entry.proto == IPPROTO_UDP,
                                     {port, port, false}),
                          vip->second.prefix.text());
            }
        return {};
    }

    void read_exact() {
        const std::size_t places =
            std::min<std::size_t>(std::size_t{tables_.node.vip_mask} + 1, tables_.vips.size());
        for (std::size_t i = 0; i < places; ++i) {
            const slc_vip& vip = tables_.vips[i];
            if ((vip.flags & SLC_VIP_USED) == 0) continue;
            const IpAddress address = address_in(vip.addr_be, (vip.flags & SLC_VIP_IP6) != 0);
            if ((vip.flags & SLC_VIP_ENDPOINT) != 0)
                endpoints_.emplace(vip.vip, address);
            else
                vips_[vip.vip] = {{address, address.bits()}, &vip};
        }
    }

    /// Records lie in the order of the file.
    Result<void> read_prefixes() {
        std::vector<ImagePrefix> entries = tables_.prefixes;
        std::sort(entries.begin(), entries.end(),
                  [](const auto& left, const auto& right) { return left.record < right.record; });
        for (const ImagePrefix& entry : entries) {
            if (entry.record >= tables_.vips.size())
                return contradiction(entry.prefix.text() + " has no record");
            const slc_vip& vip = tables_.vips[entry.record];
            if ((vip.flags & SLC_VIP_PROTECTED) == 0) {
                vips_[vip.vip] = {entry.prefix, &vip};
                continue;
            }
            config::Protected item;
            item.prefix = entry.prefix;
            item.customer = SLC_TRY(name_in(meta_.customers, vip.customer), entry.prefix.text());
            item.policy = SLC_TRY(name_in(meta_.policies, vip.policy), entry.prefix.text());
            out_.protected_prefixes.push_back(std::move(item));
        }
        return {};
    }

    static Result<std::string> name_in(const std::map<std::uint32_t, std::string>& names,
                                       std::uint32_t id) {
        if (id == 0) return std::string();
        const auto found = names.find(id);
        if (found == names.end())
            return contradiction("owner " + std::to_string(id) + " has no name");
        return found->second;
    }

    Result<void> read_vip(const NumberedVip& vip) {
        static constexpr config::Ports kAny = {0, 65535, true};
        const slc_vip& record = *vip.record;
        if (record.any_tcp != 0) SLC_CHECK(add_target(record.any_tcp, vip, false, kAny), "any");
        if (record.any_udp != 0) SLC_CHECK(add_target(record.any_udp, vip, true, kAny), "any");
        if (record.ranges_tcp != 0) SLC_CHECK(read_ranges(vip, record.ranges_tcp, false), "tcp");
        if (record.ranges_udp != 0) SLC_CHECK(read_ranges(vip, record.ranges_udp, true), "udp");
        return {};
    }

    Result<void> read_ranges(const NumberedVip& vip, std::uint32_t index, bool is_udp) {
        if (index >= tables_.ranges.size())
            return contradiction("port ranges " + std::to_string(index) + " do not exist");
        const slc_ranges& ranges = tables_.ranges[index];
        for (std::size_t i = 0; i < SLC_MAX_RANGES_PER_VIP; ++i)
            if (ranges.first[i] <= ranges.last[i])
                SLC_CHECK(add_target(ranges.service[i], vip, is_udp,
                                     {ranges.first[i], ranges.last[i], false}),
                          "range");
        return {};
    }

    Result<void> add_target(std::uint32_t service, const NumberedVip& vip, bool is_udp,
                            const config::Ports& ports) {
        Target& target = targets_[service];
        const bool again = target.vip.has_value();
        if (again && (*target.vip != vip.prefix || !(target.ports == ports) ||
                      (is_udp ? target.udp : target.tcp)))
            return contradiction("service " + std::to_string(service) + " is at two places");
        target.vip = vip.prefix;
        target.ports = ports;
        (is_udp ? target.udp : target.tcp) = true;
        target.pass = (vip.record->flags & SLC_VIP_PASS_UNMATCHED) != 0;
        return {};
    }

    // ---- services ----

    Result<void> read_services() {
        for (const MetaService& from : meta_.services) {
            const auto target = targets_.find(from.id);
            if (target == targets_.end() || from.id >= tables_.services.size())
                return contradiction("service " + from.name + " is in no table");
            config::Service service;
            service.name = from.name;
            service.announce = from.announce;
            fill_target(target->second, service);
            SLC_CHECK(fill_record(tables_.services[from.id], from, service), from.name);
            out_.services.push_back(std::move(service));
            targets_.erase(target);
        }
        if (!targets_.empty())
            return contradiction("service " + std::to_string(targets_.begin()->first) +
                                 " has no name");
        return {};
    }

    static void fill_target(const Target& target, config::Service& out) {
        out.vip = *target.vip;
        out.ports = target.ports;
        out.protocol = target.tcp ? config::Protocol::tcp : config::Protocol::udp;
        if (target.tcp && target.udp) out.protocol = config::Protocol::both;
        out.unmatched = target.pass ? config::Unmatched::pass : config::Unmatched::drop;
    }

    Result<void> fill_record(const slc_service& record, const MetaService& from,
                             config::Service& out) const {
        if (record.forward > SLC_FORWARD_LOCAL || record.affinity > SLC_AFFINITY_SOURCE_PORT ||
            record.id_format > SLC_ID_KATRAN)
            return contradiction("its record is none of a service");
        out.forward = static_cast<config::Forward>(record.forward);
        out.affinity = static_cast<config::Affinity>(record.affinity);
        out.dscp_copy = (record.flags & SLC_SERVICE_DSCP_COPY) != 0;
        out.dscp = record.dscp;
        if (from.own_customer)
            out.customer = SLC_TRY(name_in(meta_.customers, record.customer), "customer");
        if (from.own_policy) out.policy = SLC_TRY(name_in(meta_.policies, record.policy), "policy");
        out.balance = from.balance;
        out.lifetimes = from.lifetimes;
        if (out.forward == config::Forward::local) return {};
        if (record.group == 0 || record.group > out_.groups.size())
            return contradiction("group " + std::to_string(record.group) + " does not exist");
        out.group = record.group - 1;
        if (record.ring < tables_.rings.size() &&
            (tables_.rings[record.ring] & SLC_RING_VALID) != 0)
            out.balance = (tables_.rings[record.ring] & SLC_RING_RENDEZVOUS) != 0
                              ? config::Balance::rendezvous
                              : config::Balance::maglev;
        if ((record.flags & SLC_SERVICE_TRACK_ALWAYS) != 0) out.tracking = config::Tracking::always;
        if ((record.flags & SLC_SERVICE_TRACK_NEVER) != 0) out.tracking = config::Tracking::never;
        out.routing.by = static_cast<config::RouteBy>(record.id_format);
        out.routing.rotation = record.id_rotation;
        out.routing.server_id_len = record.id_len;
        out.lifetimes.embryonic = lifetime(record, SLC_FLOW_EMBRYONIC, from.lifetimes.embryonic);
        out.lifetimes.established =
            lifetime(record, SLC_FLOW_ESTABLISHED, from.lifetimes.established);
        out.lifetimes.closing = lifetime(record, SLC_FLOW_CLOSING, from.lifetimes.closing);
        out.lifetimes.udp = lifetime(record, SLC_FLOW_DATAGRAM, from.lifetimes.udp);
        return {};
    }

    /// The seconds that were written, if they make these ticks; else those of the ticks.
    [[nodiscard]] std::chrono::seconds lifetime(const slc_service& record, int flow_class,
                                                std::chrono::seconds written) const {
        const std::uint8_t ticks = record.lifetime[flow_class];
        const std::uint8_t shift = tables_.node.flow_shift;
        if (ticks_of(written, shift) == ticks) return written;
        return std::max(std::chrono::seconds(1),
                        std::chrono::duration_cast<std::chrono::seconds>(
                            std::chrono::nanoseconds(std::uint64_t{ticks} << shift)));
    }

    // ---- the node ----

    void read_node() {
        const slc_node& node = tables_.node;
        config::Node& out = out_.node;
        out = meta_.node;
        out.ring_secret = {node.ring_key[0], node.ring_key[1]};
        out.has_ring_secret = node.ring_key[0] != 0 || node.ring_key[1] != 0;
        out.icmp_rate = node.icmp_rate;
        out.gue_port = ntohs(node.gue_port_be);
        if (out.flow_entries == 0) out.flow_entries = SLC_FLOW_WAYS << node.flow_log2;
        out.sample_one_in = (node.features & SLC_FEATURE_SAMPLE) != 0 ? 1u << node.sample_log2 : 0;
        if ((node.features & SLC_FEATURE_DECAP) != 0)
            out.decap = read_decap();
        else
            out.decap.reset();
    }

    [[nodiscard]] config::Decap read_decap() const {
        config::Decap out;
        out.from = tables_.peers;
        if (meta_.node.decap) order_as(meta_.node.decap->from, out.from);
        // Without a list of addresses all of the node's own are endpoints. They are numbered in the
        // order of the file.
        if (meta_.decap_addresses)
            for (const auto& [number, address] : endpoints_) out.addresses.push_back(address);
        return out;
    }

    static void order_as(const std::vector<IpPrefix>& order, std::vector<IpPrefix>& list) {
        std::map<IpPrefix, std::size_t> places;
        for (std::size_t i = 0; i < order.size(); ++i) places.emplace(order[i], i);
        const auto key = [&](const IpPrefix& prefix) {
            const auto found = places.find(prefix);
            return std::pair(found == places.end() ? order.size() : found->second, prefix);
        };
        std::sort(list.begin(), list.end(),
                  [&](const auto& left, const auto& right) { return key(left) < key(right); });
    }

    const KernelTables& tables_;
    const Meta& meta_;
    Config out_;
    /// By member id: number of the group, 0 for none, and index of the backend.
    std::vector<std::pair<std::size_t, std::size_t>> places_;
    std::map<std::uint32_t, NumberedVip> vips_;
    std::map<std::uint32_t, IpAddress> endpoints_;
    std::map<std::uint32_t, Target> targets_;  ///< By service id.
};

}  // namespace

KernelTables tables_of(const Image& image) {
    KernelTables out;
    out.node = image.node;
    out.vips = image.vips;
    out.ports = image.ports;
    out.ranges = image.ranges;
    out.services = image.services;
    out.prefixes = image.prefixes;
    out.peers = image.peers;
    out.rings = image.rings;
    out.accounts = image.accounts;
    out.server_ids = image.server_ids;
    out.members.resize(std::size_t{image.highest_member} + 1);
    for (const ImageMember& member : image.members) out.members[member.id] = member_record(member);
    return out;
}

Result<Config> read_back(const KernelTables& tables, const Meta& meta) {
    return ReadBack(tables, meta).run();
}

}  // namespace sluice::plan
