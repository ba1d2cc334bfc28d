// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The least XDP program there is, as a generation: it answers every packet with one verdict.

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/unique_fd.h"
#include "kernel/bpffs.h"
#include "kernel/pinnable.h"

namespace sluice::test {

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)  // Linux 5.18
#endif

class VerdictProgram : public kernel::Pinnable {
 public:
    explicit VerdictProgram(xdp_action verdict) {
        bpf_insn code[2] = {};
        code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
        code[0].imm = verdict;
        code[1].code = BPF_JMP | BPF_EXIT;
        LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_XDP,
                    .prog_flags = BPF_F_XDP_HAS_FRAGS);
        fd_.reset(::bpf_prog_load(BPF_PROG_TYPE_XDP, "verdict", "GPL", code, 2, &options));
    }

    [[nodiscard]] int program_fd() const override { return fd_.get(); }
    [[nodiscard]] Result<void> pin(const std::string& directory) const override {
        if (fails) return fail(Errc::limit, "as it was told to");
        return kernel::make_pin(fd_.get(), directory + "/" + kernel::kEntryProgramPin);
    }

    bool fails = false;

 private:
    UniqueFd fd_;
};

/// What a program answers a frame; -1 when it could not be run.
inline int verdict_of(int program_fd, std::span<const std::uint8_t> frame) {
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                .data_size_in = static_cast<std::uint32_t>(frame.size()));
    if (::bpf_prog_test_run_opts(program_fd, &options) != 0) return -1;
    return static_cast<int>(options.retval);
}

}  // namespace sluice::test
