// SPDX-License-Identifier: Apache-2.0
// What is left to chance in the flow table, measured beside what is predicted: flows that are taken
// for others, and new flows whose bucket is full. Prints both (docs/performance.md).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <random>

#include "flow_rig.h"

namespace sluice::test {
namespace {

constexpr slc_u32 kLog2 = 12;
constexpr double kPlaces = SLC_FLOW_WAYS * double{1 << kLog2};

/// Random flows whose fingerprints differ in `bits` bits only, so that false matches are frequent
/// enough to be counted. 34: as they are.
class Flows {
 public:
    explicit Flows(slc_u32 bits, slc_u64 seed) : mask_(~0ull >> (34 - bits)), random_(seed) {}
    slc_u64 next() { return random_() & mask_; }

 private:
    slc_u64 mask_;
    std::mt19937_64 random_;
};

/// New flows until the table holds that share of its places.
void fill(Rig& rig, Flows& flows, double load) {
    slc_u64 entries = rig.table.count();
    while (static_cast<double>(entries) < load * kPlaces)
        entries += rig.send(SLC_FLOW_SYN, flows.next(), kOpen).insert == SLC_FLOW_INSERTED;
}

double poisson(double mean, int count) {
    return std::exp(count * std::log(mean) - mean - std::lgamma(count + 1));
}

/// Share of full buckets at a load, when flows choose buckets at random: the mean of flows that
/// came (some in vain) which leaves that many, by bisection.
double predicted_full(double load) {
    const auto at = [](double mean, double& stored) {
        double full = 1;
        stored = SLC_FLOW_WAYS;
        for (int i = 0; i < SLC_FLOW_WAYS; ++i) {
            full -= poisson(mean, i);
            stored -= (SLC_FLOW_WAYS - i) * poisson(mean, i);
        }
        return full;
    };
    double low = 0.01;
    double high = 100;
    double stored = 0;
    for (int i = 0; i < 100; ++i) {
        const double mean = (low + high) / 2;
        at(mean, stored);
        (stored < load * SLC_FLOW_WAYS ? low : high) = mean;
    }
    return at(low, stored);
}

TEST(FalseMatch, is_as_probable_as_fingerprints_are_short) {
    constexpr int kProbes = 4'000'000;
    std::printf("fingerprint   load   false matches   predicted\n");
    for (const slc_u32 bits : {8u, 10u, 12u}) {
        for (const double load : {0.5, 0.99}) {
            Rig rig;
            rig.table = Table(kLog2);
            Flows flows(bits, bits);
            fill(rig, flows, load);
            Flows others(bits, 99);
            slc_u64 matches = 0;
            for (int i = 0; i < kProbes; ++i)
                matches += rig.send(SLC_FLOW_LOOK, others.next(), kOpen).how == SLC_FLOW_BY_MEMORY;
            const double share = double(matches) / kProbes;
            const double predicted = load * SLC_FLOW_WAYS / std::exp2(static_cast<double>(bits));
            std::printf("%8u bits   %.2f   %13.6f   %9.6f\n", bits, load, share, predicted);
            // Five standard deviations, and what the choice of buckets adds to them.
            EXPECT_NEAR(share, predicted, 5 * std::sqrt(predicted / kProbes) + 0.02 * predicted);
        }
    }
    const double bound = SLC_FLOW_WAYS / std::exp2(64.0 - SLC_FLOW_FINGERPRINT_SHIFT);
    std::printf("      34 bits   1.00                      %.2e\n", bound);
    EXPECT_LT(bound, 4.7e-10);
}

TEST(FalseMatch, does_not_happen_with_whole_fingerprints_in_millions_of_packets) {
    Rig rig;
    rig.table = Table(kLog2);
    Flows flows(34, 1);
    fill(rig, flows, 0.99);
    Flows others(34, 2);
    for (int i = 0; i < 4'000'000; ++i)
        ASSERT_NE(rig.send(SLC_FLOW_LOOK, others.next(), kOpen).how, SLC_FLOW_BY_MEMORY);
}

TEST(NewFlow, finds_no_room_as_often_as_buckets_are_full) {
    constexpr int kProbes = 1'000'000;
    std::printf("load   refused   predicted\n");
    for (const double load : {0.125, 0.25, 0.5, 0.75}) {
        Rig rig;
        rig.table = Table(kLog2 + 4);
        Flows flows(34, 3);
        fill(rig, flows, load * 16);
        Flows others(34, 4);
        // Closed slots make no entries: what the next new flow would find, at just this load.
        slc_u64 full = 0;
        for (int i = 0; i < kProbes; ++i) {
            const slc_flow_bucket& bucket = rig.table.bucket_of(others.next());
            int room = 0;
            for (const slc_u64 entry : bucket.entry) room += slc_flow_is_free(entry, rig.tick);
            full += room == 0;
        }
        const double share = double(full) / kProbes;
        const double predicted = predicted_full(load);
        std::printf("%.3f   %.5f   %.5f\n", load, share, predicted);
        EXPECT_NEAR(share, predicted, 0.05 * predicted + 2e-5);
    }
}

}  // namespace
}  // namespace sluice::test
