// SPDX-License-Identifier: Apache-2.0

/// Sluice inside another program: a configuration from a string, its rings without any privilege,
/// and, given an interface and a directory on a BPF file system, the data plane itself.
///
///   embed                     prints which backend owns how much of each ring
///   embed IFACE BPFFS_DIR     balances on IFACE until standard input ends, then removes all of it

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "config/parse.h"
#include "control/controller.h"
#include "plan/image.h"

namespace {

using namespace sluice;

std::string configuration(const std::string& interface) {
    return "version: 1\n"
           "node:\n"
           "  name: embed\n"
           "  interfaces: [" +
           interface +
           "]\n"
           "  ring_secret: 000102030405060708090a0b0c0d0e0f\n"
           "services:\n"
           "  - name: web\n"
           "    vip: 192.0.2.10\n"
           "    protocol: tcp\n"
           "    port: 80\n"
           "    forward: ipip\n"
           "    backends:\n"
           "      - 10.0.0.5\n"
           "      - {address: 10.0.0.6, weight: 2}\n";
}

/// Pure: text to rings, no kernel.
Result<void> print_rings(const std::string& text) {
    const config::ParseOutcome outcome = config::parse(text, "embedded");
    for (const config::Diagnostic& error : outcome.errors)
        std::fprintf(stderr, "%s\n", error.text().c_str());
    if (!outcome.ok()) return fail(Errc::invalid, "the embedded configuration is invalid");

    plan::IdStore ids;
    const plan::Image image = SLC_TRY(plan::compile(outcome.config, ids, {}), "compile");
    for (const plan::ImageRing& ring : image.ring_list) {
        std::map<std::uint32_t, std::size_t> owned;
        for (std::size_t slot = 0; slot < (std::size_t{1} << ring.log2); ++slot)
            ++owned[SLC_SLOT_CURRENT(image.slots[ring.offset + slot])];
        std::printf("group %s: %u slots\n", outcome.config.groups[ring.group].name.c_str(),
                    1u << ring.log2);
        for (const plan::ImageMember& member : image.members)
            if (member.group == ring.group)
                std::printf("  %s owns %zu\n", member.address.text().c_str(), owned[member.id]);
    }
    return {};
}

/// The data plane with everything that keeps it true; the host program turns the wheel.
Result<void> balance(const std::string& text, const std::string& bpffs) {
    namespace fs = std::filesystem;
    char directory[] = "/tmp/sluice-embed-XXXXXX";
    if (::mkdtemp(directory) == nullptr) return fail(sys_error(errno, "make a directory"));
    control::Controller::Options options;
    options.config_file = std::string(directory) + "/embed.yaml";
    options.state_dir = directory;
    options.bpffs = bpffs;
    std::ofstream(options.config_file) << text;

    const auto run = [&]() -> Result<void> {
        const auto controller = SLC_TRY(control::Controller::open(options), "open");
        SLC_CHECK(controller->apply_file(), "apply");
        std::printf("balancing; end with Ctrl-D\n");
        std::fflush(stdout);
        auto next_tick = std::chrono::steady_clock::now();
        while (true) {
            pollfd waits[] = {{controller->network_fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
            ::poll(waits, 2, 1000);
            if ((waits[0].revents & POLLIN) != 0) controller->on_network();
            if (std::chrono::steady_clock::now() >= next_tick) {
                controller->on_tick();
                next_tick += std::chrono::seconds(1);
            }
            char byte;
            if (waits[1].revents != 0 && ::read(STDIN_FILENO, &byte, 1) <= 0) break;
        }
        for (const control::ServiceStatus& service : controller->status().services)
            std::printf("service %s: %llu packets\n", service.name.c_str(),
                        static_cast<unsigned long long>(service.traffic.packets));
        return {};
    };
    auto done = run();
    const auto removed = control::Controller::detach(options);
    std::error_code ignored;
    fs::remove_all(directory, ignored);
    return done ? removed : done;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 1 && argc != 3) {
        std::fprintf(stderr, "usage: embed [IFACE BPFFS_DIR]\n");
        return 64;
    }
    const auto done =
        argc == 1 ? print_rings(configuration("eth0")) : balance(configuration(argv[1]), argv[2]);
    if (done) return 0;
    std::fprintf(stderr, "error: %s\n", done.error().what.c_str());
    if (!done.error().hint.empty()) std::fprintf(stderr, "hint: %s\n", done.error().hint.c_str());
    return 1;
}
