# SPDX-License-Identifier: Apache-2.0
"""The network of most tests and of the demonstration, with Sluice on it.

      client           router            switch (a Linux bridge)
    198.51.100.10 --- .1 | 10.0.0.1 ------+--- balancer 10.0.0.2    sluiced
    2001:db8:c::10       | fd00:10::1     +--- b1       10.0.0.11   sluice agent, servers
                         |                +--- b2       10.0.0.12
                 192.0.2.0/24 and         +--- b3       10.0.0.13
                 2001:db8:2::/64 via 10.0.0.2

The router sends VIPs to the balancer; backends answer the client through the router, so that no
answer passes the balancer. The links of the rack are 1600 bytes wide, so that full packets fit with
an outer header, unless a test wants it otherwise.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket

from . import peers, yaml_text
from .isolation import require
from .node import Lab, LabError, Node, wait_for

CLIENT4, CLIENT6 = "198.51.100.10", "2001:db8:c::10"
BALANCER4, BALANCER6 = "10.0.0.2", "fd00:10::2"
TUNNEL4, TUNNEL6 = "10.255.0.0/24", "fd00:ff::/64"
SECRET = "000102030405060708090a0b0c0d0e0f"
DEGRADED = 6  # Exit status of `sluice status` when something is amiss.
CONFIG = pathlib.Path("/run/sluice/sluice.yaml")
STATE = "/run/sluice/state"


def backend4(number: int) -> str:
    return f"10.0.0.{10 + number}"


def backend6(number: int) -> str:
    return f"fd00:10::{10 + number}"


def vip4(number: int) -> str:
    return f"192.0.2.{number}"


def vip6(number: int) -> str:
    return f"2001:db8:2::{number}"


class Binaries:
    """sluiced and sluice of one build."""

    def __init__(self, build: str = ""):
        root = pathlib.Path(__file__).resolve().parents[3]
        build = pathlib.Path(build or os.environ.get("SLUICE_BUILD") or root / "build/release")
        build = build.absolute()
        self.sluiced = build / "daemon/sluiced"
        self.sluice = build / "cli/sluice"
        self.sluiced_next = build / "daemon/sluiced_next"  # Another release.
        for path in (self.sluiced, self.sluice):
            require(path.exists(), f"{path} is missing",
                    "build first: ./dev build, or set SLUICE_BUILD")


class Balancer:
    """sluiced on a node, and the command line that talks to it."""

    always: tuple = ()  # Options of every start.

    def __init__(self, node: Node, binaries: Binaries):
        self.node = node
        self.binaries = binaries
        self.daemon = None

    def write(self, text) -> None:
        """Puts a configuration (text or a document) where sluiced reads it."""
        self.write_to(CONFIG, text)

    def write_to(self, path: pathlib.Path, text) -> None:
        if not isinstance(text, str):
            text = yaml_text.dump(text)
        writer = self.node.fork("write", path.write_text, text)
        if writer.wait() != 0:
            raise LabError(writer.log())

    def start(self, *options, wrapper=(), ready: bool = True, program=None):
        """Starts sluiced, or another release of it; waits until it says READY=1."""
        path = str(self.node.lab_path("notify"))
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(path)
        os.chmod(path, 0o666)
        notify.setblocking(False)
        self.daemon = self.node.spawn("sluiced", *wrapper, program or self.binaries.sluiced,
                                      "-f", CONFIG,
                                      "--state-dir", STATE, *self.always, *options,
                                      env={"NOTIFY_SOCKET": path})
        with notify:
            if ready:
                wait_for(lambda: self._is_ready(notify), "READY=1 of sluiced", 20)
        return self.daemon

    def _is_ready(self, notify) -> bool:
        if self.daemon.poll() is not None:
            raise LabError(f"sluiced ended with {self.daemon.status}:\n{self.daemon.log()}")
        with contextlib.suppress(BlockingIOError):
            return b"READY=1" in notify.recv(4096)
        return False

    def sluice(self, *words, check: bool = True, **options):
        return self.node.run(self.binaries.sluice, *words, check=check, **options)

    def json(self, *words):
        done = self.sluice(*words, "-j", check=False)
        if done.returncode not in (0, DEGRADED):
            raise LabError(f"sluice {' '.join(words)}: exit {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout)

    def reasons(self) -> dict:
        """Packets by reason."""
        return reasons_of(self.json("status"))

    def wait_resolved(self, seconds: float = 10.0) -> None:
        """Until every backend in state ready has a next hop."""
        wait_for(lambda: not unresolved_of(self.json("backend", "list")),
                 "next hops of all backends", seconds)

    def loaded_interface(self, interface: str = "eth0") -> dict:
        """What the kernel says of the XDP program there; {} without one."""
        link = self.node.json("ip", "-j", "-d", "link", "show", "dev", interface)[0]
        return link.get("xdp", {})


def reasons_of(status: dict) -> dict:
    return {row["reason"]: row["traffic"]["packets"] for row in status["reasons"]}


def unresolved_of(listing: dict) -> list:
    return [row for row in listing["backends"]
            if row["state"] == "ready" and row["next_hop"] not in ("resolved", "local")]


class Agent:
    """`sluice agent run` on a backend."""

    def __init__(self, node: Node, binaries: Binaries, vips, sources=(TUNNEL4, TUNNEL6),
                 options=()):
        self.node = node
        self.binaries = binaries
        words = ["--interface", "eth0"]
        for vip in vips:
            words += ["--vip", vip]
        for source in sources:
            words += ["--from", source]
        self.process = node.spawn("agent", binaries.sluice, "agent", "run", *words, "--apply",
                                  *options)

    def wait_attached(self) -> None:
        wait_for(self._attached, f"agent on {self.node.name}", 15)

    def _attached(self) -> bool:
        if self.process.poll() is not None:
            raise LabError(f"agent on {self.node.name} ended with {self.process.status}:\n"
                           f"{self.process.log()}")
        link = self.node.json("ip", "-j", "-d", "link", "show", "dev", "eth0")[0]
        return "xdp" in link

    def reasons(self) -> dict:
        return reasons_of(self.node.json(self.binaries.sluice, "agent", "status", "-j"))


class Rack:
    """Client, router, switch, and the servers named; see the drawing above."""

    def __init__(self, lab: Lab, backends: int = 3, mtu: int = 1500, rack_mtu: int = 1600,
                 balancer: bool = True, backend_name: str = "b"):
        self.lab = lab
        self.mtu = mtu
        self.rack_mtu = rack_mtu
        self.client = lab.node("client")
        self.router = lab.node("router")
        self.switch = lab.node("switch")
        self._build_front()
        self.balancer = self.add_server("balancer", BALANCER4, BALANCER6) if balancer else None
        self.backends = {number: self.add_server(f"{backend_name}{number}", backend4(number),
                                                 backend6(number))
                         for number in range(1, backends + 1)}
        if balancer:
            self.route_vips([BALANCER4], [BALANCER6])

    def _build_front(self) -> None:
        self.switch.ip("link add name br0 type bridge mcast_snooping 0", "link set dev br0 up")
        self.switch.sysctl(net_ipv6_conf_br0_disable_ipv6=1)
        self.router.sysctl(net_ipv4_ip_forward=1, net_ipv6_conf_all_forwarding=1,
                           net_ipv4_conf_all_rp_filter=0, net_ipv4_conf_default_rp_filter=0,
                           net_ipv4_fib_multipath_hash_policy=1,
                           net_ipv6_fib_multipath_hash_policy=1,
                           net_ipv4_icmp_ratelimit=0)
        self.lab.link(self.client, "eth0", self.router, "client", self.mtu)
        self.client.ip(f"addr add {CLIENT4}/24 dev eth0", f"addr add {CLIENT6}/64 dev eth0",
                       "route add default via 198.51.100.1", "route add default via 2001:db8:c::1")
        self.router.ip("addr add 198.51.100.1/24 dev client",
                       "addr add 2001:db8:c::1/64 dev client")
        self._plug(self.router, "rack")
        self.router.ip("addr add 10.0.0.1/24 dev rack", "addr add fd00:10::1/64 dev rack")

    def _plug(self, node: Node, interface: str) -> None:
        """A cable from a node's interface to a port of the switch."""
        port = f"p-{node.name}"
        self.lab.link(node, interface, self.switch, port, self.rack_mtu)
        self.switch.ip(f"link set dev {port} master br0")
        self.lab.pass_xdp(self.switch, port)  # The far end of XDP_TX.

    def add_server(self, name: str, ip4: str, ip6: str) -> Node:
        node = self.lab.node(name)
        node.sysctl(net_ipv4_conf_all_rp_filter=0, net_ipv4_conf_default_rp_filter=0)
        self._plug(node, "eth0")
        node.ip(f"addr add {ip4}/24 dev eth0", f"addr add {ip6}/64 dev eth0",
                f"route add default via 10.0.0.1 dev eth0 mtu {self.mtu}",
                f"route add default via fd00:10::1 dev eth0 mtu {self.mtu}")
        return node

    def route_vips(self, gateways4, gateways6) -> None:
        """The router's routes to the VIPs; several gateways make ECMP."""
        self.router.ip("route replace 192.0.2.0/24 " + _nexthops(gateways4),
                       "route replace 2001:db8:2::/64 " + _nexthops(gateways6))

    def serve(self, *nodes: Node) -> None:
        """Servers on these nodes (all backends, if none is named)."""
        started = [node.fork("servers", peers.serve, node.name)
                   for node in nodes or self.backends.values()]
        for process in started:
            wait_for(lambda process=process: "ready" in process.log(), f"start of {process.name}")

    def diagnosis(self) -> str:
        """The logs of all daemons, for a test that failed."""
        parts = []
        for process in self.lab.processes():
            text = process.log().strip() if "write" not in process.name else ""
            if text and text != "ready":
                parts.append(f"--- {process.name} (status {process.poll()})\n{text[-4000:]}")
        return "\n".join(parts)


