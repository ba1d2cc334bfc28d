// SPDX-License-Identifier: Apache-2.0

/// `sluice capture`: packets as received and as sent, with what was decided about each; printed, or
/// as pcapng into files or a pipe. It ends at its limits, at Ctrl-C or SIGTERM (in order: the
/// daemon is told, and what it has caught until then still comes), and when the daemon does.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <optional>
#include <vector>

#include "api/capture_stream.h"
#include "api/client.h"
#include "api/query.h"
#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/capture_files.h"
#include "cli/capture_print.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/pcap_filter.h"
#include "cli/size.h"

namespace sluice::cli {
namespace {

using packet::PcapngBlock;
using packet::PcapngType;
using Clock = std::chrono::steady_clock;

/// Targets that are longer go as the body of a POST.
constexpr std::size_t kMaxTargetLen = 4096;
/// For the daemon to send what it has caught, when it was told to end.
constexpr std::chrono::seconds kEndWithin{20};
constexpr std::chrono::seconds kToldWithin{5};
constexpr std::uint32_t kRingFiles = 10;  // Unless it is said: no disk is filled by oversight.

volatile std::sig_atomic_t caught_signals = 0;

/// Signals end a capture in order, and a closed pipe is an error like a full disk.
class SignalWatch {
 public:
    SignalWatch() {
        caught_signals = 0;
        struct sigaction action{};
        action.sa_handler = [](int) { caught_signals = caught_signals + 1; };
        ::sigaction(SIGINT, &action, &former_[0]);
        ::sigaction(SIGTERM, &action, &former_[1]);
        action.sa_handler = SIG_IGN;
        ::sigaction(SIGPIPE, &action, &former_[2]);
    }
    ~SignalWatch() {
        ::sigaction(SIGINT, &former_[0], nullptr);
        ::sigaction(SIGTERM, &former_[1], nullptr);
        ::sigaction(SIGPIPE, &former_[2], nullptr);
    }
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

 private:
    struct sigaction former_[3]{};
};

/// What the statistics at the end say of the whole capture.
struct Sums {
    std::uint64_t matched = 0;
    std::uint64_t lost = 0;
    std::uint64_t skipped = 0;
    std::uint64_t unread = 0;
    std::string ended;
};

std::optional<Sums> sums_of(std::string_view comment) {
    if (word_of(comment, "matched").empty()) return std::nullopt;
    const auto number = [comment](std::string_view key) {
        std::uint64_t out = 0;
        const std::string_view word = word_of(comment, key);
        (void)std::from_chars(word.data(), word.data() + word.size(), out);
        return out;
    };
    const std::size_t why = comment.find(" ended=");
    return Sums{
        number("matched"), number("lost"), number("skipped"), number("unread"),
        why == std::string_view::npos ? std::string() : std::string(comment.substr(why + 7))};
}

class Capturing {
 public:
    Capturing(const Options& options, std::string name, CaptureFileOptions files)
        : options_(options),
          name_(std::move(name)),
          client_(options.socket),
          files_(std::move(files)) {}

    Result<int> run(const api::Query& query, const std::string& filter) {
        std::string text = api::text_of(query).substr(1);
        if (!filter.empty()) text += "&filter=" + filter;
        const bool is_long = text.size() > kMaxTargetLen;
        const std::string path(api::kCapturePath);
        auto done = client_.read(
            is_long ? path : path + "?" + text,
            [this](std::string_view bytes) { return take(bytes); }, is_long ? text : std::string());
        auto finished = is_printed() ? print_rest() : files_.finish();
        if (!done && is_given_up_) done = {};
        if (!done || !finished) return failed(!done ? done.error() : finished.error());
        print_sums();
        return kExitDone;
    }

 private:
    [[nodiscard]] bool is_printed() const { return options_.capture.file.empty(); }
    [[nodiscard]] std::uint64_t written() const {
        return is_printed() ? printed_ : files_.packets();
    }

