// SPDX-License-Identifier: Apache-2.0
//
// https against OpenSSL's own server, nginx, and servers that speak no TLS at all.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "tests/unit/health/scripted_server.h"
#include "tests/unit/health/server_process.h"
#include "tests/unit/health/watcher.h"

namespace sluice::health {
namespace {

using namespace std::chrono_literals;
using config::CheckType;

constexpr const char* kOpenssl = "/usr/bin/openssl";
constexpr const char* kNginx = "/usr/sbin/nginx";

class tls_checks : public testing::Test {
 protected:
    std::unique_ptr<ServerProcess> s_server(const Authority::Files& files,
                                            const std::vector<std::string>& more = {}) {
        port_ = free_port();
        std::vector<std::string> command{
            kOpenssl, "s_server",        "-accept", "127.0.0.1:" + std::to_string(port_),
            "-cert",  files.certificate, "-key",    files.key,
            "-www"};
        command.insert(command.end(), more.begin(), more.end());
        auto out = std::make_unique<ServerProcess>(command, folder_.path("s_server.log"));
        out->wait_for(port_);
        return out;
    }

    static config::Check trusting(const Authority& authority, const std::string& host) {
        config::Check check = check_of(CheckType::https);
        check.tls.ca_file = authority.ca_file();
        check.http.host = host;
        return check;
    }

    std::string result(const config::Check& check) {
        return text_of(watcher_.check(target_of(check, port_)));
    }

