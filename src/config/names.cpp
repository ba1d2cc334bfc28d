// SPDX-License-Identifier: Apache-2.0
#include "config/model.h"

namespace sluice::config {

const char* name_of(XdpMode value) {
    switch (value) {
        case XdpMode::automatic:
            return "auto";
        case XdpMode::native:
            return "native";
        case XdpMode::generic:
            return "generic";
    }
    return "?";
}

const char* name_of(Protocol value) {
    switch (value) {
        case Protocol::tcp:
            return "tcp";
        case Protocol::udp:
            return "udp";
        case Protocol::both:
            return "both";
    }
    return "?";
}

const char* name_of(Forward value) {
    switch (value) {
        case Forward::ipip:
            return "ipip";
        case Forward::gre:
            return "gre";
        case Forward::gue:
            return "gue";
        case Forward::l2:
            return "l2";
        case Forward::local:
            return "local";
    }
    return "?";
}

const char* name_of(Balance value) {
    switch (value) {
        case Balance::maglev:
            return "maglev";
        case Balance::rendezvous:
            return "rendezvous";
    }
    return "?";
}

const char* name_of(Affinity value) {
    switch (value) {
        case Affinity::five_tuple:
            return "5-tuple";
        case Affinity::source:
            return "source";
        case Affinity::source_port:
            return "source-port";
    }
    return "?";
}

const char* name_of(BackendState value) {
    switch (value) {
        case BackendState::ready:
            return "ready";
        case BackendState::drain:
            return "drain";
        case BackendState::maint:
            return "maint";
        case BackendState::down:
            return "down";
    }
    return "?";
}

const char* name_of(Unmatched value) {
    switch (value) {
        case Unmatched::drop:
            return "drop";
        case Unmatched::pass:
            return "pass";
    }
    return "?";
}

const char* name_of(Tracking value) {
    switch (value) {
        case Tracking::transitions:
            return "transitions";
        case Tracking::always:
            return "always";
        case Tracking::never:
            return "never";
    }
    return "?";
}

const char* name_of(OnDown value) {
    switch (value) {
        case OnDown::replace:
            return "replace";
        case OnDown::keep:
            return "keep";
    }
    return "?";
}

const char* name_of(RouteBy value) {
    switch (value) {
        case RouteBy::ring:
            return "ring";
        case RouteBy::tcp_server_id:
            return "tcp-server-id";
        case RouteBy::quic_lb:
            return "quic-lb";
        case RouteBy::katran:
            return "katran";
    }
    return "?";
}

const char* name_of(CheckType value) {
    switch (value) {
        case CheckType::tcp:
            return "tcp";
        case CheckType::http:
            return "http";
        case CheckType::https:
            return "https";
        case CheckType::udp:
            return "udp";
        case CheckType::icmp:
            return "icmp";
        case CheckType::dns:
            return "dns";
        case CheckType::grpc:
            return "grpc";
        case CheckType::command:
            return "command";
    }
    return "?";
}

const char* name_of(CheckVia value) {
    switch (value) {
        case CheckVia::vip:
            return "vip";
        case CheckVia::direct:
            return "direct";
    }
    return "?";
}

const char* name_of(WhenNone value) {
    switch (value) {
        case WhenNone::keep:
            return "keep";
        case WhenNone::reject:
            return "reject";
        case WhenNone::withdraw:
            return "withdraw";
        case WhenNone::fallback:
            return "fallback";
    }
    return "?";
}

const char* name_of(OnExit value) {
    switch (value) {
        case OnExit::withdraw:
            return "withdraw";
        case OnExit::keep:
            return "keep";
    }
    return "?";
}

const char* name_of(AnnounceWhile value) {
    switch (value) {
        case AnnounceWhile::any:
            return "any";
        case AnnounceWhile::all:
            return "all";
    }
    return "?";
}

const char* name_of(Expectation::Verdict value) {
    switch (value) {
        case Expectation::Verdict::any:
            return "any";
        case Expectation::Verdict::drop:
            return "drop";
        case Expectation::Verdict::pass:
            return "pass";
        case Expectation::Verdict::tx:
            return "tx";
        case Expectation::Verdict::redirect:
            return "redirect";
        case Expectation::Verdict::forward:
            return "forward";
    }
    return "?";
}

std::string text_of(const Ports& ports) {
    if (ports.any) return "any";
    if (ports.is_single()) return std::to_string(ports.first);
    return std::to_string(ports.first) + "-" + std::to_string(ports.last);
}

std::string text_of(const ServerId& id) {
    if (id.len <= sizeof(std::uint32_t)) {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < id.len; ++i) value = value << 8 | id.bytes[i];
        return std::to_string(value);
    }
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out = "0x";
    for (std::size_t i = 0; i < id.len; ++i) {
        out += kDigits[id.bytes[i] >> 4];
        out += kDigits[id.bytes[i] & 15];
    }
    return out;
}

std::string text_of(const BgpCommunity& community) {
    std::string out = std::to_string(community.values[0]);
    for (std::size_t i = 1; i < (community.is_large ? 3 : 2); ++i)
        out += ":" + std::to_string(community.values[i]);
    return out;
}

}  // namespace sluice::config
