// SPDX-License-Identifier: Apache-2.0
#pragma once

/// An instance: what of one node's Sluice lives in the kernel, found by its pins.
///
///   <bpffs>/<node>/
///     root/    slc_root (program), slc_root_progs, slc_root_missed, link_<interface>
///     state/   counters, fragments, limiters: see state_maps.h
///     gen/<n>/ maps and programs of generation n
///
/// The root program of every interface tail-calls slot 0 of slc_root_progs. Storing a generation
/// there is the swap: one slot, all interfaces, at the same instant. Everything works on after the
/// process has ended; the next one finds it by its pins.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/bpf_object.h"
#include "kernel/generation.h"
#include "kernel/xdp_link.h"

namespace sluice::kernel {

class Instance {
 public:
    /// Finds the instance of `node` below `bpffs`, or makes one. Creates directories as needed.
    /// Errors: not_found when `bpffs` is not on a BPF file system; denied; conflict when another
    /// process has it open.
    static Result<Instance> open(const std::string& bpffs, const std::string& node,
                                 InstructionSet isa);

    [[nodiscard]] std::string state_directory() const { return path_ + "/state"; }
    [[nodiscard]] const std::string& path() const { return path_; }

    /// Number for the next generation: one more than any that is pinned.
    [[nodiscard]] std::uint32_t next_generation() const;
    /// Whether one may be in force. An instance that was found, rather than made, counts as having
    /// one: pins that cannot be listed now must not be taken for none.
    [[nodiscard]] bool has_generation() const { return !is_new_ || next_generation() != 1; }

    /// Where the generation is pinned that packets go to now; empty when none is found.
    [[nodiscard]] std::string live_directory() const;

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

    /// Pins `generation` as gen/<number>, makes it live, and unpins all others.
    Result<void> activate(const Generation& generation, std::uint32_t number);

    /// Removes everything of `node`: links first, so that no packet meets half an instance. Errors:
    /// conflict when it is open.
    static Result<void> remove(const std::string& bpffs, const std::string& node);

 private:
    Result<void> open_root(InstructionSet isa);
    Result<Attachment> adopt(const std::string& interface, std::uint32_t ifindex);

    std::string path_;
    UniqueFd lock_;
    UniqueFd root_program_;
    UniqueFd root_progs_;
    bool is_new_ = false;
    std::map<std::string, UniqueFd> links_;
};

}  // namespace sluice::kernel
