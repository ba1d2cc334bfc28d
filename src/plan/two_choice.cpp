// SPDX-License-Identifier: Apache-2.0
#include "plan/two_choice.h"

namespace sluice::plan {
namespace {

constexpr std::uint32_t kNobody = ~0u;

/// How often keys may push each other on before the attempt is given up. At the loads used here
/// (one half at most) a walk ends after one or two steps.
constexpr int kMaxKicks = 500;

class Table {
 public:
    Table(std::span<const TwoChoiceKey> keys, std::uint32_t buckets, std::uint32_t ways)
        : keys_(keys), ways_(ways), entries_(std::size_t{buckets} * ways, kNobody) {}

    bool insert(std::uint32_t key) {
        std::uint32_t bucket = keys_[key].first;
        for (int kick = 0; kick < kMaxKicks; ++kick) {
            if (put(bucket, key) || put(other(key, bucket), key)) return true;
            // Nobody has room: take the place of one entry, chosen in turn, and move that one on.
            std::uint32_t& place = entries_[std::size_t{bucket} * ways_ + kick % ways_];
            std::swap(key, place);
            bucket = other(key, bucket);
        }
        return false;
    }

    [[nodiscard]] std::vector<std::uint32_t> buckets_of_keys() const {
        std::vector<std::uint32_t> out(keys_.size());
        for (std::size_t i = 0; i < entries_.size(); ++i)
            if (entries_[i] != kNobody) out[entries_[i]] = static_cast<std::uint32_t>(i / ways_);
        return out;
    }

 private:
    [[nodiscard]] std::uint32_t other(std::uint32_t key, std::uint32_t bucket) const {
        return keys_[key].first == bucket ? keys_[key].second : keys_[key].first;
    }

    bool put(std::uint32_t bucket, std::uint32_t key) {
        for (std::uint32_t way = 0; way < ways_; ++way) {
            std::uint32_t& place = entries_[std::size_t{bucket} * ways_ + way];
            if (place != kNobody) continue;
            place = key;
            return true;
        }
        return false;
    }

    std::span<const TwoChoiceKey> keys_;
    std::uint32_t ways_;
    std::vector<std::uint32_t> entries_;
};

}  // namespace

std::optional<std::vector<std::uint32_t>> place_two_choice(std::span<const TwoChoiceKey> keys,
                                                           std::uint32_t buckets,
                                                           std::uint32_t ways) {
    Table table(keys, buckets, ways);
    for (std::uint32_t key = 0; key < keys.size(); ++key)
        if (!table.insert(key)) return std::nullopt;
    return table.buckets_of_keys();
}

}  // namespace sluice::plan
