// SPDX-License-Identifier: Apache-2.0
// What a capture's stream is made of, step by step, over a tap whose packets the test puts there.
#include "api/capture_stream.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/routes.h"
#include "packet/notation.h"
#include "plan/reasons.h"
#include "tests/cli/fake_capture.h"
#include "tests/cli/fake_node.h"

namespace sluice::api {
namespace {

using namespace sluice::test;
using packet::PcapngDirection;
using packet::PcapngType;

constexpr const char* kSyn = "tcp 198.51.100.7:1234 > 192.0.2.10:80 syn";
constexpr const char* kSent =
    "ipip 10.0.0.1 > 10.0.0.5 { tcp 198.51.100.7:1234 > 192.0.2.10:80 syn }";

constexpr std::int64_t kWallOffset = 1'795'266'000'000'000'000;

/// A node whose clock may be set.
class ClockNode : public FakeNode {
 public:
    ClockNode() : FakeNode(Scene::healthy) {}
    control::Observation& observation() override { return clock; }

    struct Clock : FakeObservation {
        std::int64_t wall_offset_ns() const override { return offset; }
        Result<std::unique_ptr<control::CaptureSession>> capture(
            const control::CaptureRequest&) override {
            if (refusal) return fail(*refusal);
            return std::unique_ptr<control::CaptureSession>(std::make_unique<FakeCapture>(tap));
        }
        std::int64_t offset = kWallOffset;
        std::shared_ptr<FakeTap> tap = std::make_shared<FakeTap>();
        std::optional<Error> refusal;
    } clock;
};

struct SeenPacket {
    packet::PcapngPacket head;  ///< Its bytes and its comment are gone: they are below.
    std::string bytes;
    std::string comment;
};

struct SeenStatistics {
    packet::PcapngStatistics head;
    std::string comment;
};

/// A stream under test, and what it has said.
class Rig {
 public:
    explicit Rig(CaptureOrder order = {}) : stream_(std::move(order), [this] { return now; }) {}

    /// One step; how long a piece it made.
    std::size_t step() {
        EXPECT_TRUE(stream_.step(node).has_value());
        const std::string piece = stream_.take();
        const auto taken =
            splitter_.take(piece, [this](const packet::PcapngBlock& block) { return read(block); });
        EXPECT_TRUE(taken.has_value());
        EXPECT_TRUE(splitter_.is_between());
        return piece.size();
    }
    void step_until_done() {
        for (int i = 0; i < 100 && !stream_.done(); ++i) step();
        EXPECT_TRUE(stream_.done());
    }
    [[nodiscard]] const CaptureStream& stream() const { return stream_; }

    ClockNode node;
    std::shared_ptr<FakeTap> tap = node.clock.tap;
    std::chrono::steady_clock::time_point now{std::chrono::seconds(5)};
    std::vector<std::string> interfaces;
    std::vector<SeenPacket> packets;
    std::vector<SeenStatistics> statistics;

 private:
    Result<void> read(const packet::PcapngBlock& block) {
        if (block.type == PcapngType::interface) {
            interfaces.push_back(packet::read_interface(block)->name);
        } else if (block.type == PcapngType::packet) {
            const auto packet = packet::read_packet(block);
            packets.push_back({*packet, std::string(packet->bytes), std::string(packet->comment)});
        } else if (block.type == PcapngType::statistics) {
            const auto read = packet::read_statistics(block);
            statistics.push_back({*read, std::string(read->comment)});
        }
        return {};
    }

