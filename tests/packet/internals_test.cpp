// SPDX-License-Identifier: Apache-2.0
//
// What no packet alone can bring about: missing stages, inconsistent tables, no headroom; the root
// program in front and a foreign program behind; what specialisation leaves out; and the walk over
// all reasons.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <memory>

#include "kernel/bpf_object.h"
#include "plan/reasons.h"
#include "tests/packet/dissect.h"
#include "tests/packet/harness.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

/// A bench of its own, to be broken.
std::unique_ptr<Bench> fresh(const std::string& file) {
    auto bench = Bench::open(file);
    if (!bench) {
        ADD_FAILURE() << bench.error().what;
        return nullptr;
    }
    return std::move(*bench);
}

void expect_drop(Bench& bench, const Packet& packet, Reason reason, const char* what) {
    const Outcome got = bench.run(packet.bytes());
    EXPECT_EQ(name_of(got.run.verdict), std::string("drop")) << what;
    ASSERT_EQ(got.reasons.size(), 1U) << what;
    EXPECT_EQ(label_of(got.reasons[0].reason), std::string(label_of(reason))) << what;
}

const bool kTailMissed = provokes(Reason::TAIL_MISSED);

TEST(Broken, AMissingStageIsAReason) {
    const auto bench = fresh("decap.yaml");
    ASSERT_TRUE(bench);
    for (std::uint32_t stage = 0; stage < 6; ++stage)
        ASSERT_EQ(::bpf_map_delete_elem(bench->generation().map_fd("slc_stages"), &stage), 0);
    const Packet tunnel = eth() / ip4({.src = "10.255.0.1", .dst = "10.0.0.1"}) / ip4() / tcp();
    expect_drop(*bench, eth() / ip4() / echo4(), Reason::TAIL_MISSED, "icmp");
    expect_drop(*bench, eth() / ip4({.mf = true}) / udp({.dport = 80}) / payload(64),
                Reason::TAIL_MISSED, "frag");
    expect_drop(*bench, eth() / ip6() / dest_opts() / tcp(), Reason::TAIL_MISSED, "ext");
    expect_drop(*bench, eth() / ip4({.dst = "192.0.2.200"}) / udp() / payload(8990),
                Reason::TAIL_MISSED, "too_big");
    expect_drop(*bench, tunnel, Reason::TAIL_MISSED, "decap");
    EXPECT_TRUE(kTailMissed);
}

TEST(Broken, AMissingFlowTableStageIsAReason) {
    const auto bench = fresh("small.yaml");
    ASSERT_TRUE(bench);
    for (std::uint64_t& slot : bench->generation().slots()) slot |= SLC_SLOT_MARKED;
    const std::uint32_t follow = 5;
    ASSERT_EQ(::bpf_map_delete_elem(bench->generation().map_fd("slc_stages"), &follow), 0);
    expect_drop(*bench, eth() / ip4({.mf = true}) / tcp({.flags = kAck}) / payload(64),
                Reason::TAIL_MISSED, "fragment in a marked slot");
}

const bool kMapMissed = provokes(Reason::MAP_MISSED);

/// Each of the tables that lead from a service to a header, pointing nowhere.
TEST(Broken, AnInconsistentTableIsAReason) {
    EXPECT_TRUE(kMapMissed);
    const Packet packet = eth() / ip4() / tcp();
    {
        const auto outcome = fresh("small.yaml");
        ASSERT_TRUE(outcome);
        const auto opened = Bench::from(outcome->config(), {.spoil = [](plan::Image& image) {
                                            image.services.at(image.service_ids.at(0)).ring =
                                                0xfffffff0;
                                        }});
        ASSERT_TRUE(opened) << opened.error().what;
        const auto& bench = *opened;
        expect_drop(*bench, packet, Reason::MAP_MISSED, "ring out of range");
    }
    {
        const auto bench = fresh("small.yaml");
        ASSERT_TRUE(bench);
        bench->generation().rings()[0] = SLC_RING_MAKE(0x7fffffff, 8);
        expect_drop(*bench, packet, Reason::MAP_MISSED, "slots out of range");
    }
    {
        const auto bench = fresh("small.yaml");
        ASSERT_TRUE(bench);
        for (std::uint64_t& slot : bench->generation().slots())
            slot = SLC_SLOT_MAKE(0xfffff, 0xfffff, 0);
        expect_drop(*bench, packet, Reason::MAP_MISSED, "member out of range");
    }
    {
        const auto bench = fresh("small.yaml");
        ASSERT_TRUE(bench);
        for (slc_member& member : bench->generation().members()) member.cell[0] = 0x7fffffff;
        expect_drop(*bench, packet, Reason::BACKEND_UNRESOLVED, "header template out of range");
    }
}

