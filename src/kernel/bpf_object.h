// SPDX-License-Identifier: Apache-2.0
#pragma once

/// An owner for one of the embedded BPF objects, or for one in a file, from opening to the end of
/// its life: libbpf's calls with our errors. Programs and maps live on after it where something
/// else refers to them (a pin, a program array, a link).

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/instruction_set.h"
#include "kernel/map_copy.h"

struct bpf_map;
struct bpf_object;

namespace sluice::kernel {

enum class ObjectName { root, root_canary, balancer, agent, probe };

struct ProgramInfo {
    std::string name;
    std::uint32_t instructions = 0;        ///< After the verifier.
    std::uint32_t instructions_built = 0;  ///< In the object.
    /// The kernel's digest of its instructions, maps and constants left out.
    std::array<std::uint8_t, 8> tag{};
};

class BpfObject {
 public:
    /// Parses the embedded bytes; nothing reaches the kernel.
    static Result<BpfObject> open(ObjectName name, InstructionSet isa);
    /// The same of an ELF file that somebody else has compiled. Errors: not_found; invalid for what
    /// is no BPF object.
    static Result<BpfObject> open_file(const std::string& path);

    BpfObject(BpfObject&&) noexcept;
    BpfObject& operator=(BpfObject&&) noexcept;
    ~BpfObject();

    // Before load():
    Result<void> set_max_entries(const char* map, std::uint32_t entries);
    /// The size of a map's values, for a map whose one value holds tables. Errc::limit from 512
    /// MiB: the verifier lets no program step further into a value.
    Result<void> set_value_size(const char* map, std::size_t bytes);
    /// Uses an existing map in place of a new one. The descriptor is duplicated.
    Result<void> reuse_map(const char* map, int fd);
    /// Of a map as the object declares it.
    [[nodiscard]] Result<MapShape> declared(const char* map) const;
    /// Leaves a program, or a map that no loaded program refers to, out.
    Result<void> leave_out_program(const char* program);
    Result<void> leave_out_map(const char* map);
    /// The content of .rodata.node; `size` must be that of struct slc_node.
    Result<void> set_node(const void* node, std::size_t size);
    /// The content of another section of constants, ".rodata.canary".
    Result<void> set_constants(const char* section, const void* data, std::size_t size);

    /// Loads maps and programs. A verifier's refusal is digested to its telling line; the whole log
    /// goes to `verbose_log` when that is given.
    Result<void> load(std::string* verbose_log = nullptr);

    // After load(); -1 for a name that was left out:
    [[nodiscard]] int map_fd(const char* map) const;
    [[nodiscard]] int program_fd(const char* program) const;
    [[nodiscard]] std::vector<std::string> map_names()
        const;  ///< Those that were created or reused.
    [[nodiscard]] std::vector<ProgramInfo> programs() const;

    // Without load():
    /// Names as the object declares them.
    [[nodiscard]] const std::vector<std::string>& all_map_names() const { return map_names_; }
    /// Programs that were loaded by somebody else, by their names in the object.
    [[nodiscard]] std::vector<ProgramInfo> programs_as(
        const std::map<std::string, UniqueFd>& loaded) const;

 private:
    struct Close {
        void operator()(bpf_object* object) const;
    };
    BpfObject(std::string name, bpf_object* object);
    [[nodiscard]] bpf_map* find_map(std::string_view map) const;

    std::string name_;
    std::unique_ptr<bpf_object, Close> object_;
    /// Names as the object declares them, in libbpf's order: a map that is reused is renamed by
    /// libbpf to what its maker called it, and two maps may then have one name.
    std::vector<std::string> map_names_;
};

/// SHA-256 of the balancer's object in this program, hex: other code, another digest.
std::string code_digest(InstructionSet isa);

/// The line of a verifier log that says what is wrong, or the last one.
std::string telling_line(std::string_view verifier_log);

}  // namespace sluice::kernel
