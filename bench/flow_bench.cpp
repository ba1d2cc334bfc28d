// SPDX-License-Identifier: Apache-2.0
#include "bench/flow_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "bench/flow_programs.h"

namespace sluice::bench {
namespace {

using Json = nlohmann::json;

/// What is timed. Loads are shares of places taken.
enum class Act { hit, miss, insert, bare, early, refusal };
constexpr std::array kActs{Act::hit, Act::miss, Act::insert, Act::bare, Act::early, Act::refusal};
constexpr std::array<const char*, 6> kActNames{"hit",
                                               "miss",
                                               "new flow",
                                               "new flow, LRU not asked first",
                                               "new flow, our table nearly empty",
                                               "refusal"};

bool is_insert(Act act) {
    return act == Act::insert || act == Act::bare || act == Act::early;
}
constexpr std::array<const char*, BENCH_FLOW_TABLES> kTableNames{
    "none", "Sluice", "LRU", "LRU, NO_COMMON_LRU", "LRU per CPU"};

constexpr slc_u32 kPrevious = 1;
constexpr slc_u32 kCurrent = 2;
constexpr slc_u64 kClosed = SLC_SLOT_MAKE(kCurrent, kPrevious, SLC_SLOT_MARKED);
constexpr slc_u64 kOpen = SLC_SLOT_MAKE(kCurrent, kPrevious, SLC_SLOT_MARKED | SLC_SLOT_OPEN);
constexpr slc_u32 kTick = 1000;
/// Flows below are in the tables; misses and inserts are of others, of each core its own.
constexpr slc_u64 kStrangers = 1ull << 29;
constexpr slc_u32 kBatch = 100'000;  ///< Packets of one run while tables are filled.

std::string size_text(unsigned size) {
    return size >= 1u << 20 ? fmt::format("{} M", size >> 20) : fmt::format("{} k", size >> 10);
}

std::uint32_t log2_of_places(std::uint64_t places) {
    return std::max<std::uint32_t>(SLC_FLOW_MIN_LOG2, std::bit_width(places / SLC_FLOW_WAYS - 1));
}

/// All tables of one size.
class Sized {
 public:
    static Result<Sized> make(unsigned size, const std::vector<unsigned>& cpus);

    /// Nanoseconds a packet, mean over the cores.
    Result<double> time(Act act, bench_flow_table table, const Cores& cores, unsigned packets);

 private:
    explicit Sized(unsigned size) : size_(size) {}
    Result<void> fill_half(const std::vector<unsigned>& cpus);
    Result<void> fill_whole(const std::vector<unsigned>& cpus);
    static Result<void> insert(FlowPrograms& programs, bench_flow_table table, unsigned cpu,
                               slc_u64 flows);
    Result<void> check(Act act, bench_flow_table table, double good) const;
    void forget_new();
    bench_flow_job job_of(Act act, unsigned cpu, unsigned packets);

    unsigned size_;
    [[nodiscard]] FlowPrograms& programs_for(Act act, bench_flow_table table);

