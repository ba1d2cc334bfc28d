// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Real servers, as Debian has them, on a port of loopback; and a folder for their files.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::health {

/// A folder of this test program alone, removed at the end with all that is in it.
class TestFolder {
 public:
    TestFolder();
    ~TestFolder();
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;

    [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
    /// Writes the file, readable for all, and returns its path.
    std::string write(const std::string& name, const std::string& text) const;

 private:
    std::string path_;
};

std::string read_text(const std::string& path);

/// A port of 127.0.0.1 that was free a moment ago, for TCP and UDP.
std::uint16_t free_port();

/// A process that ends with this object. Its output goes to `log`.
class ServerProcess {
 public:
    ServerProcess(const std::vector<std::string>& command, const std::string& log);
    ~ServerProcess();
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;

    /// Waits until it accepts connections; a failure fails the test, with what the log says.
    void wait_for(std::uint16_t tcp_port);

 private:
    pid_t pid_ = -1;
    std::string log_;
};

/// Certificates in PEM files, made as `openssl` would.
class Authority {
 public:
    Authority(const TestFolder& folder, const std::string& name);

    struct Files {
        std::string certificate;  ///< With its key's path below.
        std::string key;
    };
    /// `names`: as subjectAltName has them, "DNS:a.test,IP:127.0.0.1". `days`: until it expires;
    /// negative: it has.
    Files issue(const std::string& name, const std::string& names, int days) const;
    [[nodiscard]] std::string ca_file() const { return self_.certificate; }

 private:
    const TestFolder& folder_;
    Files self_;
};

}  // namespace sluice::health
