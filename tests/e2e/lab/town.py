# SPDX-License-Identifier: Apache-2.0
"""Many clients, one balancer, backends, and floods: the network of the tests that look at live
connections while backends come and go.

    client 10.0.0.1 ------+--- switch ---+--- balancer eth0 10.0.0.2     sluiced
    198.51.100.1..32      |  (a bridge)  |             eth1 ------------ flood
    2001:db8:c::1..20     |              +--- b1       10.0.0.11         traffic server, VIPs on lo
                          `-- answers ---+--- b2 ...   10.0.0.12 ...

Packets are forwarded by rewriting the Ethernet header (`l2`), so that backends need no agent. What a
flood sends enters by eth1 and is balanced like everything else; where the balancer's packets enter
the switch, a filter takes spoofed ones out again, because the backends' own stacks share this
machine's cores. The tools are tests/traffic.
"""

import http.client
import json
import signal
import socket
import struct
import time

from . import rack
from .isolation import require
from .node import Lab, LabError, Node, Process, wait_for

VIP4, VIP6 = rack.vip4(10), rack.vip6(10)
PORT = 7100
CLIENT4, CLIENT6 = "10.0.0.1", "fd00:10::1"
SOURCE4, SOURCE6, SOURCES = "198.51.100.1", "2001:db8:c::1", 32
GROUP = "web"
# As in tests/traffic/client.h.
TALK_PORTS, SILENT_PORTS = 20000, 25000
LIFETIMES = {"embryonic": "3s", "established": "5s", "closing": "2s", "udp": "2s"}
_HOLD_MARK = 119


class Tool:
    """A process of tests/traffic: asked with SIGUSR1, it prints a line of JSON."""

    def __init__(self, node: Node, path, tool: str, /, **options):
        words = []
        for name, values in options.items():
            for value in values if isinstance(values, (list, tuple)) else [values]:
                words += [f"--{name.replace('_', '-')}", str(value)]
        self._offset = 0
        self._last: dict = {}
        self.process: Process = node.spawn(f"traffic-{tool}", path, tool, *words)
        wait_for(self._is_ready, f"start of {self.process.name}", 30)

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise LabError(f"{self.process.name} ended with {self.process.status}:\n"
                           f"{self.process.log()}")
        return "ready\n" in self.process.log()

    def _read(self) -> bool:
        """Takes in what it has printed since; whether a report was among it."""
        lines = self.process.log_from(self._offset).split(b"\n")[:-1]  # The last is not whole.
        self._offset += sum(len(line) + 1 for line in lines)
        reports = [line for line in lines if line.startswith(b"{")]
        if reports:
            self._last = json.loads(reports[-1])
        return bool(reports)

    def report(self) -> dict:
        """How it stands now."""
        self._read()
        self.process.send(signal.SIGUSR1)
        wait_for(lambda: self._read() or self.process.poll() is not None,
                 f"report of {self.process.name}", 60)
        return self._last

    def finish(self, seconds: float = 90.0) -> dict:
        """Lets it end what it has begun; its last report."""
        status = self.process.stop(seconds)
        if status != 0:
            raise LabError(f"{self.process.name} ended with {status}:\n"
                           f"{self.process.log()[-2000:]}")
        self._read()
        return self._last


