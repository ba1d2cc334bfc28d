// SPDX-License-Identifier: Apache-2.0
#include "kernel/talker_map.h"

#include <algorithm>

#include "kernel/row_reader.h"

namespace sluice::kernel {
namespace {

TalkerKey key_of(const slc_talker& talker) {
    TalkerKey out;
    std::copy(std::begin(talker.addr_be), std::end(talker.addr_be), out.addr_be.begin());
    out.service = talker.service;
    return out;
}

void add(TalkerCount& to, const slc_talker& talker) {
    to.packets += talker.packets;
    to.bytes += talker.bytes;
    to.dropped_packets += talker.dropped_packets;
}

/// A packet may be counting while it is read: what is not there twice is no less than zero.
std::uint64_t grown(std::uint64_t before, std::uint64_t after) {
    return after - std::min(before, after);
}

slc_talker added(const slc_talker* before, const slc_talker& after) {
    slc_talker out = after;
    const bool goes_on =
        before != nullptr && key_of(*before) == key_of(after) && before->packets <= after.packets;
    if (!goes_on) return out;
    out.packets = grown(before->packets, after.packets);
    out.bytes = grown(before->bytes, after.bytes);
    out.dropped_packets = grown(before->dropped_packets, after.dropped_packets);
    return out;
}

}  // namespace

TalkerWays read_talkers(int fd) {
    TalkerWays out;
    if (fd < 0) return out;
    read_rows<slc_talker_bucket>(
        fd, 0, SLC_TALKER_BUCKETS, [&out](std::uint32_t index, const auto& of_cpus) {
            for (std::size_t cpu = 0; cpu < of_cpus.size(); ++cpu)
                for (std::size_t way = 0; way < SLC_TALKER_WAYS; ++way)
                    if (const slc_talker& talker = of_cpus[cpu].way[way]; talker.packets != 0)
                        out.push_back(
                            {(index * of_cpus.size() + cpu) * SLC_TALKER_WAYS + way, talker});
        });
    return out;
}

std::map<TalkerKey, TalkerCount> talkers_between(const TalkerWays& before,
                                                 const TalkerWays& after) {
    std::map<TalkerKey, TalkerCount> out;
    auto was = before.begin();
    for (const auto& [number, talker] : after) {
        while (was != before.end() && was->number < number) ++was;
        const bool was_used = was != before.end() && was->number == number;
        const slc_talker more = added(was_used ? &was->talker : nullptr, talker);
        if (more.packets != 0) add(out[key_of(talker)], more);
    }
    return out;
}

std::chrono::milliseconds TalkerHistory::window(Instant now) const {
    return readings_.empty() ? std::chrono::milliseconds(0) : now - readings_.front().at;
}

std::vector<TalkerHistory::Talker> TalkerHistory::top(Instant now, const TalkerWays& ways,
                                                      std::size_t limit) const {
    std::map<TalkerKey, Talker> all;
    for (const auto& [way, talker] : ways) {
        Talker& entry = all[key_of(talker)];
        entry.key = key_of(talker);
        add(entry.since_taken, talker);
    }
    if (window(now).count() > 0)
        for (const auto& [key, count] : talkers_between(readings_.front().ways, ways))
            all[key].lately = count;
    std::vector<Talker> out;
    for (auto& [key, talker] : all) out.push_back(talker);
    const auto heavier = [](const Talker& left, const Talker& right) {
        if (left.lately.packets != right.lately.packets)
            return left.lately.packets > right.lately.packets;
        return left.since_taken.packets > right.since_taken.packets;
    };
    std::stable_sort(out.begin(), out.end(), heavier);
    if (out.size() > limit) out.resize(limit);
    return out;
}

}  // namespace sluice::kernel
