// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The client's UDP flows: each sends all the while and must always be answered by the backend that
/// answered it first.

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "traffic/loop.h"
#include "traffic/report.h"
#include "traffic/settings.h"

namespace sluice::traffic {

class Datagrams {
 public:
    /// Flows have the keys `first_key`, first_key + 1, ...
    Datagrams(Loop& loop, const Settings& settings, Report& report, std::uint64_t first_key)
        : loop_(loop), settings_(settings), report_(report), first_key_(first_key) {}

    Result<void> begin();
    void on_event(std::uint64_t key);
    void on_time(std::uint64_t key);

 private:
    struct Flow {
        UniqueFd fd;
        std::uint64_t seed = 0;
        std::uint64_t number = 0;  ///< Of the next datagram.
        std::uint64_t start_ns = 0, sent_ns = 0;
        std::string backend;
        std::uint64_t judged_from = 0;  ///< Earlier datagrams prove nothing.
    };

    void judge(Flow& flow, std::uint64_t number, const std::string& backend);

    Loop& loop_;
    const Settings& settings_;
    Report& report_;
    std::uint64_t first_key_;
    std::vector<Flow> flows_;
    std::uint64_t sent_ = 0;
};

}  // namespace sluice::traffic
