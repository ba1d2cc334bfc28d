# SPDX-License-Identifier: Apache-2.0
"""Four servers, each balancer and backend at once; the router spreads VIPs over two of them.

      client --- router ==ECMP== s1 10.0.0.11     each: sluiced with node.decap, the VIPs on lo,
                            `=== s2 10.0.0.12            web servers
                                 s3 10.0.0.13
                                 s4 10.0.0.14

A request reaches s1 or s2, which delivers it itself or sends it on in a tunnel; whoever gets it out
of the tunnel delivers it and never balances it again.
"""

from . import rack
from .node import Lab
from .rack import Balancer, Binaries, Rack

ENTRIES = (1, 2)
SERVERS = (1, 2, 3, 4)


class Fleet:
    """Built and running; `balancers` by number."""

    def __init__(self, lab: Lab, binaries: Binaries):
        self.vips = [rack.vip4(10), rack.vip6(10)]
        self.rack = Rack(lab, backends=len(SERVERS), balancer=False, backend_name="s")
        self.route(ENTRIES)
        self.balancers = {number: Balancer(node, binaries)
                          for number, node in self.rack.backends.items()}

    def route(self, entries) -> None:
        """Makes these servers, by number, the router's gateways to the VIPs."""
        self.rack.route_vips([rack.backend4(number) for number in entries],
                             [rack.backend6(number) for number in entries])

    def document(self, number: int) -> dict:
        """What server `number` is told: the same for all but its own tunnel endpoints."""
        return rack.document(
            rack.services("four", self.vips[0], "ipip", "web4") +
            rack.services("six", self.vips[1], "gue", "web6"),
            group_map=rack.groups(len(SERVERS)),
            decap={"from": [rack.TUNNEL4, rack.TUNNEL6],
                   "addresses": [rack.backend4(number), rack.backend6(number)]})

    def start(self) -> None:
        self.rack.serve()
        for number, balancer in self.balancers.items():
            balancer.node.ip(f"addr add {self.vips[0]}/32 dev lo",
                             f"addr add {self.vips[1]}/128 dev lo nodad")
            balancer.node.sysctl(net_ipv4_conf_all_arp_ignore=1, net_ipv4_conf_all_arp_announce=2)
            balancer.write(self.document(number))
            balancer.start()
        for balancer in self.balancers.values():
            balancer.wait_resolved()

    def reasons(self) -> dict:
        """Counters of each server by reason."""
        return {number: balancer.reasons() for number, balancer in self.balancers.items()}


def moved(before: dict, after: dict, reason: str, numbers=SERVERS) -> int:
    """How far a reason's counters moved, over these servers."""
    return sum(after[number][reason] - before[number][reason] for number in numbers)
