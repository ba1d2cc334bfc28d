// SPDX-License-Identifier: Apache-2.0
#include "bench/live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cerrno>
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

Result<std::uint64_t> counted(Driver& driver) {
    std::vector<std::uint64_t> counts(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
    const std::uint32_t slot = 0;
    if (::bpf_map_lookup_elem(driver.map("bench_counted"), &slot, counts.data()) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "read the counter"));
    }
    std::uint64_t sum = 0;
    for (const std::uint64_t count : counts) sum += count;
    return sum;
}

}  // namespace sluice::bench
