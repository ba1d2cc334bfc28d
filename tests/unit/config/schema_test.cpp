// SPDX-License-Identifier: Apache-2.0

/// The published schemas against the parser: the same keys, words, ranges and defaults, and the
/// same verdict on every document wherever a schema can have one.

#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "config/agent.h"
#include "config/keys.h"
#include "config/print.h"
#include "tests/unit/config/cases.h"
#include "tests/unit/config/findings.h"

namespace sluice::config {
namespace {

using Json = nlohmann::json;

/// Plain scalars by the core schema of YAML 1.2, as other programs see them.
Json scalar_of(const YAML::Node& node) {
    const std::string text = node.Scalar();
    if (node.Tag() == "!") return text;
    if (text == "true" || text == "false") return text == "true";
    try {
        std::size_t used = 0;
        const long long value = std::stoll(text, &used);
        if (used == text.size()) return value;
    } catch (const std::exception&) {
        return text;
    }
    return text;
}

Json json_of(const YAML::Node& node) {
    if (node.IsScalar()) return scalar_of(node);
    if (node.IsSequence()) {
        Json out = Json::array();
        for (const YAML::Node& item : node) out.push_back(json_of(item));
        return out;
    }
    if (node.IsMap()) {
        Json out = Json::object();
        for (const auto& entry : node) {
            const bool is_word = entry.first.IsScalar();
            out[is_word ? entry.first.Scalar() : "(not a word)"] = json_of(entry.second);
        }
        return out;
    }
    return nullptr;
}

class Schema {
 public:
    explicit Schema(const std::string& path) : json(Json::parse(content_of(path))) {
        valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
        parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(json), schema_);
    }

    /// Empty, or why not.
    std::string refuses(const Json& document) const {
        valijson::Validator validator(valijson::Validator::kStrongTypes);
        valijson::ValidationResults results;
        if (validator.validate(schema_, valijson::adapters::NlohmannJsonAdapter(document),
                               &results))
            return {};
        std::string out;
        valijson::ValidationResults::Error error;
        while (results.popError(error)) {
            for (const std::string& step : error.context) out += step;
            out += ": " + error.description + "\n";
        }
        return out;
    }

    std::string refuses_text(const std::string& text) const {
        try {
            const auto documents = YAML::LoadAll(text);
            if (documents.size() != 1) return "not one document";
            return refuses(json_of(documents[0]));
        } catch (const YAML::Exception& error) {
            return error.what();
        }
    }

    const Json json;

