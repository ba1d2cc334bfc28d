// SPDX-License-Identifier: Apache-2.0
#include "traffic/bpf_tools.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/unique_fd.h"
#include "traffic_programs.h"

namespace sluice::traffic {

void Programs::Close::operator()(bpf_object* object) const {
    ::bpf_object__close(object);
}

namespace {

Result<void> share(bpf_object* object, std::uint32_t arrived) {
    const UniqueFd map(::bpf_map_get_fd_by_id(arrived));
    const int failed =
        map.valid() ? ::bpf_map__reuse_fd(::bpf_object__find_map_by_name(object, "traffic_arrived"),
                                          map.get())
                    : -errno;
    if (failed == 0) return {};
    return fail(sys_error(-failed, "open the other end's counters"));
}

}  // namespace

Result<Programs> Programs::load(const char* name, const void* value, std::size_t size,
                                std::uint32_t arrived) {
    ::libbpf_set_print(nullptr);
    Programs out;
    LIBBPF_OPTS(bpf_object_open_opts, options);
    options.object_name = "traffic";
    out.object_.reset(
        ::bpf_object__open_mem(traffic_programs_bytes, sizeof traffic_programs_bytes, &options));
    if (!out.object_) {
        const int saved = errno;
        return fail(sys_error(saved, "open the programs"));
    }
    bpf_map* map = ::bpf_object__find_map_by_name(out.object_.get(), name);
    std::size_t room = 0;
    const void* initial = map == nullptr ? nullptr : ::bpf_map__initial_value(map, &room);
    if (initial == nullptr || room < size) return fail(Errc::internal, "no constants of that name");
    const auto* first = static_cast<const std::uint8_t*>(initial);
    std::vector<std::uint8_t> content(first, first + room);
    std::memcpy(content.data(), value, size);
    if (arrived != 0) SLC_CHECK(share(out.object_.get(), arrived), "numbered");
    int failed = ::bpf_map__set_initial_value(map, content.data(), room);
    if (failed == 0) failed = ::bpf_object__load(out.object_.get());
    if (failed != 0) return fail(sys_error(-failed, "load the programs"));
    return out;
}

int Programs::program(const char* name) const {
    const bpf_program* program = ::bpf_object__find_program_by_name(object_.get(), name);
    return program == nullptr ? -1 : ::bpf_program__fd(program);
}

int Programs::map(const char* name) const {
    return ::bpf_object__find_map_fd_by_name(object_.get(), name);
}

Result<std::uint32_t> id_of_map(int map) {
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    if (::bpf_obj_get_info_by_fd(map, &info, &size) == 0) return info.id;
    const int saved = errno;
    return fail(sys_error(saved, "ask about a map"));
}

Result<void> attach(int program, std::uint32_t ifindex) {
    if (::bpf_link_create(program, static_cast<int>(ifindex), BPF_XDP, nullptr) >= 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "attach to the interface"));
}

Result<void> send_live(int program, std::uint32_t ifindex, std::uint32_t frame_len,
                       std::uint32_t count) {
    std::vector<std::uint8_t> frame(frame_len);
    xdp_md context{};
    context.data_end = frame_len;
    context.ingress_ifindex = ifindex;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = frame.data();
    options.data_size_in = frame_len;
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    options.repeat = static_cast<int>(count);
    options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    if (::bpf_prog_test_run_opts(program, &options) == 0) return {};
    const int saved = errno;
    // Broken off by a signal: what has gone is counted by the program.
    if (saved == EINTR) return {};
    return fail(sys_error(saved, "send live frames"));
}

}  // namespace sluice::traffic
