// SPDX-License-Identifier: Apache-2.0
#include "kernel/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "base/unique_fd.h"
#include "kernel/instruction_set.h"

namespace sluice::kernel {
namespace {

constexpr long kBpfFsMagic = 0xcafe4a11;
constexpr int kTcxIngress = 46;                  // BPF_TCX_INGRESS, newer than Debian 12's headers.
constexpr std::uint32_t kXdpHasFrags = 1u << 5;  // BPF_F_XDP_HAS_FRAGS.

constexpr bpf_insn instruction(std::uint8_t code, std::int16_t off, std::int32_t imm) {
    bpf_insn out{};
    out.code = code;
    out.off = off;
    out.imm = imm;
    return out;
}

constexpr bpf_insn kReturnTwo = instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 2);
constexpr bpf_insn kExit = instruction(BPF_JMP | BPF_EXIT, 0, 0);
/// Descriptor of a program that returns 2, or -errno.
int load_smallest(bpf_prog_type type, std::uint32_t flags = 0) {
    const std::array program{kReturnTwo, kExit};
    LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = flags);
    const int fd =
        bpf_prog_load(type, "slc_probe", "GPL", program.data(), program.size(), &options);
    return fd < 0 ? -errno : fd;
}

Answer answer_of(bool value) {
    return value ? Answer::yes : Answer::no;
}

Answer probe_helper(bpf_func_id helper) {
    const int found = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, helper, nullptr);
    return found < 0 ? Answer::unknown : answer_of(found == 1);
}

Answer probe_jit(int program_fd) {
    bpf_prog_info info{};
    std::uint32_t len = sizeof info;
    if (bpf_obj_get_info_by_fd(program_fd, &info, &len) != 0) return Answer::unknown;
    return answer_of(info.jited_prog_len != 0);
}

Answer probe_program_array(int program_fd) {
    const UniqueFd map(bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "slc_probe", sizeof(std::uint32_t),
                                      sizeof(std::uint32_t), 1, nullptr));
    const std::uint32_t zero = 0;
    const std::uint32_t value = static_cast<std::uint32_t>(program_fd);
    return answer_of(map.valid() && bpf_map_update_elem(map.get(), &zero, &value, BPF_ANY) == 0);
}

Answer probe_large_map() {
    const UniqueFd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "slc_probe", sizeof(std::uint32_t),
                                      sizeof(std::uint64_t), 1u << 20, nullptr));
    return answer_of(map.valid());
}

/// A link on an interface that cannot be: a kernel with tcx misses the interface, one without it
/// does not know the attach type.
Answer probe_tcx() {
    const UniqueFd program(load_smallest(BPF_PROG_TYPE_SCHED_CLS));
    if (!program.valid()) return Answer::unknown;
    const int link = bpf_link_create(program.get(), 0x7fffffff,
                                     static_cast<bpf_attach_type>(kTcxIngress), nullptr);
    const int saved = errno;
    const UniqueFd close_it(link);
    return answer_of(link < 0 && saved == ENODEV);
}

/// Asks to change a neighbour that does not exist, without the flag that would create it. A kernel
/// that knows extended flags takes the right one, misses the neighbour, and refuses unknown ones.
Answer probe_managed_neighbours() {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) return Answer::unknown;
    const auto error_for = [&](std::uint32_t flags) {
        ndmsg header{};
        header.ndm_family = AF_INET;
        header.ndm_ifindex = 1;
        header.ndm_flags = NTF_USE;
        NetlinkRequest request(RTM_NEWNEIGH, 0);
        request.header(header)
            .put_address(NDA_DST, *IpAddress::parse("192.0.2.254"))
            .put_u32(NDA_FLAGS_EXT, flags);
        const auto reply = socket->exchange(std::move(request));
        return reply ? reply->error : EIO;
    };
    const int known = error_for(NTF_EXT_MANAGED);
    if (known == EPERM || known == EIO) return Answer::unknown;
    return answer_of(known == ENOENT && error_for(0x80000000u) == EINVAL);
}

