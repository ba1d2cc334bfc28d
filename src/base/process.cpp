// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace sluice {
namespace {

using std::chrono::milliseconds;

/// By the wall clock of now: the kernel keeps ticks since boot.
milliseconds start_time() {
    std::ifstream file("/proc/self/stat");
    std::string text;
    std::getline(file, text);
    // The name in parentheses may hold anything; starttime is the 20th field behind it.
    const std::size_t end = text.rfind(')');
    if (end == std::string::npos) return milliseconds(0);
    std::istringstream rest(text.substr(end + 1));
    std::string field;
    for (int i = 0; i < 19; ++i) rest >> field;
    std::int64_t ticks = 0;
    const long hertz = ::sysconf(_SC_CLK_TCK);
    timespec boot{};
    if (!(rest >> ticks) || hertz <= 0 || ::clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        return milliseconds(0);
    const auto age = milliseconds(boot.tv_sec * 1000 + boot.tv_nsec / 1'000'000) -
                     milliseconds(ticks * 1000 / hertz);
    return std::chrono::duration_cast<milliseconds>(
               std::chrono::system_clock::now().time_since_epoch()) -
           age;
}

std::uint64_t count_fds() {
    std::uint64_t out = 0;
    std::error_code error;
    for (std::filesystem::directory_iterator each("/proc/self/fd", error), end;
         !error && each != end; each.increment(error))
        ++out;
    return out == 0 ? 0 : out - 1;  // Not the one that reads the directory.
}

}  // namespace

ProcessFigures process_figures() {
    ProcessFigures out;
    std::uint64_t pages_all = 0;
    std::uint64_t pages_resident = 0;
    std::ifstream("/proc/self/statm") >> pages_all >> pages_resident;
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    out.virtual_bytes = pages_all * page;
    out.resident_bytes = pages_resident * page;
    out.open_fds = count_fds();
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) out.max_fds = limit.rlim_cur;
    rusage usage{};
    if (::getrusage(RUSAGE_SELF, &usage) == 0)
        for (const timeval& part : {usage.ru_utime, usage.ru_stime})
            out.cpu += std::chrono::seconds(part.tv_sec) + std::chrono::microseconds(part.tv_usec);
    // Once: the wall clock may be set, a process does not start again.
    static const milliseconds started = start_time();
    out.started = started;
    return out;
}

}  // namespace sluice
