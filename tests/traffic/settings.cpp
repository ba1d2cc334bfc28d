// SPDX-License-Identifier: Apache-2.0
#include "traffic/settings.h"

#include "traffic/client.h"
#include "traffic/loop.h"

namespace sluice::traffic {
namespace {

Result<std::uint64_t> milliseconds(const Options& options, const char* name, std::uint64_t value) {
    return SLC_TRY(options.number(name, value), "client") * kMillisecond;
}

Result<IpAddress> one_source(const std::vector<IpAddress>& sources, bool ip6) {
    for (const IpAddress& source : sources)
        if (source.is_ip6 == ip6) return source;
    return IpAddress{};
}

std::uint16_t first_port(Kind kind) {
    switch (kind) {
        case Kind::talk:
            return kTalkPorts;
        case Kind::silent:
            return kSilentPorts;
        case Kind::datagrams:
            return kDatagramPorts;
        default:
            return kBriefPorts;
    }
}

}  // namespace

Result<Settings> Settings::from(const Options& options) {
    Settings out;
    out.vips = SLC_TRY(options.addresses("vip"), "client");
    if (out.vips.empty()) return fail(Errc::invalid, "client: --vip is missing");
    const auto sources = SLC_TRY(options.addresses("from"), "client");
    out.from4 = SLC_TRY(one_source(sources, false), "client");
    out.from6 = SLC_TRY(one_source(sources, true), "client");
    out.from_count = static_cast<std::uint32_t>(SLC_TRY(options.number("from-count", 1), "client"));
    out.port = static_cast<std::uint16_t>(SLC_TRY(options.number("port", 7100), "client"));
    out.talk = SLC_TRY(options.number("talk", 0), "client");
    out.silent = SLC_TRY(options.number("silent", 0), "client");
    out.datagrams = SLC_TRY(options.number("datagrams", 0), "client");
    out.brief_per_s = SLC_TRY(options.number("brief-per-s", 0), "client");
    out.interval_ns = SLC_TRY(milliseconds(options, "interval-ms", 200), "client");
    out.silence_ns = SLC_TRY(milliseconds(options, "silence-ms", 4000), "client");
    out.hold_ns = SLC_TRY(milliseconds(options, "hold-ms", 2000), "client");
    out.idle_ns = SLC_TRY(milliseconds(options, "idle-ms", 4900), "client");
    out.idle_datagrams_ns = SLC_TRY(milliseconds(options, "idle-datagrams-ms", 1900), "client");
    out.handshake_ns = SLC_TRY(milliseconds(options, "handshake-ms", 20000), "client");
    out.stall_ns = SLC_TRY(milliseconds(options, "stall-ms", 20000), "client");
    return out;
}

Settings::Tuple Settings::tuple(Kind kind, std::uint64_t number) const {
    const IpAddress& vip = vips[number % vips.size()];
    const std::uint64_t source = number / vips.size() % from_count;
    std::uint64_t port = number / vips.size() / from_count;
    if (kind == Kind::brief) port %= kBriefPortCount;
    return {{after(vip.is_ip6 ? from6 : from4, static_cast<std::uint32_t>(source)),
             static_cast<std::uint16_t>(first_port(kind) + port)},
            {vip, this->port}};
}

}  // namespace sluice::traffic
