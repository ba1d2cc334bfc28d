// SPDX-License-Identifier: Apache-2.0
#include "traffic/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace sluice::traffic {
namespace {

std::string json_of(const Counts& counts) {
    std::string backends;
    for (const auto& [name, backend] : counts.backends)
        backends += fmt::format(R"({}"{}":{{"opened":{},"broken":{},"last_start_ns":{}}})",
                                backends.empty() ? "" : ",", name, backend.opened, backend.broken,
                                backend.last_start_ns);
    return fmt::format(
        R"({{"begun":{},"opened":{},"finished":{},"broken":{},"resets":{},"corrupt":{},)"
        R"("failed":{},"slow":{},"rounds":{},"lost":{},"overslept":{},"up_bytes":{},)"
        R"("down_bytes":{},"slowest_ms":{},"longest_gap_ms":{},"backends":{{{}}}}})",
        counts.begun, counts.opened, counts.finished, counts.broken, counts.resets, counts.corrupt,
        counts.failed, counts.slow, counts.rounds, counts.lost, counts.overslept, counts.up_bytes,
        counts.down_bytes, counts.slowest_ns / 1'000'000, counts.longest_gap_ns / 1'000'000,
        backends);
}

}  // namespace

std::string Report::json(std::uint64_t now_ns) const {
    std::string out =
        fmt::format(R"({{"at_ns":{},"ran_ms":{})", now_ns, (now_ns - start_ns) / 1'000'000);
    for (std::size_t i = 0; i < of.size(); ++i)
        out += fmt::format(R"(,"{}":{})", kKindNames[i], json_of(of[i]));
    std::string list;
    for (const Trouble& trouble : troubles)
        list += fmt::format(
            R"({}{{"kind":"{}","why":"{}","tuple":"{}","backend":"{}","start_ns":{},"at_ns":{}}})",
            list.empty() ? "" : ",", kKindNames[static_cast<std::size_t>(trouble.kind)],
            trouble.why, trouble.tuple, trouble.backend, trouble.start_ns, trouble.at_ns);
    return out + fmt::format(R"(,"troubles":[{}],"slow_starts_ns":[{}]}})", list,
                             fmt::join(slow_starts, ","));
}

}  // namespace sluice::traffic
