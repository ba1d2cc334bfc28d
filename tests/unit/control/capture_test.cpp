// SPDX-License-Identifier: Apache-2.0
//
// Captures on the real kernel: packets are sent into eth0 by its other end, as a client's would
// come, and read back through the session.
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "control/explanation.h"
#include "kernel/bpffs.h"
#include "observe/losses.h"
#include "packet/notation.h"
#include "tests/unit/control/fixture.h"

namespace sluice::control {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr const char* kForwarded = "tcp 198.51.100.7:1234 > 192.0.2.10:80 syn";
constexpr const char* kDropped = "tcp 198.51.100.7:1234 > 192.0.2.10:81 syn";
constexpr const char* kNotOurs = "tcp 198.51.100.7:1234 > 192.0.2.99:80 syn";

struct Seen {
    slc_tap_event event{};
    Bytes in, out;
};

Bytes copy(std::span<const std::byte> bytes) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    return {data, data + bytes.size()};
}

void look_again() {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // a pause between two looks
}

class CaptureTest : public ControllerTest {
 protected:
    void SetUp() override {
        ControllerTest::SetUp();
        // Linux itself would solicit routers, and be captured.
        network_.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
        network_.run("ip link set peer0 up");
        write(kHead + service("web", "10.0.0.5"));
        start();
        plan::NextHop hop = resolved();
        hop.ifindex = ::if_nametoindex("eth0");
        fake_->set(*IpAddress::parse("10.0.0.5"), hop);
        ASSERT_TRUE(controller_->apply_file());
        socket_ = UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        ASSERT_TRUE(socket_.valid());
    }

    void send(const char* notation) {
        const auto frame = packet::build(notation);
        ASSERT_TRUE(frame) << frame.error().what;
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = static_cast<int>(::if_nametoindex("peer0"));
        to.sll_halen = ETH_ALEN;
        ASSERT_EQ(::sendto(socket_.get(), frame->data(), frame->size(), 0,
                           reinterpret_cast<const sockaddr*>(&to), sizeof to),
                  static_cast<ssize_t>(frame->size()));
    }

    std::unique_ptr<CaptureSession> begin(const CaptureRequest& request) {
        auto session = controller_->capture(request);
        EXPECT_TRUE(session) << session.error().what;
        return session ? std::move(*session) : nullptr;
    }

    /// Waits for `count` packets.
    static std::vector<Seen> read(CaptureSession& session, std::size_t count) {
        std::vector<Seen> out;
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (out.size() < count && std::chrono::steady_clock::now() < deadline) {
            session.read(100, [&out](const slc_tap_event& event, std::span<const std::byte> in,
                                     std::span<const std::byte> sent) {
                out.push_back({event, copy(in), copy(sent)});
            });
            if (out.size() < count) look_again();
        }
        EXPECT_EQ(out.size(), count);
        if (out.size() != count)
            for (const Seen& each : out) ADD_FAILURE() << packet::describe(each.in);
        return out;
    }

    UniqueFd socket_;
};

std::uint16_t reason_of(const Seen& seen) {
    return seen.event.rec.reason;
}

TEST_F(CaptureTest, holds_packets_as_received_and_as_sent_with_what_was_decided) {
    CaptureRequest request;
    const auto session = begin(request);
    ASSERT_TRUE(session);
    send(kForwarded);
    send(kDropped);
    const auto seen = read(*session, 2);
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(reason_of(seen[0]), SLC_REASON_FORWARDED);
    EXPECT_EQ(seen[0].in, *packet::build(kForwarded));
    EXPECT_EQ(seen[0].out.size(), seen[0].in.size() + 20) << "an IPv4 header in front";
    EXPECT_EQ(seen[0].event.out_len, seen[0].out.size());
    EXPECT_EQ(seen[0].event.generation, 1u);
    EXPECT_GT(seen[0].event.time_ns, 0u);
    EXPECT_EQ(seen[0].event.ifindex, ::if_nametoindex("eth0"));
    EXPECT_EQ(reason_of(seen[1]), SLC_REASON_NO_SUCH_PORT);
    EXPECT_EQ(seen[1].in, *packet::build(kDropped));
    EXPECT_TRUE(seen[1].out.empty());
    EXPECT_EQ(session->counts().matched, 2u);
    EXPECT_EQ(session->counts().lost, 0u);
}

