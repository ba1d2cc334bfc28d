// SPDX-License-Identifier: Apache-2.0

/// One check: what every type has, and what only some have.

#include "config/parse_checks.h"

#include <algorithm>
#include <climits>

#include "config/rules.h"

namespace sluice::config {
namespace {

constexpr std::array kTypes = {CheckType::tcp,  CheckType::http,   CheckType::https,
                               CheckType::udp,  CheckType::icmp,   CheckType::dns,
                               CheckType::grpc, CheckType::command};
constexpr std::array<std::string_view, 2> kMethods = {"GET", "HEAD"};

constexpr unsigned bit(CheckType type) {
    return 1u << static_cast<unsigned>(type);
}
constexpr unsigned kAnyHttp = bit(CheckType::http) | bit(CheckType::https);

/// Keys that only some types have; those that are not here stand with any.
struct TypeKey {
    std::string_view key;
    unsigned types;
    std::string_view names;
};
constexpr TypeKey kTypeKeys[] = {
    {"port", ~bit(CheckType::icmp), "types that go to one"},
    {"method", kAnyHttp, "http and https"},
    {"path", kAnyHttp, "http and https"},
    {"host", kAnyHttp | bit(CheckType::grpc), "http, https and grpc"},
    {"status", kAnyHttp, "http and https"},
    {"body", kAnyHttp, "http and https"},
    {"tls", bit(CheckType::https) | bit(CheckType::grpc), "https and grpc"},
    {"payload", bit(CheckType::udp), "udp"},
    {"reply", bit(CheckType::udp), "udp"},
    {"dns", bit(CheckType::dns), "dns"},
    {"load", kAnyHttp, "http and https"},
    {"command", bit(CheckType::command), "command"},
    {"grpc_service", bit(CheckType::grpc), "grpc"},
};

/// What a type cannot do without, as an example for who leaves it out.
struct Needed {
    CheckType type;
    std::string_view key;
    std::string_view example;
};
constexpr Needed kNeeded[] = {
    {CheckType::udp, "payload", "{type: udp, payload: ping}"},
    {CheckType::dns, "dns", "{type: dns, dns: {name: example.com}}"},
    {CheckType::command, "command", "{type: command, command: [/usr/local/bin/check]}"},
};

std::string problem_with_body(std::string_view text) {
    if (!text.empty() && text.size() <= kMaxCheckText) return {};
    return "is not what a body can be searched for: 1 to " + std::to_string(kMaxCheckText) +
           " bytes";
}

std::optional<StatusRange> read_status(const Reader& in, const YamlNode& node, const Path& path) {
    const auto text = read_string(in, node, path);
    if (!text) return std::nullopt;
    const auto range = parse_status(*text);
    if (!range)
        in.error(node, path,
                 quoted(*text) + " is not a status (100..599) or a range of them, as in 200-299");
    return range;
}

/// One, or a list.
void parse_statuses(const Reader& in, const YamlNode& node, const Path& path, CheckHttp& out) {
    std::vector<StatusRange> ranges;
    if (node.kind == NodeKind::scalar) {
        if (const auto range = read_status(in, node, path)) ranges.push_back(*range);
    } else if (expect_list(in, node, path)) {
        if (node.children == 0)
            in.error(node, path, "is an empty list, it needs at least one entry");
        if (node.children > kMaxStatusRanges)
            return in.error(node, path,
                            "has " + std::to_string(node.children) + " entries, at most " +
                                std::to_string(kMaxStatusRanges) + " are possible");
        std::size_t index = 0;
        for (const YamlNode* item = in.tree.first(node); item != nullptr;
             item = in.tree.next(*item))
            if (const auto range = read_status(in, *item, path.at(index++)))
                ranges.push_back(*range);
    }
    if (!ranges.empty()) out.status = std::move(ranges);
}

template <typename Rule>
void assign_ruled(const Reader& in, const MapReader& map, std::string_view key, Rule problem_with,
                  std::string& out) {
    if (const YamlNode* node = map.find(key))
        out = read_ruled(in, *node, map.path().at(key), problem_with).value_or(out);
}

void parse_http(const Reader& in, const MapReader& map, CheckHttp& out) {
    const Path& path = map.path();
    if (const YamlNode* method = map.find("method"))
        if (const auto index = read_choice(in, *method, path.at("method"), kMethods))
            out.method = kMethods[*index];
    assign_ruled(in, map, "path", problem_with_http_path, out.path);
    assign_ruled(in, map, "host", problem_with_host, out.host);
    if (const YamlNode* status = map.find("status"))
        parse_statuses(in, *status, path.at("status"), out);
    assign_ruled(in, map, "body", problem_with_body, out.body);
    if (const YamlNode* body = map.find("body"); body != nullptr && out.method == "HEAD")
        in.error(*body, path.at("body"), "answers to HEAD have no body");
}

void parse_tls(const Reader& in, const YamlNode& node, const Path& path, CheckTls& out) {
    const MapReader map(in, node, path, keys::kCheckTls);
    out.enabled = true;
    if (const YamlNode* verify = map.find("verify"))
        out.verify = read_bool(in, *verify, path.at("verify")).value_or(out.verify);
    assign_ruled(in, map, "server_name", problem_with_server_name, out.server_name);
    assign_ruled(in, map, "ca_file", problem_with_path, out.ca_file);
    assign_ruled(in, map, "certificate_file", problem_with_path, out.certificate_file);
    assign_ruled(in, map, "key_file", problem_with_path, out.key_file);
    const YamlNode* certificate = map.find("certificate_file");
    const YamlNode* key = map.find("key_file");
    if (certificate != nullptr && key == nullptr)
        in.error(*certificate, path.at("certificate_file"), "needs its key: give key_file as well");
    if (certificate == nullptr && key != nullptr)
        in.error(*key, path.at("key_file"), "needs a certificate: give certificate_file as well");
    if (const YamlNode* ca = map.find("ca_file"); ca != nullptr && !out.verify)
        in.error(*ca, path.at("ca_file"), "has no effect with verify: false");
}

void parse_udp(const Reader& in, const MapReader& map, CheckUdp& out) {
    for (const auto& [key, value] :
         {std::pair<std::string_view, std::string*>{"payload", &out.payload},
          {"reply", &out.reply}}) {
        const YamlNode* node = map.find(key);
        if (node == nullptr) continue;
        const Path path = map.path().at(key);
        const auto text = read_string(in, *node, path);
        if (!text) continue;
        const auto bytes = parse_bytes(*text);
        if (bytes && !bytes->empty() && bytes->size() <= kMaxDatagram)
            *value = *bytes;
        else
            in.error(*node, path,
                     quoted(*text) + " is not a text of 1 to " + std::to_string(kMaxDatagram) +
                         " bytes, or such bytes in hex, as in \"hex:0001ff\"");
    }
}

template <std::size_t kCount>
void assign_dns_word(const Reader& in, const MapReader& map, std::string_view key,
                     const std::array<DnsWord, kCount>& words, std::uint16_t& out) {
    const YamlNode* node = map.find(key);
    if (node == nullptr) return;
    std::array<std::string_view, kCount> texts;
    for (std::size_t i = 0; i < kCount; ++i) texts[i] = words[i].word;
    if (const auto index = read_choice(in, *node, map.path().at(key), texts))
        out = words[*index].value;
}

void parse_dns(const Reader& in, const YamlNode& node, const Path& path, CheckDns& out) {
    const MapReader map(in, node, path, keys::kCheckDns);
    if (const YamlNode* name = map.require("name"))
        out.name = read_ruled(in, *name, path.at("name"), problem_with_domain).value_or("");
    assign_dns_word(in, map, "type", kDnsTypes, out.type);
    assign_dns_word(in, map, "rcode", kDnsRcodes, out.rcode);
    if (const YamlNode* over_tcp = map.find("over_tcp"))
        out.over_tcp = read_bool(in, *over_tcp, path.at("over_tcp")).value_or(out.over_tcp);
}

void parse_load(const Reader& in, const YamlNode& node, const Path& path, const CheckHttp& http,
                Check& out) {
    const MapReader map(in, node, path, keys::kCheckLoad);
    if (!map.valid()) return;
    CheckLoad load;
    const YamlNode* header = map.find("header");
    const YamlNode* field = map.find("field");
    if (header == nullptr && field == nullptr)
        in.error(node, path, "needs a header or a field that says the load");
    if (header != nullptr && field != nullptr)
        in.error(*field, path.at("field"), "give header or field, not both");
    if (field != nullptr && http.method == "HEAD")
        in.error(*field, path.at("field"), "answers to HEAD have no body");
    assign_ruled(in, map, "header", problem_with_header_name, load.header);
    assign_ruled(in, map, "field", problem_with_field_name, load.field);
    if (const YamlNode* least = map.find("least"))
        if (const auto value =
                read_percent(in, *least, path.at("least"), "a part of the weight", 1, 100))
            load.least = *value / 100.0;
    if (const YamlNode* most = map.find("most"))
        if (const auto value =
                read_percent(in, *most, path.at("most"), "a part of the weight", 100, 1000))
            load.most = *value / 100.0;
    out.load = load;
}

void parse_command(const Reader& in, const YamlNode& node, const Path& path,
                   std::vector<std::string>& out) {
    if (!expect_list(in, node, path)) return;
    if (node.children == 0 || node.children > kMaxCommand)
        return in.error(node, path,
                        "is a list of the program and its arguments, 1 to " +
                            std::to_string(kMaxCommand) + " words");
    std::size_t index = 0;
    for (const YamlNode* item = in.tree.first(node); item != nullptr;
         item = in.tree.next(*item), ++index) {
        const Path at = path.at(index);
        const auto text =
            index == 0 ? read_ruled(in, *item, at, problem_with_path) : read_string(in, *item, at);
        if (!text) continue;
        if (text->size() >= PATH_MAX || text->find('\0') != std::string::npos)
            in.error(*item, at, quoted(*text) + " is not an argument: less than 4096 bytes");
        else
            out.push_back(*text);
    }
}

/// Keys that this type has no use for, and those that it needs: false without one of these.
bool check_keys(const Reader& in, const MapReader& map, CheckType type) {
    for (const TypeKey& entry : kTypeKeys)
        if (const YamlNode* node = map.find(entry.key);
            node != nullptr && (entry.types & bit(type)) == 0)
            in.error(*node, map.path().at(entry.key),
                     std::string("has no meaning for type: ") + name_of(type) + ", only for " +
                         std::string(entry.names));
    return std::all_of(std::begin(kNeeded), std::end(kNeeded), [&](const Needed& entry) {
        return entry.type != type || map.require(entry.key) != nullptr;
    });
}

/// What says where a check goes. What goes by itself cannot be put into a tunnel.
void parse_place(const Reader& in, const MapReader& map, Check& out, CheckNotes& notes) {
    const Path& path = map.path();
    if (const YamlNode* service = map.find("service")) {
        notes.service = service->mark;
        const auto name = read_name(in, *service, path.at("service"));
        notes.has_parts = name.has_value();
        out.service = name.value_or("");
    }
    if (const YamlNode* port = map.find("port")) {
        const auto value = read_number(in, *port, path.at("port"), "a port", 1, 65535);
        notes.has_parts = notes.has_parts && value;
        out.port = static_cast<std::uint16_t>(value.value_or(0));
    }
    if (out.type != CheckType::command) return;
    const YamlNode* via = map.find("via");
    if (via != nullptr && out.via == CheckVia::vip)
        in.error(*via, path.at("via"),
                 "a command goes where it likes, which sluice cannot put into a tunnel: it is "
                 "always direct");
    out.via = CheckVia::direct;
}

void parse_parts(const Reader& in, const MapReader& map, Check& out, CheckNotes& notes) {
    const Path& path = map.path();
    parse_http(in, map, out.http);
    out.tls.enabled = out.type == CheckType::https;
    if (const YamlNode* tls = map.find("tls")) {
        notes.tls = tls->mark;
        parse_tls(in, *tls, path.at("tls"), out.tls);
    }
    parse_udp(in, map, out.udp);
    if (const YamlNode* dns = map.find("dns")) parse_dns(in, *dns, path.at("dns"), out.dns);
    assign_ruled(in, map, "grpc_service", problem_with_grpc_service, out.grpc_service);
    if (const YamlNode* command = map.find("command"))
        parse_command(in, *command, path.at("command"), out.command);
    if (const YamlNode* load = map.find("load"))
        parse_load(in, *load, path.at("load"), out.http, out);
}

/// A type alone.
void parse_word(const Reader& in, const YamlNode& node, const Path& path, Check& out,
                CheckNotes& notes) {
    const auto type = read_word(in, node, path, kTypes);
    if (!type) return;
    out.type = *type;
    out.tls.enabled = *type == CheckType::https;
    notes.has_type = true;
    for (const Needed& entry : kNeeded) {
        if (entry.type != *type) continue;
        in.error(node, path,
                 std::string(name_of(*type)) +
                     " needs more than its type: " + std::string(entry.example));
        notes.has_type = false;
    }
}

}  // namespace

Check parse_check(const Reader& in, const YamlNode& node, const Path& path, const Check& defaults,
                  CheckNotes& notes) {
    Check out = defaults;
    if (node.kind == NodeKind::scalar) {
        parse_word(in, node, path, out, notes);
        return out;
    }
    if (node.kind != NodeKind::map) {
        if (node.kind != NodeKind::refused)
            in.error(node, path, "expects a type of check, or a map with one, as in {type: http}");
        return out;
    }
    const MapReader map(in, node, path, keys::kCheck);
    if (const YamlNode* type = map.require("type")) {
        const auto value = read_word(in, *type, path.at("type"), kTypes);
        notes.has_type = value.has_value();
        out.type = value.value_or(out.type);
    }
    if (notes.has_type) notes.has_type = check_keys(in, map, out.type);
    parse_pace(in, map, out, notes);
    parse_place(in, map, out, notes);
    parse_parts(in, map, out, notes);
    return out;
}

}  // namespace sluice::config
