// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One thread's events: sockets, times, and the signals by which the tools are led.
///
///   SIGUSR1           a line of JSON about how it stands, to standard output
///   SIGTERM, SIGINT   finish what has begun, then a last line; once more: end now
///
/// Sockets and times carry a key that their owner resolves, so that one that is gone by then is not
/// found instead of touched.

#include <cstdint>
#include <queue>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::traffic {

/// CLOCK_MONOTONIC, which all network namespaces and Python share.
std::uint64_t now_ns();

inline constexpr std::uint64_t kMillisecond = 1'000'000;
inline constexpr std::uint64_t kSecond = 1'000 * kMillisecond;

class Loop {
 public:
    class Owner {
     public:
        virtual ~Owner() = default;
        virtual void on_event(std::uint64_t key, std::uint32_t events) = 0;
        virtual void on_time(std::uint64_t key) = 0;
        virtual void on_progress() = 0;
        virtual void on_stop() = 0;  ///< First request to end.
    };

    static Result<Loop> open();
    Result<void> watch(int fd, std::uint64_t key, std::uint32_t events);
    void change(int fd, std::uint64_t key, std::uint32_t events);
    void at(std::uint64_t due_ns, std::uint64_t key) { times_.push({due_ns, key}); }
    void end() { ended_ = true; }
    Result<void> run(Owner& owner);

 private:
    struct Time {
        std::uint64_t due_ns;
        std::uint64_t key;
        bool operator>(const Time& other) const { return due_ns > other.due_ns; }
    };

    Loop() = default;
    void read_signals(Owner& owner);
    [[nodiscard]] int wait_ms() const;

    UniqueFd epoll_;
    UniqueFd signals_;
    std::priority_queue<Time, std::vector<Time>, std::greater<>> times_;
    bool stopping_ = false;
    bool ended_ = false;
};

/// Lets this process have as many descriptors as it may.
void raise_descriptor_limit();

}  // namespace sluice::traffic
