// SPDX-License-Identifier: Apache-2.0
#include "bench/driver.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "bench_wrapper.h"

namespace sluice::bench {
namespace {

/// Sum of 16-bit words as loaded, for the one's-complement sums of the programs.
std::uint32_t words_of(std::uint32_t word) {
    return (word & 0xffff) + (word >> 16);
}

std::uint32_t fold(std::uint32_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

}  // namespace

bool is_ip6(Traffic traffic) {
    return traffic == Traffic::tcp6;
}

bench_scenario scenario_of(const Packets& packets) {
    bench_scenario out{};
    const bool ip6 = is_ip6(packets.traffic);
    const bool udp = packets.traffic == Traffic::udp4;
    out.flows = packets.flows;
    out.pace_ns = packets.pace_ns;
    out.first_flow = packets.flows == kEveryFlow ? 1ull << 31 : 0;
    out.is_ip6 = ip6;
    out.is_udp = udp;
    out.frame_len = ip6 ? 80 : 64;
    const std::uint32_t flags = packets.traffic == Traffic::syn4 ? 0x5002 : 0x5010;
    out.tcp_flags_be = htonl(flags << 16 | 0x4000);
    out.spread_dst = packets.traffic == Traffic::not_ours4;
    out.dport_be = htons(kPort);
    std::memcpy(out.dst_mac, packets.destination.bytes.data(), sizeof out.dst_mac);
    std::memcpy(out.src_mac, packets.source.bytes.data(), sizeof out.src_mac);

    const std::uint32_t ip_bytes = ip6 ? 40 : 20;
    const auto l4_len = static_cast<std::uint16_t>(out.frame_len - 14 - ip_bytes);
    std::uint32_t addresses = 0;
    if (ip6) {
        const auto vip = IpAddress::parse(kVip6).value_or(IpAddress{});
        std::memcpy(out.dst_be, vip.bytes.data(), sizeof out.dst_be);
        for (const std::uint32_t word : out.dst_be) addresses += words_of(word);
        addresses += words_of(htonl(BENCH_SOURCE_NET6_0)) + words_of(htonl(BENCH_SOURCE_NET6_1));
    } else {
        const char* to = out.spread_dst ? "203.0.113.0" : kVip4;
        out.dst_be[3] = IpAddress::parse(to).value_or(IpAddress{}).ip4_be();
        addresses = words_of(out.dst_be[3]);
        const auto ip_len = static_cast<std::uint16_t>(out.frame_len - 14);
        out.ip_sum = fold(htons(0x4500) + htons(ip_len) + htons(0x4000) +
                          htons(static_cast<std::uint16_t>(0x4000 | (udp ? 17 : 6))) + addresses);
    }
    // The payload is zero; of the transport header the source port comes later.
    std::uint32_t l4 = addresses + htons(l4_len) + htons(udp ? 17 : 6) + out.dport_be;
    if (udp)
        l4 += htons(l4_len);
    else
        l4 += 2 * words_of(htonl(1)) + words_of(out.tcp_flags_be);
    out.l4_sum = fold(l4);
    return out;
}

void CloseObject::operator()(bpf_object* object) const {
    ::bpf_object__close(object);
}

Result<ObjectPtr> open_object(const void* bytes, std::size_t size, const char* name) {
    ::libbpf_set_print(nullptr);
    LIBBPF_OPTS(bpf_object_open_opts, options);
    options.object_name = name;
    bpf_object* object = ::bpf_object__open_mem(bytes, size, &options);
    if (object == nullptr) {
        const int saved = errno;
        return fail(sys_error(saved, std::string("open ") + name));
    }
    return ObjectPtr(object);
}

Result<void> load_object(bpf_object* object, const char* name) {
    const int failed = ::bpf_object__load(object);
    if (failed != 0) {
        return fail(sys_error(-failed, std::string("load ") + name)
                        .advise("benchmarks of the data plane need CAP_BPF and CAP_NET_ADMIN"));
    }
    return {};
}

Result<void> set_global(bpf_object* object, const char* name, const void* value, std::size_t size) {
    bpf_map* map = ::bpf_object__find_map_by_name(object, name);
    std::size_t room = 0;
    const void* initial = map == nullptr ? nullptr : ::bpf_map__initial_value(map, &room);
    if (initial != nullptr && room >= size) {
        std::vector<std::uint8_t> content(static_cast<const std::uint8_t*>(initial),
                                          static_cast<const std::uint8_t*>(initial) + room);
        std::memcpy(content.data(), value, size);
        if (::bpf_map__set_initial_value(map, content.data(), room) == 0) return {};
    }
    return fail(Errc::internal, std::string("cannot set ") + name);
}

int map_of(bpf_object* object, const char* name) {
    return ::bpf_object__find_map_fd_by_name(object, name);
}

int program_of(bpf_object* object, const char* name) {
    const bpf_program* program = ::bpf_object__find_program_by_name(object, name);
    return program == nullptr ? -1 : ::bpf_program__fd(program);
}

Result<Driver> Driver::load(const Packets& packets) {
    Driver out;
    out.scenario_ = scenario_of(packets);
    out.object_ = SLC_TRY(open_object(bench_wrapper_bytes, sizeof bench_wrapper_bytes, "wrapper"),
                          "benchmark");
    SLC_CHECK(
        set_global(out.object_.get(), ".rodata.scenario", &out.scenario_, sizeof out.scenario_),
        "benchmark");
    SLC_CHECK(load_object(out.object_.get(), "wrapper"), "benchmark");
    return out;
}

Result<void> Driver::set_order(std::uint64_t first, std::uint64_t stride) {
    // As struct bench_turn in bpf/writer.h.
    struct Turn {
        std::uint64_t next, paced, due_ns, early, stride, zero[3];
    };
    std::array<Turn, 64> turns{};
    for (Turn& turn : turns) {
        turn.next = first % scenario_.flows;
        turn.stride = stride;
    }
    const std::uint32_t slot = 0;
    if (::bpf_map_update_elem(map(".bss"), &slot, turns.data(), BPF_ANY) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "set the order of flows"));
}

Result<void> Driver::aim(int program, bool frags) {
    const std::uint32_t slot = 0;
    const char* name = frags ? "bench_target" : "bench_target_plain";
    if (::bpf_map_update_elem(map(name), &slot, &program, BPF_ANY) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "aim at the program under test"));
    }
    frags_ = frags;
    return {};
}

Result<TestRun> Driver::run(std::uint32_t repeat) {
    // The programs write all headers; the rest is the payload, and stays zero.
    const std::vector<std::uint8_t> frame(scenario_.frame_len);
    return test_run(program(frags_ ? "bench_wrap" : "bench_wrap_plain"), frame, repeat);
}

Result<Driver::Cost> Driver::own_cost(std::uint32_t repeat) {
    SLC_CHECK(aim(program("bench_nothing"), true), "bench_nothing");
    const TestRun nothing = SLC_TRY(run(repeat), "bench_nothing");
    SLC_CHECK(aim(program("bench_there_back"), true), "bench_there_back");
    const TestRun both = SLC_TRY(run(repeat), "bench_there_back");
    return Cost{nothing.ns, (nothing.ns + both.ns) / 2};
}

}  // namespace sluice::bench
