// SPDX-License-Identifier: Apache-2.0
#include "plan/meta.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/version.h"
#include "config/parse.h"
#include "config/print.h"
#include "plan/fallback.h"
#include "plan/flow_plan.h"

namespace sluice::plan {
namespace {

using config::Config;
using Json = nlohmann::json;

constexpr std::array kXdpModes = {config::XdpMode::automatic, config::XdpMode::native,
                                  config::XdpMode::generic};
constexpr std::array kBalances = {config::Balance::maglev, config::Balance::rendezvous};
constexpr std::array kOnDowns = {config::OnDown::replace, config::OnDown::keep};
constexpr std::array kForwards = {config::Forward::ipip, config::Forward::gre, config::Forward::gue,
                                  config::Forward::l2, config::Forward::local};

// ---- to JSON ----

std::string text_of(const std::optional<IpPrefix>& prefix) {
    return prefix ? prefix->text() : std::string();
}

template <typename Item>
Json texts_of(const std::vector<Item>& items) {
    Json out = Json::array();
    for (const Item& item : items) out.push_back(item.text());
    return out;
}

Json encode_node(const Config& config, const Image& image) {
    const config::Node& node = config.node;
    const bool waits = flow_geometry(config).log2 != image.node.flow_log2;
    Json out = {{"name", node.name},
                {"interfaces", node.interfaces},
                {"xdp_mode", config::name_of(node.xdp_mode)},
                {"tunnel_source4", text_of(node.tunnel_source4)},
                {"tunnel_source6", text_of(node.tunnel_source6)},
                {"ring_secret_file", node.ring_secret_file},
                {"next", node.next},
                {"keep_generations", node.keep_generations},
                {"flow_entries", waits ? node.flow_entries : 0}};
    if (node.decap)
        out["decap"] = {{"from", texts_of(node.decap->from)},
                        {"addresses", texts_of(node.decap->addresses)}};
    return out;
}

Json encode_services(const MetaSource& source) {
    Json out = Json::array();
    for (std::size_t i = 0; i < source.config.services.size(); ++i) {
        const config::Service& service = source.config.services[i];
        const config::Lifetimes& lifetimes = service.lifetimes;
        Json item = {{"id", source.image.service_ids[i]},
                     {"name", service.name},
                     {"balance", config::name_of(service.balance)}};
        if (!service.customer.empty()) item["own_customer"] = true;
        if (!service.policy.empty()) item["own_policy"] = true;
        if (!service.announce) item["unannounced"] = true;
        if (lifetimes != config::Lifetimes{})
            item["lifetimes"] = {lifetimes.embryonic.count(), lifetimes.established.count(),
                                 lifetimes.closing.count(), lifetimes.udp.count()};
        out.push_back(std::move(item));
    }
    return out;
}

// ---- how backends are watched and VIPs announced, in the words of a configuration ----

/// A group's name in that text, where groups of services need one too.
std::string watched_name(std::size_t group) {
    return "g" + std::to_string(group);
}

/// The part of a configuration that is about nothing else; empty where there is none. Tables need
/// none of it, and it has a text already.
std::string watch_text(const Config& config) {
    const Fallbacks fallbacks(config);
    std::vector<bool> is_told(config.groups.size());
    for (std::size_t g = 0; g < config.groups.size(); ++g) {
        if (config.groups[g].health == config::Health{}) continue;
        is_told[g] = true;
        if (const auto next = fallbacks.next_of(g)) is_told[*next] = true;
    }
    Config out;
    out.node.name = config.node.name;
    out.announce = config.announce;
    for (std::size_t g = 0; g < config.groups.size(); ++g) {
        if (!is_told[g]) continue;
        config::Group& group = out.groups.emplace_back();
        group.name = watched_name(g);
        group.health = config.groups[g].health;
        if (const auto next = fallbacks.next_of(g)) group.health.fallback = watched_name(*next);
    }
    return out.groups.empty() && !out.announce ? std::string() : config::to_yaml(out);
}

std::string hex_of(const config::ServerId& id) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (std::size_t i = 0; i < id.len; ++i) {
        out += kDigits[id.bytes[i] >> 4];
        out += kDigits[id.bytes[i] & 15];
    }
    return out;
}

Json encode_groups(const Config& config, const Image& image) {
    std::vector<std::vector<std::uint32_t>> ids(config.groups.size());
    for (std::size_t g = 0; g < config.groups.size(); ++g)
        ids[g].resize(config.groups[g].backends.size());
    for (const ImageMember& member : image.members)
        if (member.backend != kRetired) ids[member.group][member.backend] = member.id;
    std::unordered_set<std::uint32_t> in_tables;
    for (const ImageServerId& id : image.server_ids) in_tables.insert(id.member);
    Json out = Json::array();
    for (std::size_t g = 0; g < config.groups.size(); ++g) {
        const config::Group& group = config.groups[g];
        Json item = {{"name", group.name}, {"balance", config::name_of(group.balance)}};
        if (group.anonymous) item["anonymous"] = true;
        if (group.on_down != config::OnDown::replace)
            item["on_down"] = config::name_of(group.on_down);
        if (group.deadline.count() != 0) item["deadline"] = group.deadline.count();
        const bool ascending = std::is_sorted(
            group.backends.begin(), group.backends.end(),
            [](const auto& left, const auto& right) { return left.address < right.address; });
        if (!ascending) item["order"] = ids[g];
        for (std::size_t b = 0; b < group.backends.size(); ++b)
            if (const auto& id = group.backends[b].server_id; id && !in_tables.contains(ids[g][b]))
                item["server_ids"].push_back({ids[g][b], hex_of(*id)});
        out.push_back(std::move(item));
    }
    return out;
}

/// Of the names in use; the store also knows those of before.
Json encode_names(const IdSpace& space) {
    Json out = Json::array();
    for (const auto& [name, id] : space.names()) out.push_back({id, name});
    return out;
}

Json encode_packet(const config::TestPacket& packet) {
    const config::Expectation& expect = packet.expect;
    Json out = Json::object();
    if (packet.after.count() != 0) out["after_ms"] = packet.after.count();
    if (!packet.packet.empty()) out["packet"] = packet.packet;
    if (!packet.pcap.empty()) out["pcap"] = packet.pcap;
    if (packet.frame != 0) out["frame"] = packet.frame;
    if (expect.verdict != config::Expectation::Verdict::any)
        out["verdict"] = static_cast<int>(expect.verdict);
    if (!expect.reason.empty()) out["reason"] = expect.reason;
    if (!expect.service.empty()) out["service"] = expect.service;
    if (expect.backend) out["backend"] = expect.backend->text();
    if (expect.same_backend) out["same_backend"] = true;
    if (expect.encapsulation) out["encapsulation"] = config::name_of(*expect.encapsulation);
    return out;
}

Json encode_tests(const std::vector<config::Test>& tests) {
    Json out = Json::array();
    for (const config::Test& test : tests) {
        Json packets = Json::array();
        for (const auto& packet : test.packets) packets.push_back(encode_packet(packet));
        out.push_back({{"name", test.name}, {"packets", std::move(packets)}});
    }
    return out;
}

// ---- from JSON ----

/// Takes values out of a document; the first one that is not what it should be is the fault of all.
class Decoder {
 public:
    Result<Meta> run(const Json& document) {
        Meta out;
        out.abi = number<std::uint32_t>(document, "abi");
        out.sluice = text(document, "sluice");
        out.generation = number<std::uint32_t>(document, "generation");
        out.digest = text(document, "digest");
        out.built_at = std::chrono::system_clock::time_point(
            std::chrono::seconds(number<std::int64_t>(document, "built_at", kLatest)));
        for (const auto& [name, digest] : object(document, "code").items())
            out.code.emplace(name, string_in(digest, name.c_str()));
        decode_node(object(document, "node"), out);
        for (const Json& item : list(document, "services"))
            out.services.push_back(service_in(item));
        for (const Json& item : list(document, "groups")) out.groups.push_back(group_in(item));
        out.customers = names_in(document, "customers");
        out.policies = names_in(document, "policies");
        if (const Json* moved = find(document, "max_moved")) {
            if (!moved->is_number()) fault("max_moved");
            out.proof.max_moved = moved->is_number() ? moved->get<double>() : 0;
        }
        for (const Json& item : list(document, "tests")) out.tests.push_back(test_in(item));
        if (find(document, "watch") != nullptr) decode_watch(text(document, "watch"), out);
        if (!fault_.empty())
            return fail(Errc::invalid, "meta: " + fault_ + " is not as sluiced writes it");
        return out;
    }

