// SPDX-License-Identifier: Apache-2.0

/// The half of the controller that tells how full the tables of the data plane are, and who sends
/// most.

#include <fmt/format.h>

#include "base/duration.h"
#include "base/log.h"
#include "control/controller.h"
#include "kernel/flow_counts.h"
#include "kernel/map_copy.h"

namespace sluice::control {
namespace {

constexpr std::size_t kTalkersShown = 100;
constexpr const char* kClassNames[] = {"embryonic", "established", "closing", "datagram"};

std::string per_second(double rate) {
    return fmt::format("{:.1f}", rate);
}

void log_table(const observe::TableNews& news) {
    const observe::TableView& view = news.view;
    const auto full_in = view.full_in ? text_of_duration(*view.full_in) : std::string("never");
    log_event(news.relieved ? LogLevel::info : LogLevel::warning,
              news.relieved ? "table.relieved" : "table.pressure",
              {{"table", news.name},
               {"level", observe::name_of(view.level)},
               {"entries", std::to_string(news.entries)},
               {"capacity", std::to_string(news.capacity)},
               {"pressure", fmt::format("{:.3f}", view.pressure)},
               {"full_in", full_in},
               {"growth_per_s", per_second(view.growth[observe::kMiddleWindow])},
               {"refused_per_s", per_second(view.refused[observe::kShortWindow])}});
}

/// IPv4 lies in the last word, and the first three are zero.
IpAddress address_of(const kernel::TalkerKey& key) {
    const bool is_ip4 = key.addr_be[0] == 0 && key.addr_be[1] == 0 && key.addr_be[2] == 0;
    return is_ip4 ? IpAddress::from_ip4(key.addr_be[3]) : IpAddress::from_ip6(key.addr_be.data());
}

MapStatus generation_map(const char* name, bool live, std::uint64_t entries, std::uint64_t capacity,
                         std::uint64_t bytes) {
    MapStatus out;
    out.name = name;
    out.kind = live ? "live" : "generation";
    out.counted = true;
    out.entries = entries;
    out.capacity = capacity;
    out.bytes = bytes;
    return out;
}

/// Entries that a map of the generation was made with; 0 where it cannot be asked.
std::uint64_t room_of(const kernel::Generation& generation, const char* map) {
    const auto shape = kernel::shape_of(generation.map_fd(map));
    return shape ? shape->max_entries : 0;
}

}  // namespace

/// Once a second.
void Controller::watch_tables() {
    const plan::Instant at = now();
    talkers_.note(at, [this] { return kernel::read_talkers(talkers_fd()); });
    for (const auto& news : tables_.tick({*state_, *live_, sweep_}, at)) log_table(news);
}

int Controller::talkers_fd() const {
    return kernel::state_map_fd(*state_, "slc_talkers");
}

std::vector<Talker> Controller::talkers() {
    std::vector<Talker> out;
    if (!live_) return out;
    const plan::Instant at = now();
    const double window = std::chrono::duration<double>(talkers_.window(at)).count();
    const auto rate = [window](std::uint64_t count) {
        return window > 0 ? static_cast<double>(count) / window : 0;
    };
    for (const auto& found : talkers_.top(at, kernel::read_talkers(talkers_fd()), kTalkersShown)) {
        Talker talker;
        talker.source = address_of(found.key);
        talker.service = found.key.service;
        talker.packets = found.since_taken.packets;
        talker.bytes = found.since_taken.bytes;
        talker.dropped_packets = found.since_taken.dropped_packets;
        talker.packets_per_s = rate(found.lately.packets);
        talker.bytes_per_s = rate(found.lately.bytes);
        talker.dropped_per_s = rate(found.lately.dropped_packets);
        out.push_back(talker);
    }
    return out;
}

MapsStatus Controller::maps() {
    MapsStatus out;
    if (!live_) return out;
    out.maps.push_back(flow_map_status());
    fill_state_maps(out);
    fill_generation_maps(out);
    for (std::size_t i = 0; i < live_->changes->size(); ++i) {
        const auto& transition = live_->changes->ring(i);
        if (transition.settled()) continue;
        const auto& ring = live_->image.ring_list[i];
        out.changes.push_back({live_->config.groups[ring.group].name, ring.balance, 1u << ring.log2,
                               change_status(transition.counts())});
    }
    return out;
}

MapStatus Controller::flow_map_status() const {
    MapStatus out;
    const auto& totals = sweep_.totals();
    const auto& geometry = state_->flows().current().geometry;
    out.name = "slc_flows";
    out.kind = "state";
    out.entries = totals.live;
    out.capacity = geometry.entries();
    out.bytes = out.capacity * sizeof(std::uint64_t);
    out.counted = true;
    out.oldest = totals.oldest;
    out.swept = totals.ended.count() == 0 ? std::chrono::milliseconds(0) : now() - totals.ended;
    out.leaving = totals.leaving;
    out.life.emplace();
    out.life->trend = tables_.trend(out.name);
    out.life->counts_inserts = true;
    out.life->expired = totals.expired;
    out.life->ages = totals.ages;
    for (std::size_t c = 0; c < SLC_FLOW_CLASSES; ++c)
        out.classes.push_back({.name = kClassNames[c], .entries = totals.by_class[c]});
    fill_flow_groups(out);
    return out;
}

void Controller::fill_flow_groups(MapStatus& out) const {
    const auto& totals = sweep_.totals();
    const auto accounts = std::as_const(*live_->generation).accounts();
    for (std::size_t g = 0; g < live_->config.groups.size(); ++g) {
        MapStatus::Use use;
        use.name = live_->config.groups[g].name;
        if (g + 1 < totals.by_group.size())
            for (const std::uint64_t entries : totals.by_group[g + 1]) use.entries += entries;
        use.share = accounts[g + 1].share;
        use.ceiling = accounts[g + 1].ceiling;
        use.trend = tables_.trend(TableReader::group_table(use.name));
        out.groups.push_back(std::move(use));
    }
    const auto counters = state_->flow_counters();
    for (std::size_t i = 0; i < live_->config.services.size(); ++i) {
        const auto& service = live_->config.services[i];
        const std::uint32_t id = live_->image.service_ids[i];
        if (service.forward == config::Forward::local || id >= counters.size()) continue;
        MapStatus::Use& use = out.groups[service.group];
        use.hits += counters[id].hits;
        use.misses += counters[id].misses;
        use.inserts += counters[id].inserts;
        use.refused_full += counters[id].refused_full;
        use.refused_ceiling += counters[id].refused_ceiling;
        use.held += counters[id].held;
        use.ids_unknown += counters[id].ids_unknown;
    }
}

void Controller::fill_state_maps(MapsStatus& out) const {
    const plan::Image& image = live_->image;
    const std::map<std::string_view, std::uint64_t> ids = {
        {"slc_service_counters", image.highest_service + 1},
        {"slc_flow_counters", image.highest_service + 1},
        {"slc_member_counters", image.highest_member + 1},
        {"slc_customer_counters", image.highest_customer + 1},
        {"slc_policy_counters", image.highest_policy + 1}};
    for (const auto& size : state_->sizes()) {
        MapStatus entry;
        entry.name = size.name;
        entry.kind = "state";
        entry.capacity = size.entries;
        entry.bytes = size.bytes;
        if (const auto used = ids.find(size.name); used != ids.end()) {
            entry.counted = true;
            entry.entries = used->second;
        }
        if (size.name == "slc_frags") {
            const FragTotals& frags = tables_.frags();
            entry.capacity = size.entries * SLC_FRAG_WAYS;
            entry.counted = frags.counted;
            entry.entries = frags.live;
            entry.oldest = frags.oldest;
            entry.life = {tables_.trend(size.name), false, frags.expired, frags.ages,
                          frags.services};
        }
        out.maps.push_back(std::move(entry));
    }
}

/// How much is in use of what a change can take without another program.
void Controller::fill_generation_maps(MapsStatus& out) {
    const kernel::Generation& generation = *live_->generation;
    const plan::Image& image = live_->image;
    const TablesInUse& in_use = tables_.in_use(*live_);
    const std::map<std::string_view, std::uint64_t> used = {
        {"slc_vips", in_use.vips},
        {"slc_ports", in_use.ports},
        {"slc_services", live_->config.services.size()},
        {"slc_rings", image.ring_list.size()},
        {"slc_slots", generation.node().slots - generation.free_slots()},
        {"slc_members", image.members.size()},
        {"slc_templates", generation.node().templates - generation.free_cells()},
        {"slc_accounts", live_->config.groups.size() + 1}};
    for (const auto& table : generation.table_sizes())
        out.maps.push_back(generation_map(table.name.c_str(), table.live, used.at(table.name),
                                          table.records, table.bytes));
    std::uint64_t prefixes[2] = {};
    for (const auto& prefix : image.prefixes) ++prefixes[prefix.prefix.address.is_ip6 ? 1 : 0];
    const auto hashed = [&](const char* name, bool live, std::uint64_t entries, std::size_t each) {
        const std::uint64_t room = room_of(generation, name);
        out.maps.push_back(generation_map(name, live, entries, room, room * each));
    };
    constexpr std::size_t kValue = sizeof(slc_u32);
    hashed("slc_server_ids", true, image.server_ids.size(), sizeof(slc_server_id) + kValue);
    hashed("slc_prefixes4", false, prefixes[0], sizeof(slc_lpm4) + kValue);
    hashed("slc_prefixes6", false, prefixes[1], sizeof(slc_lpm6) + kValue);
    hashed("slc_port_ranges", false, image.ranges.empty() ? 0 : image.ranges.size() - 1,
           sizeof(slc_ranges));
}

}  // namespace sluice::control