 private:
    valijson::Schema schema_;
};

const Schema& sluice_schema() {
    static const Schema schema("schema/sluice.schema.json");
    return schema;
}

const Schema& agent_schema() {
    static const Schema schema("schema/agent.schema.json");
    return schema;
}

/// Calls `visit(path, object)` for every schema of a map, with paths as in config/keys.h.
void walk(const Json& root, const Json& node, const std::string& path,
          const std::function<void(const std::string&, const Json&)>& visit) {
    if (!node.is_object()) return;
    if (node.contains("$ref")) {
        const std::string pointer = node["$ref"].get<std::string>().substr(1);
        return walk(root, root.at(Json::json_pointer(pointer)), path, visit);
    }
    for (const char* key : {"allOf", "oneOf"})
        for (const Json& item : node.value(key, Json::array())) walk(root, item, path, visit);
    if (node.contains("items")) walk(root, node["items"], path + "[]", visit);
    if (node.value("type", "") != "object") return;
    if (node.contains("properties")) {
        visit(path, node);
        for (const auto& [key, value] : node["properties"].items())
            walk(root, value, path.empty() ? key : path + "." + key, visit);
    }
    if (node.contains("additionalProperties") && node["additionalProperties"].is_object())
        walk(root, node["additionalProperties"], path + ".NAME", visit);
}

using Keys = std::map<std::string, std::set<std::string>>;

Keys keys_of(const Schema& schema) {
    Keys out;
    walk(schema.json, schema.json, "", [&](const std::string& path, const Json& node) {
        EXPECT_EQ(node.value("additionalProperties", true), false) << path;
        for (const auto& [key, value] : node["properties"].items()) {
            out[path].insert(key);
            EXPECT_TRUE(value.contains("description") || value.contains("enum"))
                << path << "." << key;
        }
    });
    return out;
}

Keys keys_of(std::span<const KeySet> sets) {
    Keys out;
    for (const KeySet& set : sets) out[std::string(set.path)] = {set.keys.begin(), set.keys.end()};
    return out;
}

/// `health` of services is that of groups, and one check may stand where a list of them may.
void add_twins_of_health(Keys& keys) {
    const std::string group = "groups.NAME.health";
    const Keys before = keys;
    for (const auto& [path, names] : before) {
        if (!path.starts_with(group)) continue;
        std::string alone = path;
        if (const std::size_t list = alone.find("[]"); list != std::string::npos)
            alone.erase(list, 2);
        for (const std::string& twin : {path, alone}) {
            keys[twin] = names;
            keys["services[].health" + twin.substr(group.size())] = names;
        }
    }
}

TEST(Schema, has_the_keys_that_the_parser_reads) {
    Keys expected = keys_of(kConfigKeys);
    expected["services[].backends[]"] = expected["groups.NAME.backends[]"];
    expected["services[].flows"] = expected["groups.NAME.flows"];
    expected["tests[].sequence[].expect"] = expected["tests[].expect"];
    add_twins_of_health(expected);
    EXPECT_EQ(keys_of(sluice_schema()), expected);
    EXPECT_EQ(keys_of(agent_schema()), keys_of(kAgentKeys));
}

TEST(Schema, accepts_the_examples) {
    for (const char* name : {"sluice", "minimal", "dual-stack", "shared-groups", "colocated",
                             "planned-changes", "server-ids", "tested", "watched"})
        EXPECT_EQ(
            sluice_schema().refuses_text(content_of(std::string("examples/") + name + ".yaml")), "")
            << name;
    EXPECT_EQ(agent_schema().refuses_text(content_of("examples/agent.yaml")), "");
}

TEST(Schema, accepts_what_the_printer_writes) {
    for (const char* name : {"sluice", "watched"}) {
        const auto outcome = parse(content_of(std::string("examples/") + name + ".yaml"), name);
        EXPECT_EQ(sluice_schema().refuses_text(to_yaml(outcome.config)), "") << name;
    }
}

/// What no schema can say: two places compared, repeated keys, arithmetic on addresses.
const std::set<std::string> kBeyondSchema = {"any_twice",
                                             "backend_is_a_vip",
                                             "backend_twice",
                                             "both_protocols_once",
                                             "ceiling_below_the_share",
                                             "certificates_that_nobody_verifies",
                                             "communities_out_of_range",
                                             "community_twice",
                                             "decap_at_a_vip",
                                             "fallback_of_a_family_without_tunnel_source",
                                             "fallback_on_no_group",
                                             "fallbacks_in_a_circle",
                                             "fallbacks_without_end",
                                             "group_twice",
                                             "health_in_version_1",
                                             "icmp_rate_octal",
                                             "lifetime_beyond_a_day",
                                             "load_field_of_an_answer_without_body",
                                             "name_twice",
                                             "no_service_has_a_single_port",
                                             "no_service_speaks_it",
                                             "own_group_named_like_a_group",
                                             "peer_hold_times",
                                             "peer_source_of_the_other_family",
                                             "peers_alike",
                                             "port_in_a_range",
                                             "protected_twice",
                                             "protected_within_a_vip",
                                             "ranges",
                                             "repeated_key",
                                             "repeated_section",
                                             "ring_secret_zero",
                                             "route_by_nothing_known",
                                             "router_id_of_zero",
                                             "same_port",
                                             "server_id_longer_than_32_bits",
                                             "server_id_longer_than_the_narrowest_service",
                                             "server_id_twice",
                                             "shares_of_more_than_the_table",
                                             "status_backwards",
                                             "tag",
                                             "timeout_longer_than_the_interval",
                                             "tunnel_source_too_wide",
                                             "tunnel_source_with_host_bits",
                                             "tunnel_without_a_source_of_its_family",
                                             "udp_hex_that_is_none",
                                             "unknown_group",
                                             "unmatched_contradicts",
                                             "verdicts_that_contradict",
                                             "vip_of_the_whole_internet",
                                             "vip_with_host_bits"};

TEST(Schema, refuses_the_same_documents) {
    std::set<std::string> accepted;
    for (const char* file : {"text", "version", "keys", "types", "node", "groups", "services",
                             "flows", "whole", "tests", "health", "announce"})
        for (const ErrorCase& item :
             cases_of(std::string("tests/unit/config/errors/") + file + ".cases"))
            if (sluice_schema().refuses_text(item.text).empty()) accepted.insert(item.name);
    EXPECT_EQ(accepted, kBeyondSchema);
    for (const ErrorCase& item : cases_of("tests/unit/config/errors/agent.cases")) {
        const bool beyond = item.name == "repeated_key";
        EXPECT_EQ(agent_schema().refuses_text(item.text).empty(), beyond) << item.name;
    }
}

/// A document that has every map of the format once, and where its maps are.
const Json kDocument = Json::parse(R"({
  "version": 2,
  "node": {"tunnel_source": {"ipv4": "10.255.0.0/24"}, "decap": {"from": ["10.0.0.0/8"]},
           "flows": {}},
  "health": {},
  "groups": {"g": {"flows": {}, "backends": [{"address": "10.0.0.5", "server_id": 1}],
                   "health": {"flapping": {}, "checks": [
                       {"type": "http", "load": {"header": "Load"}},
                       {"type": "https", "tls": {}},
                       {"type": "dns", "dns": {"name": "example.com"}}]}}},
  "services": [{"name": "a", "vip": "192.0.2.1", "port": 80, "group": "g"},
               {"name": "b", "vip": "192.0.2.2", "port": 80, "group": "g", "protocol": "both",
                "lifetimes": {}, "route_by": {"quic-lb": {"server_id_length": 4}}}],
  "protected": [{"prefix": "198.51.100.0/24", "customer": "acme"}],
  "announce": {"bird": {}, "kernel": {},
               "bgp": {"as": 65001, "peers": [{"address": "10.0.0.254", "as": 65000,
                                               "next_hop": {"ipv4": "10.0.0.1"}}]}},
  "proof": {},
  "tests": [{"name": "a", "pcap": "a.pcap", "expect": {"verdict": "forward"}},
            {"name": "b", "sequence": [{"pcap": "a.pcap", "expect": {"verdict": "forward"}}]}]
})");
const std::map<std::string, std::string> kPointers = {
    {"", ""},
    {"health", "/health"},
    {"groups.NAME.health", "/groups/g/health"},
    {"groups.NAME.health.flapping", "/groups/g/health/flapping"},
    {"groups.NAME.health.checks[]", "/groups/g/health/checks/0"},
    {"groups.NAME.health.checks[].load", "/groups/g/health/checks/0/load"},
    {"groups.NAME.health.checks[].tls", "/groups/g/health/checks/1/tls"},
    {"groups.NAME.health.checks[].dns", "/groups/g/health/checks/2/dns"},
    {"announce", "/announce"},
    {"announce.bird", "/announce/bird"},
    {"announce.bgp", "/announce/bgp"},
    {"announce.bgp.peers[]", "/announce/bgp/peers/0"},
    {"announce.bgp.peers[].next_hop", "/announce/bgp/peers/0/next_hop"},
    {"announce.kernel", "/announce/kernel"},
    {"node", "/node"},
    {"node.flows", "/node/flows"},
    {"node.tunnel_source", "/node/tunnel_source"},
    {"node.decap", "/node/decap"},
    {"groups.NAME", "/groups/g"},
    {"groups.NAME.flows", "/groups/g/flows"},
    {"groups.NAME.backends[]", "/groups/g/backends/0"},
    {"services[]", "/services/0"},
    {"services[].lifetimes", "/services/1/lifetimes"},
    {"services[].route_by", "/services/1/route_by"},
    {"services[].route_by.quic-lb", "/services/1/route_by/quic-lb"},
    {"protected[]", "/protected/0"},
    {"proof", "/proof"},
    {"tests[]", "/tests/0"},
    {"tests[].sequence[]", "/tests/1/sequence/0"},
    {"tests[].expect", "/tests/0/expect"},
};
const std::map<std::string, std::string> kPlaces = {
    {"", ""},
    {"health", "health."},
    {"groups.NAME.health", "groups.g.health."},
    {"groups.NAME.health.flapping", "groups.g.health.flapping."},
    {"groups.NAME.health.checks[]", "groups.g.health.checks[0]."},
    {"groups.NAME.health.checks[].load", "groups.g.health.checks[0].load."},
    {"groups.NAME.health.checks[].tls", "groups.g.health.checks[1].tls."},
    {"groups.NAME.health.checks[].dns", "groups.g.health.checks[2].dns."},
    {"announce", "announce."},
    {"announce.bird", "announce.bird."},
    {"announce.bgp", "announce.bgp."},
    {"announce.bgp.peers[]", "announce.bgp.peers[0]."},
    {"announce.bgp.peers[].next_hop", "announce.bgp.peers[0].next_hop."},
    {"announce.kernel", "announce.kernel."},
    {"node", "node."},
    {"node.flows", "node.flows."},
    {"node.tunnel_source", "node.tunnel_source."},
    {"node.decap", "node.decap."},
    {"groups.NAME", "groups.g."},
    {"groups.NAME.flows", "groups.g.flows."},
    {"groups.NAME.backends[]", "groups.g.backends[0]."},
    {"services[]", "services[0]."},
    {"services[].lifetimes", "services[1].lifetimes."},
    {"services[].route_by", "services[1].route_by."},
    {"services[].route_by.quic-lb", "services[1].route_by.quic-lb."},
    {"protected[]", "protected[0]."},
    {"proof", "proof."},
    {"tests[]", "tests[0]."},
    {"tests[].sequence[]", "tests[1].sequence[0]."},
    {"tests[].expect", "tests[0].expect."},
};

