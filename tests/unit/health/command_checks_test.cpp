// SPDX-License-Identifier: Apache-2.0
//
// Commands: what they get, what they may do, and how they end.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include "tests/unit/health/scripted_server.h"
#include "tests/unit/health/server_process.h"
#include "tests/unit/health/watcher.h"

namespace sluice::health {
namespace {

using namespace std::chrono_literals;
using config::CheckType;

config::Check shell(const std::string& script) {
    config::Check check = check_of(CheckType::command);
    check.command = {"/bin/sh", "-c", script};
    return check;
}

std::string result(Watcher& watcher, const config::Check& check) {
    return text_of(watcher.check(target_of(check, 80)));
}

TEST(command_checks, by_how_the_program_ends) {
    Watcher watcher;
    EXPECT_EQ(result(watcher, shell("exit 0")), "passed");
    EXPECT_EQ(result(watcher, shell("echo fine; echo more")), "passed: fine");
    EXPECT_EQ(result(watcher, shell("exit 3")), "exit: exit status 3");
    EXPECT_EQ(result(watcher, shell("printf 'no\\tdisk' >&2; exit 1")),
              "exit: exit status 1: no.disk");
    EXPECT_EQ(result(watcher, shell("kill -SEGV $$")), "exit: killed by SIGSEGV");
    EXPECT_EQ(result(watcher, shell("exec yes")), "exit: wrote more than 65536 bytes");
    EXPECT_EQ(result(watcher, shell("printf %500s | tr ' ' x")),
              "passed: " + std::string(200, 'x'));
    config::Check missing = check_of(CheckType::command);
    missing.command = {"/nonexistent/check"};
    EXPECT_EQ(result(watcher, missing), "local: /nonexistent/check: No such file or directory");
    missing.command = {"/etc/passwd"};
    EXPECT_EQ(result(watcher, missing), "local: /etc/passwd: Permission denied");
}

TEST(command_checks, the_environment_names_the_target_and_nothing_else) {
    ::setenv("SLUICE_SECRET", "x", 1);
    Watcher watcher;
    config::Check check = check_of(CheckType::command);
    check.command = {"/usr/bin/xargs", "-0", "-a", "/proc/self/environ", "echo"};
    Target target = target_of(check, 8080);
    target.service = "web";
    target.group = "pool";
    target.backend = "10.0.0.5:80";
    EXPECT_EQ(text_of(watcher.check(target)),
              "passed: SLUICE_ADDRESS=127.0.0.1 SLUICE_PORT=8080 SLUICE_SERVICE=web "
              "SLUICE_GROUP=pool SLUICE_BACKEND=10.0.0.5:80 SLUICE_TIMEOUT_MS=8000");
    ::unsetenv("SLUICE_SECRET");
}

TEST(command_checks, there_is_no_privilege_and_no_way_to_one) {
    Watcher watcher;
    const std::string text =
        result(watcher, shell("grep -E '^(NoNewPrivs|CapEff|CapPrm|CapAmb|SigBlk|SigIgn)' "
                              "/proc/self/status | tr -s '\\n\\t' ' '"));
    // In the order of the file.
    EXPECT_EQ(text,
              "passed: SigBlk: 0000000000000000 SigIgn: 0000000000000000 "
              "CapPrm: 0000000000000000 CapEff: 0000000000000000 CapAmb: 0000000000000000 "
              "NoNewPrivs: 1 ");
    const std::string user = ::geteuid() == 0 ? "65534" : std::to_string(::geteuid());
    EXPECT_EQ(result(watcher, shell("id -u")), "passed: " + user);
}

TEST(command_checks, limits_and_descriptors) {
    const UniqueFd open_file(::open("/dev/null", O_RDONLY));  // Not closed on exec.
    Watcher watcher;
    EXPECT_EQ(result(watcher, shell("echo $(ulimit -n) $(ulimit -c) $(ulimit -d)")),
              "passed: 64 0 524288");
    // The last one is the folder that ls reads.
    EXPECT_EQ(result(watcher, shell("ls /proc/self/fd | tr '\\n' ' '; pwd")), "passed: 0 1 2 3 /");
    EXPECT_EQ(result(watcher, shell("cat; echo end")), "passed: end");
}

bool is_alive(pid_t pid) {
    // A dead one that nobody has waited for yet is dead.
    const std::string stat = read_text("/proc/" + std::to_string(pid) + "/stat");
    const auto at = stat.rfind(')');
    return at != std::string::npos && stat.at(at + 2) != 'Z';
}

/// Ten seconds at most.
bool wait_for(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        ::poll(nullptr, 0, 5);
    }
    return true;
}

/// A script that leaves a process behind, whose number it writes to `file`.
std::string leaving_one_behind(const std::string& file) {
    return "/bin/sleep 1000 & echo $! > " + file + ".new; mv " + file + ".new " + file + "; ";
}

class command_group : public testing::Test {
 protected:
    command_group() { ::chmod(folder_.path("").c_str(), 0777); }