TEST(Broken, AnEmptyRingOrSlotIsNoBackend) {
    const auto bench = fresh("small.yaml");
    ASSERT_TRUE(bench);
    for (std::uint64_t& slot : bench->generation().slots()) slot = 0;
    expect_drop(*bench, eth() / ip4() / tcp(), Reason::NO_BACKEND, "slots without member");
    bench->generation().rings()[0] = 0;
    expect_drop(*bench, eth() / ip4() / tcp(), Reason::NO_BACKEND, "no ring");
}

/// tests/packet/headroom.bpf.c: leaves no room in front of the frame and tail-calls the balancer.
struct CloseObject {
    void operator()(bpf_object* object) const { ::bpf_object__close(object); }
};
using ObjectPtr = std::unique_ptr<bpf_object, CloseObject>;

ObjectPtr load_helper() {
    ObjectPtr object(::bpf_object__open_file(SLUICE_HEADROOM_OBJECT, nullptr));
    if (object && ::bpf_object__load(object.get()) != 0) object.reset();
    return object;
}

const bool kHeadroom = provokes(Reason::HEADROOM);

TEST(Headroom, ADriverWithoutRoomIsAReason) {
    EXPECT_TRUE(kHeadroom);
    const auto bench = fresh("small.yaml");
    ASSERT_TRUE(bench);
    const ObjectPtr helper = load_helper();
    ASSERT_TRUE(helper) << SLUICE_HEADROOM_OBJECT;
    const int array = ::bpf_object__find_map_fd_by_name(helper.get(), "headroom_next");
    const std::uint32_t zero = 0;
    const int fd = bench->generation().program_fd();
    ASSERT_EQ(::bpf_map_update_elem(array, &zero, &fd, BPF_ANY), 0);
    const int front =
        ::bpf_program__fd(::bpf_object__find_program_by_name(helper.get(), "headroom_none"));
    const Bytes frame = (eth() / ip4() / tcp() / payload(128 - 54)).bytes();
    ASSERT_EQ(frame.size(), 128U);

    ReasonReader reasons(bench->state_fd("slc_reason_counters"));
    const auto run = test_run(front, frame);
    ASSERT_TRUE(run) << run.error().what;
    EXPECT_EQ(name_of(run->verdict), std::string("drop"));
    const auto moves = reasons.moves();
    ASSERT_EQ(moves.size(), 1U);
    EXPECT_EQ(label_of(moves[0].reason), std::string("headroom"));
    EXPECT_EQ(moves[0].bytes, 128U);
}

