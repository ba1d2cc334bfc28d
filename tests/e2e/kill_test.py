#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed at every step of an apply: before each of its system calls that changes something.
Afterwards either the old or the new configuration is whole, no packet was lost, nothing is left behind.

The short form kills at a few steps of each kind of change, other ones each day; the long form at all.
"""

import difflib
import hashlib
import os
import random
import signal

import flow_case
import generation_case
from lab import faults, rack, town, xdp, yaml_text
from lab.api import Gone, Refused
from lab.node import wait_for

POINTS = None if generation_case.LONG else 2  # Of each kind of change.


class Kills(generation_case.GenerationCase):
    """Two configurations; each step goes from one to the other."""

    backends = 4
    first = (1, 2, 3)

    def changes(self, kind: str) -> tuple:
        """The two configurations, of which one takes the place of the other by that road."""
        return {"entry": (self.document(), self.document((town.backend_entry(1, weight=3), 2, 3))),
                "map": (self.document(), self.document((1, 2, 3, 4))),
                "program": (self.document(), self.with_later(2, self.document(icmp_rate=500))),
                "rollback": (self.document(), self.with_later(2, self.document(icmp_rate=500))),
                }[kind]

    def looks(self) -> str:
        """The configuration in force from all sides: what the daemon says, what the kernel's maps
        say, what packets meet."""
        # One that was removed is listed, without a weight, for as long as flows may live.
        backends = sorted(f"{row['address']} {row['state']} {row['weight']}"
                          for row in self.api.get("/api/v1/backends")["backends"]
                          if row["group"] == town.GROUP and row["weight"] > 0)
        return "\n".join((self.shown(), self.shown("--from", "kernel"),
                          f"answers: {self.later(seconds=0.3)}", *backends))

    def test_killed_in_a_change_of_an_entry(self):
        self.killed_at_every_step("entry")

    def test_killed_in_a_change_of_a_map(self):
        self.killed_at_every_step("map")

    def test_killed_in_a_change_of_the_program(self):
        self.killed_at_every_step("program")

    def test_killed_in_a_rollback(self):
        self.killed_at_every_step("rollback")

    def killed_at_every_step(self, kind: str) -> None:
        self.seen, self.killed, self.through = set(), 0, 0
        documents = self.changes(kind)
        self.known = []
        for document in documents:
            self.configure(document)
            self.known.append(self.looks())
        self.assertNotEqual(self.known[0], self.known[1])
        self.state_files = self.files()
        points = self.points(kind, documents)
        with self.load(talk=200, brief_per_s=100) as client:
            for tried, (call, number, what) in enumerate(points):
                # A step of the longer way is none of the shorter one: it runs through.
                if POINTS and (self.killed >= POINTS or tried >= 5 * POINTS):
                    break
                name = f"{kind}: killed before {call} {number} {what}"
                self.one_step(name, kind, documents, (call, number))
                self.judge(client.report(), name)
        self.assertGreater(self.killed, 0)
        self.assert_no_leak()
        self.figures_of_load(f"killed in a change by {kind}", steps=len(points), killed=self.killed,
                             ran_through=self.through)

    def points(self, kind: str, documents) -> list:
        """Every step of both ways (faults.Watch.steps); shuffled unless the form is long."""
        steps = set()
        for _ in range(2):
            target = 1 - self.now()
            watch = faults.recorded(self.balancer.node, self.balancer.daemon)
            self.addCleanup(watch.end)
            self.go(kind, documents, target)
            steps |= set(watch.steps())
        ordered = sorted(steps)
        if POINTS is None:
            return ordered
        random.Random(flow_case.SEED).shuffle(ordered)
        print(f"{kind}: {POINTS} of {len(ordered)} steps, SLUICE_SEED={flow_case.SEED}", flush=True)
        return ordered

    def now(self) -> int:
        """Which of the two configurations is in force, seen from every side."""
        looks = self.looks()
        if looks not in self.known:
            self.fail("neither the old nor the new configuration:\n" + "\n".join(
                line for known in self.known for line in difflib.unified_diff(
                    known.splitlines(), looks.splitlines(), "known", "now", lineterm="", n=1)))
        return self.known.index(looks)

    def go(self, kind: str, documents, target: int) -> None:
        """To this one. Asks nothing else, so that every step that is watched is one of the change."""
        if kind == "rollback":
            self.post("rollback", generation=self.generation_of(documents[target]))
        else:
            self.configure(documents[target], road=kind)

    def generation_of(self, document) -> int:
        """The newest one that was in force with this text, one that is loaded before all others."""
        digest = hashlib.sha256(yaml_text.dump(document).encode()).hexdigest()
        rows = [row for row in self.history(1000)
                if row["digest"] == digest and row["outcome"] == "replaced"]
        return next((row for row in rows if row["loaded"]), rows[0])["generation"]

    def one_step(self, name: str, kind: str, documents, step: tuple) -> None:
        target = 1 - self.now()
        self.hold()
        watch = faults.kill_at(self.balancer.node, self.balancer.daemon, *step)
        try:
            self.go(kind, documents, target)
            answered = True
        except (Gone, Refused) as failed:
            self.assertIsInstance(failed, Gone, name)
            answered = False
        watch.end()
        if answered and self.balancer.daemon.poll() is None:
            self.through += 1
        else:
            # The answer may have left before the step was reached.
            self.assertEqual(self.balancer.daemon.wait(), -signal.SIGKILL, name)
            self.killed += 1
            self.start()
        if answered:
            self.assertEqual(self.now(), target, name)
        self.assert_clean(name)

    def assert_clean(self, name: str) -> None:
        """What is there after a start is what history knows of."""
        self.now()
        rows = self.history(1000)
        self.assertEqual([row for row in rows if row["outcome"] == "applying"], [], name)
        self.assertEqual(len([row for row in rows if row["outcome"] == "in_force"]), 1, name)
        # A generation that was changed in place keeps the number of its pins.
        loaded = [row["generation"] for row in rows if row["loaded"]]
        wait_for(lambda: len(self.instance.generations()) == len(loaded),
                 f"{name}: pins {self.instance.generations()} of the generations {loaded}", 5)
        checked = self.balancer.sluice("config", "show", "--from", "kernel", "--check",
                                       "--state-dir", rack.STATE, check=False)
        self.assertEqual(checked.returncode, 0, f"{name}: {checked.stdout}{checked.stderr}")
        self.assertEqual(self.files(), self.state_files, name)
        self.hold()

    def files(self) -> set:
        """Of the state directory, without those that come and go: SQLite's, and a half-written one
        that the next one takes the place of."""
        directory = f"/proc/{self.balancer.node.holder}/root{rack.STATE}"
        return {name for name in os.listdir(directory)
                if not name.endswith(("-wal", "-shm", "-journal", ".new"))}

    def hold(self) -> None:
        """Remembers every object that there is now."""
        self.seen |= self.instance.objects() | xdp.ids_of(self.balancer.daemon.pid)

    def assert_no_leak(self) -> None:
        """Of all that ever was only that is left which has an owner now."""
        def orphans() -> set:
            return xdp.alive(self.seen) - self.instance.objects() - xdp.ids_of(
                self.balancer.daemon.pid)
        wait_for(lambda: not orphans(), "end of everything that nobody owns", 20, 0.2)


if __name__ == "__main__":
    generation_case.main()
