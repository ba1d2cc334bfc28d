// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Flow tables in the kernel (bench/bpf/flow.bpf.c), filled and driven from here: what
/// `sluice-bench flow` times and what the tests let two CPUs hammer.

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "bench/bpf/flow.h"
#include "bench/driver.h"
#include "kernel/mapped_value.h"

namespace sluice::bench {

class FlowPrograms {
 public:
    /// Sluice's table with 2^log2 buckets and, unless 0, each of the kernel's with that many
    /// entries (that per CPU once for every CPU).
    static Result<FlowPrograms> load(std::uint32_t log2, std::uint32_t lru_entries);

    /// Jobs and accounts, in the programs' own memory.
    [[nodiscard]] bench_flow_shared& shared() {
        return shared_.records<bench_flow_shared>(0, 1)[0];
    }
    [[nodiscard]] std::span<slc_flow_bucket> buckets() {
        return table_.records<slc_flow_bucket>(0, std::size_t{1} << log2_);
    }
    [[nodiscard]] std::uint32_t log2() const { return log2_; }

    /// Runs the job of the CPU that the calling thread is pinned to.
    Result<void> run(bench_flow_table table);

 private:
    ObjectPtr object_;
    kernel::MappedValue shared_;
    kernel::MappedValue table_;
    std::vector<UniqueFd> per_cpu_;
    std::uint32_t log2_ = 0;
};

/// Does something on several CPUs at once, each with a thread of its own that runs before others.
class Cores {
 public:
    using Work = std::function<Result<void>(unsigned cpu)>;
    explicit Cores(std::vector<unsigned> cpus) : cpus_(std::move(cpus)) {}
    /// The first failure, or success. One CPU: on the calling thread, which stays there.
    Result<void> run(const Work& work) const;
    [[nodiscard]] const std::vector<unsigned>& cpus() const { return cpus_; }

 private:
    std::vector<unsigned> cpus_;
};

}  // namespace sluice::bench
