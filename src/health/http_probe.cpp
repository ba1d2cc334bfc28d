// SPDX-License-Identifier: Apache-2.0
#include "health/http_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "health/load.h"

namespace sluice::health {
namespace {

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;

std::string request_of(const Target& target) {
    const config::CheckHttp& http = target.check->http;
    const auto usual = target.check->type == config::CheckType::https ? kHttpsPort : kHttpPort;
    return fmt::format(
        "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: sluice\r\nAccept: */*\r\n"
        "Connection: close\r\n\r\n",
        http.method, http.path.empty() ? "/" : http.path, host_header(target, usual));
}

}  // namespace

std::string host_header(const Target& target, std::uint16_t usual_port) {
    const std::string& host = target.check->http.host;
    if (!host.empty()) return host;
    std::string out = target.address.text();
    if (target.address.is_ip6) out = "[" + out + "]";
    if (target.port != usual_port) out += fmt::format(":{}", target.port);
    return out;
}

std::string tls_name(const Target& target) {
    if (!target.check->tls.server_name.empty()) return target.check->tls.server_name;
    std::string host = target.check->http.host;
    if (host.empty()) return target.address.text();
    if (host.front() == '[') return host.substr(1, host.find(']') - 1);  // [2001:db8::1]:443
    const std::size_t colon = host.find(':');
    // More than one: an address without brackets.
    if (colon != std::string::npos && host.find(':', colon + 1) == std::string::npos)
        host.resize(colon);
    return host;
}

HttpProbe::HttpProbe(Reactor& reactor, const Target& target, std::shared_ptr<const Tls> tls,
                     Owner& owner)
    : target_(target),
      owner_(owner),
      stream_(reactor, *this, std::move(tls), tls_name(target)),
      request_(request_of(target)) {}

void HttpProbe::start() {
    const auto& load = target_.check->load;
    reply_.reset(target_.check->http.method == "HEAD", load ? load->header : std::string());
    searched_ = 0;
    stream_.open(target_);
}

bool HttpProbe::wants_status(unsigned status) const {
    const auto& ranges = target_.check->http.status;
    return std::any_of(ranges.begin(), ranges.end(), [&](const config::StatusRange& range) {
        return status >= range.first && status <= range.last;
    });
}

bool HttpProbe::has_body_match() {
    const std::string& wanted = target_.check->http.body;
    const std::string& body = reply_.body();
    if (wanted.empty() || body.find(wanted, searched_) != std::string::npos) return true;
    // The end of what is here may be the beginning of a match.
    searched_ = body.size() - std::min(body.size(), wanted.size() - 1);
    return false;
}

void HttpProbe::on_data(std::string_view bytes) {
    reply_.feed(bytes);
    judge();
}

void HttpProbe::judge() {
    const HttpReply::State state = reply_.state();
    if (state == HttpReply::State::head) return;
    if (state == HttpReply::State::broken)
        return owner_.on_finding({.why = Why::protocol, .text = reply_.error(), .load = {}});
    if (!wants_status(reply_.status()))
        return owner_.on_finding(
            {.why = Why::status,
             .text = printable(fmt::format("{} {}", reply_.status(), reply_.reason())),
             .load = {}});
    const auto& load = target_.check->load;
    const bool is_complete = state == HttpReply::State::complete;
    const bool wants_field = load && !load->field.empty();
    if (has_body_match()) {
        if (is_complete || !wants_field) pass();
        return;
    }
    if (is_complete)
        owner_.on_finding({.why = Why::content,
                           .text = fmt::format("not in {} bytes of body", reply_.body().size()),
                           .load = {}});
}

void HttpProbe::pass() {
    Finding finding;
    finding.text = fmt::format("{}", reply_.status());
    const auto& load = target_.check->load;
    if (load && !load->header.empty()) finding.load = load_of_text(reply_.header());
    if (load && !load->field.empty()) finding.load = load_of_json(reply_.body(), load->field);
    owner_.on_finding(std::move(finding));
}

void HttpProbe::on_end() {
    if (reply_.end() == HttpReply::State::complete) return judge();
    // A load that cannot be read whole is none; the body that was looked for is there or not.
    if (reply_.state() == HttpReply::State::body && has_body_match() &&
        !target_.check->http.body.empty())
        return pass();
    owner_.on_finding({.why = Why::closed,
                       .text = reply_.state() == HttpReply::State::head
                                   ? "before the end of the headers"
                                   : fmt::format("after {} bytes of body", reply_.body().size()),
                       .load = {}});
}

}  // namespace sluice::health
