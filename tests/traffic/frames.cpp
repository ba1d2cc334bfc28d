// SPDX-License-Identifier: Apache-2.0
#include "traffic/frames.h"

#include <fmt/format.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <ctime>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"
#include "packet/notation.h"
#include "traffic/loop.h"

namespace sluice::traffic {
namespace {

constexpr std::uint64_t kDefaultRate = 5000;

using Frame = std::vector<std::uint8_t>;

Result<std::vector<Frame>> frames_of(const std::string& path) {
    const std::string text = SLC_TRY(read_whole_file(path), "frames");
    std::vector<Frame> out;
    std::string_view left = text;
    while (!left.empty()) {
        const std::string_view line = left.substr(0, left.find('\n'));
        left.remove_prefix(std::min(line.size() + 1, left.size()));
        if (line.empty()) continue;
        out.push_back(SLC_TRY(packet::build(line), fmt::format("packet {}", out.size() + 1)));
    }
    return out;
}

void wait_for_turn(std::uint64_t due_ns) {
    const timespec due{static_cast<time_t>(due_ns / kSecond), static_cast<long>(due_ns % kSecond)};
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr) == EINTR) {
    }
}

}  // namespace

Result<void> run_frames(const Options& options) {
    const std::vector<Frame> frames = SLC_TRY(frames_of(options.text("file", "")), "--file");
    const std::uint64_t rate = SLC_TRY(options.number("rate", kDefaultRate), "--rate");
    const std::string interface = options.text("interface", "eth0");
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    to.sll_halen = ETH_ALEN;
    if (to.sll_ifindex == 0) return fail(sys_error(errno, interface));
    const UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return fail(sys_error(errno, "open a packet socket"));
    const std::uint64_t begun_ns = now_ns();
    std::uint64_t sent = 0;
    for (const Frame& frame : frames) {
        wait_for_turn(begun_ns + sent * kSecond / rate);
        const ssize_t done = ::sendto(fd.get(), frame.data(), frame.size(), 0,
                                      reinterpret_cast<const sockaddr*>(&to), sizeof to);
        const int saved_errno = errno;
        if (done < 0) return fail(sys_error(saved_errno, fmt::format("packet {}", sent + 1)));
        ++sent;
    }
    fmt::print("{{\"sent\": {}}}\n", sent);
    return {};
}

}  // namespace sluice::traffic
