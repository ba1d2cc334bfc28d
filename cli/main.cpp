// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>

#include "base/exit_code.h"
#include "cli/output.h"
#include "cli/tree.h"

int main(int argc, char** argv) {
    using namespace sluice;
    const auto parsed = cli::parse_command_line(argc, argv);
    if (!parsed) {
        cli::print_error(parsed.error());
        return kExitUsage;
    }
    if (parsed->run == nullptr) {
        fmt::print("{}", parsed->output);
        return kExitDone;
    }
    const auto code = parsed->run(parsed->options);
    // Data that could not be written is a failure, also when all else went well: a full disk.
    const bool is_written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    if (!code) {
        cli::print_error(code.error());
        return exit_code_of(code.error().code);
    }
    if (!is_written) {
        cli::print_error(make_error(Errc::system, "standard output could not be written"));
        return kExitFailed;
    }
    return *code;
}
