// SPDX-License-Identifier: Apache-2.0
#include "traffic/flood.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <numeric>
#include <vector>

#include "bpf/traffic.h"
#include "traffic/bpf_tools.h"
#include "traffic/loop.h"

namespace sluice::traffic {
namespace {

constexpr std::uint8_t kFin = 0x11, kSyn = 0x02, kRst = 0x04, kAck = 0x10;  // FIN with ACK.

// A call of the kernel's takes 16 ms whatever it sends: shorter steps would not be kept.
constexpr std::uint64_t kStep = 25 * kMillisecond;
constexpr std::uint64_t kMostPerStep = 400'000;
// Numbered packets that are on their way for so long will not arrive.
constexpr std::uint64_t kLostAfter = 2 * kSecond;

Result<std::uint32_t> interface_of(const Options& options) {
    const std::string name = options.text("interface", "eth0");
    const std::uint32_t index = ::if_nametoindex(name.c_str());
    if (index != 0) return index;
    const int saved = errno;
    return fail(sys_error(saved, name));
}

void copy_address(const IpAddress& address, __u32 (&out)[4]) {
    if (address.is_ip6)
        std::memcpy(out, address.bytes.data(), sizeof out);
    else
        out[3] = address.ip4_be();
}

Result<void> set_flags(const std::string& kind, traffic_flood& out) {
    const std::map<std::string, std::vector<std::uint8_t>> kKinds = {
        {"syn", {kSyn}}, {"ack", {kAck}}, {"udp", {0}},
        {"fin", {kFin}}, {"rst", {kRst}}, {"sweep", {kSyn, kFin, kRst}},
    };
    const auto found = kKinds.find(kind);
    if (found == kKinds.end()) return fail(Errc::invalid, "--kind: '" + kind + "' is no kind");
    out.is_udp = kind == "udp" ? 1 : 0;
    out.flag_kinds = static_cast<__u32>(found->second.size());
    std::copy(found->second.begin(), found->second.end(), out.flags);
    return {};
}

Result<void> set_sources(const Options& options, traffic_flood& out) {
    const auto from = SLC_TRY(options.addresses("from"), "flood");
    if (from.empty()) return {};
    if (from[0].is_ip6 != (out.is_ip6 != 0)) return fail(Errc::invalid, "--from: other family");
    copy_address(from[0], out.source_be);
    const auto number = [&](const char* name, std::uint64_t otherwise) -> Result<__u32> {
        return static_cast<__u32>(SLC_TRY(options.number(name, otherwise), "flood"));
    };
    out.addresses = SLC_TRY(number("from-count", 1), "flood");
    out.first_port = SLC_TRY(number("first-port", 1024), "flood");
    out.ports = SLC_TRY(number("ports", 1), "flood");
    if (out.addresses == 0 || out.ports == 0) return fail(Errc::invalid, "a sweep over nothing");
    return {};
}

Result<traffic_flood> flood_of(const Options& options) {
    traffic_flood out{};
    const auto to = SLC_TRY(options.addresses("to"), "flood");
    if (to.size() != 1) return fail(Errc::invalid, "--to: one address is needed");
    out.is_ip6 = to[0].is_ip6 ? 1 : 0;
    out.frame_len = static_cast<__u32>(SLC_TRY(options.number("len", 74), "flood"));
    if (out.frame_len < 74 || out.frame_len > 1514)
        return fail(Errc::invalid, "--len: 74 to 1514 bytes of a frame");
    copy_address(to[0], out.dst_be);
    out.dst_port = static_cast<__u32>(SLC_TRY(options.number("port", 7100), "flood"));
    out.seed = now_ns() << 32;
    SLC_CHECK(set_flags(options.text("kind", "syn"), out), "flood");
    SLC_CHECK(set_sources(options, out), "flood");
    out.flows = static_cast<__u32>(SLC_TRY(options.number("flows", 0), "flood"));
    out.window = static_cast<__u32>(SLC_TRY(options.number("window", 0), "flood"));
    if (out.window != 0 && out.is_udp == 0)
        return fail(Errc::invalid, "--window: numbered packets are --kind udp");
    const auto mac = MacAddress::parse(options.text("mac", ""));
    if (!mac) return fail(Errc::invalid, "--mac: of the balancer's interface");
    std::copy(mac->bytes.begin(), mac->bytes.end(), out.dst_mac);
    out.src_mac[0] = 2;
    out.src_mac[5] = 0xf0;
    return out;
}

class Flood : public Loop::Owner {
 public:
    Flood(Loop& loop, Programs programs, std::uint32_t ifindex, const traffic_flood& flood,
          std::uint64_t rate)
        : loop_(loop),
          programs_(std::move(programs)),
          ifindex_(ifindex),
          flood_(flood),
          rate_(rate) {}

