// SPDX-License-Identifier: Apache-2.0

/// Planned changes through the controller: real maps and programs, a clock of the test, and flows
/// put into the table by hand.

#include <algorithm>
#include <atomic>
#include <map>

#include "kernel/bpffs.h"
#include "kernel/flow_map.h"
#include "kernel/mapped_value.h"
#include "kernel/pinned_generation.h"
#include "sluice/hash.h"
#include "tests/unit/control/fixture.h"

namespace sluice::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kPrepare{3000};
constexpr milliseconds kWindow{10000};  // established: 10s
constexpr milliseconds kPassed{600};    // longer than what is in flight, or a tick

/// One service on a group of these backends ("10.0.0.5, 10.0.0.6").
std::string config_of(const std::string& backends, const std::string& group_extra = "",
                      const std::string& node_extra = "", const std::string& group = "web") {
    return "version: 1\nnode: {name: test, interfaces: [eth0]" + node_extra + "}\ngroups:\n  " +
           group + ": {" + group_extra + "backends: [" + backends + "]}\nservices:\n" +
           "  - {name: http, vip: 192.0.2.10, port: 80, group: " + group +
           ", lifetimes: {embryonic: 75s, established: 10s, closing: 2s, udp: 2s}}\n";
}

class ChangesTest : public ControllerTest {
 protected:
    void SetUp() override {
        ControllerTest::SetUp();
        options_.clock = [this] { return clock_; };
    }

    void apply(const std::string& text) {
        write(text);
        if (!controller_) start();
        const auto applied = controller_->apply_file();
        ASSERT_TRUE(applied) << applied.error().what;
    }
    void restart() {
        controller_.reset();
        start();
        const auto applied = controller_->apply_file();
        ASSERT_TRUE(applied) << applied.error().what;
    }
    /// Time goes on; changes and the sweep with it.
    void pass(milliseconds time) {
        const plan::Instant end = clock_ + time;
        while (clock_ < end) {
            clock_ += std::min<milliseconds>(Controller::kChangeTick * 4, end - clock_);
            controller_->on_change_tick();
        }
    }
    Result<BackendStatus> order(const std::string& backend, config::BackendState state,
                                std::optional<seconds> deadline = std::nullopt) {
        BackendOrder out;
        out.owner = backend.substr(0, backend.find('/'));
        out.address = *IpAddress::parse(backend.substr(backend.find('/') + 1));
        out.state = state;
        out.deadline = deadline;
        return controller_->order(out);
    }
    /// A ring that packets read, by the pins.
    std::vector<std::uint64_t> ring(std::size_t index = 0) const {
        const auto pinned =
            kernel::read_pinned_generation(*kernel::find_live_generation(options_.bpffs, "test"));
        return (*pinned)->rings.at(index).slots;
    }
    /// All its slots, as packets read them, become steady ones of this member.
    void serve_ring(std::size_t index, std::uint32_t id) const {
        const std::string pins = *kernel::find_live_generation(options_.bpffs, "test");
        const auto tables = kernel::read_pinned_tables(pins);
        const UniqueFd fd = *kernel::open_pin(pins + "/slc_live");
        const auto live =
            kernel::MappedValue::map(fd.get(), tables->node.slots_at + 8 * tables->node.slots, "");
        const std::uint64_t place = tables->rings.at(index);
        for (std::uint64_t& slot : live->records<std::uint64_t>(
                 tables->node.slots_at + 8 * SLC_RING_OFFSET(place), 1U << SLC_RING_LOG2(place)))
            std::atomic_ref(slot).store(SLC_SLOT_MAKE(id, id, 0));
    }
    std::uint32_t member(const std::string& address) const {
        for (const auto& backend : controller_->status().backends)
            if (backend.address.text() == address) return backend.member;
        return 0;
    }
    std::map<std::uint32_t, int> owners() const {
        std::map<std::uint32_t, int> out;
        for (const std::uint64_t slot : ring()) ++out[SLC_SLOT_CURRENT(slot)];
        return out;
    }
    static int count(const std::vector<std::uint64_t>& slots, std::uint64_t flag) {
        return static_cast<int>(std::count_if(
            slots.begin(), slots.end(), [flag](std::uint64_t slot) { return (slot & flag) != 0; }));
    }
    kernel::FlowMap table() const {
        return *kernel::FlowMap::open(options_.bpffs + "/test/state", {});
    }
    /// A live flow of this slot, remembered for the member.
    void remember(std::uint32_t slot, std::uint32_t id, std::uint8_t ticks = 100) {
        kernel::FlowMap flows = table();
        const auto& current = flows.current();
        const std::uint64_t hash =
            (std::uint64_t{++flows_made_} << 50) | (std::uint64_t{slot} << 30);
        auto& bucket = current.buckets()[slc_flow_bucket_of(hash, current.geometry.log2)];
        for (std::uint64_t& place : bucket.entry) {
            if (place != 0) continue;
            place = slc_flow_entry(hash, SLC_FLOW_ESTABLISHED, id,
                                   static_cast<slc_u8>(current.tick() + ticks));
            return;
        }
        FAIL() << "the bucket is full";
    }
    std::uint64_t count_flows(const FlowQuery& query = {}) {
        return walk(query, FlowAction::count);
    }
    std::uint64_t walk(const FlowQuery& query, FlowAction action) {
        std::uint64_t matched = 0, cursor = 0;
        for (bool done = false; !done;) {
            const auto page = controller_->flows(query, action, cursor);
            EXPECT_TRUE(page) << page.error().what;
            if (!page) return 0;
            matched += page->matched;
            EXPECT_TRUE(page->done || page->next > cursor);
            cursor = page->next;
            done = page->done;
        }
        return matched;
    }
    BackendStatus backend(const std::string& address) {
        const auto found = controller_->backend("web", *IpAddress::parse(address));
        EXPECT_TRUE(found) << found.error().what;
        return found ? *found : BackendStatus{};
    }

