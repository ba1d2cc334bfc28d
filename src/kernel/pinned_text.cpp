// SPDX-License-Identifier: Apache-2.0
#include "kernel/pinned_text.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstdint>

#include "kernel/bpffs.h"

namespace sluice::kernel {
namespace {

Result<UniqueFd> make(const std::string& text) {
    const auto size = static_cast<std::uint32_t>(text.size() + 1);
    UniqueFd fd(
        ::bpf_map_create(BPF_MAP_TYPE_ARRAY, "slc_meta", sizeof(std::uint32_t), size, 1, nullptr));
    const std::uint32_t zero = 0;
    if (!fd.valid() || ::bpf_map_update_elem(fd.get(), &zero, text.c_str(), BPF_ANY) != 0 ||
        ::bpf_map_freeze(fd.get()) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "make a map of " + std::to_string(size) + " bytes"));
    }
    return fd;
}

}  // namespace

Result<void> write_pinned_text(const std::string& path, const std::string& text) {
    const UniqueFd fd = SLC_TRY(make(text), path);
    const std::string unfinished = path + "_new";
    SLC_CHECK(remove_pins(unfinished), path);
    SLC_CHECK(make_pin(fd.get(), unfinished), path);
    return move_pin(unfinished, path);
}

Result<std::string> read_pinned_text(const std::string& path) {
    const UniqueFd fd = SLC_TRY(open_pin(path), "read");
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "inspect " + path));
    }
    if (info.type != BPF_MAP_TYPE_ARRAY || info.max_entries != 1 || info.value_size == 0)
        return fail(Errc::conflict, path + " holds something else");
    std::string out(info.value_size, '\0');
    const std::uint32_t zero = 0;
    if (::bpf_map_lookup_elem(fd.get(), &zero, out.data()) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "read " + path));
    }
    out.pop_back();
    return out;
}

}  // namespace sluice::kernel
