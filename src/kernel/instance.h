// SPDX-License-Identifier: Apache-2.0
#pragma once

/// An instance: what of one node's Sluice lives in the kernel, found by its pins.
///
///   <bpffs>/<node>/
///     root/    slc_root (program), slc_root_progs, slc_root_missed, link_<interface>;
///              slc_root_canary (program) while there is a canary; canary_key
///     state/   counters, flows, fragments, limiters, samples: see state_maps.h
///     gen/<n>/ maps and programs of generation n, and `meta`: what it is, in JSON
///     tap/     while there is a tap: what its programs need to go on without their loader
///
/// The root program of every interface tail-calls slot 0 of slc_root_progs. Storing a generation
/// there is the swap: one slot, all interfaces, at the same instant. Slot 1 is for a canary, which
/// the canary's own root program calls (root_canary.bpf.c); it takes the place of the plain one on
/// the links concerned for as long as there is a canary, so that nobody else pays for it. Slot 2 is
/// for a tap (tap.h), in the same way.
/// Everything works on after the process has ended; the next one finds it by its pins.
///
/// It knows nothing of load balancing: any XDP program of section xdp.frags is a generation for it
/// (examples/hotreload).

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/bpf_object.h"
#include "kernel/pinnable.h"
#include "kernel/xdp_link.h"

namespace sluice::kernel {

/// Packets that a canary takes.
struct CanaryTraffic {
    std::vector<std::string> interfaces;  ///< All that come by these; empty: by any.
    double share = 1;                     ///< Part of source addresses, 0..1; always the same ones.
};

/// Programs that a tap sends packets to. Program arrays are emptied with their last reference from
/// user space: pinned, they outlive a daemon that is killed.
struct TapPrograms {
    int entry_fd = -1;
    std::vector<std::pair<std::string, int>> arrays;  ///< Name and descriptor.
};

class Instance {
 public:
    /// Finds the instance of `node` below `bpffs`, or makes one. Creates directories as needed.
    /// Errors: not_found when `bpffs` is not on a BPF file system; denied; conflict when another
    /// process has it open.
    static Result<Instance> open(const std::string& bpffs, const std::string& node,
                                 InstructionSet isa);

    [[nodiscard]] std::string state_directory() const { return path_ + "/state"; }
    [[nodiscard]] const std::string& path() const { return path_; }

    // Generations.

    struct Pinned {
        std::uint32_t number = 0;
        bool live = false;    ///< In slot 0.
        bool canary = false;  ///< In slot 1.
        /// What keep() or set_meta() was given; empty when it cannot be read.
        std::string meta;
        std::string directory;
    };
    /// Ascending.
    [[nodiscard]] std::vector<Pinned> generations() const;
    /// Number for the next generation: one more than any that is pinned.
    [[nodiscard]] std::uint32_t next_generation() const;
    /// Whether one may be in force. An instance that was found, rather than made, counts as having
    /// one: pins that cannot be listed now must not be taken for none.
    [[nodiscard]] bool has_generation() const { return !is_new_ || next_generation() != 1; }
    /// Where the generation is pinned that packets go to now; empty when none is found.
    [[nodiscard]] std::string live_directory() const;

    /// Pins a generation as gen/<number> with its meta; whole or not at all. Carries no traffic.
    Result<void> keep(const Pinnable& generation, std::uint32_t number, const std::string& meta);
    /// Another meta for a pinned generation; readers find the old one or the new one.
    Result<void> set_meta(std::uint32_t number, const std::string& meta);
    /// Makes a generation live on all interfaces, at the same instant.
    Result<void> swap_to(const Pinnable& generation);
    /// Unpins gen/<number>. What is live or a canary is not dropped: Errc::conflict.
    Result<void> drop(std::uint32_t number);

    // Interfaces.

    /// Attaches the root program to an interface, or adopts the link that is pinned for it. A
    /// program of somebody else is never replaced. Errors: not_found, conflict (a foreign program),
    /// unsupported (native asked for, not had).
    Result<Attachment> attach(const std::string& interface, AttachMode mode);
    /// Takes the root program off an interface. Nothing to do is no error.
    Result<void> detach(const std::string& interface);
    /// Interfaces that have a pinned link.
    [[nodiscard]] std::vector<std::string> attached() const;
    /// Whether the pinned link still holds its interface: false after the device was made anew.
    [[nodiscard]] bool is_attached(const std::string& interface) const;