    plan::Instant clock_{1'000'000};
    std::uint64_t flows_made_ = 0;
};

TEST_F(ChangesTest, drain_prepares_moves_and_ends) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const std::uint32_t leaving = member("10.0.0.5");
    const auto before = ring();
    const auto ordered = order("web/10.0.0.5", config::BackendState::drain);
    ASSERT_TRUE(ordered) << ordered.error().what;
    EXPECT_FALSE(ordered->change.settled());
    EXPECT_EQ(ordered->change.preparing_slots, static_cast<std::uint32_t>(owners()[leaving]));

    pass(kPrepare - milliseconds(100));
    for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_EQ(SLC_SLOT_CURRENT(ring()[i]), SLC_SLOT_CURRENT(before[i])) << "still preparing";
    pass(milliseconds(200));
    EXPECT_EQ(owners()[leaving], 0) << "new flows go elsewhere";
    for (std::size_t i = 0; i < before.size(); ++i)
        if (SLC_SLOT_CURRENT(before[i]) == leaving) {
            EXPECT_EQ(SLC_SLOT_PREVIOUS(ring()[i]), leaving);
            EXPECT_NE(ring()[i] & SLC_SLOT_OPEN, 0u);
        }

    pass(kWindow);
    EXPECT_EQ(count(ring(), SLC_SLOT_OPEN), 0);
    pass(seconds(1));
    EXPECT_EQ(count(ring(), SLC_SLOT_MARKED), 0) << "nothing is remembered: steady again";
    EXPECT_TRUE(backend("10.0.0.5").change.settled());
}

