// SPDX-License-Identifier: Apache-2.0

/// Announcements that are legal but hardly meant.

#include <algorithm>
#include <map>

#include "config/draft.h"

namespace sluice::config {
namespace {

constexpr BgpCommunity kGracefulShutdown = {{65535, 0, 0}, false};  // RFC 8326.
constexpr BgpCommunity kBlackhole = {{65535, 666, 0}, false};       // RFC 7999.

void warn_peers(const AnnounceBgp& bgp, const AnnounceNotes& notes, Findings& findings) {
    for (std::size_t i = 0; i < bgp.peers.size(); ++i) {
        const BgpPeer& peer = bgp.peers[i];
        const std::string path = "announce.bgp.peers[" + std::to_string(i) + "]";
        if (peer.hold_time.count() == 0)
            findings.warning(notes.hold_times[i], path + ".hold_time",
                             "0s: neither end notices that the other is gone");
        if (peer.address.is_loopback() && !peer.next_hop4 && !peer.next_hop6)
            findings.warning(notes.peers[i], path,
                             "announces a loopback address as the next hop: give next_hop, or have "
                             "the peer set it");
    }
}

void warn_attributes(const AnnounceBgp& bgp, const AnnounceNotes& notes, Findings& findings) {
    for (std::size_t i = 0; i < bgp.communities.size(); ++i) {
        const std::string path = "announce.bgp.communities[" + std::to_string(i) + "]";
        if (bgp.communities[i] == kGracefulShutdown)
            findings.warning(notes.communities[i], path,
                             "graceful-shutdown: routers take this node only if there is no other, "
                             "always (sluice node drain sets it while it is needed)");
        if (bgp.communities[i] == kBlackhole)
            findings.warning(notes.communities[i], path,
                             "blackhole: routers may drop what is sent to the VIPs");
    }
    const auto inside = std::count_if(bgp.peers.begin(), bgp.peers.end(),
                                      [&](const BgpPeer& peer) { return peer.as == bgp.as; });
    if (bgp.local_preference && inside == 0)
        findings.warning(notes.local_preference, "announce.bgp.local_preference",
                         "has no effect: no peer is of this AS");
    if (bgp.prepend > 0 && static_cast<std::size_t>(inside) == bgp.peers.size())
        findings.warning(notes.prepend, "announce.bgp.prepend",
                         "has no effect: all peers are of this AS");
}

/// A VIP is announced as soon as one of its services wants it.
void warn_services(const Draft& draft, Findings& findings) {
    const auto& services = draft.config.services;
    std::map<IpPrefix, std::size_t> announced;
    for (std::size_t i = 0; i < services.size(); ++i)
        if (services[i].announce) announced.try_emplace(services[i].vip, i);
    if (draft.config.announce && announced.empty())
        findings.warning(draft.announce.place, "announce", "no service is announced");
    for (std::size_t i = 0; i < services.size(); ++i) {
        const Mark mark = draft.services[i].announce;
        if (services[i].announce || mark.line == 0) continue;
        const auto other = announced.find(services[i].vip);
        if (!draft.config.announce)
            findings.warning(mark, draft.service_path(i, "announce"),
                             "has no effect: this node announces nothing");
        else if (other != announced.end())
            findings.warning(
                mark, draft.service_path(i, "announce"),
                "the VIP is announced all the same, for " + draft.service_place(other->second));
    }
}

}  // namespace

void warn_announce(const Draft& draft, Findings& findings) {
    warn_services(draft, findings);
    if (!draft.config.announce || !draft.config.announce->bgp) return;
    warn_peers(*draft.config.announce->bgp, draft.announce, findings);
    warn_attributes(*draft.config.announce->bgp, draft.announce, findings);
}

}  // namespace sluice::config
