# SPDX-License-Identifier: Apache-2.0
"""A balancer and a router with one cable, and how they are configured to announce VIPs.

    balancer eth0 10.0.0.2, fd00:10::2 --- 10.0.0.1, fd00:10::1 eth0 router

The balancer announces with the program `announcer`, through a BIRD of its own or by sessions to the
router, which runs BIRD or FRR. Used by announce_*_test.py and bench/announce.py.
"""

import sys
import unittest

from lab.node import Lab, Node, wait_for
from lab.routers import Announcer, Bird, bgp_routes

BALANCER4, ROUTER4 = "10.0.0.2", "10.0.0.1"
BALANCER6, ROUTER6 = "fd00:10::2", "fd00:10::1"
VIP4, OTHER4, VIP6 = "192.0.2.1/32", "192.0.2.2/32", "2001:db8:2::1/128"
OWN_AS, ROUTER_AS, LONG_AS = 65001, 65000, 4200000001

# The router's BIRD: takes everything and gives it to its kernel.
ROUTER_BIRD = """
router id 10.0.0.1;
protocol kernel { ipv4 { export all; }; }
protocol kernel { ipv6 { export all; }; }
"""
# The balancer's own BIRD, steered by its control socket.
LOCAL_BIRD = f"""
router id {BALANCER4};
include "sluice.conf";
protocol bgp router4 {{
    local {BALANCER4} as {OWN_AS}; neighbor {ROUTER4} as {ROUTER_AS}; connect retry time 1;
    ipv4 {{ import none; export where proto ~ "sluice*"; next hop self; }};
}}
protocol bgp router6 {{
    local {BALANCER6} as {OWN_AS}; neighbor {ROUTER6} as {ROUTER_AS}; connect retry time 1;
    ipv6 {{ import none; export where proto ~ "sluice*"; next hop self; }};
}}
"""


def bird_peer(name, local, remote, local_as=ROUTER_AS, remote_as=OWN_AS, more="") -> str:
    """A session that the router waits for, with both families."""
    return f"""
protocol bgp {name} {{
    local {local} as {local_as}; neighbor {remote} as {remote_as}; passive;
    {more}
    ipv4 {{ import all; export none; }};
    ipv6 {{ import all; export none; }};
}}
"""


def frr_config(local_as=ROUTER_AS, remote_as=OWN_AS, more=()) -> str:
    lines = [f"router bgp {local_as}", " bgp router-id 10.0.0.1", " no bgp ebgp-requires-policy"]
    for neighbour in (BALANCER4, BALANCER6):
        lines += [f" neighbor {neighbour} remote-as {remote_as}", f" neighbor {neighbour} passive"]
        lines += [f" neighbor {neighbour} {line}" for line in more]
    lines += [" address-family ipv6 unicast", f"  neighbor {BALANCER4} activate",
              f"  neighbor {BALANCER6} activate", " exit-address-family"]
    return "\n".join(lines) + "\n"


def peer(address=ROUTER4, remote_as=ROUTER_AS, **more) -> dict:
    return {"address": address, "as": remote_as, "retry": 1, "next_hop4": BALANCER4,
            "next_hop6": BALANCER6, **more}


def bgp(*peers, own_as=OWN_AS, **more) -> dict:
    return {"bgp": {"as": own_as, "peers": list(peers), **more.pop("bgp", {})}, **more}


def build(lab: Lab):
    """The balancer and the router."""
    balancer, router = lab.node("balancer"), lab.node("router")
    lab.link(balancer, "eth0", router, "eth0")
    balancer.ip(f"address add {BALANCER4}/24 dev eth0", f"address add {BALANCER6}/64 dev eth0 nodad")
    router.ip(f"address add {ROUTER4}/24 dev eth0", f"address add {ROUTER6}/64 dev eth0 nodad")
    return balancer, router


def router_bird(router: Node, *peers: str) -> Bird:
    bird = Bird(router, ROUTER_BIRD + "".join(peers))
    bird.start()
    return bird


def local_bird(balancer: Node) -> Bird:
    bird = Bird(balancer, LOCAL_BIRD)
    bird.start()
    return bird


def by_bird(bird: Bird) -> dict:
    return {"bird": {"socket": str(bird.socket), "include": str(bird.include)}}


class AnnounceCase(unittest.TestCase):
    """A balancer and a router with one cable; a laboratory for each test."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.balancer, self.router = build(self.lab)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            print(*(text for _, text in (result.failures + result.errors)[-1:]), file=sys.stderr)

    def announcer(self, settings: dict) -> Announcer:
        announcer = Announcer(self.balancer, settings)
        self.addCleanup(announcer.close)
        return announcer

    def router_bird(self, *peers: str) -> Bird:
        return router_bird(self.router, *peers)

    def wait_routes(self, *prefixes: str, seconds: float = 20.0) -> None:
        wait_for(lambda: set(bgp_routes(self.router)) == set(prefixes),
                 f"routes {prefixes[:5]} in the router's kernel", seconds)