TEST_F(ChangesTest, a_remembered_flow_keeps_its_slot_marked_and_its_backend_draining) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const std::uint32_t leaving = member("10.0.0.5");
    const auto before = ring();
    std::uint32_t slot = 0;
    while (SLC_SLOT_CURRENT(before[slot]) != leaving) ++slot;
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::drain));
    remember(slot, leaving);
    pass(kPrepare + kWindow + seconds(3));
    EXPECT_EQ(count(ring(), SLC_SLOT_MARKED), 1);
    EXPECT_NE(ring()[slot] & SLC_SLOT_MARKED, 0u);
    EXPECT_EQ(backend("10.0.0.5").remembered, 1u);
    EXPECT_FALSE(backend("10.0.0.5").change.settled());
    EXPECT_EQ(walk({.group = "web", .backend = IpAddress::parse("10.0.0.5")}, FlowAction::purge),
              1u);
    pass(seconds(1));
    EXPECT_TRUE(backend("10.0.0.5").change.settled());
    EXPECT_EQ(backend("10.0.0.5").remembered, 0u);
    EXPECT_EQ(backend("10.0.0.5").cut, 1u) << "a purge is a cut";
}

TEST_F(ChangesTest, a_deadline_closes_refusing_slots_and_forgets_what_is_elsewhere) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const std::uint32_t leaving = member("10.0.0.5");
    std::uint32_t slot = 0;
    while (SLC_SLOT_CURRENT(ring()[slot]) != leaving) ++slot;
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::drain, seconds(5)));
    remember(slot, leaving);
    pass(seconds(4));
    EXPECT_GT(count(ring(), SLC_SLOT_OPEN), 0);
    EXPECT_GT(backend("10.0.0.5").change.deadline_left.count(), 0);
    pass(seconds(2));
    EXPECT_EQ(count(ring(), SLC_SLOT_OPEN), 0);
    pass(seconds(1));
    EXPECT_EQ(count(ring(), SLC_SLOT_MARKED), 0);
    EXPECT_EQ(count_flows(), 0u);
    EXPECT_EQ(backend("10.0.0.5").cut, 1u);
}

TEST_F(ChangesTest, a_deadline_spares_the_flows_of_backends_that_stay) {
    apply(config_of("10.0.0.5, 10.0.0.6, 10.0.0.7", "deadline: 5s, "));
    const std::uint32_t leaving = member("10.0.0.5");
    std::uint32_t slot = 0;
    while (SLC_SLOT_CURRENT(ring()[slot]) != leaving) ++slot;
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::drain));
    pass(kPrepare + kPassed);
    const std::uint32_t staying = SLC_SLOT_CURRENT(ring()[slot]) == member("10.0.0.6")
                                      ? member("10.0.0.7")
                                      : member("10.0.0.6");
    remember(slot, staying);  // of an earlier change of this slot
    remember(slot, leaving);
    pass(seconds(5));
    EXPECT_EQ(count_flows(), 1u);
    EXPECT_NE(ring()[slot] & SLC_SLOT_MARKED, 0u) << "it is still asked for";
    EXPECT_EQ(backend("10.0.0.5").cut, 1u);
    EXPECT_TRUE(backend("10.0.0.5").change.settled()) << "nothing is owed to it any more";
}

TEST_F(ChangesTest, a_failed_backend_leaves_at_once_and_only_its_own_slots_move) {
    apply(config_of("10.0.0.5, 10.0.0.6, 10.0.0.7"));
    const std::uint32_t failed = member("10.0.0.5");
    const auto before = ring();
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::down));
    const auto after = ring();
    for (std::size_t i = 0; i < before.size(); ++i) {
        if (SLC_SLOT_CURRENT(before[i]) != failed) {
            EXPECT_EQ(after[i], before[i]);
            continue;
        }
        EXPECT_NE(SLC_SLOT_CURRENT(after[i]), failed);
        EXPECT_EQ(SLC_SLOT_PREVIOUS(after[i]), SLC_SLOT_CURRENT(after[i]));
        EXPECT_EQ(after[i] & SLC_SLOT_OPEN, 0u);
    }
    remember(3, failed);
    pass(seconds(3));
    EXPECT_EQ(count_flows(), 0u) << "nothing is remembered for a dead member";
}

