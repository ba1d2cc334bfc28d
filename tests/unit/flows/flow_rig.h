// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A world of its own for the flow table (abi/sluice/flow_decide.h): members, groups, accounts, one
/// or two tables, and a clock that only moves when a test says so. Included by every test here; it
/// defines what flow_decide.h asks of its includer.

#include <cstdint>
#include <functional>
#include <map>
#include <ostream>
#include <utility>
#include <vector>

#include "sluice/flow.h"

namespace sluice::test {

/// What the table's functions ask the outside: who a member is, and whose account it is on.
struct World {
    struct Member {
        slc_u32 group = 1;
        bool down = false;
        slc_u32 family = 0;  ///< 0: the group alone.
    };
    std::map<slc_u32, Member> members;
    std::vector<slc_account> accounts;  ///< [0] is the pool.
    /// What another CPU does while a packet looks at an entry; once.
    std::function<void()> meanwhile;

    [[nodiscard]] int fit(slc_u32 member, slc_u32 family) {
        if (meanwhile) std::exchange(meanwhile, nullptr)();
        const auto it = members.find(member);
        if (it == members.end() || SLC_FAMILY_OF(it->second) != family) return SLC_FLOW_FOREIGN;
        return it->second.down ? SLC_FLOW_DEAD : SLC_FLOW_FITS;
    }
    slc_account* account_of(slc_u32 member) {
        const auto it = members.find(member);
        return it == members.end() ? nullptr : &accounts[it->second.group];
    }
};

}  // namespace sluice::test

#define SLC_FLOW_ENV sluice::test::World
#define SLC_FLOW_MEMBER(env, member, family) (env)->fit(member, family)
#define SLC_FLOW_ACCOUNT(env, member) (env)->account_of(member)
#include "sluice/flow_decide.h"

namespace sluice::test {

/// Lifetimes in ticks, all different, so that a wrong one shows.
inline constexpr slc_u8 kEmbryonic = 20;
inline constexpr slc_u8 kEstablished = 200;
inline constexpr slc_u8 kClosing = 30;
inline constexpr slc_u8 kDatagram = 16;
inline constexpr slc_u8 kLifetimes[SLC_FLOW_CLASSES] = {kEmbryonic, kEstablished, kClosing,
                                                        kDatagram};

/// Members 1 to 6 are of group 1, 7 is of group 2.
inline constexpr slc_u32 kOld = 1;      ///< `previous` of the slots that tests open.
inline constexpr slc_u32 kNew = 2;      ///< Their `current`.
inline constexpr slc_u32 kAnother = 3;  ///< Where remembered flows of tests go.
inline constexpr slc_u32 kForeign = 7;
inline constexpr slc_u64 kMuch = 1'000'000;

inline constexpr slc_u64 kUnmarked = SLC_SLOT_MAKE(kNew, kOld, 0);
inline constexpr slc_u64 kMarked = SLC_SLOT_MAKE(kNew, kOld, SLC_SLOT_MARKED);
inline constexpr slc_u64 kOpen = SLC_SLOT_MAKE(kNew, kOld, SLC_SLOT_MARKED | SLC_SLOT_OPEN);

/// A hash whose bucket in the smallest table is `bucket`, and whose fingerprint tells `flow`.
constexpr slc_u64 hash_in(slc_u32 bucket, slc_u32 flow) {
    return slc_u64{flow} << SLC_FLOW_FINGERPRINT_SHIFT | slc_u64{bucket} << 24;
}

/// A flow table of user space.
struct Table {
    explicit Table(slc_u32 buckets_log2) : log2(buckets_log2), buckets(1ull << buckets_log2) {}

    slc_flow_bucket& bucket_of(slc_u64 hash) { return buckets[slc_flow_bucket_of(hash, log2)]; }
    /// Entries in all, dead or alive.
    [[nodiscard]] slc_u64 count() const {
        slc_u64 out = 0;
        for (const slc_flow_bucket& bucket : buckets)
            for (const slc_u64 entry : bucket.entry) out += SLC_FLOW_MEMBER_OF(entry) != 0;
        return out;
    }

