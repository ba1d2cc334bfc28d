// SPDX-License-Identifier: Apache-2.0
#include "plan/destination_tables.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>

#include "plan/two_choice.h"
#include "sluice/hash.h"

namespace sluice::plan {
namespace {

constexpr std::uint32_t kMinVipSlots = 16;
constexpr std::uint32_t kMinPortBuckets = 16;
constexpr int kKeysPerSize = 16;

std::uint64_t vip_hash(const slc_vip& record, const std::array<std::uint64_t, 2>& key) {
    if ((record.flags & SLC_VIP_IP6) == 0) return slc_vip_hash4(key[0], key[1], record.addr_be[3]);
    return slc_vip_hash(key[0], key[1], record.addr_be);
}

bool place_vips(const std::vector<slc_vip>& records, std::uint32_t size, DestinationTables& out) {
    std::vector<TwoChoiceKey> keys;
    keys.reserve(records.size());
    for (const slc_vip& record : records) {
        const std::uint64_t hash = vip_hash(record, out.key);
        keys.push_back({slc_first_of(hash, size - 1), slc_second_of(hash, size - 1)});
    }
    const auto placed = place_two_choice(keys, size, 1);
    if (!placed) return false;
    out.vips.assign(size, slc_vip{});
    for (std::size_t i = 0; i < records.size(); ++i) out.vips[(*placed)[i]] = records[i];
    for (std::size_t i = 0; i < records.size(); ++i)
        if ((*placed)[i] != keys[i].first) out.vips[keys[i].first].flags |= SLC_VIP_MORE;
    return true;
}

bool place_ports(const std::vector<PortEntry>& entries, std::uint32_t buckets,
                 DestinationTables& out) {
    std::vector<TwoChoiceKey> keys;
    keys.reserve(entries.size());
    for (const PortEntry& entry : entries) {
        const std::uint64_t hash =
            slc_port_hash(out.key[0], out.key[1], entry.vip, entry.proto, htons(entry.port));
        keys.push_back({slc_first_of(hash, buckets - 1), slc_second_of(hash, buckets - 1)});
    }
    const auto placed = place_two_choice(keys, buckets, SLC_PORT_WAYS);
    if (!placed) return false;
    out.ports.assign(buckets, slc_port_bucket{});
    for (std::size_t i = 0; i < entries.size(); ++i) {
        auto& bucket = out.ports[(*placed)[i]].entry;
        auto* place = std::find_if(std::begin(bucket), std::end(bucket),
                                   [](const slc_port& port) { return port.vip == 0; });
        place->vip = entries[i].vip;
        place->port_be = htons(entries[i].port);
        place->proto = entries[i].proto;
        place->service = entries[i].service;
    }
    for (std::size_t i = 0; i < entries.size(); ++i)
        if ((*placed)[i] != keys[i].first) out.ports[keys[i].first].entry[0].more = 1;
    return true;
}

std::uint32_t power_of_two(std::size_t wanted, std::uint32_t least) {
    return std::max(least, static_cast<std::uint32_t>(std::bit_ceil(wanted)));
}

}  // namespace

DestinationTables build_destination_tables(const std::vector<slc_vip>& records,
                                           const std::vector<PortEntry>& entries,
                                           std::uint64_t seed) {
    DestinationTables out;
    for (std::uint32_t scale = 1;; scale *= 2) {
        const std::uint32_t vip_slots = power_of_two(records.size() * 4 * scale, kMinVipSlots);
        const std::uint32_t port_buckets =
            power_of_two(entries.size() * 2 * scale / SLC_PORT_WAYS, kMinPortBuckets);
        for (int attempt = 0; attempt < kKeysPerSize; ++attempt) {
            seed = slc_finish(seed, 0x243f6a8885a308d3ull) + 1;
            out.key = {seed, slc_finish(seed, 0x13198a2e03707344ull)};
            if (place_vips(records, vip_slots, out) && place_ports(entries, port_buckets, out))
                return out;
        }
    }
}

}  // namespace sluice::plan