TEST_F(ChangesTest, on_down_keep_treats_a_failure_as_a_drain) {
    apply(config_of("10.0.0.5, 10.0.0.6", "on_down: keep, "));
    const auto before = owners();
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::down));
    EXPECT_EQ(owners(), before) << "preparing";
    pass(kPrepare + kPassed);
    EXPECT_EQ(owners()[member("10.0.0.5")], 0);
    EXPECT_GT(count(ring(), SLC_SLOT_OPEN), 0);
}

TEST_F(ChangesTest, an_undone_drain_is_over_at_once) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const auto before = owners();
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::drain));
    pass(kPrepare + seconds(1));
    BackendOrder back;
    back.owner = "http";
    back.address = *IpAddress::parse("10.0.0.5");
    back.reset = true;
    ASSERT_TRUE(controller_->order(back));
    EXPECT_EQ(owners(), before);
    EXPECT_EQ(count(ring(), SLC_SLOT_OPEN), 0);
    pass(seconds(2));
    EXPECT_EQ(count(ring(), SLC_SLOT_MARKED), 0);
}

TEST_F(ChangesTest, a_removed_backend_stays_until_its_last_flow_has_ended) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const std::uint32_t gone = member("10.0.0.5");
    std::uint32_t slot = 0;
    while (SLC_SLOT_CURRENT(ring()[slot]) != gone) ++slot;
    apply(config_of("10.0.0.6, 10.0.0.7"));
    EXPECT_TRUE(backend("10.0.0.5").retired);
    EXPECT_TRUE(fake_->watched().contains(*IpAddress::parse("10.0.0.5")));
    remember(slot, gone);
    pass(kPrepare + kWindow + seconds(3));
    EXPECT_EQ(owners()[gone], 0);
    EXPECT_EQ(backend("10.0.0.5").remembered, 1u);

    apply(config_of("10.0.0.6, 10.0.0.7"));
    EXPECT_TRUE(backend("10.0.0.5").retired) << "a reload does not end it";
    EXPECT_EQ(order("web/10.0.0.5", config::BackendState::ready).error().code, Errc::conflict);
    (void)walk({}, FlowAction::purge);
    pass(seconds(5));
    EXPECT_EQ(member("10.0.0.5"), 0u);
    EXPECT_FALSE(fake_->watched().contains(*IpAddress::parse("10.0.0.5")));
}

TEST_F(ChangesTest, a_backend_that_comes_back_has_its_id_and_its_flows) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const std::uint32_t id = member("10.0.0.5");
    apply(config_of("10.0.0.6"));
    pass(kPrepare + seconds(1));
    apply(config_of("10.0.0.5, 10.0.0.6"));
    EXPECT_EQ(member("10.0.0.5"), id);
    EXPECT_FALSE(backend("10.0.0.5").retired);
    EXPECT_EQ(count(ring(), SLC_SLOT_OPEN), 0) << "undone half-way: nothing is old any more";
}

TEST_F(ChangesTest, a_swap_itself_moves_no_slot) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    pass(milliseconds(400));
    const auto before = ring();
    apply(config_of("10.0.0.6, 10.0.0.7, 10.0.0.8"));
    const auto after = ring();
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_EQ(SLC_SLOT_CURRENT(after[i]), SLC_SLOT_CURRENT(before[i]));
}

TEST_F(ChangesTest, reloads_do_not_begin_a_window_anew) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::drain));
    for (int i = 0; i < 4; ++i) {
        pass((kPrepare + kWindow) / 4);
        apply(config_of("10.0.0.5, 10.0.0.6"));
    }
    pass(seconds(1));
    EXPECT_EQ(count(ring(), SLC_SLOT_OPEN), 0);
    EXPECT_EQ(backend("10.0.0.5").state, config::BackendState::drain)
        << "an order outlives reloads";
    EXPECT_TRUE(backend("10.0.0.5").overridden);
}