    slc_u32 log2;
    std::vector<slc_flow_bucket> buckets;
};

/// One table, perhaps one that is being left, and packets that ask.
class Rig {
 public:
    Rig() {
        for (slc_u32 member = 1; member <= 6; ++member) world.members[member] = {};
        world.members[kForeign] = {2, false};
        world.accounts.resize(3);
        world.accounts[0].ceiling = kMuch;
        for (slc_u32 group : {1u, 2u}) world.accounts[group] = {0, kMuch, kMuch, {}};
    }

    slc_flow_ask asks(slc_u8 kind, slc_u64 hash, slc_u64 slot) const {
        slc_flow_ask ask{};
        ask.hash = hash;
        ask.slot = slot;
        ask.tick = tick;
        ask.family = group;
        for (int i = 0; i < SLC_FLOW_CLASSES; ++i) ask.lifetime[i] = kLifetimes[i];
        ask.kind = kind;
        ask.shared = shared;
        ask.always = always;
        return ask;
    }

    slc_flow_answer send(slc_u8 kind, slc_u64 hash, slc_u64 slot) {
        slc_flow_places at{};
        at.bucket = &table.bucket_of(hash);
        at.old = old == nullptr ? nullptr : &old->bucket_of(hash);
        at.account = &world.accounts[group];
        at.pool = world.accounts.data();
        at.old_tick = old_tick;
        at.old_coarser = old_coarser;
        const slc_flow_ask ask = asks(kind, hash, slot);
        slc_flow_answer answer{};
        slc_flow_decide(&at, &ask, &world, &answer);
        return answer;
    }

    /// Puts an entry as if packets had made it, account and all.
    slc_u64& put(Table& where, slc_u64 hash, slc_u32 flow_class, slc_u32 member, slc_u32 left,
                 slc_u32 now) {
        for (slc_u64& entry : where.bucket_of(hash).entry) {
            if (SLC_FLOW_MEMBER_OF(entry) != 0) continue;
            entry = slc_flow_entry(hash, flow_class, member, static_cast<slc_u8>(now + left));
            slc_flow_charge(world.account_of(member), world.accounts.data());
            return entry;
        }
        return where.bucket_of(hash).entry[0];
    }
    slc_u64& put(slc_u64 hash, slc_u32 flow_class, slc_u32 member, slc_u32 left) {
        return put(table, hash, flow_class, member, left, tick);
    }
    /// `count` live entries of other flows in the bucket of `hash`.
    void crowd(slc_u64 hash, int count) {
        for (int i = 0; i < count; ++i)
            put(hash_in(slc_flow_bucket_of(hash, table.log2), 0x3ff0000u + i), SLC_FLOW_ESTABLISHED,
                kAnother, kEstablished);
    }
    /// The entry of a flow, dead or alive, or 0.
    [[nodiscard]] slc_u64 entry_of(Table& where, slc_u64 hash) const {
        for (const slc_u64 entry : where.bucket_of(hash).entry) {
            if (SLC_FLOW_MEMBER_OF(entry) != 0 && ((entry ^ hash) & SLC_FLOW_FINGERPRINT_MASK) == 0)
                return entry;
        }
        return 0;
    }
    [[nodiscard]] slc_u64 entry_of(slc_u64 hash) { return entry_of(table, hash); }
    [[nodiscard]] slc_u64 used(slc_u32 of) const { return world.accounts[of].used; }

    World world;
    Table table{SLC_FLOW_MIN_LOG2};
    Table* old = nullptr;
    slc_u32 tick = 1000;
    slc_u32 old_tick = 0;
    slc_s32 old_coarser = 0;
    slc_u32 group = 1;
    bool shared = false;
    bool always = false;
};

/// What a test expects of an answer.
struct Want {
    slc_u32 member = 0;
    slc_u8 how = SLC_FLOW_BY_RING;
    slc_u8 insert = SLC_FLOW_NOT_ASKED;
    slc_u8 held = 0;
};

inline bool operator==(const slc_flow_answer& answer, const Want& want) {
    return answer.member == want.member && answer.how == want.how && answer.insert == want.insert &&
           answer.held == want.held;
}

inline std::ostream& operator<<(std::ostream& out, const Want& want) {
    return out << "member " << want.member << ", how " << int{want.how} << ", insert "
               << int{want.insert} << ", held " << int{want.held};
}

}  // namespace sluice::test

/// gtest looks for it where the type is.
inline std::ostream& operator<<(std::ostream& out, const slc_flow_answer& answer) {
    return out << sluice::test::Want{answer.member, answer.how, answer.insert, answer.held};
}
