// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "config/draft.h"
#include "config/rules.h"
#include "sluice/limits.h"

namespace sluice::config {
namespace {

constexpr std::array kProtocols = {Protocol::tcp, Protocol::udp, Protocol::both};
constexpr std::array kForwards = {Forward::ipip, Forward::gre, Forward::gue, Forward::l2,
                                  Forward::local};
constexpr std::array kBalances = {Balance::maglev, Balance::rendezvous};
constexpr std::array kAffinities = {Affinity::five_tuple, Affinity::source, Affinity::source_port};
constexpr std::array kStates = {BackendState::ready, BackendState::drain, BackendState::maint};
constexpr const char* kLocal = "forward: local delivers to this node and takes no backends";
constexpr std::array kUnmatched = {Unmatched::drop, Unmatched::pass};

/// A port without leading zeros, or 0.
std::uint16_t port_of(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || text.front() == '0') return 0;
    return port;
}

std::optional<Ports> parse_ports(const Reader& in, const YamlNode& node, const Path& path) {
    const auto text = read_string(in, node, path);
    if (!text) return std::nullopt;
    if (*text == "any") return Ports{0, 65535, true};
    const std::size_t dash = text->find('-');
    if (dash == std::string::npos) {
        const std::uint16_t port = text->empty() ? 0 : port_of(*text);
        if (port != 0) return Ports{port, port, false};
        in.error(node, path, quoted(*text) + " is not a port (1..65535), a range or any");
        return std::nullopt;
    }
    const std::string_view first = std::string_view(*text).substr(0, dash);
    const std::string_view last = std::string_view(*text).substr(dash + 1);
    const Ports out = {first.empty() ? std::uint16_t{0} : port_of(first),
                       last.empty() ? std::uint16_t{0} : port_of(last), false};
    if (out.first == 0 || out.last == 0) {
        in.error(node, path,
                 quoted(*text) + " is not a range of ports (1..65535), as in 8000-8099");
        return std::nullopt;
    }
    if (out.first > out.last) {
        in.error(node, path, quoted(*text) + " is a range that ends before it begins");
        return std::nullopt;
    }
    return out;
}

/// What a backend of a file is not; the state in force may be.
std::optional<BackendState> parse_state(const Reader& in, const YamlNode& node, const Path& path) {
    if (node.kind != NodeKind::scalar || node.scalar != name_of(BackendState::down))
        return read_word(in, node, path, kStates);
    in.error(node, path,
             "down is set at runtime (sluice backend set OWNER/ADDR --state down): a file says "
             "ready, drain or maint");
    return std::nullopt;
}

/// Sets `id_mark` if the backend has a server id, good or not.
std::optional<Backend> parse_backend(const Reader& in, const YamlNode& node, const Path& path,
                                     Mark& id_mark) {
    Backend out;
    out.mark = node.mark;
    std::optional<IpAddress> address;
    if (node.kind == NodeKind::scalar) {
        address = read_address(in, node, path);
    } else if (node.kind != NodeKind::map) {
        if (node.kind != NodeKind::refused)
            in.error(node, path,
                     "expects an address, or a map with address, weight, state and server_id");
    } else {
        const MapReader map(in, node, path, keys::kBackend);
        if (const YamlNode* value = map.require("address"))
            address = read_address(in, *value, path.at("address"));
        if (const YamlNode* weight = map.find("weight"))
            out.weight = read_number(in, *weight, path.at("weight"), "a weight", 0, SLC_MAX_WEIGHT)
                             .value_or(out.weight);
        if (const YamlNode* state = map.find("state"))
            out.state = parse_state(in, *state, path.at("state")).value_or(out.state);
        if (const YamlNode* id = map.find("server_id")) {
            id_mark = id->mark;
            out.server_id = read_server_id(in, *id, path.at("server_id"));
        }
    }
    if (!address) return std::nullopt;
    out.address = *address;
    return out;
}

/// `dscp: copy` or a number.
void parse_dscp(const Reader& in, const YamlNode& node, const Path& path, Service& out) {
    if (node.kind == NodeKind::scalar && node.scalar == "copy") {
        out.dscp_copy = true;
        return;
    }
    if (const auto value = read_number(in, node, path, "copy or a DSCP", 0, 63))
        out.dscp = static_cast<std::uint8_t>(*value);
}

/// vip, protocol, port and unmatched: which packets are this service's.
void parse_target(const Reader& in, const MapReader& map, Service& out, ServiceNotes& notes) {
    const Path& path = map.path();
    if (const YamlNode* vip = map.require("vip")) {
        notes.vip = vip->mark;
        const auto prefix = read_prefix(in, *vip, path.at("vip"));
        notes.has_vip = prefix.has_value();
        if (prefix) out.vip = *prefix;
    }
    if (const YamlNode* protocol = map.find("protocol")) {
        const auto value = read_word(in, *protocol, path.at("protocol"), kProtocols);
        notes.has_protocol = value.has_value();
        out.protocol = value.value_or(out.protocol);
    }
    bool port_good = false;
    if (const YamlNode* port = map.require("port")) {
        notes.port = port->mark;
        const auto ports = parse_ports(in, *port, path.at("port"));
        port_good = ports.has_value();
        if (ports) out.ports = *ports;
    }
    notes.has_target = notes.has_vip && notes.has_protocol && port_good;
    if (const YamlNode* unmatched = map.find("unmatched")) {
        const auto value = read_word(in, *unmatched, path.at("unmatched"), kUnmatched);
        if (value) notes.unmatched = unmatched->mark;
        out.unmatched = value.value_or(out.unmatched);
    }
}

/// forward, affinity, dscp, owners and announce: what happens to its packets.
void parse_handling(const Reader& in, const MapReader& map, Service& out, ServiceNotes& notes) {
    const Path& path = map.path();
    if (const YamlNode* forward = map.find("forward")) {
        notes.forward = forward->mark;
        const auto value = read_word(in, *forward, path.at("forward"), kForwards);
        notes.has_forward = value.has_value();
        out.forward = value.value_or(out.forward);
    }
    if (const YamlNode* affinity = map.find("affinity")) notes.affinity = affinity->mark;
    assign_word(in, map, "affinity", kAffinities, out.affinity);
    if (const YamlNode* dscp = map.find("dscp")) {
        notes.dscp = dscp->mark;
        parse_dscp(in, *dscp, path.at("dscp"), out);
    }
    if (const YamlNode* customer = map.find("customer"))
        out.customer = read_name(in, *customer, path.at("customer")).value_or("");
    if (const YamlNode* policy = map.find("policy"))
        out.policy = read_name(in, *policy, path.at("policy")).value_or("");
    if (const YamlNode* announce = map.find("announce")) {
        notes.announce = announce->mark;
        out.announce = read_bool(in, *announce, path.at("announce")).value_or(out.announce);
    }
}

/// A group by name; groups were read before.
void refer_to_group(const Reader& in, const YamlNode& node, const Path& path, const Draft& draft,
                    Service& out, ServiceNotes& notes) {
    notes.group = node.mark;
    const auto name = read_string(in, node, path);
    if (!name) return;
    notes.group_name = *name;
    const auto found = draft.groups_by_name.find(*name);
    if (found != draft.groups_by_name.end()) {
        out.group = found->second;
        notes.has_group = true;
        return;
    }
    std::vector<std::string_view> known;
    constexpr std::size_t kMostCompared = 1000;  // Keeps many mistakes among many groups cheap.
    for (const Group& group : draft.config.groups) {
        if (known.size() == kMostCompared) break;
        if (!group.anonymous) known.push_back(group.name);
    }
    in.error(node, path, "no group " + quoted(*name) + " under groups" + suggestion(*name, known));
}

/// A group for the service's own list.
void make_group(const Reader& in, const MapReader& map, const YamlNode& node, Draft& draft,
                Service& out, ServiceNotes& notes) {
    const Path path = map.path().at("backends");
    notes.backends = node.mark;
    Group group;
    group.name = out.name;
    group.balance = out.balance;
    group.anonymous = true;
    group.mark = node.mark;
    GroupNotes group_notes;
    group.backends = parse_backends(in, node, path, group_notes);
    parse_upkeep(in, map, draft.check_defaults, group, group_notes);
    out.group = draft.config.groups.size();
    notes.has_group = true;
    const auto clash = draft.groups_by_name.find(out.name);
    if (!out.name.empty() && clash != draft.groups_by_name.end() &&
        !draft.config.groups[clash->second].anonymous)
        in.error(node, path,
                 "a service's own backends are a group of its name, but line " +
                     std::to_string(draft.config.groups[clash->second].mark.line) +
                     " has a group " + out.name + ": use that with \"group\", or rename one");
    draft.config.groups.push_back(std::move(group));
    group_notes.path = map.path().text();
    draft.groups.push_back(std::move(group_notes));
}

void parse_membership(const Reader& in, const MapReader& map, Draft& draft, Service& out,
                      ServiceNotes& notes) {
    const Path& path = map.path();
    const YamlNode* group = map.find("group");
    const YamlNode* backends = map.find("backends");
    const YamlNode* balance = map.find("balance");
    if (balance != nullptr) {
        notes.balance = balance->mark;
        assign_word(in, map, "balance", kBalances, out.balance);
    }
    if (out.forward == Forward::local) {
        for (const auto& [key, node] : {std::pair{"group", group}, std::pair{"backends", backends}})
            if (node != nullptr) in.error(*node, path.at(std::string_view(key)), kLocal);
        refuse_upkeep(in, map, kLocal);
        return;
    }
    if (group != nullptr && backends != nullptr)
        in.error(*backends, path.at("backends"), "give group or backends, not both");
    if (group == nullptr && backends == nullptr && map.valid() && notes.has_forward)
        in.findings.error(out.mark, path.text(),
                          std::string("needs a group, or backends of its own, with forward: ") +
                              name_of(out.forward));
    if (group != nullptr) {
        refer_to_group(in, *group, path.at("group"), draft, out, notes);
        if (balance == nullptr && notes.has_group)
            out.balance = draft.config.groups[out.group].balance;
        std::string where = "the group";
        if (notes.has_group)
            where = "group " + notes.group_name + " (line " +
                    std::to_string(draft.config.groups[out.group].mark.line) + ")";
        refuse_upkeep(in, map, "services on a group share it: set it at " + where);
    } else if (backends != nullptr) {
        make_group(in, map, *backends, draft, out, notes);
    } else {
        Group none;
        GroupNotes none_notes;
        parse_upkeep(in, map, draft.check_defaults, none, none_notes);
    }
}

void parse_group(const Reader& in, const YamlNode& key, const YamlNode& value, const Path& path,
                 Draft& draft) {
    Group out;
    out.name = key.scalar;
    out.mark = key.mark;
    GroupNotes notes;
    const MapReader map(in, value, path, keys::kGroup);
    assign_word(in, map, "balance", kBalances, out.balance);
    parse_upkeep(in, map, draft.check_defaults, out, notes);
    if (const YamlNode* backends = map.require("backends"))
        out.backends = parse_backends(in, *backends, path.at("backends"), notes);
    draft.groups_by_name.try_emplace(out.name, draft.config.groups.size());
    notes.path = path.text();
    draft.groups.push_back(std::move(notes));
    draft.config.groups.push_back(std::move(out));
}

}  // namespace