 private:
    static constexpr std::int64_t kLatest = std::int64_t{1} << 33;  // the year 2242, in seconds

    void fault(const char* key) {
        if (fault_.empty()) fault_ = key;
    }

    static const Json* find(const Json& of, const char* key) {
        if (!of.is_object()) return nullptr;
        const auto found = of.find(key);
        return found == of.end() ? nullptr : &*found;
    }

    template <typename T>
    T number_in(const Json* value, const char* key, T most = std::numeric_limits<T>::max()) {
        const bool good = value != nullptr && value->is_number_unsigned() &&
                          value->get<std::uint64_t>() <= static_cast<std::uint64_t>(most);
        if (!good) fault(key);
        return good ? static_cast<T>(value->get<std::uint64_t>()) : T{};
    }

    template <typename T>
    T number(const Json& of, const char* key, T most = std::numeric_limits<T>::max()) {
        return number_in<T>(find(of, key), key, most);
    }

    /// Zero when it is absent.
    template <typename T>
    T optional_number(const Json& of, const char* key, T most = std::numeric_limits<T>::max()) {
        return find(of, key) == nullptr ? T{} : number<T>(of, key, most);
    }

    std::string string_in(const Json& value, const char* key) {
        if (!value.is_string()) fault(key);
        return value.is_string() ? value.get<std::string>() : std::string();
    }

