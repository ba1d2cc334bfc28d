// SPDX-License-Identifier: Apache-2.0
#include "kernel/instruction_set.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace sluice::kernel {
namespace {

/// r0 = 0; one instruction on r0; exit. 0, or errno.
int try_load(bpf_insn middle) {
    bpf_insn program[3] = {};
    program[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    program[1] = middle;
    program[2].code = BPF_JMP | BPF_EXIT;
    const UniqueFd fd(::bpf_prog_load(BPF_PROG_TYPE_XDP, "slc_probe", "GPL", program, 3, nullptr));
    return fd.valid() ? 0 : errno;
}

}  // namespace

Result<InstructionSet> probe_instruction_set() {
    bpf_insn swap{};
    swap.code = BPF_ALU64 | BPF_END | BPF_TO_LE;  // BSWAP without a condition: v4.
    swap.imm = 16;
    if (try_load(swap) == 0) return InstructionSet::v4;
    bpf_insn add{};
    add.code = BPF_ALU | BPF_ADD | BPF_K;
    const int error = try_load(add);
    if (error == 0) return InstructionSet::v3;
    return fail(sys_error(error, "load a BPF program")
                    .advise("run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; "
                            "sluice doctor says what is missing"));
}

}  // namespace sluice::kernel