std::vector<Backend> parse_backends(const Reader& in, const YamlNode& list, const Path& path,
                                    GroupNotes& notes) {
    std::vector<Backend> out;
    if (!expect_list(in, list, path)) return out;
    out.reserve(list.children);
    Seen seen;
    Seen ids;
    std::size_t index = 0;
    for (const YamlNode* item = in.tree.first(list); item != nullptr; item = in.tree.next(*item)) {
        const Path at = path.at(index++);
        Mark id_mark;
        const auto backend = parse_backend(in, *item, at, id_mark);
        if (id_mark.line != 0) notes.mentions_server_id = true;
        if (!backend) continue;
        const std::string text = backend->address.text();
        if (const std::uint32_t line = seen.line_of(text, item->mark)) {
            in.error(
                *item, at,
                "backend " + text + " is in this group already, on line " + std::to_string(line));
            continue;
        }
        const std::string id = backend->server_id ? text_of(*backend->server_id) : "";
        if (const std::uint32_t line = id.empty() ? 0 : ids.line_of(id, id_mark))
            in.findings.error(
                id_mark, at.at("server_id").text(),
                "server id " + id + " is in this group already, on line " + std::to_string(line));
        out.push_back(*backend);
        notes.server_ids.push_back(id_mark);
    }
    return out;
}

