// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A controller on the real kernel, in a namespace of its own, with a network that is told.

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "control/controller.h"
#include "tests/unit/kernel/fake_network.h"
#include "tests/unit/kernel/namespaces.h"

namespace sluice::control {

/// Set by main.
inline std::string g_bpffs;

inline const std::string kHead = "version: 1\nnode: {name: test, interfaces: [eth0]}\nservices:\n";

inline std::string service(const std::string& name, const std::string& backends) {
    return "  - {name: " + name + ", vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, " +
           "backends: [" + backends + "]}\n";
}

inline plan::NextHop resolved() {
    plan::NextHop hop;
    hop.state = plan::HopState::resolved;
    hop.ifindex = 2;
    hop.interface = "eth0";
    hop.source = *MacAddress::parse("02:00:00:00:00:01");
    hop.destination = *MacAddress::parse("02:00:00:00:00:02");
    hop.mtu = 1500;
    hop.preferred_source = *IpAddress::parse("10.0.0.1");
    return hop;
}

class ControllerTest : public testing::Test {
 protected:
    void SetUp() override {
        network_.run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up");
        network_.run("ip link add eth1 type veth peer name peer1 && ip link set eth1 up");
        network_.enter();
        options_.config_file = "/mnt/sluice.yaml";
        options_.bpffs = g_bpffs + "/sluice";
        options_.state_dir = "/mnt/state";
    }
    void TearDown() override {
        controller_.reset();
        ASSERT_TRUE(kernel::Instance::remove(options_.bpffs, "test"));
        std::remove("/mnt/state/ids.json");
        std::remove("/mnt/state/overrides.json");
        for (const char* file : {"history.db", "history.db-wal", "history.db-shm"})
            std::remove((options_.state_dir + "/" + file).c_str());
    }

    void write(const std::string& text) { std::ofstream(options_.config_file) << text; }

    void start() {
        auto fake = std::make_unique<kernel::FakeNetwork>();
        fake_ = fake.get();
        fake_->set(*IpAddress::parse("10.0.0.5"), resolved());
        auto controller = Controller::open(options_, std::move(fake));
        ASSERT_TRUE(controller) << controller.error().what;
        controller_ = std::move(*controller);
    }

    test::Namespace network_ = test::Namespace::create();
    Controller::Options options_;
    kernel::FakeNetwork* fake_ = nullptr;
    std::unique_ptr<Controller> controller_;
};

}  // namespace sluice::control
