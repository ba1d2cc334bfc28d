// SPDX-License-Identifier: Apache-2.0
#include "kernel/doctor.h"

#include <algorithm>
#include <string_view>

#include "kernel/doctor_of.h"
#include "kernel/doctor_probes.h"

namespace sluice::kernel {
namespace {

constexpr std::uint32_t kMinMajor = 6;
constexpr std::uint32_t kMinMinor = 1;
/// Longest IP packet whose frame fits one page beside XDP's headroom and the kernel's own data.
constexpr std::uint32_t kMaxSingleBufferMtu = 3506;

/// Drivers whose native XDP is older than Linux 6.1, for kernels that cannot say so themselves.
constexpr std::string_view kNativeDrivers[] = {
    "atlantic", "bnxt_en",   "dpaa2-eth", "ena",    "fsl_enetc",      "hv_netvsc",
    "i40e",     "ice",       "igb",       "igc",    "ixgbe",          "ixgbevf",
    "mana",     "mlx4_en",   "mlx5_core", "mvneta", "mvpp2",          "nfp",
    "qede",     "sfc",       "st_gmac",   "stmmac", "thunderx-nicvf", "tun",
    "veth",     "virtio_net"};

/// A feature of the kernel that is there, is not, or could not be tried.
struct Feature {
    const char* id;
    Answer answer;
    const char* present;
    const char* absent;
    CheckStatus if_absent;
    const char* remedy;
};

void judge_feature(Findings& out, const Feature& feature) {
    switch (feature.answer) {
        case Answer::yes:
            return out.ok(feature.id, feature.present);
        case Answer::no:
            return out.add(feature.id, feature.if_absent, feature.absent, feature.remedy);
        case Answer::unknown:
            return out.add(feature.id, CheckStatus::unknown,
                           std::string("not known whether ") + feature.present,
                           "run it with the privileges that are named above");
    }
}

void judge_release(Findings& out, const KernelFacts& facts) {
    const bool old =
        facts.major < kMinMajor || (facts.major == kMinMajor && facts.minor < kMinMinor);
    if (facts.major == 0)
        out.add("kernel.release", CheckStatus::unknown, "release '" + facts.release + "'",
                "use Linux 6.1 or later");
    else if (old)
        out.add("kernel.release", CheckStatus::fail,
                "Linux " + facts.release + " is older than 6.1", "use Linux 6.1 or later");
    else
        out.ok("kernel.release", "Linux " + facts.release);
    if (facts.btf)
        out.ok("kernel.btf", "type information is there");
    else
        out.add("kernel.btf", CheckStatus::fail, "no type information (/sys/kernel/btf/vmlinux)",
                "use a kernel built with CONFIG_DEBUG_INFO_BTF=y");
}

void judge_privilege(Findings& out, const KernelFacts& facts) {
    if (facts.privilege.empty())
        out.ok("kernel.privilege", "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_NET_RAW are there");
    else
        out.add("kernel.privilege", CheckStatus::fail, facts.privilege,
                "run as root, or give the process these capabilities (the systemd unit does)");
    if (facts.loads == Answer::yes)
        out.ok("kernel.bpf", "programs can be loaded");
    else
        out.add("kernel.bpf", CheckStatus::fail,
                "the smallest program is refused: " + facts.load_error,
                facts.privilege.empty()
                    ? "look for lockdown mode, a seccomp filter or a container that forbids bpf()"
                    : "give the process the capabilities that are missing");
}

void judge_features(Findings& out, const KernelFacts& facts) {
    const Feature features[] = {
        {"kernel.memlock", facts.large_map, "maps are not limited by memlock",
         "a map of 8 MiB is refused", CheckStatus::fail,
         "raise the memlock limit (LimitMEMLOCK=infinity), or give more memory to the cgroup"},
        {"kernel.jit", facts.jit, "programs are compiled", "programs are interpreted",
         CheckStatus::warn, "sysctl -w net.core.bpf_jit_enable=1"},
        {"kernel.instruction_set", facts.isa_v4, "instruction set v4 is taken",
         "instruction set v3; v4 came with Linux 6.6, programs are a little longer",
         CheckStatus::ok, ""},
        {"kernel.xdp_frags", facts.frags, "jumbo frames can be handled (xdp.frags)",
         "programs cannot handle frames in several buffers (xdp.frags)", CheckStatus::fail,
         "use Linux 6.1 or later"},
        {"kernel.program_array", facts.program_array, "program arrays take such programs",
         "program arrays refuse such programs", CheckStatus::fail, "use Linux 6.1 or later"},
        {"kernel.xdp_get_buff_len", facts.buff_len, "bpf_xdp_get_buff_len is there",
         "bpf_xdp_get_buff_len is missing", CheckStatus::fail, "use Linux 6.1 or later"},
        {"kernel.xdp_load_bytes", facts.load_bytes, "bpf_xdp_load_bytes is there",
         "bpf_xdp_load_bytes is missing", CheckStatus::fail, "use Linux 6.1 or later"},
        {"kernel.ktime_get_coarse_ns", facts.coarse_clock, "bpf_ktime_get_coarse_ns is there",
         "bpf_ktime_get_coarse_ns is missing", CheckStatus::fail, "use Linux 6.1 or later"},
        {"kernel.neighbours", facts.managed_neighbours,
         "the kernel keeps neighbours of backends resolved",
         "the kernel does not keep neighbours resolved by itself; sluiced asks again and again",
         CheckStatus::warn, "use Linux 6.1 or later"},
        {"kernel.tcx", facts.tcx, "tcx links are there",
         "no tcx links (Linux 6.6); nothing of this release needs them", CheckStatus::ok, ""},
    };
    for (const Feature& feature : features) judge_feature(out, feature);
}

void judge_bpffs(std::vector<DoctorCheck>& checks, const KernelFacts& facts) {
    Findings out(facts.bpffs_path);
    if (!facts.bpffs_mounted) {
        out.add("bpffs.mounted", CheckStatus::fail,
                facts.bpffs_existing + " is not on a BPF file system",
                "mount -t bpf bpf /sys/fs/bpf");
    } else {
        out.ok("bpffs.mounted", "on a BPF file system");
        if (facts.bpffs_writable)
            out.ok("bpffs.writable", "pins can be made in " + facts.bpffs_existing);
        else
            out.add("bpffs.writable", CheckStatus::fail,
                    "no pins can be made in " + facts.bpffs_existing,
                    "as root: mkdir -p " + facts.bpffs_path +
                        " && chown sluice: " + facts.bpffs_path + " && chmod go+x /sys/fs/bpf");
    }
    auto found = out.take();
    checks.insert(checks.end(), found.begin(), found.end());
}

// ---- interfaces ----

void judge_link(Findings& out, const InterfaceFacts& facts) {
    const Link& link = *facts.link;
    if (!link.up)
        out.add("interface.up", CheckStatus::warn, "is down", "ip link set " + facts.name + " up");
    else if (!link.running)
        out.add("interface.up", CheckStatus::warn, "has no carrier", "look at cable and switch");
    else
        out.ok("interface.up", "up, with carrier");
    out.ok("interface.driver",
           facts.driver.empty() ? "does not name its driver" : "driver " + facts.driver);
}

/// Whether native mode is to be expected, and how that is known.
Answer native_answer(const InterfaceFacts& facts) {
    if (facts.xdp_features)
        return (*facts.xdp_features & kXdpBasic) != 0 ? Answer::yes : Answer::no;
    const bool known = std::find(std::begin(kNativeDrivers), std::end(kNativeDrivers),
                                 facts.driver) != std::end(kNativeDrivers);
    return known ? Answer::yes : Answer::unknown;
}

bool active(const std::optional<OffloadState>& offload) {
    return offload && offload->active;
}

void judge_native(Findings& out, const InterfaceFacts& facts) {
    const Answer native = native_answer(facts);
    if (native == Answer::yes && facts.driver == "virtio_net" && active(facts.gro_hw) &&
        facts.gro_hw->fixed) {
        out.add("interface.xdp_native", CheckStatus::warn,
                "native XDP will be refused: the host merges packets (GRO_HW) and this cannot be "
                "turned off here",
                "on the host: turn off guest_tso4, guest_tso6 and guest_ufo of the virtio device; "
                "or xdp_mode: generic, which is slower");
        return;
    }
    if (native == Answer::yes)
        out.ok("interface.xdp_native", facts.xdp_features
                                           ? "the driver offers native XDP"
                                           : "driver known for native XDP (Linux 6.3 would tell)");
    else if (native == Answer::no)
        out.add("interface.xdp_native", CheckStatus::warn, "the driver has no native XDP",
                "use a NIC whose driver has; or xdp_mode: generic, which is slower");
    else
        out.add("interface.xdp_native", CheckStatus::unknown,
                "cannot be told before attaching (Linux 6.3 would)",
                "sluice status says after attaching which mode is in force");
    if (facts.xdp_features && native == Answer::yes && (*facts.xdp_features & kXdpNdoXmit) == 0)
        out.add("interface.xdp_redirect", CheckStatus::warn,
                "takes no packets redirected from other interfaces",
                "have the backends behind this interface reached through it alone, or attach XDP "
                "here first");
}

void judge_mtu(Findings& out, const InterfaceFacts& facts) {
    const std::uint32_t mtu = facts.link->mtu;
    const std::string text = "MTU " + std::to_string(mtu);
    const std::string shrink = "ip link set " + facts.name + " mtu " +
                               std::to_string(kMaxSingleBufferMtu) + ", or use generic mode";
    if (mtu <= kMaxSingleBufferMtu)
        out.ok("interface.mtu", text);
    else if (!facts.xdp_features)
        out.add("interface.mtu", CheckStatus::unknown,
                text + " needs frames in several buffers, and the driver does not say if it can",
                shrink);
    else if ((*facts.xdp_features & kXdpRxSg) == 0)
        out.add("interface.mtu", CheckStatus::warn,
                text + " needs frames in several buffers, which the driver's XDP cannot", shrink);
    else
        out.ok("interface.mtu", text + ", in several buffers");
}

void judge_program(Findings& out, const InterfaceFacts& facts) {
    const Link& link = *facts.link;
    if (link.xdp_mode.empty()) return out.ok("interface.xdp_program", "no XDP program is attached");
    const std::string number = link.xdp_prog_id == 0 ? "" : " " + std::to_string(link.xdp_prog_id);
    if (facts.xdp_program.starts_with("slc_"))
        return out.ok("interface.xdp_program",
                      "Sluice's own " + facts.xdp_program + number + " is attached");
    out.add("interface.xdp_program", CheckStatus::warn,
            "program" + number + (facts.xdp_program.empty() ? "" : " " + facts.xdp_program) +
                " is attached (" + link.xdp_mode + "); Sluice will not replace it",
            "remove it (ip link set " + facts.name +
                " xdp off), or pin it and name it as node.next so that it runs after Sluice");
}

void judge_offloads(Findings& out, const InterfaceFacts& facts) {
    if (!facts.rx_vlan)
        out.add("interface.rx_vlan", CheckStatus::unknown, "the driver does not say",
                "send a tagged frame and look for vlan in a capture");
    else if (facts.rx_vlan->active)
        out.add("interface.rx_vlan", CheckStatus::warn,
                "VLAN tags are taken out before XDP sees them: tagged frames would look untagged",
                facts.rx_vlan->fixed ? "use no VLANs on it, or have the switch send them untagged"
                                     : "ethtool -K " + facts.name + " rxvlan off");
    else
        out.ok("interface.rx_vlan", "VLAN tags stay in frames");
    const bool merges = active(facts.lro) || active(facts.gro_hw);
    const bool fixed =
        (active(facts.lro) && facts.lro->fixed) || (active(facts.gro_hw) && facts.gro_hw->fixed);
    if (!merges)
        out.ok("interface.rx_merge", "packets are not merged before XDP (no LRO, no GRO_HW)");
    else
        out.add("interface.rx_merge", CheckStatus::warn,
                "packets are merged before XDP sees them (LRO or GRO_HW): many drivers refuse "
                "native XDP then, and merged packets are too big to forward",
                fixed ? "cannot be turned off here; ask the host's or NIC's administrator"
                      : "ethtool -K " + facts.name + " lro off rx-gro-hw off");
}

void judge_queues(Findings& out, const InterfaceFacts& facts, std::uint32_t cpus) {
    if (!facts.rx_queues || *facts.rx_queues == 0)
        return out.add("interface.queues", CheckStatus::unknown, "the driver does not say",
                       "ethtool -l " + facts.name);
    const std::string queues = std::to_string(*facts.rx_queues) +
                               (*facts.rx_queues == 1 ? " receive queue" : " receive queues");
    const std::string all =
        queues + " for " + std::to_string(cpus) + (cpus == 1 ? " CPU" : " CPUs");
    const std::uint32_t possible = std::min(cpus, facts.rx_queues_max.value_or(0));
    if (*facts.rx_queues < possible)
        out.add("interface.queues", CheckStatus::warn, all + ": the others stay idle",
                "ethtool -L " + facts.name + (facts.driver == "veth" ? " rx " : " combined ") +
                    std::to_string(possible));
    else
        out.ok("interface.queues", all);
}

/// Every native driver that is known leaves XDP_PACKET_HEADROOM or 192 bytes, generic mode 256;
/// the longest outer header is 22 + 40 + 12.
void judge_headroom(Findings& out, const InterfaceFacts& facts) {
    const bool known = std::find(std::begin(kNativeDrivers), std::end(kNativeDrivers),
                                 facts.driver) != std::end(kNativeDrivers);
    if (known)
        out.ok("interface.headroom", "room for outer headers");
    else
        out.add("interface.headroom", CheckStatus::unknown,
                "the room for outer headers cannot be told before attaching",
                "watch reason headroom; generic mode always has room");
}

void judge_veth(Findings& out, const InterfaceFacts& facts) {
    if (facts.link->kind != "veth") return;
    out.add("interface.veth_checksum", CheckStatus::unknown,
            "the peer may send packets without checksums, which Sluice would forward as they are; "
            "its setting cannot be seen from here",
            "at the other end: ethtool -K PEER tx off");
    out.add("interface.veth_peer", CheckStatus::unknown,
            "packets sent back out of it vanish unless the peer has an XDP program or GRO; that "
            "cannot be seen from here",
            "at the other end: ethtool -K PEER gro on, once it is up");
}

void judge_interface(std::vector<DoctorCheck>& checks, const InterfaceFacts& facts,
                     const KernelFacts& kernel) {
    Findings out(facts.name);
    if (!facts.link) {
        out.add("interface.exists", CheckStatus::fail, "there is no such interface",
                "'ip link' lists the interfaces of this node");
    } else if (!facts.link->ethernet) {
        out.add("interface.exists", CheckStatus::fail, "is not an Ethernet interface",
                "attach to the Ethernet interface that packets arrive by");
    } else {
        out.ok("interface.exists", facts.link->kind.empty()
                                       ? "is there, a hardware or virtual NIC"
                                       : "is there, of kind " + facts.link->kind);
        judge_link(out, facts);
        judge_native(out, facts);
        judge_mtu(out, facts);
        judge_program(out, facts);
        judge_offloads(out, facts);
        judge_queues(out, facts, kernel.cpus);
        judge_layout(out, facts, kernel.machine);
        judge_headroom(out, facts);
        judge_veth(out, facts);
    }
    auto found = out.take();
    checks.insert(checks.end(), found.begin(), found.end());
}

}  // namespace

const char* name_of(CheckStatus status) {
    switch (status) {
        case CheckStatus::ok:
            return "ok";
        case CheckStatus::unknown:
            return "unknown";
        case CheckStatus::warn:
            return "warn";
        case CheckStatus::fail:
            return "fail";
    }
    return "unknown";
}

CheckStatus DoctorReport::worst() const {
    CheckStatus out = CheckStatus::ok;
    for (const DoctorCheck& check : checks) out = std::max(out, check.status);
    return out;
}

DoctorReport diagnose(const KernelFacts& kernel, const std::vector<InterfaceFacts>& interfaces) {
    DoctorReport report;
    Findings out("kernel");
    judge_release(out, kernel);
    judge_privilege(out, kernel);
    judge_features(out, kernel);
    judge_machine(out, kernel.machine);
    report.checks = out.take();
    judge_bpffs(report.checks, kernel);
    for (const InterfaceFacts& facts : interfaces) judge_interface(report.checks, facts, kernel);
    return report;
}

Result<DoctorReport> examine(const DoctorOptions& options) {
    const auto interfaces = SLC_TRY(probe_interfaces(options.interfaces), "doctor");
    DoctorReport report = diagnose(probe_kernel(options.bpffs_path), interfaces);
    if (options.probed.vips.empty()) return report;
    const auto checks = judge_probe_path(SLC_TRY(read_probe_path(options.probed), "doctor"));
    report.checks.insert(report.checks.end(), checks.begin(), checks.end());
    return report;
}

}  // namespace sluice::kernel
