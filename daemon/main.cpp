// SPDX-License-Identifier: Apache-2.0

/// sluiced: opens the node's controller, puts the configuration into force, serves the API, and
/// follows signals, netlink and the clock on one event loop. Stopping it leaves the data plane
/// attached and forwarding; --detach removes it.

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>

#include "api/config_report.h"
#include "api/loop.h"
#include "api/server.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/version.h"
#include "control/controller.h"
#include "control/leftovers.h"
#include "control/metrics_source.h"
#include "daemon/options.h"
#include "daemon/systemd.h"
#include "kernel/instance.h"
#include "node/losses.h"
#include "node/tuning_log.h"

namespace sluice::daemon {
namespace {

constexpr std::chrono::seconds kTick{1};

/// The controller as the API and the signals see it: each reload is logged and told to systemd.
class Node : public control::NodeView {
 public:
    explicit Node(control::Controller& controller) : controller_(controller) {}

    control::NodeStatus status() override { return controller_.status(); }
    [[nodiscard]] control::NodeSummary summary() const override { return controller_.summary(); }
    control::Configurations& configurations() override { return controller_; }
    std::string config_text() override { return controller_.config_text(); }

    Result<void> reload() override {
        notify_reloading();
        auto outcome = controller_.reload();
        report(outcome);
        return outcome;
    }

    Result<control::BackendStatus> backend(const std::string& owner,
                                           const IpAddress& address) override {
        return controller_.backend(owner, address);
    }
    Result<control::BackendStatus> order(const control::BackendOrder& order) override {
        return controller_.order(order);
    }
    Result<control::FlowPage> flows(const control::FlowQuery& query, control::FlowAction action,
                                    std::uint64_t cursor) override {
        return controller_.flows(query, action, cursor);
    }
    Result<control::FlowAnswer> flow(const control::FlowTuple& tuple) override {
        return controller_.flow(tuple);
    }
    Result<control::HealthStatus> health(const control::HealthQuery& query) override {
        return controller_.health(query);
    }
    control::AnnounceStatus announcements() override { return controller_.announcements(); }
    Result<control::AnnounceStatus> order_node(const control::NodeOrder& order) override {
        return controller_.order_node(order);
    }
    control::MapsStatus maps() override { return controller_.maps(); }
    control::Observation& observation() override { return controller_; }
    const observe::EventLog& events() override { return controller_.events(); }
    control::MetricsSource metrics() override { return controller_.metrics(); }
    Result<node::LossCounts> losses() override { return controller_.losses(); }

    /// The first configuration.
    Result<void> apply() {
        auto outcome = controller_.apply_file();
        report(outcome);
        return outcome;
    }

 private:
    void report(const Result<void>& outcome) {
        const control::NodeSummary now = controller_.summary();
        const std::string generation = std::to_string(now.generation);
        if (!outcome)
            log_event(LogLevel::error, "config.rejected",
                      {{"generation", generation},
                       {"file", now.file},
                       {"error", outcome.error().what},
                       {"hint", outcome.error().hint}});
        if (now.backends < kFewBackends)
            for (const std::string& problem : controller_.status().problems)
                log_event(LogLevel::warning, "node.problem", {{"problem", problem}});
        if (now.generation > 0) notify_ready("generation " + generation + " is in force");
    }

    /// Their state is looked through after each change; that of more is for who asks.
    static constexpr std::size_t kFewBackends = 5000;

    control::Controller& controller_;
};

control::Controller::Options controller_options(const Options& options) {
    control::Controller::Options out;
    out.config_file = options.config_file;
    out.bpffs = options.bpffs;
    out.state_dir = options.state_dir;
    out.verbose = options.verbose;
    out.metrics_series = options.metrics_series;
    out.alive = [] { notify_watchdog(); };
    return out;
}

Result<void> check(const Options& options) {
    const std::string text = SLC_TRY(config::read_file(options.config_file), "check");
    const config::ParseOutcome outcome = config::parse(text, options.config_file);
    fmt::print(stderr, "{}", api::config_findings(outcome.warnings, outcome.errors));
    if (!outcome.ok()) return fail(api::config_error(options.config_file, outcome.errors.size()));
    fmt::print("{}\n", api::config_summary(options.config_file, outcome.config));
    return {};
}

Result<void> watch(api::Loop& loop, control::Controller& controller, Node& node) {
    SLC_CHECK(loop.on_signal(SIGHUP, [&node] { (void)node.reload().has_value(); }), "signals");
    for (const int number : {SIGTERM, SIGINT}) {
        SLC_CHECK(loop.on_signal(number,
                                 [&loop, number] {
                                     log_event(LogLevel::info, "daemon.stopping",
                                               {{"signal", std::to_string(number)},
                                                {"data_plane", "stays attached"}});
                                     notify_stopping();
                                     loop.stop();
                                 }),
                  "signals");
    }
    if (controller.network_fd() >= 0)
        SLC_CHECK(
            loop.on_readable(controller.network_fd(), [&controller] { controller.on_network(); }),
            "netlink");
    loop.every(kTick, [&controller] {
        controller.on_tick();
        notify_watchdog();
    });
    loop.every(control::Controller::kChangeTick, [&controller] { controller.on_change_tick(); });
    return {};
}

/// Events since the daemon began, for who asks: those before there is an API too.
class KeptEvents {
 public:
    KeptEvents() {
        log_also_to([this](LogLevel level, std::string_view name,
                           std::span<const LogField> fields) { log_.add(level, name, fields); });
    }
    ~KeptEvents() { log_also_to({}); }
    KeptEvents(const KeptEvents&) = delete;
    KeptEvents& operator=(const KeptEvents&) = delete;
    [[nodiscard]] const observe::EventLog& log() const { return log_; }