    TestFolder folder_;
    Authority ca_{folder_, "ca"};
    Authority other_ca_{folder_, "other-ca"};
    Watcher watcher_;
    std::uint16_t port_ = 0;
};

TEST_F(tls_checks, a_certificate_must_prove_the_name) {
    const auto files = ca_.issue("server", "DNS:www.test,DNS:*.wild.test,IP:127.0.0.1", 30);
    const auto server = s_server(files);
    config::Check check = trusting(ca_, "www.test");
    EXPECT_EQ(result(check), "passed: 200");
    check.http.host = "www.test:8443";
    EXPECT_EQ(result(check), "passed: 200");
    check.http.host = "a.wild.test";
    EXPECT_EQ(result(check), "passed: 200");
    check.http.host = "ftp.test";
    EXPECT_EQ(result(check), "certificate: hostname mismatch");
    check.tls.server_name = "www.test";
    EXPECT_EQ(result(check), "passed: 200");
    check.tls.server_name = "www.test.evil";
    EXPECT_EQ(result(check), "certificate: hostname mismatch");
    check.tls.verify = false;
    EXPECT_EQ(result(check), "passed: 200");
}

TEST_F(tls_checks, without_a_name_the_address_is_what_must_be_proved) {
    config::Check check = trusting(ca_, "");
    {
        const auto server = s_server(ca_.issue("address", "IP:127.0.0.1", 30));
        EXPECT_EQ(result(check), "passed: 200");
    }
    const auto server = s_server(ca_.issue("another", "IP:127.0.0.2,DNS:127.0.0.1", 30));
    EXPECT_EQ(result(check), "certificate: IP address mismatch");
}

TEST_F(tls_checks, who_signed_is_checked) {
    const auto server = s_server(ca_.issue("server", "DNS:www.test", 30));
    config::Check check = trusting(other_ca_, "www.test");
    EXPECT_EQ(result(check), "certificate: unable to get local issuer certificate");
    check.tls.ca_file.clear();  // Those of the system.
    EXPECT_EQ(result(check), "certificate: unable to get local issuer certificate");
    check.tls.verify = false;
    EXPECT_EQ(result(check), "passed: 200");
}

TEST_F(tls_checks, an_expired_certificate_fails) {
    const auto server = s_server(ca_.issue("server", "DNS:www.test", -1));
    EXPECT_EQ(result(trusting(ca_, "www.test")), "certificate: certificate has expired");
}

TEST_F(tls_checks, the_name_is_sent_so_that_the_server_can_choose) {
    const auto first = ca_.issue("first", "DNS:first.test", 30);
    const auto second = ca_.issue("second", "DNS:second.test", 30);
    const auto server = s_server(
        first, {"-servername", "second.test", "-cert2", second.certificate, "-key2", second.key});
    EXPECT_EQ(result(trusting(ca_, "first.test")), "passed: 200");
    EXPECT_EQ(result(trusting(ca_, "second.test")), "passed: 200");
}

TEST_F(tls_checks, a_client_certificate_is_shown_where_the_server_wants_one) {
    const auto client = ca_.issue("client", "DNS:client.test", 30);
    const auto stranger = other_ca_.issue("stranger", "DNS:client.test", 30);
    for (const char* version : {"-tls1_2", "-tls1_3"}) {
        SCOPED_TRACE(version);
        const auto server =
            s_server(ca_.issue("server", "DNS:www.test", 30),
                     {"-Verify", "1", "-verify_return_error", "-CAfile", ca_.ca_file(), version});
        config::Check check = trusting(ca_, "www.test");
        const std::string without = result(check);
        EXPECT_TRUE(without.starts_with("tls: ")) << without;
        check.tls.certificate_file = client.certificate;
        check.tls.key_file = client.key;
        EXPECT_EQ(result(check), "passed: 200");
        check.tls.certificate_file = stranger.certificate;
        check.tls.key_file = stranger.key;
        EXPECT_EQ(result(check), "tls: tlsv1 alert unknown ca");
    }
}

TEST_F(tls_checks, files_that_cannot_be_read_say_nothing_of_the_backend) {
    const auto server = s_server(ca_.issue("server", "DNS:www.test", 30));
    config::Check check = trusting(ca_, "www.test");
    check.tls.ca_file = folder_.path("none.pem");
    const std::string text = result(check);
    EXPECT_TRUE(text.starts_with("local: TLS: " + check.tls.ca_file + ": ")) << text;
    // As soon as the file is there, the next configuration takes it.
    check.tls.ca_file = folder_.write("none.pem", read_text(ca_.ca_file()));
    EXPECT_EQ(result(check), "passed: 200");
    check.tls.ca_file = ca_.ca_file();
    check.tls.certificate_file = folder_.write("garbage.pem", "garbage");
    EXPECT_TRUE(result(check).starts_with("local: TLS: " + check.tls.certificate_file)) << text;
}

TEST_F(tls_checks, a_server_of_TLS_1_1_is_refused) {
    const auto server =
        s_server(ca_.issue("server", "DNS:www.test", 30), {"-tls1_1", "-cipher", "ALL@SECLEVEL=0"});
    const std::string text = result(trusting(ca_, "www.test"));
    EXPECT_TRUE(text.starts_with("tls: ")) << text;
}

struct NoTls {
    const char* name;
    ScriptedServer::Script server;
    std::string wanted;
};

TEST_F(tls_checks, what_speaks_no_TLS_fails) {
    for (const NoTls& each : {
             NoTls{"plain http",
                   [](Peer& peer) {
                       peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
                       peer.hang();
                   },
                   "tls: wrong version number"},
             {"garbage",
              [](Peer& peer) {
                  peer.send(std::string(100, 'x'));
                  peer.hang();
              },
              "tls: wrong version number"},
             {"closes at once", [](Peer& peer) { peer.read_bytes(1); },
              "closed: in the TLS handshake"},
             {"resets",
              [](Peer& peer) {
                  peer.read_bytes(1);
                  peer.reset();
              },
              "reset: Connection reset by peer"},
             {"accepts and hangs", [](Peer& peer) { peer.hang(); },
              "timeout: after 100 ms: in the TLS handshake"},
             {"drips",
              [](Peer& peer) {
                  peer.drip(std::string("\x16\x03\x03\x20\x00", 5) + std::string(8192, '\x02'),
                            5ms);
              },
              "timeout: after 100 ms: in the TLS handshake"},
         }) {
        SCOPED_TRACE(each.name);
        const ScriptedServer server(each.server);
        config::Check check = trusting(ca_, "www.test");
        if (each.wanted.starts_with("timeout")) check.timeout = 100ms;
        EXPECT_EQ(text_of(watcher_.check(target_of(check, server.port()))), each.wanted);
    }
}

TEST_F(tls_checks, nginx_answers_plain_and_encrypted_checks) {
    const auto files = ca_.issue("server", "DNS:www.test", 30);
    const std::uint16_t plain = free_port();
    const std::uint16_t secure = free_port();
    folder_.write("index.html", "all is well");
    ::mkdir(folder_.path("logs").c_str(), 0755);
    const std::string config = folder_.write(
        "nginx.conf", "daemon off; master_process off; pid " + folder_.path("nginx.pid") +
                          "; error_log stderr; events {} http { access_log off;"
                          "client_body_temp_path " +
                          folder_.path("body") + "; proxy_temp_path " + folder_.path("proxy") +
                          "; fastcgi_temp_path " + folder_.path("fastcgi") + "; uwsgi_temp_path " +
                          folder_.path("uwsgi") + "; scgi_temp_path " + folder_.path("scgi") +
                          "; server { listen 127.0.0.1:" + std::to_string(plain) +
                          "; listen 127.0.0.1:" + std::to_string(secure) +
                          " ssl; ssl_certificate " + files.certificate + "; ssl_certificate_key " +
                          files.key + "; root " + folder_.path("") +
                          "; location = /down { return 503; }"
                          "location = /load { add_header X-Load 37; return 200 ok; } } }");
    ServerProcess server({kNginx, "-p", folder_.path(""), "-c", config}, folder_.path("nginx.log"));
    server.wait_for(plain);
    server.wait_for(secure);
    for (const bool is_tls : {false, true}) {
        SCOPED_TRACE(is_tls);
        port_ = is_tls ? secure : plain;
        config::Check check = trusting(ca_, "www.test");
        check.type = is_tls ? CheckType::https : CheckType::http;
        check.http.body = "is well";
        EXPECT_EQ(result(check), "passed: 200");
        check.http.body = "is lost";
        EXPECT_EQ(result(check), "content: not in 11 bytes of body");
        check.http.body.clear();
        check.http.path = "/down";
        EXPECT_EQ(result(check), "status: 503 Service Temporarily Unavailable");
        check.http.method = "HEAD";
        check.http.path = "/load";
        check.load = config::CheckLoad{.header = "X-Load", .field = {}};
        EXPECT_EQ(watcher_.check(target_of(check, port_)).load, 37.0);
    }
    // TLS spoken to a plain port, and plain HTTP to the other.
    port_ = plain;
    EXPECT_EQ(result(trusting(ca_, "www.test")), "tls: wrong version number");
    port_ = secure;
    EXPECT_EQ(result(check_of(CheckType::http)), "status: 400 Bad Request");
}

}  // namespace
}  // namespace sluice::health
