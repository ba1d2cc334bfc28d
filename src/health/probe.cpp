// SPDX-License-Identifier: Apache-2.0
#include "health/probe.h"

#include "health/command_probe.h"
#include "health/dns_probe.h"
#include "health/grpc_probe.h"
#include "health/http_probe.h"
#include "health/icmp_probe.h"
#include "health/tcp_probe.h"
#include "health/udp_probe.h"

namespace sluice::health {

std::unique_ptr<Probe> make_probe(const Target& target, std::shared_ptr<const Tls> tls,
                                  const ProbeShared& shared, Probe::Owner& owner) {
    using config::CheckType;
    Reactor& reactor = shared.reactor;
    switch (target.check->type) {
        case CheckType::http:
        case CheckType::https:
            return std::make_unique<HttpProbe>(reactor, target, std::move(tls), owner);
        case CheckType::udp:
            return std::make_unique<UdpProbe>(reactor, target, owner);
        case CheckType::icmp:
            return std::make_unique<IcmpProbe>(target.address.is_ip6 ? shared.icmp6 : shared.icmp4,
                                               target, owner);
        case CheckType::dns:
            if (target.check->dns.over_tcp)
                return std::make_unique<DnsTcpProbe>(reactor, target, owner);
            return std::make_unique<UdpProbe>(reactor, target, owner);
        case CheckType::grpc:
            return std::make_unique<GrpcProbe>(reactor, target, std::move(tls), owner);
        case CheckType::command:
            return std::make_unique<CommandProbe>(shared.commands, reactor, target, owner);
        case CheckType::tcp:
            break;
    }
    return std::make_unique<TcpProbe>(reactor, target, owner);
}

}  // namespace sluice::health
