// SPDX-License-Identifier: Apache-2.0
//
// Mutations of every packet of the tables through the data plane (BPF_PROG_TEST_RUN), judged by the
// invariants of packet_invariants.h.
//
//   packet_fuzz [--iterations N] [--seed S] [--config FILE]
//   packet_fuzz --replay HEX --config FILE      FILE as in tests/packet/configs, or "agent"
//
// Exit 0: nothing was violated; 1: something was, with the frame, the way to replay it and a pcapng
// file; 77: no privilege. The same seed makes the same run.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>

#include "tests/fuzz/packet_invariants.h"
#include "tests/fuzz/packet_mutate.h"
#include "tests/packet/dissect.h"
#include "tests/packet/pcap.h"
#include "tests/packet/table.h"
#include "tests/packet/tunnels.h"

namespace sluice::packet {
namespace {

constexpr std::uint64_t kAuditEvery = 256;   // frames between two readings of all counters
constexpr std::uint64_t kForgetEvery = 512;  // frames before fragments and limits are forgotten

/// Says which reason counted the last frame without reading every counter: the rows that moved
/// lately are looked at first. audit() reads them all, so that a second reason, or a frame that
/// nothing counted, is found within kAuditEvery frames.
class QuickReasons {
 public:
    explicit QuickReasons(int fd)
        : fd_(fd), all_(fd), row_(static_cast<std::size_t>(::libbpf_num_possible_cpus())) {}

    std::vector<ReasonMove> moves() {
        for (std::size_t i = 0; i < recent_.size(); ++i) {
            Known& known = recent_[i];
            const slc_counter now = read(known.index);
            if (now.packets == known.last.packets && now.bytes == known.last.bytes) continue;
            const ReasonMove move = difference(known, now);
            known.last = now;
            // Frequent rows wander to the front.
            if (i > 0) std::swap(recent_[i - 1], recent_[i]);
            seen_packets_ += move.packets;
            return {move};
        }
        return learn();
    }

    /// True when the counters of all reasons have moved by what moves() has reported.
    bool audit() {
        std::uint64_t packets = 0;
        for (const ReasonMove& move : all_.moves()) packets += move.packets;
        return std::exchange(seen_packets_, 0) == packets;
    }

 private:
    struct Known {
        std::uint32_t index = 0;
        slc_counter last{};
    };

    slc_counter read(std::uint32_t index) {
        const std::uint32_t at = first_ + index;
        if (::bpf_map_lookup_elem(fd_, &at, row_.data()) != 0) return {};
        return row_[static_cast<std::size_t>(::sched_getcpu())];
    }

    static ReasonMove difference(const Known& known, const slc_counter& now) {
        return {static_cast<Reason>(known.index / SLC_FAMPROTO_COUNT),
                known.index % SLC_FAMPROTO_COUNT, now.packets - known.last.packets,
                now.bytes - known.last.bytes};
    }

    /// A row that never moved before: all are read.
    std::vector<ReasonMove> learn() {
        std::vector<ReasonMove> out;
        for (std::uint32_t index = 0;
             index < static_cast<std::uint32_t>(Reason::COUNT) * SLC_FAMPROTO_COUNT; ++index) {
            const bool known = std::ranges::any_of(
                recent_, [&](const Known& entry) { return entry.index == index; });
            if (known) continue;
            const slc_counter now = read(index);
            if (now.packets == 0 && now.bytes == 0) continue;
            Known fresh{index, {}};
            out.push_back(difference(fresh, now));
            seen_packets_ += now.packets;
            fresh.last = now;
            recent_.push_back(fresh);
        }
        return out;
    }

