// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The daemon's parts in a namespace of their own, on a thread of their own that runs on the first
/// CPU: what benchmarks ask while packets go through the generation in force on the last one.

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "api/loop.h"
#include "api/server.h"
#include "base/unique_fd.h"
#include "bench/driver.h"
#include "bench/lab.h"
#include "control/controller.h"

namespace sluice::bench {

struct NodeShape {
    unsigned services = 1;
    unsigned backends = 10;  ///< Of each service.
};

/// One in a process: it takes mounts and a network namespace for the calling thread.
class Node {
 public:
    /// In force, with a next hop for each backend; the first service is on kVip4, kPort.
    static Result<std::unique_ptr<Node>> open(const NodeShape& shape);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    static std::string socket();
    /// Packets that the generation in force forwards, from the calling thread, which is on the last
    /// CPU from then on.
    static Result<Driver> aimed_driver();

 private:
    Node() = default;
    Result<void> begin(const NodeShape& shape);

    std::optional<Namespace> space_;
    std::unique_ptr<control::Controller> controller_;
    std::unique_ptr<api::Loop> loop_;
    std::unique_ptr<api::Server> server_;
    std::thread thread_;
};

}  // namespace sluice::bench
