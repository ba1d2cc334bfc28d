// SPDX-License-Identifier: Apache-2.0
#include "plan/ring.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "plan/ring_math.h"
#include "sluice/limits.h"

// The draws of rendezvous are independent 32-bit integers: compiled for wider vectors too, chosen
// when the program starts. The results are the same integers on all of them. Sanitizers cannot
// instrument what runs before they do.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define SLC_WIDE_VECTORS \
    __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#else
#define SLC_WIDE_VECTORS
#endif

namespace sluice::plan {
namespace {

using ring_math::minus_ln;

struct Candidate {
    std::uint64_t spread_key = 0;
    std::uint32_t member = 0;
    std::uint32_t weight = 0;
};

/// The members as the builders see them: in the order of their spread keys, each key once. Of
/// several members with one key the heaviest stays, and of equally heavy ones the lowest id.
std::vector<Candidate> candidates_of(std::span<const RingMember> members) {
    std::vector<Candidate> all;
    all.reserve(members.size());
    for (const RingMember& member : members) {
        assert(member.weight <= kMostRingWeight);
        all.push_back({ring_math::spread(member.key), member.member, member.weight});
    }
    std::sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
        if (a.spread_key != b.spread_key) return a.spread_key < b.spread_key;
        if (a.weight != b.weight) return a.weight > b.weight;
        return a.member < b.member;
    });
    all.erase(std::unique(all.begin(), all.end(),
                          [](const Candidate& a, const Candidate& b) {
                              return a.spread_key == b.spread_key;
                          }),
              all.end());
    return all;
}

std::vector<Candidate> weighted_candidates_of(std::span<const RingMember> members) {
    std::vector<Candidate> all = candidates_of(members);
    std::erase_if(all, [](const Candidate& candidate) { return candidate.weight == 0; });
    return all;
}

// ---- Maglev ----

/// How many slots each candidate gets: its exact share rounded down, and the slots left over one
/// each to the largest remainders (Hare and Hamilton), ties in candidate order.
std::vector<std::uint32_t> quotas_of(const std::vector<Candidate>& all, std::uint32_t slots) {
    std::uint64_t total = 0;
    for (const Candidate& candidate : all) total += candidate.weight;
    std::vector<std::uint32_t> quotas(all.size());
    std::vector<std::pair<std::uint64_t, std::uint32_t>> remainders(all.size());
    std::uint64_t left = slots;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        const std::uint64_t share = static_cast<std::uint64_t>(slots) * all[i].weight;
        quotas[i] = static_cast<std::uint32_t>(share / total);
        remainders[i] = {total - share % total, i};
        left -= quotas[i];
    }
    if (left > 0) {
        std::nth_element(remainders.begin(), remainders.begin() + static_cast<long>(left) - 1,
                         remainders.end());
        for (std::uint64_t i = 0; i < left; ++i) ++quotas[remainders[i].second];
    }
    return quotas;
}

/// Whose turn it is, slot after slot. Turn k of a candidate falls due when (k + 1/2) * total /
/// weight slots have been handed out, so that at every moment each has had its proportion; turns
/// due together come in candidate order. A counting sort by due time. With equal weights this is
/// the plain round of the paper.
std::vector<std::uint32_t> turns_of(const std::vector<Candidate>& all,
                                    const std::vector<std::uint32_t>& quotas, std::uint32_t slots) {
    std::uint64_t total = 0;
    for (const Candidate& candidate : all) total += candidate.weight;
    std::vector<std::uint32_t> due(slots);         // of every turn, candidate after candidate
    std::vector<std::uint32_t> starts(slots + 1);  // first place of a due time
    std::uint32_t turn = 0;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        // (2k + 1) * total / (2 * weight), stepped without a division for each turn.
        const std::uint64_t divisor = 2ull * all[i].weight;
        std::uint64_t time = total / divisor;
        std::uint64_t rest = total % divisor;
        const std::uint64_t step = 2 * total / divisor;
        const std::uint64_t step_rest = 2 * total % divisor;
        for (std::uint32_t k = 0; k < quotas[i]; ++k) {
            due[turn] = static_cast<std::uint32_t>(std::min<std::uint64_t>(time, slots - 1));
            ++starts[due[turn] + 1];
            ++turn;
            time += step;
            rest += step_rest;
            if (rest >= divisor) {
                rest -= divisor;
                ++time;
            }
        }
    }
    assert(turn == slots);
    for (std::uint32_t i = 0; i < slots; ++i) starts[i + 1] += starts[i];
    std::vector<std::uint32_t> turns(slots);
    turn = 0;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        for (std::uint32_t k = 0; k < quotas[i]; ++k) turns[starts[due[turn++]]++] = i;
    }
    return turns;
}

