// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The command line, once: parsing, help, completions and docs/reference/cli.md all come from the
/// one tree that tree.cpp builds. Only tree.cpp includes CLI11.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/output.h"

namespace sluice::cli {

struct AgentOptions {
    std::string file;  ///< Empty: the flags below say it all.
    std::string name = "agent";
    std::vector<std::string> interfaces;
    std::vector<std::string> vips;
    std::vector<std::string> from;
    std::uint16_t gue_port = 6080;
    std::string xdp_mode = "auto";
    std::string bpffs = "/sys/fs/bpf/sluice-agent";
    bool apply = false;
    bool keep = false;
};

struct BackendOptions {
    std::string state;  ///< Empty, or one of ready, drain, maint, down.
    std::uint32_t weight = 0;
    bool has_weight = false;
    std::string keep;  ///< Durations here and below: empty, or one that parse_duration takes.
    std::string deadline;
};

/// Which remembered flows; what is empty is not asked for.
struct FlowOptions {
    std::string group;
    std::string backend;
    std::string flow_class;
    std::string min_age;
    std::string max_age;
    std::uint64_t limit = 0;  ///< 0: all.
    std::string id;
};

/// A change of the configuration; what is empty or 0 was not given.
struct ConfigOptions {
    std::string file;  ///< Empty: the daemon's own; "-": standard input.
    std::string message;
    std::string author;
    std::string confirm_within;  ///< A duration.
    std::string road;
    std::string canary;  ///< "interface=eth1,eth2" or "share=5%".
    bool dry_run = false;
    bool detailed_exit_code = false;
    std::uint32_t generation = 0;
    std::uint32_t limit = 20;
    std::string from;    ///< "kernel", or the daemon.
    bool check = false;  ///< What the kernel has is compared with the history.
};

/// What the screen begins with.
struct TopOptions {
    std::string interval = "1s";  ///< A duration.
    std::string pane = "services";
    std::string sort;         ///< A column's heading; empty: the pane's own.
    std::string filter;       ///< Rows that hold this text.
    std::uint32_t limit = 0;  ///< Rows of --once; 0: all.
    bool once = false;
};

/// Which packets, how many and where to; what is empty or 0 was not given.
struct CaptureOptions {
    std::vector<std::string> interfaces;
    std::vector<std::string> verdicts;
    std::vector<std::string> reasons;
    std::vector<std::string> services;
    std::vector<std::string> backends;
    std::string at;            ///< "entry", "exit", "entry,exit".
    std::uint32_t one_in = 0;  ///< Of those that match.
    std::uint64_t count = 0;
    std::string time;  ///< Durations, this and rotate_time; sizes, buffer and rotate_size.
    std::uint32_t snap = 0;
    std::string buffer;
    std::string file;  ///< "-": standard output; empty: they are printed.
    std::string rotate_size;
    std::string rotate_time;
    std::uint32_t files = 0;
    std::vector<std::string> filter;  ///< Words of an expression of pcap.
    bool stop = false;
};

/// One filter of decisions: a key and value of observe/decision_filter.h.
struct FilterWord {
    std::string key;
    std::string value;
    bool is_negated = false;
};

/// What is watched as it comes: decisions, events.
struct WatchOptions {
    std::vector<FilterWord> filters;  ///< In the order of the command line.
    bool has_loose_not = false;       ///< A --not with nothing behind it.
    std::optional<std::uint64_t> last;
    bool follow = false;
    std::uint64_t count = 0;  ///< 0: not given.
    std::string format = "compact";
    std::string level;  ///< Empty: not given.
    std::vector<std::string> names;
};

/// The packet is in Options::name, unless it comes from a capture.
struct ExplainOptions {
    std::string pcap;
    std::uint32_t frame = 0;  ///< Of the capture; 0: not given.
    std::string interface;
    std::string against;  ///< File of a configuration.
    bool detailed_exit_code = false;
};

/// Where an instance is found without a daemon.
struct InstanceOptions {
    std::string node;
    std::string bpffs = "/sys/fs/bpf/sluice";
    std::string state_dir = "/var/lib/sluice";
};

/// The machine: what is lost on it, its tuning, whether it wants traffic.
struct NodeOptions {
    std::string keep;  ///< Durations, this and the next; empty: not given.
    std::string deadline;
    bool watch = false;
    std::string interval = "1s";
    bool apply = false;
    bool undo = false;
    bool allow_reset = false;
    std::uint32_t queues = 0;  ///< 0: as many as there are CPUs for them.
    std::string cpus;          ///< "0-3,8"; empty: those of the NIC's NUMA node.
};

struct Options {
    std::string socket = "/run/sluice/sluice.sock";
    Format format = Format::table;
    std::string config_file = "/etc/sluice/sluice.yaml";
    std::string name;  ///< Of the service, the backend, the shell or the page asked about.
    std::vector<std::string> interfaces;
    bool all = false;
    bool wait = false;
    AgentOptions agent;
    BackendOptions backend;
    FlowOptions flow;
    ConfigOptions config;
    InstanceOptions instance;
    ExplainOptions explain;
    WatchOptions watch;
    CaptureOptions capture;
    TopOptions top;
    NodeOptions node;
};

/// Carries a command out: the process's exit code, or the error to print.
using Run = Result<int> (*)(const Options& options);

/// An option or an operand of a command.
struct OptionInfo {
    std::vector<std::string> names;    ///< "-o", "--output"; the bare name of an operand.
    std::string value;                 ///< "FORMAT"; empty for a flag.
    std::vector<std::string> choices;  ///< The only values it takes; empty: any.
    std::string text;
    bool is_operand = false;
    bool is_required = false;
    bool is_repeated = false;
};

struct CommandInfo {
    std::string name;
    std::string text;
    std::vector<OptionInfo> options;  ///< In order; operands too.
    std::vector<CommandInfo> commands;
};

/// What the words of the command line ask for.
struct Parsed {
    Options options;
    Run run = nullptr;   ///< Null: `output` is all there is to do.
    std::string output;  ///< Of --help and --version.
};

/// Errc::invalid for a command line that is wrong; the caller exits with kExitUsage.
Result<Parsed> parse_command_line(int argc, const char* const* argv);
/// The whole tree without what is hidden.
CommandInfo command_tree();

}  // namespace sluice::cli
