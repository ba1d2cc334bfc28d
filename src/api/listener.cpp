// SPDX-License-Identifier: Apache-2.0
#include "api/listener.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "base/ip.h"

namespace sluice::api {
namespace {

constexpr int kBacklog = 64;

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return fail(Errc::invalid, "'" + path + "' is no socket path",
                    "1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes");
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Result<UniqueFd> open_socket() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int saved_errno = errno;
    if (!fd.valid()) return fail(sys_error(saved_errno, "open a unix socket"));
    return fd;
}

/// Nothing, or a socket file that nobody listens on.
Result<void> check_free(const std::string& path, const sockaddr_un& address) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) {
        const int saved_errno = errno;
        if (saved_errno == ENOENT) return {};
        return fail(sys_error(saved_errno, "look at it"));
    }
    if (!S_ISSOCK(info.st_mode))
        return fail(Errc::conflict, "exists and is no socket", "remove it, or use --socket");
    const UniqueFd probe = SLC_TRY(open_socket(), "probe");
    const int refused =
        ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0
            ? 0
            : errno;
    if (refused == ECONNREFUSED || refused == ENOENT) return {};
    // EAGAIN is a full backlog: somebody listens. Anything else is not known to be dead.
    return fail(Errc::conflict, "another process listens there",
                "stop it, or use --socket for a second instance");
}

void give_to_group(const std::string& path, const std::string& group) {
    std::vector<char> buffer(16384);
    struct group entry{};
    struct group* found = nullptr;
    if (::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
        found == nullptr)
        return;
    // Without the privilege the file keeps our own group, which the service unit sets to `sluice`.
    if (::chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0) return;
}

Result<void> make_directory_of(const std::string& path) {
    const auto directory = std::filesystem::path(path).parent_path();
    if (directory.empty()) return {};
    if (::mkdir(directory.c_str(), 0750) == 0) return {};
    const int saved_errno = errno;
    std::error_code ignored;
    if (saved_errno == EEXIST || std::filesystem::is_directory(directory, ignored)) return {};
    return fail(sys_error(saved_errno, "make directory " + directory.string()));
}

struct Endpoint {
    sockaddr_storage address{};
    socklen_t len = 0;
};

Result<Endpoint> endpoint_of(const std::string& where) {
    const std::size_t colon = where.rfind(':');
    std::string host = colon == std::string::npos ? "127.0.0.1" : where.substr(0, colon);
    const std::string_view digits =
        std::string_view(where).substr(colon == std::string::npos ? 0 : colon + 1);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    else if (host.find(':') != std::string::npos)
        host.clear();  // An IPv6 address without brackets: where does it end?
    const auto address = IpAddress::parse(host);
    std::uint16_t port = 0;
    const char* end = digits.data() + digits.size();
    const auto [last, error] = std::from_chars(digits.data(), end, port);
    if (!address || error != std::errc() || last != end)
        return fail(Errc::invalid, "'" + where + "' is no address and port",
                    "127.0.0.1:9105, [::1]:9105, or 9105 alone");
    Endpoint out;
    if (address->is_ip6) {
        auto* to = reinterpret_cast<sockaddr_in6*>(&out.address);
        to->sin6_family = AF_INET6;
        to->sin6_port = htons(port);
        std::memcpy(&to->sin6_addr, address->bytes.data(), sizeof to->sin6_addr);
        out.len = sizeof *to;
    } else {
        auto* to = reinterpret_cast<sockaddr_in*>(&out.address);
        to->sin_family = AF_INET;
        to->sin_port = htons(port);
        to->sin_addr.s_addr = address->ip4_be();
        out.len = sizeof *to;
    }
    return out;
}

}  // namespace

Listener::Listener(Listener&& other) noexcept
    : fd_(std::move(other.fd_)),
      family_(other.family_),
      path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

Listener::~Listener() {
    struct stat info{};
    if (!path_.empty() && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ &&
        info.st_ino == inode_)
        ::unlink(path_.c_str());
}

Result<Listener> Listener::open(const std::string& path, const std::string& group) {
    const std::string step = "listen on " + path;
    const sockaddr_un address = SLC_TRY(address_of(path), step);
    // Made ready under a name of its own, then renamed: it is never seen with the wrong mode.
    const std::string fresh = path + "." + std::to_string(::getpid());
    const sockaddr_un fresh_address = SLC_TRY(address_of(fresh), step);
    SLC_CHECK(make_directory_of(path), step);
    SLC_CHECK(check_free(path, address), step);

    UniqueFd fd = SLC_TRY(open_socket(), step);
    ::unlink(fresh.c_str());
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&fresh_address), sizeof fresh_address) !=
        0)
        return fail(sys_error(errno, "bind")
                        .in(step)
                        .advise("the directory must be writable for this user"));
    struct stat info{};
    give_to_group(fresh, group);
    if (::chmod(fresh.c_str(), 0660) != 0 || ::listen(fd.get(), kBacklog) != 0 ||
        ::lstat(fresh.c_str(), &info) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
        const int saved_errno = errno;
        ::unlink(fresh.c_str());
        return fail(sys_error(saved_errno, "make the socket file").in(step));
    }
    return Listener(std::move(fd), AF_UNIX, path, info.st_dev, info.st_ino);
}

Result<Listener> Listener::open_tcp(const std::string& where) {
    const std::string step = "listen on " + where;
    const Endpoint endpoint = SLC_TRY(endpoint_of(where), step);
    const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.address);
    UniqueFd fd(
        ::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    int saved_errno = errno;
    if (!fd.valid()) return fail(sys_error(saved_errno, "open a TCP socket").in(step));
    // A daemon that was started again finds its port in use by what is left of old connections.
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd.get(), address, endpoint.len) != 0 || ::listen(fd.get(), kBacklog) != 0) {
        saved_errno = errno;
        Error error = sys_error(saved_errno, "bind").in(step);
        if (saved_errno == EADDRINUSE) error.code = Errc::conflict;
        return fail(std::move(error).advise("another process may have the port: ss -ltnp"));
    }
    return Listener(std::move(fd), endpoint.address.ss_family, {}, 0, 0);
}

std::uint16_t Listener::port() const {
    sockaddr_storage bound{};
    socklen_t len = sizeof bound;
    if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&bound), &len) != 0) return 0;
    if (bound.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
    if (bound.ss_family == AF_INET6)
        return ntohs(reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port);
    return 0;
}

}  // namespace sluice::api
