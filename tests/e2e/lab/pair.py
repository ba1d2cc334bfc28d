# SPDX-License-Identifier: Apache-2.0
"""Two balancers that a router spreads connections over, by flow, as they announce VIPs to it.

    client --- router ==ECMP== lb1 10.0.0.2 ---+--- b1 10.0.0.11 ... b4
                   |     `==== lb2 10.0.0.3 ---|
                   `---------------------------'  (a switch)

Like the town (lab/town.py): packets are forwarded by rewriting the Ethernet header, backends answer
through the router, tools are tests/traffic. The router runs BIRD or FRR.
"""

from . import rack, town
from .isolation import require
from .node import Lab, wait_for
from .routers import Bird, Frr, bgp_routes

ROUTER4, ROUTER6 = town.CLIENT4, town.CLIENT6
BALANCERS4 = {1: "10.0.0.2", 2: "10.0.0.3"}
BALANCERS6 = {1: "fd00:10::2", 2: "fd00:10::3"}
ROUTER_AS, OWN_AS = 65000, 65001
_CLIENT4, _CLIENT6 = "203.0.113.2", "fd00:20::2"
VIPS = (f"{town.VIP4}/32", f"{town.VIP6}/128")

_ROUTER_BIRD = """
router id 10.0.0.1;
protocol kernel { merge paths on; ipv4 { export all; }; }
protocol kernel { merge paths on; ipv6 { export all; }; }
protocol bfd { interface "eth0" { min rx interval 50 ms; min tx interval 50 ms; multiplier 3; }; }
filter taken { if (65535, 0) ~ bgp_community then bgp_local_pref = 0; accept; }
"""


def _router_session(number: int, family: str, address: str, bfd: bool) -> str:
    local = ROUTER4 if family == "4" else ROUTER6
    families = ("ipv4", "ipv6") if not bfd else (f"ipv{family}",)
    channels = " ".join(f"{each} {{ import filter taken; export none; }};" for each in families)
    return f"""
protocol bgp lb{number}v{family} {{
    local {local} as {ROUTER_AS}; neighbor {address} as {OWN_AS}; passive; error wait time 1, 2;
    {"bfd on;" if bfd else ""}
    {channels}
}}
"""


def _own_bird(number: int) -> str:
    out = f"""
router id {BALANCERS4[number]};
include "sluice.conf";
protocol bfd {{ interface "eth0" {{ min rx interval 50 ms; min tx interval 50 ms; multiplier 3; }}; }}
"""
    for family, local, router in (("4", BALANCERS4[number], ROUTER4),
                                  ("6", BALANCERS6[number], ROUTER6)):
        out += f"""
protocol bgp router{family} {{
    local {local} as {OWN_AS}; neighbor {router} as {ROUTER_AS}; connect retry time 1;
    error wait time 1, 2; bfd on;
    ipv{family} {{ import none; export where proto ~ "sluice*"; next hop self; }};
}}
"""
    return out


def _frr() -> str:
    lines = [f"router bgp {ROUTER_AS}", " bgp router-id 10.0.0.1", " no bgp ebgp-requires-policy",
             " bgp bestpath as-path multipath-relax"]
    for number in BALANCERS4:
        lines += [f" neighbor {BALANCERS4[number]} remote-as {OWN_AS}",
                  f" neighbor {BALANCERS4[number]} passive"]
    for family in ("ipv4", "ipv6"):
        lines += [f" address-family {family} unicast", "  maximum-paths 8"]
        for number in BALANCERS4:
            lines += [f"  neighbor {BALANCERS4[number]} activate",
                      f"  neighbor {BALANCERS4[number]} route-map taken in"]
        lines += [" exit-address-family"]
    lines += ["bgp community-list standard leaving permit graceful-shutdown",
              "route-map taken permit 10", " match community leaving", " set local-preference 0",
              "route-map taken permit 20"]
    return "\n".join(lines) + "\n"


