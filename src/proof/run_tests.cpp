// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <net/if.h>

#include <map>

#include "packet/notation.h"
#include "packet/pcap.h"
#include "proof/outcome.h"
#include "proof/proof.h"

namespace sluice::proof {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kStart = 1000 * 1000 * kMillisecond;  // 1,000 s of uptime.
constexpr std::uint64_t kLongestGap = 3600 * 1000 * kMillisecond;

/// A frame of a step, and how long after the one before in its capture it came.
struct StepFrame {
    std::vector<std::uint8_t> bytes;
    std::uint32_t number = 0;  ///< In its capture; 0: from a notation.
    std::uint64_t gap_ns = 0;
};

/// The first interface of the node that is there; 0: none.
std::uint32_t first_interface(const config::Config& config) {
    for (const std::string& name : config.node.interfaces)
        if (const unsigned index = ::if_nametoindex(name.c_str()); index != 0) return index;
    return 0;
}

class TestRunner {
 public:
    TestRunner(const std::string& file, const std::string& directory, std::uint32_t interface,
               kernel::Twin& twin, const Names& names, ProofReport& out)
        : file_(file),
          directory_(directory),
          interface_(interface),
          twin_(twin),
          names_(names),
          out_(out) {}

    Result<void> run(const config::Test& test) {
        SLC_CHECK(twin_.clear_state(), "test " + test.name);
        clock_ns_ = kStart;
        previous_.reset();
        ++out_.tests;
        for (std::size_t i = 0; i < test.packets.size(); ++i) {
            const config::TestPacket& step = test.packets[i];
            auto done = run_step(test, i);
            if (!done) return fail(std::move(done).error().in(where(test, step)));
        }
        return {};
    }

 private:
    Result<void> run_step(const config::Test& test, std::size_t index) {
        const config::TestPacket& step = test.packets[index];
        clock_ns_ += static_cast<std::uint64_t>(step.after.count()) * kMillisecond;
        const auto frames = frames_of(step);
        if (!frames) return fail(frames.error());
        for (const StepFrame& frame : *frames) {
            clock_ns_ += frame.gap_ns;
            const auto answer = twin_.run(frame.bytes, clock_ns_, interface_);
            if (!answer) return fail(answer.error());
            Outcome outcome = outcome_of(frame.bytes, *answer, names_);
            const std::string wrong =
                mismatch(step.expect, outcome, previous_ ? &*previous_ : nullptr);
            ++out_.packets;
            if (!wrong.empty())
                out_.failures.push_back(
                    {test.name, where(test, step), label(test, index, frame) + wrong});
            previous_ = std::move(outcome);
        }
        return {};
    }

    /// Which packet of a test it is, where it has several.
    static std::string label(const config::Test& test, std::size_t index, const StepFrame& frame) {
        std::string out;
        if (test.packets.size() > 1) out += fmt::format("packet {}: ", index + 1);
        if (frame.number != 0) out += fmt::format("frame {}: ", frame.number);
        return out;
    }

    [[nodiscard]] std::string where(const config::Test& test,
                                    const config::TestPacket& step) const {
        const config::Mark& mark = step.mark.line != 0 ? step.mark : test.mark;
        return fmt::format("{}:{}:{}", file_, mark.line, mark.column);
    }

    Result<std::vector<StepFrame>> frames_of(const config::TestPacket& step) {
        std::vector<StepFrame> out;
        if (step.pcap.empty()) {
            out.push_back({SLC_TRY(packet::build(step.packet), "packet"), 0, 0});
            return out;
        }
        const std::string path = step.pcap.starts_with('/') || directory_.empty()
                                     ? step.pcap
                                     : directory_ + "/" + step.pcap;
        auto found = captures_.find(path);
        if (found == captures_.end()) {
            auto read = packet::read_capture_file(path);
            if (!read) return fail(read.error());
            found = captures_.emplace(path, std::move(*read)).first;
        }
        const auto& frames = found->second;
        if (step.frame > frames.size() || frames.empty())
            return fail(Errc::invalid, fmt::format("{} has {} frames", path, frames.size()),
                        step.frame == 0 ? "" : fmt::format("there is no frame {}", step.frame));
        std::uint64_t before_ns = 0;
        for (const packet::CapturedFrame& frame : frames) {
            if (step.frame != 0 && frame.number != step.frame) continue;
            if (frame.missing != 0)
                return fail(Errc::invalid,
                            fmt::format("{}: frame {} was captured without its last {} bytes", path,
                                        frame.number, frame.missing),
                            "capture whole packets: tcpdump -s 0");
            const bool goes_on = before_ns != 0 && frame.time_ns > before_ns;
            out.push_back({frame.bytes, frame.number,
                           goes_on ? std::min(frame.time_ns - before_ns, kLongestGap) : 0});
            before_ns = frame.time_ns;
        }
        return out;
    }

    const std::string& file_;
    const std::string& directory_;
    std::uint32_t interface_;
    kernel::Twin& twin_;
    const Names& names_;
    ProofReport& out_;
    std::uint64_t clock_ns_ = kStart;
    std::optional<Outcome> previous_;
    std::map<std::string, std::vector<packet::CapturedFrame>> captures_;
};

}  // namespace

Result<void> run_tests(const config::Config& config, const std::string& file,
                       const std::string& directory, kernel::Twin& twin, const Names& names,
                       ProofReport& out) {
    TestRunner runner(file, directory, first_interface(config), twin, names, out);
    for (const config::Test& test : config.tests) {
        auto ran = runner.run(test);
        if (!ran) return ran;
    }
    return {};
}

}  // namespace sluice::proof
