// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/ip.h"
#include "base/result.h"
#include "sluice/types.h"

namespace sluice::kernel {

/// Stores one prefix in an LPM trie with keys slc_lpm4 or slc_lpm6, whichever its family is.
inline Result<void> lpm_set(int fd, const IpPrefix& prefix, std::uint32_t value) {
    slc_lpm4 key4{prefix.len, prefix.address.ip4_be()};
    slc_lpm6 key6{prefix.len, {}};
    std::memcpy(key6.addr_be, prefix.address.bytes.data(), sizeof key6.addr_be);
    const void* key = prefix.address.is_ip6 ? static_cast<const void*>(&key6) : &key4;
    if (::bpf_map_update_elem(fd, key, &value, BPF_ANY) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "insert prefix"));
    }
    return {};
}

}  // namespace sluice::kernel