 private:
    observe::EventLog log_;
};

/// Other threads have something for the loop's: however often they say so, it looks once.
class Wake {
 public:
    explicit Wake(api::Loop& loop) : loop_(loop) {}
    /// Before the loop runs.
    void set(api::Loop::Handler handler) { handler_ = std::move(handler); }
    void call() {
        if (is_called_.exchange(true)) return;
        loop_.post([this] {
            is_called_ = false;
            if (handler_) handler_();
        });
    }

 private:
    api::Loop& loop_;
    api::Loop::Handler handler_;
    std::atomic<bool> is_called_ = false;
};

Result<void> run(const Options& options) {
    const KeptEvents events;
    log_event(LogLevel::info, "daemon.starting",
              {{"version", version()}, {"file", options.config_file}});
    const auto loop = SLC_TRY(api::Loop::open(), "start");
    control::Controller::Options node_options = controller_options(options);
    node_options.events = &events.log();
    Wake wake(*loop);
    node_options.wake = [&wake] { wake.call(); };
    const auto controller = SLC_TRY(control::Controller::open(std::move(node_options)), "start");
    wake.set([&controller] { controller->on_wake(); });
    Node node(*controller);
    api::ServerOptions server_options;
    server_options.socket_path = options.socket;
    // Before anything is attached: a second daemon on this socket must not touch the data plane.
    const auto server = SLC_TRY(api::Server::open(*loop, server_options, node), "start");
    std::unique_ptr<api::Server> scraped;
    if (!options.metrics_listen.empty())
        scraped = SLC_TRY(
            api::Server::open(*loop, api::scrape_options(options.metrics_listen), node), "start");
    SLC_CHECK(watch(*loop, *controller, node), "start");
    SLC_CHECK(node.apply(), "start");
    log_event(LogLevel::info, "daemon.ready", {{"socket", options.socket}});
    SLC_CHECK(loop->run(), "run");
    log_event(LogLevel::info, "daemon.stopped");
    return {};
}

Result<void> detach(const Options& options) {
    auto removed = control::Controller::detach(controller_options(options));
    if (!removed) return removed;
    // NICs are tuned for all instances of a machine: the last one takes it back.
    const auto left = kernel::Instance::list(options.bpffs);
    if (!left || !left->empty()) return {};
    for (const auto& one : SLC_TRY(node::undo_tuning(options.state_dir), "detach")) {
        const bool is_well = one.end == node::TuningEnd::undone || one.end == node::TuningEnd::gone;
        log_event(is_well ? LogLevel::info : LogLevel::warning, "tuning.undone",
                  {{"interface", one.interface},
                   {"setting", one.setting},
                   {"from", one.from},
                   {"to", one.to},
                   {"end", name_of(one.end)},
                   {"error", one.error}});
    }
    return {};
}

Result<void> carry_out(const Options& options) {
    switch (options.action) {
        case Action::print:
            fmt::print("{}", options.output);
            return {};
        case Action::check:
            return check(options);
        case Action::detach:
            return detach(options);
        case Action::withdraw:
            return control::withdraw_leftovers(options.state_dir, options.config_file,
                                               control::Leftover::unless_kept);
        case Action::run:
            break;
    }
    return run(options);
}

/// Programs read the log when it is not for people: then the last word is an event too.
void print(const Error& error, bool is_for_programs) {
    if (is_for_programs) {
        log_event(LogLevel::error, "daemon.failed", {{"error", error.what}, {"hint", error.hint}});
        return;
    }
    fmt::print(stderr, "error: {}\n", error.what);
    if (!error.hint.empty()) fmt::print(stderr, "hint: {}\n", error.hint);
}

}  // namespace
}  // namespace sluice::daemon

int main(int argc, char** argv) {
    using namespace sluice;
    const auto options = daemon::parse_command_line(argc, argv);
    if (!options) {
        daemon::print(options.error(), false);
        return kExitUsage;
    }
    std::signal(SIGPIPE, SIG_IGN);  // A reader of the log or the API that leaves is no reason to.
    log_setup(options->log_format, options->log_level);
    const bool is_journal = !options->has_log_format && daemon::is_stderr_journal();
    if (is_journal) log_to(daemon::log_to_journal);
    const auto done = daemon::carry_out(*options);
    if (done) return kExitDone;
    daemon::print(done.error(), is_journal || (options->action == daemon::Action::run &&
                                               options->log_format == LogFormat::json));
    return exit_code_of(done.error().code);
}
