// SPDX-License-Identifier: Apache-2.0
#include "kernel/instance.h"

#include <bpf/bpf.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "kernel/bpffs.h"

namespace sluice::kernel {
namespace {

constexpr std::string_view kLinkPrefix = "link_";

/// A file name on bpffs holds no dot, and an interface may ("eth0.100").
std::string link_pin(const std::string& interface) {
    std::string out(kLinkPrefix);
    for (const char c : interface) out += c == '.' ? std::string("%2e") : std::string(1, c);
    return out;
}

std::string interface_of(const std::string& pin) {
    std::string out = pin.substr(kLinkPrefix.size());
    for (std::size_t at = out.find("%2e"); at != std::string::npos; at = out.find("%2e"))
        out.replace(at, 3, ".");
    return out;
}

Result<UniqueFd> get_pin(const std::string& path) {
    UniqueFd fd(::bpf_obj_get(path.c_str()));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open " + path));
    }
    return fd;
}

Result<void> pin(int fd, const std::string& path) {
    if (::bpf_obj_pin(fd, path.c_str()) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "pin " + path));
}

/// One process at a time owns an instance.
Result<UniqueFd> lock(const std::string& path) {
    return lock_pins(path, "another sluiced",
                     "stop it; two on one host need two values of node.name");
}

}  // namespace

Result<Instance> Instance::open(const std::string& bpffs, const std::string& node,
                                InstructionSet isa) {
    Instance out;
    out.path_ = bpffs + "/" + node;
    for (const char* part : {"/root", "/state", "/gen"})
        SLC_CHECK(make_pin_directory(out.path_ + part), "instance " + node);
    out.lock_ = SLC_TRY(lock(out.path_), "instance " + node);
    SLC_CHECK(out.open_root(isa), "instance " + node);
    for (const auto& name : list_pins(out.path_ + "/root")) {
        if (!name.starts_with(kLinkPrefix)) continue;
        auto link = get_pin(out.path_ + "/root/" + name);
        if (link)
            out.links_.emplace(interface_of(name), std::move(*link));
        else if (link.error().code != Errc::not_found)
            return fail(std::move(link).error().in("instance " + node));
    }
    return out;
}

Result<void> Instance::open_root(InstructionSet isa) {
    const std::string root = path_ + "/root/";
    auto program = get_pin(root + "slc_root");
    auto progs = get_pin(root + "slc_root_progs");
    if (program && progs) {
        root_program_ = std::move(*program);
        root_progs_ = std::move(*progs);
        return {};
    }
    // Nothing may be concluded from pins that are there and cannot be opened now: links that carry
    // traffic lie beside them.
    for (const auto* each : {&program, &progs})
        if (!*each && each->error().code != Errc::not_found) return fail(each->error());
    // One without the other is the rest of a start that was interrupted before anything was
    // attached: links are made last.
    is_new_ = true;
    SLC_CHECK(remove_pins(path_ + "/root"), "root");
    SLC_CHECK(make_pin_directory(path_ + "/root"), "root");
    BpfObject object = SLC_TRY(BpfObject::open(ObjectName::root, isa), "root");
    SLC_CHECK(object.leave_out_map(".rodata.node"), "root");
    SLC_CHECK(object.load(), "root");
    SLC_CHECK(pin(object.map_fd("slc_root_progs"), root + "slc_root_progs"), "root");
    SLC_CHECK(pin(object.map_fd("slc_root_missed"), root + "slc_root_missed"), "root");
    SLC_CHECK(pin(object.program_fd("slc_root"), root + "slc_root"), "root");
    root_program_ = SLC_TRY(get_pin(root + "slc_root"), "root");
    root_progs_ = SLC_TRY(get_pin(root + "slc_root_progs"), "root");
    return {};
}

std::uint32_t Instance::next_generation() const {
    std::uint32_t highest = 0;
    for (const auto& name : list_pins(path_ + "/gen")) {
        std::uint32_t number = 0;
        std::from_chars(name.data(), name.data() + name.size(), number);
        highest = std::max(highest, number);
    }
    return highest + 1;
}

