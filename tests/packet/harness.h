// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The balancer in the kernel's test run: a configuration of tests/packet/configs, compiled and
/// loaded as sluiced does it, with header templates for the next hops that case.h makes up.
/// Everything runs on one CPU, which the process is bound to, so that per-CPU counters are read
/// from one column. Every packet is sampled.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "kernel/bpf_object.h"
#include "kernel/generation.h"
#include "kernel/state_maps.h"
#include "kernel/twin.h"
#include "plan/ids.h"
#include "plan/image.h"
#include "tests/packet/case.h"

namespace sluice::packet {

/// Why the tests cannot run here, or nothing. Binds the process to one CPU.
std::string missing_privilege();

/// What one run of a program said.
struct RunResult {
    Verdict verdict = Verdict::aborted;
    Bytes frame;
};

/// One frame through the program behind `fd`.
Result<RunResult> test_run(int fd, const Bytes& frame);

struct ReasonMove {
    Reason reason = Reason::NONE;
    std::uint32_t famproto = 0;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
};

/// Reads the rows of the reason counters of this CPU and says which ones moved.
/// Where slc_reason_counters of test runs begin; the agent's are the only ones it has.
std::uint32_t first_reason_row(int map_fd);

class ReasonReader {
 public:
    explicit ReasonReader(int map_fd);
    /// Moves since the call before (or since construction).
    std::vector<ReasonMove> moves();

 private:
    int fd_;
    std::vector<slc_counter> last_;
    std::vector<slc_counter> buffer_;
    void read();
};

struct Moved {
    std::string name;  ///< Of the service, or the backend's address.
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped_packets = 0;
    std::uint64_t dropped_bytes = 0;
};

struct Outcome {
    RunResult run;
    FlowCounts counts;  ///< Over all services.
    std::vector<ReasonMove> reasons;
    std::vector<Moved> services;
    std::vector<Moved> backends;
};

/// How a bench differs from what its configuration says.
struct BenchOptions {
    /// May make the tables inconsistent before they are loaded.
    std::function<void(plan::Image&)> spoil = {};
    /// The flow table that was in use before, and is being left.
    std::optional<plan::FlowGeometry> leaving = {};
};

class Bench {
 public:
    /// `file` is a name in tests/packet/configs.
    static Result<std::unique_ptr<Bench>> open(const std::string& file);
    static Result<std::unique_ptr<Bench>> from(config::Config config,
                                               const BenchOptions& options = {});

    /// One frame, and every counter that it moved.
    Outcome run(const Bytes& frame);
    /// Forgets fragments and flows, fills the rate limiters; slots, rings, accounts and members
    /// become what they were when the bench was opened.
    void reset_state();

    [[nodiscard]] std::uint64_t hash_of(const Flow& flow, config::Affinity affinity) const;
    [[nodiscard]] config::Affinity affinity_of(const std::string& service) const;
    /// The backend that owns the slot of `hash` in the ring of `service`.
    [[nodiscard]] std::string owner_of(const std::string& service, std::uint64_t hash) const;

    /// The slot of `hash` in the ring of `service`, live.
    std::uint64_t& slot_of(const std::string& service, std::uint64_t hash);
    /// Of a backend of `group`; aborts when there is none.
    [[nodiscard]] std::uint32_t member_of(const std::string& group,
                                          const std::string& address) const;
    /// The flow tables: reset_state() empties them.
    kernel::FlowMap& flows() { return state_->flows(); }
    [[nodiscard]] const kernel::StateMaps& state() const { return *state_; }

    /// Oldest first.
    [[nodiscard]] std::vector<slc_sample> samples() const { return state_->samples().read(); }
    /// What the data plane kept of the packet that left last.
    [[nodiscard]] std::optional<slc_sample> newest_sample() const;
    /// The proof twin of this generation with all state as it is here, but fragments: those it must
    /// be sent. Loaded when it is asked for first.
    Result<kernel::Twin*> twin();

    [[nodiscard]] const config::Config& config() const { return config_; }
    [[nodiscard]] const plan::Image& image() const { return image_; }
    [[nodiscard]] kernel::Generation& generation() { return *generation_; }
    [[nodiscard]] int state_fd(const std::string& map) const;

 private:
    Bench() = default;
    Result<void> load(const BenchOptions& options);
    Result<void> resolve_members();
    [[nodiscard]] std::vector<slc_service_counter> service_counters() const;
    [[nodiscard]] std::vector<slc_counter> member_counters() const;
    [[nodiscard]] FlowCounts flow_counters() const;
    void restore_live();

    config::Config config_;
    plan::IdStore ids_;
    plan::Image image_;
    std::unique_ptr<kernel::StateMaps> state_;
    std::unique_ptr<kernel::Generation> generation_;
    std::unique_ptr<ReasonReader> reasons_;
    std::unique_ptr<kernel::Twin> twin_;
    std::vector<slc_member> members_;  ///< As loaded and resolved.
};

/// The bench of a configuration, loaded once in this process. Aborts the process with a message
/// when it cannot be loaded: nothing else would make sense.
Bench& bench_for(const std::string& file);

inline constexpr std::uint16_t kDecapGuePort = 6081;  ///< Of decap.yaml and of the agent here.

/// The backend's agent with the VIPs and balancers of decap.yaml.
class AgentBench {
 public:
    static Result<std::unique_ptr<AgentBench>> open();

    [[nodiscard]] int program_fd() const { return object_.program_fd("slc_agent"); }
    [[nodiscard]] int reasons_fd() const { return object_.map_fd("slc_reason_counters"); }

    static std::vector<IpPrefix> vips();
    static std::vector<IpPrefix> peers();

 private:
    explicit AgentBench(kernel::BpfObject object) : object_(std::move(object)) {}
    kernel::BpfObject object_;
};

/// A program pinned on a bpffs that only this process sees, until the end of the object's life.
class PinnedProgram {
 public:
    explicit PinnedProgram(int fd);
    PinnedProgram(const PinnedProgram&) = delete;
    PinnedProgram& operator=(const PinnedProgram&) = delete;
    ~PinnedProgram();

    [[nodiscard]] std::string path() const { return directory_ + "/program"; }
    /// What went wrong; empty when the pin is there.
    [[nodiscard]] const std::string& missing() const { return missing_; }

 private:
    std::string directory_;
    std::string missing_;
    bool mounted_ = false;
};

/// The instruction set that this kernel takes; SLUICE_TEST_ISA=v3 forces the older one.
kernel::InstructionSet instruction_set();

}  // namespace sluice::packet
