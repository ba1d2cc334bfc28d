// SPDX-License-Identifier: Apache-2.0
#include "kernel/instance.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "kernel/bpffs.h"
#include "kernel/generation_pins.h"
#include "kernel/grace_period.h"

namespace sluice::kernel {
namespace {

constexpr std::string_view kLinkPrefix = "link_";
constexpr const char* kArray = "slc_root_progs";
constexpr std::uint32_t kLiveSlot = 0;
constexpr std::uint32_t kCanarySlot = 1;

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

/// One process at a time owns an instance.
Result<UniqueFd> lock(const std::string& path) {
    return lock_pins(path, "another sluiced",
                     "stop it; two on one host need two values of node.name");
}

/// What lies below `path`, whoever has it open.
std::vector<Instance::Pinned> generations_of(const std::string& path, int progs_fd) {
    const auto id_in = [&](std::uint32_t slot) {
        const auto id = slot_program(progs_fd, slot);
        return id ? *id : 0;
    };
    const std::uint32_t live = id_in(kLiveSlot);
    const std::uint32_t canary = id_in(kCanarySlot);
    std::vector<Instance::Pinned> out;
    for (const std::uint32_t number : pinned_numbers(path + "/gen")) {
        Instance::Pinned each;
        each.number = number;
        each.directory = generation_directory(path + "/gen", number);
        const std::uint32_t id = entry_program_id(each.directory);
        each.live = id != 0 && id == live;
        each.canary = id != 0 && id == canary;
        if (auto meta = read_meta(each.directory)) each.meta = std::move(*meta);
        out.push_back(std::move(each));
    }
    return out;
}

std::vector<std::string> linked_interfaces(const std::string& path) {
    std::vector<std::string> out;
    for (const auto& name : list_pins(path + "/root"))
        if (name.starts_with(kLinkPrefix)) out.push_back(interface_of(name));
    return out;
}

/// Also of one that is half made or half removed. Nothing else on a bpffs looks like it.
bool looks_like_instance(const std::string& path) {
    const auto parts = list_pins(path);
    return is_bpffs(path) && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
               return part == "root" || part == "state" || part == "gen" || part == "tap";
           });
}

}  // namespace

Result<Instance> Instance::open(const std::string& bpffs, const std::string& node,
                                InstructionSet isa) {
    Instance out;
    out.isa_ = isa;
    out.path_ = bpffs + "/" + node;
    for (const char* part : {"/root", "/state", "/gen"})
        SLC_CHECK(make_pin_directory(out.path_ + part), "instance " + node);
    out.lock_ = SLC_TRY(lock(out.path_), "instance " + node);
    SLC_CHECK(out.open_root(), "instance " + node);
    SLC_CHECK(out.open_links(), "instance " + node);
    // What cannot be done now leaves all as it was, carrying traffic: who asks for it is told.
    (void)out.renew_root();
    (void)remove_leftovers(out.path_ + "/gen");
    (void)out.end_half_canary();
    (void)out.end_tap();
    return out;
}

Result<void> Instance::open_links() {
    for (const auto& interface : linked_interfaces(path_)) {
        auto link = open_pin(root_pin(link_pin(interface)));
        if (link)
            links_.emplace(interface, std::move(*link));
        else if (link.error().code != Errc::not_found)
            return fail(std::move(link).error());
    }
    return {};
}

std::vector<Instance::Pinned> Instance::generations() const {
    return generations_of(path_, root_progs_.get());
}

std::uint32_t Instance::next_generation() const {
    const auto numbers = pinned_numbers(path_ + "/gen");
    return numbers.empty() ? 1 : numbers.back() + 1;
}

std::string Instance::live_directory() const {
    const auto live = slot_program(root_progs_.get(), kLiveSlot);
    if (!live || *live == 0) return {};
    for (const std::uint32_t number : pinned_numbers(path_ + "/gen")) {
        std::string directory = generation_directory(path_ + "/gen", number);
        if (entry_program_id(directory) == *live) return directory;
    }
    return {};
}

Result<void> Instance::keep(const Pinnable& generation, std::uint32_t number,
                            const std::string& meta) {
    return pin_generation(path_ + "/gen", generation, number, meta);
}

Result<void> Instance::set_meta(std::uint32_t number, const std::string& meta) {
    const std::string directory = generation_directory(path_ + "/gen", number);
    if (::access(directory.c_str(), F_OK) != 0)
        return fail(Errc::not_found, "generation " + std::to_string(number) + " is not pinned");
    return write_meta(directory, meta);
}

