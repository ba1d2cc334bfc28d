// SPDX-License-Identifier: Apache-2.0
#include "kernel/xdp_link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

namespace sluice::kernel {
namespace {

/// The link's descriptor, or minus errno.
int create(int program_fd, std::uint32_t ifindex, std::uint32_t flags) {
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
    const int fd = ::bpf_link_create(program_fd, static_cast<int>(ifindex), BPF_XDP, &options);
    return fd >= 0 ? fd : -errno;
}

/// " (xdp_filter, id 42)" of the program on an interface, as far as this process may know. Names
/// need CAP_SYS_ADMIN, ids do not.
std::string foreign_program(std::uint32_t ifindex) {
    __u32 id = 0;
    if (::bpf_xdp_query_id(static_cast<int>(ifindex), 0, &id) != 0 || id == 0) return {};
    const std::string text = "id " + std::to_string(id) + ")";
    const UniqueFd program(::bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (!program.valid() || ::bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0)
        return " (" + text;
    return std::string(" (") + info.name + ", " + text;
}

Error attach_error(int saved, const Attachment& attachment, const char* mode) {
    const std::string& interface = attachment.interface;
    Error error = sys_error(saved, std::string("attach to ") + interface + " in " + mode + " mode");
    if (saved == EBUSY || saved == EEXIST) {
        error.code = Errc::conflict;
        error.hint = "another XDP program" + foreign_program(attachment.ifindex) + " is on " +
                     interface + ", and Sluice never replaces one: take it off (ip link set dev " +
                     interface + " xdp off), or run it behind Sluice with node.next";
    }
    if (error.code == Errc::denied) error.hint = "needs CAP_BPF and CAP_NET_ADMIN";
    return error;
}

/// Errors by which a driver says that it cannot, rather than that it may not now.
bool driver_cannot(int saved) {
    return saved == EOPNOTSUPP || saved == EINVAL || saved == ENOTSUP || saved == ERANGE ||
           saved == E2BIG;
}

Result<bpf_link_info> info_of(int link_fd) {
    bpf_link_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(link_fd, &info, &size) == 0) return info;
    const int saved = errno;
    return fail(sys_error(saved, "inspect"));
}

}  // namespace

Result<std::uint32_t> ifindex_of(const std::string& interface) {
    const unsigned ifindex = ::if_nametoindex(interface.c_str());
    const int saved = errno;
    if (ifindex != 0) return ifindex;
    Error error = sys_error(saved, "interface " + interface);
    error.code = Errc::not_found;
    error.hint = "ip link shows the interfaces of this network namespace";
    return fail(std::move(error));
}

Result<XdpLink> attach_xdp(int program_fd, const std::string& interface, AttachMode mode) {
    XdpLink out;
    out.attachment.interface = interface;
    out.attachment.ifindex = SLC_TRY(ifindex_of(interface), "attach");
    if (mode != AttachMode::generic) {
        const int fd = create(program_fd, out.attachment.ifindex, XDP_FLAGS_DRV_MODE);
        if (fd >= 0) {
            out.fd.reset(fd);
            return out;
        }
        if (!driver_cannot(-fd)) return fail(attach_error(-fd, out.attachment, "native"));
        if (mode == AttachMode::native) {
            Error error = attach_error(-fd, out.attachment, "native");
            error.code = Errc::unsupported;
            error.hint =
                "its driver has no native XDP, or its MTU, queues or offloads forbid it: "
                "sluice doctor -i " +
                interface + " says which; xdp_mode: generic works everywhere, slowly";
            return fail(std::move(error));
        }
        out.attachment.fell_back = true;
        out.attachment.why = std::strerror(-fd);
    }
    const int fd = create(program_fd, out.attachment.ifindex, XDP_FLAGS_SKB_MODE);
    if (fd < 0) return fail(attach_error(-fd, out.attachment, "generic"));
    out.fd.reset(fd);
    out.attachment.generic = true;
    return out;
}

Result<void> update_xdp(int link_fd, int program_fd) {
    // Without BPF_F_REPLACE: the link is ours, and whatever program of ours is on it gives way.
    if (::bpf_link_update(link_fd, program_fd, nullptr) == 0) return {};
    const int saved = errno;
    Error error = sys_error(saved, "update the XDP link");
    if (saved == ENOLINK) error.code = Errc::not_found;
    return fail(std::move(error));
}

Result<std::uint32_t> link_program(int link_fd) {
    const bpf_link_info info = SLC_TRY(info_of(link_fd), "link");
    return info.prog_id;
}

Result<std::uint32_t> link_ifindex(int link_fd) {
    const bpf_link_info info = SLC_TRY(info_of(link_fd), "link");
    if (info.type != BPF_LINK_TYPE_XDP) return fail(Errc::conflict, "not an XDP link");
    return info.xdp.ifindex;
}

Result<bool> is_generic(std::uint32_t ifindex) {
    LIBBPF_OPTS(bpf_xdp_query_opts, options);
    const int error = ::bpf_xdp_query(static_cast<int>(ifindex), 0, &options);
    if (error != 0) return fail(sys_error(-error, "query XDP"));
    return options.attach_mode == XDP_ATTACHED_SKB;
}

}  // namespace sluice::kernel
