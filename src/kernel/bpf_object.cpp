// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/digest.h"

// The generated headers name struct slc_node.
#include "sluice/types.h"

#include "agent_v3.skel.h"
#include "agent_v4.skel.h"
#include "lb_v3.skel.h"
#include "lb_v4.skel.h"
#include "probe_v3.skel.h"
#include "probe_v4.skel.h"
#include "root_canary_v3.skel.h"
#include "root_canary_v4.skel.h"
#include "root_v3.skel.h"
#include "root_v4.skel.h"

namespace sluice::kernel {
namespace {

constexpr std::size_t kLogSize = std::size_t{1} << 20;

struct Bytes {
    const void* data = nullptr;
    std::size_t size = 0;
};

Bytes bytes_of(ObjectName name, InstructionSet isa) {
    const bool v4 = isa == InstructionSet::v4;
    Bytes out;
    switch (name) {
        case ObjectName::root:
            out.data = v4 ? root_v4__elf_bytes(&out.size) : root_v3__elf_bytes(&out.size);
            break;
        case ObjectName::root_canary:
            out.data =
                v4 ? root_canary_v4__elf_bytes(&out.size) : root_canary_v3__elf_bytes(&out.size);
            break;
        case ObjectName::balancer:
            out.data = v4 ? lb_v4__elf_bytes(&out.size) : lb_v3__elf_bytes(&out.size);
            break;
        case ObjectName::agent:
            out.data = v4 ? agent_v4__elf_bytes(&out.size) : agent_v3__elf_bytes(&out.size);
            break;
        case ObjectName::probe:
            out.data = v4 ? probe_v4__elf_bytes(&out.size) : probe_v3__elf_bytes(&out.size);
            break;
    }
    return out;
}

const char* name_of(ObjectName name) {
    switch (name) {
        case ObjectName::root:
            return "root";
        case ObjectName::root_canary:
            return "root_canary";
        case ObjectName::balancer:
            return "lb";
        case ObjectName::agent:
            return "agent";
        case ObjectName::probe:
            return "probe";
    }
    return "?";
}

/// libbpf prints to stderr by default; what matters of it comes back in our errors.
int drop_libbpf_message(libbpf_print_level, const char*, va_list) {
    return 0;
}

constexpr const char* kPrivilegeHint =
    "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; sluice doctor says what is "
    "missing";

ProgramInfo info_of(const bpf_program* program, int fd) {
    bpf_prog_info info{};
    __u32 size = sizeof info;
    ProgramInfo out{::bpf_program__name(program),
                    0,
                    static_cast<std::uint32_t>(::bpf_program__insn_cnt(program)),
                    {}};
    if (::bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return out;
    out.instructions = info.xlated_prog_len / 8;
    std::copy(std::begin(info.tag), std::end(info.tag), out.tag.begin());
    return out;
}

}  // namespace

void BpfObject::Close::operator()(bpf_object* object) const {
    ::bpf_object__close(object);
}

BpfObject::BpfObject(std::string name, bpf_object* object)
    : name_(std::move(name)), object_(object) {
    const bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) map_names_.emplace_back(::bpf_map__name(map));
}
BpfObject::BpfObject(BpfObject&&) noexcept = default;
BpfObject& BpfObject::operator=(BpfObject&&) noexcept = default;
BpfObject::~BpfObject() = default;

Result<BpfObject> BpfObject::open(ObjectName name, InstructionSet isa) {
    ::libbpf_set_print(drop_libbpf_message);
    const Bytes bytes = bytes_of(name, isa);
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name_of(name));
    bpf_object* object = ::bpf_object__open_mem(bytes.data, bytes.size, &options);
    if (object == nullptr) {
        const int saved = errno;
        return fail(sys_error(saved, std::string("open BPF object ") + name_of(name)));
    }
    return BpfObject(name_of(name), object);
}

Result<BpfObject> BpfObject::open_file(const std::string& path) {
    ::libbpf_set_print(drop_libbpf_message);
    bpf_object* object = ::bpf_object__open_file(path.c_str(), nullptr);
    const int saved = errno;
    if (object != nullptr) return BpfObject(path, object);
    Error error = sys_error(saved, "open BPF object " + path);
    if (error.code == Errc::system) error.code = Errc::invalid;
    return fail(std::move(error));
}

Result<void> BpfObject::set_max_entries(const char* map, std::uint32_t entries) {
    bpf_map* found = find_map(map);
    if (found == nullptr) return fail(Errc::internal, std::string("no map ") + map);
    const int error = ::bpf_map__set_max_entries(found, entries);
    if (error != 0) return fail(sys_error(-error, std::string("size map ") + map));
    return {};
}

Result<void> BpfObject::set_value_size(const char* map, std::size_t bytes) {
    constexpr std::size_t kMost = std::size_t{1} << 29;  // BPF_MAX_VAR_OFF
    bpf_map* found = find_map(map);
    if (found == nullptr) return fail(Errc::internal, std::string("no map ") + map);
    if (bytes >= kMost)
        return fail(Errc::limit, std::string("map ") + map + " would need " +
                                     std::to_string(bytes) + " bytes, and 512 MiB is the most");
    const int error = ::bpf_map__set_value_size(found, static_cast<std::uint32_t>(bytes));
    if (error != 0) return fail(sys_error(-error, std::string("size map ") + map));
    return {};
}

