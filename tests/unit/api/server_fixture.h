// SPDX-License-Identifier: Apache-2.0
#pragma once

/// For the tests of server and client over a real socket: a server thread serves the fixed node of
/// tests/cli/fake_node.h, the test is the peer. Every wait has a deadline.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "api/server.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "tests/cli/fake_node.h"

namespace sluice::test {

inline constexpr int kDeadlineMs = 10'000;

/// A directory of this test's own, removed with all that is in it.
class TempDir {
 public:
    TempDir() {
        char name[] = "/tmp/sluice-api-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
    std::string path_;
};

/// Serves until it is destroyed.
class Running {
 public:
    explicit Running(api::ServerOptions options, Scene scene = Scene::healthy, FakeFlows flows = {})
        : node_(scene, flows) {
        // Quiet: what the peers of these tests send is not worth a line each.
        log_to([](LogLevel, std::string_view, std::span<const LogField>) {});
        loop_ = std::move(api::Loop::open()).value();
        auto server = api::Server::open(*loop_, std::move(options), node_);
        EXPECT_TRUE(server.has_value()) << (server ? "" : server.error().what);
        server_ = std::move(server).value();
        thread_ = std::thread([this] { EXPECT_TRUE(loop_->run().has_value()); });
    }
    ~Running() {
        loop_->stop();
        thread_.join();
        log_to({});
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    /// Something done to the node between two turns of the server; returns when it is.
    void in_loop(const std::function<void(FakeNode&)>& work) const {
        std::promise<void> done;
        loop_->post([&] {
            work(node_);
            done.set_value();
        });
        done.get_future().wait();
    }
    /// Only what is atomic in it may be read while it serves.
    [[nodiscard]] const FakeNode& node() const { return node_; }

 private:
    mutable FakeNode node_;
    std::unique_ptr<api::Loop> loop_;
    std::unique_ptr<api::Server> server_;
    std::thread thread_;
};

inline api::ServerOptions options_for(const TempDir& dir) {
    api::ServerOptions options;
    options.socket_path = dir.file("api.sock");
    return options;
}

inline UniqueFd connect_to(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
}

inline bool readable(int fd, int timeout_ms) {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, timeout_ms) == 1;
}

inline void send_bytes(int fd, std::string_view bytes) {
    // A server that has closed by now is a legal answer to what these tests send.
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

/// Everything until the server closes; fails the test when it does not.
inline std::string receive_all(int fd) {
    std::string out;
    char buffer[4096];
    while (true) {
        if (!readable(fd, kDeadlineMs)) {
            ADD_FAILURE() << "the server neither answered nor closed";
            return out;
        }
        const ssize_t received = ::recv(fd, buffer, sizeof buffer, 0);
        if (received <= 0) return out;
        out.append(buffer, static_cast<std::size_t>(received));
    }
}

inline std::string ask_raw(const std::string& path, std::string_view request) {
    const UniqueFd fd = connect_to(path);
    send_bytes(fd.get(), request);
    ::shutdown(fd.get(), SHUT_WR);
    return receive_all(fd.get());
}

inline std::string status_line(const std::string& answer) {
    return answer.substr(0, answer.find("\r\n"));
}

}  // namespace sluice::test
