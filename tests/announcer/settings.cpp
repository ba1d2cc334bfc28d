// SPDX-License-Identifier: Apache-2.0
#include "tests/announcer/settings.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

namespace sluice::announcer {
namespace {

using nlohmann::json;

IpAddress address_from(const json& text) {
    const auto address = IpAddress::parse(text.get<std::string>());
    if (!address) throw std::runtime_error("no address: " + text.dump());
    return *address;
}

std::optional<IpAddress> address_at(const json& object, const char* key) {
    if (!object.contains(key)) return std::nullopt;
    return address_from(object.at(key));
}

config::BgpCommunity community_from(const std::string& text) {
    config::BgpCommunity out;
    std::istringstream in(text);
    std::string part;
    std::size_t count = 0;
    while (std::getline(in, part, ':'))
        out.values[count++] = static_cast<std::uint32_t>(std::stoul(part));
    out.is_large = count == 3;
    return out;
}

config::BgpPeer peer_from(const json& document) {
    config::BgpPeer out;
    out.address = address_from(document.at("address"));
    out.port = document.value("port", out.port);
    out.as = document.at("as").get<std::uint32_t>();
    out.source = address_at(document, "source");
    out.password_file = document.value("password_file", "");
    out.ttl_security = document.value("ttl_security", false);
    out.hold_time = std::chrono::seconds(document.value("hold_time", 9));
    out.retry = std::chrono::seconds(document.value("retry", 5));
    out.next_hop4 = address_at(document, "next_hop4");
    out.next_hop6 = address_at(document, "next_hop6");
    return out;
}

config::AnnounceBgp bgp_from(const json& document) {
    config::AnnounceBgp out;
    out.as = document.at("as").get<std::uint32_t>();
    out.router_id = document.value("router_id", 0U);
    for (const json& peer : document.at("peers")) out.peers.push_back(peer_from(peer));
    for (const std::string text : document.value("communities", json::array()))
        out.communities.push_back(community_from(text));
    if (document.contains("med")) out.med = document.at("med").get<std::uint32_t>();
    if (document.contains("local_preference"))
        out.local_preference = document.at("local_preference").get<std::uint32_t>();
    out.prepend = document.value("prepend", 0U);
    return out;
}

}  // namespace

config::Announce settings_from(const json& document) {
    config::Announce out;
    if (document.contains("bird")) {
        out.bird.emplace();
        out.bird->socket = document.at("bird").at("socket");
        out.bird->include = document.at("bird").at("include");
    }
    if (document.contains("bgp")) out.bgp = bgp_from(document.at("bgp"));
    if (document.value("on_daemon_exit", "withdraw") == "keep")
        out.on_daemon_exit = config::OnExit::keep;
    return out;
}

announce::PrefixWishes wishes_from(const json& document) {
    announce::PrefixWishes out;
    for (const auto& [text, wish] : document.items()) {
        const auto prefix = IpPrefix::parse(text);
        if (!prefix) throw std::runtime_error("no prefix: " + text);
        out[*prefix] = wish == "announce" ? announce::Wish::announce
                       : wish == "drain"  ? announce::Wish::drain
                                          : announce::Wish::withdraw;
    }
    return out;
}

}  // namespace sluice::announcer