void probe_programs(KernelFacts& facts) {
    const int first = load_smallest(BPF_PROG_TYPE_XDP);
    const UniqueFd program(first);
    facts.loads = answer_of(program.valid());
    if (!program.valid()) {
        facts.load_error = std::strerror(-first);
        return;
    }
    facts.jit = probe_jit(program.get());
    const auto isa = probe_instruction_set();
    if (isa) facts.isa_v4 = answer_of(*isa == InstructionSet::v4);
    const UniqueFd with_frags(load_smallest(BPF_PROG_TYPE_XDP, kXdpHasFrags));
    facts.frags = answer_of(with_frags.valid());
    if (with_frags.valid()) facts.program_array = probe_program_array(with_frags.get());
    facts.buff_len = probe_helper(BPF_FUNC_xdp_get_buff_len);
    facts.load_bytes = probe_helper(BPF_FUNC_xdp_load_bytes);
    facts.coarse_clock = probe_helper(BPF_FUNC_ktime_get_coarse_ns);
    facts.large_map = probe_large_map();
    facts.tcx = probe_tcx();
}

void probe_bpffs(KernelFacts& facts, const std::string& path) {
    namespace fs = std::filesystem;
    facts.bpffs_path = path;
    std::error_code ignored;
    fs::path existing = fs::path(path).lexically_normal();
    while (!existing.empty() && !fs::exists(existing, ignored) && existing.has_relative_path())
        existing = existing.parent_path();
    facts.bpffs_existing = existing.string();
    struct statfs info{};
    facts.bpffs_mounted = ::statfs(existing.c_str(), &info) == 0 && info.f_type == kBpfFsMagic;
    facts.bpffs_writable = ::access(existing.c_str(), W_OK | X_OK) == 0;
}

/// libbpf reports each refused probe on standard error, which is the operator's, unless told not
/// to.
class Quiet {
 public:
    Quiet() : before_(libbpf_set_print(nullptr)) {}
    ~Quiet() { libbpf_set_print(before_); }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;

 private:
    libbpf_print_fn_t before_;
};

std::uint64_t effective_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    if (::syscall(SYS_capget, &header, data) != 0) return 0;
    return (std::uint64_t{data[1].effective} << 32) | data[0].effective;
}

}  // namespace

std::string missing_privilege(std::uint64_t effective) {
    struct {
        int number;
        const char* name;
        bool implied_by_admin;
    } const needed[] = {{CAP_BPF, "CAP_BPF", true},
                        {CAP_NET_ADMIN, "CAP_NET_ADMIN", false},
                        {CAP_PERFMON, "CAP_PERFMON", true},
                        {CAP_NET_RAW, "CAP_NET_RAW", false}};
    const auto has = [&](int number) { return (effective >> number & 1) != 0; };
    std::vector<std::string> missing;
    for (const auto& one : needed)
        if (!has(one.number) && !(one.implied_by_admin && has(CAP_SYS_ADMIN)))
            missing.emplace_back(one.name);
    if (missing.empty()) return {};
    std::string out = missing.front();
    for (std::size_t i = 1; i < missing.size(); ++i)
        out += (i + 1 == missing.size() ? " and " : ", ") + missing[i];
    return out + (missing.size() == 1 ? " is missing" : " are missing");
}

std::string missing_privilege() {
    return missing_privilege(effective_capabilities());
}

KernelFacts probe_kernel(const std::string& bpffs_path) {
    const Quiet quiet;
    KernelFacts facts;
    utsname name{};
    if (::uname(&name) == 0) facts.release = name.release;
    if (std::sscanf(facts.release.c_str(), "%u.%u", &facts.major, &facts.minor) != 2)
        facts.major = facts.minor = 0;
    facts.btf = ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
    facts.privilege = missing_privilege();
    facts.cpus = std::max(1u, std::thread::hardware_concurrency());
    facts.machine = read_machine_layout();
    probe_programs(facts);
    facts.managed_neighbours = probe_managed_neighbours();
    probe_bpffs(facts, bpffs_path);
    return facts;
}

}  // namespace sluice::kernel
