// SPDX-License-Identifier: Apache-2.0

/// `sluice backend set|reset`: orders for one backend, and waiting for what they begin.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/backend_order.h"
#include "api/client.h"
#include "api/query.h"
#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/progress.h"
#include "cli/wait.h"

namespace sluice::cli {
namespace {

using control::BackendOrder;

/// The words of the command line are checked by the tree: none of these can be wrong here.
Result<BackendOrder> order_of(const BackendOptions& options) {
    BackendOrder out;
    for (const auto state : {config::BackendState::ready, config::BackendState::drain,
                             config::BackendState::maint, config::BackendState::down})
        if (options.state == config::name_of(state)) out.state = state;
    if (options.has_weight) out.weight = options.weight;
    if (!options.keep.empty()) out.keep = SLC_TRY(parse_duration(options.keep), "--for");
    if (!options.deadline.empty())
        out.deadline = SLC_TRY(parse_duration(options.deadline), "--deadline");
    if (!out.state && !out.weight && !out.keep && !out.deadline)
        return fail(Errc::invalid, "nothing is ordered",
                    "--state drain, --weight 10, or both; see --help");
    return out;
}

void print_outcome(const Options& options, const Json& backend) {
    if (is_document(options.format))
        print_document(backend, options.format);
    else
        fmt::print("{}\n", backend_sentence(backend));
}

/// Prints what became of it; the exit code.
int report(const Options& options, WaitEnd end, const Json& backend, std::uint64_t cut_before) {
    const std::uint64_t cut = number_at(backend, "cut");
    if (cut > cut_before) fmt::print(stderr, "cut meanwhile: {}\n", flows_text(cut - cut_before));
    switch (end) {
        case WaitEnd::settled:
            print_outcome(options, backend);
            return kExitDone;
        case WaitEnd::deadline:
            fmt::print(stderr, "the deadline is over\n");
            print_outcome(options, backend);
            return kExitDone;
        case WaitEnd::gone:
            if (is_document(options.format))
                print_document(backend, options.format);
            else
                fmt::print("{} is gone: its last flow has ended\n", backend_name(backend));
            return kExitDone;
        case WaitEnd::interrupted:
            break;
    }
    fmt::print(stderr, "the change goes on without this command: sluice backend show {}\n",
               backend_name(backend));
    print_outcome(options, backend);
    return kExitFailed;
}

Result<int> carry_out(const Options& options, const BackendOrder& order, const char* command) {
    const auto name = api::parse_backend_name(options.name);
    if (!name) return usage_error(name.error(), command);
    const std::string target = "/api/v1/backends/" + api::encode(options.name);
    const api::Client client(options.socket);
    const auto body = client.patch(target, api::order_json(order));
    if (!body && body.error().code == Errc::invalid) return usage_error(body.error(), command);
    if (!body) return fail(with_backend_suggestion(body.error(), options).in(command));
    Json backend = SLC_TRY(parse_document(*body), command);
    if (!options.wait) {
        print_outcome(options, backend);
        return kExitDone;
    }
    const std::uint64_t cut_before = number_at(backend, "cut");
    const WaitEnd end =
        SLC_TRY(wait_until_settled(options, target, backend, order.deadline), command);
    return report(options, end, backend, cut_before);
}

}  // namespace

Result<int> run_backend_set(const Options& options) {
    const auto order = order_of(options.backend);
    if (!order) return usage_error(order.error(), "backend set");
    return carry_out(options, *order, "backend set");
}

Result<int> run_backend_reset(const Options& options) {
    BackendOrder order;
    order.reset = true;
    return carry_out(options, order, "backend reset");
}

}  // namespace sluice::cli