class Pair(town.Town):
    """Built; `start` makes it run. `way`: how balancers announce, "session" or "bird"; `router`:
    "bird" or "frr"."""

    def __init__(self, lab: Lab, way: str, router: str, backends: int = 4):
        self.lab = lab
        self.way = way
        self.binaries = rack.Binaries()
        self.traffic = self.binaries.sluiced.parents[1] / "bin/traffic"
        require(self.traffic.exists(), f"{self.traffic} is missing", "build first: ./dev build")
        self.switch = lab.node("switch")
        self.switch.ip("link add name br0 type bridge mcast_snooping 0", "link set dev br0 up")
        self.switch.sysctl(net_ipv6_conf_br0_disable_ipv6=1)
        self.router = self._server("router", ROUTER4, ROUTER6)
        self._connect_client()
        self.balancers = {number: rack.Balancer(
            self._server(f"lb{number}", BALANCERS4[number], BALANCERS6[number]), self.binaries)
            for number in BALANCERS4}
        for number, balancer in self.balancers.items():
            lab.pass_xdp(self.switch, f"p-lb{number}")
            balancer.node.ip(f"route add default via {ROUTER4}", f"route add default via {ROUTER6}")
        self.balancer = self.balancers[1]
        self.backends = {number: self._backend(number) for number in range(1, backends + 1)}
        self.servers, self.holds, self.filter = {}, {}, None
        self.daemon = self._routing_daemon(router)
        self.birds = {number: Bird(balancer.node, _own_bird(number))
                      for number, balancer in self.balancers.items()} if way == "bird" else {}

    def _connect_client(self) -> None:
        self.client_node = self.lab.node("client")
        self.lab.link(self.client_node, "eth0", self.router, "eth1")
        sources4, sources6 = town.sources()
        self.client_node.ip(f"addr add {_CLIENT4}/24 dev eth0", f"addr add {_CLIENT6}/64 dev eth0 nodad",
                            *(f"addr add {each}/32 dev lo" for each in sources4),
                            *(f"addr add {each}/128 dev lo nodad" for each in sources6))
        self.router.ip("addr add 203.0.113.1/24 dev eth1", "addr add fd00:20::1/64 dev eth1 nodad",
                       f"route add 198.51.100.0/24 via {_CLIENT4}",
                       f"route add 2001:db8:c::/64 via {_CLIENT6}")
        self.client_node.ip("route add default via 203.0.113.1", "route add default via fd00:20::1")
        # By flow: connections of one client go to both.
        self.router.sysctl(net_ipv4_ip_forward=1, net_ipv6_conf_all_forwarding=1,
                           net_ipv4_fib_multipath_hash_policy=1,
                           net_ipv6_fib_multipath_hash_policy=1)

    def _routing_daemon(self, router: str):
        if router == "frr":
            return Frr(self.router, _frr())
        text = _ROUTER_BIRD
        for number in BALANCERS4:
            text += _router_session(number, "4", BALANCERS4[number], self.way == "bird")
            if self.way == "bird":
                text += _router_session(number, "6", BALANCERS6[number], True)
        return Bird(self.router, text)

    def announce(self, number: int, drain: str) -> dict:
        """What a balancer's configuration says of announcements."""
        if self.way == "bird":
            bird = self.birds[number]
            return {"bird": {"socket": str(bird.socket), "include": str(bird.include)},
                    "drain": drain}
        return {"bgp": {"as": OWN_AS, "peers": [{
            "address": ROUTER4, "as": ROUTER_AS, "retry": "1s",
            "next_hop": {"ipv4": BALANCERS4[number], "ipv6": BALANCERS6[number]}}]}, "drain": drain}

    def document(self, number: int, backends=(1, 2, 3, 4), drain: str = "2s", group=None) -> dict:
        """The same for both but for who they are."""
        out = town.document(backends, group=group) | {
            "version": 2, "announce": self.announce(number, drain)}
        out["node"]["interfaces"] = ["eth0"]
        return out

    def start(self, **settings) -> None:
        for number, node in self.backends.items():
            self.servers[number] = town.Tool(node, self.traffic, "server", name=f"b{number}",
                                             port=town.PORT)
        self.daemon.start()
        for number, balancer in self.balancers.items():
            if number in self.birds:
                self.birds[number].start()
            balancer.write(self.document(number, **settings))
            balancer.start()
            balancer.wait_resolved(30)
        self.wait_hops(1, 2)

    def hops(self) -> dict:
        """Of each VIP: the balancers that the router's kernel sends to."""
        numbers = {address: number for addresses in (BALANCERS4, BALANCERS6)
                   for number, address in addresses.items()}
        return {prefix: sorted(numbers.get(hop, 0) for hop in hops)
                for prefix, hops in bgp_routes(self.router).items()}

    def wait_hops(self, *balancers: int, seconds: float = 30.0) -> None:
        wanted = {prefix: list(balancers) for prefix in VIPS} if balancers else {}
        wait_for(lambda: self.hops() == wanted, f"routes {wanted}", seconds, 0.05)

    def wait_settled(self, seconds: float = 60.0) -> None:
        """Until no slot of either balancer is marked."""
        wait_for(lambda: not any(balancer.json("map", "list")["changes"]
                                 for balancer in self.balancers.values()),
                 "the end of all changes", seconds, 0.1)

    def cut(self, number: int) -> None:
        """A balancer's cable is pulled."""
        self.switch.ip(f"link set dev p-lb{number} down")

    def mend(self, number: int) -> None:
        self.switch.ip(f"link set dev p-lb{number} up")
