// SPDX-License-Identifier: Apache-2.0
#include "kernel/tap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "kernel/bpf_object.h"

namespace sluice::kernel {
namespace {

/// The ring takes whole pages, and a power of two of them.
std::uint32_t ring_bytes(std::size_t wanted) {
    constexpr std::size_t kLeast = std::size_t{64} << 10;
    constexpr std::size_t kMost = std::size_t{1} << 30;
    std::size_t out = kLeast;
    while (out < std::min(wanted, kMost)) out *= 2;
    return static_cast<std::uint32_t>(out);
}

Result<UniqueFd> make_map(bpf_map_type type, const char* name, std::uint32_t key_size,
                          std::uint32_t value_size, std::uint32_t entries) {
    UniqueFd fd(::bpf_map_create(type, name, key_size, value_size, entries, nullptr));
    if (fd.valid()) return fd;
    const int saved = errno;
    return fail(sys_error(saved, std::string("create ") + name)
                    .advise("a smaller buffer needs less memory"));
}

std::uint32_t cpus() {
    return static_cast<std::uint32_t>(std::max(::libbpf_num_possible_cpus(), 1));
}

}  // namespace

void Tap::FreeRing::operator()(ring_buffer* ring) const {
    ::ring_buffer__free(ring);
}

Result<Tap> Tap::open(const TapOptions& options, std::uint32_t scratch_size) {
    Tap out;
    out.reader_ = std::make_unique<Reader>();
    out.options_ = options;
    out.options_.conditions.one_in = std::max(options.conditions.one_in, 1u);
    if (out.options_.conditions.snap == 0 || out.options_.conditions.snap > SLC_TAP_MAX_SNAP)
        out.options_.conditions.snap = SLC_TAP_MAX_SNAP;
    out.events_ = SLC_TRY(
        make_map(BPF_MAP_TYPE_RINGBUF, "slc_tap_events", 0, 0, ring_bytes(options.buffer)), "tap");
    out.counts_ = SLC_TRY(
        make_map(BPF_MAP_TYPE_PERCPU_ARRAY, "slc_tap_counts", 4, sizeof(slc_tap_count), 1), "tap");
    out.scratches_ =
        SLC_TRY(make_map(BPF_MAP_TYPE_ARRAY, "slc_tap_scratch", 4, scratch_size, cpus()), "tap");
    out.ring_.reset(
        ::ring_buffer__new(out.events_.get(), &Tap::on_event, out.reader_.get(), nullptr));
    if (!out.ring_) {
        const int saved = errno;
        return fail(sys_error(saved, "tap: map the ring"));
    }
    return out;
}

Result<Tap> Tap::load(const Generation& of, const StateMaps& state, const LoadOptions& options,
                      const TapOptions& tap) {
    const BpfObject object = SLC_TRY(BpfObject::open(ObjectName::balancer, options.isa), "tap");
    const MapShape scratch = SLC_TRY(object.declared("slc_tap_scratches"), "tap");
    Tap out = SLC_TRY(open(tap, scratch.value_size), "tap");
    SLC_CHECK(out.load_programs(of, state, options), "tap");
    return out;
}

Result<void> Tap::load_programs(const Generation& of, const StateMaps& state,
                                const LoadOptions& options) {
    const TapMaps maps{options_.conditions, events_.get(), counts_.get(), scratches_.get()};
    LoadOptions loading = options;
    loading.tap = &maps;
    tapped_ = std::make_unique<Generation>(
        SLC_TRY(Generation::load_code(of, state, loading), "programs"));
    return {};
}

Result<UniqueFd> Tap::load_front(int programs_fd, std::uint32_t slot) const {
    FilterGate gate;
    gate.interfaces = options_.interfaces;
    gate.programs_fd = programs_fd;
    gate.match_slot = slot;
    return load_filter(options_.filter, gate);
}

TapPrograms Tap::programs() const {
    return {
        tapped_->program_fd(),
        {{"slc_stages", tapped_->map_fd("slc_stages")}, {"slc_next", tapped_->map_fd("slc_next")}}};
}

Result<void> Tap::move_to(const Generation& of, const StateMaps& state,
                          const LoadOptions& options) {
    // Packets may still be in the programs before; they end when nothing refers to them.
    return load_programs(of, state, options);
}

int Tap::on_event(void* reader, void* data, std::size_t size) {
    auto& to = *static_cast<Reader*>(reader);
    if (size < sizeof(slc_tap_event)) return 0;
    (*to.on_event)(std::span(static_cast<const std::byte*>(data), size));
    return ++to.taken >= to.limit ? kEnough : 0;
}

std::size_t Tap::read(std::size_t limit, const OnEvent& on_event) {
    if (limit == 0) return 0;
    *reader_ = {&on_event, limit, 0};
    (void)::ring_buffer__consume(ring_.get());
    return reader_->taken;
}

slc_tap_count Tap::counts() const {
    std::vector<slc_tap_count> row(cpus());
    const std::uint32_t zero = 0;
    slc_tap_count out{};
    if (::bpf_map_lookup_elem(counts_.get(), &zero, row.data()) != 0) return out;
    for (const slc_tap_count& each : row) {
        out.seen += each.seen;
        out.matched += each.matched;
        out.skipped += each.skipped;
        out.lost += each.lost;
    }
    return out;
}

}  // namespace sluice::kernel
