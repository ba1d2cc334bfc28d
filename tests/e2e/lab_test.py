#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The laboratory itself, without Sluice: it works, tells the truth, and is gone afterwards."""

import os
import signal
import subprocess
import sys
import time
import unittest

import case
from lab import peers, rack, xdp
from lab.node import Lab, LabError, wait_for

VIPS = [rack.vip4(10), rack.vip6(10)]
QUIET_VIPS = [rack.vip4(11), rack.vip6(11)]  # No other test leaves retransmissions there.

# A run that says "built" and then waits to be killed.
_WAITING_RUN = """
import signal, sys
sys.path.insert(0, sys.argv[1])
from lab import isolation, rack
from lab.node import Lab
def main():
    built = rack.Rack(Lab(), backends=1)
    built.serve()
    print("built", flush=True)
    signal.alarm(60)
    signal.pause()
    return 0
sys.exit(isolation.run_isolated(main))
"""


class PlainRouting(unittest.TestCase):
    """The router sends the VIPs straight to b1: what every other test adds Sluice to."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.rack = rack.Rack(cls.lab, backends=2)
        cls.rack.route_vips([rack.backend4(1)], [rack.backend6(1)])
        for node in cls.rack.backends.values():
            for ip4, ip6 in (VIPS, QUIET_VIPS):
                node.ip(f"addr add {ip4}/32 dev lo", f"addr add {ip6}/128 dev lo nodad")
        cls.rack.serve()

    def test_servers_answer_for_a_vip_over_both_families(self):
        with self.rack.client.inside():
            for vip in VIPS:
                self.assertEqual(peers.http_get(vip), "b1")
                self.assertEqual(peers.udp_echo(vip, b"x" * 4000), "b1")
                with peers.connect(vip, peers.BULK_PORT) as sock:
                    self.assertEqual(peers.bulk_round(sock, 3_000_001, 2_000_003), "b1")

    def test_a_tap_counts_frames_by_source(self):
        for vip in QUIET_VIPS:
            tap = peers.Tap(self.rack.switch, "p-b1", vip)
            other = peers.Tap(self.rack.switch, "p-b2", vip)
            self.rack.client.run("ping", "-c", "3", "-i", "0.02", "-W", "2", vip)
            self.assertEqual((tap.frames(), other.frames()), (3, 0))
            tap.close()
            other.close()

    def test_a_conversation_that_is_cut_says_so(self):
        talk = peers.Conversation(self.rack.client, VIPS[0])
        wait_for(lambda: talk.rounds() >= 2, "first rounds")
        self.rack.route_vips([rack.backend4(2)], [rack.backend6(2)])
        self.addCleanup(self.rack.route_vips, [rack.backend4(1)], [rack.backend6(1)])
        with self.assertRaises(LabError):  # b2 does not know the connection and resets it.
            wait_for(lambda seen=talk.rounds(): talk.rounds() > seen + 1, "two more rounds", 0.5)
        self.assertIn("ConnectionResetError", talk.finish()["error"])

    def test_a_counting_program_counts(self):
        counting = xdp.CountingProgram()
        with self.rack.router.inside():
            link = xdp.attach(counting.fd, "client")
        self.rack.client.run("ping", "-c", "4", "-i", "0.02", "-W", "2", VIPS[0])
        self.assertGreaterEqual(counting.count(), 4)
        mine = xdp.ids_of("self")
        self.assertEqual(xdp.alive(mine), mine)
        xdp.detach(link)

    def test_xdp_sends_whole_frames_back_through_the_switch(self):
        # No super-frames and no checksums left to hardware: or the transfer would stall.
        vip, b2 = rack.vip4(12), self.rack.backends[2]
        b2.ip(f"addr add {vip}/32 dev lo")
        self.rack.router.ip(f"route add {vip} via {rack.BALANCER4}")
        bouncer = xdp.load_bouncer(vip, b2.mac("eth0"), self.rack.balancer.mac("eth0"))
        with self.rack.balancer.inside():
            link = xdp.attach(bouncer, "eth0")
        with self.rack.client.inside():
            self.assertEqual(peers.http_get(vip), "b2")
            self.assertEqual(peers.udp_echo(vip, b"x" * 4000), "b2")
            with peers.connect(vip, peers.BULK_PORT) as sock:
                self.assertEqual(peers.bulk_round(sock, 5_000_000, 5_000_000), "b2")
        xdp.detach(link)

    def test_a_stolen_byte_is_noticed(self):
        with self.rack.client.inside(), peers.connect(VIPS[0], peers.BULK_PORT) as sock:
            real = peers._digest  # pylint: disable=protected-access
            peers._digest = lambda chunks: real(chunk[:-1] for chunk in chunks)
            try:
                with self.assertRaises(ValueError):
                    peers.bulk_round(sock, 1000, 1000)
            finally:
                peers._digest = real


class Ecmp(unittest.TestCase):
    """The router's part of a fleet."""

    def test_the_router_spreads_connections_over_its_gateways(self):
        lab = Lab()
        self.addCleanup(lab.close)
        plain = rack.Rack(lab, backends=2, balancer=False, backend_name="s")
        plain.route_vips([rack.backend4(1), rack.backend4(2)], [rack.backend6(1), rack.backend6(2)])
        for node in plain.backends.values():
            node.ip(f"addr add {VIPS[0]}/32 dev lo", f"addr add {VIPS[1]}/128 dev lo nodad")
        plain.serve()
        for vip in VIPS:
            with plain.client.inside():
                answered = [peers.http_get(vip) for _ in range(40)]
            self.assertGreater(answered.count("s1"), 5)
            self.assertGreater(answered.count("s2"), 5)


class GoneAfterwards(unittest.TestCase):
    """However a run ends, the machine is as before."""

    def start(self):
        run = subprocess.Popen([sys.executable, "-c", _WAITING_RUN, os.path.dirname(__file__)],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        self.assertEqual(run.stdout.readline(), "built\n")
        children = descendants(run.pid)
        self.assertGreater(len(children), 5)
        namespaces = namespaces_of(children)
        self.assertGreater(len(namespaces), 4)
        return run, children, namespaces

    def test_after_sigkill(self):
        run, children, namespaces = self.start()
        run.kill()
        check_gone(self, children, namespaces)

    def test_after_sigterm_and_ctrl_c(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            run, children, namespaces = self.start()
            began = time.monotonic()
            run.send_signal(number)
            self.assertEqual(run.wait(10), 130)
            self.assertLess(time.monotonic() - began, 5)
            check_gone(self, children, namespaces)


def check_gone(test, processes, namespaces) -> None:
    """Those processes end, and no process is left in those network namespaces."""
    wait_for(lambda: not any(_lives(pid) for pid in processes), "end of all processes of the run")
    held = namespaces_of(pid for pid in os.listdir("/proc") if pid.isdigit())
    test.assertEqual(held & namespaces, set())


def namespaces_of(pids) -> set:
    return {_namespace(pid) for pid in pids} - {""}


def _lives(pid: int) -> bool:
    """A zombie has nothing left but its number: the process that adopted it has not looked yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _namespace(pid) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def descendants(pid: int) -> list:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = [int(word) for word in file.read().split()]
    return children + [each for child in children for each in descendants(child)]


if __name__ == "__main__":
    case.main()
