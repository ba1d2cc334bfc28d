// SPDX-License-Identifier: Apache-2.0

/// What is in force, was in force and may be in force again: roads, rollbacks, confirmations,
/// adoption and canaries, against the real kernel and a network that is told.

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "kernel/bpffs.h"
#include "kernel/pinned_generation.h"
#include "tests/unit/control/fixture.h"

namespace sluice::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Shape {
    std::string backends = "10.0.0.5, 10.0.0.6";
    std::string port = "80";
    std::string tail = {};  ///< Further sections.
};

const std::string kLifetimes =
    "lifetimes: {embryonic: 75s, established: 10s, closing: 2s, udp: 2s}";

std::string config_of(const Shape& shape) {
    return "version: 2\nnode: {name: test, interfaces: [eth0]}\ngroups:\n  web: {backends: [" +
           shape.backends + "]}\nservices:\n  - {name: http, vip: 192.0.2.10, port: " + shape.port +
           ", group: web, " + kLifetimes + "}\n" + shape.tail;
}

class GenerationsTest : public ControllerTest {
 protected:
    void SetUp() override {
        ControllerTest::SetUp();
        options_.clock = [this] { return clock_; };
        options_.wall_clock = [this] { return wall_; };
        boot(config_of({}));
    }

    void boot(const std::string& text) {
        write(text);
        start();
        for (int i = 5; i < 40; ++i)
            fake_->set(*IpAddress::parse("10.0.0." + std::to_string(i)), resolved());
        const auto applied = controller_->apply_file();
        ASSERT_TRUE(applied) << applied.error().what;
    }
    void restart() {
        controller_.reset();
        start();
        for (int i = 5; i < 40; ++i)
            fake_->set(*IpAddress::parse("10.0.0." + std::to_string(i)), resolved());
        const auto applied = controller_->apply_file();
        ASSERT_TRUE(applied) << applied.error().what;
    }
    Result<ApplyReport> apply(const Shape& shape, std::optional<plan::Road> road = std::nullopt,
                              std::optional<seconds> confirm = std::nullopt) {
        ApplyRequest request;
        request.text = config_of(shape);
        request.file = "-";
        request.author = "test";
        request.road = road;
        request.confirm_within = confirm;
        return controller_->apply(request);
    }
    void pass(milliseconds time) {
        const plan::Instant end = clock_ + time;
        while (clock_ < end) {
            clock_ += std::min<milliseconds>(Controller::kChangeTick * 4, end - clock_);
            controller_->on_change_tick();
        }
    }
    std::string live() const { return *kernel::find_live_generation(options_.bpffs, "test"); }
    std::vector<std::uint64_t> ring() const {
        return (*kernel::read_pinned_generation(live()))->rings.at(0).slots;
    }
    std::set<std::string> owners() const {
        std::set<std::string> out;
        std::map<std::uint32_t, std::string> names;
        for (const auto& backend : controller_->status().backends)
            names[backend.member] = backend.address.text();
        for (const std::uint64_t slot : ring()) out.insert(names[SLC_SLOT_CURRENT(slot)]);
        return out;
    }
    /// What packets meet is what history says, and can be told from the maps alone.
    void expect_whole() const {
        const auto found = kernel::config_from_kernel(options_.bpffs, "test");
        ASSERT_TRUE(found) << found.error().what;
        const auto said = config::parse(controller_->config_text(), "said");
        ASSERT_TRUE(said.ok());
        EXPECT_TRUE(*found == said.config);
    }

    plan::Instant clock_{std::chrono::hours(1)};
    history::WallTime wall_ = std::chrono::system_clock::now();
};

TEST_F(GenerationsTest, a_weight_takes_the_entry_road_and_no_other_program) {
    const std::string before = live();
    const auto done = apply({.backends = "{address: 10.0.0.5, weight: 3}, 10.0.0.6"});
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(done->plan.road, plan::Road::entry);
    EXPECT_EQ(done->generation, 2u);
    EXPECT_EQ(live(), before);
    expect_whole();
    pass(seconds(20));
    EXPECT_NEAR(controller_->status().backends.at(0).ring_share, 0.75, 0.02);
}

