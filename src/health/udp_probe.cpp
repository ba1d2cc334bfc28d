// SPDX-License-Identifier: Apache-2.0
#include "health/udp_probe.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "health/dns_message.h"
#include "health/socket.h"

namespace sluice::health {
namespace {

constexpr std::size_t kMostDatagram = 65536;
constexpr int kMostAtOnce = 16;

std::array<char, kMostDatagram>& datagram_buffer() {
    thread_local std::array<char, kMostDatagram> buffer;
    return buffer;
}

}  // namespace

UdpProbe::UdpProbe(Reactor& reactor, const Target& target, Owner& owner)
    : target_(target), owner_(owner), watch_(reactor, [this](std::uint32_t) { on_events(); }) {}

void UdpProbe::start() {
    strays_ = 0;
    OpenedSocket opened = connect_socket(target_, SOCK_DGRAM);
    if (!opened.fd.valid()) return owner_.on_finding(std::move(opened.failure));
    fd_ = std::move(opened.fd);
    if (const auto watched = watch_.set(fd_.get(), EPOLLIN); !watched)
        return owner_.on_finding({.why = Why::local, .text = watched.error().what, .load = {}});
    std::string dns;
    const bool is_dns = target_.check->type == config::CheckType::dns;
    if (is_dns) {
        ::RAND_bytes(reinterpret_cast<unsigned char*>(&dns_id_), sizeof(dns_id_));
        dns = dns_query(target_.check->dns, dns_id_);
        if (dns.empty())
            return owner_.on_finding({.why = Why::local, .text = "no DNS name", .load = {}});
    }
    const std::string& payload = is_dns ? dns : target_.check->udp.payload;
    if (::send(fd_.get(), payload.data(), payload.size(), MSG_NOSIGNAL) < 0) {
        const int saved = errno;
        owner_.on_finding(finding_of_errno(saved, "send"));
    }
}

void UdpProbe::stop() {
    watch_.stop();
    fd_.reset();
}

void UdpProbe::on_events() {
    auto& buffer = datagram_buffer();
    for (int i = 0; i < kMostAtOnce; ++i) {
        const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        const int saved = errno;
        if (got < 0 && saved == EAGAIN) return;
        if (got < 0) return owner_.on_finding(finding_of_errno(saved, "receive"));
        if (judge({buffer.data(), static_cast<std::size_t>(got)})) return;
    }
}

bool UdpProbe::judge(std::string_view datagram) {
    const config::Check& check = *target_.check;
    if (check.type == config::CheckType::dns) {
        // Late answers to an earlier query, or somebody's guesses: the right one may still come.
        if (is_stray_dns(dns_id_, datagram)) {
            ++strays_;
            return false;
        }
        owner_.on_finding(judge_dns(check.dns, dns_id_, datagram));
        return true;
    }
    Finding finding;
    if (datagram.find(check.udp.reply) == std::string_view::npos)
        finding = {.why = Why::content,
                   .text = fmt::format("not in {} bytes: {}", datagram.size(),
                                       printable(datagram.substr(0, 40))),
                   .load = {}};
    owner_.on_finding(std::move(finding));
    return true;
}

std::string UdpProbe::progress() const {
    if (strays_ > 0) return fmt::format("no answer but {} to other queries", strays_);
    return "no answer";
}

}  // namespace sluice::health
