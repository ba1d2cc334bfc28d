// SPDX-License-Identifier: Apache-2.0
#include "bench/lab.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to us

namespace sluice::bench {

Result<Namespace> Namespace::current() {
    Namespace out;
    out.fd_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!out.fd_.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open this network namespace"));
    }
    return out;
}

Result<Namespace> Namespace::create() {
    // A thread of its own, so that the caller never leaves its namespace.
    Result<Namespace> out;
    std::thread([&out] {
        if (::unshare(CLONE_NEWNET) != 0) {
            const int saved = errno;
            out = fail(
                sys_error(saved, "create a network namespace").advise("this benchmark needs root"));
            return;
        }
        out = current();
        if (auto up = run_line("ip link set lo up"); !up) out = fail(std::move(up).error());
    }).join();
    return out;
}

Result<void> Namespace::enter() const {
    if (::setns(fd_.get(), CLONE_NEWNET) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "enter a network namespace"));
}

std::string Namespace::path() const {
    return fmt::format("/proc/{}/fd/{}", ::getpid(), fd_.get());
}

Result<Inside> Inside::enter(const Namespace& where) {
    Namespace back = SLC_TRY(Namespace::current(), "enter");
    SLC_CHECK(where.enter(), "enter");
    return Inside(std::move(back));
}

Inside::~Inside() {
    // Fails only for one that was moved from, which has nowhere to go back to.
    (void)back_.enter();
}

Result<void> run_command(const std::vector<std::string>& words, const std::string& input) {
    std::array<int, 2> from_child{};
    std::array<int, 2> to_child{};
    if (::pipe2(from_child.data(), O_CLOEXEC) != 0 || ::pipe2(to_child.data(), O_CLOEXEC) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "pipe"));
    }
    const UniqueFd output(from_child[0]);
    UniqueFd output_end(from_child[1]);
    const UniqueFd input_end(to_child[0]);
    UniqueFd feed(to_child[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input_end.get(), 0);
    ::posix_spawn_file_actions_adddup2(&actions, output_end.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, output_end.get(), 2);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_t child = 0;
    const int failed =
        ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) return fail(sys_error(failed, "run " + words[0]));
    output_end.reset();
    // Inputs here are far below what a pipe holds.
    const auto written = ::write(feed.get(), input.data(), input.size());
    feed.reset();
    std::string said;
    std::array<char, 512> buffer{};
    for (ssize_t got = 0; (got = ::read(output.get(), buffer.data(), buffer.size())) > 0;)
        said.append(buffer.data(), static_cast<std::size_t>(got));
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status == 0 && written == static_cast<ssize_t>(input.size())) return {};
    return fail(Errc::system, fmt::format("{}: {}", fmt::join(words, " "), said));
}

Result<void> run_line(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    return run_command(words);
}

Result<void> set_sysctl(const std::string& path, const std::string& value) {
    std::ofstream file("/proc/sys/" + path);
    file << value;
    file.close();
    if (file) return {};
    const int saved = errno;
    return fail(sys_error(saved, "set " + path));
}

Result<void> set_offload(const std::string& interface, std::uint32_t command, bool on) {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_value value{command, on};
    ifreq request{};
    std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&value);
    if (::ioctl(socket.get(), SIOCETHTOOL, &request) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "offload of " + interface));
}

Result<std::uint32_t> index_of(const std::string& interface) {
    const unsigned index = ::if_nametoindex(interface.c_str());
    if (index == 0) return fail(Errc::not_found, "no interface " + interface);
    return index;
}

namespace {

Result<void> prepare_end(const Namespace& where, const VethEnd& end) {
    const Inside inside = SLC_TRY(Inside::enter(where), end.name);
    SLC_CHECK(run_line(fmt::format("ip link set {} address {} up", end.name, end.mac.text())),
              end.name);
    if (!end.address.empty())
        SLC_CHECK(run_line(fmt::format("ip addr add {} dev {}", end.address, end.name)), end.name);
    SLC_CHECK(set_offload(end.name, ETHTOOL_STXCSUM, false), end.name);
    SLC_CHECK(set_offload(end.name, ETHTOOL_STSO, false), end.name);
    return set_offload(end.name, ETHTOOL_SGRO, true);
}

}  // namespace

Result<void> connect_veth(const Namespace& left, const VethEnd& left_end, const Namespace& right,
                          const VethEnd& right_end, unsigned queues) {
    {
        const Inside inside = SLC_TRY(Inside::enter(left), "veth");
        const std::string counts = fmt::format("numrxqueues {0} numtxqueues {0}", queues);
        SLC_CHECK(
            run_line(fmt::format("ip link add {} {} type veth peer name {} {} netns {}",
                                 left_end.name, counts, right_end.name, counts, right.path())),
            "veth");
    }
    SLC_CHECK(prepare_end(left, left_end), "veth");
    return prepare_end(right, right_end);
}

}  // namespace sluice::bench