class Town:
    """Built; `start` makes it run."""

    def __init__(self, lab: Lab, backends: int = 3):
        self.lab = lab
        self.binaries = rack.Binaries()
        self.traffic = self.binaries.sluiced.parents[1] / "bin/traffic"
        require(self.traffic.exists(), f"{self.traffic} is missing", "build first: ./dev build")
        self.switch = lab.node("switch")
        self.switch.ip("link add name br0 type bridge mcast_snooping 0", "link set dev br0 up")
        self.switch.sysctl(net_ipv6_conf_br0_disable_ipv6=1)
        self.client_node = self._server("client", CLIENT4, CLIENT6)
        self.client_node.ip(*(f"addr add {address} dev lo" for address in _sources()),
                            f"route add {VIP4} via {rack.BALANCER4}",
                            f"route add {VIP6} via {rack.BALANCER6}")
        node = self._server("balancer", rack.BALANCER4, rack.BALANCER6)
        self.flood_node = lab.node("flood")
        lab.link(self.flood_node, "eth0", node, "eth1")
        lab.pass_xdp(self.flood_node, "eth0")
        node.ip("addr add 10.1.0.2/24 dev eth1")
        self.balancer = rack.Balancer(node, self.binaries)
        self.backends = {number: self._backend(number) for number in range(1, backends + 1)}
        self.servers = {}
        self.holds = {}
        self.filter = None

    def _server(self, name: str, ip4: str, ip6: str) -> Node:
        node = self.lab.node(name)
        node.sysctl(net_ipv4_conf_all_rp_filter=0, net_ipv4_conf_default_rp_filter=0)
        port = f"p-{name}"
        self.lab.link(node, "eth0", self.switch, port)
        self.switch.ip(f"link set dev {port} master br0")
        node.ip("link set dev lo up", f"addr add {ip4}/24 dev eth0",
                f"addr add {ip6}/64 dev eth0 nodad")
        return node

    def _backend(self, number: int) -> Node:
        node = self._server(f"b{number}", rack.backend4(number), rack.backend6(number))
        node.sysctl(net_ipv4_conf_all_arp_ignore=1, net_ipv4_conf_all_arp_announce=2)
        node.ip(f"addr add {VIP4}/32 dev lo", f"addr add {VIP6}/128 dev lo nodad",
                f"route add default via {CLIENT4}", f"route add default via {CLIENT6}")
        return node

    def hold_syn_acks(self, milliseconds: int) -> None:
        """From now on every SYN-ACK takes a way around that long."""
        for number, node in self.backends.items():
            self._hold_syn_acks(number, node, milliseconds)

    def _hold_syn_acks(self, number: int, node: Node, milliseconds: int) -> None:
        node.ip("link add name hold0 type veth peer name hold1", "link set dev hold0 arp off up",
                "link set dev hold1 arp off up",
                "route add default dev hold0 table 100", "route add ::/0 dev hold0 table 100")
        # Whole packets: a checksum that is left to hardware would never be made.
        node.run("ethtool", "-K", "hold0", "tx", "off")
        for family in ("-4", "-6"):
            node.run("ip", family, "rule", "add", "fwmark", _HOLD_MARK + 1, "table", "100")
        self.holds[number] = Tool(node, self.traffic, "delay", interface="hold1", ms=milliseconds,
                                  mark=_HOLD_MARK)
        node.run(rack.tool("nft"), "-f", "-", stdin=(
            "table inet hold {\n chain out {\n  type route hook output priority mangle\n"
            f"  meta mark != {_HOLD_MARK} tcp flags & (syn|ack) == syn|ack "
            f"meta mark set {_HOLD_MARK + 1}\n }}\n}}\n"))

    def start(self, document: dict, sweep_pass_every: int = 50) -> None:
        self.filter = Tool(self.switch, self.traffic, "filter", interface="p-balancer",
                           pass_every=sweep_pass_every)
        for number, node in self.backends.items():
            self.servers[number] = Tool(node, self.traffic, "server", name=f"b{number}", port=PORT)
        self.balancer.write(document)
        self.balancer.start()
        self.balancer.wait_resolved(30)

    def client(self, vips=(VIP4, VIP6), **options) -> Tool:
        return Tool(self.client_node, self.traffic, "client", vip=list(vips), port=PORT,
                    **{"from": [SOURCE4, SOURCE6]}, from_count=SOURCES, **options)

    def flood(self, kind: str, rate: int, vip: str = VIP4, sweep=None) -> Tool:
        """`sweep` (first port, ports) makes it go over these ports of all the client's addresses."""
        options = {"interface": "eth0", "to": vip, "port": PORT, "kind": kind, "rate": rate,
                   "mac": self._mac(self.balancer.node, "eth1")}
        if sweep is not None:
            options |= {"from": SOURCE6 if ":" in vip else SOURCE4, "from_count": SOURCES,
                        "first_port": sweep[0], "ports": sweep[1]}
        return Tool(self.flood_node, self.traffic, "flood", **options)

    @staticmethod
    def _mac(node: Node, interface: str) -> str:
        return node.json("ip", "-j", "link", "show", "dev", interface)[0]["address"]

    def apply(self, document: dict) -> None:
        """A change by the configuration file."""
        self.balancer.write(document)
        self.balancer.sluice("reload", "--wait", seconds=60)

    def set(self, number: int, *options: str, **run_options):
        """A change by the command line: `set(1, "--state", "drain")`."""
        return self.balancer.sluice("backend", "set", f"{GROUP}/{rack.backend4(number)}", *options,
                                    **run_options)

    def reset(self, number: int) -> None:
        self.balancer.sluice("backend", "reset", f"{GROUP}/{rack.backend4(number)}")

    def backend(self, number: int) -> dict:
        """The row of a backend in `sluice backend list`; {} when there is none."""
        rows = self.balancer.json("backend", "list")["backends"]
        return next((row for row in rows if row["address"] == rack.backend4(number)), {})

    def change(self) -> dict:
        """How far the changes of the group are, all rings together."""
        rows = [row["change"] for row in self.balancer.json("map", "list")["changes"]
                if row["group"] == GROUP]
        return {name: sum(row[name] for row in rows)
                for name in ("preparing_slots", "open_slots", "marked_slots", "held_slots")}

    def wait_moved(self, seconds: float = 30.0) -> None:
        """Until new connections follow the change."""
        wait_for(lambda: self.change()["preparing_slots"] == 0, "end of preparation", seconds, 0.1)

    def wait_closed(self, seconds: float = 60.0) -> None:
        """Until all windows are closed: whoever is not remembered follows the change."""
        def closed() -> bool:
            change = self.change()
            return change["preparing_slots"] + change["open_slots"] == 0
        wait_for(closed, "end of all windows", seconds, 0.1)

    def order(self, number: int, **body) -> dict:
        """The same as `set` by the API, without a process' start; {status, body, and when it was
        asked and answered}."""
        asker = self.balancer.node.fork("order", _order, f"{GROUP}/{rack.backend4(number)}", body)
        if asker.wait(30) != 0:
            raise LabError(asker.log())
        return json.loads(asker.log())

    def cut(self, number: int) -> None:
        """A backend's cable is pulled: nothing it says is heard any more."""
        self.switch.ip(f"link set dev p-b{number} down")

    def mend(self, number: int) -> None:
        self.switch.ip(f"link set dev p-b{number} up")

    def diagnosis(self) -> str:
        """What the daemons said, for a test that failed."""
        parts = []
        for process in self.lab.processes():
            text = process.log().strip()
            if text and text != "ready" and not process.name.startswith("write"):
                parts.append(f"--- {process.name} (status {process.poll()})\n{text[-2000:]}")
        return "\n".join(parts)


