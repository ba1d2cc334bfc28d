// SPDX-License-Identifier: Apache-2.0
#include "namespaces.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

namespace sluice::test {
namespace {

UniqueFd current() {
    return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

/// Enters a namespace and returns on destruction.
class Visit {
 public:
    explicit Visit(const Namespace& where) : back_(current()) { where.enter(); }
    ~Visit() { ::setns(back_.get(), CLONE_NEWNET); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

 private:
    UniqueFd back_;
};

std::string sysctl_path(std::string name) {
    for (auto& c : name)
        if (c == '.') c = '/';
    return "/proc/sys/net/" + name;
}

}  // namespace

Namespace Namespace::create() {
    const UniqueFd back = current();
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno);
    Namespace out(current());
    ::setns(back.get(), CLONE_NEWNET);
    out.run("ip link set lo up");
    out.sysctl("ipv6.conf.default.accept_dad", "0");
    return out;
}

std::string Namespace::path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

void Namespace::enter() const {
    ASSERT_EQ(::setns(fd_.get(), CLONE_NEWNET), 0) << std::strerror(errno);
}

bool Namespace::try_run(const std::string& command) const {
    const Visit visit(*this);
    const int status = std::system((command + " 2>/dev/null").c_str());
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void Namespace::run(const std::string& command) const {
    const Visit visit(*this);
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

std::string Namespace::output(const std::string& command) const {
    const Visit visit(*this);
    std::string out;
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    char chunk[512];
    while (pipe && std::fgets(chunk, sizeof chunk, pipe.get()) != nullptr) out += chunk;
    return out;
}

void Namespace::sysctl(const std::string& name, const std::string& value) const {
    const Visit visit(*this);
    std::ofstream file(sysctl_path(name));
    file << value << std::flush;
    EXPECT_TRUE(file.good()) << name;
}

std::string Namespace::sysctl(const std::string& name) const {
    const Visit visit(*this);
    std::ifstream file(sysctl_path(name));
    std::string out;
    file >> out;
    return out;
}

std::string namespaces_refused() {
    const UniqueFd back = current();
    if (::unshare(CLONE_NEWNET) != 0)
        return std::string("cannot make a network namespace: ") + std::strerror(errno) +
               " (run as root)";
    ::setns(back.get(), CLONE_NEWNET);
    return {};
}

}  // namespace sluice::test
