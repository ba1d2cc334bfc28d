// SPDX-License-Identifier: Apache-2.0
#include "kernel/state_version.h"

#include <unistd.h>

#include <charconv>

#include "kernel/bpffs.h"
#include "kernel/pinned_text.h"
#include "sluice/types.h"

namespace sluice::kernel {
namespace {

constexpr unsigned kLastWithoutMark = 2;
constexpr std::string_view kKey = "{\"abi\":";
constexpr const char* kHint =
    "start the version that wrote it again; or, to go on without its counters and remembered "
    "flows, remove it all: sluiced --detach";

std::string path_of(const std::string& directory) {
    return directory + "/meta";
}

Result<unsigned> read_version(const std::string& directory) {
    const auto text = read_pinned_text(path_of(directory));
    if (!text && text.error().code == Errc::not_found) return kLastWithoutMark;
    if (!text) return fail(text.error());
    unsigned version = 0;
    const char* end = text->data() + text->size();
    const bool known = text->starts_with(kKey) &&
                       std::from_chars(text->data() + kKey.size(), end, version).ec == std::errc();
    if (!known) return fail(Errc::conflict, path_of(directory) + " is no mark of a version", kHint);
    return version;
}

}  // namespace

Result<void> check_state_version(const std::string& directory) {
    if (directory.empty() || ::access(directory.c_str(), F_OK) != 0) return {};
    // Marked before anything else is pinned: a start that is killed half-way leaves no riddle.
    if (list_pins(directory).empty()) return mark_state_version(directory);
    const unsigned version = SLC_TRY(read_version(directory), "state");
    if (version <= SLC_ABI_VERSION && version + 1 >= SLC_ABI_VERSION) return {};
    return fail(Errc::conflict,
                "the state in " + directory + " is of layout version " + std::to_string(version) +
                    ", and this sluiced reads versions " + std::to_string(SLC_ABI_VERSION - 1) +
                    " and " + std::to_string(SLC_ABI_VERSION),
                kHint);
}

Result<void> mark_state_version(const std::string& directory) {
    if (directory.empty()) return {};
    const std::string mark = std::string(kKey) + std::to_string(SLC_ABI_VERSION) + "}";
    const auto now = read_pinned_text(path_of(directory));
    if (now && *now == mark) return {};
    return write_pinned_text(path_of(directory), mark);
}

Error other_layout(const std::string& path, std::uint32_t found, std::uint32_t known) {
    std::string what = path + " has another layout than this version's";
    if (found != known)
        what +=
            ": values of " + std::to_string(found) + " bytes instead of " + std::to_string(known);
    return make_error(Errc::conflict, std::move(what), kHint);
}

}  // namespace sluice::kernel