class _UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect("/run/sluice/sluice.sock")


def _order(name: str, body: dict) -> None:
    connection = _UnixConnection("localhost")
    connection.connect()
    asked_ns = time.monotonic_ns()
    connection.request("PATCH", f"/api/v1/backends/{name}", json.dumps(body),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    print(json.dumps({"asked_ns": asked_ns, "answered_ns": time.monotonic_ns(),
                      "status": answer.status, "body": json.loads(text)}), flush=True)


def who_answers(node: Node, vip: str, source: str = "", seconds: float = 3.0) -> str:
    """The backend at the other end of a new connection; "" when there is none in that time."""
    with node.inside():
        sock = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_STREAM)
    with sock:
        sock.settimeout(seconds)
        try:
            if source:
                sock.bind((source, 0))
            sock.connect((vip, PORT))
            sock.sendall(struct.pack("=QII", 1, 1, 0))  # Hello, in tests/traffic/stream.h.
            return sock.recv(16, socket.MSG_WAITALL).rstrip(b"\0").decode()
        except OSError:
            return ""


def sources(count: int = SOURCES) -> tuple:
    """Addresses of the clients: IPv4, IPv6."""
    prefix4, prefix6 = SOURCE4.rpartition(".")[0], SOURCE6.rpartition(":")[0]
    numbers = range(1, count + 1)
    return [f"{prefix4}.{n}" for n in numbers], [f"{prefix6}:{n:x}" for n in numbers]


def _sources() -> list:
    sources4, sources6 = sources()
    return [f"{each}/32" for each in sources4] + [f"{each}/128 nodad" for each in sources6]


def backend_entry(number: int, **settings) -> dict:
    return {"address": rack.backend4(number)} | settings


def document(backends, lifetimes=None, balance: str = "maglev", group=None, **node) -> dict:
    """Services on TCP and UDP of both VIPs, all on one group. `backends` are numbers or entries."""
    entries = [backend_entry(each) if isinstance(each, int) else each for each in backends]
    common = {"port": PORT, "forward": "l2", "group": GROUP}
    if lifetimes is not False:
        common["lifetimes"] = lifetimes or LIFETIMES
    services = [{"name": f"{protocol}{family}", "vip": vip, "protocol": protocol} | common
                for protocol in ("tcp", "udp") for family, vip in (("4", VIP4), ("6", VIP6))]
    return rack.document(services, interfaces=("eth0", "eth1"),
                         group_map={GROUP: {"balance": balance, "backends": entries}
                                    | (group or {})}, **node)
