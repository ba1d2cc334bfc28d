# SPDX-License-Identifier: Apache-2.0
"""Routers of Debian: BIRD 2 and FRR on nodes, and what the kernel of a router has from them."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import time

from .isolation import require
from .node import LabError, Node, Process, wait_for

FRR = pathlib.Path("/usr/lib/frr")
_RTMGRP_ROUTES = 0x40 | 0x400  # IPv4 and IPv6.
_ROUTE_ADDED, _ROUTE_REMOVED = 24, 25


class Bird:
    """BIRD on a node. `text` is its configuration; its socket and files lie in `folder`."""

    def __init__(self, node: Node, text: str):
        require(shutil.which("bird"), "bird(8) is missing", "apt-get install bird2")
        self.node = node
        self.folder = node.lab_path("bird")
        self.folder.mkdir()
        self.socket = self.folder / "bird.ctl"
        self.include = self.folder / "sluice.conf"
        self.config = self.folder / "bird.conf"
        self.write(text)
        self.include.touch()
        self.process = None

    def write(self, text: str) -> None:
        self.config.write_text(f'log "{self.folder}/log" all;\nprotocol device {{ }}\n' + text)

    def start(self) -> None:
        self.process = self.node.spawn("bird", "bird", "-f", "-c", self.config, "-s", self.socket,
                                       "-P", self.folder / "pid")
        wait_for(self._answers, f"BIRD on {self.node.name}", 5)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise LabError(f"BIRD ended: {self.process.log()}")
        return self.node.run("birdc", "-s", self.socket, "show", "status",
                             check=False).returncode == 0

    def say(self, *words: str) -> str:
        return self.node.run("birdc", "-s", self.socket, *words).stdout

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


class Frr:
    """FRR's zebra and bgpd on a node."""

    def __init__(self, node: Node, text: str):
        require((FRR / "bgpd").exists(), "FRR is missing", "apt-get install frr")
        self.node = node
        self.folder = node.lab_path("frr")
        self.folder.mkdir()
        (self.folder / "zebra.conf").write_text("hostname router\n")
        (self.folder / "bgpd.conf").write_text("hostname router\n" + text)
        for path in (self.folder, *self.folder.iterdir()):
            shutil.chown(path, "frr", "frr")
        self.bgpd = None
        self._processes = []

    def start(self) -> None:
        self._spawn("zebra")
        wait_for((self.folder / "zserv.api").exists, "zebra's socket", 5)
        self.bgpd = self._spawn("bgpd")
        wait_for(lambda: self.say("show bgp summary json", check=False), "bgpd", 10)

    def _spawn(self, name: str) -> Process:
        process = self.node.spawn(name, FRR / name, "-f", self.folder / f"{name}.conf", "-z",
                               self.folder / "zserv.api", "-i", self.folder / f"{name}.pid",
                               "--vty_socket", self.folder, "-u", "frr", "-g", "frr", "-A",
                               "127.0.0.1", "-P", "0", "--log", "stdout")
        self._processes.append(process)
        return process

    def stop(self) -> None:
        for process in self._processes:
            process.kill()

    def say(self, *commands: str, check: bool = True) -> str:
        words = [word for command in commands for word in ("-c", command)]
        done = self.node.run("vtysh", "--vty_socket", self.folder, *words, check=False)
        if check and done.returncode != 0:
            raise LabError(f"vtysh: {commands}: {done.stdout}{done.stderr}")
        return done.stdout if done.returncode == 0 else ""