    std::string text(const Json& of, const char* key) {
        const Json* value = find(of, key);
        if (value == nullptr) fault(key);
        return value == nullptr ? std::string() : string_in(*value, key);
    }

    std::string optional_text(const Json& of, const char* key) {
        return find(of, key) == nullptr ? std::string() : text(of, key);
    }

    bool flag(const Json& of, const char* key) {
        const Json* value = find(of, key);
        if (value != nullptr && !value->is_boolean()) fault(key);
        return value != nullptr && value->is_boolean() && value->get<bool>();
    }

    const Json& list(const Json& of, const char* key) {
        static const Json kEmpty = Json::array();
        const Json* value = find(of, key);
        if (value == nullptr || !value->is_array()) fault(key);
        return value == nullptr || !value->is_array() ? kEmpty : *value;
    }

    const Json& object(const Json& of, const char* key) {
        static const Json kEmpty = Json::object();
        const Json* value = find(of, key);
        if (value == nullptr || !value->is_object()) fault(key);
        return value == nullptr || !value->is_object() ? kEmpty : *value;
    }

    template <typename Enum, std::size_t Size>
    Enum word(const Json& of, const char* key, const std::array<Enum, Size>& values) {
        const std::string name = text(of, key);
        for (const Enum value : values)
            if (name == config::name_of(value)) return value;
        fault(key);
        return values.front();
    }

    std::optional<IpPrefix> prefix(const Json& of, const char* key) {
        const std::string name = text(of, key);
        if (name.empty()) return std::nullopt;
        const auto out = IpPrefix::parse(name);
        if (!out) fault(key);
        return out;
    }