/// A candidate's walk over all slots of a power of two: any odd skip visits each once. Two walks
/// with plain skips may run side by side for a long time, and then one change moves 10 % of a small
/// ring; so every step is twisted by a bijection of the candidate's own, and the worst is 3 %.
struct Walk {
    std::uint32_t step;
    std::uint32_t skip;   ///< Odd.
    std::uint32_t twist;  ///< Odd.
};

// ---- rendezvous ----

/// Slots that are decided together: what they need stays in the first-level cache.
constexpr std::uint32_t kBlock = 256;

struct Block {
    alignas(64) std::array<std::uint32_t, kBlock> words;   ///< slot_word of each slot.
    alignas(64) std::array<std::uint32_t, kBlock> draws;   ///< Highest draw so far.
    alignas(64) std::array<std::uint32_t, kBlock> owners;  ///< Whose it is, index of a candidate.
};

/// Among members of equal weight the least -ln(u) / weight is the highest u: no logarithm, and of
/// equal draws the first candidate keeps the slot.
SLC_WIDE_VECTORS void draw_highest(Block& block, const Candidate* all, const std::uint32_t* chosen,
                                   std::size_t count) {
    for (std::uint32_t s = 0; s < kBlock; ++s) {
        block.draws[s] = ring_math::draw(block.words[s], all[chosen[0]].spread_key);
        block.owners[s] = chosen[0];
    }
    for (std::size_t i = 1; i < count; ++i) {
        const std::uint64_t spread_key = all[chosen[i]].spread_key;
        const std::uint32_t index = chosen[i];
        for (std::uint32_t s = 0; s < kBlock; ++s) {
            const std::uint32_t drawn = ring_math::draw(block.words[s], spread_key);
            const bool better = drawn > block.draws[s];
            block.draws[s] = better ? drawn : block.draws[s];
            block.owners[s] = better ? index : block.owners[s];
        }
    }
}

/// The best of the weight classes seen so far, for each slot of a block.
struct Champions {
    std::array<std::uint64_t, kBlock> costs;  ///< minus_ln of the draw.
    std::array<std::uint32_t, kBlock> draws;
    std::array<std::uint32_t, kBlock> owners;
};

/// Lets the winners of one weight class challenge the champions. A total order on (cost / weight,
/// draw, candidate) decides, which no third member can influence: that is why a change never moves
/// a slot between two members that it does not concern.
void challenge(Champions& best, const Block& block, const std::vector<Candidate>& all,
               std::uint64_t weight) {
    for (std::uint32_t s = 0; s < kBlock; ++s) {
        const std::uint64_t best_weight = all[best.owners[s]].weight;
        const std::uint64_t best_cost = best.costs[s] * weight;
        // -ln(u) > 1 - u: nearly all challengers lose here, without a logarithm. `least` is below
        // 1 - u by 2^-33, more than the error of minus_ln, so no winner is refused.
        constexpr int kShift = ring_math::kLnFractionBits - 32;
        const std::uint64_t least = static_cast<std::uint64_t>(~block.draws[s]) << kShift;
        if (least * best_weight > best_cost) continue;
        const std::uint64_t cost = minus_ln(block.draws[s]);
        const std::uint64_t own = cost * best_weight;
        const bool wins = own != best_cost                  ? own < best_cost
                          : block.draws[s] != best.draws[s] ? block.draws[s] > best.draws[s]
                                                            : block.owners[s] < best.owners[s];
        if (!wins) continue;
        best.costs[s] = cost;
        best.draws[s] = block.draws[s];
        best.owners[s] = block.owners[s];
    }
}

}  // namespace

std::uint32_t ring_log2(std::span<const RingMember> members) {
    std::uint64_t total = 0;
    std::uint64_t lightest = kMostRingWeight;
    const std::vector<Candidate> all = candidates_of(members);
    for (const Candidate& candidate : all) {
        if (candidate.weight == 0) continue;
        total += candidate.weight;
        lightest = std::min<std::uint64_t>(lightest, candidate.weight);
    }
    const std::uint64_t for_lightest =
        (SLC_RING_SLOTS_FOR_LIGHTEST * total + lightest - 1) / lightest;
    const std::uint64_t wanted =
        std::max<std::uint64_t>(all.size() * SLC_RING_SLOTS_PER_MEMBER, for_lightest);
    std::uint32_t log2 = SLC_MIN_RING_LOG2;
    while (log2 < SLC_MAX_RING_LOG2 && (1ull << log2) < wanted) ++log2;
    return log2;
}

