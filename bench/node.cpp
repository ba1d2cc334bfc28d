// SPDX-License-Identifier: Apache-2.0
#include "bench/node.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "bench/harness.h"
#include "control/metrics_source.h"

namespace sluice::bench {
namespace {

constexpr const char* kPlace = "/mnt";

/// Mounts of its own: a bpffs and a place for files that nobody else sees.
Result<void> make_place() {
    const std::string pins = std::string(kPlace) + "/bpf";
    const bool done = ::unshare(CLONE_NEWNS) == 0 &&
                      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                      ::mount("tmpfs", kPlace, "tmpfs", 0, "mode=0700") == 0 &&
                      std::filesystem::create_directory(pins) &&
                      ::mount("bpf", pins.c_str(), "bpf", 0, "mode=0700") == 0;
    const int saved = errno;
    if (!done) return fail(sys_error(saved, "private mounts"));
    return {};
}

std::string config_of(const NodeShape& shape) {
    std::string out =
        "version: 2\n"
        "node: {name: metrics, interfaces: [in0], tunnel_source: {ipv4: 10.255.0.0/24}, "
        "ring_secret: 000102030405060708090a0b0c0d0e0f}\ngroups:\n";
    for (unsigned g = 0; g < shape.services; ++g) {
        out += fmt::format("  group-{:05}:\n    backends: [", g);
        for (unsigned b = 0; b < shape.backends; ++b) {
            const unsigned number = g * shape.backends + b;
            out += fmt::format("{}10.{}.{}.{}", b == 0 ? "" : ", ", 64 + (number >> 16),
                               number >> 8 & 255, number & 255);
        }
        out += "]\n";
    }
    out += "services:\n";
    for (unsigned g = 0; g < shape.services; ++g)
        out +=
            fmt::format("  - {{name: service-{:05}, vip: {}, port: {}, group: group-{:05}}}\n", g,
                        g == 0 ? kVip4 : fmt::format("198.18.{}.{}", g >> 8, g & 255), kPort, g);
    return out;
}

/// The generation in force; it is the first.
std::string program_pin() {
    return std::string(kPlace) + "/bpf/sluice/metrics/gen/1/slc_lb_program";
}

}  // namespace

std::string Node::socket() {
    return std::string(kPlace) + "/api.sock";
}

Result<std::unique_ptr<Node>> Node::open(const NodeShape& shape) {
    SLC_CHECK(make_place(), "node");
    auto out = std::unique_ptr<Node>(new Node());
    SLC_CHECK(out->begin(shape), "node");
    return out;
}

Result<void> Node::begin(const NodeShape& shape) {
    space_ = SLC_TRY(Namespace::create(), "space");
    SLC_CHECK(space_->enter(), "space");
    for (const char* line :
         {"ip link add in0 type veth peer name out0", "ip link set in0 up", "ip link set out0 up",
          "ip addr add 10.0.0.1/24 dev in0", "ip route add 10.64.0.0/10 via 10.0.0.254",
          "ip neigh add 10.0.0.254 lladdr 02:00:00:00:00:fe dev in0"})
        SLC_CHECK(run_line(line), "space");
    control::Controller::Options about;
    about.config_file = std::string(kPlace) + "/sluice.yaml";
    about.bpffs = std::string(kPlace) + "/bpf/sluice";
    about.state_dir = std::string(kPlace) + "/state";
    std::ofstream(about.config_file) << config_of(shape);
    controller_ = SLC_TRY(control::Controller::open(about), "controller");
    SLC_CHECK(controller_->apply_file(), "apply");
    loop_ = SLC_TRY(api::Loop::open(), "loop");
    api::ServerOptions listen;
    listen.socket_path = socket();
    server_ = SLC_TRY(api::Server::open(*loop_, listen, *controller_), "server");
    loop_->every(control::Controller::kChangeTick, [this] { controller_->on_change_tick(); });
    SLC_CHECK(loop_->on_readable(controller_->network_fd(), [this] { controller_->on_network(); }),
              "network");
    // The daemon's own look at what it was not told of: next hops that were not known at first.
    controller_->on_network();
    const auto backends = controller_->metrics().backends;
    const bool is_up =
        std::all_of(backends.begin(), backends.end(), [](const auto& each) { return each.up; });
    if (!is_up) return fail(Errc::internal, "a backend has no next hop");
    thread_ = std::thread([this] {
        (void)pin_to_cpu(0);
        (void)loop_->run().has_value();
    });
    return {};
}

Node::~Node() {
    if (!thread_.joinable()) return;
    loop_->post([this] { loop_->stop(); });
    thread_.join();
}

Result<Driver> Node::aimed_driver() {
    const UniqueFd program(::bpf_obj_get(program_pin().c_str()));
    const int saved = errno;
    if (!program.valid()) return fail(sys_error(saved, "open " + program_pin()));
    SLC_CHECK(pin_to_cpu(last_cpu()), "packets");
    Driver driver = SLC_TRY(Driver::load({}), "packets");
    SLC_CHECK(driver.aim(program.get(), true), "packets");
    const std::uint32_t verdict = SLC_TRY(driver.run(1), "packets").verdict;
    if (verdict != XDP_TX && verdict != XDP_REDIRECT)
        return fail(Errc::internal, fmt::format("the packet is not forwarded, but {}", verdict));
    return driver;
}

}  // namespace sluice::bench
