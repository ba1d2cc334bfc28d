// SPDX-License-Identifier: Apache-2.0

/// The root program and its array: made once, found again, and renewed when a version before had
/// made them without room for a canary or a tap. Renewing loses no packet: the new array holds what
/// is live before any link is moved to the new program, and the old one is let go when nobody runs
/// it.

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <cerrno>

#include "kernel/bpffs.h"
#include "kernel/generation_pins.h"
#include "kernel/grace_period.h"
#include "kernel/instance.h"

namespace sluice::kernel {
namespace {

constexpr const char* kProgram = "slc_root";
constexpr const char* kArray = "slc_root_progs";
constexpr const char* kMissed = "slc_root_missed";
constexpr const char* kBeingMade = "_new";
constexpr std::uint32_t kSlots = 3;  // What is live, a canary, a tap.

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

Result<std::uint32_t> entries_of(int map_fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(map_fd, &info, &size) == 0) return info.max_entries;
    const int saved = errno;
    return fail(sys_error(saved, "inspect slc_root_progs"));
}

}  // namespace

Result<void> Instance::open_root() {
    auto program = open_pin(root_pin(kProgram));
    auto progs = open_pin(root_pin(kArray));
    if (!program || !progs) {
        // Nothing may be concluded from pins that are there and cannot be opened now: links that
        // carry traffic lie beside them.
        for (const auto* each : {&program, &progs})
            if (!*each && each->error().code != Errc::not_found) return fail(each->error());
        // One without the other is the rest of a start that was interrupted before anything was
        // attached: links are made last.
        is_new_ = true;
        SLC_CHECK(remove_pins(path_ + "/root"), "root");
        SLC_CHECK(make_pin_directory(path_ + "/root"), "root");
        SLC_CHECK(make_root(""), "root");
        program = open_pin(root_pin(kProgram));
        progs = open_pin(root_pin(kArray));
    }
    root_program_ = SLC_TRY(std::move(program), "root");
    root_progs_ = SLC_TRY(std::move(progs), "root");
    return {};
}

/// The program is pinned last: with it all is there.
Result<void> Instance::make_root(const std::string& suffix) const {
    BpfObject object = SLC_TRY(BpfObject::open(ObjectName::root, isa_), "root program");
    SLC_CHECK(object.leave_out_map(".rodata.node"), "root program");
    SLC_CHECK(object.set_max_entries("slc_root_progs", kSlots), "root program");
    const auto missed = open_pin(root_pin(kMissed));
    if (missed) SLC_CHECK(object.reuse_map("slc_root_missed", missed->get()), "root program");
    SLC_CHECK(object.load(), "root program");
    const int progs = object.map_fd("slc_root_progs");
    if (root_progs_.valid()) SLC_CHECK(copy_live_to(progs), "root program");
    SLC_CHECK(make_pin(progs, root_pin(kArray) + suffix), "root program");
    if (!missed)
        SLC_CHECK(make_pin(object.map_fd("slc_root_missed"), root_pin(kMissed)), "root program");
    return make_pin(object.program_fd("slc_root"), root_pin(kProgram) + suffix);
}

Result<UniqueFd> Instance::find_program(std::uint32_t id) const {
    const std::string gen = path_ + "/gen";
    for (const std::uint32_t number : pinned_numbers(gen)) {
        const std::string directory = generation_directory(gen, number);
        if (entry_program_id(directory) == id) return open_pin(directory + "/" + kEntryProgramPin);
    }
    UniqueFd fd(::bpf_prog_get_fd_by_id(id));
    if (fd.valid()) return fd;
    const int saved = errno;
    return fail(sys_error(saved, "find the live program, id " + std::to_string(id)));
}

Result<void> Instance::copy_live_to(int array_fd) const {
    const std::uint32_t slot = 0;
    const std::uint32_t live = SLC_TRY(slot_program(root_progs_.get(), slot), "live program");
    if (live == 0) return {};
    const UniqueFd program = SLC_TRY(find_program(live), "live program");
    const int fd = program.get();
    if (::bpf_map_update_elem(array_fd, &slot, &fd, BPF_ANY) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "install the live program"));
}

/// After this, or after a kill anywhere in it and another open(), array and program are both new.
Result<void> Instance::renew_root() {
    const std::string program = root_pin(kProgram);
    const std::string array = root_pin(kArray);
    const bool old = SLC_TRY(entries_of(root_progs_.get()), "root program") < kSlots;
    if (old) {
        if (!exists(program + kBeingMade)) {
            SLC_CHECK(remove_pins(array + kBeingMade), "root program");
            auto made = make_root(kBeingMade);
            if (!made) (void)remove_pins(array + kBeingMade);
            SLC_CHECK(std::move(made), "new");
        }
        UniqueFd next = SLC_TRY(open_pin(program + kBeingMade), "new");
        UniqueFd next_progs = SLC_TRY(open_pin(array + kBeingMade), "new");
        // Again, for the array that a killed process has left: what is live may be another now.
        SLC_CHECK(copy_live_to(next_progs.get()), "new");
        auto moved = put_on_links(next.get(), attached());
        // Packets inside the old program still ask its array, which is emptied with its last pin.
        if (moved) (void)wait_for_packets();
        if (moved) moved = move_pin(array + kBeingMade, array);
        if (!moved) {
            (void)put_on_links(root_program_.get(), attached());
            (void)wait_for_packets();
            (void)remove_pins(program + kBeingMade);
            (void)remove_pins(array + kBeingMade);
            return moved;
        }
        root_program_ = std::move(next);
        root_progs_ = std::move(next_progs);
    }
    if (!exists(program + kBeingMade)) return {};
    SLC_CHECK(move_pin(program + kBeingMade, program), "root program");
    root_program_ = SLC_TRY(open_pin(program), "root program");
    return {};
}

}  // namespace sluice::kernel
