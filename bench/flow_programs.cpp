// SPDX-License-Identifier: Apache-2.0
#include "bench/flow_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <thread>

#include "bench/harness.h"
#include "bench_flow.h"

namespace sluice::bench {
namespace {

constexpr std::array<const char*, BENCH_FLOW_TABLES> kPrograms{
    "flow_none", "flow_sluice", "flow_lru", "flow_lru_no_common", "flow_lru_per_cpu"};

Result<void> set_entries(bpf_object* object, const char* name, std::uint32_t entries) {
    if (::bpf_map__set_max_entries(::bpf_object__find_map_by_name(object, name), entries) == 0)
        return {};
    return fail(Errc::internal, std::string("cannot size ") + name);
}

Result<UniqueFd> make_lru(int outer, unsigned cpu, std::uint32_t entries) {
    UniqueFd out(::bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "bench_lru_cpu", sizeof(bench_flow_key),
                                  sizeof(bench_flow_value), entries, nullptr));
    const int fd = out.get();
    if (out.valid() && ::bpf_map_update_elem(outer, &cpu, &fd, BPF_ANY) == 0) return out;
    const int saved = errno;
    return fail(sys_error(saved, fmt::format("create an LRU hash of {} entries", entries)));
}

}  // namespace

Result<FlowPrograms> FlowPrograms::load(std::uint32_t log2, std::uint32_t lru_entries) {
    FlowPrograms out;
    out.log2_ = log2;
    out.object_ = SLC_TRY(open_object(bench_flow_bytes, sizeof bench_flow_bytes, "flow"), "flow");
    bpf_object* object = out.object_.get();
    SLC_CHECK(set_global(object, ".rodata.log2", &log2, sizeof log2), "flow");
    SLC_CHECK(set_entries(object, "bench_flows", 1u << log2), "flow");
    if (lru_entries > 0) {
        SLC_CHECK(set_entries(object, "bench_lru", lru_entries), "flow");
        SLC_CHECK(set_entries(object, "bench_lru_no_common", lru_entries), "flow");
    }
    SLC_CHECK(load_object(object, "flow"), "flow");
    for (unsigned cpu = 0; lru_entries > 0 && cpu <= last_cpu() && cpu < BENCH_FLOW_CPUS; ++cpu)
        out.per_cpu_.push_back(
            SLC_TRY(make_lru(map_of(object, "bench_lru_per_cpu"), cpu, lru_entries), "flow"));
    out.shared_ =
        SLC_TRY(kernel::MappedValue::map(map_of(object, ".bss"), sizeof(bench_flow_shared), "jobs"),
                "flow");
    out.table_ = SLC_TRY(kernel::MappedValue::map(map_of(object, "bench_flows"),
                                                  sizeof(slc_flow_bucket) << log2, "flow table"),
                         "flow");
    for (slc_u32& group : out.shared().group) group = 1;
    const std::uint64_t places = std::uint64_t{SLC_FLOW_WAYS} << log2;
    out.shared().account[0] = {0, 0, places, {}};
    out.shared().account[1] = {0, places, places, {}};
    return out;
}

Result<void> FlowPrograms::run(bench_flow_table table) {
    const std::vector<std::uint8_t> frame(64);
    const TestRun outcome =
        SLC_TRY(test_run(program_of(object_.get(), kPrograms[table]), frame, 1), kPrograms[table]);
    if (outcome.verdict == XDP_PASS) return {};
    return fail(Errc::internal, fmt::format("{} said {}", kPrograms[table], outcome.verdict));
}

Result<void> Cores::run(const Work& work) const {
    if (cpus_.size() == 1) {
        SLC_CHECK(pin_to_cpu(cpus_[0]), "one core");
        return work(cpus_[0]);
    }
    std::vector<Result<void>> outcomes(cpus_.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < cpus_.size(); ++i) {
        threads.emplace_back([&, i] {
            go_first();
            const auto pinned = pin_to_cpu(cpus_[i]);
            outcomes[i] = pinned ? work(cpus_[i]) : pinned;
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (Result<void>& outcome : outcomes)
        if (!outcome) return std::move(outcome);
    return {};
}

}  // namespace sluice::bench
