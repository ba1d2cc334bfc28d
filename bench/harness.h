// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What all benchmarks share: repeated figures and their spread, tables, the JSON beside them, what
/// was asked for, and the kernel's test run as a clock.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::bench {

/// Several measurements of one thing.
struct Spread {
    double min = 0;
    double median = 0;
    double max = 0;
};

/// Of at least one value.
Spread spread_of(std::vector<double> values);

/// Of quotients taken round by round: what disturbs both sides of a round cancels out.
Spread ratio_of(const std::vector<double>& over, const std::vector<double>& under);

/// The same of differences.
Spread difference_of(const std::vector<double>& more, const std::vector<double>& less);

nlohmann::json to_json(const Spread& spread);

/// A value of `text` digits behind the point: "24.1 (23.8..26.0)".
std::string text_of(const Spread& spread, int digits = 1);

class Table {
 public:
    explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    /// First column to the left, the others to the right.
    [[nodiscard]] std::string text() const;

 private:
    std::vector<std::vector<std::string>> rows_;
};

/// One line of what the project promises of itself.
struct Asked {
    std::string what;
    std::string limit;  ///< "at most 1.30"
    double measured = 0;
    bool met = false;
};

Asked at_most(const std::string& what, double measured, double limit);
Asked at_least(const std::string& what, double measured, double limit);
std::string text_of(const std::vector<Asked>& asked);
nlohmann::json to_json(const std::vector<Asked>& asked);

/// Schema version, command, commit, machine, kernel, time.
nlohmann::json describe_run(const std::string& command);

/// Writes `document` to `path`; "-" is standard output; empty: nothing.
Result<void> write_json(const std::string& path, const nlohmann::json& document);

/// Keeps this thread on one CPU.
Result<void> pin_to_cpu(unsigned cpu);
unsigned last_cpu();

/// The calling thread runs before all ordinary ones (SCHED_FIFO), so that a figure is of what is
/// measured and not of what else the machine does. Where that is not permitted nothing changes.
void go_first();

/// A line on standard error that the next one replaces, when that is a terminal.
void progress(const std::string& text);

struct TestRun {
    double ns = 0;              ///< CPU time of a run, mean over all repeats.
    std::uint32_t verdict = 0;  ///< enum xdp_action, of the last repeat.
    std::uint32_t len_out = 0;  ///< Bytes of the frame after the last repeat.
};

/// Runs an XDP program `repeat` times on one frame (BPF_PROG_TEST_RUN). The kernel's own figure
/// is whole nanoseconds of wall time; the thread's CPU time is finer and leaves out what other
/// tasks took.
Result<TestRun> test_run(int program, std::span<const std::uint8_t> frame, std::uint32_t repeat);

}  // namespace sluice::bench
