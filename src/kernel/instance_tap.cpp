// SPDX-License-Identifier: Apache-2.0

/// A tap: another root program on some links, which sends some packets to slot 2 of the root's
/// array. What must outlive a killed daemon is pinned in tap/ before any packet goes there; the
/// directory is removed when none is there any more. A kill at any step is found, and undone, by
/// the next open().

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "kernel/bpffs.h"
#include "kernel/generation_pins.h"
#include "kernel/grace_period.h"
#include "kernel/instance.h"

namespace sluice::kernel {
namespace {

constexpr const char* kDirectory = "/tap";
constexpr const char* kCanary = "slc_root_canary";
constexpr const char* kHalfCanary = "slc_root_canary_new";

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

Result<void> Instance::begin_tap(int front_fd, const TapPrograms& tapped,
                                 const std::vector<std::string>& interfaces) {
    // Nothing to do but where open() could not.
    SLC_CHECK(renew_root(), "tap");
    if (exists(path_ + kDirectory)) return fail(Errc::conflict, "there is a tap already");
    if (exists(root_pin(kCanary)) || exists(root_pin(kHalfCanary)))
        return fail(Errc::conflict,
                    "there is a canary, whose root program has the place of a tap's",
                    "sluice config canary promote, or sluice config canary back");
    for (const auto& interface : interfaces)
        if (!is_attached(interface))
            return fail(Errc::not_found, "interface " + interface + " is not attached");
    tap_front_.reset(::fcntl(front_fd, F_DUPFD_CLOEXEC, 0));
    tap_interfaces_ = interfaces;
    auto sent = send_tap(front_fd, tapped, interfaces.empty() ? attached() : interfaces);
    if (!sent) (void)end_tap();
    return sent;
}

/// An interface that was attached anew has the plain root program.
Result<void> Instance::put_tap_on(const std::string& interface) const {
    if (!tap_front_.valid()) return {};
    const bool is_asked_for =
        tap_interfaces_.empty() || std::find(tap_interfaces_.begin(), tap_interfaces_.end(),
                                             interface) != tap_interfaces_.end();
    return is_asked_for ? put_on_links(tap_front_.get(), {interface}) : Result<void>();
}

bool Instance::has_tap() const {
    return exists(path_ + kDirectory);
}

Result<void> Instance::send_tap(int front_fd, const TapPrograms& tapped,
                                const std::vector<std::string>& interfaces) {
    SLC_CHECK(make_pin_directory(path_ + kDirectory), "tap");
    SLC_CHECK(fill_tap(tapped), "tap");
    return put_on_links(front_fd, interfaces);
}

/// The arrays of the generation before are let go when no packet asks them any more.
Result<void> Instance::fill_tap(const TapPrograms& tapped) {
    const std::string fresh = path_ + kDirectory + "/new";
    const std::string arrays = path_ + kDirectory + "/arrays";
    SLC_CHECK(remove_pins(fresh), "tap");
    SLC_CHECK(make_pin_directory(fresh), "tap");
    for (const auto& [name, fd] : tapped.arrays) SLC_CHECK(make_pin(fd, fresh + "/" + name), "tap");
    const std::uint32_t slot = kTapSlot;
    if (::bpf_map_update_elem(root_progs_.get(), &slot, &tapped.entry_fd, BPF_ANY) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "tap: install the program"));
    }
    if (exists(arrays)) (void)wait_for_packets();
    SLC_CHECK(remove_pins(arrays), "tap");
    return move_pin(fresh, arrays);
}

Result<void> Instance::move_tap(const TapPrograms& tapped) {
    if (!exists(path_ + kDirectory)) return fail(Errc::not_found, "there is no tap");
    return fill_tap(tapped);
}

/// With slot 2 empty the front sends everything to slot 0: whatever fails behind that, packets are
/// where they belong.
Result<void> Instance::end_tap() {
    tap_front_.reset();
    if (!has_tap()) return {};
    const std::uint32_t slot = kTapSlot;
    const int emptied = ::bpf_map_delete_elem(root_progs_.get(), &slot);
    const int saved = errno;
    if (emptied != 0 && saved != ENOENT && saved != E2BIG)
        return fail(sys_error(saved, "end tap: empty its slot"));
    SLC_CHECK(put_on_links(root_program_.get(), attached()), "end tap");
    (void)wait_for_packets();
    return remove_pins(path_ + kDirectory);
}

}  // namespace sluice::kernel
