// SPDX-License-Identifier: Apache-2.0

/// Hot reload for any XDP program, by libsluice's loader and generation manager.
///
///   hotreload DIR IFACE FILE.o  proves FILE.o, then swaps it in on IFACE; its state goes on
///   hotreload DIR --back N      back to generation N
///   hotreload DIR --list        the generations that are pinned
///   hotreload DIR --detach      removes all of it
///
/// DIR is a directory on a BPF file system; what is pinned there works on without this process.

#include <linux/bpf.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "kernel/instance.h"
#include "kernel/instruction_set.h"
#include "kernel/object_generation.h"
#include "packet/notation.h"

namespace {

using namespace sluice;
using kernel::ObjectGeneration;

constexpr const char* kName = "hotreload";
constexpr std::size_t kKept = 3;

struct Proof {
    const char* packet;
    int verdict;
};
constexpr Proof kProofs[] = {
    {"udp 198.51.100.7:1234 > 192.0.2.10:53", XDP_PASS},
    {"tcp 198.51.100.7:1234 > 192.0.2.10:22 syn", XDP_PASS},
    {"udp [2001:db8::7]:1234 > [2001:db8::10]:53", XDP_PASS},
};

/// On a twin with state of its own: what runs neither sees these packets nor counts them.
Result<void> prove(const kernel::ObjectSource& source) {
    const ObjectGeneration twin = SLC_TRY(ObjectGeneration::load(source, ""), "proof");
    for (const Proof& proof : kProofs) {
        const auto frame = SLC_TRY(packet::build(proof.packet), proof.packet);
        const int verdict = SLC_TRY(twin.run(frame), proof.packet);
        if (verdict != proof.verdict)
            return fail(Errc::invalid,
                        std::string("proof: ") + proof.packet + ": verdict " +
                            std::to_string(verdict) + ", not " + std::to_string(proof.verdict),
                        "what runs is unchanged");
    }
    return {};
}

Result<void> swap_in(kernel::Instance& instance, const char* interface, const std::string& file) {
    const kernel::ObjectSource source{file, "filter", {"sources", "verdicts"}};
    SLC_CHECK(prove(source), file);
    auto next = SLC_TRY(ObjectGeneration::load(source, instance.state_directory()), file);
    const std::uint32_t number = instance.next_generation();
    SLC_CHECK(instance.keep(next, number, "{\"file\": \"" + file + "\"}"), file);
    SLC_CHECK(instance.attach(interface, kernel::AttachMode::automatic), interface);
    SLC_CHECK(next.carry(), file);
    SLC_CHECK(instance.swap_to(next), file);
    SLC_CHECK(next.settle(), file);
    const auto all = instance.generations();
    for (std::size_t i = 0; i + kKept < all.size(); ++i)
        if (!all[i].live) SLC_CHECK(instance.drop(all[i].number), "drop");
    return {};
}

Result<void> back_to(kernel::Instance& instance, const std::string& number) {
    for (const auto& each : instance.generations())
        if (std::to_string(each.number) == number)
            return instance.swap_to(SLC_TRY(ObjectGeneration::adopt(each.directory), number));
    return fail(Errc::not_found, "generation " + number + " is not pinned");
}

Result<void> run(const std::string& directory, std::string_view what, const char* argument) {
    if (what == "--detach") return kernel::Instance::remove(directory, kName);
    const auto isa = SLC_TRY(kernel::probe_instruction_set(), "this kernel");
    auto instance = SLC_TRY(kernel::Instance::open(directory, kName, isa), directory);
    if (what == "--back")
        SLC_CHECK(back_to(instance, argument), "back");
    else if (what != "--list")
        SLC_CHECK(swap_in(instance, what.data(), argument), "swap");
    for (const auto& each : instance.generations())
        std::printf("%u %s %s\n", each.number, each.live ? "live" : "kept", each.meta.c_str());
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 2 ? argv[2] : "";
    const bool alone = what == "--list" || what == "--detach";
    if (argc != (alone ? 3 : 4)) {
        std::fprintf(stderr, "usage: hotreload DIR IFACE FILE.o | --back N | --list | --detach\n");
        return 64;
    }
    const auto done = run(argv[1], what, alone ? "" : argv[3]);
    if (done) return 0;
    std::fprintf(stderr, "error: %s\n", done.error().what.c_str());
    if (!done.error().hint.empty()) std::fprintf(stderr, "hint: %s\n", done.error().hint.c_str());
    return 1;
}
