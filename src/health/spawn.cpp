// SPDX-License-Identifier: Apache-2.0
#include "health/spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

namespace sluice::health {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int kNiceness = 10;

struct Limit {
    __rlimit_resource resource;
    rlim_t value;
};

constexpr Limit kLimits[] = {
    {RLIMIT_CORE, 0},
    {RLIMIT_DATA, rlim_t{512} << 20},
    {RLIMIT_FSIZE, rlim_t{1} << 20},
    {RLIMIT_NOFILE, 64},
    {RLIMIT_NPROC, 256},
    {RLIMIT_MEMLOCK, 0},
};

/// Everything the child needs, made before it exists.
struct Plan {
    const char* path;
    char* const* arguments;
    char* const* environment;
    int input;
    int output;
    int error;  ///< errno of what failed, written by the child into memory that it shares.
};

/// The child's own privileges, by system calls alone: the C library would change those of every
/// thread of the daemon, whose memory the child still has.
bool drop_privileges() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (::syscall(SYS_geteuid) == 0) {
        if (::syscall(SYS_setgroups, 0, nullptr) != 0 ||
            ::syscall(SYS_setresgid, kNobody, kNobody, kNobody) != 0 ||
            ::syscall(SYS_setresuid, kNobody, kNobody, kNobody) != 0)
            return false;
    }
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    const __user_cap_data_struct none[2] = {};
    return ::syscall(SYS_capset, &header, none) == 0;
}

bool set_limits() {
    for (const Limit& limit : kLimits) {
        rlimit now{};
        if (::getrlimit(limit.resource, &now) != 0) return false;
        const rlim_t value = now.rlim_max < limit.value ? now.rlim_max : limit.value;
        const rlimit wanted{.rlim_cur = value, .rlim_max = value};
        if (::setrlimit(limit.resource, &wanted) != 0) return false;
    }
    ::setpriority(PRIO_PROCESS, 0, kNiceness);
    return true;
}

/// Handlers are the daemon's and must not run here. All signals are blocked by now.
void reset_signals() {
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// In the child, which shares the parent's memory and must touch nothing of it but `plan`.
[[noreturn]] void become_program(Plan* plan) {
    // Dies with the thread that started it, whatever that dies of.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    const bool is_ready = ::setsid() > 0 && ::dup2(plan->input, 0) == 0 &&
                          ::dup2(plan->output, 1) == 1 && ::dup2(plan->output, 2) == 2 &&
                          ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
                          ::chdir("/") == 0 && set_limits() && drop_privileges();
    if (is_ready) {
        // Changing the user has cleared it.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        reset_signals();
        ::execve(plan->path, plan->arguments, plan->environment);
    }
    plan->error = errno;
    ::_exit(127);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

/// vfork and not posix_spawn: limits and privileges must be in place before the program's first
/// instruction. Nothing of the daemon's memory is copied, however much it has.
[[gnu::noinline]] pid_t start_child(Plan* plan) {
    const pid_t pid = ::vfork();
    if (pid == 0) become_program(plan);
    return pid;
}

}  // namespace

Result<Spawned> spawn(const std::vector<std::string>& command,
                      const std::vector<std::string>& environment) {
    if (command.empty()) return fail(Errc::invalid, "no command");
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "make a pipe"));
    }
    Spawned out;
    out.output.reset(ends[0]);
    const UniqueFd write_end(ends[1]);
    ::fcntl(out.output.get(), F_SETFL, O_NONBLOCK);
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open /dev/null"));
    }
    const std::vector<char*> arguments = pointers(command);
    const std::vector<char*> variables = pointers(environment);
    Plan plan{.path = command.front().c_str(),
              .arguments = arguments.data(),
              .environment = variables.data(),
              .input = null.get(),
              .output = write_end.get(),
              .error = 0};
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    out.pid = start_child(&plan);
    const int saved = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (out.pid < 0) return fail(sys_error(saved, "start a process"));
    if (plan.error != 0) {
        ::waitpid(out.pid, nullptr, 0);
        return fail(sys_error(plan.error, command.front()));
    }
    out.process.reset(static_cast<int>(::syscall(SYS_pidfd_open, out.pid, 0)));
    if (!out.process.valid()) {
        const int open_error = errno;
        ::kill(-out.pid, SIGKILL);
        ::waitpid(out.pid, nullptr, 0);
        return fail(sys_error(open_error, "watch a process"));
    }
    return out;
}

}  // namespace sluice::health
