#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Weights, drains and failures of backends, one after the other as fast as the daemon takes them, while
packets go through at the full speed of a veth: none is lost, and no connection is cut but those of a
backend that failed; with `on_down: keep` none. The short form does 200 changes, the long one 10,000.
"""

import random
import statistics
import time

import flow_case
import generation_case

CHANGES = 10_000 if generation_case.LONG else 200
PAUSE_AFTER = 400 if generation_case.LONG else 70  # Orders; then what was ordered takes effect.
SEED = 4


class Changes(generation_case.GenerationCase):
    """Six backends, of which two flap; every change is an order through the API."""

    backends = 6
    first = (1, 2, 3, 4, 5, 6)
    flapping = (2, 5)
    packets_per_s = generation_case.FULL

    def orders(self, count: int):
        """(backend, order): random, the same in each run. Whoever is down comes back next."""
        choice = random.Random(SEED)
        down = None
        for _ in range(count):
            if down is not None and choice.random() < 0.5:
                number, down = down, None
                yield number, {"reset": True}
                continue
            kind = choice.choice(("weight", "weight", "drain", "flap", "reset"))
            if kind == "flap" and down is None:
                down = choice.choice(self.flapping)
                yield down, {"state": "down"}
                continue
            number = choice.choice([each for each in self.first if each != down])
            yield number, {"weight": {"weight": choice.randint(1, 10)}, "drain": {"state": "drain"},
                           "flap": {"state": "ready"}, "reset": {"reset": True}}[kind]

    def change(self, client) -> dict:
        """All orders; how long they took."""
        times, kinds = [], {}
        for done, (number, what) in enumerate(self.orders(CHANGES), 1):
            began = time.monotonic()
            self.order(number, **what)
            times.append((time.monotonic() - began) * 1e3)
            kind = what.get("state") or next(iter(what))
            kinds[kind] = kinds.get(kind, 0) + 1
            if done % PAUSE_AFTER == 0:
                self.town.wait_moved()
                self.check(client.report(), f"after {done} changes")
        for number in self.first:
            self.order(number, reset=True)
        self.live(client, 1)
        return {"changes": CHANGES, "of": kinds, "ms_each": round(statistics.median(times), 2),
                "ms_slowest": round(max(times), 1)}

    def check(self, report: dict, when: str) -> None:
        """Only what failed has lost connections."""
        cut = {name for kind in flow_case.KINDS
               for name, of in report[kind]["backends"].items() if of["broken"]}
        # Nobody knows the backend of a connection that broke before it said who it is.
        self.assertLessEqual(cut, {f"b{number}" for number in self.flapping} | {""},
                             f"{when}\n{self.evidence(report)}")
        self.assertEqual(sum(report[kind][what] for kind in flow_case.KINDS
                             for what in ("corrupt", "failed")), 0, self.evidence(report))

    def test_failures_cut_only_their_own(self):
        with self.load() as client:
            self.judged = True
            took = self.change(client)
        self.check(self.last, "at the end")
        own = sum(of["broken"] for kind in flow_case.KINDS
                  for of in self.last[kind]["backends"].values())
        self.assertGreater(own, 0, "no connection noticed that its backend failed")
        self.figures_of_load("changes, on_down: replace", **took, own_cut=own)


class KeptChanges(Changes):
    """The same changes; a failure is a drain."""

    @classmethod
    def document(cls, backends=None, **settings) -> dict:
        return super().document(backends, group={"on_down": "keep"}, **settings)

    def check(self, report: dict, when: str) -> None:
        self.judge(report, when)

    def test_failures_cut_only_their_own(self):
        with self.load() as client:
            took = self.change(client)
        self.figures_of_load("changes, on_down: keep", **took)


if __name__ == "__main__":
    generation_case.main()