TEST_F(GenerationsTest, backends_come_and_go_by_the_map_road) {
    const std::string before = live();
    const auto done = apply({.backends = "10.0.0.6, 10.0.0.7, 10.0.0.8"});
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(done->plan.road, plan::Road::map);
    EXPECT_EQ(live(), before);
    expect_whole();
    pass(seconds(20));
    EXPECT_EQ(owners(), (std::set<std::string>{"10.0.0.6", "10.0.0.7", "10.0.0.8"}));
    EXPECT_EQ(controller_->status().backends.size(), 3u) << "the one that left has ended";
    ASSERT_TRUE(apply({.backends = "10.0.0.6, 10.0.0.7"}));
    expect_whole();
    pass(seconds(20));
    expect_whole();
    // Its id is not taken for somebody else's, and its cells are free: many can come and go.
    for (int i = 0; i < 30; ++i) {
        const auto again = apply({.backends = "10.0.0.6, 10.0.0." + std::to_string(9 + i % 20)});
        ASSERT_TRUE(again) << again.error().what;
        expect_whole();
        pass(seconds(20));
    }
    expect_whole();
}

TEST_F(GenerationsTest, a_backend_that_left_before_it_owned_a_slot_has_left) {
    ASSERT_TRUE(apply({.backends = "10.0.0.5, 10.0.0.6, 10.0.0.7"}));
    ASSERT_TRUE(apply({.backends = "10.0.0.5, 10.0.0.6"}));
    expect_whole();
    pass(seconds(20));
    EXPECT_EQ(controller_->status().backends.size(), 2u);
    expect_whole();
}

TEST_F(GenerationsTest, rings_grow_aside) {
    std::string many = "10.0.0.5";
    for (int i = 6; i < 30; ++i) many += ", 10.0.0." + std::to_string(i);
    const auto small = ring();
    const auto done = apply({.backends = many});
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(done->plan.road, plan::Road::map);
    const auto large = ring();
    ASSERT_GT(large.size(), small.size());
    for (std::size_t i = 0; i < large.size(); ++i)
        EXPECT_EQ(SLC_SLOT_CURRENT(large[i]), SLC_SLOT_CURRENT(small[i & (small.size() - 1)]));
    pass(seconds(20));
    EXPECT_EQ(owners().size(), 25u);
    expect_whole();
}

TEST_F(GenerationsTest, a_road_can_be_forced_only_where_it_is_consistent) {
    const auto service = apply({.port = "81"}, plan::Road::entry);
    ASSERT_FALSE(service);
    EXPECT_EQ(service.error().code, Errc::conflict) << service.error().what;
    const auto dearer =
        apply({.backends = "{address: 10.0.0.5, weight: 3}, 10.0.0.6"}, plan::Road::program);
    ASSERT_TRUE(dearer) << dearer.error().what;
    EXPECT_EQ(dearer->plan.road, plan::Road::program);
    expect_whole();
}

TEST_F(GenerationsTest, planning_touches_nothing) {
    const auto before = kernel::list_pins(options_.bpffs + "/test/gen");
    const auto state = kernel::list_pins(options_.bpffs + "/test/state");
    const auto slots = ring();
    for (const Shape& shape :
         {Shape{.port = "81"}, Shape{.backends = "10.0.0.7"}, Shape{.backends = "10.0.0.5"}}) {
        ApplyRequest request;
        request.text = config_of(shape);
        const auto planned = controller_->plan(request);
        ASSERT_TRUE(planned) << planned.error().what;
        EXPECT_FALSE(planned->plan.empty());
    }
    EXPECT_EQ(kernel::list_pins(options_.bpffs + "/test/gen"), before);
    EXPECT_EQ(kernel::list_pins(options_.bpffs + "/test/state"), state);
    EXPECT_EQ(ring(), slots);
    EXPECT_EQ(controller_->history(10)->size(), 1u);
}

TEST_F(GenerationsTest, rollback_to_a_loaded_generation_is_one_swap) {
    const std::string first = live();
    ASSERT_TRUE(apply({.port = "81"}));
    EXPECT_NE(live(), first);
    const auto back = controller_->rollback(std::nullopt, "test", "");
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(live(), first);
    EXPECT_EQ(back->generation, 3u);
    EXPECT_EQ(controller_->generation(3)->record.restores, 1u);
    expect_whole();
    // And once more: to what was before the rollback is nothing that was before generation 1.
    const auto forth = controller_->rollback(2, "test", "");
    ASSERT_TRUE(forth) << forth.error().what;
    expect_whole();
}

