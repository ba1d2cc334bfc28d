// SPDX-License-Identifier: Apache-2.0
#include "kernel/flow_map.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <vector>

#include "kernel/bpffs.h"
#include "kernel/state_version.h"

namespace sluice::kernel {
namespace {

constexpr std::string_view kPrefix = "slc_flows_";

/// "slc_flows_3_32" -> epoch 3, shift 32.
bool parse_pin(std::string_view name, std::uint32_t& epoch, std::uint8_t& shift) {
    if (!name.starts_with(kPrefix)) return false;
    name.remove_prefix(kPrefix.size());
    const auto first = std::from_chars(name.data(), name.data() + name.size(), epoch);
    if (first.ec != std::errc() || first.ptr == name.data() + name.size() || *first.ptr != '_')
        return false;
    const auto second = std::from_chars(first.ptr + 1, name.data() + name.size(), shift);
    return second.ec == std::errc() && second.ptr == name.data() + name.size();
}

Result<void> map_memory(FlowTable& table) {
    const std::size_t size = sizeof(slc_flow_bucket) << table.geometry.log2;
    table.memory = SLC_TRY(MappedValue::map(table.fd.get(), size, "slc_flows"), "flow table");
    return {};
}

Result<FlowTable> open_pinned(const std::string& path, std::uint32_t epoch, std::uint8_t shift) {
    FlowTable out;
    out.epoch = epoch;
    out.fd = UniqueFd(::bpf_obj_get(path.c_str()));
    if (!out.fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open " + path));
    }
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(out.fd.get(), &info, &size) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "inspect " + path));
    }
    const bool fits = info.type == BPF_MAP_TYPE_ARRAY &&
                      info.value_size == sizeof(slc_flow_bucket) &&
                      std::has_single_bit(info.max_entries) && shift >= SLC_FLOW_MIN_SHIFT &&
                      shift <= SLC_FLOW_MAX_SHIFT;
    const int log2 = fits ? std::countr_zero(info.max_entries) : -1;
    if (log2 < SLC_FLOW_MIN_LOG2 || log2 > SLC_FLOW_MAX_LOG2)
        return fail(other_layout(path, info.value_size, sizeof(slc_flow_bucket)));
    out.geometry = {static_cast<std::uint8_t>(log2), shift};
    SLC_CHECK(map_memory(out), path);
    return out;
}

}  // namespace

std::uint32_t FlowTable::tick() const {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    const std::uint64_t ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
                             static_cast<std::uint64_t>(now.tv_nsec);
    return static_cast<std::uint32_t>(ns >> geometry.shift);
}

Result<FlowMap> FlowMap::open(const std::string& directory, const plan::FlowGeometry& geometry) {
    FlowMap out;
    out.directory_ = directory;
    std::vector<FlowTable> found;
    SLC_CHECK(check_state_version(directory), "flow table");
    if (!directory.empty()) {
        for (const auto& name : list_pins(directory)) {
            std::uint32_t epoch = 0;
            std::uint8_t shift = 0;
            if (parse_pin(name, epoch, shift))
                found.push_back(
                    SLC_TRY(open_pinned(directory + "/" + name, epoch, shift), "flows"));
        }
    }
    std::sort(found.begin(), found.end(), [](const FlowTable& left, const FlowTable& right) {
        return left.epoch > right.epoch;
    });
    if (found.empty()) {
        out.current_ = SLC_TRY(out.create(geometry, 1), "flow table");
        return out;
    }
    out.current_ = std::move(found[0]);
    if (found.size() > 1) out.leaving_ = std::move(found[1]);
    return out;
}

std::string FlowMap::pin_of(const FlowTable& table) const {
    return directory_ + "/" + std::string(kPrefix) + std::to_string(table.epoch) + "_" +
           std::to_string(table.geometry.shift);
}

Result<FlowTable> FlowMap::create(const plan::FlowGeometry& geometry, std::uint32_t epoch) const {
    FlowTable out;
    out.geometry = geometry;
    out.epoch = epoch;
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    out.fd = UniqueFd(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "slc_flows", sizeof(std::uint32_t),
                                       sizeof(slc_flow_bucket), 1u << geometry.log2, &options));
    if (!out.fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "create the flow table with " +
                                         std::to_string(geometry.entries()) + " entries")
                        .advise("node.flows.entries takes eight bytes each"));
    }
    SLC_CHECK(map_memory(out), "flow table");
    if (directory_.empty()) return out;
    if (::bpf_obj_pin(out.fd.get(), pin_of(out).c_str()) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "pin " + pin_of(out)));
    }
    return out;
}

Result<bool> FlowMap::fit(const plan::FlowGeometry& geometry) {
    if (current_.geometry == geometry) return true;
    if (leaving_) return false;
    FlowTable next = SLC_TRY(create(geometry, current_.epoch + 1), "resize the flow table");
    leaving_ = std::exchange(current_, std::move(next));
    return true;
}

void FlowMap::drop_leaving() {
    if (!leaving_) return;
    if (!directory_.empty()) (void)::unlink(pin_of(*leaving_).c_str());
    leaving_.reset();
}

void FlowMap::undo_fit() {
    if (!leaving_) return;
    if (!directory_.empty()) (void)::unlink(pin_of(current_).c_str());
    current_ = std::move(*leaving_);
    leaving_.reset();
}

}  // namespace sluice::kernel
