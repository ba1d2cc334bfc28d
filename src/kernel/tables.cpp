// SPDX-License-Identifier: Apache-2.0
#include "kernel/tables.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace sluice::kernel {
namespace {

/// Stores one prefix in an LPM trie with keys slc_lpm4 or slc_lpm6, whichever its family is.
Result<void> lpm_set(int fd, const IpPrefix& prefix, std::uint32_t value) {
    slc_lpm4 key4{prefix.len, prefix.address.ip4_be()};
    slc_lpm6 key6{prefix.len, {}};
    std::memcpy(key6.addr_be, prefix.address.bytes.data(), sizeof key6.addr_be);
    const void* key = prefix.address.is_ip6 ? static_cast<const void*>(&key6) : &key4;
    if (::bpf_map_update_elem(fd, key, &value, BPF_ANY) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "insert prefix " + prefix.text()));
}

}  // namespace

Result<void> size_destinations(BpfObject& object, const plan::Image& image) {
    SLC_CHECK(object.set_table("slc_vips", at_least_one(image.vips.size()), sizeof(slc_vip)),
              "size tables");
    const std::pair<const char*, std::size_t> sizes[] = {
        {"slc_prefixes4", image.prefixes.size()},
        {"slc_prefixes6", image.prefixes.size()},
        {"slc_peers4", image.peers.size()},
        {"slc_peers6", image.peers.size()},
    };
    for (const auto& [name, entries] : sizes)
        SLC_CHECK(object.set_max_entries(name, at_least_one(entries)), "size tables");
    return {};
}

Result<void> fill_destinations(const BpfObject& object, const plan::Image& image) {
    SLC_CHECK(copy_into(object.map_fd("slc_vips"), image.vips, "slc_vips"), "fill");
    for (const auto& entry : image.prefixes) {
        const char* trie = entry.prefix.address.is_ip6 ? "slc_prefixes6" : "slc_prefixes4";
        SLC_CHECK(lpm_set(object.map_fd(trie), entry.prefix, entry.record), trie);
    }
    for (const auto& prefix : image.peers) {
        const char* trie = prefix.address.is_ip6 ? "slc_peers6" : "slc_peers4";
        SLC_CHECK(lpm_set(object.map_fd(trie), prefix, 1), trie);
    }
    return {};
}

}  // namespace sluice::kernel