TEST_F(CaptureTest, takes_only_what_its_conditions_say) {
    CaptureRequest request;
    request.verdicts = {"drop"};
    request.at_exit = false;
    request.snap = 40;
    auto session = begin(request);
    ASSERT_TRUE(session);
    send(kForwarded);
    send(kNotOurs);
    send(kDropped);
    auto seen = read(*session, 1);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].in.size(), 40u);
    EXPECT_EQ(seen[0].event.in_len, packet::build(kDropped)->size());
    session.reset();

    request = {};
    request.reasons = {"not_ours"};
    session = begin(request);
    send(kForwarded);
    send(kNotOurs);
    seen = read(*session, 1);
    EXPECT_EQ(reason_of(seen.at(0)), SLC_REASON_NOT_OURS);
    EXPECT_EQ(seen.at(0).out, seen.at(0).in) << "Linux gets it as it came";
    session.reset();

    request = {};
    // tcp dst port 81 of IPv4 without options: 12 0x0800, 23 6, 36 81.
    request.filter = {{0x28, 0, 0, 12}, {0x15, 0, 5, 0x800}, {0x30, 0, 0, 23},   {0x15, 0, 3, 6},
                      {0x28, 0, 0, 36}, {0x15, 0, 1, 81},    {0x6, 0, 0, 65535}, {0x6, 0, 0, 0}};
    session = begin(request);
    send(kForwarded);
    send(kDropped);
    seen = read(*session, 1);
    EXPECT_EQ(reason_of(seen.at(0)), SLC_REASON_NO_SUCH_PORT);
    EXPECT_EQ(session->counts().seen, 1u) << "others never meet the tapped programs";
}

TEST_F(CaptureTest, takes_one_of_so_many) {
    CaptureRequest request;
    request.one_in = 4;
    const auto session = begin(request);
    ASSERT_TRUE(session);
    for (int i = 0; i < 40; ++i) send(kDropped);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (session->counts().matched < 40 && std::chrono::steady_clock::now() < deadline)
        look_again();
    const slc_tap_count counts = session->counts();
    EXPECT_EQ(counts.matched, 40u);
    EXPECT_EQ(read(*session, counts.matched - counts.skipped).size(), 40u - counts.skipped);
    EXPECT_GE(counts.skipped, 28u) << "at most ten of them, and two for CPUs that began anew";
}

TEST_F(CaptureTest, counts_what_finds_no_room) {
    CaptureRequest request;
    request.buffer = 1;  // The least there is.
    const auto session = begin(request);
    ASSERT_TRUE(session);
    constexpr int kPackets = 2000;
    for (int i = 0; i < kPackets; ++i) send(kDropped);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (session->counts().matched < kPackets && std::chrono::steady_clock::now() < deadline)
        look_again();
    const slc_tap_count counts = session->counts();
    EXPECT_EQ(counts.matched, std::uint64_t{kPackets});
    EXPECT_GT(counts.lost, 0u);
    std::uint64_t taken = 0;
    while (const std::size_t now = session->read(100, [](const auto&, auto, auto) {})) taken += now;
    EXPECT_EQ(taken + counts.lost, counts.matched);
}

TEST_F(CaptureTest, goes_on_through_a_swap) {
    const auto session = begin({});
    ASSERT_TRUE(session);
    send(kForwarded);
    EXPECT_EQ(read(*session, 1).at(0).event.generation, 1u);
    // Another port is another program.
    std::string text = kHead + service("web", "10.0.0.5");
    text.replace(text.find("port: 80"), 8, "port: 81");
    write(text);
    ASSERT_TRUE(controller_->apply_file());
    send(kDropped);
    const auto seen = read(*session, 1);
    EXPECT_EQ(reason_of(seen.at(0)), SLC_REASON_FORWARDED);
    EXPECT_GT(seen.at(0).event.generation, 1u);
    EXPECT_EQ(session->counts().matched, 2u);
    EXPECT_EQ(session->ended(), "");
}

TEST_F(CaptureTest, names_what_an_apply_in_place_has_added) {
    const auto session = begin({});
    ASSERT_TRUE(session);
    write(kHead + service("web", "10.0.0.5, 10.0.0.6"));
    ASSERT_TRUE(controller_->apply_file());
    ASSERT_EQ(controller_->summary().generation, 2u);
    send(kForwarded);
    const auto seen = read(*session, 1);
    ASSERT_EQ(seen.size(), 1u);
    const auto names = session->names();
    EXPECT_EQ(names->generation, 2u);
    EXPECT_EQ(names->pinned, seen[0].event.generation) << "the same programs, in place";
    EXPECT_GT(names->since_ns, 0u);
}

TEST_F(CaptureTest, sees_an_interface_that_was_made_again) {
    const auto session = begin({});
    ASSERT_TRUE(session);
    network_.run("ip link del eth0");
    network_.run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up");
    network_.run("ip link set peer0 up");
    controller_->on_tick();
    ASSERT_TRUE(controller_->status().interfaces.at(0).attached);
    send(kDropped);
    EXPECT_EQ(read(*session, 1).size(), 1u);
}

