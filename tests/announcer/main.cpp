// SPDX-License-Identifier: Apache-2.0

/// usage: announcer SETTINGS
///
/// Announces what lines of standard input want, and prints what became of it, both as JSON:
///   < {"want": {"192.0.2.1/32": "announce"}}
///   < {"change": {"192.0.2.1/32": "withdraw"}}    the others as before
///   < {"configure": SETTINGS}
///   > {"ways": {"bird": {"state": "up", "is_up": true, ...}},
///   >  "prefixes": {"192.0.2.1/32": {"state": "announced", "why": "", "by_way": [...]}}}
/// At the end of the input it ends as the daemon would.

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "announce/announcer.h"
#include "tests/announcer/settings.h"

namespace {

using nlohmann::json;
using sluice::announce::AnnounceReport;

json json_of(const AnnounceReport& report) {
    json ways = json::object();
    for (const auto& way : report.ways)
        ways[way.name] = {{"state", way.state},
                          {"is_up", way.is_up},
                          {"last_error", way.last_error},
                          {"resets", way.resets}};
    json prefixes = json::object();
    for (const auto& status : report.prefixes) {
        json by_way = json::array();
        for (const auto& one : status.by_way) by_way.push_back(name_of(one.state));
        prefixes[status.prefix.text()] = {{"state", name_of(status.report.state)},
                                          {"why", status.report.why},
                                          {"by_way", by_way}};
    }
    return {{"ways", ways}, {"prefixes", prefixes}};
}

int run(const json& settings) {
    auto announcer = sluice::announce::Announcer::start(
        sluice::announcer::settings_from(settings), nullptr,
        [](const AnnounceReport& report) { std::cout << json_of(report).dump() << std::endl; });
    if (!announcer) {
        std::cerr << "error: " << announcer.error().what << "\n";
        return 1;
    }
    std::string line;
    sluice::announce::PrefixWishes wishes;
    while (std::getline(std::cin, line)) {
        const json order = json::parse(line);
        if (order.contains("configure"))
            (*announcer)->configure(sluice::announcer::settings_from(order.at("configure")));
        if (order.contains("want")) wishes = sluice::announcer::wishes_from(order.at("want"));
        if (order.contains("change"))
            for (const auto& [prefix, wish] : sluice::announcer::wishes_from(order.at("change")))
                wishes[prefix] = wish;
        if (order.contains("want") || order.contains("change")) (*announcer)->want(wishes);
    }
    return 0;
}

}  // namespace

int main(int count, char** words) {
    if (count != 2) {
        std::cerr << "usage: announcer SETTINGS\n";
        return 64;
    }
    try {
        return run(json::parse(words[1]));
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << "\n";
        return 1;
    }
}
