// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A generation of a configuration in the kernel, with header templates for all backends, and
/// nothing attached or pinned: what twins are made of in tests.

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "config/parse.h"
#include "kernel/generation.h"
#include "kernel/instruction_set.h"
#include "kernel/twin.h"
#include "packet/notation.h"
#include "plan/header_template.h"
#include "plan/image.h"

namespace sluice::test {

/// Why nothing can be loaded here; empty when it can.
inline std::string missing_privilege() {
    const auto isa = kernel::probe_instruction_set();
    return isa ? std::string() : isa.error().what;
}

class TwinRig {
 public:
    /// `resolved`: backends with a header template; all when it is empty.
    explicit TwinRig(const std::string& text, const std::vector<std::string>& resolved = {}) {
        auto outcome = config::parse(text, "test.yaml");
        for (const auto& error : outcome.errors) ADD_FAILURE() << error.text();
        if (!outcome.ok()) std::abort();
        config = std::move(outcome.config);
        plan::CompileOptions options;
        options.table_seed = 1;
        options.frag_buckets = SLC_FRAG_MIN_BUCKETS;
        auto compiled = plan::compile(config, ids, options);
        EXPECT_TRUE(compiled) << compiled.error().what;
        image = std::move(*compiled);
        auto opened = kernel::StateMaps::open("", {.services = image.highest_service + 1,
                                                   .members = image.highest_member + 1,
                                                   .customers = 1,
                                                   .policies = 1,
                                                   .frag_buckets = SLC_FRAG_MIN_BUCKETS,
                                                   .flows = plan::flow_geometry(config)});
        EXPECT_TRUE(opened) << opened.error().what;
        state.emplace(std::move(*opened));
        load(resolved);
    }

    /// Another generation of the same configuration, for the flow table that is in use then.
    void load(const std::vector<std::string>& resolved = {}) {
        auto loaded = kernel::Generation::load(image, *state, options());
        EXPECT_TRUE(loaded) << loaded.error().what;
        generation.emplace(std::move(*loaded));
        for (const auto& member : image.members) {
            const bool is_wanted =
                resolved.empty() ||
                std::ranges::find(resolved, member.address.text()) != resolved.end();
            for (std::uint32_t variant = 0; is_wanted && variant < SLC_VARIANTS; ++variant) {
                if ((member.variants & (1u << variant)) == 0) continue;
                const slc_template header = template_of(member.address, variant);
                EXPECT_TRUE(generation->set_cell(member.id, variant, &header));
            }
        }
    }

    /// Through the loopback device, where a test run receives; IP packets up to 9,000 bytes.
    [[nodiscard]] slc_template template_of(const IpAddress& backend, std::uint32_t variant) const {
        plan::NextHop hop;
        hop.state = plan::HopState::resolved;
        hop.ifindex = 1;
        hop.interface = "lo";
        hop.mtu = 9000;
        hop.preferred_source = *IpAddress::parse(backend.is_ip6 ? "fd00::1" : "10.0.0.1");
        const plan::TunnelSources sources{config.node.tunnel_source4, config.node.tunnel_source6,
                                          config.node.gue_port};
        auto header = plan::build_template(static_cast<config::Forward>(variant >> 1),
                                           (variant & 1) != 0, backend, hop, sources);
        EXPECT_TRUE(header) << header.error().what;
        return *header;
    }

    static kernel::LoadOptions options() {
        kernel::LoadOptions out;
        out.isa = *kernel::probe_instruction_set();
        return out;
    }

    kernel::Twin twin() {
        auto loaded = kernel::Twin::load(*generation, *state, options());
        EXPECT_TRUE(loaded) << loaded.error().what << "\n" << loaded.error().hint;
        return std::move(*loaded);
    }

    [[nodiscard]] std::uint32_t member_of(const std::string& address) const {
        for (const auto& member : image.members)
            if (member.address.text() == address) return member.id;
        ADD_FAILURE() << "no backend " << address;
        return 0;
    }
    /// "" for member 0.
    [[nodiscard]] std::string backend_of(std::uint32_t id) const {
        for (const auto& member : image.members)
            if (member.id == id) return member.address.text();
        return "";
    }
    /// Every slot belongs to one backend.
    [[nodiscard]] std::vector<std::uint64_t> all_slots(const std::string& backend) const {
        return std::vector<std::uint64_t>(image.slots.size(),
                                          SLC_SLOT_MAKE(member_of(backend), 0, 0));
    }
    /// Through the program that carries traffic: live state moves.
    void send_live(const std::string& notation) const {
        const auto frame = packet::build(notation);
        ASSERT_TRUE(frame) << frame.error().what;
        LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame->data(),
                    .data_size_in = static_cast<__u32>(frame->size()), .repeat = 1);
        ASSERT_EQ(::bpf_prog_test_run_opts(generation->program_fd(), &run), 0);
    }

    config::Config config;
    plan::IdStore ids;
    plan::Image image;
    std::optional<kernel::StateMaps> state;
    std::optional<kernel::Generation> generation;
};

}  // namespace sluice::test