TEST_F(CaptureTest, leaves_the_data_plane_as_it_was) {
    const std::string tap = options_.bpffs + "/test/tap";
    {
        const auto session = begin({});
        ASSERT_TRUE(session);
        EXPECT_FALSE(kernel::list_pins(tap).empty());
        const auto second = controller_->capture({});
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Errc::conflict);
        ASSERT_TRUE(controller_->end_capture({}));
        EXPECT_NE(session->ended(), "");
    }
    EXPECT_NE(::access(tap.c_str(), F_OK), 0);
    EXPECT_FALSE(controller_->end_capture({}));
    const auto again = begin({});
    ASSERT_TRUE(again);
    send(kForwarded);
    EXPECT_EQ(read(*again, 1).size(), 1u);
    controller_.reset();
    EXPECT_NE(again->ended(), "") << "its daemon stops";
    EXPECT_NE(::access(tap.c_str(), F_OK), 0);
}

TEST_F(CaptureTest, ends_at_its_time_also_when_nobody_reads_it) {
    plan::Instant now = std::chrono::hours(1);
    options_.clock = [&now] { return now; };
    controller_.reset();
    start();
    ASSERT_TRUE(controller_->apply_file());
    CaptureRequest request;
    request.duration = std::chrono::seconds(10);
    const auto session = begin(request);
    ASSERT_TRUE(session);
    now += std::chrono::milliseconds(9'999);
    controller_->on_tick();
    EXPECT_EQ(session->ended(), "");
    now += std::chrono::milliseconds(1);
    controller_->on_tick();
    EXPECT_EQ(session->ended(), kEndedByTime);
    EXPECT_NE(::access((options_.bpffs + "/test/tap").c_str(), F_OK), 0);
}

TEST_F(CaptureTest, lets_the_packets_go_when_its_reader_has_stopped) {
    plan::Instant now = std::chrono::hours(1);
    options_.clock = [&now] { return now; };
    controller_.reset();
    start();
    ASSERT_TRUE(controller_->apply_file());
    const auto session = begin({});
    ASSERT_TRUE(session);
    send(kForwarded);
    for (int i = 0; i < 3; ++i) {
        now += kCapturePatience - std::chrono::milliseconds(1);
        controller_->on_tick();
        EXPECT_EQ(session->ended(), "");
        (void)session->read(0, [](const auto&, auto, auto) {});
    }
    now += kCapturePatience;
    controller_->on_tick();
    EXPECT_NE(session->ended().find("30 s"), std::string::npos) << session->ended();
    EXPECT_NE(::access((options_.bpffs + "/test/tap").c_str(), F_OK), 0);
    EXPECT_GE(session->read(10, [](const auto&, auto, auto) {}), 1u) << "what was caught is there";
}

TEST_F(CaptureTest, what_was_lost_is_told_while_it_goes_on) {
    CaptureRequest request;
    request.buffer = 1;  // The least there is.
    const auto session = begin(request);
    ASSERT_TRUE(session);
    const std::uint64_t before = observe::lost(observe::Loss::captures);
    constexpr int kPackets = 2000;
    for (int i = 0; i < kPackets; ++i) send(kDropped);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (session->counts().matched < kPackets && std::chrono::steady_clock::now() < deadline)
        look_again();
    controller_->on_tick();
    const std::uint64_t lost = session->counts().lost;
    EXPECT_GT(lost, 0u);
    EXPECT_EQ(observe::lost(observe::Loss::captures) - before, lost);
    session->stop();
    EXPECT_EQ(observe::lost(observe::Loss::captures) - before, lost) << "once";
}

TEST_F(CaptureTest, what_a_killed_daemon_left_is_taken_off_by_the_next) {
    const std::string tap = options_.bpffs + "/test/tap";
    const std::string program = "ip -d link show eth0 | grep -o 'prog/xdp id [0-9]*'";
    const std::string before = network_.output(program);
    const auto child = ::fork();
    if (child == 0) {
        const auto session = controller_->capture({});
        ::_exit(session ? 0 : 1);  // As a kill would: nothing is undone.
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    EXPECT_FALSE(kernel::list_pins(tap).empty());
    EXPECT_NE(network_.output(program), before);
    controller_.reset();
    start();
    ASSERT_TRUE(controller_->apply_file());
    EXPECT_NE(::access(tap.c_str(), F_OK), 0);
    EXPECT_EQ(network_.output(program), before);
}

TEST_F(CaptureTest, refuses_what_it_cannot_mean) {
    const auto refused = [this](const CaptureRequest& request) {
        const auto session = controller_->capture(request);
        EXPECT_FALSE(session);
        return session ? Errc::internal : session.error().code;
    };
    CaptureRequest request;
    request.verdicts = {"lost"};
    EXPECT_EQ(refused(request), Errc::invalid);
    request = {};
    request.reasons = {"no_such_reason"};
    EXPECT_EQ(refused(request), Errc::not_found);
    request = {};
    request.services = {"nobody"};
    EXPECT_EQ(refused(request), Errc::not_found);
    request = {};
    request.interfaces = {"eth1"};
    EXPECT_EQ(refused(request), Errc::not_found);
    request = {};
    request.at_entry = request.at_exit = false;
    EXPECT_EQ(refused(request), Errc::invalid);
    EXPECT_NE(::access((options_.bpffs + "/test/tap").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace sluice::control