    void decode_node(const Json& node, Meta& out) {
        config::Node& to = out.node;
        to.name = text(node, "name");
        for (const Json& item : list(node, "interfaces"))
            to.interfaces.push_back(string_in(item, "interfaces"));
        to.xdp_mode = word(node, "xdp_mode", kXdpModes);
        to.tunnel_source4 = prefix(node, "tunnel_source4");
        to.tunnel_source6 = prefix(node, "tunnel_source6");
        to.ring_secret_file = text(node, "ring_secret_file");
        to.next = text(node, "next");
        to.keep_generations = number<std::uint32_t>(node, "keep_generations");
        to.flow_entries = number<std::uint32_t>(node, "flow_entries");
        const Json* decap = find(node, "decap");
        if (decap == nullptr) return;
        to.decap.emplace();
        for (const Json& item : list(*decap, "from"))
            to.decap->from.push_back(IpPrefix::parse(string_in(item, "from")).value_or(IpPrefix{}));
        for (const Json& item : list(*decap, "addresses"))
            to.decap->addresses.push_back(
                IpAddress::parse(string_in(item, "addresses")).value_or(IpAddress{}));
        out.decap_addresses = !to.decap->addresses.empty();
    }

    MetaService service_in(const Json& item) {
        MetaService out;
        out.id = number<std::uint32_t>(item, "id");
        out.name = text(item, "name");
        out.balance = word(item, "balance", kBalances);
        out.own_customer = flag(item, "own_customer");
        out.own_policy = flag(item, "own_policy");
        out.announce = !flag(item, "unannounced");
        const Json* lifetimes = find(item, "lifetimes");
        if (lifetimes == nullptr) return out;
        if (!lifetimes->is_array() || lifetimes->size() != SLC_FLOW_CLASSES) {
            fault("lifetimes");
            return out;
        }
        const auto seconds = [&](std::size_t at) {
            return std::chrono::seconds(
                number_in<std::int64_t>(&(*lifetimes)[at], "lifetimes", SLC_MAX_LIFETIME_S));
        };
        out.lifetimes = {seconds(0), seconds(1), seconds(2), seconds(3)};
        return out;
    }

    MetaGroup group_in(const Json& item) {
        MetaGroup out;
        out.name = text(item, "name");
        out.balance = word(item, "balance", kBalances);
        out.anonymous = flag(item, "anonymous");
        if (find(item, "on_down") != nullptr) out.on_down = word(item, "on_down", kOnDowns);
        out.deadline = std::chrono::seconds(
            optional_number<std::int64_t>(item, "deadline", SLC_MAX_DEADLINE_S));
        if (find(item, "order") != nullptr)
            for (const Json& id : list(item, "order"))
                out.order.push_back(number_in<std::uint32_t>(&id, "order"));
        if (find(item, "server_ids") == nullptr) return out;
        for (const Json& pair : list(item, "server_ids")) {
            if (!pair.is_array() || pair.size() != 2) {
                fault("server_ids");
                return out;
            }
            out.server_ids.emplace(number_in<std::uint32_t>(&pair[0], "server_ids"),
                                   server_id_in(string_in(pair[1], "server_ids")));
        }
        return out;
    }

    /// What watch_text() made.
    void decode_watch(const std::string& text, Meta& out) {
        auto read = config::parse(text, "meta");
        if (!read.ok()) return fault("watch");
        out.announce = std::move(read.config.announce);
        std::map<std::string, std::size_t> numbers;
        for (std::size_t g = 0; g < out.groups.size(); ++g) numbers.emplace(watched_name(g), g);
        for (config::Group& group : read.config.groups) {
            const auto found = numbers.find(group.name);
            if (found == numbers.end()) return fault("watch");
            config::Health& health = out.groups[found->second].health;
            health = std::move(group.health);
            if (health.when_none != config::WhenNone::fallback) continue;
            const auto other = numbers.find(health.fallback);
            if (other == numbers.end()) return fault("watch");
            health.fallback = out.groups[other->second].name;
        }
    }

