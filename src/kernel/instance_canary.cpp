// SPDX-License-Identifier: Apache-2.0

/// A canary: a second root program on some links, and what it calls in slot 1 of the root's array.
/// The program is pinned as slc_root_canary_new while links are on their way to it or back, and as
/// slc_root_canary in between: a kill at any step is found, and undone, by the next open().

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "kernel/bpffs.h"
#include "kernel/canary_client.h"
#include "kernel/generation_pins.h"
#include "kernel/grace_period.h"
#include "kernel/instance.h"
#include "kernel/pinned_text.h"
#include "sluice/types.h"

namespace sluice::kernel {
namespace {

constexpr const char* kCanary = "slc_root_canary";
constexpr const char* kHalfCanary = "slc_root_canary_new";
constexpr const char* kKey = "canary_key";
constexpr std::uint32_t kSlot = 1;

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

/// Random, and the same for every canary of this instance: who is in a share of 5 % is in one of
/// 10 % too.
Result<std::string> Instance::canary_key() const {
    const std::string path = root_pin(kKey);
    auto kept = read_pinned_text(path);
    if (kept && kept->size() == sizeof(slc_canary::key)) return std::move(*kept);
    if (!kept && kept.error().code != Errc::not_found) return fail(std::move(kept).error());
    std::random_device random;
    std::string out;
    while (out.size() < sizeof(slc_canary::key)) out += static_cast<char>(random() & 0xff);
    SLC_CHECK(write_pinned_text(path, out), "key");
    return out;
}

Result<BpfObject> Instance::load_canary_root(double share) const {
    slc_canary constants{};
    const std::string key = SLC_TRY(canary_key(), "root program");
    std::memcpy(constants.key, key.data(), sizeof constants.key);
    constants.share = canary_share(share);
    BpfObject object = SLC_TRY(BpfObject::open(ObjectName::root_canary, isa_), "root program");
    SLC_CHECK(object.leave_out_map(".rodata.node"), "root program");
    SLC_CHECK(object.set_constants(".rodata.canary", &constants, sizeof constants), "root program");
    const UniqueFd missed = SLC_TRY(open_pin(root_pin("slc_root_missed")), "root program");
    SLC_CHECK(object.reuse_map("slc_root_missed", missed.get()), "root program");
    SLC_CHECK(object.reuse_map("slc_root_progs", root_progs_.get()), "root program");
    SLC_CHECK(object.load(), "root program");
    return object;
}

Result<void> Instance::check_canary(const CanaryTraffic& traffic) const {
    const std::uint32_t taken = SLC_TRY(slot_program(root_progs_.get(), kSlot), "canary");
    if (taken != 0 || exists(root_pin(kCanary)) || exists(root_pin(kHalfCanary)))
        return fail(Errc::conflict, "there is a canary already",
                    "sluice canary promote, or sluice canary back");
    if (!(traffic.share > 0 && traffic.share <= 1))
        return fail(Errc::invalid, "a canary's share must be above 0 % and at most 100 %");
    for (const auto& interface : traffic.interfaces)
        if (!is_attached(interface))
            return fail(Errc::not_found, "interface " + interface + " is not attached");
    if (traffic.interfaces.empty() && links_.empty())
        return fail(Errc::not_found, "no interface is attached");
    return {};
}

Result<void> Instance::begin_canary(const Pinnable& generation, const CanaryTraffic& traffic) {
    // Nothing to do but where open() could not.
    SLC_CHECK(renew_root(), "canary");
    SLC_CHECK(check_canary(traffic), "canary");
    auto sent = send_canary(generation, traffic,
                            traffic.interfaces.empty() ? attached() : traffic.interfaces);
    if (!sent) (void)take_canary_back();
    return sent;
}

Result<void> Instance::send_canary(const Pinnable& generation, const CanaryTraffic& traffic,
                                   const std::vector<std::string>& interfaces) {
    const BpfObject object = SLC_TRY(load_canary_root(traffic.share), "canary");
    const int root = object.program_fd("slc_root_canary");
    SLC_CHECK(make_pin(root, root_pin(kHalfCanary)), "canary");
    const int fd = generation.program_fd();
    if (::bpf_map_update_elem(root_progs_.get(), &kSlot, &fd, BPF_ANY) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "canary: install the program"));
    }
    SLC_CHECK(put_on_links(root, interfaces), "canary");
    return move_pin(root_pin(kHalfCanary), root_pin(kCanary));
}

Result<void> Instance::end_canary() {
    if (exists(root_pin(kCanary)))
        SLC_CHECK(move_pin(root_pin(kCanary), root_pin(kHalfCanary)), "end canary");
    return end_half_canary();
}

Result<void> Instance::end_half_canary() {
    return exists(root_pin(kHalfCanary)) ? take_canary_back() : Result<void>();
}

/// Slot 1 is emptied when no packet asks it any more. One that did would go on to slot 0.
Result<void> Instance::take_canary_back() {
    SLC_CHECK(put_on_links(root_program_.get(), attached()), "end canary");
    (void)wait_for_packets();
    const int emptied = ::bpf_map_delete_elem(root_progs_.get(), &kSlot);
    const int saved = errno;
    if (emptied != 0 && saved != ENOENT)
        return fail(sys_error(saved, "end canary: empty its slot"));
    return remove_pins(root_pin(kHalfCanary));
}

Result<bool> Instance::is_canary_client(std::span<const std::uint8_t> frame, double share) const {
    slc_canary constants{};
    const std::string key = SLC_TRY(canary_key(), "canary");
    std::memcpy(constants.key, key.data(), sizeof constants.key);
    const slc_u64 bound = canary_share(share);
    const auto hash = canary_client_hash(frame, constants.key);
    return bound >= canary_share(1) || (hash && *hash < bound);
}

std::vector<std::string> Instance::canary_interfaces() const {
    std::vector<std::string> out;
    const auto canary = open_pin(root_pin(kCanary));
    const std::uint32_t id = canary ? program_id(canary->get()) : 0;
    if (id == 0) return out;
    for (const auto& [interface, link] : links_) {
        const auto on = link_program(link.get());
        if (on && *on == id) out.push_back(interface);
    }
    return out;
}

}  // namespace sluice::kernel
