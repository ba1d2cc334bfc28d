// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_top.h"

namespace sluice::test {
namespace {

using namespace control;

constexpr std::chrono::seconds kBegan{5000};
constexpr int kCrowd = 40;

void add(slc_counter& to, std::uint64_t packets, std::uint64_t len) {
    to.packets += packets;
    to.bytes += packets * len;
}

void grow_table(MapStatus& map) {
    if (!map.life || !map.life->trend) return;
    map.life->counts_inserts = true;
    auto& trend = *map.life->trend;
    trend.level = observe::TableLevel::filling;
    trend.growth = {5, 4.7, 1.25};
    trend.inserts = {12, 11, 3};
    trend.refused = {0.5, 0.1, 0};
    trend.expired = {7, 6.3, 1.75};
    map.life->expired = 21;
    map.life->ages = {10, 90, 400, 100, 0, 0};
}

}  // namespace

void move_on(MetricsSource& source, std::uint64_t seconds, bool crowded) {
    source.at = kBegan + std::chrono::seconds(seconds);
    if (source.services.size() < 2 || source.interfaces.empty()) return;
    const auto forwarded =
        std::size_t{SLC_REASON_FORWARDED} * SLC_FAMPROTO_COUNT + SLC_FAMPROTO_IP4_TCP;
    const auto no_port =
        std::size_t{SLC_REASON_NO_SUCH_PORT} * SLC_FAMPROTO_COUNT + SLC_FAMPROTO_IP4_TCP;
    add(source.reasons[forwarded], 1500 * seconds, 1000);
    add(source.reasons[no_port], 30 * seconds, 60);
    source.services[0].counts.packets += 1200 * seconds;
    source.services[0].counts.bytes += 1'200'000 * seconds;
    source.services[1].counts.packets += 330 * seconds;
    source.services[1].counts.bytes += 330'000 * seconds;
    source.services[1].counts.dropped_packets += 30 * seconds;
    add(source.backends[0].counts, 1500 * seconds, 1000);
    add(source.interfaces[0].counts->sent, 1500 * seconds, 1000);
    add(source.interfaces[0].counts->dropped, 30 * seconds, 60);
    for (MapStatus& map : source.maps.maps) grow_table(map);
    for (int i = 1; crowded && i <= kCrowd; ++i) {
        BackendMetrics backend;
        backend.address = IpAddress::parse("10.0.1." + std::to_string(i)).value();
        backend.weight = 1;
        backend.up = true;
        backend.counts = {seconds * static_cast<std::uint64_t>(i), 0};
        source.backends.push_back(backend);
    }
}

std::vector<Talker> fake_talkers() {
    Talker heavy;
    heavy.source = IpAddress::parse("198.51.100.7").value();
    heavy.service = 1;
    heavy.packets = 2'048'000;
    heavy.bytes = 2'048'000'000;
    heavy.packets_per_s = 900;
    heavy.bytes_per_s = 900'000;
    Talker other = heavy;
    other.source = IpAddress::parse("2001:db8:5::9").value();
    other.service = 0;
    other.packets = 4096;
    other.packets_per_s = 40.25;
    other.bytes_per_s = 2415;
    other.dropped_per_s = 30;
    return {heavy, other};
}

}  // namespace sluice::test
