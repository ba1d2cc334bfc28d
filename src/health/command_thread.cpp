// SPDX-License-Identifier: Apache-2.0
#include "health/command_thread.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "health/spawn.h"

namespace sluice::health {
namespace {

constexpr std::size_t kMostKept = 1024;  ///< Of the output: enough for a first line.
/// How long the thread's end waits for programs that were killed.
constexpr std::chrono::duration<int, std::milli> kLongestEnd{1000};

std::string first_line(std::string_view output) {
    return printable(output.substr(0, output.find('\n')));
}

Finding finding_of(int status, const std::string& line) {
    Finding finding{.why = Why::passed, .text = line, .load = {}};
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return finding;
    finding.why = Why::exit;
    if (WIFSIGNALED(status)) {
        const char* name = ::sigabbrev_np(WTERMSIG(status));
        finding.text = fmt::format("killed by SIG{}", name == nullptr ? "?" : name);
    } else {
        finding.text = fmt::format("exit status {}", WEXITSTATUS(status));
    }
    if (!line.empty()) finding.text += ": " + line;
    return finding;
}

}  // namespace

struct CommandThread::Running {
    Running(CommandThread& thread, Reactor& reactor)
        : output_watch(reactor, [this, &thread](std::uint32_t) { thread.on_output(*this); }),
          process_watch(reactor, [this, &thread](std::uint32_t) { thread.on_exit(*this); }) {}

    std::uint64_t id = 0;
    Done done;
    Spawned program;
    std::string kept;
    std::size_t written = 0;
    Watch output_watch;
    Watch process_watch;
};

CommandThread::CommandThread(std::size_t most) : most_(most) {}

CommandThread::~CommandThread() {
    if (thread_ == nullptr) return;
    thread_->call([this] {
        for (auto& [id, running] : running_) kill(*running);
        const auto deadline = Reactor::Clock::now() + kLongestEnd;
        while (!running_.empty() && Reactor::Clock::now() < deadline) {
            auto& program = running_.begin()->second->program;
            pollfd ended{.fd = program.process.get(), .events = POLLIN, .revents = 0};
            if (::poll(&ended, 1, kLongestEnd.count()) == 1) ::waitpid(program.pid, nullptr, 0);
            running_.erase(running_.begin());
        }
        running_.clear();
    });
}

std::uint64_t CommandThread::run(Job job, Done done) {
    if (thread_ == nullptr) {
        auto started = ReactorThread::start("slc-commands");
        if (!started) {
            done({.why = Why::local, .text = printable(started.error().what), .load = {}});
            return ++last_id_;
        }
        thread_ = std::move(started).value();
    }
    const std::uint64_t id = ++last_id_;
    thread_->reactor().post(
        [this, id, job = std::move(job), done = std::move(done)] { start(id, job, done); });
    return id;
}

void CommandThread::cancel(std::uint64_t id) {
    if (thread_ == nullptr) return;
    thread_->reactor().post([this, id] {
        const auto found = running_.find(id);
        if (found == running_.end()) return;
        found->second->done = nullptr;
        kill(*found->second);
    });
}

void CommandThread::start(std::uint64_t id, const Job& job, Done done) {
    if (running_.size() >= most_)
        return done({.why = Why::local,
                     .text = fmt::format("{} commands are running still", running_.size()),
                     .load = {}});
    auto spawned = spawn(job.command, job.environment);
    if (!spawned)
        return done({.why = Why::local, .text = printable(spawned.error().what), .load = {}});
    auto running = std::make_unique<Running>(*this, thread_->reactor());
    running->id = id;
    running->done = std::move(done);
    running->program = std::move(spawned).value();
    Running& here = *running;
    running_[id] = std::move(running);
    const bool is_watched = here.output_watch.set(here.program.output.get(), EPOLLIN).has_value() &&
                            here.process_watch.set(here.program.process.get(), EPOLLIN).has_value();
    if (is_watched) return;
    tell(here, {.why = Why::local, .text = "cannot wait for a command", .load = {}});
    kill(here);
    ::waitpid(here.program.pid, nullptr, 0);
    running_.erase(id);
}

void CommandThread::tell(Running& running, Finding finding) {
    if (const Done done = std::exchange(running.done, nullptr)) done(std::move(finding));
}

void CommandThread::kill(Running& running) {
    // Not waited for yet, so the number is still its own. Others of its group may outlive it.
    ::kill(-running.program.pid, SIGKILL);
    running.output_watch.stop();
}

void CommandThread::on_output(Running& running) {
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(running.program.output.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return running.output_watch.stop();
    const auto size = static_cast<std::size_t>(got);
    if (running.kept.size() < kMostKept) running.kept.append(buffer.data(), size);
    running.written += size;
    if (running.written <= kMostOutput) return;
    kill(running);
    tell(running, {.why = Why::exit,
                   .text = fmt::format("wrote more than {} bytes", kMostOutput),
                   .load = {}});
}

void CommandThread::on_exit(Running& running) {
    // What it wrote last is there before its end is.
    while (running.output_watch.fd() >= 0 && running.kept.size() < kMostKept) {
        std::array<char, kMostKept> buffer;
        const ssize_t got = ::read(running.program.output.get(), buffer.data(), buffer.size());
        if (got <= 0) break;
        running.kept.append(buffer.data(), static_cast<std::size_t>(got));
    }
    const std::string line = first_line(running.kept);
    kill(running);
    int status = 0;
    ::waitpid(running.program.pid, &status, 0);
    tell(running, finding_of(status, line));
    running_.erase(running.id);
}

}  // namespace sluice::health
