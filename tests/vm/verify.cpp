// SPDX-License-Identifier: Apache-2.0

/// Loads BPF objects into the running kernel under many specialisations, without the loader of
/// libsluice between: what a verifier thinks of each feature alone, of all together and of all but
/// one. Run on the oldest supported kernel by tests/vm/guest/objects.sh, where the verifier knows
/// least; for each program it prints instructions and how many of them the verifier walked.
///
///     vm_verify [--each] OBJECT...
///
/// Without --each only eight: no feature, the least that forwards, all, all but what takes the flow
/// table out of the steady path, and the twins and the taps of these two.
/// Exit code 0 when all loaded, 1 when one was rejected (with the end of the verifier's log), 77
/// without the privilege to load.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/types.h"

namespace {

constexpr std::uint32_t kFeatureBits = 28;
/// A twin carries no traffic, and others pay for a tap: ways of their own. Counting is always
/// there.
constexpr std::uint32_t kOthers = SLC_FEATURE_PROOF | SLC_FEATURE_TAP | SLC_FEATURE_UNCOUNTED;
constexpr std::uint32_t kAllFeatures = ((1u << kFeatureBits) - 1) & ~kOthers;
/// Where the flow table is asked at once, not in a stage of its own: the longest way (pick.h).
constexpr std::uint32_t kSteady =
    kAllFeatures & ~(SLC_FEATURE_FLOWS_OLD | SLC_FEATURE_CONNECTION_ID | SLC_FEATURE_TCP_SERVER_ID);
constexpr std::size_t kLogBytes = 16u << 20;
constexpr std::size_t kLogTail = 6000;
constexpr int kNoPrivilege = 77;

struct ObjectCloser {
    bpf_object* object;
    explicit ObjectCloser(bpf_object* opened) : object(opened) {}
    ~ObjectCloser() { bpf_object__close(object); }
    ObjectCloser(const ObjectCloser&) = delete;
    ObjectCloser& operator=(const ObjectCloser&) = delete;
};

/// Names and feature masks.
std::vector<std::pair<std::string, std::uint32_t>> specialisations(bool each) {
    constexpr std::uint32_t base = SLC_FEATURE_IP4 | SLC_FEATURE_IPIP | SLC_FEATURE_OUTER4;
    std::vector<std::pair<std::string, std::uint32_t>> all{
        {"none", 0},
        {"least", base},
        {"steady", kSteady},
        {"all", kAllFeatures},
        {"steady twin", kSteady | SLC_FEATURE_PROOF},
        {"twin", kAllFeatures | SLC_FEATURE_PROOF},
        {"steady tap", kSteady | SLC_FEATURE_TAP},
        {"tap", kAllFeatures | SLC_FEATURE_TAP}};
    for (std::uint32_t bit = 0; each && bit < kFeatureBits; ++bit) {
        if ((kOthers & ~SLC_FEATURE_PROOF) >> bit & 1) continue;
        all.emplace_back("least+" + std::to_string(bit), base | (1u << bit));
        all.emplace_back("all-" + std::to_string(bit), kAllFeatures & ~(1u << bit));
    }
    return all;
}

/// Puts `count` records behind what lies in a table map already; returns where they start.
template <typename Record>
std::uint32_t place(std::size_t& bytes, std::uint32_t count) {
    const auto at = static_cast<std::uint32_t>(bytes);
    bytes += sizeof(Record) * count;
    return at;
}

/// Constants and table sizes of a configuration of middle size.
slc_node node_with(std::uint32_t features, std::size_t& plan_bytes, std::size_t& live_bytes) {
    constexpr std::uint32_t many = 1024;
    slc_node node{};
    node.features = features;
    node.vip_mask = node.port_mask = many - 1;
    node.frag_mask = 255;
    node.icmp_rate = node.icmp_burst = 1000;
    node.tunnel4_host_mask_be = 0xff000000;
    node.tunnel6_host_mask_be = ~0ull;
    node.gue_port_be = 0xc017;
    node.vips = node.ports = node.services = node.rings = node.members = node.templates = many;
    node.accounts = many;
    node.slots = 64 * many;
    node.flow_log2 = node.flow_old_log2 = 6;
    node.flow_shift = node.flow_old_shift = 32;
    node.sample_log2 = 10;
    place<slc_vip>(plan_bytes, node.vips);
    node.ports_at = place<slc_port_bucket>(plan_bytes, node.ports);
    node.services_at = place<slc_service>(plan_bytes, node.services);
    place<std::uint64_t>(live_bytes, node.rings);
    node.slots_at = place<std::uint64_t>(live_bytes, node.slots);
    node.members_at = place<slc_member>(live_bytes, node.members);
    node.templates_at = place<slc_template>(live_bytes, node.templates);
    node.accounts_at = place<slc_account>(live_bytes, node.accounts);
    return node;
}

/// Maps that the loader does not make for programs without the feature: what refers to them must be
/// seen to be dead.
void leave_out(bpf_map* map, std::uint32_t features) {
    const std::string_view name = bpf_map__name(map);
    const bool is_unused = (name == "slc_proof_value" && (features & SLC_FEATURE_PROOF) == 0) ||
                           ((name.starts_with("slc_tap_") || name.ends_with("rodata.tap")) &&
                            (features & SLC_FEATURE_TAP) == 0);
    if (is_unused) bpf_map__set_autocreate(map, false);
}

/// Writes what a loader would into .rodata and the tables; false when the object has no slc_node.
bool specialise(bpf_object* object, std::uint32_t features) {
    std::size_t plan_bytes = 0;
    std::size_t live_bytes = 0;
    const slc_node node = node_with(features, plan_bytes, live_bytes);
    bool written = false;
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
        const std::string_view name = bpf_map__name(map);
        leave_out(map, features);
        if (name == "slc_plan") bpf_map__set_value_size(map, plan_bytes);
        if (name == "slc_live") bpf_map__set_value_size(map, live_bytes);
        if (name.find("rodata.node") != std::string_view::npos)
            written = bpf_map__set_initial_value(map, &node, sizeof node) == 0;
    }
    return written;
}