/// Whether the parser complains about this key when it has this value.
bool parser_refuses(const std::string& path, const std::string& key, const Json& value) {
    Json document = kDocument;
    document.at(Json::json_pointer(kPointers.at(path)))[key] = value;
    const auto outcome = parse(document.dump(2), "t.json");
    const std::string place = kPlaces.at(path) + key;
    return std::any_of(outcome.errors.begin(), outcome.errors.end(),
                       [&](const Diagnostic& error) { return error.path.starts_with(place); });
}

TEST(Schema, no_key_is_known_and_then_ignored) {
    for (const KeySet& set : kConfigKeys)
        for (const std::string_view key : set.keys)
            EXPECT_TRUE(parser_refuses(std::string(set.path), std::string(key), {{"zz", {1}}}))
                << set.path << "." << key;
}

/// The part of a value's schema that is a range of numbers, or null.
Json range_of(const Json& root, const Json& value) {
    if (value.contains("$ref"))
        return range_of(root,
                        root.at(Json::json_pointer(value["$ref"].get<std::string>().substr(1))));
    if (value.contains("minimum")) return value;
    for (const char* key : {"allOf", "oneOf"})
        for (const Json& item : value.value(key, Json::array()))
            if (Json range = range_of(root, item); !range.is_null()) return range;
    return nullptr;
}