    std::optional<FlowPrograms> half_;  ///< Twice as many places as flows, for hit and miss.
    std::optional<FlowPrograms>
        whole_;  ///< As many, all taken, for refusals and the LRUs' inserts.
    std::optional<FlowPrograms> early_;  ///< As many, hardly any taken: a change has just begun.
    std::optional<FlowPrograms> room_;   ///< As many, half of them taken, for our inserts.
    std::map<std::pair<bool, unsigned>, slc_u64> next_;  ///< Known or not, by CPU.
};

/// Flows 0.. of all, as later packets of connections.
Result<void> Sized::insert(FlowPrograms& programs, bench_flow_table table, unsigned cpu,
                           slc_u64 flows) {
    SLC_CHECK(pin_to_cpu(cpu), "fill");
    bench_flow_job& job = programs.shared().job[cpu];
    job = {};
    job.stride = 1;
    job.flows = 1ull << 32;
    job.slot = kOpen;
    job.tick = kTick;
    job.kind = SLC_FLOW_PACKET;
    job.insert = BENCH_FLOW_INSERT;
    for (slc_u64 done = 0; done < flows; done += job.count) {
        job.count = static_cast<slc_u32>(std::min<slc_u64>(kBatch, flows - done));
        SLC_CHECK(programs.run(table), "fill");
    }
    return {};
}

Result<void> Sized::fill_half(const std::vector<unsigned>& cpus) {
    const unsigned cpu = cpus.front();
    SLC_CHECK(insert(*half_, BENCH_FLOW_SLUICE, cpu, size_), "fill");
    SLC_CHECK(insert(*room_, BENCH_FLOW_SLUICE, cpu, size_ / 2), "fill");
    SLC_CHECK(insert(*half_, BENCH_FLOW_LRU, cpu, size_), "fill");
    SLC_CHECK(insert(*half_, BENCH_FLOW_LRU_NO_COMMON, cpu, size_), "fill");
    for (const unsigned each : cpus)
        SLC_CHECK(insert(*half_, BENCH_FLOW_LRU_PER_CPU, each, size_), "fill");
    return {};
}

/// The kernel's with more than there is room for, on each CPU, so that no list has a free entry.
Result<void> Sized::fill_whole(const std::vector<unsigned>& cpus) {
    const slc_u64 flows = size_ + size_ / 2;
    for (const unsigned cpu : cpus) {
        for (const auto table : {BENCH_FLOW_LRU, BENCH_FLOW_LRU_NO_COMMON, BENCH_FLOW_LRU_PER_CPU})
            SLC_CHECK(insert(*whole_, table, cpu, flows), "fill");
    }
    slc_u64 number = kStrangers;
    for (slc_flow_bucket& bucket : whole_->buckets()) {
        for (slc_u64& entry : bucket.entry)
            entry = slc_flow_entry(++number << SLC_FLOW_FINGERPRINT_SHIFT, SLC_FLOW_ESTABLISHED,
                                   kPrevious, static_cast<slc_u8>(kTick + SLC_FLOW_MAX_TICKS));
    }
    return {};
}

Result<Sized> Sized::make(unsigned size, const std::vector<unsigned>& cpus) {
    Sized out(size);
    progress(fmt::format("flow: making tables for {}", size_text(size)));
    out.half_ = SLC_TRY(FlowPrograms::load(log2_of_places(2ull * size), 2 * size), "tables");
    out.whole_ = SLC_TRY(FlowPrograms::load(log2_of_places(size), size), "tables");
    out.early_ = SLC_TRY(FlowPrograms::load(log2_of_places(size), 0), "tables");
    out.room_ = SLC_TRY(FlowPrograms::load(log2_of_places(size), 0), "tables");
    SLC_CHECK(out.fill_half(cpus), "tables");
    SLC_CHECK(out.fill_whole(cpus), "tables");
    return out;
}

/// Takes out what the last measurement put in.
void Sized::forget_new() {
    for (FlowPrograms* each : {&*room_, &*early_}) {
        for (slc_flow_bucket& bucket : each->buckets()) {
            for (slc_u64& entry : bucket.entry) {
                if (SLC_FLOW_MEMBER_OF(entry) == kCurrent) entry = 0;
            }
        }
        each->shared().account[1].used = each == &*room_ ? size_ / 2 : 0;
    }
}

FlowPrograms& Sized::programs_for(Act act, bench_flow_table table) {
    if (is_insert(act) && table != BENCH_FLOW_SLUICE) return *whole_;
    if (is_insert(act)) return act == Act::early ? *early_ : *room_;
    return act == Act::refusal ? *whole_ : *half_;
}

/// A figure of packets that did something else would look splendid.
Result<void> Sized::check(Act act, bench_flow_table table, double good) const {
    const bool wants = act == Act::hit || is_insert(act);
    // Random buckets: some of the flows found no room when the table was filled, more do at half.
    const double limit = table == BENCH_FLOW_SLUICE && is_insert(act) ? 0.85 : 0.95;
    if (table == BENCH_FLOW_NONE || (wants ? good >= limit : good <= 0.001)) return {};
    return fail(
        Errc::internal,
        fmt::format("{}, {} of {}: {:.1f} % of packets did", kTableNames[table],
                    kActNames[static_cast<std::size_t>(act)], size_text(size_), 100 * good));
}

Result<double> Sized::time(Act act, bench_flow_table table, const Cores& cores, unsigned packets) {
    const bool ours = table == BENCH_FLOW_SLUICE;
    FlowPrograms& programs = programs_for(act, table);
    const auto count_of_cores = static_cast<unsigned>(cores.cpus().size());
    // Inserts into Sluice's table: a sixteenth of its places at a time, so that its load stays near
    // one half.
    const unsigned at_once =
        ours && is_insert(act) ? std::min(packets, size_ / 16 / count_of_cores) : packets;
    double ns = 0;
    double good = 0;
    double count = 0;
    for (unsigned done = 0; done < packets; done += at_once) {
        programs.shared().arrived = 0;
        for (const unsigned cpu : cores.cpus()) {
            bench_flow_job& job = programs.shared().job[cpu];
            job = job_of(act, cpu, at_once);
            job.gate = count_of_cores > 1 ? count_of_cores : 0;
        }
        SLC_CHECK(cores.run([&](unsigned) { return programs.run(table); }), kTableNames[table]);
        for (const unsigned cpu : cores.cpus()) {
            const bench_flow_job& job = programs.shared().job[cpu];
            ns += static_cast<double>(job.ns);
            good += static_cast<double>(job.good);
            count += job.count;
        }
        if (ours && is_insert(act)) forget_new();
    }
    SLC_CHECK(check(act, table, good / count), "measure");
    return ns / count;
}

/// The next packets of a core: known flows in another order than they came in, or new ones.
bench_flow_job Sized::job_of(Act act, unsigned cpu, unsigned packets) {
    bench_flow_job job{};
    job.count = packets;
    job.tick = kTick;
    const bool opens = is_insert(act) || act == Act::refusal;
    job.slot = opens ? kOpen : kClosed;
    job.kind = opens ? SLC_FLOW_SYN : SLC_FLOW_PACKET;
    job.insert = act == Act::bare ? BENCH_FLOW_INSERT
                 : opens          ? BENCH_FLOW_FIND_INSERT
                                  : BENCH_FLOW_FIND;
    slc_u64& next = next_[{act == Act::hit, cpu}];
    if (act == Act::hit) {
        job.flows = size_;
        job.stride = (size_ * 618ull / 1000) | 1;
    } else {
        job.flows = kStrangers;
        job.first = kStrangers * (1 + cpu);
        job.stride = 1;
    }
    job.next = next;
    next = (next + job.stride * packets) % job.flows;
    return job;
}

/// One line of figures: an act at a size, on so many cores.
struct Line {
    unsigned size = 0;
    Act act = Act::hit;
    unsigned cores = 1;
    std::array<std::vector<double>, BENCH_FLOW_TABLES> net;
};

class FlowBench {
 public:
    explicit FlowBench(const FlowOptions& options) : options_(options) {}
    Result<void> measure();
    Json report(std::vector<Asked>& asked) const;