    pid_t left_behind() {
        EXPECT_TRUE(wait_for([&] { return std::filesystem::exists(file_); }));
        return static_cast<pid_t>(std::strtol(read_text(file_).c_str(), nullptr, 10));
    }

    TestFolder folder_;
    const std::string file_ = folder_.path("pid");
};

TEST_F(command_group, is_killed_when_the_time_is_over) {
    Watcher watcher;
    config::Check check = shell(leaving_one_behind(file_) + "trap '' TERM; wait");
    check.timeout = 1s;
    EXPECT_EQ(result(watcher, check), "timeout: after 1000 ms: still running, now killed");
    const pid_t pid = left_behind();
    ASSERT_GT(pid, 1);
    EXPECT_TRUE(wait_for([&] { return !is_alive(pid); }));
}

TEST_F(command_group, is_killed_when_the_program_ends) {
    Watcher watcher;
    // The one left behind holds the pipe: nobody waits for its end.
    EXPECT_EQ(result(watcher, shell(leaving_one_behind(file_) + "echo done")), "passed: done");
    const pid_t pid = left_behind();
    ASSERT_GT(pid, 1);
    EXPECT_TRUE(wait_for([&] { return !is_alive(pid); }));
}

TEST_F(command_group, is_killed_when_its_target_goes_or_the_checker_ends) {
    for (const bool whole : {false, true}) {
        SCOPED_TRACE(whole);
        std::filesystem::remove(file_);
        pid_t pid = -1;
        {
            Watcher watcher;
            watcher.checker().set({target_of(shell(leaving_one_behind(file_) + "wait"), 80)});
            watcher.checker().check_now("backend");
            pid = left_behind();
            ASSERT_GT(pid, 1);
            EXPECT_TRUE(is_alive(pid));
            if (!whole) {
                watcher.checker().set({});
                EXPECT_TRUE(wait_for([&] { return !is_alive(pid); }));
            }
        }
        EXPECT_TRUE(wait_for([&] { return !is_alive(pid); }));
    }
}

TEST(command_checks, so_many_run_at_once_and_others_are_not_delayed) {
    Limits limits;
    limits.commands = 2;
    Watcher watcher(limits);
    const ScriptedServer server([](Peer& peer) { peer.hang(); });
    std::vector<Target> targets;
    config::Check slow = shell("exec sleep 1000");
    slow.interval = slow.timeout = 300ms;
    for (int i = 0; i < 8; ++i) {
        targets.push_back(target_of(slow, 80));
        targets.back().key = "slow" + std::to_string(i);
    }
    config::Check tcp = check_of(CheckType::tcp);
    tcp.interval = tcp.timeout = 100ms;
    targets.push_back(target_of(tcp, server.port()));
    watcher.checker().set(targets);
    const auto count = [](const std::vector<Outcome>& all, const std::string& key) {
        return std::count_if(all.begin(), all.end(),
                             [&](const Outcome& each) { return each.key.starts_with(key); });
    };
    EXPECT_TRUE(watcher.wait_until(
        [&](const auto& all) { return count(all, "backend") >= 8 && count(all, "slow") >= 8; }));
    for (const Outcome& each : watcher.outcomes()) {
        if (each.key == "backend") {
            EXPECT_EQ(text_of(each), "passed");
        } else {
            // Killed, not reaped yet: then the next one has to wait a little more.
            EXPECT_TRUE(each.why == Why::timeout || each.why == Why::local) << text_of(each);
        }
    }
    const Figures figures = watcher.checker().figures();
    EXPECT_LE(figures.most_in_flight, 3U);
    EXPECT_GT(figures.waited, 0U);
}

}  // namespace
}  // namespace sluice::health