    CaptureStream stream_;
    packet::PcapngSplitter splitter_;
};

CaptureOrder at_entry() {
    CaptureOrder out;
    out.request.at_exit = false;
    return out;
}

std::string described(const SeenPacket& packet) {
    return packet::describe(
        {reinterpret_cast<const std::uint8_t*>(packet.bytes.data()), packet.bytes.size()});
}

TEST(CaptureStream, it_begins_before_a_packet_has_come_and_then_rests) {
    Rig rig;
    EXPECT_GT(rig.step(), 0u);
    EXPECT_EQ(rig.step(), 0u);
    EXPECT_GT(rig.stream().pause().count(), 0);
    EXPECT_FALSE(rig.stream().done());
    EXPECT_TRUE(rig.stream().is_live());
    EXPECT_EQ(rig.stream().content_type(), "application/x-pcapng");
}

TEST(CaptureStream, it_takes_hold_of_the_data_plane_no_sooner_than_it_is_asked_for_a_piece) {
    ClockNode node;
    node.clock.refusal = make_error(Errc::conflict, "another capture is under way");
    CaptureStream stream(at_entry());
    EXPECT_TRUE(stream.log_fields().empty());
    const auto refused = stream.step(node);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::conflict);
    EXPECT_TRUE(stream.log_fields().empty());
}

TEST(CaptureStream, a_packet_is_there_as_received_and_as_sent_under_one_number) {
    Rig rig;
    rig.tap->names->generation = rig.tap->names->pinned = 7;
    rig.tap->names->interfaces[2] = "eth0";
    slc_tap_event& event = rig.tap->add(kSyn, kSent).event;
    event.rec.verdict = SLC_VERDICT_TX;
    event.rec.reason = SLC_REASON_FORWARDED;
    event.rec.stage = SLC_STAGE_FORWARD;
    event.queue = 3;
    rig.step();
    ASSERT_EQ(rig.packets.size(), 2u);
    EXPECT_EQ(rig.interfaces, std::vector<std::string>{"eth0"});
    for (const SeenPacket& packet : rig.packets) {
        EXPECT_EQ(packet.head.interface, 0u);
        EXPECT_EQ(packet.head.time_ns, static_cast<std::uint64_t>(kWallOffset) + event.time_ns);
        EXPECT_EQ(packet.head.id, 1u);
        EXPECT_EQ(packet.head.queue, 3u);
        EXPECT_EQ(packet.head.xdp_action, 3u);
        EXPECT_EQ(packet.comment, "verdict=tx reason=forwarded stage=forward generation=7");
    }
    EXPECT_EQ(rig.packets[0].head.direction, PcapngDirection::inbound);
    EXPECT_EQ(described(rig.packets[0]), kSyn);
    EXPECT_EQ(rig.packets[1].head.direction, PcapngDirection::outbound);
    EXPECT_EQ(described(rig.packets[1]), kSent);
}

TEST(CaptureStream, a_comment_says_what_is_known_and_nothing_else) {
    Rig rig(at_entry());
    observe::Names& names = *rig.tap->names;
    names.generation = names.pinned = 7;
    names.services[4] = "web";
    names.backends[5] = "web/10.0.0.5";
    names.customers[6] = "acme";
    names.policies[7] = "strict";
    names.mitigations[8] = "syn-flood";
    slc_exit_record& all = rig.tap->add(kSyn).event.rec;
    all.service = 4, all.member = 5, all.customer = 6, all.policy = 7, all.mitigation = 8;
    slc_exit_record& unknown = rig.tap->add(kSyn).event.rec;
    unknown.member = 17;
    unknown.stage = 200;
    unknown.reason = 60000;
    unknown.verdict = SLC_VERDICT_PASS;
    rig.step();
    ASSERT_EQ(rig.packets.size(), 2u);
    const std::string first(plan::reason_label(0));
    EXPECT_EQ(rig.packets[0].comment,
              "verdict=drop reason=" + first +
                  " stage=entry generation=7 service=web backend=web/10.0.0.5 customer=acme "
                  "policy=strict mitigation=syn-flood");
    EXPECT_EQ(rig.packets[1].comment,
              "verdict=pass reason=#60000 stage=unknown generation=7 backend=#17");
    EXPECT_EQ(rig.packets[1].head.xdp_action, 2u);
}

TEST(CaptureStream, an_apply_in_place_has_new_names_for_the_same_programs) {
    Rig rig(at_entry());
    rig.tap->names->generation = rig.tap->names->pinned = 6;
    rig.tap->names->services[4] = "former";
    rig.step();
    rig.tap->names = std::make_shared<observe::Names>();
    rig.tap->names->generation = 7;
    rig.tap->names->pinned = 6;
    rig.tap->names->since_ns = 1000;
    rig.tap->names->services[4] = "web";
    for (const std::uint64_t time_ns : {500u, 1500u}) {
        slc_tap_event& event = rig.tap->add(kSyn).event;
        event.rec.service = 4;
        event.generation = 6;
        event.time_ns = time_ns;
    }
    rig.step();
    ASSERT_EQ(rig.packets.size(), 2u);
    EXPECT_TRUE(rig.packets[0].comment.ends_with("generation=6 service=former"))
        << rig.packets[0].comment;
    EXPECT_TRUE(rig.packets[1].comment.ends_with("generation=7 service=web previous_generation=6"))
        << rig.packets[1].comment;
}

TEST(CaptureStream, a_change_of_the_generation_is_told_once_and_keeps_the_names_of_both) {
    Rig rig(at_entry());
    rig.tap->names->generation = rig.tap->names->pinned = 7;
    rig.tap->names->services[4] = "web";
    rig.tap->add(kSyn).event.rec.service = 4;
    rig.step();
    // Of two packets of a swap the second one was decided before.
    rig.tap->names = std::make_shared<observe::Names>();
    rig.tap->names->generation = rig.tap->names->pinned = 8;
    rig.tap->names->services[4] = "other";
    for (const std::uint32_t generation : {8u, 7u, 8u, 8u}) {
        slc_tap_event& event = rig.tap->add(kSyn).event;
        event.rec.service = 4;
        event.generation = generation;
    }
    rig.step();
    const std::vector<std::string> want = {
        "generation=7 service=web", "generation=8 service=other previous_generation=7",
        "generation=7 service=web previous_generation=8",
        "generation=8 service=other previous_generation=7", "generation=8 service=other"};
    ASSERT_EQ(rig.packets.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i)
        EXPECT_TRUE(rig.packets[i].comment.ends_with(want[i])) << rig.packets[i].comment;
}

TEST(CaptureStream, losses_are_told_by_the_next_packet_of_their_cpu) {
    Rig rig;
    const auto put = [&rig](std::uint32_t cpu, std::uint64_t number) {
        slc_tap_event& event = rig.tap->add(kSyn, kSyn).event;
        event.cpu = cpu;
        event.number = number;
    };
    put(0, 3);   // Two before it.
    put(9, 1);   // None.
    put(0, 4);   // None.
    put(9, 12);  // Ten.
    rig.step();
    ASSERT_EQ(rig.packets.size(), 8u);
    const std::vector<std::optional<std::uint64_t>> want = {2, {}, {}, {}, {}, {}, 10, {}};
    for (std::size_t i = 0; i < want.size(); ++i)
        EXPECT_EQ(rig.packets[i].head.lost_before, want[i]);
    EXPECT_TRUE(rig.packets[0].comment.ends_with(" lost_before=2"));
    EXPECT_TRUE(rig.packets[6].comment.ends_with(" lost_before=10"));
    EXPECT_EQ(rig.packets[2].comment.find("lost"), std::string::npos);
}

TEST(CaptureStream, packets_that_sampling_leaves_out_are_not_lost) {
    CaptureOrder order = at_entry();
    order.request.one_in = 10;
    Rig rig(order);
    for (const std::uint64_t number : {10u, 20u, 50u}) rig.tap->add(kSyn).event.number = number;
    rig.step();
    ASSERT_EQ(rig.packets.size(), 3u);
    EXPECT_FALSE(rig.packets[1].head.lost_before.has_value());
    EXPECT_EQ(rig.packets[2].head.lost_before, 2u);
}

TEST(CaptureStream, the_sums_of_all_interfaces_are_those_of_the_capture) {
    Rig rig(at_entry());
    rig.tap->names->interfaces = {{2, "eth0"}, {3, "eth1"}};
    for (const std::uint32_t ifindex : {3u, 2u, 3u, 3u}) rig.tap->add(kSyn).event.ifindex = ifindex;
    rig.tap->counts = {.seen = 100, .matched = 44, .skipped = 30, .lost = 10};
    rig.step();
    rig.tap->ended = "the interface is gone";
    rig.step_until_done();
    EXPECT_EQ(rig.tap->stops, 1u);
    EXPECT_EQ(rig.interfaces, (std::vector<std::string>{"eth1", "eth0"}));
    ASSERT_EQ(rig.statistics.size(), 2u);
    EXPECT_EQ(rig.statistics[0].comment,
              "matched=44 written=4 lost=10 skipped=30 unread=0 seen=100 "
              "ended=the interface is gone");
    EXPECT_EQ(rig.statistics[1].comment, "");
    std::uint64_t received = 0, accepted = 0, lost = 0, delivered = 0;
    for (const SeenStatistics& of : rig.statistics) {
        received += of.head.received.value_or(0);
        accepted += of.head.accepted.value_or(0);
        lost += of.head.lost.value_or(0);
        delivered += of.head.delivered.value_or(0);
        EXPECT_EQ(of.head.start_ns, static_cast<std::uint64_t>(kWallOffset) + 5'000'000'000);
    }
    EXPECT_EQ(received, 44u);
    EXPECT_EQ(accepted, 14u);
    EXPECT_EQ(lost, 10u);
    EXPECT_EQ(delivered, 4u);
    EXPECT_EQ(rig.statistics[1].head.received, 1u);
}

TEST(CaptureStream, statistics_come_also_where_no_packet_came) {
    CaptureOrder order;
    order.request.interfaces = {"eth7"};
    Rig rig(order);
    rig.tap->ended = "asked to";
    rig.step_until_done();
    EXPECT_EQ(rig.interfaces, std::vector<std::string>{"eth7"});
    ASSERT_EQ(rig.statistics.size(), 1u);
    EXPECT_EQ(rig.statistics[0].comment,
              "matched=0 written=0 lost=0 skipped=0 unread=0 seen=0 ended=asked to");
}

TEST(CaptureStream, it_ends_at_its_number_of_packets_and_says_what_it_left) {
    CaptureOrder order = at_entry();
    order.packets = 3;
    Rig rig(order);
    for (int i = 0; i < 5; ++i) rig.tap->add(kSyn);
    rig.step_until_done();
    EXPECT_EQ(rig.packets.size(), 3u);
    EXPECT_EQ(rig.tap->stops, 1u);
    EXPECT_EQ(rig.statistics.at(0).comment,
              "matched=5 written=3 lost=0 skipped=0 unread=2 seen=5 ended=packets");
}

TEST(CaptureStream, at_the_end_of_its_time_what_was_caught_is_still_read) {
    CaptureOrder order = at_entry();
    order.request.duration = std::chrono::seconds(2);
    Rig rig(order);
    rig.tap->add(kSyn);
    rig.step();
    rig.now += std::chrono::milliseconds(1999);
    rig.tap->add(kSyn);
    rig.step();
    EXPECT_EQ(rig.tap->stops, 0u);
    rig.now += std::chrono::milliseconds(1);
    rig.tap->add(kSyn);
    rig.tap->counts.matched += 1;  // Another one is on its way into the ring.
    rig.step();
    EXPECT_EQ(rig.tap->stops, 1u);
    for (int i = 0; i < 3; ++i) rig.step();
    EXPECT_FALSE(rig.stream().done());
    rig.tap->counts.matched -= 1;
    rig.tap->counts.seen -= 1;
    rig.tap->add(kSyn);
    rig.step_until_done();
    EXPECT_EQ(rig.packets.size(), 4u);
    EXPECT_EQ(rig.statistics.at(0).comment,
              "matched=4 written=4 lost=0 skipped=0 unread=0 seen=3 ended=time");
    EXPECT_EQ(rig.statistics.at(0).head.end_ns - rig.statistics.at(0).head.start_ns,
              2'000'000'000u);
}

TEST(CaptureStream, it_does_not_wait_for_ever_for_a_packet_that_does_not_come) {
    Rig rig;
    rig.tap->counts.matched = 1;
    rig.tap->ended = "asked to";
    for (int i = 0; i < 5; ++i) rig.step();
    EXPECT_FALSE(rig.stream().done());
    rig.now += std::chrono::milliseconds(100);
    rig.step();
    EXPECT_TRUE(rig.stream().done());
    EXPECT_EQ(rig.statistics.at(0).comment,
              "matched=1 written=0 lost=0 skipped=0 unread=1 seen=0 ended=asked to");
}

TEST(CaptureStream, a_piece_is_bounded_and_nothing_waits_for_the_next_one) {
    Rig rig;
    for (int i = 0; i < 300; ++i) {
        FakePacket& packet = rig.tap->add("udp 192.0.2.1:1 > 192.0.2.2:2 len=9000");
        packet.out = packet.in;
        packet.event.out_len = packet.event.out_cap = packet.event.in_len;
    }
    std::size_t steps = 0;
    for (; !rig.tap->packets.empty(); ++steps) {
        const std::size_t len = rig.step();
        EXPECT_LE(len, CaptureStream::kPieceLen + 2 * (SLC_TAP_MAX_SNAP + 512));
        EXPECT_GT(len, CaptureStream::kPieceLen / 2);
        EXPECT_EQ(rig.stream().pause().count(), 0);
    }
    EXPECT_EQ(rig.packets.size(), 600u);
    EXPECT_GT(steps, 15u);
}

TEST(CaptureStream, the_clock_of_the_wall_may_be_set_meanwhile_and_its_noise_does_not_matter) {
    Rig rig(at_entry());
    const auto put = [&rig](std::int64_t offset) {
        rig.node.clock.offset = kWallOffset + offset;
        rig.tap->add(kSyn).event.time_ns = 1;
        rig.step();
        return static_cast<std::int64_t>(rig.packets.back().head.time_ns) - kWallOffset;
    };
    EXPECT_EQ(put(0), 1);
    EXPECT_EQ(put(5000), 1);
    EXPECT_EQ(put(-5000), 1);
    EXPECT_EQ(put(-1'000'000'000), -999'999'999);
}

struct QueryCase {
    const char* name;
    const char* query;
    const char* error;  ///< Empty: none.
};

TEST(CaptureQuery, every_key_is_checked) {
    const QueryCase cases[] = {
        {"nothing_is_everything", "", ""},
        {"all_keys",
         "interface=eth0,eth1&filter=1,6,0,0,65535&verdict=drop,forward&reason=no_such_port&"
         "service=web&backend=web/10.0.0.5:80&at=entry,exit&snap=128&one_in=10&packets=5&"
         "seconds=60&buffer=1048576&name=me",
         ""},
        {"unknown_key", "interfaces=eth0", "query: unknown key 'interfaces'"},
        {"empty_name", "service=web,,dns", "service: a name is empty"},
        {"odd_place", "at=middle", "at: 'middle' is neither entry nor exit"},
        {"odd_verdict", "verdict=lost",
         "verdict: 'lost' is not one of drop, pass, tx, redirect, forward"},
        {"drops_at_the_exit", "at=exit&verdict=drop", "verdict: what is dropped does not leave"},
        {"odd_number", "packets=0",
         "packets: '0' is not a whole number from 1 to 18446744073709551615"},
        {"snap_too_long", "snap=16385", "snap: '16385' is not a whole number from 1 to 16384"},
        {"buffer_too_small", "buffer=1",
         "buffer: '1' is not a whole number from 65536 to 1073741824"},
        {"no_backend", "backend=10.0.0.5", "backend: '10.0.0.5' is not OWNER/ADDRESS"},
    };
    for (const QueryCase& test : cases) {
        SCOPED_TRACE(test.name);
        const auto order = parse_capture(*parse_query(test.query));
        EXPECT_EQ(order ? "" : order.error().what, test.error);
    }
}

TEST(CaptureQuery, what_is_asked_for_arrives) {
    const auto order = parse_capture(
        *parse_query("interface=eth0,eth1&filter=1+6+0+0+65535&verdict=drop&reason=no_such_port&"
                     "service=web&backend=web/10.0.0.5:80&at=entry&snap=128&one_in=10&packets=5&"
                     "seconds=60&buffer=1048576&name=me"));
    ASSERT_TRUE(order.has_value()) << order.error().what;
    using Words = std::vector<std::string>;
    const control::CaptureRequest& request = order->request;
    EXPECT_EQ(request.interfaces, (Words{"eth0", "eth1"}));
    EXPECT_EQ(request.filter.size(), 1u);
    EXPECT_EQ(request.verdicts, Words{"drop"});
    EXPECT_EQ(request.reasons, Words{"no_such_port"});
    EXPECT_EQ(request.services, Words{"web"});
    EXPECT_EQ(request.backends, Words{"web/10.0.0.5"});
    EXPECT_TRUE(request.at_entry);
    EXPECT_FALSE(request.at_exit);
    EXPECT_EQ(request.snap, 128u);
    EXPECT_EQ(request.one_in, 10u);
    EXPECT_EQ(request.buffer, std::size_t{1048576});
    EXPECT_EQ(request.name, "me");
    EXPECT_EQ(order->packets, 5u);
    EXPECT_EQ(order->request.duration, std::chrono::seconds(60));
}

TEST(CaptureQuery, at_the_exit_alone_nothing_that_is_dropped_matches) {
    const auto order = parse_capture(*parse_query("at=exit"));
    ASSERT_TRUE(order.has_value());
    EXPECT_FALSE(order->request.at_entry);
    EXPECT_EQ(order->request.verdicts, (std::vector<std::string>{"pass", "forward"}));
}

TEST(CaptureRoute, methods_and_errors_are_those_of_the_api) {
    FakeNode node(Scene::healthy);
    const auto ask = [&node](const char* method, const char* target, const char* body = "") {
        return answer({.method = method, .target = target, .body = body, .peer = "uid 0"}, node);
    };
    EXPECT_NE(ask("GET", "/api/v1/capture").stream, nullptr);
    EXPECT_NE(ask("POST", "/api/v1/capture", "filter=1,6,0,0,65535").stream, nullptr);
    EXPECT_EQ(ask("GET", "/api/v1/capture?snap=0").status, 400u);
    EXPECT_EQ(ask("GET", "/api/v1/capture?filter=1,2").status, 400u);
    EXPECT_EQ(ask("POST", "/api/v1/capture", "snap=0").status, 400u);
    const auto unknown = ask("GET", "/api/v1/capture?service=wob").stream->step(node);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Errc::not_found);
    EXPECT_EQ(ask("DELETE", "/api/v1/capture?name=x").status, 404u);
    EXPECT_EQ(ask("PUT", "/api/v1/capture").status, 405u);
    EXPECT_EQ(ask("PUT", "/api/v1/capture").allow, "GET, POST, DELETE");
}

}  // namespace
}  // namespace sluice::api