    void begin() {
        if (flood_.window != 0) {
            // The other end has counted others before.
            base_ = arrived();
            write(base_);
        }
        start_ns_ = last_ns_ = heard_ns_ = now_ns();
        loop_.at(start_ns_ + kStep, 0);
    }

    void on_event(std::uint64_t /*key*/, std::uint32_t /*events*/) override {}

    void on_time(std::uint64_t /*key*/) override {
        const std::uint64_t now = now_ns();
        if (stopping_) {
            listen();
            if (sent().packets == arrived().packets || now - heard_ns_ > kLostAfter) loop_.end();
            return loop_.at(now + kMillisecond, 0);
        }
        // What this process was held up for is not made up for.
        const std::uint64_t due = std::min(kMostPerStep, (now - last_ns_) * rate_ / kSecond);
        last_ns_ = now;
        if (auto sent = send_live(programs_.program("traffic_send"), ifindex_, flood_.frame_len,
                                  static_cast<std::uint32_t>(due));
            !sent) {
            problem_ = fail(std::move(sent).error());
            return loop_.end();
        }
        if (flood_.window != 0) listen();
        loop_.at(std::max(now + kStep, now_ns() + kMillisecond), 0);
    }

    void on_progress() override {
        const traffic_numbered sent = this->sent();
        const std::uint64_t packets = sent.packets - base_.packets;
        const double seconds = static_cast<double>(now_ns() - start_ns_) / 1e9;
        std::string numbered;
        if (flood_.window != 0) {
            const traffic_numbered there = arrived();
            numbered = fmt::format(
                R"(,"arrived":{},"same":{},"longest_gap_ms":{})", there.packets - base_.packets,
                there.fingerprint == sent.fingerprint, longest_gap_ns_ / kMillisecond);
        }
        fmt::print(R"({{"sent":{},"seconds":{:.3f},"mpps":{:.3f}{}}})"
                   "\n",
                   packets, seconds, static_cast<double>(packets) / seconds / 1e6, numbered);
        std::fflush(stdout);
    }

    void on_stop() override {
        if (flood_.window == 0) return loop_.end();
        stopping_ = true;
    }

    Result<void> problem() { return std::move(problem_); }

 private:
    [[nodiscard]] traffic_numbered read(const char* map, std::uint32_t index) const {
        traffic_numbered out{};
        (void)::bpf_map_lookup_elem(programs_.map(map), &index, &out);
        return out;
    }
    void write(const traffic_numbered& state) {
        const std::uint32_t slot = 0;
        (void)::bpf_map_update_elem(programs_.map(".bss"), &slot, &state, BPF_ANY);
    }
    [[nodiscard]] traffic_numbered sent() const { return read(".bss", 0); }
    [[nodiscard]] traffic_numbered arrived() const {
        return read("traffic_arrived", flood_.is_ip6);
    }

