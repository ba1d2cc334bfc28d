// SPDX-License-Identifier: Apache-2.0
#include "control/table_reader.h"

#include <algorithm>
#include <atomic>
#include <ctime>

#include "kernel/flow_counts.h"

namespace sluice::control {
namespace {

/// What one tick looks at: some tenths of a millisecond each.
constexpr std::uint32_t kFragBucketsAtOnce = 4096;
constexpr std::uint32_t kCounterRowsAtOnce = 16384;  // Of all CPUs.
constexpr std::size_t kServicesShown = 16;
/// Groups are watched from this part of their ceiling on, until they fall below the other.
constexpr double kWatchedFrom = 0.5;
constexpr double kWatchedTo = 0.4;
constexpr std::size_t kGroupsWatched = 16;
constexpr std::uint32_t kStampMask = 0xfff;

/// As the data plane stamps fragments.
std::uint32_t now_stamp() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<std::uint32_t>(now.tv_sec) & kStampMask;
}

std::uint64_t load(std::uint64_t& word) {
    return std::atomic_ref(word).load(std::memory_order_relaxed);
}

}  // namespace

std::optional<observe::TableView> TableReader::trend(std::string_view table) const {
    const observe::TableView* found = watch_.find(table);
    return found == nullptr ? std::nullopt : std::optional(*found);
}

std::vector<observe::TableNews> TableReader::tick(const Scene& scene, plan::Instant now) {
    count_flows(scene.state);
    count_frags(scene);
    std::vector<observe::TableReading> readings;
    const FlowTotals& totals = scene.sweep.totals();
    if (totals.ended.count() != 0 && flows_.counted) {
        readings.push_back({.name = "slc_flows",
                            .entries = totals.live,
                            .capacity = scene.state.flows().current().geometry.entries(),
                            .inserts = flows_.inserts,
                            .refused = flows_.refused,
                            .expired = scene.sweep.freed().expired,
                            .evicted = scene.sweep.freed().evicted});
        read_groups(scene, readings);
    }
    if (frags_.counted)
        readings.push_back({.name = "slc_frags",
                            .entries = frags_.live,
                            .capacity = std::uint64_t{scene.state.frag_buckets()} * SLC_FRAG_WAYS});
    return watch_.feed(now, readings);
}

/// Near its ceiling, or not yet told to be relieved.
bool TableReader::stays_watched(const std::string& group, double part) const {
    const observe::TableView* known = watch_.find(group_table(group));
    return part >= kWatchedTo || (known != nullptr && known->level != observe::TableLevel::none);
}

/// What a group uses of its ceiling. From memory, 64 bytes a group.
void TableReader::read_groups(const Scene& scene, std::vector<observe::TableReading>& to) {
    const auto accounts = scene.live.generation->accounts();
    std::vector<observe::TableReading> near;
    for (std::size_t g = 0; g < scene.live.config.groups.size() && g + 1 < accounts.size(); ++g) {
        const slc_account& account = accounts[g + 1];
        const std::uint64_t used = load(const_cast<slc_account&>(account).used);
        const double part = account.ceiling == 0
                                ? 0
                                : static_cast<double>(used) / static_cast<double>(account.ceiling);
        const std::string& group = scene.live.config.groups[g].name;
        if (part < kWatchedFrom && !(groups_.contains(group) && stays_watched(group, part)))
            continue;
        near.push_back({.name = group_table(group), .entries = used, .capacity = account.ceiling});
    }
    // Those that are watched already stay: what is known of them is not thrown away.
    std::stable_partition(near.begin(), near.end(), [this](const auto& each) {
        return groups_.contains(each.name.substr(group_table({}).size()));
    });
    if (near.size() > kGroupsWatched) near.resize(kGroupsWatched);
    groups_.clear();
    for (auto& each : near) {
        groups_.insert(each.name.substr(group_table({}).size()));
        to.push_back(std::move(each));
    }
}

void TableReader::count_flows(const kernel::StateMaps& state) {
    const auto slice = kernel::sum_flow_counts(state, flows_at_, kCounterRowsAtOnce);
    flows_pass_.inserts += slice.sum.inserts;
    flows_pass_.refused += slice.sum.refused_full + slice.sum.refused_ceiling + slice.sum.held;
    flows_at_ = slice.next;
    if (!slice.done) return;
    flows_pass_.counted = true;
    flows_ = std::exchange(flows_pass_, {});
    flows_at_ = 0;
}

void TableReader::count_frags(const Scene& scene) {
    const std::uint32_t buckets = scene.state.frag_buckets();
    const std::size_t size = std::size_t{buckets} * sizeof(slc_frag_bucket);
    if (frag_memory_.size() != size) {
        auto mapped = kernel::MappedValue::map(kernel::state_map_fd(scene.state, "slc_frags"), size,
                                               "slc_frags");
        if (!mapped) return;  // Not counted, then: `counted` says so.
        frag_memory_ = std::move(*mapped);
        frags_at_ = 0;
    }
    const std::uint32_t stamp = now_stamp();
    const std::uint32_t end = std::min(frags_at_ + kFragBucketsAtOnce, buckets);
    const auto all = frag_memory_.records<slc_frag_bucket>(0, buckets);
    for (const slc_frag_bucket& bucket : all.subspan(frags_at_, end - frags_at_)) {
        for (const slc_frag& entry : bucket.entry) {
            if (entry.tag == 0) continue;
            const std::chrono::seconds age{(stamp - (entry.member_stamp >> 20)) & kStampMask};
            if (age > std::chrono::seconds(SLC_FRAG_LIFETIME_S)) {
                ++frags_pass_.expired;
                continue;
            }
            ++frags_pass_.live;
            ++frags_pass_.ages[age_class(age)];
            frags_pass_.oldest = std::max(frags_pass_.oldest, age);
            ++frag_services_[entry.service];
        }
    }
    frags_at_ = end;
    if (frags_at_ == buckets) finish_frags(scene.live);
}

void TableReader::finish_frags(const Loaded& live) {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> most;
    for (const auto& [service, entries] : frag_services_) most.emplace_back(entries, service);
    std::sort(most.begin(), most.end(), std::greater<>());
    if (most.size() > kServicesShown) most.resize(kServicesShown);
    for (const auto& [entries, id] : most)
        for (std::size_t i = 0; i < live.image.service_ids.size(); ++i)
            if (live.image.service_ids[i] == id)
                frags_pass_.services.push_back({live.config.services[i].name, entries});
    frags_pass_.counted = true;
    frags_ = std::exchange(frags_pass_, {});
    frag_services_.clear();
    frags_at_ = 0;
}

const TablesInUse& TableReader::in_use(const Loaded& live) {
    if (in_use_ && in_use_of_ == live.pinned) return *in_use_;
    in_use_.emplace();
    in_use_of_ = live.pinned;
    for (const slc_vip& vip : live.image.vips) in_use_->vips += (vip.flags & SLC_VIP_USED) != 0;
    for (const slc_port_bucket& bucket : live.image.ports)
        for (const slc_port& port : bucket.entry) in_use_->ports += port.vip != 0;
    return *in_use_;
}

}  // namespace sluice::control
