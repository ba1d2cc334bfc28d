// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One thread that waits for everything a daemon waits for: signals, descriptors, time, and the
/// connections of api/server.h. Boost.Asio underneath, and not in any header.
///
/// Handlers run one at a time, on the thread that called run(), so what they share needs no lock.
/// They must not throw. All but post() belong to that thread.

#include <chrono>
#include <functional>
#include <memory>

#include "base/result.h"

namespace sluice::api {

class Loop {
 public:
    using Handler = std::function<void()>;

    static Result<std::unique_ptr<Loop>> open();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Each delivery of the signal calls `handler`, not inside the signal handler.
    Result<void> on_signal(int number, Handler handler);
    /// Each time `fd` is readable. The descriptor stays the caller's and must outlive run().
    Result<void> on_readable(int fd, Handler handler);
    /// Every `period`, first after one of them. A late turn is not made up for.
    void every(std::chrono::milliseconds period, Handler handler);
    /// Once, as soon as the running handler has returned. From any thread.
    void post(Handler handler);

    /// Until stop().
    Result<void> run();
    void stop();

    struct Impl;
    Impl& impl() { return *impl_; }  ///< For api/server.cpp.

 private:
    explicit Loop(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::api