    /// What is lost must not hold its place in the window for ever.
    void listen() {
        const std::uint64_t now = now_ns(), heard = arrived().packets;
        if (heard != heard_) {
            // Before this process held nothing back, nothing could arrive.
            if (heard_ != 0) longest_gap_ns_ = std::max(longest_gap_ns_, now - heard_ns_);
            heard_ = heard;
            heard_ns_ = now;
        } else if (!stopping_ && now - heard_ns_ > kLostAfter) {
            traffic_numbered state = sent();
            state.given_up = state.packets - heard;
            write(state);
        }
    }

    Loop& loop_;
    Programs programs_;
    std::uint32_t ifindex_;
    traffic_flood flood_;
    std::uint64_t rate_;
    std::uint64_t start_ns_ = 0, last_ns_ = 0;
    traffic_numbered base_{};
    std::uint64_t heard_ = 0, heard_ns_ = 0, longest_gap_ns_ = 0;
    bool stopping_ = false;
    Result<void> problem_;
};

class Filter : public Loop::Owner {
 public:
    Filter(Loop& loop, Programs programs) : loop_(loop), programs_(std::move(programs)) {}

    void on_event(std::uint64_t /*key*/, std::uint32_t /*events*/) override {}
    void on_time(std::uint64_t /*key*/) override {}
    void on_stop() override { loop_.end(); }

    void on_progress() override {
        const auto arrived = id_of_map(programs_.map("traffic_arrived"));
        fmt::print(R"({{"spoofed":{},"sweep":{},"sweep_passed":{},"other":{},"arrived_map":{}}})"
                   "\n",
                   count(TRAFFIC_SPOOFED), count(TRAFFIC_SWEEP), count(TRAFFIC_SWEEP_PASSED),
                   count(TRAFFIC_OTHER), arrived ? *arrived : 0);
        std::fflush(stdout);
    }

 private:
    [[nodiscard]] std::uint64_t count(std::uint32_t index) const {
        std::vector<std::uint64_t> counts(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
        (void)::bpf_map_lookup_elem(programs_.map("traffic_counts"), &index, counts.data());
        return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    }

    Loop& loop_;
    Programs programs_;
};

}  // namespace

Result<void> run_flood(const Options& options) {
    const traffic_flood flood = SLC_TRY(flood_of(options), "flood");
    const std::uint32_t ifindex = SLC_TRY(interface_of(options), "flood");
    const std::uint64_t rate = SLC_TRY(options.number("rate", 1'000'000), "flood");
    const std::uint64_t arrived = SLC_TRY(options.number("arrived", 0), "flood");
    if ((flood.window != 0) != (arrived != 0))
        return fail(Errc::invalid, "--window and --arrived: both or none");
    Programs programs = SLC_TRY(
        Programs::load(".rodata.flood", &flood, sizeof flood, static_cast<std::uint32_t>(arrived)),
        "flood");
    Loop loop = SLC_TRY(Loop::open(), "flood");
    Flood owner(loop, std::move(programs), ifindex, flood, rate);
    owner.begin();
    fmt::print("ready\n");
    std::fflush(stdout);
    SLC_CHECK(loop.run(owner), "flood");
    SLC_CHECK(owner.problem(), "flood");
    owner.on_progress();
    return {};
}

Result<void> run_filter(const Options& options) {
    const std::uint64_t every = SLC_TRY(options.number("pass-every", 1), "filter");
    if (every == 0) return fail(Errc::invalid, "--pass-every: at least 1");
    const std::uint32_t ifindex = SLC_TRY(interface_of(options), "filter");
    Programs programs = SLC_TRY(Programs::load(".rodata.filter", &every, sizeof every), "filter");
    SLC_CHECK(attach(programs.program("traffic_filter"), ifindex), "filter");
    Loop loop = SLC_TRY(Loop::open(), "filter");
    Filter owner(loop, std::move(programs));
    fmt::print("ready\n");
    std::fflush(stdout);
    SLC_CHECK(loop.run(owner), "filter");
    owner.on_progress();
    return {};
}

}  // namespace sluice::traffic