TEST_F(GenerationsTest, rollback_revives_no_dead_backend_and_no_old_address) {
    ASSERT_TRUE(apply({.port = "81"}));
    BackendOrder order;
    order.owner = "web";
    order.address = *IpAddress::parse("10.0.0.5");
    order.state = config::BackendState::down;
    ASSERT_TRUE(controller_->order(order));
    plan::NextHop moved = resolved();
    moved.destination = *MacAddress::parse("02:00:00:00:00:77");
    fake_->set(*IpAddress::parse("10.0.0.6"), moved);
    controller_->on_network();
    const auto back = controller_->rollback(1, "test", "");
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(owners(), std::set<std::string>{"10.0.0.6"});
    const auto backend = controller_->backend("web", *IpAddress::parse("10.0.0.6"));
    ASSERT_TRUE(backend);
    EXPECT_EQ(backend->next_mac.text(), "02:00:00:00:00:77");
    expect_whole();
}

TEST_F(GenerationsTest, backends_of_an_abandoned_generation_stay_while_slots_name_them) {
    ASSERT_TRUE(apply({.backends = "10.0.0.7, 10.0.0.8", .port = "81"}));
    pass(seconds(20));
    ASSERT_EQ(owners(), (std::set<std::string>{"10.0.0.7", "10.0.0.8"}));
    const auto slots = ring();
    const auto back = controller_->rollback(1, "test", "");
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->plan.road, plan::Road::program);
    const auto after = ring();
    ASSERT_EQ(after.size(), slots.size());
    for (std::size_t i = 0; i < slots.size(); ++i) {
        EXPECT_EQ(SLC_SLOT_CURRENT(after[i]), SLC_SLOT_CURRENT(slots[i]));
        EXPECT_NE(after[i] & SLC_SLOT_MARKED, 0u);
    }
    pass(seconds(20));
    EXPECT_EQ(owners(), (std::set<std::string>{"10.0.0.5", "10.0.0.6"}));
}

TEST_F(GenerationsTest, what_is_not_confirmed_undoes_itself) {
    const std::string first = live();
    const auto done = apply({.port = "81"}, std::nullopt, seconds(60));
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(done->outcome, history::Outcome::awaiting);
    EXPECT_FALSE(apply({.port = "82"})) << "one at a time";
    wall_ += seconds(59);
    controller_->on_tick();
    EXPECT_NE(live(), first);
    wall_ += seconds(2);
    controller_->on_tick();
    EXPECT_EQ(live(), first);
    EXPECT_EQ(controller_->generation(2)->record.outcome, history::Outcome::undone);
    expect_whole();
}

TEST_F(GenerationsTest, a_confirmation_that_never_came_is_undone_after_a_restart_too) {
    ASSERT_TRUE(apply({.port = "81"}, std::nullopt, seconds(60)));
    wall_ += seconds(30);
    restart();
    EXPECT_EQ(controller_->status().generation, 2u);
    wall_ += seconds(31);
    controller_->on_tick();
    EXPECT_EQ(controller_->config_text(), config_of({}));
    ASSERT_TRUE(apply({.port = "83"}, std::nullopt, seconds(60)));
    controller_.reset();
    wall_ += seconds(90);
    restart();
    EXPECT_EQ(controller_->config_text(), config_of({})) << "nobody was there at its time";
    expect_whole();
}

TEST_F(GenerationsTest, what_is_confirmed_stays) {
    ASSERT_TRUE(apply({.port = "81"}, std::nullopt, seconds(60)));
    ASSERT_TRUE(controller_->confirm());
    EXPECT_FALSE(controller_->confirm());
    wall_ += seconds(90);
    controller_->on_tick();
    EXPECT_EQ(controller_->status().generation, 2u);
}

