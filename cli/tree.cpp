// SPDX-License-Identifier: Apache-2.0
#include "cli/tree.h"

#include <limits>
#include <memory>

#include "base/version.h"
#include "cli/canary.h"
#include "cli/help.h"
#include "cli/tree_builder.h"
#include "sluice/limits.h"

namespace sluice::cli {
namespace {

constexpr const char* kHidden = "";  ///< CLI11's group of what no help shows.

const std::vector<std::string> kFormats = {"table", "wide", "json", "yaml"};
const std::vector<std::string> kShells = {"bash", "zsh", "fish"};
const std::vector<std::string> kXdpModes = {"auto", "native", "generic"};
const std::vector<std::string> kRoads = {"entry", "map", "program"};
const std::vector<std::string> kStates = {"ready", "drain", "maint", "down"};
const std::vector<std::string> kFlowClasses = {"embryonic", "established", "closing", "datagram"};

void add_root(Tree& tree) {
    CLI::App& app = tree.app;
    Options& options = tree.options;
    app.require_subcommand(0, 1);
    app.set_help_flag("-h,--help", "Show what a command does and takes");
    app.add_flag("--version", tree.version, "Print the version");
    app.add_option("--socket", options.socket,
                   "Unix socket of sluiced (default /run/sluice/sluice.sock)")
        ->type_name("PATH");
    tree.allow(app.add_option("-o,--output", tree.format,
                              "How to print: table (default), wide (more columns), json or yaml")
                   ->type_name("FORMAT"),
               kFormats);
    app.add_flag("-j,--json", tree.json, "Short for --output json");
}

void add_backend_operand(Tree& tree, CLI::App* app) {
    app->add_option("OWNER/ADDRESS", tree.options.name,
                    "The backend: its group, or a service on it, and its address; for example "
                    "web/10.0.0.5")
        ->required()
        ->type_name("BACKEND");
}

void add_wait(Tree& tree, CLI::App* app) {
    app->add_flag("-w,--wait", tree.options.wait,
                  "Return when the change is settled, or at the deadline, and show how far it is");
}

void add_orders(Tree& tree, CLI::App& backend) {
    BackendOptions& options = tree.options.backend;
    CLI::App* set =
        tree.verb(backend, "set", run_backend_set,
                  "Change a backend's state or weight until it is reset; reloads keep it");
    add_backend_operand(tree, set);
    tree.allow(set->add_option("--state", options.state,
                               "ready; drain: no new connections; maint: taken out at once; down: "
                               "has failed")
                   ->type_name("STATE"),
               kStates);
    set->add_option("--weight", options.weight, "Share of new connections, 0 to 1000")
        ->type_name("N")
        ->check(whole_number(0, SLC_MAX_WEIGHT, "weight"));
    add_duration(set, "--for", options.keep, "Back to the configuration after this long");
    add_duration(set, "--deadline", options.deadline,
                 "The change is over after this long, whatever is then cut");
    add_wait(tree, set);
    CLI::App* reset = tree.verb(backend, "reset", run_backend_reset,
                                "Back to the state and weight of the configuration");
    add_backend_operand(tree, reset);
    add_wait(tree, reset);
}

/// Which remembered flows.
void add_flow_query(Tree& tree, CLI::App* app) {
    FlowOptions& options = tree.options.flow;
    app->add_option("--group", options.group, "Of this group, or of a service's group")
        ->type_name("GROUP");
    app->add_option("--backend", options.backend, "For this backend, OWNER/ADDRESS")
        ->type_name("BACKEND");
    tree.allow(app->add_option("--class", options.flow_class,
                               "embryonic, established, closing (TCP) or datagram (UDP)")
                   ->type_name("CLASS"),
               kFlowClasses);
    add_duration(app, "--min-age", options.min_age, "At least this long since the last packet");
    add_duration(app, "--max-age", options.max_age, "At most this long since the last packet");
}

void add_flows(Tree& tree) {
    Options& options = tree.options;
    CLI::App* flow = tree.noun(tree.app, "flow", "Flows that are remembered");
    CLI::App* list = tree.verb(*flow, "list", run_flow_list,
                               "Remembered flows as they are found; -o json: one object a line");
    add_flow_query(tree, list);
    list->add_option("--limit", options.flow.limit, "Stop after this many")
        ->type_name("N")
        ->check(whole_number(1, std::numeric_limits<std::uint64_t>::max(), "number of flows"));
    add_flow_query(tree, tree.verb(*flow, "count", run_flow_count, "How many there are"));
    CLI::App* purge = tree.verb(*flow, "purge", run_flow_purge,
                                "Forget them: from then on the ring alone decides about them");
    add_flow_query(tree, purge);
    purge->add_flag("-a,--all", options.all, "All of them");
    CLI::App* show = tree.verb(*flow, "show", run_flow_show,
                               "Where a packet would go now, and why; nothing is changed");
    show->add_option("TUPLE", options.name,
                     "'tcp 198.51.100.7:1234 > 192.0.2.10:443 syn'; udp; IPv6 as [ADDRESS]:PORT")
        ->required();
    show->add_option("--id", options.flow.id,
                     "TCP server id or QUIC connection id that the packet carries")
        ->type_name("HEX");
    CLI::App* map = tree.noun(tree.app, "map", "Tables of the data plane");
    tree.verb(*map, "list", run_map_list,
              "How full they are, and changes in progress; -o wide: by class and group");
    tree.verb(*map, "show", run_map_show,
              "One table: rates, ages, who uses it, how long until it is full")
        ->add_option("MAP", options.name, "Name of the table, as map list shows it")
        ->required();
}

void add_views(Tree& tree) {
    CLI::App& app = tree.app;
    Options& options = tree.options;
    tree.verb(app, "status", run_status,
              "Healthy, or what is wrong: interfaces, services, drops and their remedies");
    CLI::App* service = tree.noun(app, "service", "Services: VIP, protocol and port");
    tree.verb(*service, "list", run_service_list, "All services with their traffic");
    tree.verb(*service, "show", run_service_show, "One service in detail, with its backends")
        ->add_option("NAME", options.name, "Name of the service")
        ->required()
        ->type_name("SERVICE");
    CLI::App* backend = tree.noun(app, "backend", "Backends of the groups");
    tree.verb(*backend, "list", run_backend_list,
              "All backends with how they are reached and their traffic");
    add_backend_operand(tree, tree.verb(*backend, "show", run_backend_show,
                                        "One backend in detail, with the change it is in"));
    add_orders(tree, *backend);
    CLI::App* node = tree.noun(app, "node", "This node");
    tree.verb(*node, "show", run_node_show,
              "Interfaces, loaded programs, and traffic by family and owner");
    add_machine(tree, *node);
    add_announcing(tree, *node);
    tree.verb(app, "reasons", run_reasons,
              "Why packets left: forwarded, passed, answered, dropped, each with its remedy")
        ->add_flag("-a,--all", options.all, "Also the reasons that never happened");
    tree.verb(app, "metrics", run_metrics, "Print the page that Prometheus scrapes")
        ->add_option("--match", tree.options.name, "Only metrics whose name begins so")
        ->type_name("PREFIX");
}

void add_message(CLI::App* app, ConfigOptions& options) {
    app->add_option("-m,--message", options.message, "Why, for the history")->type_name("TEXT");
    app->add_option("--author", options.author, "Who, for the history (default: the unix user)")
        ->type_name("NAME");
}

void add_source(CLI::App* app, ConfigOptions& options) {
    app->add_option("FILE", options.file,
                    "The configuration, - for standard input (default: the daemon's own file)");
}

void add_road(Tree& tree, CLI::App* app) {
    tree.allow(app->add_option("--road", tree.options.config.road,
                               "Take this road, if it is consistent: entry, map or program")
                   ->type_name("ROAD"),
               kRoads);
}

void add_detailed(CLI::App* app, ConfigOptions& options) {
    app->add_flag("--detailed-exitcode", options.detailed_exit_code,
                  "Exit with 2 when there is something to change");
}

void add_generation(CLI::App* app, ConfigOptions& options, const std::string& text) {
    app->add_option("GENERATION", options.generation, text)
        ->type_name("GENERATION")
        ->check(whole_number(1, std::numeric_limits<std::uint32_t>::max(), "generation"));
}

void add_changes(Tree& tree, CLI::App& config) {
    ConfigOptions& options = tree.options.config;
    CLI::App* plan = tree.verb(config, "plan", run_config_plan,
                               "What a configuration would change, by which road, and what its "
                               "tests say; nothing is touched");
    add_source(plan, options);
    add_road(tree, plan);
    add_detailed(plan, options);
    CLI::App* diff = tree.verb(config, "diff", run_config_diff,
                               "What differs between a file and what runs, overrides included");
    add_source(diff, options);
    add_detailed(diff, options);
    CLI::App* apply = tree.verb(config, "apply", run_config_apply,
                                "Put a configuration into force, whole or not at all");
    add_source(apply, options);
    apply->add_flag("--dry-run", options.dry_run, "Plan and prove it only, as `config plan` does");
    add_duration(apply, "--confirm-within", options.confirm_within,
                 "Undo the change unless it is confirmed within this time");
    add_road(tree, apply);
    apply
        ->add_option("--canary", options.canary,
                     "First for a part of the packets: interface=eth1[,eth2] or share=5%")
        ->type_name("PART")
        ->check(parsed_by(parse_canary));
    add_message(apply, options);
    tree.verb(config, "confirm", run_config_confirm, "The change that waits for it stays");
    CLI::App* rollback =
        tree.verb(config, "rollback", run_config_rollback, "Back to an earlier generation");
    add_generation(rollback, options, "Which one (default: the one before the one in force)");
    add_message(rollback, options);
    CLI::App* canary = tree.noun(config, "canary", "A generation that takes a part of the packets");
    tree.verb(*canary, "show", run_canary_show,
              "What it takes, and its counters beside the rest's");
    tree.verb(*canary, "promote", run_canary_promote, "It takes all packets");
    tree.verb(*canary, "back", run_canary_back, "It takes none any more");
}

void add_bpffs(Tree& tree, CLI::App* app) {
    app->add_option("--bpffs", tree.options.instance.bpffs,
                    "Directory of the instances' pins (default /sys/fs/bpf/sluice)")
        ->type_name("DIR");
}

void add_node(Tree& tree, CLI::App* app) {
    app->add_option("--node", tree.options.instance.node,
                    "Name of the instance, where there are several")
        ->type_name("NODE");
}

void add_config_views(Tree& tree, CLI::App& config) {
    ConfigOptions& options = tree.options.config;
    CLI::App* history = tree.verb(config, "history", run_config_history,
                                  "What was applied, by whom, and what became of it");
    history->add_option("--limit", options.limit, "At most this many, newest first (default 20)")
        ->type_name("N")
        ->check(whole_number(1, 10'000, "number of generations"));
    CLI::App* show = tree.verb(config, "show", run_config_show,
                               "Print a configuration, without the ring secret");
    add_generation(show, options, "Which one (default: the one in force)");
    tree.allow(show->add_option("--from", options.from,
                                "kernel: what the tables in the kernel say; needs root, no daemon")
                   ->type_name("SOURCE"),
               {"kernel"});
    show->add_flag("--check", options.check,
                   "With --from kernel: compare it with the history; 5 when they differ");
    add_node(tree, show);
    add_bpffs(tree, show);
    show->add_option("--state-dir", tree.options.instance.state_dir,
                     "Where the history is, for --check (default /var/lib/sluice)")
        ->type_name("DIR");
}

void add_config(Tree& tree) {
    CLI::App& app = tree.app;
    Options& options = tree.options;
    CLI::App* config = tree.noun(app, "config", "The configuration");
    CLI::App* check = tree.verb(*config, "check", run_config_check,
                                "Check a file: offline, without privileges, every error at once");
    add_file(check, options.config_file,
             "File to check, - for standard input (default /etc/sluice/sluice.yaml)");
    check->add_option("FILE", options.config_file, "The same, as an operand");
    add_changes(tree, *config);
    add_config_views(tree, *config);
    tree.verb(app, "reload", run_reload, "Have sluiced read its configuration file again")
        ->add_flag("-w,--wait", options.wait, "Return when it is in force, or say why it is not");
    CLI::App* doctor =
        tree.verb(app, "doctor", run_doctor,
                  "What this kernel, these interfaces and drivers can do; runs without sluiced");
    doctor
        ->add_option("-i,--interface", options.interfaces,
                     "Interface to look at; may be repeated (default: all)")
        ->type_name("IFACE");
    add_file(doctor, options.config_file,
             "Configuration whose health checks are looked at (default /etc/sluice/sluice.yaml)");
}

void add_instances(Tree& tree) {
    CLI::App* instance =
        tree.noun(tree.app, "instance", "What of Sluice is in the kernel; needs root, no daemon");
    add_bpffs(tree, tree.verb(*instance, "list", run_instance_list,
                              "All instances of this machine, also those left behind"));
    CLI::App* remove = tree.verb(*instance, "remove", run_instance_remove,
                                 "Remove one: programs, tables, flows, counters");
    remove->add_option("NAME", tree.options.name, "Its node's name")->required()->type_name("NODE");
    add_bpffs(tree, remove);
    CLI::App* detach = tree.verb(tree.app, "detach", run_detach,
                                 "Remove everything of a node from the kernel; needs root");
    add_node(tree, detach);
    add_bpffs(tree, detach);
    detach
        ->add_option("--state-dir", tree.options.instance.state_dir,
                     "Where it is recorded how NICs were tuned (default /var/lib/sluice)")
        ->type_name("DIR");
}

/// Where an agent's configuration comes from: a file, or flags.
void add_agent_source(Tree& tree, CLI::App* app) {
    AgentOptions& agent = tree.options.agent;
    add_file(app, agent.file, "Configuration of the agent, instead of the options below");
    app->add_option("--interface", agent.interfaces,
                    "Interface that tunnelled packets arrive on; may be repeated")
        ->type_name("IFACE");
    app->add_option("--vip", agent.vips, "VIP that this backend serves; may be repeated")
        ->type_name("ADDRESS");
    app->add_option("--from", agent.from,
                    "Source prefix of the balancers' tunnels; may be repeated")
        ->type_name("PREFIX");
    app->add_option("--gue-port", agent.gue_port, "UDP port of GUE (default 6080)")
        ->type_name("PORT")
        ->check(whole_number(1, 65535, "port"));
    tree.allow(app->add_option("--xdp-mode", agent.xdp_mode,
                               "Where in the kernel to attach: auto (default), native or generic")
                   ->type_name("MODE"),
               kXdpModes);
}

void add_agent_pins(Tree& tree, CLI::App* app) {
    app->add_option("--bpffs", tree.options.agent.bpffs,
                    "Directory of agents' pins (default /sys/fs/bpf/sluice-agent)")
        ->type_name("DIR");
    app->add_option("--name", tree.options.agent.name,
                    "Name of the agent, where there are several (default agent)")
        ->type_name("NAME");
}

void add_agent(Tree& tree) {
    AgentOptions& agent = tree.options.agent;
    CLI::App* noun =
        tree.noun(tree.app, "agent", "On a backend: take the balancers' tunnels apart");
    CLI::App* run = tree.verb(*noun, "run", run_agent_run,
                              "Strip tunnels in XDP until told to stop (SIGTERM, SIGINT)");
    add_agent_source(tree, run);
    add_agent_pins(tree, run);
    run->add_flag("--apply", agent.apply, "First carry out what `agent print` prints");
    run->add_flag("--keep", agent.keep, "Leave the program attached on the way out");
    add_agent_source(tree, tree.verb(*noun, "apply", run_agent_apply,
                                     "Carry out what this backend needs to answer for its VIPs"));
    add_agent_source(tree, tree.verb(*noun, "print", run_agent_print,
                                     "Print those steps as commands, without carrying them out"));
    add_agent_pins(tree, tree.verb(*noun, "status", run_agent_status,
                                   "What a running agent stripped and refused, by reason"));
}

void add_tools(Tree& tree) {
    Options& options = tree.options;
    tree.verb(tree.app, "version", run_version, "Print the version");
    tree.allow(
        tree.verb(tree.app, "completion", run_completion, "Print the completion script for a shell")
            ->add_option("SHELL", options.name, "bash, zsh or fish")
            ->required(),
        kShells);
    CLI::App* reference = tree.verb(tree.app, "reference", run_reference,
                                    "Print a page of the reference, made from the code");
    reference->group(kHidden);
    tree.allow(reference->add_option("PAGE", options.name, "cli, reasons or metrics")->required(),
               {"cli", "reasons", "metrics"});
}

std::unique_ptr<Tree> build_tree() {
    auto tree = std::make_unique<Tree>();
    add_root(*tree);
    add_views(*tree);
    add_health(*tree);
    add_flows(*tree);
    add_explain(*tree);
    add_watching(*tree);
    add_capture(*tree);
    add_top(*tree);
    add_config(*tree);
    add_instances(*tree);
    add_agent(*tree);
    add_tools(*tree);
    return tree;
}

OptionInfo describe(const Tree& tree, const CLI::Option& option) {
    OptionInfo info;
    info.is_operand = option.get_positional();
    info.is_required = option.get_required();
    info.is_repeated = option.get_items_expected_max() > 1;
    info.text = option.get_description();
    if (info.is_operand) {
        info.names = {option.get_name(true)};
    } else {
        for (const std::string& name : option.get_snames()) info.names.push_back("-" + name);
        for (const std::string& name : option.get_lnames()) info.names.push_back("--" + name);
    }
    // A type of its own tells completions what to offer; flags have no value.
    if (option.get_items_expected_max() > 0) info.value = option.get_type_name();
    const auto found = tree.choices.find(&option);
    if (found != tree.choices.end()) info.choices = found->second;
    return info;
}

CommandInfo describe(const Tree& tree, const CLI::App& app) {
    CommandInfo info;
    info.name = app.get_name();
    info.text = app.get_description();
    for (const CLI::Option* option : app.get_options())
        info.options.push_back(describe(tree, *option));
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
        if (command->get_group() != kHidden) info.commands.push_back(describe(tree, *command));
    return info;
}

/// The commands named on the command line, the program first.
std::vector<const CLI::App*> chosen(const CLI::App& app) {
    std::vector<const CLI::App*> path = {&app};
    while (!path.back()->get_subcommands().empty())
        path.push_back(path.back()->get_subcommands().front());
    return path;
}

std::string words_of(const std::vector<const CLI::App*>& path) {
    std::string out;
    for (const CLI::App* app : path) out += (out.empty() ? "" : " ") + app->get_name();
    return out;
}

tl::unexpected<Error> unexpected_word(const Tree& tree, const std::string& word) {
    const auto path = chosen(tree.app);
    const std::string words = words_of(path);
    const std::string see_help = fmt::format("{} --help shows what it takes", words);
    std::vector<std::string> candidates;
    if (word.starts_with('-') && word.size() > 1) {
        const std::string name = word.substr(0, word.find('='));
        for (const CLI::App* app : {path.front(), path.back()})
            for (const OptionInfo& option : describe(tree, *app).options)
                if (!option.is_operand)
                    candidates.insert(candidates.end(), option.names.begin(), option.names.end());
        return fail(Errc::invalid, fmt::format("{} has no option '{}'", words, name),
                    suggestion(name, candidates, see_help));
    }
    for (const CommandInfo& command : describe(tree, *path.back()).commands)
        candidates.push_back(command.name);
    if (candidates.empty())
        return fail(Errc::invalid, fmt::format("{} does not take '{}'", words, word), see_help);
    return fail(Errc::invalid, fmt::format("{} has no command '{}'", words, word),
                suggestion(word, candidates, see_help));
}

Format format_of(const std::string& word) {
    if (word == "wide") return Format::wide;
    if (word == "json") return Format::json;
    if (word == "yaml") return Format::yaml;
    return Format::table;
}

std::string help_of(const Tree& tree) {
    const auto path = chosen(tree.app);
    CommandInfo command = describe(tree, *path.back());
    command.name = words_of(path);
    return help_text(command, path.size() == 1 ? CommandInfo() : describe(tree, tree.app));
}

}  // namespace

CommandInfo command_tree() {
    const auto tree = build_tree();
    return describe(*tree, tree->app);
}

Result<Parsed> parse_command_line(int argc, const char* const* argv) {
    const auto tree = build_tree();
    Parsed parsed;
    try {
        tree->app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        parsed.output = help_of(*tree);
        return parsed;
    } catch (const CLI::ExtrasError&) {
        return unexpected_word(*tree, tree->app.remaining(true).front());
    } catch (const CLI::ParseError& error) {
        return fail(Errc::invalid, error.what(),
                    fmt::format("{} --help shows what it takes", words_of(chosen(tree->app))));
    }
    if (tree->version) {
        parsed.output = fmt::format("sluice {}\n", version());
        return parsed;
    }
    const auto path = chosen(tree->app);
    const auto run = tree->runs.find(path.back());
    if (run == tree->runs.end())
        return fail(Errc::invalid, fmt::format("{} needs a command", words_of(path)),
                    fmt::format("{} --help lists them", words_of(path)));
    parsed.run = run->second;
    parsed.options = tree->options;
    parsed.options.backend.has_weight =
        path.back()->get_name() == "set" && path.back()->count("--weight") > 0;
    parsed.options.format = tree->json ? Format::json : format_of(tree->format);
    return parsed;
}

}  // namespace sluice::cli
