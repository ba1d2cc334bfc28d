// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Facts about this kernel and its interfaces, found by asking and never by attaching: tiny
/// programs are loaded and thrown away, maps created and closed, questions put to netlink and
/// ethtool. What the facts mean is kernel/doctor.h's business.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/ethtool.h"
#include "kernel/nic_layout.h"
#include "kernel/rtnetlink.h"

namespace sluice::kernel {

/// Names what this process lacks of CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_NET_RAW, as a
/// sentence: "CAP_BPF and CAP_NET_ADMIN are missing". Empty when nothing is. CAP_SYS_ADMIN stands
/// for the first and third, as it does in the kernel.
std::string missing_privilege();
/// The same for any effective set, for tests.
std::string missing_privilege(std::uint64_t effective);

enum class Answer { yes, no, unknown };

struct KernelFacts {
    std::string release;  ///< "6.1.0-18-amd64".
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    bool btf = false;                ///< /sys/kernel/btf/vmlinux is there.
    std::string privilege;           ///< missing_privilege().
    Answer loads = Answer::unknown;  ///< A two-instruction XDP program is accepted.
    std::string load_error;          ///< What the kernel said when not.
    Answer jit = Answer::unknown;
    Answer isa_v4 = Answer::unknown;
    Answer frags = Answer::unknown;          ///< BPF_F_XDP_HAS_FRAGS.
    Answer program_array = Answer::unknown;  ///< Takes a program with frags.
    Answer buff_len = Answer::unknown;       ///< bpf_xdp_get_buff_len.
    Answer load_bytes = Answer::unknown;     ///< bpf_xdp_load_bytes.
    Answer coarse_clock = Answer::unknown;   ///< bpf_ktime_get_coarse_ns.
    Answer large_map = Answer::unknown;      ///< An 8 MiB map can be made: no memlock limit.
    Answer tcx = Answer::unknown;
    Answer managed_neighbours = Answer::unknown;  ///< NTF_EXT_MANAGED.
    std::string bpffs_path;                       ///< Where pins are to be, as asked for.
    std::string bpffs_existing;                   ///< The part of it that exists.
    bool bpffs_mounted = false;                   ///< `bpffs_existing` is on a BPF file system.
    bool bpffs_writable = false;                  ///< Directories may be made in `bpffs_existing`.
    std::uint32_t cpus = 0;                       ///< Online.
    MachineLayout machine;
};

KernelFacts probe_kernel(const std::string& bpffs_path);

/// xdp-features of generic netlink "netdev" (Linux 6.3 and later).
inline constexpr std::uint64_t kXdpBasic = 1u << 0;     ///< ABORTED, DROP, PASS, TX.
inline constexpr std::uint64_t kXdpRedirect = 1u << 1;  ///< REDIRECT from it.
inline constexpr std::uint64_t kXdpNdoXmit = 1u << 2;   ///< REDIRECT to it.
inline constexpr std::uint64_t kXdpRxSg = 1u << 5;      ///< Frames in several buffers.

struct InterfaceFacts {
    std::string name;
    std::optional<Link> link;  ///< Nothing: there is no such interface.
    std::string driver;        ///< "virtio_net"; empty if unknown.
    std::string xdp_program;   ///< Name of the attached program; empty if it may not be read.
    std::optional<std::uint64_t> xdp_features;
    std::optional<OffloadState> rx_vlan;  ///< The NIC takes VLAN tags out of frames.
    std::optional<OffloadState> lro;
    std::optional<OffloadState> gro_hw;
    std::optional<std::uint32_t> rx_queues;
    std::optional<std::uint32_t> rx_queues_max;
    NicLayout layout;
};

/// One for each name, in that order; for no names: for every Ethernet interface, by name.
Result<std::vector<InterfaceFacts>> probe_interfaces(const std::vector<std::string>& names);

/// The driver behind an interface, "veth" or "virtio_net"; empty if it does not say.
std::string driver_of(const std::string& interface);

}  // namespace sluice::kernel
