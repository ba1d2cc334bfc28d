// SPDX-License-Identifier: Apache-2.0
#include "control/overrides.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace sluice::control {
namespace {

constexpr const char* kPath = "/mnt/overrides.json";

class OverridesTest : public testing::Test {
 protected:
    void TearDown() override { std::remove(kPath); }
};

TEST_F(OverridesTest, no_file_means_no_override) {
    const auto store = OverrideStore::load(kPath);
    ASSERT_TRUE(store);
    EXPECT_TRUE(store->all().empty());
}

TEST_F(OverridesTest, what_is_saved_is_loaded) {
    auto store = *OverrideStore::load(kPath);
    const auto until = std::chrono::system_clock::from_time_t(4'000'000'000);
    store.set("web/10.0.0.5", {config::BackendState::drain, std::nullopt}, until);
    store.set("web/2001:db8::5", {std::nullopt, 0u}, std::nullopt);
    store.set("web/2001:db8::5", {config::BackendState::down, std::nullopt}, std::nullopt);
    ASSERT_TRUE(store.save());
    const auto again = OverrideStore::load(kPath);
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_EQ(again->all(), store.all());
    EXPECT_EQ(again->overrides(), store.overrides());
    EXPECT_EQ(again->find("web/2001:db8::5")->what.weight, 0u) << "what is not set stays";
}

TEST_F(OverridesTest, they_end_with_their_time) {
    auto store = *OverrideStore::load(kPath);
    const auto until = std::chrono::system_clock::from_time_t(1000);
    store.set("web/10.0.0.5", {config::BackendState::drain, std::nullopt}, until);
    EXPECT_FALSE(store.expire(until - std::chrono::seconds(1)));
    EXPECT_TRUE(store.expire(until));
    EXPECT_TRUE(store.overrides().empty());
}

TEST_F(OverridesTest, state_and_weight_end_each_in_its_own_time) {
    auto store = *OverrideStore::load(kPath);
    const auto until = std::chrono::system_clock::from_time_t(1000);
    store.set("web/10.0.0.5", {config::BackendState::maint, std::nullopt}, std::nullopt);
    store.set("web/10.0.0.5", {std::nullopt, 3u}, until);
    store.set_deadline("web/10.0.0.5", until);
    ASSERT_TRUE(store.save());
    store = *OverrideStore::load(kPath);
    EXPECT_EQ(store.find("web/10.0.0.5")->until(), until);
    EXPECT_EQ(store.find("web/10.0.0.5")->deadline, until);
    EXPECT_TRUE(store.expire(until));
    EXPECT_EQ(store.overrides().at("web/10.0.0.5").state, config::BackendState::maint);
    EXPECT_FALSE(store.overrides().at("web/10.0.0.5").weight);
}

TEST_F(OverridesTest, a_file_that_nobody_wrote_is_refused) {
    const char* faulty[] = {
        "",
        "[]",
        "{\"schema_version\": 2, \"backends\": {}}",
        "{\"schema_version\": 1}",
        "{\"schema_version\": 1, \"backends\": {\"web/1\": 3}}",
        "{\"schema_version\": 1, \"backends\": {\"web/1\": {\"state\": \"gone\"}}}",
        "{\"schema_version\": 1, \"backends\": {\"web/1\": {\"weight\": 1001}}}",
        "{\"schema_version\": 1, \"backends\": {\"web/1\": {\"weight\": -1}}}",
        "{\"schema_version\": 1, \"backends\": {\"web/1\": {\"state_until\": \"soon\"}}}",
        "{\"schema_version\": 1, \"backends\": {\"web/1\": {\"colour\": 1}}}",
    };
    for (const char* text : faulty) {
        std::ofstream(kPath) << text;
        const auto store = OverrideStore::load(kPath);
        ASSERT_FALSE(store) << text;
        EXPECT_EQ(store.error().code, Errc::invalid) << text;
        EXPECT_NE(store.error().what.find("runtime overrides"), std::string::npos) << text;
    }
}

}  // namespace
}  // namespace sluice::control
