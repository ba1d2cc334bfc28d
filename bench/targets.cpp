// SPDX-License-Identifier: Apache-2.0
#include "bench/targets.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "bench_classic.h"
#include "plan/flow_plan.h"
#include "plan/header_template.h"

namespace sluice::bench {
namespace {

IpAddress address(const std::string& text) {
    return IpAddress::parse(text).value_or(IpAddress{});
}

std::string backend_text(bool ip6, unsigned index) {
    return ip6 ? fmt::format("fd00::{:x}", 256 + index)
               : fmt::format("10.0.{}.{}", 1 + index / 250, 1 + index % 250);
}

config::Group group_of(const std::string& name, bool ip6, const SluiceSetup& setup) {
    config::Group group;
    group.name = name;
    for (unsigned i = 0; i < setup.backends; ++i) {
        config::Backend backend;
        backend.address = address(backend_text(ip6, i));
        group.backends.push_back(backend);
    }
    return group;
}

config::Service service_of(const std::string& name, const IpPrefix& vip, std::size_t group,
                           config::Forward forward) {
    config::Service service;
    service.name = name;
    service.vip = vip;
    service.protocol = config::Protocol::both;
    service.ports = {kPort, kPort, false};
    service.forward = forward;
    service.group = group;
    return service;
}

Result<void> fill_templates(kernel::Generation& generation, const plan::Image& image,
                            const config::Config& config, const SluiceTarget::HopOf& hop_of) {
    const plan::TunnelSources sources{config.node.tunnel_source4, config.node.tunnel_source6,
                                      config.node.gue_port};
    for (const plan::ImageMember& member : image.members) {
        for (std::uint32_t variant = 0; variant < SLC_VARIANTS; ++variant) {
            if ((member.variants >> variant & 1) == 0) continue;
            const slc_template header = SLC_TRY(
                plan::build_template(static_cast<config::Forward>(variant >> 1), (variant & 1) != 0,
                                     member.address, hop_of(member.address), sources),
                member.address.text());
            SLC_CHECK(generation.set_cell(member.id, variant, &header), member.address.text());
        }
    }
    return {};
}

}  // namespace

plan::NextHop test_hop() {
    plan::NextHop hop;
    hop.state = plan::HopState::resolved;
    hop.ifindex = 1;
    hop.interface = "lo";
    hop.source = {{2, 0, 0, 0, 0, 2}};
    hop.destination = {{2, 0, 0, 0, 0, 3}};
    hop.mtu = 9000;
    return hop;
}

config::Config config_of(const SluiceSetup& setup) {
    config::Config config;
    config.node.name = "bench";
    config.node.interfaces = {"lo"};
    config.node.tunnel_source4 = IpPrefix::parse("10.255.0.0/24");
    config.node.tunnel_source6 = IpPrefix::parse("fd00:ff::/64");
    config.node.ring_secret = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    config.node.has_ring_secret = true;
    if (!setup.samples) config.node.sample_one_in = 0;
    if (setup.flow_entries != 0) config.node.flow_entries = setup.flow_entries;
    if (setup.ip4) {
        config.groups.push_back(group_of("web4", setup.backend4_is_ip6, setup));
        config.services.push_back(
            service_of("web4", {address(kVip4), 32}, config.groups.size() - 1, setup.forward4));
    }
    if (setup.ip6) {
        config.groups.push_back(group_of("web6", setup.backend6_is_ip6, setup));
        config.services.push_back(
            service_of("web6", {address(kVip6), 128}, config.groups.size() - 1, setup.forward6));
    }
    for (unsigned i = 0; i < setup.prefixes; ++i) {
        // /24 .. /27 below 100.64.0.0/10, none of which the packets of a scenario go to.
        const auto len = static_cast<std::uint8_t>(24 + i % 4);
        const IpPrefix vip{address(fmt::format("100.{}.{}.0", 64 + i / 256, i % 256)), len};
        config.services.push_back(service_of(fmt::format("prefix{}", i), vip, 0, setup.forward4));
    }
    return config;
}

Result<SluiceTarget> SluiceTarget::load(const SluiceSetup& setup) {
    return load(
        config_of(setup), [](const IpAddress&) { return test_hop(); },
        setup.counts ? 0 : SLC_FEATURE_UNCOUNTED);
}

Result<SluiceTarget> SluiceTarget::load(const config::Config& config, const HopOf& hop_of,
                                        std::uint32_t features) {
    plan::IdStore ids;
    plan::CompileOptions options;
    options.table_seed = 0x243f6a8885a308d3;
    plan::Image image = SLC_TRY(plan::compile(config, ids, options), "sluice");
    image.node.features |= features;
    auto state =
        SLC_TRY(kernel::StateMaps::open("", {image.highest_service + 1, image.highest_member + 1,
                                             image.highest_customer + 1, image.highest_policy + 1,
                                             options.frag_buckets, plan::flow_geometry(config)}),
                "sluice");
    // The instruction set of Linux 6.6, or else that of every kernel before.
    kernel::LoadOptions load;
    load.isa = kernel::InstructionSet::v4;
    auto generation = kernel::Generation::load(image, state, load);
    if (!generation) {
        load.isa = kernel::InstructionSet::v3;
        generation = kernel::Generation::load(image, state, load);
    }
    if (!generation) return fail(std::move(generation).error().in("sluice"));
    SLC_CHECK(fill_templates(*generation, image, config, hop_of), "sluice");
    auto root = SLC_TRY(kernel::BpfObject::open(kernel::ObjectName::root, load.isa), "sluice");
    SLC_CHECK(root.load(), "sluice");
    const std::uint32_t slot = 0;
    const int program = generation->program_fd();
    if (::bpf_map_update_elem(root.map_fd("slc_root_progs"), &slot, &program, BPF_ANY) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "sluice: install the program"));
    }
    SluiceTarget out(std::move(state), std::move(*generation), std::move(root));
    out.isa_ = load.isa;
    return out;
}

