#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""examples/hotreload: somebody else's program, changed, refused and taken back under load."""

import json
import os
import pathlib
import re
import signal
import socket
import unittest

import case
from lab import rack
from lab.isolation import require
from lab.node import Lab, wait_for

BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD") or
                     pathlib.Path(__file__).resolve().parents[2] / "build/release")
EXAMPLE = BUILD.absolute() / "examples/hotreload"
PINS = "/sys/fs/bpf/example"
HOST, PEER = "10.3.0.1", "10.3.0.2"
IN_BETWEEN = 100  # Packets between a copy of larger state and the swap, on a machine that is busy.
MAPPED = [0] * 10 + [0xff] * 2 + list(socket.inet_aton(PEER))


class HotReload(unittest.TestCase):
    """One host with the filter on eth0, one peer that pings it."""

    @classmethod
    def setUpClass(cls):
        require((EXAMPLE / "hotreload").exists(), "examples/hotreload is not built", "./dev build")
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.host, cls.peer = cls.lab.node("host"), cls.lab.node("peer")
        cls.lab.link(cls.host, "eth0", cls.peer, "eth0")
        cls.host.ip(f"addr add {HOST}/24 dev eth0")
        cls.peer.ip(f"addr add {PEER}/24 dev eth0")

    def reload(self, *words, check=True):
        return self.host.run(EXAMPLE / "hotreload", PINS, *words, check=check)

    def swap(self, version: int, check=True):
        return self.reload("eth0", EXAMPLE / f"filter_{version}.bpf.o", check=check)

    def state(self, shown: str) -> dict:
        """{1: "kept", 2: "live"} of what the example has printed."""
        return {int(number): what
                for number, what in re.findall(r"^(\d+) (live|kept) ", shown, re.MULTILINE)}

    def counted(self) -> int:
        """Packets of the peer, by the pinned state."""
        entries = self.host.json(rack.tool("bpftool"), "-j", "map", "dump", "pinned",
                                 f"{PINS}/hotreload/state/sources")
        for entry in entries:
            if [int(byte, 16) for byte in entry["key"]] == MAPPED:
                return int.from_bytes(bytes(int(byte, 16) for byte in entry["value"][:8]), "little")
        return 0

    def echo_passes(self) -> bool:
        """Whether a datagram to UDP port 7 reaches the host's stack, which says that nobody listens."""
        with self.peer.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.5)
            sock.connect((HOST, 7))
            try:
                sock.send(b"x")
                sock.recv(16)
            except ConnectionRefusedError:
                return True
            except socket.timeout:
                return False
        return True

    @staticmethod
    def answered(ping) -> list:
        """Numbers of the requests that were answered so far."""
        return [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl=.*\n", ping.log())]

    def shape(self) -> dict:
        shown = self.host.json(rack.tool("bpftool"), "-j", "map", "show", "pinned",
                               f"{PINS}/hotreload/state/sources")
        return {name: shown[name] for name in ("bytes_value", "max_entries")}

    def test_a_foreign_program_is_changed_refused_and_taken_back_under_load(self):
        self.assertEqual(self.state(self.swap(1).stdout), {1: "live"})
        self.assertTrue(self.echo_passes())
        load = self.peer.spawn("ping", rack.tool("stdbuf"), "-oL", rack.tool("ping"), "-i", "0.002",
                               HOST)
        wait_for(lambda: len(self.answered(load)) > 100, "a hundred answers")
        before = self.counted()

        self.assertEqual(self.state(self.swap(2).stdout), {1: "kept", 2: "live"})
        self.assertFalse(self.echo_passes(), "version 2 drops the echo service")
        carried = self.counted()
        self.assertGreaterEqual(carried, before, "state goes on")

        refused = self.swap(3, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, r"error: .*proof: udp .*: verdict 1, not 2\n"
                                         r"hint: what runs is unchanged")
        self.assertEqual(self.state(self.reload("--list").stdout), {1: "kept", 2: "live"})

        back = self.reload("--back", "1")
        self.assertEqual(self.state(back.stdout), {1: "live", 2: "kept"})
        self.assertTrue(self.echo_passes(), "version 1 again")
        carried_back = self.counted()
        self.assertGreaterEqual(carried_back, carried)

        self.assertEqual(self.shape(), {"bytes_value": 16, "max_entries": 1024})
        self.assertEqual(self.state(self.swap(4).stdout), {1: "kept", 2: "kept", 3: "live"})
        self.assertEqual(self.shape(), {"bytes_value": 24, "max_entries": 65536})
        self.assertGreaterEqual(self.counted(), carried_back, "larger state holds what there was")
        self.assertFalse(self.echo_passes())

        smaller = self.swap(2, check=False)
        self.assertEqual(smaller.returncode, 1)
        self.assertIn("state can grow", smaller.stderr)
        last = len(self.answered(load))
        answered = wait_for(lambda: self.answered(load)[last + 100:] and self.answered(load),
                            "a hundred answers more")
        load.send(signal.SIGINT)
        self.assertEqual(load.wait(), 0, load.log())
        self.assertEqual(answered, list(range(1, len(answered) + 1)), "one for each request")
        self.assertGreaterEqual(self.counted(), len(answered) - IN_BETWEEN)

        self.reload("--detach")
        self.assertFalse(self.host.run("ls", PINS).stdout.strip(), "nothing stays pinned")
        link = json.loads(self.host.run("ip", "-j", "link", "show", "eth0").stdout)
        self.assertNotIn("xdp", link[0])


if __name__ == "__main__":
    case.main()
