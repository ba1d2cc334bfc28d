// SPDX-License-Identifier: Apache-2.0
#include "kernel/object_generation.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>

#include "kernel/bpf_object.h"
#include "kernel/bpffs.h"
#include "kernel/grace_period.h"
#include "kernel/map_copy.h"

namespace sluice::kernel {
namespace {

Result<UniqueFd> own(int fd) {
    UniqueFd out(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (out.valid()) return out;
    const int saved = errno;
    return fail(sys_error(saved, "duplicate a descriptor"));
}

std::string sizes(const MapShape& shape) {
    return std::to_string(shape.max_entries) + " entries of " + std::to_string(shape.key_size) +
           " + " + std::to_string(shape.value_size) + " bytes";
}

/// What to do with a state map that is pinned.
enum class Use { as_it_is, copied };

Result<Use> use_of(const MapShape& pinned, const MapShape& declared, const std::string& path) {
    if (pinned == declared) return Use::as_it_is;
    if (pinned.fits_in(declared)) return Use::copied;
    return fail(Errc::conflict,
                path + " has " + sizes(pinned) + ", and the new program's has " + sizes(declared),
                "state can grow; to go on without it, unpin it");
}

}  // namespace

Result<ObjectGeneration> ObjectGeneration::load(const ObjectSource& source,
                                                const std::string& state_directory) {
    BpfObject object = SLC_TRY(BpfObject::open_file(source.file), "load");
    ObjectGeneration out;
    std::vector<std::string> missing;
    for (const std::string& name : source.state) {
        const MapShape declared = SLC_TRY(object.declared(name.c_str()), source.file);
        const std::string path = state_directory + "/" + name;
        auto pinned = state_directory.empty() ? Result<UniqueFd>(fail(Errc::not_found, path))
                                              : open_pin(path);
        if (!pinned && pinned.error().code == Errc::not_found) {
            missing.push_back(name);
            continue;
        }
        UniqueFd from = SLC_TRY(std::move(pinned), "state");
        const MapShape before = SLC_TRY(shape_of(from.get()), "state");
        if (SLC_TRY(use_of(before, declared, path), "state") == Use::as_it_is)
            SLC_CHECK(object.reuse_map(name.c_str(), from.get()), "state");
        else
            out.moved_.push_back({std::move(from), UniqueFd(), path});
    }
    SLC_CHECK(object.load(), "load");
    const int program = object.program_fd(source.program.c_str());
    if (program < 0)
        return fail(Errc::not_found, source.file + " has no program " + source.program);
    out.program_ = SLC_TRY(own(program), "load");
    for (const std::string& name : object.map_names())
        out.maps_.emplace(name, SLC_TRY(own(object.map_fd(name.c_str())), "load"));
    for (Moved& each : out.moved_) {
        const std::string name = each.path.substr(each.path.rfind('/') + 1);
        each.to = SLC_TRY(own(object.map_fd(name.c_str())), "load");
    }
    if (!state_directory.empty())
        for (const std::string& name : missing)
            SLC_CHECK(make_pin(out.maps_.at(name).get(), state_directory + "/" + name), "state");
    return out;
}

Result<ObjectGeneration> ObjectGeneration::adopt(const std::string& directory) {
    ObjectGeneration out;
    out.program_ = SLC_TRY(open_pin(directory + "/" + kEntryProgramPin), "generation");
    return out;
}

Result<int> ObjectGeneration::run(std::span<const std::uint8_t> frame) const {
    std::vector<std::uint8_t> answer(frame.size() + 512);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = answer.data(),
                .data_size_in = static_cast<std::uint32_t>(frame.size()),
                .data_size_out = static_cast<std::uint32_t>(answer.size()));
    if (::bpf_prog_test_run_opts(program_.get(), &options) == 0)
        return static_cast<int>(options.retval);
    const int saved = errno;
    return fail(sys_error(saved, "test run"));
}

Result<void> ObjectGeneration::carry() {
    for (const Moved& each : moved_)
        SLC_TRY(copy_entries(each.from.get(), each.to.get()), each.path);
    return {};
}

Result<void> ObjectGeneration::settle() {
    if (moved_.empty()) return {};
    (void)wait_for_packets();
    for (const Moved& each : moved_) {
        SLC_TRY(copy_entries(each.from.get(), each.to.get(), true), each.path);
        SLC_CHECK(remove_pins(each.path + "_new"), "settle");
        SLC_CHECK(make_pin(each.to.get(), each.path + "_new"), "settle");
        SLC_CHECK(move_pin(each.path + "_new", each.path), "settle");
    }
    moved_.clear();
    return {};
}

Result<void> ObjectGeneration::pin(const std::string& directory) const {
    for (const auto& [name, fd] : maps_) {
        std::string file = name;
        std::replace(file.begin(), file.end(), '.', '_');
        SLC_CHECK(make_pin(fd.get(), directory + "/" + file), "pin");
    }
    return make_pin(program_.get(), directory + "/" + kEntryProgramPin);
}

}  // namespace sluice::kernel