Result<void> Instance::swap_to(const Pinnable& generation) {
    const int fd = generation.program_fd();
    if (::bpf_map_update_elem(root_progs_.get(), &kLiveSlot, &fd, BPF_ANY) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "swap the program"));
}

Result<void> Instance::drop(std::uint32_t number) {
    const std::string directory = generation_directory(path_ + "/gen", number);
    const auto entry = open_pin(directory + "/" + kEntryProgramPin);
    // Without its program it is the rest of something, and nothing that packets may be in.
    if (!entry && entry.error().code != Errc::not_found) return fail(entry.error());
    const std::uint32_t id = entry ? program_id(entry->get()) : 0;
    for (const std::uint32_t slot : {kLiveSlot, kCanarySlot}) {
        const std::uint32_t used = SLC_TRY(slot_program(root_progs_.get(), slot), "drop");
        if (id != 0 && used == id)
            return fail(Errc::conflict, "generation " + std::to_string(number) +
                                            (slot == kLiveSlot ? " is live" : " is a canary"));
    }
    return unpin_generation(path_ + "/gen", number);
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
    SLC_CHECK(make_pin(link.fd.get(), root_pin(link_pin(interface))), "attach " + interface);
    links_.insert_or_assign(interface, std::move(link.fd));
    SLC_CHECK(put_tap_on(interface), "attach " + interface);
    return link.attachment;
}

Result<void> Instance::detach(const std::string& interface) {
    const auto found = links_.find(interface);
    if (found == links_.end()) return {};
    // Detached first: other references to the link may keep it alive after the unpin.
    const bool detached = ::bpf_link_detach(found->second.get()) == 0;
    const int saved = errno;
    links_.erase(found);
    SLC_CHECK(remove_pins(root_pin(link_pin(interface))), "detach " + interface);
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

Result<void> Instance::put_on_links(int program_fd,
                                    const std::vector<std::string>& interfaces) const {
    Result<void> out;
    for (const auto& interface : interfaces) {
        auto updated = update_xdp(links_.at(interface).get(), program_fd);
        if (!updated && updated.error().code != Errc::not_found && out)
            out = fail(std::move(updated).error().in(interface));
    }
    return out;
}

Result<std::vector<Instance::Info>> Instance::list(const std::string& bpffs) {
    std::error_code error;
    std::vector<std::string> names;
    std::filesystem::directory_iterator entry(bpffs, error);
    for (const std::filesystem::directory_iterator end; !error && entry != end;
         entry.increment(error))
        if (entry->is_directory()) names.push_back(entry->path().filename());
    if (error == std::errc::no_such_file_or_directory) return std::vector<Info>{};
    if (error) return fail(sys_error(error.value(), "read " + bpffs));
    std::sort(names.begin(), names.end());
    std::vector<Info> out;
    for (const auto& name : names) {
        const std::string path = bpffs + "/" + name;
        if (!looks_like_instance(path) || list_pins(path).empty()) continue;
        Info info;
        info.node = name;
        const auto held = lock(path);
        info.in_use = !held && held.error().code == Errc::conflict;
        if (!held && !info.in_use) return fail(held.error());
        const auto progs = open_pin(path + "/root/" + kArray);
        if (!progs && progs.error().code == Errc::denied) return fail(progs.error());
        info.interfaces = linked_interfaces(path);
        info.generations = generations_of(path, progs ? progs->get() : -1);
        out.push_back(std::move(info));
    }
    return out;
}

Result<void> Instance::remove(const std::string& bpffs, const std::string& node) {
    const std::string path = bpffs + "/" + node;
    if (node.empty() || node == "." || node == ".." || node.find('/') != std::string::npos)
        return fail(Errc::invalid, "\"" + node + "\" is no name of a node");
    const auto held = lock(path);
    if (!held && held.error().code == Errc::not_found) return {};
    if (!held) return fail(held.error());
    if (!looks_like_instance(path))
        return fail(Errc::conflict, path + " holds more than an instance: it stays as it is");
    for (const auto& interface : linked_interfaces(path)) {
        const std::string pin = path + "/root/" + link_pin(interface);
        const auto link = open_pin(pin);
        // A link whose device is gone refuses; it goes with its pin.
        if (link) (void)::bpf_link_detach(link->get());
        SLC_CHECK(remove_pins(pin), "detach " + interface);
    }
    (void)wait_for_packets();
    return remove_pins(path);
}

}  // namespace sluice::kernel