    Result<void> take(std::string_view bytes) {
        auto ended = look_at_signals();
        if (!ended) return ended;
        auto taken = splitter_.take(bytes, [this](const PcapngBlock& block) { return put(block); });
        if (!taken) return taken;
        return is_printed() ? print_rest() : files_.flush();
    }

    /// The first signal asks for the end, the second one does not wait for it.
    Result<void> look_at_signals() {
        if (caught_signals == 0) return {};
        if (!end_by_) {
            end_by_ = Clock::now() + kEndWithin;
            const auto told = api::Client(options_.socket, kToldWithin)
                                  .remove(std::string(api::kCapturePath) + "?name=" + name_);
            // Not found: it has ended by itself, and the rest of it is on its way.
            if (told || told.error().code == Errc::not_found) return {};
        } else if (caught_signals < 2 && Clock::now() < *end_by_) {
            return {};
        }
        is_given_up_ = true;
        return fail(Errc::unreachable, "the daemon does not end the capture");
    }

    Result<void> put(const PcapngBlock& block) {
        if (block.type == PcapngType::statistics) {
            const auto statistics = packet::read_statistics(block);
            if (!statistics) return fail(statistics.error());
            if (auto sums = sums_of(statistics->comment)) sums_ = std::move(sums);
        }
        return is_printed() ? print(block) : files_.put(block);
    }

    Result<void> print(const PcapngBlock& block) {
        if (block.type == PcapngType::interface) {
            const auto interface = packet::read_interface(block);
            if (!interface) return fail(interface.error());
            interfaces_.push_back(interface->name);
        }
        if (block.type != PcapngType::packet) return {};
        const auto packet = packet::read_packet(block);
        if (!packet) return fail(packet.error());
        if (packet->interface >= interfaces_.size())
            return fail(Errc::invalid, "pcapng: a packet of an interface that is not described");
        printed_ += !packet->id || packet->id != last_id_;
        last_id_ = packet->id;
        std::string line = packet_line(*packet, interfaces_[packet->interface], options_.format);
        line += '\n';
        std::fwrite(line.data(), 1, line.size(), stdout);  // print_rest() says how it went.
        return {};
    }

    static Result<void> print_rest() {
        const bool has_failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
        const int saved_errno = errno;
        if (!has_failed) return {};
        std::clearerr(stdout);  // It is told here, and not again at the end of the command.
        return fail(sys_error(saved_errno, "standard output"));
    }

    Result<int> failed(Error error) {
        if (error.code == Errc::invalid && written() == 0 && !sums_)
            return usage_error(std::move(error), "capture");
        if (!is_printed() && !files_.path().empty())
            error.hint = files_.path() + " can be read as far as it came";
        return fail(std::move(error).in("capture"));
    }

    /// "12345 packets matched, 12340 written, 5 lost".
    void print_sums() {
        if (!sums_) {
            return print_note(fmt::format(
                "{} packets written; how many were lost the daemon did not say", written()));
        }
        std::string text = fmt::format("{} packets matched, {} written, {} lost", sums_->matched,
                                       written(), sums_->lost);
        if (sums_->skipped > 0) text += fmt::format(", {} left out by --sample", sums_->skipped);
        if (sums_->unread > 0) text += fmt::format(", {} not read", sums_->unread);
        const bool is_expected = sums_->ended == api::kEndedByPackets ||
                                 sums_->ended == control::kEndedByTime || caught_signals > 0;
        if (!is_expected) text += " (ended: " + sums_->ended + ")";
        print_note(text);
    }

