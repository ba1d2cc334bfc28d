// SPDX-License-Identifier: Apache-2.0
#include "config/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>

#include "base/unique_fd.h"
#include "config/parse.h"
#include "config/rules.h"

namespace sluice::config {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;

Result<UniqueFd> open_file(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    const int saved = errno;
    if (!fd.valid()) return fail(sys_error(saved, "open " + path));
    return fd;
}

Result<std::string> read_all(int fd, const std::string& path) {
    std::string out;
    char buffer[65536];
    for (;;) {
        const ssize_t got = ::read(fd, buffer, sizeof buffer);
        const int saved = errno;
        if (got < 0 && saved == EINTR) continue;
        if (got < 0) return fail(sys_error(saved, "read " + path));
        if (got == 0) return out;
        out.append(buffer, static_cast<std::size_t>(got));
        if (out.size() > kMaxFileBytes)
            return fail(Errc::limit, "read " + path + ": more than 64 MiB");
    }
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
    if (path == "-") return read_all(STDIN_FILENO, "standard input");
    const UniqueFd fd = SLC_TRY(open_file(path), "configuration");
    return read_all(fd.get(), path);
}

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> load_secrets(Config& config, const std::string& base_dir) {
    Node& node = config.node;
    if (node.ring_secret_file.empty()) return {};
    const std::string path = node.ring_secret_file.front() == '/'
                                 ? node.ring_secret_file
                                 : base_dir + "/" + node.ring_secret_file;
    std::string text = SLC_TRY(read_file(path), "node.ring_secret_file");
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
        text.pop_back();
    const auto secret = parse_ring_secret(text);
    if (!secret)
        return fail(
            Errc::invalid, "node.ring_secret_file: " + path + " does not hold 32 hex digits",
            "write one with: head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n' > " + path);
    node.ring_secret = *secret;
    node.has_ring_secret = true;
    return {};
}

}  // namespace sluice::config