Result<void> BpfObject::reuse_map(const char* map, int fd) {
    bpf_map* found = find_map(map);
    if (found == nullptr) return fail(Errc::internal, std::string("no map ") + map);
    const int error = ::bpf_map__reuse_fd(found, fd);
    if (error != 0) return fail(sys_error(-error, std::string("reuse map ") + map));
    return {};
}

Result<MapShape> BpfObject::declared(const char* map) const {
    const bpf_map* found = find_map(map);
    if (found == nullptr) return fail(Errc::not_found, std::string("no map ") + map);
    return MapShape{::bpf_map__type(found), ::bpf_map__key_size(found),
                    ::bpf_map__value_size(found), ::bpf_map__max_entries(found),
                    ::bpf_map__map_flags(found)};
}

Result<void> BpfObject::leave_out_program(const char* program) {
    bpf_program* found = ::bpf_object__find_program_by_name(object_.get(), program);
    if (found == nullptr) return fail(Errc::internal, std::string("no program ") + program);
    ::bpf_program__set_autoload(found, false);
    return {};
}

Result<void> BpfObject::leave_out_map(const char* map) {
    bpf_map* found = find_map(map);
    if (found == nullptr) return fail(Errc::internal, std::string("no map ") + map);
    ::bpf_map__set_autocreate(found, false);
    return {};
}

Result<void> BpfObject::set_node(const void* node, std::size_t size) {
    return set_constants(".rodata.node", node, size);
}

Result<void> BpfObject::set_constants(const char* section, const void* data, std::size_t size) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_.get()) {
        // libbpf may put the object's name in front.
        if (!std::string_view(::bpf_map__name(map)).ends_with(section)) continue;
        const int error = ::bpf_map__set_initial_value(map, data, size);
        if (error != 0) return fail(sys_error(-error, std::string("set ") + section));
        return {};
    }
    return fail(Errc::internal, std::string("no section ") + section);
}

Result<void> BpfObject::load(std::string* verbose_log) {
    std::string log(kLogSize, '\0');
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get())::bpf_program__set_log_buf(
        program, log.data(), log.size());
    const int error = ::bpf_object__load(object_.get());
    const int saved = error < 0 ? -error : errno;
    log.resize(std::strlen(log.c_str()));
    if (verbose_log != nullptr) *verbose_log = log;
    // The buffer ends here: libbpf must not write to it later.
    bpf_object__for_each_program(program, object_.get())::bpf_program__set_log_buf(program, nullptr,
                                                                                   0);
    if (error == 0) return {};
    Error failure = sys_error(saved, "load " + name_);
    const std::string telling = telling_line(log);
    if (!telling.empty()) {
        // The verifier refuses with EACCES too, and then no privilege is missing.
        failure.code = Errc::unsupported;
        failure.what += ": verifier: " + telling;
        failure.hint = "this kernel refuses the program: please report it with sluiced --verbose";
    }
    if (failure.code == Errc::denied) failure.hint = kPrivilegeHint;
    if (failure.code == Errc::limit)
        failure.hint = "not enough memory for the tables of this configuration";
    return fail(std::move(failure));
}

int BpfObject::map_fd(const char* map) const {
    const bpf_map* found = find_map(map);
    return found == nullptr ? -1 : ::bpf_map__fd(found);
}

int BpfObject::program_fd(const char* program) const {
    const bpf_program* found = ::bpf_object__find_program_by_name(object_.get(), program);
    return found == nullptr ? -1 : ::bpf_program__fd(found);
}

std::vector<std::string> BpfObject::map_names() const {
    std::vector<std::string> out;
    for (const std::string& name : map_names_)
        if (map_fd(name.c_str()) >= 0) out.push_back(name);
    return out;
}

bpf_map* BpfObject::find_map(std::string_view map) const {
    bpf_map* found = nullptr;
    std::size_t at = 0;
    bpf_object__for_each_map(found, object_.get()) {
        if (map_names_[at++] == map) return found;
    }
    return nullptr;
}

std::vector<ProgramInfo> BpfObject::programs() const {
    std::vector<ProgramInfo> out;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get()) {
        const int fd = ::bpf_program__fd(program);
        if (fd >= 0) out.push_back(info_of(program, fd));
    }
    return out;
}

std::vector<ProgramInfo> BpfObject::programs_as(
    const std::map<std::string, UniqueFd>& loaded) const {
    std::vector<ProgramInfo> out;
    for (const auto& [name, fd] : loaded) {
        const bpf_program* program =
            ::bpf_object__find_program_by_name(object_.get(), name.c_str());
        if (program != nullptr) out.push_back(info_of(program, fd.get()));
    }
    return out;
}

std::string code_digest(InstructionSet isa) {
    const Bytes bytes = bytes_of(ObjectName::balancer, isa);
    return sha256_hex({reinterpret_cast<const char*>(bytes.data), bytes.size});
}

std::string telling_line(std::string_view log) {
    std::string_view last;
    std::string_view before;
    while (!log.empty()) {
        const auto end = log.find('\n');
        const std::string_view line = log.substr(0, end);
        log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
        const bool statistics =
            line.starts_with("processed ") || line.starts_with("verification ") ||
            line.starts_with("stack depth ") || line.starts_with("mark_precise");
        if (line.empty() || statistics) continue;
        before = last;
        last = line;
    }
    if (last.empty()) return {};
    return before.empty() ? std::string(last) : std::string(before) + " / " + std::string(last);
}

}  // namespace sluice::kernel