    static void print_note(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

    const Options& options_;
    std::string name_;
    api::Client client_;
    packet::PcapngSplitter splitter_;
    CaptureFiles files_;
    std::vector<std::string> interfaces_;
    std::uint64_t printed_ = 0;
    std::optional<std::uint64_t> last_id_;
    std::optional<Sums> sums_;
    std::optional<Clock::time_point> end_by_;
    bool is_given_up_ = false;
};

Result<api::Query> query_of(const CaptureOptions& capture) {
    api::Query out;
    const auto put_list = [&out](const char* key, const std::vector<std::string>& words) {
        if (!words.empty()) out.emplace(key, fmt::format("{}", fmt::join(words, ",")));
    };
    const auto put_number = [&out](const char* key, std::uint64_t number) {
        if (number > 0) out.emplace(key, std::to_string(number));
    };
    put_list("interface", capture.interfaces);
    put_list("verdict", capture.verdicts);
    put_list("reason", capture.reasons);
    put_list("service", capture.services);
    put_list("backend", capture.backends);
    if (!capture.at.empty()) out.emplace("at", capture.at);
    put_number("one_in", capture.one_in);
    put_number("packets", capture.count);
    put_number("snap", capture.snap);
    if (!capture.buffer.empty())
        put_number("buffer", SLC_TRY(parse_size(capture.buffer), "--buffer"));
    if (!capture.time.empty())
        put_number("seconds", static_cast<std::uint64_t>(
                                  SLC_TRY(parse_duration(capture.time), "--time").count()));
    return out;
}

Result<CaptureFileOptions> files_of(const CaptureOptions& capture) {
    CaptureFileOptions out;
    out.path = capture.file;
    if (!capture.rotate_size.empty())
        out.rotate_len = SLC_TRY(parse_size(capture.rotate_size), "--rotate-size");
    if (!capture.rotate_time.empty())
        out.rotate_time = SLC_TRY(parse_duration(capture.rotate_time), "--rotate-time");
    out.files = capture.files > 0 ? capture.files : kRingFiles;
    return out;
}

/// Nobody else's: who interrupts a capture ends that one.
std::string unique_name() {
    std::uint64_t number = 0;
    (void)::getrandom(&number, sizeof number, 0);
    return fmt::format("{}-{:016x}", ::getpid(), number);
}

std::optional<Error> contradiction(const CaptureOptions& capture) {
    const bool is_file = !capture.file.empty() && capture.file != "-";
    const bool is_ring = !capture.rotate_size.empty() || !capture.rotate_time.empty();
    if (!is_file && is_ring)
        return make_error(Errc::invalid, "only files are rotated", "-w FILE names them");
    if (capture.files > 0 && !is_ring)
        return make_error(Errc::invalid, "--files: when does the next one begin?",
                          "--rotate-size, --rotate-time");
    if (capture.file == "-" && ::isatty(STDOUT_FILENO) == 1)
        return make_error(Errc::invalid, "a capture is no text for a terminal",
                          "sluice capture -w - | tshark -r -; without -w packets are printed");
    return std::nullopt;
}

Result<int> end_any(const Options& options) {
    const auto told = api::Client(options.socket).remove(std::string(api::kCapturePath));
    if (!told) return fail(Error(told.error()).in("capture"));
    fmt::print("ended\n");
    return kExitDone;
}

}  // namespace

Result<int> run_capture(const Options& options) {
    const CaptureOptions& capture = options.capture;
    if (capture.stop) return end_any(options);
    if (auto wrong = contradiction(capture)) return usage_error(std::move(*wrong), "capture");
    auto query = query_of(capture);
    if (!query) return usage_error(query.error(), "capture");
    auto files = files_of(capture);
    if (!files) return usage_error(files.error(), "capture");
    std::string filter;
    if (!capture.filter.empty()) {
        auto compiled = compile_filter(fmt::format("{}", fmt::join(capture.filter, " ")));
        if (!compiled) return usage_error(compiled.error(), "capture");
        filter = *std::move(compiled);
        std::replace_if(
            filter.begin(), filter.end(), [](char c) { return c == ' ' || c == '\n'; }, '+');
    }
    const std::string name = unique_name();
    query->emplace("name", name);
    const SignalWatch watch;
    return Capturing(options, name, *std::move(files)).run(*query, filter);
}

}  // namespace sluice::cli
