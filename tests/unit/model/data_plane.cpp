// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/model/data_plane.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "sluice/hash.h"

#define SLC_FLOW_ENV sluice::model::DataPlane
#define SLC_FLOW_MEMBER(env, member, family) (env)->fit(member, family)
#define SLC_FLOW_ACCOUNT(env, member) (env)->account_of(member)
#include "sluice/flow_decide.h"

namespace sluice::model {

DataPlane::DataPlane(std::vector<Service> all, std::uint32_t groups, plan::FlowGeometry geometry)
    : services(std::move(all)),
      rings(groups + 1),
      members(1),
      accounts(groups + 1),
      table(geometry) {
    set_ticks();
    for (slc_account& account : accounts) account.ceiling = geometry.entries();
}

void DataPlane::set_ticks() {
    for (Service& service : services) {
        config::Service configured;
        configured.lifetimes = service.lifetimes;
        slc_service record{};
        plan::fill_flow_fields(configured, table.geometry.shift, record);
        std::copy(std::begin(record.lifetime), std::end(record.lifetime), service.ticks.begin());
    }
}

std::uint64_t DataPlane::word(std::uint32_t group, std::uint64_t hash) const {
    const Ring& ring = rings[group];
    return ring.words[slc_slot_of(hash, ring.log2)];
}

int DataPlane::fit(std::uint32_t member, std::uint32_t group) const {
    if (member >= members.size() || members[member].group != group) return SLC_FLOW_FOREIGN;
    return members[member].down ? SLC_FLOW_DEAD : SLC_FLOW_FITS;
}

slc_account* DataPlane::account_of(std::uint32_t member) {
    if (member >= members.size() || members[member].group == 0) return nullptr;
    return &accounts[members[member].group];
}

/// As bpf/stage/pick.h and flow.h do it.
Routed DataPlane::route(const Service& service, std::uint64_t hash, slc_flow_kind kind,
                        Instant now) {
    Ring& ring = rings[service.group];
    std::uint64_t& word = ring.words[slc_slot_of(hash, ring.log2)];
    Routed out{SLC_SLOT_CURRENT(word), word, {}, false};
    ++counts.packets;
    if ((word & SLC_SLOT_MARKED) == 0 && !service.always) return out;
    out.asked = true;
    slc_flow_ask ask{};
    ask.hash = hash;
    ask.slot = word;
    ask.tick = table.tick(now);
    ask.family = service.group;
    std::copy(service.ticks.begin(), service.ticks.end(), ask.lifetime);
    ask.kind = static_cast<slc_u8>(kind);
    ask.shared = service.shared;
    ask.always = service.always;
    slc_flow_places at{};
    at.bucket = &table.buckets[slc_flow_bucket_of(hash, table.geometry.log2)];
    at.account = &accounts[service.group];
    at.pool = accounts.data();
    if (old) {
        at.old = &old->buckets[slc_flow_bucket_of(hash, old->geometry.log2)];
        at.old_tick = old->tick(now);
        at.old_coarser = old->geometry.shift - table.geometry.shift;
    }
    slc_flow_decide(&at, &ask, this, &out.answer);
    out.member = out.answer.member;
    ++counts.asked;
    counts.hits += out.answer.how == SLC_FLOW_BY_MEMORY;
    counts.inserts += out.answer.insert == SLC_FLOW_INSERTED;
    counts.refused += out.answer.insert > SLC_FLOW_INSERTED;
    counts.held += out.answer.held;
    if (out.answer.insert > SLC_FLOW_INSERTED && (ask.slot & SLC_SLOT_OPEN) != 0)
        std::atomic_ref(word).fetch_or(SLC_SLOT_REFUSED);
    return out;
}

void DataPlane::resize(plan::FlowGeometry geometry) {
    old.emplace(std::move(table));
    table = Table(geometry);
    set_ticks();
}

void DataPlane::free_entry(std::uint64_t& place) {
    slc_flow_release(this, accounts.data(), std::exchange(place, 0));
}

std::vector<std::uint64_t> DataPlane::entries_by_group() const {
    std::vector<std::uint64_t> out(accounts.size());
    const auto count = [&](const Table& in) {
        for (const slc_flow_bucket& bucket : in.buckets)
            for (const std::uint64_t entry : bucket.entry)
                if (const std::uint32_t member = SLC_FLOW_MEMBER_OF(entry))
                    ++out[members[member].group];
    };
    count(table);
    if (old) count(*old);
    return out;
}

}  // namespace sluice::model
