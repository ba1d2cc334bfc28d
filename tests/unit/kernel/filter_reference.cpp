// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/kernel/filter_reference.h"

#include <pcap/pcap.h>

#include <cstring>

namespace sluice::test {

FilterReference::FilterReference(std::span<const kernel::FilterInstruction> filter) {
    static_assert(sizeof(bpf_insn) == sizeof(std::uint64_t));
    const auto add = [&](std::uint16_t code, std::uint8_t yes, std::uint8_t no, std::uint32_t k) {
        const bpf_insn one{code, yes, no, k};
        std::memcpy(&code_.emplace_back(), &one, sizeof one);
    };
    // libpcap promises nothing of memory that was never written; jumps are relative.
    for (std::uint32_t word = 0; word < BPF_MEMWORDS; ++word) add(BPF_ST, 0, 0, word);
    for (const auto& one : filter) add(one.code, one.if_true, one.if_false, one.operand);
}

bool FilterReference::matches(std::span<const std::uint8_t> frame) const {
    bpf_program program{};
    program.bf_len = static_cast<u_int>(code_.size());
    // libpcap only reads it.
    program.bf_insns = reinterpret_cast<bpf_insn*>(const_cast<std::uint64_t*>(code_.data()));
    pcap_pkthdr header{};
    header.len = header.caplen = static_cast<bpf_u_int32>(frame.size());
    return ::pcap_offline_filter(&program, &header, frame.data()) != 0;
}

}  // namespace sluice::test
