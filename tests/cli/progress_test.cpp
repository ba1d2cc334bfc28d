// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice::cli {
namespace {

Json backend_in(const char* phase, std::uint64_t remembered) {
    const std::string in = phase;
    const std::uint64_t preparing = in == "preparing" ? 86 : 0;
    const std::uint64_t open = in == "open" ? 80 : 0;
    const std::uint64_t marked = in == "settled" ? 0 : 86;
    return {{"group", "web"},
            {"address", "10.0.0.5"},
            {"state", "drain"},
            {"configured_state", "ready"},
            {"weight", 1u},
            {"configured_weight", 1u},
            {"remembered", remembered},
            {"change",
             {{"phase", phase},
              {"preparing_slots", preparing},
              {"open_slots", open},
              {"marked_slots", marked},
              {"window_left_ms", open > 0 ? 899'400u : 0u}}}};
}

TEST(Progress, says_the_phase_how_many_are_remembered_and_that_silent_ones_are_unknown) {
    EXPECT_EQ(progress_text(backend_in("preparing", 0)),
              "web/10.0.0.5 drain: 0 flows remembered, preparing: 86 slots; silent connections are "
              "not yet known");
    EXPECT_EQ(progress_text(backend_in("open", 1200)),
              "web/10.0.0.5 drain: 1200 flows remembered, open: 80 slots, window closes in 15m; "
              "silent connections are not yet known");
    EXPECT_EQ(progress_text(backend_in("closing", 1)),
              "web/10.0.0.5 drain: 1 flow remembered, closing: 86 slots");
    EXPECT_EQ(progress_text(backend_in("settled", 0)), "web/10.0.0.5 drain: 0 flows remembered");
}

TEST(Progress, says_why_slots_are_held_and_when_the_deadline_is) {
    Json backend = backend_in("open", 7);
    backend["change"]["held_slots"] = 1u;
    backend["change"]["deadline_left_ms"] = 61'000u;
    EXPECT_EQ(progress_text(backend),
              "web/10.0.0.5 drain: 7 flows remembered, open: 80 slots, window closes in 15m, "
              "deadline in 61s, 1 slot held (new flows stay: some found no room to be remembered); "
              "silent connections are not yet known");
}

TEST(Progress, changes_when_anything_but_the_time_does) {
    const Json before = backend_in("open", 7);
    Json after = before;
    after["change"]["window_left_ms"] = 1000u;
    after["change"]["deadline_left_ms"] = 1000u;
    EXPECT_EQ(progress_key(after), progress_key(before));
    for (const auto& [pointer, value] :
         std::initializer_list<std::pair<const char*, Json>>{{"/remembered", 8u},
                                                             {"/state", "ready"},
                                                             {"/weight", 2u},
                                                             {"/retired", true},
                                                             {"/change/phase", "closing"},
                                                             {"/change/open_slots", 79u},
                                                             {"/change/held_slots", 1u}}) {
        after = before;
        after[Json::json_pointer(pointer)] = value;
        EXPECT_NE(progress_key(after), progress_key(before)) << pointer;
    }
}

TEST(Progress, a_backend_is_told_with_what_the_configuration_says_where_that_differs) {
    Json backend = backend_in("settled", 1);
    EXPECT_EQ(
        backend_sentence(backend),
        "web/10.0.0.5: drain (configured: ready), weight 1; settled, 1 flow is remembered for "
        "it");
    backend["state"] = "ready";
    backend["weight"] = 10u;
    backend["remembered"] = 0u;
    EXPECT_EQ(
        backend_sentence(backend),
        "web/10.0.0.5: ready, weight 10 (configured: 1); settled, no flows are remembered for "
        "it");
    backend["retired"] = true;
    EXPECT_EQ(state_text(backend), "retired");
}

TEST(Progress, a_span_is_never_told_shorter_than_it_is) {
    EXPECT_EQ(span_text(0), "0s");
    EXPECT_EQ(span_text(1), "1s");
    EXPECT_EQ(span_text(59'001), "1m");
    EXPECT_EQ(span_text(899'000), "14m59s");
}

}  // namespace
}  // namespace sluice::cli