class Announcer:
    """The program `announcer` of tests/announcer on a node."""

    def __init__(self, node: Node, settings: dict):
        root = pathlib.Path(__file__).resolve().parents[3]
        build = pathlib.Path(os.environ.get("SLUICE_BUILD") or root / "build/release").absolute()
        program = build / "tests/announcer/announcer"
        require(program.exists(), f"{program} is missing", "build first: ./dev build")
        pipe = node.lab_path("orders")
        os.mkfifo(pipe)
        # The shell waits for a writer before it becomes the program.
        self.process = node.spawn("announcer", "sh", "-c", 'exec "$1" "$2" <"$3"', "sh", program,
                                  json.dumps(settings), pipe)
        self._orders = open(pipe, "w", encoding="utf-8")

    def order(self, **orders) -> None:
        self._orders.write(json.dumps(orders) + "\n")
        self._orders.flush()

    def want(self, **by_wish) -> None:
        """want(announce=[...], drain=[...], withdraw=[...])"""
        self.order(want={prefix: wish for wish, prefixes in by_wish.items()
                         for prefix in prefixes})

    def report(self) -> dict:
        lines = self.process.log().rpartition("\n")[0].splitlines()
        return json.loads(lines[-1]) if lines else {"ways": {}, "prefixes": {}}

    def state(self, prefix: str) -> str:
        return self.report()["prefixes"].get(prefix, {}).get("state", "")

    def wait_state(self, state: str, *prefixes: str, seconds: float = 20.0) -> None:
        with self._explained():
            wait_for(lambda: self._all_are(state, prefixes), f"{state}: {prefixes[:5]}", seconds)

    def _all_are(self, state: str, prefixes) -> bool:
        shown = self.report()["prefixes"]
        return all(shown.get(prefix, {}).get("state") == state for prefix in prefixes)

    def wait_way(self, name: str, condition, what: str, seconds: float = 20.0) -> None:
        with self._explained():
            wait_for(lambda: name in self.report()["ways"] and
                     condition(self.report()["ways"][name]), f"{name} {what}", seconds)

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        except LabError as error:
            report = self.report()
            some = dict(list(report["prefixes"].items())[:5])
            raise LabError(f"{error}\n{json.dumps({**report, 'prefixes': some})}") from None

    def close(self) -> None:
        self._orders.close()

    def end(self, seconds: float = 10.0) -> int:
        """As the daemon ends when it is told to."""
        self._orders.close()
        return self.process.wait(seconds)


def bgp_routes(node: Node) -> dict:
    """Prefixes of the kernel's main table that a routing daemon has learned -> next hops."""
    out = {}
    for family in ("-4", "-6"):
        for route in node.json("ip", family, "-j", "route", "show", "table", "main"):
            if route.get("protocol") not in ("bird", "bgp", "186"):
                continue
            hops = [hop.get("gateway", "") for hop in route.get("nexthops", [route])]
            prefix = route["dst"]
            if "/" not in prefix:
                prefix += "/128" if ":" in prefix else "/32"
            out[prefix] = sorted(hops)
    return out


class RouteWatch:
    """Route changes of a node as the kernel tells them, to measure how long they took."""

    def __init__(self, node: Node):
        with node.inside():
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
            self._socket.bind((0, _RTMGRP_ROUTES))
        self._socket.settimeout(10)
        self._removed = []  # Destinations, in the kernel's form.

    def wait(self, prefix: str, added: bool) -> float:
        """Waits for the prefix to come or go; the time, of time.monotonic()."""
        address, _, length = prefix.partition("/")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        packed = socket.inet_pton(family, address)
        wanted = _ROUTE_ADDED if added else _ROUTE_REMOVED
        while True:
            data = self._socket.recv(65536)
            now = time.monotonic()
            while len(data) >= 16:
                size, kind = struct.unpack_from("=IH", data)
                # rtmsg: family, length of the destination; then attributes, the destination among
                # them.
                if kind == _ROUTE_REMOVED:
                    self._removed.append(data[17:18] + data[28:size])
                if kind == wanted and data[16] == family and data[17] == int(length) and \
                        packed in data[28:size]:
                    return now
                data = data[(size + 3) & ~3:]

    def seen_removed(self, prefix: str) -> int:
        """How often the prefix went, as far as wait() has come."""
        address, _, length = prefix.partition("/")
        packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
        return sum(seen[0] == int(length) and packed in seen for seen in self._removed)

    def close(self) -> None:
        self._socket.close()


def pause(process: Process) -> None:
    """Stops a process as SIGSTOP does, and waits until it has."""
    process.send(signal.SIGSTOP)
    wait_for(lambda: _state_of(process.pid) == "T", f"{process.name} to stand still")


def resume(process: Process) -> None:
    process.send(signal.SIGCONT)


def _state_of(pid: int) -> str:
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return stat.rpartition(")")[2].split()[0]