def _nexthops(gateways) -> str:
    if len(gateways) == 1:
        return f"via {gateways[0]}"
    return " ".join(f"nexthop via {gateway} weight 1" for gateway in gateways)


def groups(count: int = 3) -> dict:
    """Groups web4 and web6: the backends by their IPv4 and by their IPv6 addresses."""
    numbers = range(1, count + 1)
    return {"web4": {"balance": "maglev", "backends": [backend4(n) for n in numbers]},
            "web6": {"balance": "maglev", "backends": [backend6(n) for n in numbers]}}


def services(name: str, vip: str, forward: str, group: str = "") -> list:
    """HTTP, bulk transfer and echo on one VIP."""
    common = {"forward": forward} | ({"group": group} if group else {})
    ports = (("http", "tcp", peers.HTTP_PORT), ("bulk", "tcp", "7000-7009"),
             ("echo", "udp", peers.ECHO_PORT))
    return [{"name": f"{name}-{kind}", "vip": vip, "protocol": protocol, "port": port} | common
            for kind, protocol, port in ports]


def document(service_list: list, interfaces=("eth0",), group_map=None, **node_settings) -> dict:
    """A whole configuration."""
    node = {"interfaces": list(interfaces), "xdp_mode": "native",
            "tunnel_source": {"ipv4": TUNNEL4, "ipv6": TUNNEL6},
            "ring_secret": SECRET} | node_settings
    return {"version": 1, "node": node, "groups": groups() if group_map is None else group_map,
            "services": service_list}


def tool(name: str) -> str:
    """The path of a program that a test cannot do without."""
    path = shutil.which(name)
    require(path, f"{name} is missing", "install the packages that ./dev setup names")
    return path
