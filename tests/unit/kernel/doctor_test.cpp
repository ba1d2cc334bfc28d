// SPDX-License-Identifier: Apache-2.0
//
// Judgements on machines that are described here, not on the one at hand: see probe_test.cpp.
#include "kernel/doctor.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

#include <algorithm>
#include <set>

namespace sluice::kernel {
namespace {

KernelFacts good_kernel() {
    KernelFacts facts;
    facts.release = "6.12.4";
    facts.major = 6;
    facts.minor = 12;
    facts.btf = true;
    facts.loads = facts.jit = facts.isa_v4 = facts.frags = facts.program_array = Answer::yes;
    facts.buff_len = facts.load_bytes = facts.coarse_clock = facts.large_map = Answer::yes;
    facts.tcx = facts.managed_neighbours = Answer::yes;
    facts.bpffs_path = "/sys/fs/bpf/sluice";
    facts.bpffs_existing = "/sys/fs/bpf";
    facts.bpffs_mounted = facts.bpffs_writable = true;
    facts.cpus = 4;
    facts.machine.cpus = {0, 1, 2, 3};
    facts.machine.numa = {{0, {0, 1, 2, 3}}};
    facts.machine.governor = "performance";
    facts.machine.budget = 300;
    facts.machine.budget_usecs = 8000;
    return facts;
}

InterfaceFacts good_interface() {
    InterfaceFacts facts;
    facts.name = "eth0";
    facts.driver = "ice";
    Link link;
    link.ifindex = 2;
    link.name = "eth0";
    link.mtu = 1500;
    link.ethernet = link.up = link.running = true;
    facts.link = link;
    facts.xdp_features = kXdpBasic | kXdpRedirect | kXdpNdoXmit | kXdpRxSg;
    facts.rx_vlan = facts.lro = facts.gro_hw = OffloadState{};
    facts.rx_queues = 4;
    facts.rx_queues_max = 64;
    facts.layout.rings = RingSizes{2048, 1024, 8160, 8160};
    facts.layout.spread = ReceiveSpread{{0, 1, 2, 3, 0, 1, 2, 3}, {1, 2, 3, 4, 5, 6}};
    facts.layout.hashed = {{HashedFlow::tcp4, "sdfn"}, {HashedFlow::udp4, "sdfn"}};
    facts.layout.pause = PauseFrames{true, true, false};
    facts.layout.coalescing = Coalescing{50, 0, false};
    for (std::uint32_t queue = 0; queue < 4; ++queue)
        facts.layout.interrupts[queue] = {40 + queue, {0, 1, 2, 3}, {queue}};
    return facts;
}

DoctorCheck check(const DoctorReport& report, const std::string& id) {
    for (const auto& one : report.checks)
        if (one.id == id) return one;
    ADD_FAILURE() << "no check " << id;
    return {};
}

DoctorCheck of_kernel(const KernelFacts& facts, const std::string& id) {
    return check(diagnose(facts, {}), id);
}

DoctorCheck of_interface(const InterfaceFacts& facts, const std::string& id) {
    return check(diagnose(good_kernel(), {facts}), id);
}

TEST(Doctor, a_good_machine_is_well_and_reported_in_order) {
    const auto report = diagnose(good_kernel(), {good_interface()});
    EXPECT_EQ(report.worst(), CheckStatus::ok);
    std::vector<std::string> ids;
    for (const auto& one : report.checks) {
        ids.push_back(one.id);
        EXPECT_EQ(one.status, CheckStatus::ok) << one.id << ": " << one.finding;
        EXPECT_EQ(one.remedy, "") << one.id;
        EXPECT_NE(one.finding, "") << one.id;
    }
    const std::vector<std::string> want = {"kernel.release",         "kernel.btf",
                                           "kernel.privilege",       "kernel.bpf",
                                           "kernel.memlock",         "kernel.jit",
                                           "kernel.instruction_set", "kernel.xdp_frags",
                                           "kernel.program_array",   "kernel.xdp_get_buff_len",
                                           "kernel.xdp_load_bytes",  "kernel.ktime_get_coarse_ns",
                                           "kernel.neighbours",      "kernel.tcx",
                                           "kernel.governor",        "kernel.irqbalance",
                                           "kernel.softnet_budget",  "bpffs.mounted",
                                           "bpffs.writable",         "interface.exists",
                                           "interface.up",           "interface.driver",
                                           "interface.xdp_native",   "interface.mtu",
                                           "interface.xdp_program",  "interface.rx_vlan",
                                           "interface.rx_merge",     "interface.queues",
                                           "interface.rings",        "interface.spread",
                                           "interface.hash",         "interface.hash_key",
                                           "interface.interrupts",   "interface.pause",
                                           "interface.coalescing",   "interface.headroom"};
    EXPECT_EQ(ids, want);
}

TEST(Doctor, whatever_is_not_well_has_a_remedy_and_ids_are_unique) {
    KernelFacts kernel;  // Everything unknown or absent.
    InterfaceFacts interface = good_interface();
    interface.link->kind = "veth";
    interface.link->up = interface.link->running = false;
    interface.link->mtu = 9000;
    interface.xdp_features.reset();
    interface.rx_vlan.reset();
    interface.rx_queues.reset();
    interface.driver = "";
    const auto report = diagnose(kernel, {interface});
    std::set<std::string> seen;
    for (const auto& one : report.checks) {
        EXPECT_TRUE(seen.insert(one.id).second) << one.id;
        EXPECT_EQ(one.status == CheckStatus::ok, one.remedy.empty()) << one.id;
    }
    EXPECT_EQ(report.worst(), CheckStatus::fail);
}

TEST(Doctor, linux_6_1_is_old_enough_and_6_0_is_too_old) {
    KernelFacts facts = good_kernel();
    facts.release = "6.1.0-18-amd64";
    facts.minor = 1;
    EXPECT_EQ(of_kernel(facts, "kernel.release").status, CheckStatus::ok);
    facts.release = "6.0.12";
    facts.minor = 0;
    EXPECT_EQ(of_kernel(facts, "kernel.release"),
              (DoctorCheck{"kernel.release", "kernel", CheckStatus::fail,
                           "Linux 6.0.12 is older than 6.1", "use Linux 6.1 or later"}));
    facts.major = 5;
    facts.minor = 15;
    EXPECT_EQ(of_kernel(facts, "kernel.release").status, CheckStatus::fail);
}

TEST(Doctor, debian_12_is_well_though_it_lacks_v4_and_tcx) {
    KernelFacts facts = good_kernel();
    facts.isa_v4 = facts.tcx = Answer::no;
    const auto report = diagnose(facts, {});
    EXPECT_EQ(report.worst(), CheckStatus::ok);
    EXPECT_EQ(check(report, "kernel.instruction_set").finding,
              "instruction set v3; v4 came with Linux 6.6, programs are a little longer");
}

TEST(Doctor, what_the_data_plane_cannot_do_without_is_a_failure) {
    Answer KernelFacts::* const needed[] = {&KernelFacts::frags,        &KernelFacts::program_array,
                                            &KernelFacts::buff_len,     &KernelFacts::load_bytes,
                                            &KernelFacts::coarse_clock, &KernelFacts::large_map};
    for (const auto member : needed) {
        KernelFacts facts = good_kernel();
        facts.*member = Answer::no;
        EXPECT_EQ(diagnose(facts, {}).worst(), CheckStatus::fail);
    }
    KernelFacts facts = good_kernel();
    facts.jit = Answer::no;
    EXPECT_EQ(of_kernel(facts, "kernel.jit"),
              (DoctorCheck{"kernel.jit", "kernel", CheckStatus::warn, "programs are interpreted",
                           "sysctl -w net.core.bpf_jit_enable=1"}));
}

TEST(Doctor, a_refused_load_blames_the_missing_capability_first) {
    KernelFacts facts = good_kernel();
    facts.loads = Answer::no;
    facts.load_error = "Operation not permitted";
    facts.privilege = "CAP_BPF is missing";
    EXPECT_EQ(of_kernel(facts, "kernel.bpf").finding,
              "the smallest program is refused: Operation not permitted");
    EXPECT_EQ(of_kernel(facts, "kernel.bpf").remedy,
              "give the process the capabilities that are missing");
    EXPECT_EQ(of_kernel(facts, "kernel.privilege").finding, "CAP_BPF is missing");
    facts.privilege = "";
    EXPECT_EQ(of_kernel(facts, "kernel.bpf").remedy,
              "look for lockdown mode, a seccomp filter or a container that forbids bpf()");
}

TEST(Doctor, what_could_not_be_tried_is_said_so_and_is_no_failure_of_its_own) {
    KernelFacts facts = good_kernel();
    facts.buff_len = Answer::unknown;
    EXPECT_EQ(of_kernel(facts, "kernel.xdp_get_buff_len"),
              (DoctorCheck{"kernel.xdp_get_buff_len", "kernel", CheckStatus::unknown,
                           "not known whether bpf_xdp_get_buff_len is there",
                           "run it with the privileges that are named above"}));
}

TEST(Doctor, bpffs_missing_or_closed) {
    KernelFacts facts = good_kernel();
    facts.bpffs_mounted = false;
    EXPECT_EQ(
        of_kernel(facts, "bpffs.mounted"),
        (DoctorCheck{"bpffs.mounted", "/sys/fs/bpf/sluice", CheckStatus::fail,
                     "/sys/fs/bpf is not on a BPF file system", "mount -t bpf bpf /sys/fs/bpf"}));
    facts = good_kernel();
    facts.bpffs_writable = false;
    EXPECT_EQ(of_kernel(facts, "bpffs.writable").status, CheckStatus::fail);
}

TEST(Doctor, interface_that_is_not_there_or_not_ethernet) {
    InterfaceFacts facts;
    facts.name = "eth7";
    EXPECT_EQ(
        of_interface(facts, "interface.exists"),
        (DoctorCheck{"interface.exists", "eth7", CheckStatus::fail, "there is no such interface",
                     "'ip link' lists the interfaces of this node"}));
    facts = good_interface();
    facts.link->ethernet = false;
    EXPECT_EQ(of_interface(facts, "interface.exists").status, CheckStatus::fail);
}

TEST(Doctor, link_state) {
    InterfaceFacts facts = good_interface();
    facts.link->running = false;
    EXPECT_EQ(of_interface(facts, "interface.up").finding, "has no carrier");
    facts.link->up = false;
    EXPECT_EQ(of_interface(facts, "interface.up").remedy, "ip link set eth0 up");
}

TEST(Doctor, native_mode_by_features_by_driver_or_not_to_be_told) {
    InterfaceFacts facts = good_interface();
    facts.xdp_features = 0;
    EXPECT_EQ(of_interface(facts, "interface.xdp_native").status, CheckStatus::warn);
    facts.xdp_features.reset();
    EXPECT_EQ(of_interface(facts, "interface.xdp_native").status, CheckStatus::ok);
    facts.driver = "e1000e";
    EXPECT_EQ(of_interface(facts, "interface.xdp_native").status, CheckStatus::unknown);
    EXPECT_EQ(of_interface(facts, "interface.headroom").status, CheckStatus::unknown);
    facts.xdp_features = kXdpBasic;
    EXPECT_EQ(of_interface(facts, "interface.xdp_redirect").status, CheckStatus::warn);
}

TEST(Doctor, virtio_whose_host_merges_packets_refuses_native_mode) {
    InterfaceFacts facts = good_interface();
    facts.driver = "virtio_net";
    facts.gro_hw = OffloadState{true, true};
    EXPECT_EQ(of_interface(facts, "interface.xdp_native").status, CheckStatus::warn);
    EXPECT_EQ(of_interface(facts, "interface.rx_merge").remedy,
              "cannot be turned off here; ask the host's or NIC's administrator");
    facts.gro_hw = OffloadState{true, false};
    EXPECT_EQ(of_interface(facts, "interface.xdp_native").status, CheckStatus::ok);
    EXPECT_EQ(of_interface(facts, "interface.rx_merge").remedy,
              "ethtool -K eth0 lro off rx-gro-hw off");
}

TEST(Doctor, jumbo_frames_need_several_buffers) {
    InterfaceFacts facts = good_interface();
    facts.link->mtu = 3506;
    facts.xdp_features = kXdpBasic | kXdpNdoXmit;
    EXPECT_EQ(of_interface(facts, "interface.mtu").status, CheckStatus::ok);
    facts.link->mtu = 3507;
    EXPECT_EQ(
        of_interface(facts, "interface.mtu"),
        (DoctorCheck{"interface.mtu", "eth0", CheckStatus::warn,
                     "MTU 3507 needs frames in several buffers, which the driver's XDP cannot",
                     "ip link set eth0 mtu 3506, or use generic mode"}));
    facts.xdp_features.reset();
    EXPECT_EQ(of_interface(facts, "interface.mtu").status, CheckStatus::unknown);
    facts.xdp_features = kXdpBasic | kXdpRxSg | kXdpNdoXmit;
    EXPECT_EQ(of_interface(facts, "interface.mtu").status, CheckStatus::ok);
}

TEST(Doctor, foreign_program_is_named_and_ours_is_known) {
    InterfaceFacts facts = good_interface();
    facts.link->xdp_mode = "native";
    facts.link->xdp_prog_id = 42;
    facts.xdp_program = "xdp_filter";
    EXPECT_EQ(of_interface(facts, "interface.xdp_program").finding,
              "program 42 xdp_filter is attached (native); Sluice will not replace it");
    facts.xdp_program = "";
    EXPECT_EQ(of_interface(facts, "interface.xdp_program").finding,
              "program 42 is attached (native); Sluice will not replace it");
    facts.xdp_program = "slc_root";
    EXPECT_EQ(of_interface(facts, "interface.xdp_program").status, CheckStatus::ok);
}

TEST(Doctor, vlan_offload_hides_tags) {
    InterfaceFacts facts = good_interface();
    facts.rx_vlan = OffloadState{true, false};
    EXPECT_EQ(of_interface(facts, "interface.rx_vlan").remedy, "ethtool -K eth0 rxvlan off");
    facts.rx_vlan.reset();
    EXPECT_EQ(of_interface(facts, "interface.rx_vlan").status, CheckStatus::unknown);
}

TEST(Doctor, fewer_queues_than_cpus) {
    InterfaceFacts facts = good_interface();
    facts.rx_queues = 1;
    EXPECT_EQ(of_interface(facts, "interface.queues"),
              (DoctorCheck{"interface.queues", "eth0", CheckStatus::warn,
                           "1 receive queue for 4 CPUs: the others stay idle",
                           "ethtool -L eth0 combined 4"}));
    facts.rx_queues_max = 1;
    EXPECT_EQ(of_interface(facts, "interface.queues").status, CheckStatus::ok);
}

constexpr const char* kTune = "sluice node tune shows what to change, --apply does";

struct LayoutCase {
    const char* name;
    void (*change)(InterfaceFacts&, KernelFacts&);
    DoctorCheck want;
};

const LayoutCase kLayoutCases[] = {
    {.name = "a_ring_far_below_what_it_could_be",
     .change = [](auto& nic, auto&) { nic.layout.rings = RingSizes{64, 64, 4096, 4096}; },
     .want = {"interface.rings", "eth0", CheckStatus::warn,
              "64 descriptors of 4096 in a receive ring: a burst, or a moment in which the CPU is "
              "busy, fills it",
              kTune}},
    {.name = "a_small_ring_that_is_as_large_as_it_gets",
     .change = [](auto& nic, auto&) { nic.layout.rings = RingSizes{256, 256, 256, 256}; },
     .want = {"interface.rings", "eth0", CheckStatus::ok,
              "256 descriptors of 256 in a receive ring", ""}},
    {.name = "spreading_over_fewer_queues_than_there_are",
     .change = [](auto& nic, auto&) { nic.layout.spread->table = {0, 1, 0, 1, 0, 1, 0, 1}; },
     .want = {"interface.spread", "eth0", CheckStatus::warn,
              "packets are spread over 2 of 4 receive queues: the others stay idle", kTune}},
    {.name = "hashes_of_addresses_alone",
     .change = [](auto& nic, auto&) { nic.layout.hashed[HashedFlow::udp4] = "sd"; },
     .want = {"interface.hash", "eth0", CheckStatus::warn,
              "the NIC spreads udp4 by addresses alone: all flows between two hosts share a queue",
              kTune}},
    {.name = "a_symmetric_key",
     .change = [](auto& nic, auto&) { nic.layout.spread->key.assign(40, 0x6d); },
     .want = {"interface.hash_key", "eth0", CheckStatus::ok,
              "its key is symmetric: fewer different hashes", ""}},
    {.name = "interrupts_of_several_queues_on_one_cpu",
     .change =
         [](auto& nic, auto&) {
             nic.layout.interrupts[2].effective = {0};
             nic.layout.interrupts[3].effective = {0};
         },
     .want = {"interface.interrupts", "eth0", CheckStatus::warn,
              "3 receive queues interrupt CPU 0, others are free", kTune}},
    {.name = "interrupts_that_wait_for_queues_that_are_not_in_use",
     .change =
         [](auto& nic, auto&) {
             nic.rx_queues = 2;
             nic.layout.interrupts[2].effective = {0};
         },
     .want = {"interface.interrupts", "eth0", CheckStatus::ok,
              "interrupts of 2 receive queues, on 2 CPUs", ""}},
    {.name = "interrupts_on_another_node_than_the_nic",
     .change =
         [](auto& nic, auto& kernel) {
             nic.layout.numa_node = 1;
             kernel.machine.numa = {{0, {0, 1}}, {1, {2, 3}}};
         },
     .want = {"interface.numa", "eth0", CheckStatus::warn,
              "the NIC is at NUMA node 1, CPUs 2-3; 2 of the CPUs that it interrupts are elsewhere",
              kTune}},
    {.name = "pause_frames_move_losses_into_the_switch",
     .change = [](auto& nic, auto&) { nic.layout.pause->tx = true; },
     .want = {"interface.pause", "eth0", CheckStatus::warn,
              "when it is full, the NIC makes the switch wait: packets are then lost there, also "
              "those of others, and no counter here tells",
              "ethtool -A eth0 autoneg off tx off (resets the link)"}},
    {.name = "an_interrupt_for_each_packet",
     .change = [](auto& nic, auto&) { nic.layout.coalescing = Coalescing{0, 1, false}; },
     .want = {"interface.coalescing", "eth0", CheckStatus::warn, "an interrupt for each packet",
              "ethtool -C eth0 adaptive-rx on, or rx-usecs 50"}},
    {.name = "packets_that_wait_long",
     .change = [](auto& nic, auto&) { nic.layout.coalescing = Coalescing{500, 0, false}; },
     .want = {"interface.coalescing", "eth0", CheckStatus::warn, "packets wait for up to 500 us",
              "ethtool -C eth0 adaptive-rx on, or rx-usecs 50"}},
    {.name = "cpus_that_save_power",
     .change = [](auto&, auto& kernel) { kernel.machine.governor = "powersave"; },
     .want = {"kernel.governor", "kernel", CheckStatus::warn,
              "CPUs save power: the first packets of a burst are slow",
              "cpupower frequency-set -g performance"}},
    {.name = "somebody_moves_interrupts",
     .change = [](auto&, auto& kernel) { kernel.machine.irqbalance = true; },
     .want =
         {"kernel.irqbalance", "kernel", CheckStatus::warn,
          "irqbalance runs: it moves the interrupts of receive queues between CPUs",
          "systemctl disable --now irqbalance, or ban the NIC's interrupts in IRQBALANCE_ARGS"}},
    {.name = "rounds_that_end_early",
     .change = [](auto&, auto& kernel) { kernel.machine.budget = 64; },
     .want = {"kernel.softnet_budget", "kernel", CheckStatus::warn,
              "a round of receiving: 64 packets, 8000 us",
              "sysctl -w net.core.netdev_budget=300 net.core.netdev_budget_usecs=8000"}},
};

TEST(Doctor, layout_of_queues_rings_and_interrupts) {
    for (const LayoutCase& test : kLayoutCases) {
        InterfaceFacts nic = good_interface();
        KernelFacts kernel = good_kernel();
        test.change(nic, kernel);
        EXPECT_EQ(check(diagnose(kernel, {nic}), test.want.id), test.want) << test.name;
    }
}

TEST(Doctor, a_driver_without_rings_or_hashes_is_not_asked_about_them) {
    InterfaceFacts nic = good_interface();
    nic.layout = {};
    for (const auto& one : diagnose(good_kernel(), {nic}).checks)
        for (const char* id : {"interface.rings", "interface.spread", "interface.hash",
                               "interface.interrupts", "interface.pause", "interface.coalescing"})
            EXPECT_NE(one.id, id);
}

TEST(Doctor, lists_of_cpus) {
    for (const char* text : {"", "0", "0-3", "0,2,4-6", "15"})
        EXPECT_EQ(text_of(parse_cpu_list(text).value()), text);
    EXPECT_EQ(text_of(parse_cpu_list("3,1,2,2").value()), "1-3");
    for (const char* wrong : {"x", "3-1", "1-", "-1", "0-99999", "1,,2"})
        EXPECT_FALSE(parse_cpu_list(wrong).has_value()) << wrong;
}

struct InterruptCase {
    const char* name;
    const char* interface;
    std::set<std::uint32_t> device;
    const char* text;
    std::map<std::uint32_t, std::uint32_t> want;
};

const InterruptCase kInterruptCases[] = {
    {.name = "virtio_names_its_device_and_not_the_interface",
     .interface = "eth0",
     .device = {37, 38, 39, 40, 41},
     .text = "            CPU0       CPU1\n"
             " 37:          0          0 PCI-MSIX-0000:00:03.0   0-edge      virtio2-config\n"
             " 38:          0       2288 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0\n"
             " 39:       1660          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0\n"
             " 40:          0          9 PCI-MSIX-0000:00:03.0   3-edge      virtio2-input.1\n"
             " 41:          9          0 PCI-MSIX-0000:00:03.0   4-edge      virtio2-output.1\n"
             " 50:          9          0 PCI-MSIX-0000:00:04.0   4-edge      virtio3-input.1\n"
             "NMI:          0          0   Non-maskable interrupts\n",
     .want = {{0, 38}, {1, 40}}},
    {.name = "intel_names_the_interface",
     .interface = "eth1",
     .device = {},
     .text = " 60: 1 2 IR-PCI-MSI 1-edge      i40e-eth1-TxRx-0\n"
             " 61: 1 2 IR-PCI-MSI 2-edge      i40e-eth1-TxRx-11\n"
             " 62: 1 2 IR-PCI-MSI 3-edge      i40e-eth10-TxRx-5\n"
             " 63: 1 2 IR-PCI-MSI 4-edge      i40e-0000:3b:00.0:misc\n",
     .want = {{0, 60}, {11, 61}}},
    {.name = "mellanox_names_the_bus_address",
     .interface = "enp1s0",
     .device = {70, 71, 72},
     .text = " 70: 1 IR-PCI-MSI 0-edge mlx5_async0@pci:0000:41:00.0\n"
             " 71: 1 IR-PCI-MSI 1-edge mlx5_comp0@pci:0000:41:00.0\n"
             " 72: 1 IR-PCI-MSI 2-edge mlx5_comp1@pci:0000:41:00.0\n",
     .want = {{0, 71}, {1, 72}}},
    {.name = "a_nic_with_one_interrupt_for_all",
     .interface = "eth0",
     .device = {19},
     .text = " 19: 1 2 IO-APIC 19-fasteoi eth0\n",
     .want = {{0, 19}}},
    {.name = "transmit_interrupts_are_none",
     .interface = "eth0",
     .device = {20, 21},
     .text = " 20: 1 PCI-MSI 1-edge eth0-rx-0\n 21: 1 PCI-MSI 2-edge eth0-tx-0\n",
     .want = {{0, 20}}},
};

TEST(Doctor, interrupts_of_receive_queues_by_the_names_that_drivers_give) {
    for (const InterruptCase& test : kInterruptCases)
        EXPECT_EQ(parse_interrupts(test.text, test.interface, test.device), test.want) << test.name;
}

TEST(Doctor, veth_says_what_it_cannot_see) {
    InterfaceFacts facts = good_interface();
    facts.link->kind = "veth";
    EXPECT_EQ(of_interface(facts, "interface.veth_checksum").status, CheckStatus::unknown);
    EXPECT_EQ(of_interface(facts, "interface.veth_checksum").remedy,
              "at the other end: ethtool -K PEER tx off");
    EXPECT_EQ(of_interface(facts, "interface.veth_peer").status, CheckStatus::unknown);
}

TEST(Doctor, missing_privileges_are_named_in_a_sentence) {
    const auto bit = [](int number) { return std::uint64_t{1} << number; };
    const std::uint64_t all =
        bit(CAP_BPF) | bit(CAP_NET_ADMIN) | bit(CAP_PERFMON) | bit(CAP_NET_RAW);
    EXPECT_EQ(missing_privilege(all), "");
    EXPECT_EQ(missing_privilege(all & ~bit(CAP_BPF)), "CAP_BPF is missing");
    EXPECT_EQ(missing_privilege(bit(CAP_NET_RAW) | bit(CAP_PERFMON)),
              "CAP_BPF and CAP_NET_ADMIN are missing");
    EXPECT_EQ(missing_privilege(0),
              "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_NET_RAW are missing");
    EXPECT_EQ(missing_privilege(bit(CAP_SYS_ADMIN)), "CAP_NET_ADMIN and CAP_NET_RAW are missing");
}

}  // namespace
}  // namespace sluice::kernel