    // Canary.

    /// Sends a part of the packets to `generation`, which is pinned. Interfaces that are attached
    /// later are none of it. Errors: not_found for an interface that is not attached; conflict when
    /// there is a canary already.
    Result<void> begin_canary(const Pinnable& generation, const CanaryTraffic& traffic);
    /// All packets go to slot 0 again; slot 1 is emptied. Nothing to end is no error. To promote a
    /// canary, swap_to() it first: then no packet goes back on the way.
    Result<void> end_canary();
    /// Interfaces whose packets a canary may take; empty when there is none.
    [[nodiscard]] std::vector<std::string> canary_interfaces() const;
    /// Whether the client of this frame is in a canary's share of clients.
    [[nodiscard]] Result<bool> is_canary_client(std::span<const std::uint8_t> frame,
                                                double share) const;

    // Tap.

    /// Sends packets of `interfaces` through `front` for as long as there is a tap: a root program
    /// that calls slot kTapSlot of programs_fd() for some of them, and slot 0 where that is empty.
    /// No interfaces: all, also those that are attached later; an interface that is attached again
    /// is one as before. Errors: not_found for an interface that is not attached; conflict while
    /// there is a tap or a canary.
    Result<void> begin_tap(int front_fd, const TapPrograms& tapped,
                           const std::vector<std::string>& interfaces);
    /// The tapped programs of another generation, which has just been swapped to.
    Result<void> move_tap(const TapPrograms& tapped);
    /// No packet goes to tapped programs from its first step on, and none is left in them at its
    /// end. Nothing to end is no error; what could not be ended is there to be ended again.
    Result<void> end_tap();
    [[nodiscard]] bool has_tap() const;
    [[nodiscard]] int programs_fd() const { return root_progs_.get(); }
    static constexpr std::uint32_t kTapSlot = 2;

    // All instances of a machine.

    struct Info {
        std::string node;
        bool in_use = false;  ///< A process has it open.
        std::vector<std::string> interfaces;
        std::vector<Pinned> generations;
    };
    /// By name. Errc::denied without privilege.
    static Result<std::vector<Info>> list(const std::string& bpffs);
    /// Removes everything of `node`: links first, so that no packet meets half an instance. Errors:
    /// conflict when it is open.
    static Result<void> remove(const std::string& bpffs, const std::string& node);

 private:
    [[nodiscard]] std::string root_pin(const std::string& name) const {
        return path_ + "/root/" + name;
    }
    Result<void> open_root();
    Result<void> open_links();
    // The rest of root/: instance_root.cpp.
    Result<void> make_root(const std::string& suffix) const;
    Result<UniqueFd> find_program(std::uint32_t id) const;
    Result<void> copy_live_to(int array_fd) const;
    Result<void> renew_root();
    // Canary: instance_canary.cpp.
    Result<void> check_canary(const CanaryTraffic& traffic) const;
    Result<BpfObject> load_canary_root(double share) const;
    Result<std::string> canary_key() const;
    Result<void> send_canary(const Pinnable& generation, const CanaryTraffic& traffic,
                             const std::vector<std::string>& interfaces);
    Result<void> take_canary_back();
    Result<void> end_half_canary();
    // Tap: instance_tap.cpp.
    Result<void> send_tap(int front_fd, const TapPrograms& tapped,
                          const std::vector<std::string>& interfaces);
    Result<void> fill_tap(const TapPrograms& tapped);
    Result<void> put_tap_on(const std::string& interface) const;

    Result<Attachment> adopt(const std::string& interface, std::uint32_t ifindex);
    /// All that can be; the first error. Those whose device is gone are passed over.
    Result<void> put_on_links(int program_fd, const std::vector<std::string>& interfaces) const;

    InstructionSet isa_ = InstructionSet::v3;
    std::string path_;
    UniqueFd lock_;
    UniqueFd root_program_;
    UniqueFd root_progs_;
    UniqueFd tap_front_;                       ///< While there is a tap of this process.
    std::vector<std::string> tap_interfaces_;  ///< Empty: all.
    bool is_new_ = false;
    std::map<std::string, UniqueFd> links_;
};

}  // namespace sluice::kernel