TEST_F(GenerationsTest, a_daemon_adopts_what_it_finds_without_a_swap) {
    ASSERT_TRUE(apply({.backends = "10.0.0.5, 10.0.0.6, 10.0.0.7"}));
    pass(seconds(20));
    const std::string before = live();
    const auto slots = ring();
    restart();
    EXPECT_EQ(live(), before);
    EXPECT_EQ(ring(), slots);
    EXPECT_EQ(controller_->status().generation, 2u);
    expect_whole();
    // It is as good as one that was loaded here.
    const auto done = apply({.backends = "10.0.0.6, 10.0.0.7, 10.0.0.8"});
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(done->plan.road, plan::Road::map);
    pass(seconds(20));
    EXPECT_EQ(owners(), (std::set<std::string>{"10.0.0.6", "10.0.0.7", "10.0.0.8"}));
    expect_whole();
}

TEST_F(GenerationsTest, rollbacks_reach_generations_of_an_earlier_daemon) {
    const std::string first = live();
    ASSERT_TRUE(apply({.port = "81"}));
    restart();
    const auto back = controller_->rollback(1, "test", "");
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(live(), first) << "still loaded";
    expect_whole();
}

TEST_F(GenerationsTest, a_file_that_changed_while_nobody_looked_is_applied) {
    controller_.reset();
    write(config_of({.port = "81"}));
    restart();
    EXPECT_EQ(controller_->config_text(), config_of({.port = "81"}));
    EXPECT_EQ(controller_->status().generation, 2u);
}

TEST_F(GenerationsTest, what_was_applied_outlives_a_file_that_did_not_change) {
    ASSERT_TRUE(apply({.port = "81"}));
    restart();
    EXPECT_EQ(controller_->config_text(), config_of({.port = "81"}));
}

TEST_F(GenerationsTest, a_broken_file_boots_the_last_good_generation) {
    for (const char* broken : {"version: 2\nnode: [", "version: 9\n"}) {
        controller_.reset();
        write(broken);
        restart();
        EXPECT_EQ(controller_->config_text(), config_of({}));
        EXPECT_FALSE(controller_->status().problems.empty());
    }
}

TEST_F(GenerationsTest, a_test_that_does_not_hold_refuses_the_change) {
    const auto slots = ring();
    const std::string tail =
        "tests:\n  - name: wrong port\n"
        "    packet: tcp 198.51.100.7:1234 > 192.0.2.10:80 syn\n"
        "    expect: {verdict: forward}\n";
    const auto refused = apply({.port = "81", .tail = tail});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::conflict);
    EXPECT_NE(refused.error().what.find("wrong port"), std::string::npos) << refused.error().what;
    EXPECT_EQ(ring(), slots);
    const auto fine = apply({.tail = tail});
    ASSERT_TRUE(fine) << fine.error().what;
    EXPECT_EQ(fine->plan.proof.tests, 1u);
    expect_whole();
}

TEST_F(GenerationsTest, only_as_many_stay_loaded_as_the_node_keeps) {
    for (int port = 81; port < 88; ++port) ASSERT_TRUE(apply({.port = std::to_string(port)}));
    EXPECT_EQ(kernel::list_pins(options_.bpffs + "/test/gen").size(), 4u);
    int loaded = 0;
    const auto known = controller_->history(20);
    ASSERT_TRUE(known);
    for (const auto& each : *known) loaded += each.loaded ? 1 : 0;
    EXPECT_EQ(loaded, 4);
    // One that is not loaded any more comes back, too.
    const auto back = controller_->rollback(1, "test", "");
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(controller_->config_text(), config_of({}));
}

TEST_F(GenerationsTest, a_canary_goes_on_or_back) {
    for (const bool promote : {false, true}) {
        ApplyRequest request;
        request.text = config_of({.backends = "10.0.0.7, 10.0.0.8"});
        request.file = "-";
        request.canary = Canary{{}, 0.5};
        const auto begun = controller_->apply(request);
        ASSERT_TRUE(begun) << begun.error().what;
        EXPECT_EQ(begun->outcome, history::Outcome::canary);
        ASSERT_TRUE(controller_->canary());
        EXPECT_FALSE(apply({.port = "82"})) << "one at a time";
        pass(seconds(30));
        EXPECT_EQ(owners(), (std::set<std::string>{"10.0.0.5", "10.0.0.6"}));
        const auto ended = controller_->end_canary(promote);
        ASSERT_TRUE(ended) << ended.error().what;
        EXPECT_FALSE(controller_->canary());
        pass(seconds(30));
        EXPECT_EQ(owners(), promote ? (std::set<std::string>{"10.0.0.7", "10.0.0.8"})
                                    : (std::set<std::string>{"10.0.0.5", "10.0.0.6"}));
        expect_whole();
    }
}

