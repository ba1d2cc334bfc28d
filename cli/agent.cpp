// SPDX-License-Identifier: Apache-2.0

/// `sluice agent`: the data plane of a backend and what else a backend needs.

#include "kernel/agent.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>

#include "api/json.h"
#include "api/loop.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "cli/agent_config.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "kernel/backend_setup.h"

namespace sluice::cli {
namespace {

kernel::AttachMode attach_mode(config::XdpMode mode) {
    switch (mode) {
        case config::XdpMode::native:
            return kernel::AttachMode::native;
        case config::XdpMode::generic:
            return kernel::AttachMode::generic;
        case config::XdpMode::automatic:
            break;
    }
    return kernel::AttachMode::automatic;
}

/// Where the agent of this name keeps its pins; empty without a BPF file system (--bpffs '').
std::string pins_of(const std::string& bpffs, const std::string& name) {
    return bpffs.empty() ? std::string() : bpffs + "/" + name;
}

void report_attached(const kernel::Agent& agent) {
    for (const kernel::Attachment& at : agent.attachments()) {
        log_event(LogLevel::info, "agent.attached",
                  {{"interface", at.interface}, {"mode", at.generic ? "generic" : "native"}});
        if (at.fell_back)
            log_event(LogLevel::warning, "agent.fell_back",
                      {{"interface", at.interface}, {"mode", "generic"}, {"error", at.why}});
    }
}

/// Until SIGTERM or SIGINT; the kernel does the work meanwhile. An interface that is made anew is
/// attached again.
Result<void> wait_for_the_end(kernel::Agent& agent) {
    const auto loop = SLC_TRY(api::Loop::open(), "agent");
    for (const int number : {SIGTERM, SIGINT})
        SLC_CHECK(loop->on_signal(number, [&loop] { loop->stop(); }), "agent");
    std::vector<std::string> lost;
    loop->every(std::chrono::seconds(1), [&agent, &lost] {
        auto now = agent.attach_again();
        for (const std::string& interface : now)
            if (std::find(lost.begin(), lost.end(), interface) == lost.end())
                log_event(LogLevel::warning, "interface.lost", {{"interface", interface}});
        for (const std::string& interface : lost)
            if (std::find(now.begin(), now.end(), interface) == now.end())
                log_event(LogLevel::warning, "interface.attached_again",
                          {{"interface", interface}});
        lost = std::move(now);
    });
    ::sd_notify(0, "READY=1\nSTATUS=stripping tunnels");
    SLC_CHECK(loop->run(), "agent");
    ::sd_notify(0, "STOPPING=1");
    return {};
}

Json document_of(const std::vector<kernel::AgentCounter>& counters) {
    Json reasons = Json::array();
    for (const kernel::AgentCounter& counter : counters)
        reasons.push_back({{"reason", counter.reason},
                           {"outcome", api::outcome_of(counter.reason)},
                           {"text", counter.text},
                           {"traffic", {{"packets", counter.packets}, {"bytes", counter.bytes}}}});
    return {{"schema_version", api::kSchemaVersion}, {"reasons", reasons}};
}

}  // namespace

Result<int> run_agent_run(const Options& options) {
    auto config = agent_config(options.agent);
    if (!config) return refuse_agent(options.agent, std::move(config).error(), "agent run");
    if (options.agent.apply) (void)SLC_TRY(kernel::apply_backend_setup(*config), "agent run");
    kernel::AgentOptions agent_options;
    agent_options.interfaces = config->interfaces;
    agent_options.vips = config->vips;
    agent_options.from = config->from;
    agent_options.gue_port = config->gue_port;
    agent_options.mode = attach_mode(config->xdp_mode);
    agent_options.bpffs = pins_of(options.agent.bpffs, config->name);
    kernel::Agent agent = SLC_TRY(kernel::Agent::open(agent_options), "agent run");
    report_attached(agent);
    log_event(LogLevel::info, "agent.ready",
              {{"vips", std::to_string(config->vips.size())},
               {"from", std::to_string(config->from.size())}});
    SLC_CHECK(wait_for_the_end(agent), "agent run");
    if (options.agent.keep) SLC_CHECK(agent.keep(), "agent run");
    log_event(LogLevel::info, "agent.stopped",
              {{"data_plane", options.agent.keep ? "stays attached" : "detached"}});
    return kExitDone;
}

Result<int> run_agent_status(const Options& options) {
    const std::string pins = pins_of(options.agent.bpffs, options.agent.name);
    const auto counters = SLC_TRY(kernel::Agent::counters_of(pins), "agent status");
    if (is_document(options.format)) {
        print_document(document_of(counters), options.format);
        return kExitDone;
    }
    Table table({"REASON", "OUTCOME", "PACKETS", "BYTES", "MEANING"});
    for (const kernel::AgentCounter& counter : counters)
        table.add({cell(counter.reason), cell(api::outcome_of(counter.reason)),
                   number_cell(counter.packets), number_cell(counter.bytes), cell(counter.text)});
    fmt::print("{}", table.text());
    return kExitDone;
}

}  // namespace sluice::cli
