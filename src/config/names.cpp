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

std::string text_of(const Ports& ports) {
    if (ports.any) return "any";
    if (ports.is_single()) return std::to_string(ports.first);
    return std::to_string(ports.first) + "-" + std::to_string(ports.last);
}

}  // namespace sluice::config
