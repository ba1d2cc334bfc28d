// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/health/server_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/unique_fd.h"
#include "health/socket.h"
#include "tests/unit/health/scripted_server.h"

namespace sluice::health {
namespace {

using namespace std::chrono_literals;

struct Free {
    void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { ::X509_free(certificate); }
    void operator()(X509_EXTENSION* extension) const { ::X509_EXTENSION_free(extension); }
    void operator()(FILE* file) const { std::fclose(file); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using File = std::unique_ptr<FILE, Free>;

constexpr long kDay = 86400;

void add_extension(X509* certificate, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    ::X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, Free> extension(
        ::X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    ASSERT_NE(extension, nullptr) << value;
    ::X509_add_ext(certificate, extension.get(), -1);
}

Certificate certificate_of(const std::string& name, EVP_PKEY* key, int days) {
    Certificate out(::X509_new());
    static long serial = 1;
    ::X509_set_version(out.get(), X509_VERSION_3);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(out.get()), ++serial);
    ::X509_gmtime_adj(X509_getm_notBefore(out.get()), -30 * kDay);
    ::X509_gmtime_adj(X509_getm_notAfter(out.get()), days * kDay);
    ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(out.get()), "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    ::X509_set_pubkey(out.get(), key);
    return out;
}

/// Signed with `key`, which is the issuer's.
void sign_and_write(X509* certificate, X509* issuer, EVP_PKEY* key, const std::string& path) {
    ::X509_set_issuer_name(certificate, ::X509_get_subject_name(issuer));
    ASSERT_GT(::X509_sign(certificate, key, ::EVP_sha256()), 0);
    const File file(std::fopen(path.c_str(), "we"));
    ASSERT_EQ(::PEM_write_X509(file.get(), certificate), 1);
}

void write_key(EVP_PKEY* key, const std::string& path) {
    const File file(std::fopen(path.c_str(), "we"));
    ASSERT_EQ(::PEM_write_PrivateKey(file.get(), key, nullptr, nullptr, 0, nullptr, nullptr), 1);
}

}  // namespace

TestFolder::TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-health-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
    ::chmod(path_.c_str(), 0755);
}

TestFolder::~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string TestFolder::write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
    return path(name);
}

std::string read_text(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

std::uint16_t free_port() {
    for (;;) {
        const SocketAddress any(ScriptedServer::loopback(), 0);
        const UniqueFd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const UniqueFd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(::bind(tcp.get(), &any.any, any.len), 0);
        sockaddr_in bound{};
        socklen_t len = sizeof(bound);
        auto* address = reinterpret_cast<sockaddr*>(&bound);
        EXPECT_EQ(::getsockname(tcp.get(), address, &len), 0);
        if (::bind(udp.get(), address, len) == 0) return ntohs(bound.sin_port);
    }
}

ServerProcess::ServerProcess(const std::vector<std::string>& command, const std::string& log)
    : log_(log) {
    std::vector<char*> arguments;
    for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    const UniqueFd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        ::dup2(output.get(), 1);
        ::dup2(output.get(), 2);
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    EXPECT_GT(pid_, 0);
}

ServerProcess::~ServerProcess() {
    ::kill(pid_, SIGTERM);
    // What does not end when it is asked to is killed.
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > deadline) ::kill(pid_, SIGKILL);
        ::poll(nullptr, 0, 5);
    }
}

void ServerProcess::wait_for(std::uint16_t tcp_port) {
    const SocketAddress to(ScriptedServer::loopback(), tcp_port);
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    for (;;) {
        const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(fd.get(), &to.any, to.len) == 0) return;
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << read_text(log_);
        ASSERT_EQ(::waitpid(pid_, nullptr, WNOHANG), 0) << "it ended: " << read_text(log_);
        ::poll(nullptr, 0, 5);
    }
}

Authority::Authority(const TestFolder& folder, const std::string& name) : folder_(folder) {
    self_ = {.certificate = folder.path(name + ".pem"), .key = folder.path(name + ".key")};
    const Key key(::EVP_EC_gen("P-256"));
    const Certificate own = certificate_of(name, key.get(), 365);
    add_extension(own.get(), NID_basic_constraints, "critical,CA:TRUE");
    sign_and_write(own.get(), own.get(), key.get(), self_.certificate);
    write_key(key.get(), self_.key);
}

Authority::Files Authority::issue(const std::string& name, const std::string& names,
                                  int days) const {
    const File key_file(std::fopen(self_.key.c_str(), "re"));
    const Key issuer_key(::PEM_read_PrivateKey(key_file.get(), nullptr, nullptr, nullptr));
    const File file(std::fopen(self_.certificate.c_str(), "re"));
    const Certificate issuer(::PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
    const Key key(::EVP_EC_gen("P-256"));
    const Certificate out = certificate_of(name, key.get(), days);
    add_extension(out.get(), NID_subject_alt_name, names);
    Files files{.certificate = folder_.path(name + ".pem"), .key = folder_.path(name + ".key")};
    sign_and_write(out.get(), issuer.get(), issuer_key.get(), files.certificate);
    write_key(key.get(), files.key);
    return files;
}

}  // namespace sluice::health