TEST_F(ChangesTest, a_daemon_that_was_killed_half_way_goes_on) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const std::uint32_t leaving = member("10.0.0.5");
    std::uint32_t slot = 0;
    while (SLC_SLOT_CURRENT(ring()[slot]) != leaving) ++slot;
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::drain));
    pass(kPrepare + seconds(1));
    const auto before = ring();
    ASSERT_GT(count(before, SLC_SLOT_OPEN), 0);
    restart();
    EXPECT_EQ(ring(), before);
    EXPECT_EQ(member("10.0.0.5"), leaving);
    EXPECT_EQ(backend("10.0.0.5").state, config::BackendState::drain);
    pass(kWindow + seconds(2));
    EXPECT_EQ(count(ring(), SLC_SLOT_MARKED), 0);
}

TEST_F(ChangesTest, a_backend_that_was_removed_while_the_daemon_was_away_is_not_forgotten) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const std::uint32_t gone = member("10.0.0.5");
    controller_.reset();
    apply(config_of("10.0.0.6"));
    EXPECT_TRUE(backend("10.0.0.5").retired);
    EXPECT_GT(owners()[gone], 0) << "its slots are being prepared";
    pass(kPrepare + kPassed);
    EXPECT_EQ(owners()[gone], 0);
}

TEST_F(ChangesTest, a_service_that_changes_its_group_keeps_its_connections) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    pass(milliseconds(400));
    const auto before = ring();
    std::map<std::uint32_t, std::string> addresses;
    for (const auto& backend : controller_->status().backends)
        addresses[backend.member] = backend.address.text();
    apply(config_of("10.0.0.6, 10.0.0.7", "", "", "other"));
    for (const auto& backend : controller_->status().backends)
        addresses[backend.member] = backend.address.text();
    const auto after = ring();
    for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_EQ(addresses[SLC_SLOT_CURRENT(after[i])], addresses[SLC_SLOT_CURRENT(before[i])]);
}

TEST_F(ChangesTest, rings_grow_by_splitting_and_shrink_when_settled) {
    std::string many;
    for (int i = 5; i < 25; ++i)
        many += (many.empty() ? "" : ", ") + ("10.0.0." + std::to_string(i));
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const auto small = ring();
    apply(config_of(many));
    const auto large = ring();
    ASSERT_GT(large.size(), small.size());
    for (std::size_t i = 0; i < large.size(); ++i)
        EXPECT_EQ(SLC_SLOT_CURRENT(large[i]), SLC_SLOT_CURRENT(small[i & (small.size() - 1)]));
    pass(kPrepare + kWindow + seconds(2));
    EXPECT_EQ(owners().size(), 20u);

    apply(config_of("10.0.0.5, 10.0.0.6"));
    EXPECT_EQ(ring().size(), large.size()) << "not before it is settled";
    pass(kPrepare + kWindow + seconds(2));
    EXPECT_EQ(ring().size(), small.size());
    EXPECT_EQ(ring(), small);
}

TEST_F(ChangesTest, a_resized_flow_table_is_left_when_nothing_lives_in_it) {
    apply(config_of("10.0.0.5, 10.0.0.6", "", ", flows: {entries: 4096}"));
    remember(3, member("10.0.0.5"));
    apply(config_of("10.0.0.5, 10.0.0.6", "", ", flows: {entries: 65536}"));
    EXPECT_EQ(controller_->maps().maps.at(0).capacity, 65536u);
    EXPECT_EQ(count_flows(), 1u);
    pass(seconds(5));
    controller_->on_tick();
    EXPECT_EQ(controller_->maps().maps.at(0).leaving, 1u);
    ASSERT_TRUE(table().leaving());

    // Another size has to wait for it.
    apply(config_of("10.0.0.5, 10.0.0.6", "", ", flows: {entries: 8192}"));
    EXPECT_EQ(controller_->maps().maps.at(0).capacity, 65536u);
    (void)walk({}, FlowAction::purge);
    pass(seconds(5));
    controller_->on_tick();
    EXPECT_EQ(controller_->maps().maps.at(0).capacity, 8192u);
    pass(seconds(5));
    controller_->on_tick();
    EXPECT_FALSE(table().leaving());
}

