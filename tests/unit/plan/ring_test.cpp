// SPDX-License-Identifier: Apache-2.0
#include "plan/ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <string>

#include "plan/ring_math.h"
#include "sluice/limits.h"

namespace sluice::plan {
namespace {

using Members = std::vector<RingMember>;
using Ring = std::vector<std::uint32_t>;
using Builder = Ring (*)(std::span<const RingMember>, std::uint32_t);

/// Members with consecutive keys, as backends with consecutive addresses have them.
Members equal_members(std::uint32_t count, std::uint64_t first_key = 0x0a000001) {
    Members members;
    for (std::uint32_t i = 0; i < count; ++i) members.push_back({first_key + i, i + 1, 1});
    return members;
}

Members random_members(std::uint32_t count, std::uint32_t max_weight, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Members members;
    for (std::uint32_t i = 0; i < count; ++i) {
        members.push_back({random(), i + 1, static_cast<std::uint32_t>(1 + random() % max_weight)});
    }
    return members;
}

std::map<std::uint32_t, std::uint32_t> count_slots(const Ring& ring) {
    std::map<std::uint32_t, std::uint32_t> counts;
    for (const std::uint32_t member : ring) ++counts[member];
    return counts;
}

double exact_share(const Members& members, std::uint32_t member, std::size_t slots) {
    double total = 0;
    double own = 0;
    for (const RingMember& each : members) {
        total += each.weight;
        if (each.member == member) own = each.weight;
    }
    return static_cast<double>(slots) * own / total;
}

/// Slots that changed although neither the old nor the new owner is `changed`.
std::uint32_t needless_moves(const Ring& before, const Ring& after, std::uint32_t changed) {
    std::uint32_t moves = 0;
    for (std::size_t slot = 0; slot < before.size(); ++slot) {
        if (before[slot] == after[slot]) continue;
        if (before[slot] != changed && after[slot] != changed) ++moves;
    }
    return moves;
}

std::uint64_t digest(const Ring& ring) {
    std::uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
    for (const std::uint32_t member : ring) {
        for (int shift = 0; shift < 32; shift += 8) {
            hash = (hash ^ ((member >> shift) & 0xff)) * 0x100000001b3ull;
        }
    }
    return hash;
}

// ---- references: short, slow, and made from the definitions ----

Members sorted_by_spread_key(Members members) {
    std::erase_if(members, [](const RingMember& member) { return member.weight == 0; });
    std::sort(members.begin(), members.end(), [](const RingMember& a, const RingMember& b) {
        return ring_math::spread(a.key) < ring_math::spread(b.key);
    });
    return members;
}

/// Slots by largest remainder, found by giving the left-over slots away one at a time.
std::vector<std::uint32_t> reference_quotas(const Members& members, std::uint32_t slots) {
    std::uint64_t total = 0;
    for (const RingMember& member : members) total += member.weight;
    std::vector<std::uint32_t> quotas;
    std::uint64_t given = 0;
    for (const RingMember& member : members) {
        quotas.push_back(static_cast<std::uint32_t>(1ull * slots * member.weight / total));
        given += quotas.back();
    }
    std::vector<bool> raised(members.size());
    for (; given < slots; ++given) {
        std::size_t best = members.size();
        std::uint64_t best_rest = 0;
        for (std::size_t i = 0; i < members.size(); ++i) {
            const std::uint64_t rest = 1ull * slots * members[i].weight % total;
            if (raised[i]) continue;
            if (best == members.size() || rest > best_rest) {
                best = i;
                best_rest = rest;
            }
        }
        raised[best] = true;
        ++quotas[best];
    }
    return quotas;
}

/// The paper's figure 4, with whole permutation lists and a search for whose turn it is.
Ring reference_maglev(const Members& input, std::uint32_t log2) {
    const std::uint32_t slots = 1u << log2;
    const Members members = sorted_by_spread_key(input);
    Ring ring(slots);
    if (members.empty()) return ring;
    std::uint64_t total = 0;
    std::vector<Ring> permutations;
    for (const RingMember& member : members) {
        total += member.weight;
        const std::uint64_t first = ring_math::spread(member.key);
        const std::uint64_t second = ring_math::spread(~first);
        Ring permutation;
        for (std::uint64_t j = 0; j < slots; ++j) {
            const std::uint64_t step = (first + j * (second | 1)) % slots;
            const std::uint64_t twisted = step ^ (step >> ((log2 + 1) / 2));
            permutation.push_back(
                static_cast<std::uint32_t>(twisted * ((second >> 32) | 1) % slots));
        }
        permutations.push_back(std::move(permutation));
    }
    std::vector<std::uint32_t> left = reference_quotas(members, slots);
    std::vector<std::uint64_t> turns(members.size());
    std::vector<std::size_t> next(members.size());
    std::vector<bool> taken(slots);
    for (std::uint32_t placed = 0; placed < slots; ++placed) {
        std::size_t whose = members.size();
        std::uint64_t earliest = 0;
        for (std::size_t i = 0; i < members.size(); ++i) {
            if (left[i] == 0) continue;
            const std::uint64_t due = std::min<std::uint64_t>(
                (2 * turns[i] + 1) * total / (2ull * members[i].weight), slots - 1);
            if (whose == members.size() || due < earliest) {
                whose = i;
                earliest = due;
            }
        }
        while (taken[permutations[whose][next[whose]]]) ++next[whose];
        const std::uint32_t slot = permutations[whose][next[whose]];
        taken[slot] = true;
        ring[slot] = members[whose].member;
        ++turns[whose];
        --left[whose];
    }
    return ring;
}

/// Every logarithm computed, no classes, no early refusal.
Ring reference_rendezvous(const Members& input, std::uint32_t log2) {
    const Members members = sorted_by_spread_key(input);
    Ring ring(1u << log2);
    if (members.empty()) return ring;
    for (std::uint32_t slot = 0; slot < ring.size(); ++slot) {
        const RingMember* best = nullptr;
        std::uint64_t best_cost = 0;
        std::uint32_t best_draw = 0;
        for (const RingMember& member : members) {
            const std::uint32_t draw =
                ring_math::draw(ring_math::slot_word(slot), ring_math::spread(member.key));
            const std::uint64_t cost = ring_math::minus_ln(draw);
            const bool better =
                best == nullptr || cost * best->weight < best_cost * member.weight ||
                (cost * best->weight == best_cost * member.weight && draw > best_draw);
            if (!better) continue;
            best = &member;
            best_cost = cost;
            best_draw = draw;
        }
        ring[slot] = best->member;
    }
    return ring;
}

struct Kind {
    std::string name;
    Builder build;
    Builder reference;
};

Ring reference_maglev_of(std::span<const RingMember> members, std::uint32_t log2) {
    return reference_maglev(Members(members.begin(), members.end()), log2);
}

Ring reference_rendezvous_of(std::span<const RingMember> members, std::uint32_t log2) {
    return reference_rendezvous(Members(members.begin(), members.end()), log2);
}

const Kind kMaglev{"maglev", build_maglev, reference_maglev_of};
const Kind kRendezvous{"rendezvous", build_rendezvous, reference_rendezvous_of};

class AnyRing : public testing::TestWithParam<Kind> {};

INSTANTIATE_TEST_SUITE_P(Kinds, AnyRing, testing::Values(kMaglev, kRendezvous),
                         [](const auto& each) { return each.param.name; });

TEST_P(AnyRing, is_all_zero_without_members) {
    EXPECT_EQ(GetParam().build({}, 8), Ring(256, 0));
}

TEST_P(AnyRing, is_all_zero_when_nobody_has_weight) {
    EXPECT_EQ(GetParam().build(Members{{1, 7, 0}, {2, 8, 0}}, 8), Ring(256, 0));
}

TEST_P(AnyRing, gives_a_single_member_every_slot) {
    EXPECT_EQ(GetParam().build(Members{{1, 7, 3}}, 10), Ring(1024, 7));
}

TEST_P(AnyRing, gives_nothing_to_weight_zero) {
    Members members = equal_members(5);
    const Ring without = GetParam().build(members, 10);
    members.push_back({99, 99, 0});
    EXPECT_EQ(GetParam().build(members, 10), without);
}

TEST_P(AnyRing, has_the_size_asked_for_even_below_the_usual_least) {
    EXPECT_EQ(GetParam().build(equal_members(3), 0).size(), 1u);
    EXPECT_EQ(GetParam().build(equal_members(3), 5).size(), 32u);
    EXPECT_EQ(GetParam().build(equal_members(3), 13).size(), 8192u);
}

TEST_P(AnyRing, does_not_depend_on_the_order_of_members) {
    Members members = random_members(40, 10, 1);
    const Ring ring = GetParam().build(members, 12);
    std::mt19937_64 random(2);
    for (int round = 0; round < 10; ++round) {
        std::shuffle(members.begin(), members.end(), random);
        EXPECT_EQ(GetParam().build(members, 12), ring);
    }
}

TEST_P(AnyRing, depends_on_keys_and_not_on_ids) {
    Members members = random_members(40, 10, 3);
    const Ring ring = GetParam().build(members, 12);
    for (RingMember& member : members) member.member = 1000 - member.member;
    const Ring renumbered = GetParam().build(members, 12);
    for (std::size_t slot = 0; slot < ring.size(); ++slot) {
        ASSERT_EQ(renumbered[slot], 1000 - ring[slot]) << "slot " << slot;
    }
}

TEST_P(AnyRing, counts_a_key_once_and_lets_the_heaviest_stand_for_it) {
    Members members = random_members(10, 4, 4);
    members[3].weight = 4;
    const Ring ring = GetParam().build(members, 10);
    Members doubled = members;
    doubled.insert(doubled.begin(), {members[3].key, 900, 2});
    doubled.push_back({members[3].key, 901, 4});
    EXPECT_EQ(GetParam().build(doubled, 10), ring);
}

TEST_P(AnyRing, equals_the_reference) {
    struct Case {
        std::uint32_t members, max_weight, log2;
    };
    for (const Case& each :
         {Case{2, 1, 8}, Case{3, 1, 8}, Case{7, 5, 9}, Case{100, 1, 10}, Case{100, 4, 12},
          Case{100, 1000, 12}, Case{300, 1, 8}, Case{300, 1000, 11}, Case{1000, 30, 10}}) {
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            const Members members = random_members(each.members, each.max_weight, seed);
            ASSERT_EQ(GetParam().build(members, each.log2),
                      GetParam().reference(members, each.log2))
                << each.members << " members, weights to " << each.max_weight << ", 2^" << each.log2
                << " slots, seed " << seed;
        }
    }
}

TEST(Maglev, gives_every_member_its_share_rounded_down_or_up) {
    for (const std::uint32_t max_weight : {1u, 4u, 1000u}) {
        for (const std::uint32_t count : {3u, 100u, 1000u}) {
            const Members members = random_members(count, max_weight, count + max_weight);
            const std::uint32_t log2 = ring_log2(members);
            const Ring ring = build_maglev(members, log2);
            const auto counts = count_slots(ring);
            for (const RingMember& member : members) {
                const double share = exact_share(members, member.member, ring.size());
                const auto it = counts.find(member.member);
                const double own = it == counts.end() ? 0 : it->second;
                ASSERT_GE(own, std::floor(share - 1e-6));
                ASSERT_LE(own, std::ceil(share + 1e-6));
            }
        }
    }
}

TEST(Maglev, serves_ten_thousand_members_of_weights_one_to_a_thousand) {
    const Members members = random_members(10'000, SLC_MAX_WEIGHT, 5);
    EXPECT_EQ(ring_log2(members), SLC_MAX_RING_LOG2);
    const Ring ring = build_maglev(members, 16);
    const auto counts = count_slots(ring);
    for (const RingMember& member : members) {
        const double share = exact_share(members, member.member, ring.size());
        const auto it = counts.find(member.member);
        ASSERT_LT(std::abs((it == counts.end() ? 0 : it->second) - share), 1.0);
    }
}

/// Mean over several changes of the share of slots that move needlessly.
double needless_share(Builder build, const Members& members, std::uint32_t log2,
                      const std::function<void(Members&, std::size_t)>& change) {
    const Ring before = build(members, log2);
    double moves = 0;
    constexpr std::size_t kChanges = 10;
    for (std::size_t i = 0; i < kChanges; ++i) {
        const std::size_t which = i * members.size() / kChanges;
        Members changed = members;
        const std::uint32_t id = members[which].member;
        change(changed, which);
        moves += needless_moves(before, build(changed, log2), id);
    }
    return moves / kChanges / static_cast<double>(before.size());
}

const auto kRemove = [](Members& members, std::size_t which) {
    members.erase(members.begin() + static_cast<long>(which));
};
const auto kDouble = [](Members& members, std::size_t which) { members[which].weight *= 2; };
const auto kRaise = [](Members& members, std::size_t which) { members[which].weight += 1; };

TEST(Maglev, moves_few_slots_needlessly) {
    // The bound that ring.h states; the mean of many sets lies between 0.6 and 2.8 %.
    constexpr double kBound = 0.035;
    for (const std::uint32_t count : {3u, 10u, 30u, 100u, 1000u}) {
        for (std::uint64_t set = 0; set < (count < 1000 ? 20u : 1u); ++set) {
            const Members members = equal_members(count, 0x0a000001 + set * 0x10000);
            const std::uint32_t log2 = ring_log2(members);
            EXPECT_LT(needless_share(build_maglev, members, log2, kRemove), kBound)
                << "removal from set " << set << " of " << count;
            EXPECT_LT(needless_share(build_maglev, members, log2, kDouble), kBound)
                << "doubled weight in set " << set << " of " << count;
        }
    }
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const Members weighted = random_members(100, 10, seed);
        const std::uint32_t log2 = ring_log2(weighted);
        EXPECT_LT(needless_share(build_maglev, weighted, log2, kRemove), kBound) << seed;
        EXPECT_LT(needless_share(build_maglev, weighted, log2, kRaise), kBound) << seed;
    }
}

TEST(Rendezvous, moves_nothing_needlessly) {
    for (const std::uint32_t max_weight : {1u, 4u, 100u}) {
        const Members members = random_members(60, max_weight, max_weight);
        EXPECT_EQ(needless_share(build_rendezvous, members, 12, kRemove), 0) << max_weight;
        EXPECT_EQ(needless_share(build_rendezvous, members, 12, kDouble), 0) << max_weight;
        EXPECT_EQ(needless_share(build_rendezvous, members, 12, kRaise), 0) << max_weight;
    }
}

TEST(Rendezvous, raising_a_weight_only_gains_slots_and_lowering_only_loses) {
    Members members = random_members(20, 50, 7);
    const Ring before = build_rendezvous(members, 12);
    const std::uint32_t id = members[4].member;
    members[4].weight += 7;
    const Ring after = build_rendezvous(members, 12);
    for (std::size_t slot = 0; slot < before.size(); ++slot) {
        if (before[slot] == id) {
            ASSERT_EQ(after[slot], id) << "slot " << slot;
        }
    }
    EXPECT_GT(count_slots(after)[id], count_slots(before)[id]);
}

TEST(Rendezvous, gives_shares_in_proportion_to_weights) {
    for (const std::uint32_t max_weight : {1u, 4u, 1000u}) {
        const Members members = random_members(50, max_weight, 8);
        const Ring ring = build_rendezvous(members, 16);
        auto counts = count_slots(ring);
        // Slots are independent draws: chi-square with 49 degrees of freedom, 85.4 at p = 0.001.
        double chi_square = 0;
        for (const RingMember& member : members) {
            const double share = exact_share(members, member.member, ring.size());
            const double off = counts[member.member] - share;
            chi_square += off * off / share;
        }
        EXPECT_LT(chi_square, 85.4) << "weights to " << max_weight;
    }
}

TEST(Rendezvous, draws_of_neighbouring_keys_are_independent) {
    // Which of two members wins a slot says nothing about which of two others does.
    const Members members = equal_members(4);
    const Ring left = build_rendezvous(std::span(members).subspan(0, 2), 16);
    const Ring right = build_rendezvous(std::span(members).subspan(2, 2), 16);
    double both = 0;
    for (std::size_t slot = 0; slot < left.size(); ++slot) {
        if ((left[slot] == 1) == (right[slot] == 3)) ++both;
    }
    // Binomial: standard deviation 128 of 65,536.
    EXPECT_NEAR(both, 32'768, 4 * 128);
}

TEST(Rendezvous, serves_ten_thousand_members) {
    const Members members = random_members(10'000, SLC_MAX_WEIGHT, 9);
    const Ring ring = build_rendezvous(members, 11);
    EXPECT_EQ(ring.size(), 2048u);
    EXPECT_EQ(ring, build_rendezvous(members, 11));
    EXPECT_EQ(std::count(ring.begin(), ring.end(), 0u), 0);
}

using Candidates = std::vector<RingCandidate>;

Candidates candidates_of(const Members& members) {
    Candidates out;
    for (const RingMember& member : members) out.push_back({member, RingRole::owns});
    return out;
}

class Owners : public testing::TestWithParam<RingKind> {};

INSTANTIATE_TEST_SUITE_P(Kinds, Owners, testing::Values(RingKind::maglev, RingKind::rendezvous),
                         [](const auto& each) {
                             return each.param == RingKind::maglev ? "maglev" : "rendezvous";
                         });

TEST_P(Owners, are_those_of_the_plain_ring_while_all_are_well) {
    const Members members = random_members(20, 5, 21);
    const Builder build = GetParam() == RingKind::maglev ? build_maglev : build_rendezvous;
    EXPECT_EQ(build_owners(candidates_of(members), GetParam(), 11), build(members, 11));
}

TEST_P(Owners, that_leave_are_as_if_they_had_never_been) {
    Members members = random_members(20, 5, 22);
    Candidates candidates = candidates_of(members);
    candidates[7].role = RingRole::leaves;
    members.erase(members.begin() + 7);
    EXPECT_EQ(build_owners(candidates, GetParam(), 11),
              build_owners(candidates_of(members), GetParam(), 11));
}

TEST_P(Owners, that_fail_give_up_their_own_slots_and_nobody_elses_move) {
    Candidates candidates = candidates_of(random_members(20, 5, 23));
    const Ring before = build_owners(candidates, GetParam(), 11);
    candidates[3].role = candidates[9].role = RingRole::replaced;
    const Ring after = build_owners(candidates, GetParam(), 11);
    std::map<std::uint32_t, std::uint32_t> taken;
    for (std::size_t slot = 0; slot < before.size(); ++slot) {
        const bool failed = before[slot] == 4 || before[slot] == 10;
        ASSERT_EQ(after[slot] != before[slot], failed) << slot;
        ASSERT_NE(after[slot], 4u);
        ASSERT_NE(after[slot], 10u);
        if (failed) ++taken[after[slot]];
    }
    EXPECT_GT(taken.size(), 10u) << "many share what two had";
}

TEST_P(Owners, that_stand_in_stay_when_another_member_fails) {
    Candidates candidates = candidates_of(random_members(12, 3, 24));
    candidates[2].role = RingRole::replaced;
    const Ring one = build_owners(candidates, GetParam(), 10);
    candidates[5].role = RingRole::replaced;
    const Ring two = build_owners(candidates, GetParam(), 10);
    for (std::size_t slot = 0; slot < one.size(); ++slot) {
        ASSERT_EQ(two[slot] != one[slot], one[slot] == 6) << slot;
    }
}

TEST_P(Owners, are_nobody_when_no_candidate_may) {
    Candidates candidates = candidates_of(random_members(3, 1, 25));
    candidates[0].role = RingRole::leaves;
    candidates[1].role = RingRole::replaced;
    candidates[2].member.weight = 0;
    EXPECT_EQ(build_owners(candidates, GetParam(), 6), Ring(64, 0));
    EXPECT_EQ(build_owners({}, GetParam(), 6), Ring(64, 0));
}

TEST_P(Owners, without_weight_stand_in_for_nobody) {
    Candidates candidates = candidates_of(Members{{1, 1, 1}, {2, 2, 0}, {3, 3, 1}});
    candidates[0].role = RingRole::replaced;
    EXPECT_EQ(build_owners(candidates, GetParam(), 6), Ring(64, 3));
}

// Rings are an agreement between nodes of different versions: a digest that changes breaks the
// connections of a fleet that is being upgraded. Never update these; make a new kind of ring.
TEST(Golden, digests_of_rings_never_change) {
    EXPECT_EQ(digest(build_maglev(equal_members(3), 8)), 0x2971e03736f2c236ull);
    EXPECT_EQ(digest(build_maglev(equal_members(100), 13)), 0x9cd543f91914e78full);
    EXPECT_EQ(digest(build_maglev(random_members(100, 1000, 10), 14)), 0xe2ed0ceec2f79f44ull);
    EXPECT_EQ(digest(build_rendezvous(equal_members(3), 8)), 0xcc1c138d30b1c827ull);
    EXPECT_EQ(digest(build_rendezvous(equal_members(100), 13)), 0x34bb63abac1a58fbull);
    EXPECT_EQ(digest(build_rendezvous(random_members(100, 1000, 10), 14)), 0xb352e3d73fd861f1ull);
}

TEST(RingSize, has_64_slots_for_each_member_and_4_for_the_lightest) {
    EXPECT_EQ(ring_log2({}), 8u);
    EXPECT_EQ(ring_log2(equal_members(1)), 8u);
    EXPECT_EQ(ring_log2(equal_members(4)), 8u);
    EXPECT_EQ(ring_log2(equal_members(5)), 9u);
    EXPECT_EQ(ring_log2(equal_members(100)), 13u);
    EXPECT_EQ(ring_log2(equal_members(128)), 13u);
    EXPECT_EQ(ring_log2(equal_members(129)), 14u);
    EXPECT_EQ(ring_log2(equal_members(100'000)), SLC_MAX_RING_LOG2 * 1u);
    EXPECT_EQ(ring_log2(Members{{1, 1, 1}, {2, 2, 1000}}), 12u);  // 4 * 1001 slots
    EXPECT_EQ(ring_log2(Members{{1, 1, 500}, {2, 2, 1000}}), 8u);
}

TEST(RingSize, does_not_depend_on_duplicates_but_counts_members_at_weight_zero) {
    Members members = equal_members(4);
    members.push_back(members[0]);
    EXPECT_EQ(ring_log2(members), 8u);
    members.push_back({77, 77, 0});
    EXPECT_EQ(ring_log2(members), 9u);
}

TEST(RingMath, minus_ln_falls_strictly_and_follows_the_logarithm) {
    const auto exact = [](std::uint32_t u) {
        return -std::log((2.0L * u + 1) / 0x1p33L) * 0x1p44L;
    };
    std::mt19937_64 random(11);
    for (int round = 0; round < 200'000; ++round) {
        // Also close to both ends and to the seams of the table.
        auto u = static_cast<std::uint32_t>(random()) >> (random() % 32);
        if (round % 3 == 1) u = ~u;
        if (round % 3 == 2) u = (u & 0xff800000u) - static_cast<std::uint32_t>(random() % 3);
        if (u == 0xffffffffu) continue;
        ASSERT_GT(ring_math::minus_ln(u), ring_math::minus_ln(u + 1)) << u;
        ASSERT_NEAR(static_cast<double>(ring_math::minus_ln(u)), static_cast<double>(exact(u)),
                    0x1p7)
            << u;
    }
    EXPECT_LT(ring_math::minus_ln(0), 23ull << 44);
    EXPECT_GT(ring_math::minus_ln(0xffffffffu), 0u);
}

}  // namespace
}  // namespace sluice::plan
