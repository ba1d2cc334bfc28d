// SPDX-License-Identifier: Apache-2.0
//
// Histories that once broke a rule, cut down to what it takes, and the exact limits of the rules.
#include <gtest/gtest.h>

#include "tests/unit/model/control.h"
#include "tests/unit/model/data_plane.h"

namespace sluice::model {
namespace {

using namespace std::chrono_literals;
using config::BackendState;

constexpr std::uint64_t kFlow = 0x123456789abcdef0;

Service tcp_service() {
    Service out;
    out.lifetimes = {75s, 30s, 5s, 10s};
    return out;
}

/// One group of two backends whose ring has one slot, so that every flow is on it. A tick is 0.5 s.
class Scene {
 public:
    explicit Scene(std::vector<Service> services = {tcp_service()})
        : plane(std::move(services), 1, {SLC_FLOW_MIN_LOG2, 29}), control(plane, times()) {
        control.group(1).wanted_log2 = 0;
        for (const Service& service : plane.services)
            control.group(1).times.window = std::max(control.group(1).times.window, service.idle());
        control.add_backend(1, 1);
        control.add_backend(1, 1);
        control.start(now);
        first = SLC_SLOT_CURRENT(word());
        second = 3 - first;
    }

    static ControlTimes times() {
        ControlTimes out;
        out.step = 10ms;
        out.sweep_pause = 50ms;
        out.sweep_step = 1ms;
        return out;
    }
    [[nodiscard]] std::uint64_t word() const { return plane.word(1, 0); }
    [[nodiscard]] bool is_settled() { return control.settled(); }
    std::uint32_t send(slc_flow_kind kind, std::uint64_t hash = kFlow, std::size_t service = 0) {
        return plane.route(plane.services[service], hash, kind, now).member;
    }
    void pass(Instant time) {
        const Instant until = now + time;
        while (control.is_running() && control.next_due() <= until) {
            now = std::max(now, control.next_due());
            control.run(now);
        }
        now = until;
    }
    /// The slot is about to go from `first` to `second`.
    void drain_first(Instant deadline = {}) {
        control.set_state(1, first - 1, BackendState::drain);
        control.apply(1, now, deadline);
    }
    void drain_first_and_prepare() {
        drain_first();
        pass(3100ms);
    }
    void undo() {
        control.set_state(1, first - 1, BackendState::ready);
        control.apply(1, now);
    }
    /// Every place of the flow's bucket, by flows that nobody speaks for.
    void fill_bucket(std::uint64_t hash) {
        for (std::uint64_t i = 1; i <= SLC_FLOW_WAYS; ++i)
            send(SLC_FLOW_SYN, hash ^ (i << SLC_FLOW_FINGERPRINT_SHIFT << 8));
    }

    Instant now{1'000'000};
    DataPlane plane;
    Control control;
    std::uint32_t first = 0;
    std::uint32_t second = 0;
};

TEST(PlannedChange, keeps_a_connection_that_speaks_once_in_its_idle_lifetime) {
    Scene scene;
    EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.first);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    scene.drain_first();
    for (int i = 0; i < 20; ++i) {
        scene.pass(29'900ms);
        EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
        EXPECT_EQ(scene.send(SLC_FLOW_SYN, kFlow + (1ull << 40)), scene.second);
    }
    EXPECT_FALSE(scene.is_settled());
    scene.pass(32s);
    EXPECT_TRUE(scene.is_settled()) << "it has been silent for its lifetime";
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.second);
}

TEST(PlannedChange, undone_half_way_keeps_what_went_to_either_owner) {
    Scene scene;
    EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.first);
    scene.drain_first_and_prepare();
    const std::uint64_t newer = kFlow + (1ull << 40);
    EXPECT_EQ(scene.send(SLC_FLOW_SYN, newer), scene.second);
    scene.undo();
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET, newer), scene.second);
    scene.drain_first_and_prepare();
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET, newer), scene.second);
}

TEST(SourceAffinity, a_new_connection_does_not_take_a_silent_one_along) {
    Scene scene({[] {
        Service out = tcp_service();
        out.shared = true;
        return out;
    }()});
    EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.first);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    scene.drain_first_and_prepare();
    EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.first) << "the client's second connection";
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first) << "and its first one speaks again";
}

TEST(PortReuse, a_syn_that_follows_an_entry_in_its_last_tick_completes_its_handshake_there) {
    Scene scene;
    EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.first);
    scene.drain_first();
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    scene.pass(30s);
    EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.first) << "remembered of an older connection";
    scene.pass(2s);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first) << "the acknowledgement";
}

TEST(AbsentDaemon, an_entry_whose_age_wraps_takes_no_connection_that_came_after_it) {
    Scene scene;
    scene.drain_first_and_prepare();
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first) << "remembered";
    scene.pass(29s);
    EXPECT_EQ(SLC_SLOT_PREVIOUS(scene.word()), scene.second) << "the window is over";
    scene.control.kill();
    scene.pass(4s);
    EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.second) << "expired: the tuple is another's now";
    for (int i = 0; i < 20; ++i) {
        scene.pass(20s);
        EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.second) << i;
    }
}

