// SPDX-License-Identifier: Apache-2.0
/// The traffic of the end-to-end tests: clients and servers that check every byte, floods, and what
/// delays a packet. One process each, led by signals (loop.h).
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <string>

#include "traffic/client.h"
#include "traffic/delay.h"
#include "traffic/flood.h"
#include "traffic/frames.h"
#include "traffic/options.h"
#include "traffic/server.h"

int main(int argc, char** argv) {
    using sluice::Result;
    using sluice::traffic::Options;
    const std::map<std::string, Result<void> (*)(const Options&)> kTools = {
        {"client", sluice::traffic::run_client}, {"delay", sluice::traffic::run_delay},
        {"filter", sluice::traffic::run_filter}, {"flood", sluice::traffic::run_flood},
        {"frames", sluice::traffic::run_frames}, {"server", sluice::traffic::run_server},
    };
    const auto tool = kTools.find(argc > 1 ? argv[1] : "");
    if (tool == kTools.end()) {
        fmt::print(stderr,
                   "usage: traffic client|delay|filter|flood|frames|server [--NAME VALUE]...\n");
        return 64;
    }
    auto options = Options::parse(argc - 2, argv + 2);
    const Result<void> done =
        options ? tool->second(*options) : sluice::fail(std::move(options).error());
    if (done) return 0;
    fmt::print(stderr, "error: {}\n", done.error().what);
    return 1;
}
