// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <climits>

#include "config/draft.h"
#include "config/rules.h"
#include "sluice/limits.h"

namespace sluice::config {
namespace {

constexpr std::array kXdpModes = {XdpMode::automatic, XdpMode::native, XdpMode::generic};

/// An outer source: the data plane varies the bits beyond `min_len` at most.
std::optional<IpPrefix> parse_source(const Reader& in, const MapReader& map, std::string_view key,
                                     bool is_ip6, std::uint8_t min_len) {
    const YamlNode* node = map.find(key);
    if (node == nullptr) return std::nullopt;
    const Path path = map.path().at(key);
    const auto prefix = read_prefix(in, *node, path);
    if (!prefix) return std::nullopt;
    if (prefix->address.is_ip6 != is_ip6) {
        in.error(*node, path,
                 prefix->text() + " is not an " + (is_ip6 ? "IPv6" : "IPv4") + " prefix");
        return std::nullopt;
    }
    if (prefix->len < min_len) {
        in.error(
            *node, path,
            prefix->text() + " is too wide: the length is at least " + std::to_string(min_len));
        return std::nullopt;
    }
    return prefix;
}

void parse_tunnel_source(const Reader& in, const YamlNode& node, const Path& path, Draft& draft) {
    const MapReader map(in, node, path, keys::kTunnelSource);
    if (!map.valid()) return;
    draft.tunnel_source = node.mark;
    if (node.children == 0) in.error(node, path, "is empty: give ipv4, ipv6 or both");
    // Entropy goes into the low half of an IPv6 address (slc_node::tunnel6_host_mask_be).
    draft.config.node.tunnel_source4 = parse_source(in, map, "ipv4", false, 8);
    draft.config.node.tunnel_source6 = parse_source(in, map, "ipv6", true, 64);
}

void parse_addresses(const Reader& in, const YamlNode& list, const Path& path, Draft& draft) {
    if (!expect_list(in, list, path)) return;
    if (list.children == 0) in.error(list, path, "is an empty list, it needs at least one entry");
    Seen seen;
    std::size_t index = 0;
    for (const YamlNode* item = in.tree.first(list); item != nullptr; item = in.tree.next(*item)) {
        const Path at = path.at(index++);
        const auto address = read_address(in, *item, at);
        if (!address) continue;
        if (const std::uint32_t line = seen.line_of(address->text(), item->mark)) {
            in.error(*item, at,
                     address->text() + " is listed twice, first on line " + std::to_string(line));
            continue;
        }
        draft.config.node.decap->addresses.push_back(*address);
        draft.decap_address_marks.push_back(item->mark);
    }
}

void parse_decap(const Reader& in, const YamlNode& node, const Path& path, Draft& draft) {
    const MapReader map(in, node, path, keys::kDecap);
    if (!map.valid()) return;
    draft.config.node.decap.emplace();
    if (const YamlNode* from = map.require("from"))
        draft.config.node.decap->from =
            read_prefixes(in, *from, map.path().at("from"), SLC_MAX_TUNNEL_PEERS);
    if (const YamlNode* addresses = map.find("addresses"))
        parse_addresses(in, *addresses, map.path().at("addresses"), draft);
}

void parse_secret(const Reader& in, const MapReader& map, Node& out) {
    const YamlNode* secret = map.find("ring_secret");
    const YamlNode* file = map.find("ring_secret_file");
    if (secret != nullptr) {
        const Path path = map.path().at("ring_secret");
        const auto text = read_string(in, *secret, path);
        const auto value = text ? parse_ring_secret(*text) : std::nullopt;
        if (value) {
            out.ring_secret = *value;
            out.has_ring_secret = true;
        } else if (text) {
            // The value stays out of the message: it may be a real secret with a slip in it.
            in.error(*secret, path, "has to be 32 hex digits, not all of them 0");
        }
    }
    if (file == nullptr) return;
    const Path path = map.path().at("ring_secret_file");
    if (secret != nullptr) in.error(*file, path, "give ring_secret or ring_secret_file, not both");
    const auto name = read_string(in, *file, path);
    if (!name) return;
    if (name->empty() || name->size() >= PATH_MAX || name->find('\0') != std::string::npos)
        in.error(*file, path, quoted(*name) + " is not the path of a file");
    else
        out.ring_secret_file = *name;
}

void parse_next(const Reader& in, const YamlNode& node, const Path& path, Node& out) {
    const auto text = read_string(in, node, path);
    if (!text) return;
    if (!text->starts_with('/') || text->size() >= PATH_MAX ||
        text->find('\0') != std::string::npos)
        in.error(node, path, quoted(*text) + " is not an absolute path of a pinned program");
    else
        out.next = *text;
}

void parse_sampling(const Reader& in, const YamlNode& node, const Path& path, Node& out) {
    const auto value = read_number(in, node, path, "a number of packets", 0, kMaxSampling);
    if (!value) return;
    if (*value != 0 && !std::has_single_bit(*value)) {
        const std::uint32_t above = std::bit_ceil(*value);
        in.error(node, path,
                 std::to_string(*value) + " is not a power of two, as " +
                     std::to_string(above / 2) + " and " + std::to_string(above) +
                     " are (0 takes no samples)");
        return;
    }
    out.sample_one_in = *value;
}

}  // namespace

void parse_node(const Reader& in, const YamlNode& node, Draft& draft) {
    const Path root;
    const Path path = root.at("node");
    const MapReader map(in, node, path, keys::kNode);
    if (!map.valid()) return;
    Node& out = draft.config.node;
    out.mark = node.mark;
    if (const YamlNode* name = map.find("name"))
        out.name = read_name(in, *name, path.at("name")).value_or(out.name);
    if (const YamlNode* list = map.find("interfaces"))
        out.interfaces = read_interfaces(in, *list, path.at("interfaces"));
    assign_word(in, map, "xdp_mode", kXdpModes, out.xdp_mode);
    if (const YamlNode* source = map.find("tunnel_source"))
        parse_tunnel_source(in, *source, path.at("tunnel_source"), draft);
    parse_secret(in, map, out);
    if (const YamlNode* rate = map.find("icmp_rate"))
        out.icmp_rate = read_number(in, *rate, path.at("icmp_rate"),
                                    "a number of answers per second", 1, 1'000'000)
                            .value_or(out.icmp_rate);
    if (const YamlNode* port = map.find("gue_port"))
        out.gue_port = static_cast<std::uint16_t>(
            read_number(in, *port, path.at("gue_port"), "a port", 1, 65535).value_or(out.gue_port));
    if (const YamlNode* flows = map.find("flows"))
        parse_flow_table(in, *flows, path.at("flows"), out);
    if (const YamlNode* next = map.find("next")) parse_next(in, *next, path.at("next"), out);
    if (const YamlNode* decap = map.find("decap")) parse_decap(in, *decap, path.at("decap"), draft);
    if (const YamlNode* sampling = map.find("sampling"))
        parse_sampling(in, *sampling, path.at("sampling"), out);
    if (const YamlNode* keep = map.find("keep_generations"))
        out.keep_generations = read_number(in, *keep, path.at("keep_generations"),
                                           "a number of generations", 0, kMaxKeptGenerations)
                                   .value_or(out.keep_generations);
}

void parse_protected(const Reader& in, const YamlNode& prefixes, Draft& draft) {
    const Path root;
    const Path path = root.at("protected");
    if (!expect_list(in, prefixes, path)) return;
    draft.protected_mark = prefixes.mark;
    std::size_t index = 0;
    for (const YamlNode* item = in.tree.first(prefixes); item != nullptr;
         item = in.tree.next(*item)) {
        const Path at = path.at(index++);
        Protected out;
        out.mark = item->mark;
        const MapReader map(in, *item, at, keys::kProtected);
        bool good = false;
        if (const YamlNode* node = map.require("prefix")) {
            const auto prefix = read_prefix(in, *node, at.at("prefix"));
            good = prefix.has_value();
            if (good) out.prefix = *prefix;
        }
        const YamlNode* customer = map.find("customer");
        const YamlNode* policy = map.find("policy");
        if (customer != nullptr)
            out.customer = read_name(in, *customer, at.at("customer")).value_or("");
        if (policy != nullptr) out.policy = read_name(in, *policy, at.at("policy")).value_or("");
        if (map.valid() && customer == nullptr && policy == nullptr)
            in.error(*item, at, "needs a customer or a policy: without one it does nothing");
        draft.config.protected_prefixes.push_back(std::move(out));
        draft.prefixes_good.push_back(good);
    }
}

}  // namespace sluice::config
