// SPDX-License-Identifier: Apache-2.0

/// fake_daemon SOCKET SCENE [FLOWS]: serves a fixed node (fake_node.h) through the real server
/// until its standard input ends, so that it never outlives the test that started it. Prints
/// "ready" when it listens.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "api/loop.h"
#include "api/server.h"
#include "tests/cli/fake_node.h"

int main(int argc, char** argv) {
    using namespace sluice;
    using test::Scene;
    const std::map<std::string, Scene> scenes = {
        {"healthy", Scene::healthy},   {"degraded", Scene::degraded}, {"crowded", Scene::crowded},
        {"changing", Scene::changing}, {"empty", Scene::empty},       {"awaiting", Scene::awaiting},
        {"canary", Scene::canary},     {"watched", Scene::watched}};
    if (argc < 3 || argc > 4 || !scenes.contains(argv[2])) {
        std::fprintf(stderr, "usage: fake_daemon SOCKET SCENE [FLOWS]\n");
        return 64;
    }
    test::FakeFlows flows;
    if (argc == 4) flows = {std::strtoull(argv[3], nullptr, 10), 1024};
    test::FakeNode node(scenes.at(argv[2]), flows);
    test::add_fake_events(node.event_log);
    const auto loop = api::Loop::open();
    if (!loop) return 1;
    api::ServerOptions options;
    options.socket_path = argv[1];
    const auto server = api::Server::open(**loop, options, node);
    if (!server) {
        std::fprintf(stderr, "error: %s\n", server.error().what.c_str());
        return 1;
    }
    const auto watched = (*loop)->on_readable(STDIN_FILENO, [&loop] {
        char byte;
        if (::read(STDIN_FILENO, &byte, 1) <= 0) (*loop)->stop();
    });
    if (!watched) return 1;
    std::puts("ready");
    std::fflush(stdout);
    return (*loop)->run() ? 0 : 1;
}
