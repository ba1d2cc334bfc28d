// SPDX-License-Identifier: Apache-2.0
#pragma once

/// XDP links (Linux 5.9 and later): an attachment that is owned by a descriptor or a pin, and that
/// the kernel refuses to put over another program.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::kernel {

enum class AttachMode { automatic, native, generic };

struct Attachment {
    std::string interface;
    std::uint32_t ifindex = 0;
    bool generic = false;
    bool fell_back = false;  ///< Generic because the driver refused native mode.
    std::string why;         ///< What the driver said, when it fell back.
};

struct XdpLink {
    UniqueFd fd;
    Attachment attachment;
};

/// Attaches `program_fd` to an interface. `automatic` tries native mode and falls back to generic,
/// and says so.
/// Errors: not_found (no such interface), conflict (another program is there), unsupported (native
/// asked for and refused), denied.
Result<XdpLink> attach_xdp(int program_fd, const std::string& interface, AttachMode mode);

/// Puts another program on a link; no packet meets none. Takes some milliseconds. Errors: not_found
/// when the link's device is gone.
Result<void> update_xdp(int link_fd, int program_fd);

/// Id of the program that a link holds.
Result<std::uint32_t> link_program(int link_fd);

/// The interface a link holds; 0 when its device is gone.
Result<std::uint32_t> link_ifindex(int link_fd);

/// Index of an interface. Errc::not_found when there is none of that name.
Result<std::uint32_t> ifindex_of(const std::string& interface);

/// Whether the interface's program runs in generic (skb) mode.
Result<bool> is_generic(std::uint32_t ifindex);

}  // namespace sluice::kernel