std::vector<std::uint32_t> build_maglev(std::span<const RingMember> members, std::uint32_t log2) {
    assert(log2 <= SLC_MAX_RING_LOG2);
    const std::uint32_t slots = 1u << log2;
    const std::uint32_t mask = slots - 1;
    const std::uint32_t half = (log2 + 1) / 2;
    std::vector<std::uint32_t> ring(slots);
    const std::vector<Candidate> all = weighted_candidates_of(members);
    if (all.empty()) return ring;

    std::vector<Walk> walks(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        const std::uint64_t second = ring_math::spread(~all[i].spread_key);
        walks[i] = {static_cast<std::uint32_t>(all[i].spread_key) & mask,
                    static_cast<std::uint32_t>(second) | 1,
                    static_cast<std::uint32_t>(second >> 32) | 1};
    }
    // Taken slots in a table of bytes beside the ring: it is what most probes read.
    std::vector<std::uint8_t> taken(slots);
    for (const std::uint32_t i : turns_of(all, quotas_of(all, slots), slots)) {
        Walk walk = walks[i];
        std::uint32_t slot = 0;
        do {
            slot = ((walk.step ^ (walk.step >> half)) * walk.twist) & mask;
            walk.step = (walk.step + walk.skip) & mask;
        } while (taken[slot] != 0);
        taken[slot] = 1;
        ring[slot] = all[i].member;
        walks[i].step = walk.step;
    }
    return ring;
}

std::vector<std::uint32_t> build_rendezvous(std::span<const RingMember> members,
                                            std::uint32_t log2) {
    assert(log2 <= SLC_MAX_RING_LOG2);
    const std::uint32_t slots = 1u << log2;
    std::vector<std::uint32_t> ring(slots);
    const std::vector<Candidate> all = weighted_candidates_of(members);
    if (all.empty()) return ring;

    // Weight classes, the heaviest first: it wins most slots, so that the rest is refused early.
    std::vector<std::uint32_t> order(all.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return all[a].weight != all[b].weight ? all[a].weight > all[b].weight : a < b;
    });
    Block block;
    Champions best;
    for (std::uint32_t first = 0; first < slots; first += kBlock) {
        for (std::uint32_t s = 0; s < kBlock; ++s) block.words[s] = ring_math::slot_word(first + s);
        for (std::size_t begin = 0; begin < order.size();) {
            const std::uint32_t weight = all[order[begin]].weight;
            std::size_t end = begin + 1;
            while (end < order.size() && all[order[end]].weight == weight) ++end;
            draw_highest(block, all.data(), order.data() + begin, end - begin);
            if (begin == 0) {
                best.draws = block.draws;
                best.owners = block.owners;
                if (end < order.size()) {
                    for (std::uint32_t s = 0; s < kBlock; ++s) {
                        best.costs[s] = minus_ln(block.draws[s]);
                    }
                }
            } else {
                challenge(best, block, all, weight);
            }
            begin = end;
        }
        const std::uint32_t count = std::min(kBlock, slots - first);
        for (std::uint32_t s = 0; s < count; ++s) ring[first + s] = all[best.owners[s]].member;
    }
    return ring;
}

std::vector<std::uint32_t> build_owners(std::span<const RingCandidate> candidates, RingKind kind,
                                        std::uint32_t log2) {
    std::vector<RingMember> all, standing;
    std::vector<std::uint32_t> failed;
    for (const RingCandidate& candidate : candidates) {
        if (candidate.role == RingRole::leaves || candidate.member.weight == 0) continue;
        all.push_back(candidate.member);
        if (candidate.role == RingRole::owns)
            standing.push_back(candidate.member);
        else
            failed.push_back(candidate.member.member);
    }
    auto owners = kind == RingKind::maglev ? build_maglev(all, log2) : build_rendezvous(all, log2);
    if (failed.empty()) return owners;
    std::sort(failed.begin(), failed.end());
    const auto stand_ins = build_rendezvous(standing, log2);
    for (std::size_t slot = 0; slot < owners.size(); ++slot)
        if (std::binary_search(failed.begin(), failed.end(), owners[slot]))
            owners[slot] = stand_ins[slot];
    return owners;
}

}  // namespace sluice::plan