TEST_F(ChangesTest, a_refused_change_takes_its_flow_table_back) {
    apply(config_of("10.0.0.5, 10.0.0.6", "", ", flows: {entries: 4096}"));
    remember(3, member("10.0.0.5"));
    write(config_of("10.0.0.5, 10.0.0.6", "", ", next: /none, flows: {entries: 65536}"));
    EXPECT_FALSE(controller_->apply_file());
    EXPECT_EQ(controller_->maps().maps.at(0).capacity, 4096u);
    EXPECT_FALSE(table().leaving());
    EXPECT_EQ(count_flows(), 1u);
}

TEST_F(ChangesTest, orders_end_with_their_time_and_with_their_backend) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    BackendOrder weight;
    weight.owner = "web";
    weight.address = *IpAddress::parse("10.0.0.5");
    weight.weight = 7;
    weight.keep = seconds(3600);
    const auto ordered = controller_->order(weight);
    ASSERT_TRUE(ordered) << ordered.error().what;
    EXPECT_EQ(ordered->weight, 7u);
    EXPECT_EQ(ordered->configured_weight, 1u);
    EXPECT_GT(ordered->override_left, seconds(3500));
    // Kept as long as a rollback may bring the backend back, not longer.
    apply(config_of("10.0.0.6"));
    apply(config_of("10.0.0.5, 10.0.0.6"));
    EXPECT_EQ(backend("10.0.0.5").weight, 7u);
    apply(config_of("10.0.0.6"));
    apply(config_of("10.0.0.6, 10.0.0.7"));
    apply(config_of("10.0.0.5, 10.0.0.6"));
    EXPECT_EQ(backend("10.0.0.5").weight, 1u);
    EXPECT_FALSE(backend("10.0.0.5").overridden);
}

TEST_F(ChangesTest, orders_that_make_no_sense_are_refused) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    BackendOrder order;
    order.owner = "web";
    order.address = *IpAddress::parse("10.0.0.9");
    order.weight = 1;
    EXPECT_EQ(controller_->order(order).error().code, Errc::not_found);
    order.owner = "nobody";
    EXPECT_EQ(controller_->order(order).error().code, Errc::not_found);
    order.owner = "web";
    order.address = *IpAddress::parse("10.0.0.5");
    order.weight = SLC_MAX_WEIGHT + 1;
    EXPECT_EQ(controller_->order(order).error().code, Errc::invalid);
    order.weight.reset();
    EXPECT_EQ(controller_->order(order).error().code, Errc::invalid) << "nothing to set";
    order.reset = true;
    order.state = config::BackendState::drain;
    EXPECT_EQ(controller_->order(order).error().code, Errc::invalid) << "reset and set";
    EXPECT_FALSE(backend("10.0.0.5").overridden);
}

TEST_F(ChangesTest, flows_are_filtered_by_group_backend_class_and_age) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    remember(1, member("10.0.0.5"), 15);  // of 19 ticks of 0.54 s: two seconds old
    remember(2, member("10.0.0.6"), 19);
    EXPECT_EQ(count_flows(), 2u);
    EXPECT_EQ(count_flows({.group = "web"}), 2u);
    EXPECT_EQ(count_flows({.group = "http", .backend = IpAddress::parse("10.0.0.5")}), 1u);
    EXPECT_EQ(count_flows({.flow_class = FlowClass::embryonic}), 0u);
    EXPECT_EQ(count_flows({.flow_class = FlowClass::established}), 2u);
    EXPECT_EQ(count_flows({.min_age = seconds(2)}), 1u);
    EXPECT_EQ(count_flows({.max_age = seconds(1)}), 1u);
    EXPECT_EQ(controller_->flows({.group = "none"}, FlowAction::count, 0).error().code,
              Errc::not_found);
    EXPECT_EQ(
        controller_
            ->flows({.group = "web", .backend = IpAddress::parse("10.0.0.9")}, FlowAction::count, 0)
            .error()
            .code,
        Errc::not_found);
}

