#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two balancers that announce the same VIPs: one leaves, or dies, under live connections. Each has
the same rings, so that whoever a packet reaches sends it to the same backend.
"""

import signal
import time

import flow_case
from lab import pair, town
from lab.node import wait_for

TALK, BRIEF_PER_S = (500, 200) if flow_case.LONG else (500, 100)


class PairCase(flow_case.FlowCase):
    """A pair for each class; both balancers announce when a test begins."""

    way, router = "session", "bird"

    @classmethod
    def build(cls) -> None:
        cls.rack = cls.town = cls.pair = pair.Pair(cls.lab, cls.way, cls.router)
        cls.balancer = cls.town.balancer
        cls.pair.start()

    def packets(self) -> dict:
        """Of each balancer: what it has forwarded."""
        return {number: balancer.reasons()["forwarded"]
                for number, balancer in self.pair.balancers.items()}

    def state(self, number: int) -> str:
        return self.pair.balancers[number].json("announce", "list")["node_state"]["state"]

    def assert_spread(self, numbers) -> None:
        """These balancers, and no others, have the traffic."""
        before = self.packets()
        wait_for(lambda: all(self.packets()[number] > before[number] + 1000 for number in numbers),
                 f"packets through {numbers}", 20)
        moved = {number for number, count in self.packets().items() if count > before[number]}
        self.assertEqual(moved, set(numbers), f"since {before}")

    def drained(self, name: str) -> None:
        """The first balancer leaves and comes back; nobody notices."""
        self.pair.wait_settled()
        with self.clients(talk=TALK, brief_per_s=BRIEF_PER_S, silent=0, datagrams=50) as client:
            began = time.monotonic()
            self.pair.balancers[1].sluice("node", "drain", "--wait", seconds=60)
            left = time.monotonic() - began
            self.pair.wait_hops(2)
            self.assert_spread([2])
            self.judge(client.report(), "drained")
            self.pair.balancers[1].sluice("node", "ready")
            self.pair.wait_hops(1, 2)
            self.assert_spread([1, 2])
        self.figures(name, way=self.way, router=self.router, drained_after_s=round(left, 2),
                     **self.summary(self.last))


class BySessions(PairCase):
    """Sessions of our own, to the router's BIRD."""

    def test_a_drained_balancer_cuts_no_connection(self):
        self.drained("drained")

    def test_a_drain_during_a_change(self):
        """Slots are marked: what one balancer remembers the other does not know. Measured."""
        with self.clients(talk=TALK, brief_per_s=BRIEF_PER_S, silent=0, datagrams=0) as client:
            for number, balancer in self.pair.balancers.items():
                balancer.write(self.pair.document(number, backends=(1, 2, 3)))
            for balancer in self.pair.balancers.values():
                balancer.sluice("reload", "--wait", seconds=60)
            self.pair.balancers[1].sluice("node", "drain", "--wait", seconds=60)
            self.pair.wait_hops(2)
            self.judged = True
            report = client.report()
        broken = sum(row["broken"] for row in report["talk"]["backends"].values())
        self.figures("drained in a change", opened=report["talk"]["opened"], broken=broken)
        # Those of the backend that left, and only where the other balancer never saw them.
        self.assertLess(broken, report["talk"]["opened"] / 4)
        self.pair.balancers[1].sluice("node", "ready")
        for number, balancer in self.pair.balancers.items():
            balancer.write(self.pair.document(number))
            balancer.sluice("reload", "--wait", seconds=60)
        self.pair.wait_hops(1, 2)

    def test_a_killed_daemon_withdraws_and_nothing_is_cut(self):
        with self.clients(talk=TALK, brief_per_s=BRIEF_PER_S, silent=0, datagrams=0):
            daemon = self.pair.balancers[1].daemon
            daemon.send(signal.SIGKILL)
            daemon.wait()
            self.pair.wait_hops(2)
            self.pair.balancers[1].start()
            self.pair.wait_hops(1, 2)

    def test_a_drained_node_stays_so_over_a_restart(self):
        self.pair.balancers[1].sluice("node", "drain", "--wait", seconds=60)
        self.pair.wait_hops(2)
        daemon = self.pair.balancers[1].daemon
        daemon.send(signal.SIGKILL)
        daemon.wait()
        self.pair.balancers[1].start()
        wait_for(lambda: self.state(1) == "drained", "the state of before", 10)
        self.pair.wait_hops(2)
        self.pair.balancers[1].sluice("node", "ready")
        self.pair.wait_hops(1, 2)


class ByFrr(PairCase):
    """Sessions of our own, to the router's FRR."""

    router = "frr"

    def test_a_drained_balancer_cuts_no_connection(self):
        self.drained("drained")


class ByBird(PairCase):
    """BIRD on both sides, with BFD of 50 ms x 3."""

    way = "bird"

    def test_a_drained_balancer_cuts_no_connection(self):
        self.drained("drained")

    def test_a_balancer_that_dies_is_left_and_connections_go_on(self):
        with self.clients(talk=TALK, brief_per_s=0, silent=0, datagrams=0) as client:
            before = client.report()
            died = time.monotonic()
            self.pair.cut(1)
            self.pair.wait_hops(2)
            gone = time.monotonic() - died
            rounds = client.report()["talk"]["up_bytes"] + 100 * TALK * 100
            wait_for(lambda: client.report()["talk"]["up_bytes"] > rounds, "traffic", 60, 0.1)
            report = client.report()
        self.pair.mend(1)
        self.pair.wait_hops(1, 2, seconds=60)
        self.figures("a balancer dies", opened=before["talk"]["opened"],
                     route_gone_after_s=round(gone, 3),
                     longest_gap_ms=report["talk"]["longest_gap_ms"], **self.summary(self.last))


if __name__ == "__main__":
    flow_case.main()
