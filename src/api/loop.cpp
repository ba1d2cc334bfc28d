// SPDX-License-Identifier: Apache-2.0
#include "api/loop.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "api/loop_impl.h"

namespace sluice::api {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

void wait_signal(asio::signal_set& signals, const Loop::Handler& handler) {
    signals.async_wait([&signals, handler](error_code error, int) {
        if (error) return;
        handler();
        wait_signal(signals, handler);
    });
}

void wait_readable(asio::posix::stream_descriptor& descriptor, const Loop::Handler& handler) {
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [&descriptor, handler](error_code error) {
                              if (error) return;
                              handler();
                              wait_readable(descriptor, handler);
                          });
}

void wait_turn(asio::steady_timer& timer, std::chrono::milliseconds period,
               const Loop::Handler& handler) {
    timer.expires_after(period);
    timer.async_wait([&timer, period, handler](error_code error) {
        if (error) return;
        handler();
        wait_turn(timer, period, handler);
    });
}

}  // namespace

Loop::Loop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Loop::~Loop() {
    // Borrowed descriptors are given back open.
    for (auto& descriptor : impl_->descriptors) (void)descriptor.release();
}

Result<std::unique_ptr<Loop>> Loop::open() {
    try {
        return std::unique_ptr<Loop>(new Loop(std::make_unique<Impl>()));
    } catch (const boost::system::system_error& error) {
        return fail(sys_error(error.code().value(), "open the event loop"));
    }
}

Result<void> Loop::on_signal(int number, Handler handler) {
    auto& signals = impl_->signals.emplace_back(impl_->context);
    error_code error;
    signals.add(number, error);
    if (error) return fail(sys_error(error.value(), "wait for signal " + std::to_string(number)));
    wait_signal(signals, handler);
    return {};
}

Result<void> Loop::on_readable(int fd, Handler handler) {
    auto& descriptor = impl_->descriptors.emplace_back(impl_->context);
    error_code error;
    descriptor.assign(fd, error);
    if (error) {
        impl_->descriptors.pop_back();
        return fail(sys_error(error.value(), "wait for descriptor " + std::to_string(fd)));
    }
    wait_readable(descriptor, handler);
    return {};
}

void Loop::every(std::chrono::milliseconds period, Handler handler) {
    wait_turn(impl_->timers.emplace_back(impl_->context), period, handler);
}

void Loop::post(Handler handler) {
    asio::post(impl_->context, std::move(handler));
}

Result<void> Loop::run() {
    try {
        impl_->context.run();
    } catch (const std::exception& error) {
        return fail(Errc::internal, std::string("the event loop ended: ") + error.what());
    }
    return {};
}

void Loop::stop() {
    impl_->context.stop();
}

}  // namespace sluice::api