TEST_F(ChangesTest, explains_where_a_flow_goes_and_why) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    FlowTuple tuple;
    tuple.source = *IpAddress::parse("198.51.100.7");
    tuple.source_port = 1234;
    tuple.destination = *IpAddress::parse("192.0.2.10");
    tuple.destination_port = 80;
    const auto why = [&] { return controller_->flow(tuple)->why; };
    EXPECT_EQ(why(), "ring");
    const auto owner = controller_->flow(tuple)->backend->text();
    ASSERT_TRUE(order("web/" + owner, config::BackendState::drain));
    EXPECT_EQ(why(), "previous");
    tuple.syn = true;
    EXPECT_EQ(why(), "ring");
    EXPECT_EQ(count_flows(), 0u) << "asking writes nothing";
    pass(kPrepare + kPassed);
    EXPECT_NE(controller_->flow(tuple)->backend->text(), owner);
    tuple.syn = false;
    EXPECT_EQ(controller_->flow(tuple)->backend->text(), owner);
    tuple.destination_port = 81;
    EXPECT_EQ(why(), "no_such_port");
    tuple.destination = *IpAddress::parse("192.0.2.11");
    EXPECT_EQ(why(), "not_ours");
    tuple.source = *IpAddress::parse("2001:db8::1");
    EXPECT_EQ(controller_->flow(tuple).error().code, Errc::invalid);
}

TEST_F(ChangesTest, with_every_backend_drained_old_connections_stay) {
    apply(config_of("10.0.0.5"));
    const std::uint32_t only = member("10.0.0.5");
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::drain));
    pass(kPrepare + kPassed);
    EXPECT_EQ(owners()[0], static_cast<int>(ring().size())) << "new flows have nowhere to go";
    EXPECT_EQ(SLC_SLOT_PREVIOUS(ring()[0]), only);
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::ready));
    EXPECT_EQ(owners()[only], static_cast<int>(ring().size()));
}

TEST_F(ChangesTest, a_group_that_loses_all_its_backends_keeps_their_connections) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    const auto before = ring();
    apply(config_of(""));
    EXPECT_TRUE(backend("10.0.0.5").retired);
    for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_EQ(SLC_SLOT_CURRENT(ring()[i]), SLC_SLOT_CURRENT(before[i]));
    pass(kPrepare + kPassed);
    EXPECT_EQ(owners()[0], static_cast<int>(before.size()));
    EXPECT_EQ(SLC_SLOT_PREVIOUS(ring()[0]), SLC_SLOT_CURRENT(before[0]));
}

TEST_F(ChangesTest, an_older_deadline_does_not_cut_what_a_later_change_moves) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    BackendOrder weight;
    weight.owner = "web";
    weight.address = *IpAddress::parse("10.0.0.5");
    weight.weight = 9;
    weight.deadline = seconds(5);
    const auto before = ring();
    const std::uint32_t other = member("10.0.0.6");
    ASSERT_TRUE(controller_->order(weight));
    pass(kPrepare + kPassed);
    std::uint32_t slot = 0;
    while (SLC_SLOT_CURRENT(before[slot]) != other || SLC_SLOT_CURRENT(ring()[slot]) == other)
        ++slot;
    remember(slot, other);
    pass(seconds(5));
    EXPECT_EQ(count_flows(), 1u) << "its backend stays";
    ASSERT_TRUE(order("web/10.0.0.6", config::BackendState::drain, seconds(3600)));
    pass(seconds(2));
    EXPECT_EQ(count_flows(), 1u);
    EXPECT_EQ(backend("10.0.0.6").cut, 0u);
}

TEST_F(ChangesTest, a_backend_that_comes_back_finds_nothing_remembered_from_before_it_failed) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::maint));
    remember(3, member("10.0.0.5"));
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::ready));
    EXPECT_EQ(count_flows(), 0u);
}