TEST(Root, HandsEveryPacketToTheBalancer) {
    Bench& bench = bench_for("forward.yaml");
    auto root = kernel::BpfObject::open(kernel::ObjectName::root, instruction_set());
    ASSERT_TRUE(root) << root.error().what;
    const auto loaded = root->load();
    ASSERT_TRUE(loaded) << loaded.error().what;
    const std::vector<Packet> packets = {
        eth() / ip4() / tcp({.dport = 1014}),
        eth() / ip6() / udp({.dport = 1036}) / payload(50),
        eth() / ip4() / echo4() / payload(10),
        eth() / ip6() / dest_opts() / tcp({.dport = 1014}),
        eth() / ip4({.dst = "192.0.2.99"}) / tcp(),
        eth() / ip4() / tcp({.flags = 0}),
        eth() / ip6() / udp({.dport = 1036}) / payload(8000),
    };
    // Without a generation everything goes to Linux as it came, and is counted.
    for (const Packet& packet : packets) {
        const auto run = test_run(root->program_fd("slc_root"), packet.bytes());
        ASSERT_TRUE(run);
        EXPECT_EQ(name_of(run->verdict), std::string("pass"));
        EXPECT_EQ(run->frame, packet.bytes());
    }
    std::vector<std::uint64_t> missed(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
    const std::uint32_t zero = 0;
    ASSERT_EQ(::bpf_map_lookup_elem(root->map_fd("slc_root_missed"), &zero, missed.data()), 0);
    std::uint64_t total = 0;
    for (const std::uint64_t count : missed) total += count;
    EXPECT_EQ(total, packets.size());

    const int fd = bench.generation().program_fd();
    ASSERT_EQ(::bpf_map_update_elem(root->map_fd("slc_root_progs"), &zero, &fd, BPF_ANY), 0);
    for (const Packet& packet : packets) {
        bench.reset_state();
        const auto behind = test_run(root->program_fd("slc_root"), packet.bytes());
        bench.reset_state();
        const auto alone = test_run(fd, packet.bytes());
        ASSERT_TRUE(behind && alone);
        EXPECT_EQ(behind->verdict, alone->verdict);
        EXPECT_EQ(behind->frame, alone->frame);
    }
}

/// `next:` gets what is left to Linux, stripped tunnels included, and nothing else.
TEST(Next, ReceivesWhatGoesToLinux) {
    auto outcome = Bench::open("decap.yaml");
    ASSERT_TRUE(outcome) << outcome.error().what;
    const ObjectPtr helper = load_helper();
    ASSERT_TRUE(helper) << SLUICE_HEADROOM_OBJECT;
    config::Config config = (*outcome)->config();
    const PinnedProgram pinned(
        ::bpf_program__fd(::bpf_object__find_program_by_name(helper.get(), "foreign_next")));
    ASSERT_TRUE(pinned.missing().empty()) << pinned.missing();
    config.node.next = pinned.path();
    auto opened = Bench::from(config);
    ASSERT_TRUE(opened) << opened.error().what;
    Bench& bench = **opened;
    // The foreign program says XDP_ABORTED, which nothing of ours ever says.
    const std::pair<Packet, const char*> cases[] = {
        {eth() / ip4({.dst = "192.0.2.99"}) / tcp(), "aborted"},
        {eth({.type = 0x0806}) / payload(46), "aborted"},
        {eth() / ip4({.src = "10.255.0.1", .dst = "10.0.0.1"}) / ip4() / tcp(), "aborted"},
        {eth() / ip4() / tcp({.flags = 0}), "drop"},
        {eth() / ip4() / echo4(), "tx"},
    };
    for (const auto& [packet, verdict] : cases) {
        bench.reset_state();
        const Outcome got = bench.run(packet.bytes());
        EXPECT_EQ(name_of(got.run.verdict), std::string(verdict));
        EXPECT_EQ(got.reasons.size(), 1U);
    }
}

TEST(Next, AMissingProgramIsAnError) {
    auto outcome = Bench::open("small.yaml");
    ASSERT_TRUE(outcome) << outcome.error().what;
    config::Config config = (*outcome)->config();
    config.node.next = "/sys/fs/bpf/there/is/no/such/program";
    const auto opened = Bench::from(config);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().what.find("next"), std::string::npos) << opened.error().what;
}

std::uint32_t instructions_of(const kernel::Generation& generation, const char* program) {
    for (const auto& info : generation.programs())
        if (info.name == program) return info.instructions;
    return 0;
}