std::uint32_t SluiceTarget::instructions() const {
    for (const kernel::ProgramInfo& program : generation_.programs()) {
        if (program.name == "slc_lb") return program.instructions;
    }
    return 0;
}

void SluiceTarget::flag_slots(std::uint64_t flags) {
    for (std::uint64_t& slot : generation_.slots()) {
        const auto owner = static_cast<std::uint32_t>(SLC_SLOT_CURRENT(slot));
        kernel::publish(slot, SLC_SLOT_MAKE(owner, owner, flags));
    }
}

SluiceTarget::Followed SluiceTarget::followed() const {
    Followed out;
    for (const slc_flow_counter& counter : state_.flow_counters()) {
        out.hits += counter.hits;
        out.misses += counter.misses;
    }
    return out;
}

namespace {

Result<void> put(int map, const void* key, const void* value, const char* what) {
    if (::bpf_map_update_elem(map, key, value, BPF_ANY) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, std::string("fill ") + what));
}

}  // namespace

Result<UniqueFd> ClassicTarget::make_flow_table(std::uint32_t flows) {
    UniqueFd table(::bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "classic_flows",
                                    sizeof(classic_flow_key), sizeof(classic_flow), flows,
                                    nullptr));
    if (table.valid()) return table;
    const int saved = errno;
    return fail(sys_error(saved, fmt::format("create a table of {} flows", flows))
                    .advise("give a smaller one with --flow-table"));
}

Result<ClassicTarget> ClassicTarget::load(int flow_table, unsigned cpu) {
    ClassicTarget out;
    out.object_ = SLC_TRY(open_object(bench_classic_bytes, sizeof bench_classic_bytes, "classic"),
                          "baseline");
    struct {
        std::uint32_t source_be;
        std::uint32_t source6_be[4];
        std::uint8_t gateway[8];
    } constants{};
    constants.source_be = htonl(0xac100000);  // 172.16.0.0, and entropy
    constants.source6_be[0] = htonl(0x01000000);
    constants.gateway[0] = 2;
    constants.gateway[5] = 3;
    SLC_CHECK(set_global(out.object_.get(), ".rodata", &constants, sizeof constants), "baseline");
    bpf_map* rings = ::bpf_object__find_map_by_name(out.object_.get(), "classic_rings");
    ::bpf_map__set_max_entries(rings, 2 * CLASSIC_RING_SLOTS);
    SLC_CHECK(load_object(out.object_.get(), "classic"), "baseline");
    SLC_CHECK(put(map_of(out.object_.get(), "classic_flows"), &cpu, &flow_table, "flow table"),
              "baseline");
    SLC_CHECK(out.fill(), "baseline");
    return out;
}

Result<void> ClassicTarget::fill() {
    constexpr std::uint32_t kReals = 100;
    std::uint32_t state = 1;
    for (std::uint32_t family = 0; family < 2; ++family) {
        for (const std::uint8_t proto : {IPPROTO_TCP, IPPROTO_UDP}) {
            classic_vip_key key{};
            const IpAddress vip = address(family == 0 ? kVip4 : kVip6);
            std::memcpy(key.addr_be, vip.bytes.data(), sizeof key.addr_be);
            key.port_be = htons(kPort);
            key.proto = proto;
            key.is_ip6 = static_cast<bench_u8>(family);
            const classic_vip value{0, family};
            SLC_CHECK(put(map_of(object_.get(), "classic_vips"), &key, &value, "VIPs"), "classic");
        }
        for (std::uint32_t i = 0; i < kReals; ++i) {
            classic_real real{};
            const IpAddress to = address(backend_text(family == 1, i));
            std::memcpy(real.addr_be, to.bytes.data(), sizeof real.addr_be);
            real.is_ip6 = family;
            const std::uint32_t index = family * kReals + i;
            SLC_CHECK(put(map_of(object_.get(), "classic_reals"), &index, &real, "reals"),
                      "classic");
        }
        for (std::uint32_t i = 0; i < CLASSIC_RING_SLOTS; ++i) {
            state = state * 1664525 + 1013904223;
            const std::uint32_t index = family * CLASSIC_RING_SLOTS + i;
            const std::uint32_t real = family * kReals + (state >> 8) % kReals;
            SLC_CHECK(put(map_of(object_.get(), "classic_rings"), &index, &real, "rings"),
                      "classic");
        }
    }
    return {};
}

Result<void> ClassicTarget::limit_new_flows(bool limited) {
    const std::uint32_t zero = 0;
    const std::uint64_t rate = limited ? 125'000 : std::numeric_limits<std::uint64_t>::max();
    return put(map_of(object_.get(), ".data"), &zero, &rate, "rate of new flows");
}

Result<PinnedTarget> PinnedTarget::open(const std::string& argument) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
        return fail(Errc::invalid, "--pinned " + argument + ": not NAME=PATH");
    }
    PinnedTarget out;
    out.name = argument.substr(0, equals);
    const std::string path = argument.substr(equals + 1);
    out.program.reset(::bpf_obj_get(path.c_str()));
    if (!out.program.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "--pinned " + argument));
    }
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    if (::bpf_obj_get_info_by_fd(out.program.get(), &info, &size) != 0 ||
        info.type != BPF_PROG_TYPE_XDP) {
        return fail(Errc::invalid, "--pinned " + argument + ": not an XDP program");
    }
    return out;
}

}  // namespace sluice::bench