TEST_F(ChangesTest, who_is_only_a_fallback_fails_like_anybody_else) {
    apply(
        "version: 2\nnode: {name: test, interfaces: [eth0]}\ngroups:\n"
        "  web: {backends: [10.0.0.5], health: {checks: {type: tcp, via: direct}, "
        "when_none: fallback, fallback: spare}}\n"
        "  spare: {backends: [10.0.0.7, 10.0.0.8]}\nservices:\n"
        "  - {name: http, vip: 192.0.2.10, port: 80, group: web}\n");
    ASSERT_TRUE(order("spare/10.0.0.7", config::BackendState::down));
    remember(3, member("10.0.0.7"));
    ASSERT_TRUE(order("spare/10.0.0.7", config::BackendState::ready));
    EXPECT_EQ(count_flows(), 0u) << "what was remembered for it was void";
    remember(3, member("10.0.0.7"));
    ASSERT_TRUE(order("spare/10.0.0.8", config::BackendState::drain));
    EXPECT_EQ(count_flows(), 1u) << "it lives";
}

/// Group `web` falls back on `spare`, which has a service of its own.
const std::string kStandsIn =
    "version: 2\nnode: {name: test, interfaces: [eth0]}\ngroups:\n"
    "  web: {backends: [10.0.0.5], health: {checks: {type: tcp, via: direct, interval: 60s}, "
    "when_none: fallback, fallback: spare}}\n"
    "  spare: {backends: [10.0.0.7, 10.0.0.8]}\nservices:\n"
    "  - {name: http, vip: 192.0.2.10, port: 80, group: web}\n"
    "  - {name: own, vip: 192.0.2.10, port: 81, group: spare}\n";

TEST_F(ChangesTest, a_restart_while_a_group_stands_in_for_another_goes_on_with_both) {
    apply(kStandsIn);
    const std::uint32_t left = member("10.0.0.7"), stays = member("10.0.0.8");
    serve_ring(0, stays);
    ASSERT_TRUE(order("spare/10.0.0.7", config::BackendState::drain));
    const auto before = ring(1);
    ASSERT_GT(std::count_if(before.begin(), before.end(),
                            [left](auto slot) { return SLC_SLOT_PREVIOUS(slot) == left; }),
              0);
    serve_ring(0, stays);
    restart();
    EXPECT_EQ(ring(1), before) << "its drain goes on";
    serve_ring(0, stays);
    std::string next = kStandsIn;
    next.replace(next.find("[eth0]"), 6, "[eth0], icmp_rate: 500");
    write(next);
    restart();
    const auto after = ring(1);
    for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_EQ(SLC_SLOT_PREVIOUS(after.at(i)), SLC_SLOT_PREVIOUS(before[i]));
    for (const std::uint64_t slot : ring(0)) EXPECT_EQ(SLC_SLOT_PREVIOUS(slot), stays);
    for (const auto& backend : controller_->status().backends) EXPECT_FALSE(backend.retired);
}

TEST_F(ChangesTest, an_apply_while_a_group_stands_in_for_another_makes_no_member_of_its_own) {
    apply(kStandsIn);
    const std::uint32_t stays = member("10.0.0.8");
    serve_ring(0, stays);
    std::string next = kStandsIn;
    next.replace(next.find("10.0.0.5]"), 8, "10.0.0.5, 10.0.0.6");
    apply(next);
    for (const std::uint64_t slot : ring(0)) EXPECT_EQ(SLC_SLOT_PREVIOUS(slot), stays);
    for (const auto& backend : controller_->status().backends) EXPECT_FALSE(backend.retired);
}

TEST_F(ChangesTest, a_restart_does_not_forget_a_deadline) {
    apply(config_of("10.0.0.5, 10.0.0.6"));
    ASSERT_TRUE(order("web/10.0.0.5", config::BackendState::drain, seconds(5)));
    restart();
    EXPECT_GT(backend("10.0.0.5").change.deadline_left.count(), 0);
    pass(seconds(6));
    EXPECT_EQ(count(ring(), SLC_SLOT_OPEN), 0);
}

}  // namespace
}  // namespace sluice::control
