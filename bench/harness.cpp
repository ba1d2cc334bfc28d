// SPDX-License-Identifier: Apache-2.0
#include "bench/harness.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>

namespace sluice::bench {

using Json = nlohmann::json;

Spread spread_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    const double median =
        values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    return {values.front(), median, values.back()};
}

Spread ratio_of(const std::vector<double>& over, const std::vector<double>& under) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(over.size(), under.size()); ++i) {
        ratios.push_back(over[i] / under[i]);
    }
    return spread_of(std::move(ratios));
}

Spread difference_of(const std::vector<double>& more, const std::vector<double>& less) {
    std::vector<double> out;
    for (std::size_t i = 0; i < std::min(more.size(), less.size()); ++i)
        out.push_back(more[i] - less[i]);
    return spread_of(std::move(out));
}

Json to_json(const Spread& spread) {
    return {{"min", spread.min}, {"median", spread.median}, {"max", spread.max}};
}

std::string text_of(const Spread& spread, int digits) {
    return fmt::format("{:.{}f} ({:.{}f}..{:.{}f})", spread.median, digits, spread.min, digits,
                       spread.max, digits);
}

std::string Table::text() const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += i == 0 ? fmt::format("{:<{}}", row[i], widths[i])
                           : fmt::format("  {:>{}}", row[i], widths[i]);
        }
        out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
}

Asked at_most(const std::string& what, double measured, double limit) {
    return {what, fmt::format("at most {:.2f}", limit), measured, measured <= limit};
}

Asked at_least(const std::string& what, double measured, double limit) {
    return {what, fmt::format("at least {:.2f}", limit), measured, measured >= limit};
}

std::string text_of(const std::vector<Asked>& asked) {
    Table table({"asked for", "limit", "measured", ""});
    for (const Asked& each : asked) {
        table.add({each.what, each.limit, fmt::format("{:.2f}", each.measured),
                   each.met ? "met" : "NOT MET"});
    }
    return table.text();
}

Json to_json(const std::vector<Asked>& asked) {
    Json out = Json::array();
    for (const Asked& each : asked) {
        out.push_back({{"what", each.what},
                       {"limit", each.limit},
                       {"measured", each.measured},
                       {"met", each.met}});
    }
    return out;
}

namespace {

std::string first_line_of_command(const char* command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command, "r"), ::pclose);
    std::array<char, 256> line{};
    if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return {};
    std::string out(line.data());
    return out.substr(0, out.find('\n'));
}

std::string cpu_model() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    }
    return "unknown";
}

}  // namespace

Json describe_run(const std::string& command) {
    utsname name{};
    ::uname(&name);
    const std::time_t now = std::time(nullptr);
    std::array<char, 32> stamp{};
    std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
    const std::string commit = first_line_of_command("git rev-parse --short HEAD 2>/dev/null");
    return {{"schema_version", 1},
            {"command", command},
            {"time", stamp.data()},
            {"commit", commit.empty() ? "unknown" : commit},
            {"machine",
             {{"cpu", cpu_model()},
              {"cpus", ::sysconf(_SC_NPROCESSORS_ONLN)},
              {"kernel", name.release}}}};
}

Result<void> write_json(const std::string& path, const Json& document) {
    if (path.empty()) return {};
    const std::string text = document.dump(2) + "\n";
    if (path == "-") {
        std::fputs(text.c_str(), stdout);
        return {};
    }
    std::ofstream file(path);
    file << text;
    file.close();
    if (!file) {
        const int saved = errno;
        return fail(sys_error(saved, "write " + path));
    }
    return {};
}

Result<void> pin_to_cpu(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "run on CPU " + std::to_string(cpu)));
    }
    return {};
}

void go_first() {
    const sched_param priority{1};
    (void)::sched_setscheduler(0, SCHED_FIFO, &priority);
}

unsigned last_cpu() {
    return static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN) - 1);
}

void progress(const std::string& text) {
    if (::isatty(STDERR_FILENO) == 0) return;
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    std::fflush(stderr);
}

Result<TestRun> test_run(int program, std::span<const std::uint8_t> frame, std::uint32_t repeat) {
    std::array<std::uint8_t, 2048> out{};
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = out.size();
    options.repeat = static_cast<int>(repeat);
    timespec before{};
    timespec after{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    const int failed = ::bpf_prog_test_run_opts(program, &options);
    const int saved = errno;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    if (failed != 0) {
        return fail(sys_error(saved, "test run")
                        .advise("benchmarks of the data plane need CAP_BPF and CAP_NET_ADMIN"));
    }
    const double total_ns = 1e9 * static_cast<double>(after.tv_sec - before.tv_sec) +
                            static_cast<double>(after.tv_nsec - before.tv_nsec);
    return TestRun{total_ns / repeat, options.retval, options.data_size_out};
}

}  // namespace sluice::bench
