// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: observe and events.

#include <limits>

#include "base/ip.h"
#include "cli/tree_builder.h"
#include "observe/decision_filter.h"
#include "plan/reasons.h"

namespace sluice::cli {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
const std::vector<std::string> kLevels = {"info", "warning", "error"};
const std::vector<std::string> kLineFormats = {"compact", "table", "json", "yaml"};

std::vector<std::string> reason_labels() {
    std::vector<std::string> out;
    for (int reason = 0; reason < SLC_REASON_COUNT; ++reason)
        out.emplace_back(plan::reason_text(static_cast<slc_reason>(reason)).label);
    return out;
}

CLI::Validator is_filter(const std::string& key) {
    return CLI::Validator(
        [key](std::string& value) {
            const auto added = observe::DecisionFilter().add(key, value);
            return added ? std::string() : added.error().what;
        },
        "", "");
}

/// The options of a filter stand in one row: which word follows --not is seen when all are read.
class FilterOptions {
 public:
    FilterOptions(Tree& tree, CLI::App* app) : tree_(tree), app_(app) {}

    CLI::Option* add(const char* key, const char* type, const std::string& text) {
        CLI::Option* option = app_->add_option_function<std::vector<std::string>>(
            fmt::format("--{}", key), [](const std::vector<std::string>&) {}, text);
        option->type_name(type)->allow_extra_args(false)->check(is_filter(key));
        keys_.emplace(option, key);
        return option;
    }

    void add_not() {
        negation_ = app_->add_flag_function(
            "--not", [](std::int64_t) {}, "The filter behind it must not hold");
        WatchOptions& out = tree_.options.watch;
        app_->parse_complete_callback([app = app_, keys = keys_, negation = negation_, &out] {
            take(out, *app, keys, negation);
        });
    }

 private:
    using Keys = std::map<const CLI::Option*, std::string>;

    static void take(WatchOptions& out, const CLI::App& app, const Keys& keys,
                     const CLI::Option* negation) {
        std::map<const CLI::Option*, std::size_t> taken;
        bool is_negated = false;
        for (const CLI::Option* option : app.parse_order()) {
            const auto key = keys.find(option);
            if (option == negation) {
                is_negated = true;
            } else if (key != keys.end()) {
                out.filters.push_back(
                    {key->second, option->results().at(taken[option]++), is_negated});
                is_negated = false;
            }
        }
        out.has_loose_not = is_negated;
    }

    Tree& tree_;
    CLI::App* app_;
    Keys keys_;
    const CLI::Option* negation_ = nullptr;
};

void add_filters(Tree& tree, CLI::App* app) {
    FilterOptions filters(tree, app);
    tree.allow(
        filters.add("verdict", "VERDICT", "drop, pass, tx, redirect, or forward (tx or redirect)"),
        {"drop", "pass", "tx", "redirect", "forward"});
    tree.allow(filters.add("reason", "REASON", "Why they left, as `sluice reasons` has it"),
               reason_labels());
    filters.add("from", "PREFIX", "Whose source lies in this prefix");
    filters.add("to", "PREFIX", "Whose destination lies in this prefix");
    filters.add("service", "SERVICE", "Of this service");
    filters.add("backend", "BACKEND", "For this backend, GROUP/ADDRESS");
    filters.add("customer", "CUSTOMER", "Of this customer");
    filters.add("interface", "IFACE", "That came by this interface");
    filters.add("protocol", "PROTOCOL", "tcp, udp, sctp, icmp, icmp6, or a number");
    filters.add("port", "PORT", "From or to this port");
    filters.add_not();
}

void add_last(CLI::App* app, WatchOptions& options, const std::string& text) {
    app->add_option("--last", options.last, text)
        ->type_name("N")
        ->check(whole_number(0, kMost, "number of lines"));
}

void add_observe(Tree& tree) {
    WatchOptions& options = tree.options.watch;
    CLI::App* observe = tree.verb(
        tree.app, "observe", run_observe,
        "Sampled packets and what was decided about them, as they come; of a filter given twice "
        "one must hold, and of different ones all");
    add_filters(tree, observe);
    add_last(observe, options,
             "Begin with the last N that there are, and end there without --follow (default: 10, "
             "and follow)");
    observe->add_flag("-f,--follow", options.follow, "Go on as they come");
    observe->add_option("-c,--count", options.count, "End after this many")
        ->type_name("N")
        ->check(whole_number(1, kMost, "number of packets"));
    tree.allow(observe
                   ->add_option("-o,--output", options.format,
                                "How to print: compact (default), table, json (an object a line) "
                                "or yaml")
                   ->type_name("FORMAT"),
               kLineFormats);
}

void add_events(Tree& tree) {
    WatchOptions& options = tree.options.watch;
    CLI::App* events =
        tree.verb(tree.app, "events", run_events,
                  "What happened on this node: configuration, backends, generations, tables; -j: "
                  "an object a line");
    add_last(events, options, "The last N that match (default 20)");
    events->add_flag("-f,--follow", options.follow, "Go on as they come");
    tree.allow(
        events->add_option("--level", options.level, "This level and above: info, warning, error")
            ->type_name("LEVEL"),
        kLevels);
    events
        ->add_option("--name", options.names,
                     "Whose name begins so, as backend. or config.applied; may be repeated")
        ->type_name("PREFIX")
        ->allow_extra_args(false);
}

}  // namespace

void add_watching(Tree& tree) {
    add_observe(tree);
    add_events(tree);
}

}  // namespace sluice::cli
