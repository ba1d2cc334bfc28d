// SPDX-License-Identifier: Apache-2.0
#include "kernel/generation_pins.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "kernel/bpffs.h"
#include "kernel/pinned_text.h"

namespace sluice::kernel {
namespace {

constexpr const char* kMetaPin = "/meta";
constexpr const char* kBeingMade = "_new";
constexpr const char* kBeingRemoved = "_gone";

/// "17", and nothing else that reads as a number: "17_new" and "017" are none.
std::optional<std::uint32_t> number_of(const std::string& name) {
    std::uint32_t number = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
    if (parsed.ec != std::errc() || std::to_string(number) != name) return std::nullopt;
    return number;
}

Result<void> fill(const std::string& directory, const Pinnable& generation,
                  const std::string& meta) {
    SLC_CHECK(make_pin_directory(directory), "pin");
    SLC_CHECK(generation.pin(directory), "pin");
    return write_meta(directory, meta);
}

}  // namespace

std::vector<std::uint32_t> pinned_numbers(const std::string& gen) {
    std::vector<std::uint32_t> out;
    for (const auto& name : list_pins(gen))
        if (const auto number = number_of(name)) out.push_back(*number);
    std::sort(out.begin(), out.end());
    return out;
}

std::string generation_directory(const std::string& gen, std::uint32_t number) {
    return gen + "/" + std::to_string(number);
}

Result<void> pin_generation(const std::string& gen, const Pinnable& generation,
                            std::uint32_t number, const std::string& meta) {
    const std::string directory = generation_directory(gen, number);
    if (::access(directory.c_str(), F_OK) == 0)
        return fail(Errc::conflict, "generation " + std::to_string(number) + " is pinned already");
    const std::string unfinished = directory + kBeingMade;
    SLC_CHECK(remove_pins(unfinished), "pin");
    auto made = fill(unfinished, generation, meta);
    if (made) made = move_pin(unfinished, directory);
    if (!made) (void)remove_pins(unfinished);
    return made;
}

Result<void> unpin_generation(const std::string& gen, std::uint32_t number) {
    const std::string directory = generation_directory(gen, number);
    const std::string leaving = directory + kBeingRemoved;
    SLC_CHECK(remove_pins(leaving), "unpin");
    auto moved = move_pin(directory, leaving);
    if (!moved && moved.error().code == Errc::not_found) return {};
    SLC_CHECK(std::move(moved), "unpin");
    return remove_pins(leaving);
}

Result<void> remove_leftovers(const std::string& gen) {
    for (const auto& name : list_pins(gen)) {
        const std::string path = gen + "/" + name;
        SLC_CHECK(remove_pins(number_of(name) ? path + kMetaPin + kBeingMade : path), "leftovers");
    }
    return {};
}

Result<void> write_meta(const std::string& directory, const std::string& meta) {
    return write_pinned_text(directory + kMetaPin, meta);
}

Result<std::string> read_meta(const std::string& directory) {
    return read_pinned_text(directory + kMetaPin);
}

std::uint32_t program_id(int program_fd) {
    bpf_prog_info info{};
    __u32 size = sizeof info;
    return ::bpf_obj_get_info_by_fd(program_fd, &info, &size) == 0 ? info.id : 0;
}

std::uint32_t entry_program_id(const std::string& directory) {
    const auto program = open_pin(directory + "/" + kEntryProgramPin);
    return program ? program_id(program->get()) : 0;
}

Result<std::uint32_t> slot_program(int array_fd, std::uint32_t slot) {
    std::uint32_t id = 0;
    if (::bpf_map_lookup_elem(array_fd, &slot, &id) == 0) return id;
    const int saved = errno;
    if (saved == ENOENT) return std::uint32_t{0};
    return fail(sys_error(saved, "read slot " + std::to_string(slot)));
}

}  // namespace sluice::kernel