    config::ServerId server_id_in(const std::string& hex) {
        config::ServerId out;
        if (hex.empty() || hex.size() % 2 != 0 || hex.size() / 2 > out.bytes.size() ||
            hex.find_first_not_of("0123456789abcdef") != std::string::npos) {
            fault("server_ids");
            return out;
        }
        const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
        for (std::size_t i = 0; i < hex.size(); i += 2)
            out.bytes[out.len++] =
                static_cast<std::uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1]));
        return out;
    }

    std::map<std::uint32_t, std::string> names_in(const Json& of, const char* key) {
        std::map<std::uint32_t, std::string> out;
        for (const Json& pair : list(of, key)) {
            if (!pair.is_array() || pair.size() != 2) {
                fault(key);
                return out;
            }
            out.emplace(number_in<std::uint32_t>(&pair[0], key), string_in(pair[1], key));
        }
        return out;
    }

    config::Test test_in(const Json& item) {
        config::Test out;
        out.name = text(item, "name");
        for (const Json& packet : list(item, "packets")) out.packets.push_back(packet_in(packet));
        return out;
    }

    config::TestPacket packet_in(const Json& item) {
        using Verdict = config::Expectation::Verdict;
        config::TestPacket out;
        out.after = std::chrono::milliseconds(optional_number<std::int64_t>(item, "after_ms"));
        out.packet = optional_text(item, "packet");
        out.pcap = optional_text(item, "pcap");
        out.frame = optional_number<std::uint32_t>(item, "frame");
        out.expect.verdict = static_cast<Verdict>(
            optional_number<int>(item, "verdict", static_cast<int>(Verdict::forward)));
        out.expect.reason = optional_text(item, "reason");
        out.expect.service = optional_text(item, "service");
        if (find(item, "backend") != nullptr) {
            out.expect.backend = IpAddress::parse(text(item, "backend"));
            if (!out.expect.backend) fault("backend");
        }
        out.expect.same_backend = flag(item, "same_backend");
        if (find(item, "encapsulation") != nullptr)
            out.expect.encapsulation = word(item, "encapsulation", kForwards);
        return out;
    }

    std::string fault_;
};

}  // namespace

std::string to_meta(const MetaSource& source) {
    const auto built_at =
        std::chrono::duration_cast<std::chrono::seconds>(source.built_at.time_since_epoch());
    Json out = {{"format", kMetaFormat},
                {"abi", SLC_ABI_VERSION},
                {"sluice", version()},
                {"generation", source.generation},
                {"digest", source.digest},
                {"built_at", static_cast<std::uint64_t>(built_at.count())},
                {"code", source.code},
                {"node", encode_node(source.config, source.image)},
                {"services", encode_services(source)},
                {"groups", encode_groups(source.config, source.image)},
                {"customers", encode_names(source.ids.customers)},
                {"policies", encode_names(source.ids.policies)},
                {"tests", encode_tests(source.config.tests)}};
    if (std::string watch = watch_text(source.config); !watch.empty())
        out["watch"] = std::move(watch);
    if (source.config.proof.max_moved) out["max_moved"] = *source.config.proof.max_moved;
    // Texts come from a validated configuration; should one not be UTF-8, it must not throw.
    return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Meta> parse_meta(std::string_view text) {
    const Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object() || !document.contains("format") ||
        !document["format"].is_number_unsigned())
        return fail(Errc::invalid, "meta: not what sluiced writes beside its tables");
    const auto format = document["format"].get<std::uint64_t>();
    if (format == 0 || format > kMetaFormat) {
        const auto writer = document.find("sluice");
        const bool known = writer != document.end() && writer->is_string();
        return fail(Errc::unsupported,
                    "meta: format " + std::to_string(format) + ", written by " +
                        (known ? "sluice " + writer->get<std::string>() : "another version") +
                        "; this one, " + version() + ", reads up to " + std::to_string(kMetaFormat),
                    "use the version that wrote it, or apply the configuration again");
    }
    return Decoder().run(document);
}

}  // namespace sluice::plan