void print_programs(bpf_object* object) {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object) {
        bpf_prog_info info{};
        std::uint32_t length = sizeof info;
        if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length) == 0) {
            std::printf("    %-12s %6u instructions, %7u walked\n", bpf_program__name(program),
                        static_cast<unsigned>(info.xlated_prog_len / 8), info.verified_insns);
        }
    }
}

int load(const char* path, const std::string& name, std::uint32_t features) {
    static std::vector<char> log(kLogBytes);
    log[0] = '\0';
    bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.kernel_log_buf = log.data();
    options.kernel_log_size = log.size();
    options.kernel_log_level = 1;
    ObjectCloser opened(bpf_object__open_file(path, &options));
    if (opened.object == nullptr) {
        std::printf("%s: cannot be opened: %s\n", path, std::strerror(errno));
        return 1;
    }
    const bool specialised = specialise(opened.object, features);
    if (const int error = bpf_object__load(opened.object); error != 0) {
        if (error == -EPERM) {
            return kNoPrivilege;
        }
        const std::string text(log.data());
        std::printf("%s, features %s: rejected: %s\n%s\n", path, name.c_str(),
                    std::strerror(-error),
                    text.substr(text.size() > kLogTail ? text.size() - kLogTail : 0).c_str());
        return 1;
    }
    if (name.find('+') == std::string::npos && name.find('-') == std::string::npos) {
        std::printf("  %s, features %s%s\n", path, name.c_str(), specialised ? "" : " (has none)");
        print_programs(opened.object);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    int rejected = 0;
    libbpf_set_print(nullptr);
    const bool each = argc > 1 && std::string_view(argv[1]) == "--each";
    for (int i = each ? 2 : 1; i < argc; ++i) {
        int loaded = 0;
        for (const auto& [name, features] : specialisations(each)) {
            const int code = load(argv[i], name, features);
            if (code == kNoPrivilege) {
                std::printf("skipped: loading BPF programs needs CAP_BPF and CAP_NET_ADMIN\n");
                return kNoPrivilege;
            }
            rejected += code;
            loaded += 1 - code;
        }
        std::printf("%s: %d specialisations load\n", argv[i], loaded);
        std::fflush(stdout);
    }
    return rejected == 0 ? 0 : 1;
}
