// SPDX-License-Identifier: Apache-2.0
#include "bench/live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <vector>

namespace sluice::bench {

Result<void> send_live(Driver& driver, std::uint32_t ifindex, unsigned queue, std::uint32_t packets,
                       const std::atomic<bool>* stop) {
    const std::vector<std::uint8_t> frame(driver.frame_len());
    xdp_md context{};
    context.data_end = driver.frame_len();
    context.ingress_ifindex = ifindex;
    context.rx_queue_index = queue;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = frame.data();
    options.data_size_in = driver.frame_len();
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    options.repeat = static_cast<int>(packets);
    options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    while (::bpf_prog_test_run_opts(driver.program("bench_generate"), &options) != 0) {
        const int saved = errno;
        if (saved == EINTR && stop != nullptr && *stop) return {};
        if (saved == EINTR) continue;
        return fail(sys_error(saved, "send live frames")
                        .advise("live frames need Linux 5.18 and CAP_NET_ADMIN"));
    }
    return {};
}

Result<void> reset_count(Driver& driver) {
    const std::vector<bench_count> none(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
    const std::uint32_t slot = 0;
    if (::bpf_map_update_elem(driver.map("bench_counted"), &slot, none.data(), BPF_ANY) == 0)
        return {};
    const int saved = errno;
    return fail(sys_error(saved, "reset the counter"));
}

Result<double> counted_mpps(Driver& driver) {
    std::vector<bench_count> counts(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
    const std::uint32_t slot = 0;
    if (::bpf_map_lookup_elem(driver.map("bench_counted"), &slot, counts.data()) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "read the counter"));
    }
    std::uint64_t first = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t last = 0;
    std::uint64_t packets = 0;
    for (const bench_count& count : counts) {
        if (count.timed == 0) continue;
        first = std::min<std::uint64_t>(first, count.first_ns);
        last = std::max<std::uint64_t>(last, count.last_ns);
        packets += count.timed;
    }
    if (packets == 0) return fail(Errc::internal, "no packet came back");
    return 1e3 * static_cast<double>(packets) / static_cast<double>(last - first);
}

}  // namespace sluice::bench