/// What the configuration does not use is not in the loaded program.
TEST(Specialisation, ASmallConfigurationIsASmallProgram) {
    Bench& small = bench_for("small.yaml");
    Bench& full = bench_for("everything.yaml");
    std::uint32_t built = 0;
    for (const auto& info : full.generation().programs())
        if (info.name == "slc_lb") built = info.instructions_built;
    const std::uint32_t few = instructions_of(small.generation(), "slc_lb");
    const std::uint32_t many = instructions_of(full.generation(), "slc_lb") +
                               instructions_of(full.generation(), "slc_lb6");
    fmt::print(
        "slc_lb: {} instructions built; loaded {} for one IPv4 service, {} for every "
        "feature\n",
        built, few, many);
    for (const Bench* bench : {&small, &full})
        for (const auto& info : const_cast<Bench*>(bench)->generation().programs())
            fmt::print("  {} {}: {}\n", bench == &small ? "small" : "full", info.name,
                       info.instructions);
    EXPECT_GT(few, 100U);
    EXPECT_LT(few * 2, many) << "a small configuration carries less than half";
    EXPECT_EQ(instructions_of(small.generation(), "slc_lb6"), 0U) << "no IPv6 VIP";
    EXPECT_EQ(instructions_of(small.generation(), "slc_ext"), 0U) << "no IPv6 VIP";
    EXPECT_EQ(instructions_of(small.generation(), "slc_decap"), 0U) << "no tunnels end here";
    EXPECT_GT(instructions_of(full.generation(), "slc_decap"), 0U);
}

std::uint32_t steady_size(config::Tracking tracking, config::Routing routing) {
    auto outcome = Bench::open("small.yaml");
    EXPECT_TRUE(outcome) << outcome.error().what;
    config::Config config = (*outcome)->config();
    config.services[0].protocol = config::Protocol::both;
    config.services[0].tracking = tracking;
    config.services[0].routing = routing;
    config.groups[0].backends[0].server_id = config::ServerId{1, {7}};
    const auto bench = Bench::from(config);
    EXPECT_TRUE(bench) << bench.error().what;
    const std::uint32_t follow = instructions_of((*bench)->generation(), "slc_follow");
    EXPECT_EQ(follow != 0, tracking != config::Tracking::never) << "slc_follow";
    return instructions_of((*bench)->generation(), "slc_lb");
}

/// Who remembers no flows has no stage for them; who routes by no ids does not carry their readers,
/// and who routes by one kind does not carry the other's.
TEST(Specialisation, TrackingAndIdsAreThereWhereTheyAreAskedFor) {
    using config::RouteBy;
    using config::Tracking;
    const std::uint32_t least = steady_size(Tracking::never, {});
    const std::uint32_t tracked = steady_size(Tracking::transitions, {});
    const std::uint32_t option = steady_size(Tracking::never, {.by = RouteBy::tcp_server_id});
    const std::uint32_t katran = steady_size(Tracking::never, {.by = RouteBy::katran});
    fmt::print(
        "slc_lb: {} instructions, {} with tracking, {} with TCP server ids, {} with "
        "connection ids\n",
        least, tracked, option, katran);
    EXPECT_GT(least, 100U);
    EXPECT_GT(tracked, least);
    EXPECT_GT(option, least + 50);
    EXPECT_GT(katran, least + 50);
    // Reading an option is a loop of a few instructions, a connection id is unrolled bytes.
    EXPECT_LT(option, katran);
}

/// Every reason of reasons.def is wanted by a row, or provoked by a test that says so.
TEST(Reasons, EveryOneIsProvokedByATest) {
    std::set<Reason> wanted = provoked_elsewhere();
    for (const Case& row : all_rows()) wanted.insert(row.want.reason);
    // NONE is what no packet can be counted under: that would be a bug.
    EXPECT_FALSE(wanted.contains(Reason::NONE));
    for (std::uint16_t i = 1; i < static_cast<std::uint16_t>(Reason::COUNT); ++i)
        EXPECT_TRUE(wanted.contains(static_cast<Reason>(i)))
            << label_of(static_cast<Reason>(i)) << " is provoked by no test";
}

/// What people are told of a reason is what the data plane does.
TEST(Reasons, OutcomesAreTheOnesThatAreShown) {
    for (const Case& row : all_rows())
        EXPECT_EQ(plan::is_drop(static_cast<slc_reason>(row.want.reason)),
                  row.want.verdict == Verdict::drop)
            << row.name << ": " << label_of(row.want.reason);
}

}  // namespace
}  // namespace sluice::packet