TEST_F(GenerationsTest, a_canary_from_the_file_that_was_taken_back_stays_back) {
    const std::string text = config_of({.backends = "10.0.0.7, 10.0.0.8"});
    write(text);
    ApplyRequest request;
    request.text = text;
    request.file = options_.config_file;
    request.canary = Canary{{}, 0.1};
    ASSERT_TRUE(controller_->apply(request));
    restart();
    EXPECT_FALSE(controller_->canary());
    EXPECT_EQ(controller_->config_text(), config_of({}));
}

TEST_F(GenerationsTest, a_canary_without_a_group_leaves_its_backends_to_the_others) {
    const std::string two =
        "version: 2\nnode: {name: test, interfaces: [eth0]}\ngroups:\n"
        "  web: {backends: [10.0.0.5, 10.0.0.6]}\n  api: {backends: [10.0.0.7, 10.0.0.8]}\n"
        "services:\n  - {name: http, vip: 192.0.2.10, port: 80, group: web, " +
        kLifetimes + "}\n  - {name: api, vip: 192.0.2.11, port: 80, group: api, " + kLifetimes +
        "}\n";
    ApplyRequest request;
    request.text = two;
    ASSERT_TRUE(controller_->apply(request));
    request.text = config_of({});
    request.canary = Canary{{}, 0.1};
    const auto begun = controller_->apply(request);
    ASSERT_TRUE(begun) << begun.error().what;
    BackendOrder order;
    order.owner = "api";
    order.address = *IpAddress::parse("10.0.0.7");
    order.state = config::BackendState::down;
    ASSERT_TRUE(controller_->order(order));
    const auto found = kernel::read_pinned_generation(live());
    for (const std::uint64_t slot : (*found)->rings.at(1).slots)
        ASSERT_NE(SLC_SLOT_CURRENT(slot), 0u);
    ASSERT_TRUE(controller_->end_canary(false));
}

TEST_F(GenerationsTest, orders_outlive_a_change_that_undoes_itself) {
    BackendOrder order;
    order.owner = "web";
    order.address = *IpAddress::parse("10.0.0.5");
    order.state = config::BackendState::down;
    ASSERT_TRUE(controller_->order(order));
    ASSERT_TRUE(apply({.backends = "10.0.0.6"}, std::nullopt, seconds(10)));
    wall_ += seconds(11);
    controller_->on_tick();
    EXPECT_EQ(controller_->config_text(), config_of({}));
    pass(seconds(20));
    EXPECT_EQ(owners(), std::set<std::string>{"10.0.0.6"});
}

TEST_F(GenerationsTest, planning_another_flow_table_leaves_rollbacks_one_swap) {
    const std::string first = live();
    ASSERT_TRUE(apply({.port = "81"}));
    ApplyRequest request;
    request.text = config_of({});
    request.text.replace(request.text.find("[eth0]"), 6, "[eth0], flows: {entries: 4096}");
    ASSERT_TRUE(controller_->plan(request));
    const auto back = controller_->rollback(1, "test", "");
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(live(), first);
}

TEST_F(GenerationsTest, what_a_start_replaced_can_be_rolled_back_to) {
    const std::string first = live();
    controller_.reset();
    write(config_of({.port = "81"}));
    restart();
    const auto back = controller_->rollback(std::nullopt, "test", "");
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(controller_->config_text(), config_of({}));
    EXPECT_EQ(live(), first) << "still loaded";
}

TEST_F(GenerationsTest, ids_that_were_lost_are_not_taken_for_others) {
    ASSERT_TRUE(apply({.backends = "10.0.0.5, 10.0.0.6, 10.0.0.4"}));
    fake_->set(*IpAddress::parse("10.0.0.4"), resolved());
    pass(seconds(20));
    controller_.reset();
    std::remove("/mnt/state/ids.json");
    restart();
    expect_whole();
}

}  // namespace
}  // namespace sluice::control
