// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What lies in <instance>/gen: a directory <n> for each generation that is pinned, with its maps,
/// programs and `meta`. Directories appear and go whole: they are made and emptied under names that
/// are no numbers, which nobody lists; a killed process leaves such a directory at most, and
/// remove_leftovers() takes it away. Used by instance.h alone.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/pinnable.h"

namespace sluice::kernel {

/// Numbers of the generations in `gen`, ascending.
std::vector<std::uint32_t> pinned_numbers(const std::string& gen);
std::string generation_directory(const std::string& gen, std::uint32_t number);

/// Errors: conflict when that number is pinned; what the generation's own pin() says; limit.
Result<void> pin_generation(const std::string& gen, const Pinnable& generation,
                            std::uint32_t number, const std::string& meta);
/// Nothing there is no error.
Result<void> unpin_generation(const std::string& gen, std::uint32_t number);
Result<void> remove_leftovers(const std::string& gen);

/// `directory`/meta: pinned_text.h.
Result<void> write_meta(const std::string& directory, const std::string& meta);
Result<std::string> read_meta(const std::string& directory);

/// Id of a program; 0 when the kernel does not say.
std::uint32_t program_id(int program_fd);
/// Of the program that packets enter a pinned generation by; 0 when it cannot be opened.
std::uint32_t entry_program_id(const std::string& directory);
/// Of the program in a slot of a program array; 0: the slot is empty. Errors: those of reading.
Result<std::uint32_t> slot_program(int array_fd, std::uint32_t slot);

}  // namespace sluice::kernel