void parse_groups(const Reader& in, const YamlNode& groups, Draft& draft) {
    const Path root;
    const Path path = root.at("groups");
    if (!expect_map(in, groups, path)) return;
    draft.groups_mark = groups.mark;
    Seen seen;
    for (const YamlNode* key = in.tree.first(groups); key != nullptr;) {
        const YamlNode* value = in.tree.next(*key);
        const Path at = path.at(std::string_view(key->scalar));
        const auto name = read_name(in, *key, at);
        const std::uint32_t line = name ? seen.line_of(*name, key->mark) : 0;
        if (line != 0)
            in.error(*key, at,
                     "group " + *name + " is defined twice, first on line " + std::to_string(line));
        parse_group(in, *key, *value, at, draft);
        key = in.tree.next(*value);
    }
}

void parse_services(const Reader& in, const YamlNode& services, Draft& draft) {
    const Path root;
    const Path path = root.at("services");
    if (!expect_list(in, services, path)) return;
    draft.services_mark = services.mark;
    draft.config.services.reserve(services.children);
    draft.services.reserve(services.children);
    Seen seen;
    std::size_t index = 0;
    for (const YamlNode* item = in.tree.first(services); item != nullptr;
         item = in.tree.next(*item)) {
        const Path at = path.at(index++);
        Service out;
        ServiceNotes notes;
        out.mark = item->mark;
        const MapReader map(in, *item, at, keys::kService);
        if (const YamlNode* node = map.require("name")) {
            notes.name = node->mark;
            out.name = read_name(in, *node, at.at("name")).value_or("");
            const std::uint32_t line = out.name.empty() ? 0 : seen.line_of(out.name, node->mark);
            if (line != 0)
                in.error(*node, at.at("name"),
                         "service " + out.name + " is defined twice, first on line " +
                             std::to_string(line));
        }
        parse_target(in, map, out, notes);
        parse_handling(in, map, out, notes);
        parse_memory(in, map, out, notes);
        parse_membership(in, map, draft, out, notes);
        draft.config.services.push_back(std::move(out));
        draft.services.push_back(std::move(notes));
    }
}

}  // namespace sluice::config
