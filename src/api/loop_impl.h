// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What loop.cpp and server.cpp share. No other file includes Boost.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>

#include "api/loop.h"

namespace sluice::api {

struct Loop::Impl {
    boost::asio::io_context context{1};
    std::list<boost::asio::signal_set> signals;
    std::list<boost::asio::posix::stream_descriptor> descriptors;
    std::list<boost::asio::steady_timer> timers;
};

}  // namespace sluice::api
