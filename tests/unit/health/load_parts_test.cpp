// SPDX-License-Identifier: Apache-2.0
//
// Parts that follow loads, in a model in which a backend's load is what its part brings it.
#include "health/load_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace sluice::health {
namespace {

using std::chrono::seconds;

config::CheckLoad bounds() {
    config::CheckLoad out;
    out.header = "X-Load";
    return out;
}

/// Backends of different strength behind equal weights.
class Model {
 public:
    Model(std::vector<double> strengths, double traffic)
        : strengths_(std::move(strengths)), traffic_(traffic) {}

    static std::string name(std::size_t index) { return "web/10.0.0." + std::to_string(index + 5); }

    double load(std::size_t index) const {
        double sum = 0;
        for (std::size_t i = 0; i < strengths_.size(); ++i) sum += parts_.part(name(i));
        const double share = parts_.part(name(index)) / sum;
        return std::min(100.0, traffic_ * share / strengths_[index]);
    }

    /// A check each second.
    void pass(int count) {
        for (int second = 0; second < count; ++second) {
            now_ += seconds(1);
            for (std::size_t i = 0; i < strengths_.size(); ++i) parts_.note(name(i), load(i), now_);
            if (!parts_.step(now_)) continue;
            ++steps_;
            for (std::size_t i = 0; i < strengths_.size(); ++i) {
                EXPECT_GE(parts_.part(name(i)), 500u);
                EXPECT_LE(parts_.part(name(i)), 1500u);
            }
        }
    }
    std::uint32_t part(std::size_t index) const { return parts_.part(name(index)); }

    double traffic_at() const { return traffic_; }
    void set_traffic(double traffic) { traffic_ = traffic; }
    int steps() const { return steps_; }
    LoadParts& parts() { return parts_; }
    Judge::Time now() const { return now_; }

 private:
    std::vector<double> strengths_;
    double traffic_;
    LoadParts parts_{bounds()};
    Judge::Time now_{seconds(1000)};
    int steps_ = 0;
};

TEST(LoadParts, equal_backends_stay_as_they_are) {
    Model model({1, 1, 1}, 150);
    model.pass(600);
    EXPECT_EQ(model.steps(), 0);
}

TEST(LoadParts, a_weaker_backend_gets_less_until_loads_are_equal_and_then_nothing_moves) {
    Model model({1, 1, 0.7}, 130);
    EXPECT_GT(model.load(2), 1.3 * model.load(0));
    model.pass(1200);
    EXPECT_NEAR(model.load(2) / model.load(0), 1, 0.2);
    EXPECT_LT(model.part(2), 900u);
    const int steps = model.steps();
    model.pass(3600);
    EXPECT_EQ(model.steps(), steps) << "it does not oscillate";
}

TEST(LoadParts, bounds_hold_whatever_is_said) {
    Model model({1, 1, 0.05}, 60);
    model.pass(3600);
    EXPECT_EQ(model.part(2), 500u);
}

TEST(LoadParts, when_all_are_saturated_parts_go_back_to_the_whole) {
    Model model({1, 1, 0.7}, 130);
    model.pass(1200);
    ASSERT_LT(model.part(2), 900u);
    model.set_traffic(1000);
    model.pass(1200);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(model.part(i), 1000u);
    const int steps = model.steps();
    model.pass(1200);
    EXPECT_EQ(model.steps(), steps);
}

TEST(LoadParts, when_all_are_idle_parts_go_back_too) {
    Model model({1, 1, 0.7}, 130);
    model.pass(1200);
    model.set_traffic(5);
    model.pass(1200);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(model.part(i), 1000u);
}

TEST(LoadParts, steps_are_small_and_wait_for_the_one_before) {
    LoadParts parts(bounds());
    Judge::Time now{seconds(1000)};
    const auto say = [&] {
        parts.note("a", 90, now);
        parts.note("b", 10, now);
    };
    say();
    EXPECT_TRUE(parts.step(now));
    EXPECT_EQ(parts.part("a"), 900u);
    EXPECT_EQ(parts.part("b"), 1100u);
    now += LoadParts::kPause - seconds(1);
    say();
    EXPECT_FALSE(parts.step(now));
    now += seconds(1);
    EXPECT_TRUE(parts.step(now));
    EXPECT_EQ(parts.part("a"), 800u);
}

TEST(LoadParts, who_says_nothing_any_more_goes_back_and_counts_for_nobody) {
    LoadParts parts(bounds());
    Judge::Time now{seconds(1000)};
    parts.note("a", 90, now);
    parts.note("b", 10, now);
    EXPECT_TRUE(parts.step(now));
    for (int i = 0; i < 10; ++i) {
        now += LoadParts::kPause;
        parts.note("b", 10, now);
        (void)parts.step(now);
    }
    EXPECT_EQ(parts.part("a"), 1000u);
    EXPECT_EQ(parts.part("b"), 1000u) << "alone it has nobody to compare with";
    parts.forget("b");
    EXPECT_EQ(parts.part("b"), 1000u);
}

TEST(LoadParts, what_is_no_load_is_not_heard) {
    LoadParts parts(bounds());
    const Judge::Time now{seconds(1000)};
    for (const double load : {-1.0, 100.5, std::nan("")}) {
        parts.note("a", load, now);
        parts.note("b", 50, now);
    }
    EXPECT_FALSE(parts.step(now));
}

}  // namespace
}  // namespace sluice::health
