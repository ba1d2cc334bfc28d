// SPDX-License-Identifier: Apache-2.0
#include "cli/pcap_filter.h"

#include <pcap/pcap.h>

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/packet_filter.h"

namespace sluice::cli {
namespace {

constexpr int kSnapLength = 65535;
constexpr int kOptimise = 1;
constexpr bpf_u_int32 kPositive = 0x7fffffff;

struct ClosePcap {
    void operator()(pcap_t* handle) const { ::pcap_close(handle); }
};

struct Program {
    bpf_program code{};
    Program() = default;
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() { ::pcap_freecode(&code); }
};

Error refused(const std::string& expression, std::string_view said) {
    // libpcap's words for each kind of name begin alike: "unknown host", "unknown port", ...
    const bool name = said.starts_with("unknown ");
    return make_error(name ? Errc::not_found : Errc::invalid,
                      "filter '" + expression + "': " + std::string(said),
                      name ? "names are looked up on this computer; write the number or the address"
                           : "pcap-filter(7) has the syntax");
}

}  // namespace

Result<std::string> compile_filter(const std::string& expression) {
    const std::unique_ptr<pcap_t, ClosePcap> handle(::pcap_open_dead(DLT_EN10MB, kSnapLength));
    if (!handle) return fail(Errc::limit, "filter '" + expression + "': no memory");
    Program program;
    if (::pcap_compile(handle.get(), &program.code, expression.c_str(), kOptimise,
                       PCAP_NETMASK_UNKNOWN) != 0)
        return fail(refused(expression, ::pcap_geterr(handle.get())));
    std::vector<kernel::FilterInstruction> filter;
    for (u_int i = 0; i < program.code.bf_len; ++i) {
        const bpf_insn& one = program.code.bf_insns[i];
        // What follows chains of headers goes back, what is no byte of a frame lies before it: both
        // are numbers with the sign set.
        if (one.code == (BPF_JMP | BPF_JA) && one.k > kPositive)
            return fail(
                Errc::unsupported,
                "filter '" + expression + "': it needs a loop, which a filter must not have",
                "'proto' in place of 'protochain' does without");
        if (BPF_CLASS(one.code) == BPF_LD && BPF_MODE(one.code) == BPF_ABS && one.k > kPositive)
            return fail(Errc::invalid,
                        "filter '" + expression + "': it asks for more than the bytes of a frame",
                        "direction and interface are options of the command");
        filter.push_back({one.code, one.jt, one.jf, one.k});
    }
    if (auto checked = kernel::check_filter(filter); !checked)
        return fail(std::move(checked).error());
    return kernel::text_of(filter);
}

}  // namespace sluice::cli