 private:
    Result<void> measure(unsigned size);
    Result<void> round(Sized& tables, Line& line);
    [[nodiscard]] std::string row(const Line& line, Table& table) const;

    const FlowOptions& options_;
    std::vector<unsigned> cpus_;
    std::vector<Line> lines_;
};

Result<void> FlowBench::round(Sized& tables, Line& line) {
    const Cores cores(line.cores == 1 ? std::vector<unsigned>{last_cpu()} : cpus_);
    std::array<double, BENCH_FLOW_TABLES> ns{};
    for (int table = BENCH_FLOW_NONE; table < BENCH_FLOW_TABLES; ++table) {
        // The kernel's tables refuse nothing: they forget somebody else.
        if (line.act == Act::refusal && table > BENCH_FLOW_SLUICE) break;
        ns[table] = SLC_TRY(
            tables.time(line.act, static_cast<bench_flow_table>(table), cores, options_.packets),
            "round");
        if (table != BENCH_FLOW_NONE) line.net[table].push_back(ns[table] - ns[BENCH_FLOW_NONE]);
    }
    return {};
}

Result<void> FlowBench::measure(unsigned size) {
    Sized tables = SLC_TRY(Sized::make(size, cpus_), size_text(size));
    const std::size_t first = lines_.size();
    for (const Act act : kActs) {
        lines_.push_back({size, act, 1, {}});
        if (cpus_.size() > 1)
            lines_.push_back({size, act, static_cast<unsigned>(cpus_.size()), {}});
    }
    for (unsigned number = 0; number < options_.rounds; ++number) {
        for (std::size_t i = first; i < lines_.size(); ++i) {
            progress(fmt::format("flow: {}, round {} of {}", size_text(size), number + 1,
                                 options_.rounds));
            SLC_CHECK(round(tables, lines_[i]), size_text(size));
        }
    }
    return {};
}

Result<void> FlowBench::measure() {
    go_first();
    for (unsigned cpu = 0; cpu <= std::min(last_cpu(), 1u); ++cpu) cpus_.push_back(cpu);
    for (const unsigned size : options_.sizes) {
        if (!std::has_single_bit(size) || size < 1024)
            return fail(Errc::invalid,
                        fmt::format("--sizes {}: not a power of two from 1024 on", size));
        SLC_CHECK(measure(size), "flow");
    }
    progress("");
    return {};
}

Json FlowBench::report(std::vector<Asked>& asked) const {
    Table table({"ns a packet, net", "cores", "Sluice", "LRU", "times", "NO_COMMON_LRU", "times",
                 "LRU per CPU", "times"});
    Json rows = Json::array();
    for (const Line& line : lines_) {
        const char* act = kActNames[static_cast<std::size_t>(line.act)];
        const auto& ours = line.net[BENCH_FLOW_SLUICE];
        std::vector<std::string> row{fmt::format("{}, {}", size_text(line.size), act),
                                     std::to_string(line.cores), text_of(spread_of(ours))};
        Json tables = Json::object();
        for (int other = BENCH_FLOW_SLUICE; other < BENCH_FLOW_TABLES; ++other) {
            const auto& net = line.net[other];
            if (net.empty()) continue;
            const Spread times = ratio_of(net, ours);
            tables[kTableNames[other]] = {{"net_ns", to_json(spread_of(net))},
                                          {"rounds_net_ns", net},
                                          {"times_sluice", to_json(times)}};
            if (other == BENCH_FLOW_SLUICE) continue;
            row.push_back(text_of(spread_of(net), 0));
            row.push_back(fmt::format("{:.1f}", times.median));
            if (line.act == Act::insert && line.size == 1u << 20 && other == BENCH_FLOW_LRU)
                asked.push_back(at_least(
                    fmt::format("a new flow at 1 M, LRU against Sluice, {} core(s)", line.cores),
                    times.median, 10));
        }
        table.add(row);
        rows.push_back(
            {{"flows", line.size}, {"act", act}, {"cores", line.cores}, {"tables", tables}});
    }
    fmt::print("{} packets a measurement and core, {} rounds: median (min..max)\n\n{}\n",
               options_.packets, options_.rounds, table.text());
    return {{"packets", options_.packets}, {"rounds", options_.rounds}, {"lines", rows}};
}

}  // namespace

Result<Json> run_flow(const FlowOptions& options, std::vector<Asked>& asked) {
    FlowBench bench(options);
    SLC_CHECK(bench.measure(), "flow");
    return bench.report(asked);
}

}  // namespace sluice::bench
