// SPDX-License-Identifier: Apache-2.0
#include "cli/wait.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "api/client.h"
#include "cli/daemon.h"
#include "cli/progress.h"

namespace sluice::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{500};
constexpr std::chrono::seconds kAnswerTimeout{10};
/// A daemon that is upgraded is away for a moment.
constexpr std::chrono::seconds kMaxSilence{30};
/// What the daemon needs to see a deadline and to say that all is settled.
constexpr std::chrono::seconds kAfterDeadline{2};

/// SIGINT and SIGTERM end a pause instead of the process, until this object goes.
class Interrupts {
 public:
    Interrupts() {
        ::sigemptyset(&set_);
        ::sigaddset(&set_, SIGINT);
        ::sigaddset(&set_, SIGTERM);
        ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
    }
    ~Interrupts() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    /// True when one came within kPause.
    [[nodiscard]] bool pause() const {
        const auto until = Clock::now() + kPause;
        while (true) {
            const auto left = until - Clock::now();
            if (left <= Clock::duration::zero()) return false;
            const timespec limit{
                0, std::chrono::duration_cast<std::chrono::nanoseconds>(left).count()};
            if (::sigtimedwait(&set_, nullptr, &limit) > 0) return true;
            const int saved_errno = errno;
            if (saved_errno == EAGAIN) return false;
        }
    }

 private:
    sigset_t set_{};
    sigset_t before_{};
};

/// The line, or the lines, on standard error.
class ProgressLine {
 public:
    ProgressLine() {
        const char* term = std::getenv("TERM");
        is_terminal_ =
            ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
    }
    ~ProgressLine() { end(); }
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    /// `key` tells whether anything but the time has changed.
    void show(const std::string& text, const std::string& key) {
        if (is_terminal_) {
            fmt::print(stderr, "\r\x1b[K{}", text.substr(0, width()));
            is_open_ = true;
        } else if (key != key_) {
            fmt::print(stderr, "{}\n", text);
        }
        std::fflush(stderr);
        key_ = key;
    }

    /// What comes next begins on a line of its own.
    void end() {
        if (is_open_) fmt::print(stderr, "\n");
        is_open_ = false;
    }

 private:
    static std::size_t width() {
        constexpr std::size_t kUsual = 80;
        winsize size{};
        const bool is_known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
        return (is_known ? size.ws_col : kUsual) - 1;
    }

    bool is_terminal_ = false;
    bool is_open_ = false;
    std::string key_;
};

Result<Json> ask(const Options& options, const std::string& target) {
    auto body = api::Client(options.socket, kAnswerTimeout).get(target);
    if (!body) return fail(std::move(body).error());
    return parse_document(*body);
}

}  // namespace

const WaitView kBackendView{.text = progress_text, .key = progress_key};

Result<WaitEnd> wait_until_settled(const Options& options, const std::string& target,
                                   Json& document, std::optional<std::chrono::seconds> deadline,
                                   const WaitView& view) {
    const Interrupts interrupts;
    ProgressLine line;
    const auto began = Clock::now();
    auto heard = began;
    while (true) {
        line.show(view.text(document), view.key(document));
        if (flag_at(document, "settled")) return WaitEnd::settled;
        if (deadline && Clock::now() > began + *deadline + kAfterDeadline) return WaitEnd::deadline;
        if (interrupts.pause()) return WaitEnd::interrupted;
        auto next = ask(options, target);
        while (!next && next.error().code == Errc::unreachable &&
               Clock::now() < heard + kMaxSilence) {
            line.show("sluiced does not answer; still waiting", "unreachable");
            if (interrupts.pause()) return WaitEnd::interrupted;
            next = ask(options, target);
        }
        if (!next && next.error().code == Errc::not_found) return WaitEnd::gone;
        if (!next)
            return fail(std::move(next).error().advise("the change goes on without this command"));
        heard = Clock::now();
        document = std::move(*next);
    }
}

}  // namespace sluice::cli