TEST(Schema, ranges_and_words_are_the_parsers) {
    std::size_t checked = 0;
    walk(sluice_schema().json, sluice_schema().json, "",
         [&](const std::string& path, const Json& node) {
             if (!kPointers.contains(path)) return;
             for (const auto& [key, value] : node["properties"].items()) {
                 if (path.empty()) continue;
                 const Json range = range_of(sluice_schema().json, value);
                 if (!range.is_null()) {
                     const auto least = range["minimum"].get<std::int64_t>();
                     const auto most = range["maximum"].get<std::int64_t>();
                     EXPECT_FALSE(parser_refuses(path, key, least)) << path << "." << key;
                     EXPECT_FALSE(parser_refuses(path, key, most)) << path << "." << key;
                     EXPECT_TRUE(parser_refuses(path, key, least - 1)) << path << "." << key;
                     EXPECT_TRUE(parser_refuses(path, key, most + 1)) << path << "." << key;
                     ++checked;
                 }
                 for (const Json& word : value.value("enum", Json::array())) {
                     // Its group is what forward: local refuses, not the word.
                     EXPECT_FALSE(parser_refuses(path, key, word)) << path << "." << key << word;
                     ++checked;
                 }
             }
         });
    EXPECT_EQ(checked, 34u + 101u);  // Ranges and words.
}

TEST(Schema, defaults_are_the_parsers) {
    const Json printed = json_of(YAML::Load(to_yaml(parse(kDocument.dump(), "t.json").config)));
    std::size_t checked = 0;
    walk(sluice_schema().json, sluice_schema().json, "",
         [&](const std::string& path, const Json& node) {
             if (!kPointers.contains(path)) return;
             for (const auto& [key, value] : node["properties"].items()) {
                 if (!value.contains("default")) continue;
                 // What `health` says is printed with each check.
                 const std::string& from =
                     kPointers.at(path == "health" ? "groups.NAME.health.checks[]" : path);
                 const Json& place = printed.at(Json::json_pointer(from));
                 EXPECT_EQ(place.at(key), value["default"]) << path << "." << key;
                 ++checked;
             }
         });
    EXPECT_EQ(checked, 57u);
}

}  // namespace
}  // namespace sluice::config