    int fd_;
    std::uint32_t first_ = first_reason_row(fd_);
    ReasonReader all_;
    std::vector<slc_counter> row_;
    std::vector<Known> recent_;
    std::uint64_t seen_packets_ = 0;
};

/// A program under test with its seeds.
struct Target {
    std::string config;
    int fd = -1;
    Bench* bench = nullptr;  ///< None for the agent.
    World world = {};
    std::vector<Bytes> seeds = {};
    std::unique_ptr<QuickReasons> reasons = {};
    std::uint64_t frames = 0;
    std::map<Reason, std::uint64_t> outcomes = {};
};

/// Nothing is remembered; the slots of flows.yaml are in transition, so that flows will be.
void forget(Target& target) {
    if (target.bench == nullptr) return;
    target.bench->reset_state();
    if (target.config != "flows.yaml") return;
    for (std::uint64_t& slot : target.bench->generation().slots())
        slot |= SLC_SLOT_MARKED | SLC_SLOT_OPEN;
}

/// A bench that no other frame has counted on.
std::vector<std::unique_ptr<Bench>>& benches() {
    static std::vector<std::unique_ptr<Bench>> all;
    return all;
}

Result<Target> balancer_target(const std::string& config) {
    benches().push_back(SLC_TRY(Bench::open(config), config));
    Bench& bench = *benches().back();
    Target target{.config = config, .world = World::of(bench.config())};
    target.bench = &bench;
    target.fd = bench.generation().program_fd();
    target.reasons = std::make_unique<QuickReasons>(bench.state_fd("slc_reason_counters"));
    forget(target);
    return target;
}

Result<Target> agent_target() {
    static std::unique_ptr<AgentBench> bench;
    bench = SLC_TRY(AgentBench::open(), "agent");
    Target target{.config = "agent"};
    target.world.vips = AgentBench::vips();
    target.world.peers = AgentBench::peers();
    target.world.gue_port = kDecapGuePort;
    target.world.agent = true;
    target.fd = bench->program_fd();
    target.reasons = std::make_unique<QuickReasons>(bench->reasons_fd());
    return target;
}

void add_seeds(Target& target, const std::vector<Case>& rows) {
    for (const Case& row : rows) {
        if (row.config != target.config) continue;
        target.seeds.push_back(row.in.bytes());
        for (const Packet& packet : row.before) target.seeds.push_back(packet.bytes());
    }
}

Result<std::vector<Target>> targets(const std::string& only) {
    std::vector<Target> out;
    const std::vector<Case> agent_rows =
        stripped("agent", kDecapGuePort) + marked("agent") + not_stripped("agent", kDecapGuePort);
    for (const char* config :
         {"forward.yaml", "services.yaml", "mtu.yaml", "decap.yaml", "dscp.yaml", "rate.yaml",
          "plain_source.yaml", "ids.yaml", "flows.yaml", "agent"}) {
        if (!only.empty() && only != config) continue;
        const bool is_agent = std::string(config) == "agent";
        Target target = SLC_TRY(is_agent ? agent_target() : balancer_target(config), "fuzz");
        add_seeds(target, is_agent ? agent_rows : all_rows());
        if (target.seeds.empty()) return fail(Errc::internal, std::string("no rows for ") + config);
        out.push_back(std::move(target));
    }
    if (out.empty()) return fail(Errc::not_found, "no such configuration: " + only);
    return out;
}

std::string hex_of(const Bytes& bytes) {
    std::string out;
    for (const std::uint8_t byte : bytes) out += fmt::format("{:02x}", byte);
    return out;
}

Bytes from_hex(const std::string& text) {
    Bytes out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        out.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
    return out;
}

void report(const Target& target, const Bytes& in, const RunResult& run, const std::string& what) {
    fmt::print("VIOLATED ({}): {}\nsent, {} bytes:\n{}", target.config, what, in.size(),
               hexdump(in));
    fmt::print("{}, {} bytes:\n{}", name_of(run.verdict), run.frame.size(), hexdump(run.frame));
    for (const auto& [name, value] : dissect(in))
        fmt::print("  {} {}\n", name, value.substr(0, 60));
    fmt::print("replay: packet_fuzz --config {} --replay {}\n", target.config, hex_of(in));
    const std::string path = std::string(SLUICE_FUZZ_OUT) + "/packet_fuzz.pcapng";
    auto file = PcapWriter::open(path);
    if (!file) return;
    file->write(in, "sent: " + what);
    file->write(run.frame, name_of(run.verdict));
    fmt::print("frames: {}\n", path);
}

/// One frame; what was violated, if anything.
std::optional<std::string> try_frame(Target& target, const Bytes& frame, RunResult& out) {
    auto run = test_run(target.fd, frame);
    if (!run) return "the kernel refused to run: " + run.error().what;
    out = std::move(*run);
    const auto moves = target.reasons->moves();
    ++target.frames;
    if (moves.size() != 1) return fmt::format("{} reasons counted it", moves.size());
    ++target.outcomes[moves[0].reason];
    return violated(target.world, frame, out, moves[0]);
}

/// The same frame after the same past has the same fate.
std::optional<std::string> try_again(Target& target, const Bytes& frame) {
    RunResult first, second;
    for (RunResult* run : {&first, &second}) {
        forget(target);
        if (auto wrong = try_frame(target, frame, *run)) return wrong;
    }
    if (first.verdict != second.verdict) return "not deterministic: two verdicts";
    if (first.verdict != Verdict::drop && first.frame != second.frame)
        return "not deterministic: two frames";
    return {};
}

int fuzz(std::vector<Target>& all, std::uint64_t iterations, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (std::uint64_t i = 0; i < iterations; ++i) {
        Target& target = all[random() % all.size()];
        const auto pick = [&]() -> const Bytes& {
            return target.seeds[random() % target.seeds.size()];
        };
        const Bytes frame = mutate(pick(), pick(), random);
        RunResult run;
        auto wrong =
            i % kForgetEvery == 0 ? try_again(target, frame) : try_frame(target, frame, run);
        if (!wrong && target.frames % kAuditEvery == 0 && !target.reasons->audit())
            wrong =
                fmt::format("some of the last {} frames were counted twice or never", kAuditEvery);
        if (!wrong) continue;
        fmt::print("seed {} iteration {}\n", seed, i);
        report(target, frame, run, *wrong);
        return 1;
    }
    for (Target& target : all)
        if (!target.reasons->audit()) {
            fmt::print("{}: some of the last frames were counted twice or never\n", target.config);
            return 1;
        }
    return 0;
}

void summarise(const std::vector<Target>& all) {
    std::map<Reason, std::uint64_t> outcomes;
    std::uint64_t frames = 0;
    for (const Target& target : all) {
        frames += target.frames;
        for (const auto& [reason, count] : target.outcomes) outcomes[reason] += count;
    }
    for (const auto& [reason, count] : outcomes)
        fmt::print("{:>10}  {}\n", count, label_of(reason));
    fmt::print("{} frames, {} reasons, nothing violated\n", frames, outcomes.size());
}

int run(std::uint64_t iterations, std::uint64_t seed, const std::string& config,
        const std::string& replay) {
    auto all = targets(config);
    if (!all) {
        fmt::print(stderr, "error: {}\n", all.error().what);
        return 1;
    }
    if (!replay.empty()) {
        RunResult result;
        const Bytes frame = from_hex(replay);
        const auto wrong = try_frame(all->front(), frame, result);
        report(all->front(), frame, result, wrong.value_or("(nothing)"));
        return wrong ? 1 : 0;
    }
    fmt::print("{} iterations from seed {}\n", iterations, seed);
    const int status = fuzz(*all, iterations, seed);
    if (status == 0) summarise(*all);
    return status;
}

}  // namespace
}  // namespace sluice::packet

int main(int argc, char** argv) {
    std::uint64_t iterations = 50000;
    std::uint64_t seed = 1;
    std::string config;
    std::string replay;
    CLI::App app("Mutated packets through the data plane");
    app.add_option("--iterations", iterations, "Frames to run");
    app.add_option("--seed", seed, "Of the random numbers");
    app.add_option("--config", config, "Only this configuration");
    app.add_option("--replay", replay, "One frame, in hexadecimal digits")->needs("--config");
    CLI11_PARSE(app, argc, argv);
    testing::InitGoogleTest();  // makes the tables, from which the seeds are taken
    const std::string missing = sluice::packet::missing_privilege();
    if (!missing.empty()) {
        fmt::print("skipped: {}\n", missing);
        return 77;
    }
    return sluice::packet::run(iterations, seed, config, replay);
}