TEST(LastBackend, comes_back_at_once_to_a_slot_that_nobody_owns) {
    Scene scene;
    scene.send(SLC_FLOW_PACKET);
    scene.control.set_state(1, 0, BackendState::drain);
    scene.control.set_state(1, 1, BackendState::drain);
    scene.control.apply(1, scene.now);
    scene.pass(1s);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    scene.pass(15s);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    scene.pass(17s);
    EXPECT_EQ(SLC_SLOT_CURRENT(scene.word()), 0u);
    EXPECT_NE(scene.word() & SLC_SLOT_MARKED, 0u) << "the connection is remembered";
    scene.control.set_state(1, scene.second - 1, BackendState::ready);
    scene.control.apply(1, scene.now);
    EXPECT_EQ(scene.send(SLC_FLOW_SYN, kFlow + (1ull << 40)), scene.second);
}

TEST(FailedMember, comes_back_without_what_was_remembered_for_it) {
    Scene scene;
    scene.drain_first_and_prepare();
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first) << "remembered";
    scene.control.kill();  // No sweep comes between.
    scene.control.start(scene.now);
    scene.control.set_state(1, scene.first - 1, BackendState::down);
    scene.control.apply(1, scene.now);
    EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.second) << "the client tries again";
    scene.undo();
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.second);
    scene.pass(10s);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.second);
}

TEST(RefusedSyn, goes_where_it_went_however_short_the_window) {
    Service quick = tcp_service();
    quick.lifetimes.established = 1s;
    Scene scene({quick});
    scene.drain_first();
    scene.pass(2500ms);
    scene.fill_bucket(kFlow);
    scene.pass(400ms);
    EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.first);
    EXPECT_NE(scene.word() & SLC_SLOT_REFUSED, 0u);
    for (const Instant after : {1000ms, 1900ms}) {
        scene.pass(after);
        EXPECT_EQ(scene.send(SLC_FLOW_SYN), scene.first) << "it comes again";
    }
}

TEST(Deadline, ends_a_change_under_a_flood_and_cuts_what_is_remembered_elsewhere) {
    Scene scene;
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    scene.drain_first(20s);
    for (std::uint64_t i = 0; i < 190; ++i) {
        scene.pass(100ms);
        for (std::uint64_t j = 1; j < 20; ++j)
            scene.send(SLC_FLOW_PACKET, (i * 20 + j) * 0x9e3779b97f4a7c15ull);
        EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    }
    EXPECT_FALSE(scene.is_settled());
    scene.pass(2s);
    EXPECT_TRUE(scene.is_settled());
    EXPECT_GT(scene.control.cut(), 0u);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.second);
}

TEST(Deadline, of_a_group_holds_for_changes_that_a_new_daemon_finds) {
    Scene scene;
    scene.drain_first_and_prepare();
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    scene.control.kill();
    scene.pass(1s);
    scene.control.start(scene.now, 5s);
    for (int i = 0; i < 4; ++i) {
        scene.pass(1s);
        EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    }
    scene.pass(2s);
    EXPECT_TRUE(scene.is_settled());
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.second);
}

// ---- what a sender off the path can do, who knows a connection's addresses and ports ----

TEST(OffPathSender, can_shorten_the_memory_of_a_silent_connection_to_the_closing_lifetime) {
    Scene scene;
    scene.send(SLC_FLOW_SYN);
    scene.drain_first_and_prepare();
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    scene.pass(28s);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
    EXPECT_EQ(scene.send(SLC_FLOW_END), scene.first) << "forged";
    scene.pass(4900ms);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first) << "restored by the next packet";
    scene.pass(29s);
    EXPECT_EQ(scene.send(SLC_FLOW_END), scene.first) << "forged";
    scene.pass(6s);
    EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.second) << "silent for longer";
}

TEST(OffPathSender, cannot_move_a_connection_that_spoke_while_its_slot_was_prepared) {
    for (const slc_flow_kind kind : {SLC_FLOW_SYN, SLC_FLOW_PACKET, SLC_FLOW_END, SLC_FLOW_LOOK}) {
        Scene scene;
        scene.send(SLC_FLOW_SYN);
        scene.drain_first();
        scene.pass(1s);
        EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
        scene.pass(4s);
        for (int i = 0; i < 40; ++i) {
            scene.send(kind);
            scene.pass(1s);
            EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
        }
    }
}

TEST(OffPathSender, can_move_one_that_has_been_silent_since_by_a_forged_syn_and_by_nothing_else) {
    for (const slc_flow_kind kind : {SLC_FLOW_SYN, SLC_FLOW_PACKET, SLC_FLOW_END, SLC_FLOW_LOOK}) {
        Scene scene;
        scene.send(SLC_FLOW_SYN);
        EXPECT_EQ(scene.send(SLC_FLOW_PACKET), scene.first);
        scene.drain_first_and_prepare();
        scene.send(kind);
        EXPECT_EQ(scene.send(SLC_FLOW_PACKET), kind == SLC_FLOW_SYN ? scene.second : scene.first);
    }
}

}  // namespace
}  // namespace sluice::model