std::string Instance::live_directory() const {
    const std::uint32_t slot = 0;
    std::uint32_t live = 0;
    if (::bpf_map_lookup_elem(root_progs_.get(), &slot, &live) != 0) return {};
    for (const auto& name : list_pins(path_ + "/gen")) {
        const std::string directory = path_ + "/gen/" + name;
        const UniqueFd program(::bpf_obj_get((directory + "/slc_lb_program").c_str()));
        bpf_prog_info info{};
        __u32 size = sizeof info;
        if (program.valid() && ::bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0 &&
            info.id == live)
            return directory;
    }
    return {};
}

Result<Attachment> Instance::adopt(const std::string& interface, std::uint32_t ifindex) {
    const auto held = SLC_TRY(link_ifindex(links_.at(interface).get()), "adopt");
    if (held != ifindex) return fail(Errc::not_found, "the link's device is gone");
    Attachment out;
    out.interface = interface;
    out.ifindex = ifindex;
    out.generic = SLC_TRY(is_generic(ifindex), "adopt");
    return out;
}

Result<Attachment> Instance::attach(const std::string& interface, AttachMode mode) {
    const std::uint32_t ifindex = SLC_TRY(ifindex_of(interface), "attach");
    if (links_.contains(interface)) {
        auto adopted = adopt(interface, ifindex);
        const bool fits = adopted && (mode == AttachMode::automatic ||
                                      adopted->generic == (mode == AttachMode::generic));
        if (fits) return adopted;
        SLC_CHECK(detach(interface), "attach " + interface);
    }
    XdpLink link = SLC_TRY(attach_xdp(root_program_.get(), interface, mode), "attach");
    SLC_CHECK(pin(link.fd.get(), path_ + "/root/" + link_pin(interface)), "attach " + interface);
    links_.insert_or_assign(interface, std::move(link.fd));
    return link.attachment;
}

Result<void> Instance::detach(const std::string& interface) {
    const auto found = links_.find(interface);
    if (found == links_.end()) return {};
    // Detached first: other references to the link may keep it alive after the unpin.
    const bool detached = ::bpf_link_detach(found->second.get()) == 0;
    const int saved = errno;
    links_.erase(found);
    SLC_CHECK(remove_pins(path_ + "/root/" + link_pin(interface)), "detach " + interface);
    if (!detached && saved != ENOLINK && saved != ENODEV)
        return fail(sys_error(saved, "detach " + interface));
    return {};
}

std::vector<std::string> Instance::attached() const {
    std::vector<std::string> out;
    for (const auto& [name, link] : links_) out.push_back(name);
    return out;
}

bool Instance::is_attached(const std::string& interface) const {
    const auto found = links_.find(interface);
    if (found == links_.end()) return false;
    const auto held = link_ifindex(found->second.get());
    const auto now = ifindex_of(interface);
    return held && now && *held == *now;
}

Result<void> Instance::activate(const Generation& generation, std::uint32_t number) {
    const std::string directory = path_ + "/gen/" + std::to_string(number);
    SLC_CHECK(make_pin_directory(directory), "activate");
    auto pinned = generation.pin(directory);
    if (!pinned) {
        (void)remove_pins(directory);
        return fail(std::move(pinned).error().in("activate"));
    }
    const std::uint32_t slot = 0;
    const int fd = generation.program_fd();
    if (::bpf_map_update_elem(root_progs_.get(), &slot, &fd, BPF_ANY) != 0) {
        const int saved = errno;
        (void)remove_pins(directory);
        return fail(sys_error(saved, "swap the program"));
    }
    for (const auto& name : list_pins(path_ + "/gen"))
        if (name != std::to_string(number))
            // What cannot be removed now is removed after the next swap: the swap itself is done.
            (void)remove_pins(path_ + "/gen/" + name);
    return {};
}

Result<void> Instance::remove(const std::string& bpffs, const std::string& node) {
    const std::string path = bpffs + "/" + node;
    const auto held = lock(path);
    if (!held && held.error().code == Errc::not_found) return {};
    if (!held) return fail(held.error());
    for (const auto& name : list_pins(path + "/root")) {
        if (!name.starts_with(kLinkPrefix)) continue;
        const auto link = get_pin(path + "/root/" + name);
        if (link) (void)::bpf_link_detach(link->get());
        SLC_CHECK(remove_pins(path + "/root/" + name), "detach");
    }
    return remove_pins(path);
}

}  // namespace sluice::kernel
