#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rollbacks among other changes, under load: a rollback restores what was written, never what the
world has said since. The short form tries three orders, others each day, each by another road; the long
one every order by each road.
"""

import itertools
import random
import time

import flow_case
import generation_case
from lab import rack, town
from lab.node import wait_for

DRAINED, FAILED = 1, 2


class Orders(generation_case.GenerationCase):
    """A drain, a rollback and a failing backend in every order."""

    backends = 5
    first = (1, 2, 3, 4)

    def changed(self, road: str) -> dict:
        """What is rolled back; the road is the cheapest for it."""
        return {"entry": self.document((1, 2, town.backend_entry(3, weight=3), 4)),
                "map": self.document((1, 2, 3, 4, 5)),
                "program": self.with_later(4)}[road]

    def drain(self) -> None:
        self.order(DRAINED, state="drain")

    def rollback(self) -> None:
        self.post("rollback")

    def fail(self) -> None:  # pylint: disable=arguments-differ
        self.town.cut(FAILED)
        self.order(FAILED, state="down")

    def check(self, report: dict, when: str) -> None:
        cut = {name for kind in flow_case.KINDS
               for name, of in report[kind]["backends"].items() if of["broken"]}
        # Nobody knows the backend of a connection that broke before it said who it is.
        self.assertLessEqual(cut, {f"b{FAILED}", ""}, f"{when}\n{self.evidence(report)}")
        self.assertEqual(sum(report[kind][what] for kind in flow_case.KINDS
                             for what in ("corrupt", "failed")), 0, self.evidence(report))

    def states(self) -> tuple:
        return self.town.backend(DRAINED)["state"], self.town.backend(FAILED)["state"]

    def one_order(self, client, road: str, order) -> None:
        name = f"{road}: " + ", ".join(step.__name__ for step in order)
        base = self.shown()
        self.configure(self.changed(road))
        self.town.wait_moved()
        wanted = {"drain": "ready", "fail": "ready"}
        for step in order:
            step()
            if step.__name__ in wanted:
                wanted[step.__name__] = {"drain": "drain", "fail": "down"}[step.__name__]
            self.assertEqual(self.states(), (wanted["drain"], wanted["fail"]), name)
            self.check(self.live(client, 0.3), f"{name}, after {step.__name__}")
        self.assertEqual(self.shown(), base, name)
        self.town.wait_moved()
        began = time.monotonic_ns()
        report = self.live(client, 0.5)
        for number in (DRAINED, FAILED):
            last = report["brief"]["backends"][f"b{number}"]["last_start_ns"]
            self.assertLess(last, began, f"{name}: a new connection to b{number}")
        self.town.mend(FAILED)
        self.order(FAILED, reset=True)
        self.order(DRAINED, reset=True)
        self.town.wait_closed()
        self.check(client.report(), f"{name}, at the end")

    def test_a_drain_a_rollback_and_a_failure_in_every_order(self):
        orders = list(itertools.permutations((self.drain, self.rollback, self.fail)))
        roads = ("entry", "map", "program")
        if generation_case.LONG:
            runs = list(itertools.product(roads, orders))
        else:
            random.Random(flow_case.SEED).shuffle(orders)
            print(f"3 of {len(orders)} orders, SLUICE_SEED={flow_case.SEED}", flush=True)
            runs = list(zip(roads, orders))
        with self.load() as client:
            self.judged = True
            for road, order in runs:
                self.one_order(client, road, order)
        self.check(self.last, "at the end")
        self.figures_of_load("rollbacks in every order", runs=len(runs))


class World(generation_case.GenerationCase):
    """What a rollback must not touch."""

    backends = 4

    def setUp(self):
        self.configure(self.document())
        self.town.wait_closed()

    def test_a_rollback_keeps_an_address_that_changed_meanwhile(self):
        node, mac = self.town.backends[3], "02:00:00:00:00:93"
        with self.load() as client:
            for road, document in (("program", self.with_later(1)),
                                   ("entry", self.document((town.backend_entry(1, weight=2), 2, 3)))):
                self.configure(document, road=road)
                node.ip(f"link set dev eth0 address {mac}")
                node.run("ping", "-c", "1", "-W", "3", rack.BALANCER4)  # Makes it known.
                wait_for(lambda mac=mac: self.macs_of(3) == {mac}, "the new MAC in its next hop")
                self.post("rollback")
                self.assertEqual(self.macs_of(3), {mac})
                began = client.report()["brief"]["backends"]["b3"]["opened"]
                self.town.wait_moved()
                wait_for(lambda began=began: client.report()["brief"]["backends"]["b3"]["opened"] >
                         began + 10, "new connections to b3", 20, 0.1)
                mac = "02:00:00:00:00:94"
        self.figures_of_load("rollback after a new MAC")

    def macs_of(self, number: int) -> set:
        return {row["next_mac"] for row in self.balancer.json("backend", "list")["backends"]
                if row["address"] == rack.backend4(number)}

    def test_connections_of_the_abandoned_generation_live(self):
        # Silent ones are another client's, which comes in between.
        with self.load(silent=0) as client:
            for road in ("map", "program"):
                self.configure(self.document((1, 2, 3, 4)), road=road)
                self.town.wait_closed()
                wait_for(lambda: client.report()["brief"]["backends"].get("b4", {}).get("opened", 0) >
                         20, "connections to the new backend", 20, 0.1)
                born = self.town.client(silent=100, silence_ms=1000)
                wait_for(lambda: born.report()["silent"]["opened"] >= 100, "100 more connections", 20,
                         0.1)
                self.assertGreater(born.report()["silent"]["backends"]["b4"]["opened"], 0)
                self.post("rollback")
                self.town.wait_moved()
                self.judge(self.live(client, 2), f"after a rollback by {road}")
                self.judge(born.finish(), f"connections born before a rollback by {road}")
                self.town.wait_closed()
        self.figures_of_load("born under the abandoned generation")

    def test_a_rollback_to_a_loaded_generation_is_one_swap(self):
        answered, inside = [], []
        self.configure(self.document(icmp_rate=500), road="program")
        for _ in range(20 if generation_case.LONG else 3):
            generation, program = self.in_force()["generation"], self.instance.live_program()
            self.configure(self.document(icmp_rate=600), road="program")
            began = time.monotonic()
            report = self.post("rollback", generation=generation)
            answered.append((time.monotonic() - began) * 1e3)
            inside.append(report["plan"]["took_us"] / 1e3)
            self.assertEqual(self.instance.live_program(), program)
            row = self.in_force()
            self.assertEqual((row["generation"], row["restores"]), (report["generation"], generation))
        self.figures("rollback to a loaded generation", ms=[round(each, 2) for each in inside],
                     answered_after_ms=[round(each, 2) for each in answered])


if __name__ == "__main__":
    generation_case.main()
