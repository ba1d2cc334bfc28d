#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Live connections while something happens that is no everyday change: a backend dies, answers come
late, rings change their size, the daemon is killed half-way, the flow table is resized, a deadline
ends a drain, connections are silent for most of their idle lifetime.
"""

import statistics
import time

import flow_case
from lab import rack, town
from lab.node import wait_for


class Failures(flow_case.FlowCase):
    """Backends that die without a word."""

    backends = 6
    first = (1, 2, 3, 4, 5, 6)

    def broken_of(self, report: dict) -> set:
        return {name for kind in flow_case.KINDS
                for name, of in report[kind]["backends"].items() if of["broken"]}

    def kill(self, client, number: int) -> tuple:
        """Milliseconds from the decision to the start of the last connection that still went to the
        dead backend, and to the daemon's answer, after which none may."""
        self.town.cut(number)
        self.live(client, 0.6)
        order = self.town.order(number, state="down")
        self.assertEqual(order["status"], 200, order)
        begun = client.report()["brief"]["begun"]
        report = self.live(client, 2)
        late = [start for start in report["slow_starts_ns"] if start >= order["asked_ns"]]
        after_answer = [start for start in late if start > order["answered_ns"]]
        # One in six would be slow if the decision were not in force; a packet lost elsewhere is.
        self.assertLessEqual(len(after_answer), (report["brief"]["begun"] - begun) // 50 + 1)
        self.assertEqual(sum(report[kind]["failed"] for kind in flow_case.KINDS), 0,
                         self.evidence(report))
        soon = [start for start in late if start < order["asked_ns"] + 500_000_000]
        last = max(soon, default=order["asked_ns"])
        return tuple((each - order["asked_ns"]) / 1e6 for each in (last, order["answered_ns"]))

    def test_a_killed_backend_takes_only_its_own_connections_with_it(self):
        killed, delays, answers = [], [], []
        # So many new ones that the time at which the last went wrong is known to a millisecond.
        with self.clients(brief_per_s=2000) as client:
            self.judged = True
            for number in (2, 4, 5) if flow_case.LONG else (2, 4):
                killed.append(number)
                delay, answer = self.kill(client, number)
                delays.append(delay)
                answers.append(answer)
                # Nobody knows the backend of a connection that broke before it said who it is.
                self.assertLessEqual(self.broken_of(client.report()),
                                     {f"b{each}" for each in killed} | {""})
            for number in killed if flow_case.LONG else ():
                self.town.mend(number)
                self.town.reset(number)
            self.town.wait_closed()
        self.assertLessEqual(self.broken_of(self.last), {f"b{each}" for each in killed} | {""},
                             self.evidence(self.last))
        lost = sum(self.last["talk"]["backends"][f"b{number}"]["broken"] for number in killed)
        self.assertGreater(lost, 0, "no connection noticed that its backend is dead")
        self.figures("backends killed", killed=len(killed), own_lost=lost, others_affected=0,
                     last_astray_ms=[round(delay, 2) for delay in delays],
                     answered_ms=[round(answer, 2) for answer in answers],
                     **self.summary(self.last))
        if flow_case.LONG:
            self.assertLess(statistics.median(delays), 5.0)


class Events(flow_case.FlowCase):
    """Twenty machines, three of them backends at first."""

    backends = 20

    def tearDown(self):
        self.town.apply(self.document())

    def test_rings_grow_and_shrink(self):
        everybody = list(range(1, self.backends + 1))
        with self.clients() as client:
            slots = set()
            for _ in range(3 if flow_case.LONG else 1):
                for backends in (everybody, self.first):
                    slots.add(self.ring_slots())
                    self.town.apply(self.document(backends))
                    self.town.wait_moved()
                    if flow_case.LONG:
                        self.town.wait_closed()
                    self.judge(self.live(client, 1), f"with {len(backends)} backends")
            self.town.wait_closed()
            self.judge(self.live(client, 1), "after all windows")
            self.assertGreater(len(slots), 1, "the ring never changed its size")
            # Connections that live on the seventeen keep the ring as it is; those of the three do
            # not know that it shrinks.
        self.figures("rings grow and shrink", ring_slots=sorted(slots), **self.summary(self.last))

    def ring_slots(self) -> int:
        return self.balancer.json("service", "list")["services"][0]["ring_slots"]

    def test_a_daemon_killed_in_the_middle_of_a_change(self):
        with self.clients() as client:
            for phase in ("preparing_slots", "open_slots") if flow_case.LONG else ("open_slots",):
                self.town.set(1, "--state", "drain")
                wait_for(lambda phase=phase: self.town.change()[phase] > 0, phase, 30)
                self.balancer.daemon.kill()
                self.live(client, 2 if flow_case.LONG else 1)
                self.balancer.start()
                self.assertEqual(self.town.backend(1)["state"], "drain")
                self.town.wait_moved()
                self.judge(self.live(client, 1), f"after a kill with {phase}")
                self.town.reset(1)
                self.town.wait_moved()
            if flow_case.LONG:
                self.town.wait_closed()
        self.figures("daemon killed half-way", **self.summary(self.last))

    def test_the_flow_table_is_resized_under_load(self):
        sizes = (65536, 1048576, 16384) if flow_case.LONG else (65536, 262144)
        with self.clients() as client:
            self.town.set(2, "--state", "drain")
            self.town.wait_moved()
            for entries in sizes:
                self.town.apply(self.document(flows={"entries": entries}))
                self.judge(self.live(client, 2), f"after a change to {entries} entries")
                self.wait_all_remembered(client, 2)
            self.town.reset(2)
            self.town.wait_moved()
        self.figures("flow table resized", entries=sizes, **self.summary(self.last))

    def wait_all_remembered(self, client, number: int) -> None:
        """Until every talking connection of a drained backend is remembered for it."""
        talking = client.report()["talk"]["backends"][f"b{number}"]["opened"]
        self.assertGreater(talking, 0)
        words = ("flow", "count", "--backend", f"{town.GROUP}/{rack.backend4(number)}")
        wait_for(lambda: self.balancer.json(*words)["matched"] >= talking,
                 f"{talking} remembered flows of b{number}", 60, 0.5)

    @flow_case.long_only
    def test_a_drain_waits_for_its_last_flow(self):
        """Without connections that stay: `--wait` returns when nothing is remembered any more."""
        with self.clients(talk=0, silent=0, datagrams=0) as client:
            self.live(client, 1)
            began = time.monotonic()
            done = self.town.set(3, "--state", "drain", "--wait", seconds=120)
            took = time.monotonic() - began
            self.assertIn("remembered", done.stderr)
            self.assertIn("silent connections are not yet known", done.stderr)
            self.assertEqual(self.town.backend(3)["remembered"], 0)
            self.town.reset(3)
            self.town.wait_moved()
        self.figures("drain --wait", took_s=round(took, 2), **self.summary(self.last))

    def test_what_a_deadline_cuts_is_counted(self):
        with self.clients(talk=300, silent=0, datagrams=0) as client:
            self.judged = True
            before = self.town.backend(1)["cut"]
            began = time.monotonic()
            self.town.set(1, "--state", "drain", "--deadline", "5s", "--wait", seconds=120)
            took = time.monotonic() - began
            talking = client.report()["talk"]["backends"]["b1"]["opened"]
            wait_for(lambda: client.report()["talk"]["backends"]["b1"]["broken"] == talking,
                     "end of all connections of the drained backend", 60, 0.2)
            cut = self.town.backend(1)["cut"] - before
            self.town.reset(1)
            self.town.wait_moved()
        self.assertGreaterEqual(cut, talking)
        for kind in flow_case.KINDS:
            for name, of in self.last[kind]["backends"].items():
                self.assertTrue(name == "b1" or of["broken"] == 0, self.evidence(self.last))
        self.figures("deadline", deadline_s=5, took_s=round(took, 2), talking=talking, cut=cut)


class LateAnswers(flow_case.FlowCase):
    """Every SYN-ACK takes two seconds: clients send their SYN again meanwhile."""

    def test_late_answers_across_changes(self):
        self.town.hold_syn_acks(2000)
        with self.clients(talk=200, silent=0) as client:
            for _ in range(3 if flow_case.LONG else 1):
                self.town.set(1, "--state", "drain")
                self.town.wait_moved()
                self.town.reset(1)
                self.town.apply(self.document((1, 3)))
                self.town.wait_moved()
                self.judge(self.live(client, 2), "half-way")
                self.town.apply(self.document())
                if flow_case.LONG:
                    self.town.wait_moved()
                    self.town.set(3, "--weight", "4")
                    self.live(client, 3)
                    self.town.reset(3)
            self.town.wait_moved()
        self.assertGreater(self.last["brief"]["slow"], self.last["brief"]["opened"] * 9 // 10,
                           "answers were not late")
        self.figures("SYN-ACKs late by 2 s", **self.summary(self.last))


class Silence(flow_case.FlowCase):
    """Connections that say nothing for three quarters of their idle lifetime."""

    settings = {"lifetimes": town.LIFETIMES | {"established": "12s"}}

    @flow_case.long_only
    def test_silent_connections_live_through_changes(self):
        with self.clients(talk=100, silent=1000, silence_ms=9000, idle_ms=11700,
                          hold_ms=1000) as client:
            changes = (lambda: self.town.set(1, "--state", "drain"),
                       lambda: self.town.apply(self.document((1, 3))),
                       lambda: self.town.set(3, "--weight", "5"))
            for change in changes:
                change()
                self.settle(client)
                self.town.reset(1)
                self.town.reset(3)
                self.town.apply(self.document())
                self.settle(client)
            for change in changes:
                change()
            self.settle(client)
        spoken = self.last["silent"]["rounds"] - self.last["silent"]["opened"]
        self.assertGreater(spoken, 0, "no silent connection spoke again")
        self.figures("silent for 9 s of 12 s", spoke_again=spoken, **self.summary(self.last))

    def settle(self, client):
        """Until the windows are closed and all have spoken again."""
        self.town.wait_closed()
        before = client.report()["silent"]["rounds"]
        wait_for(lambda: client.report()["silent"]["rounds"] >= before + 1000, "a round of all",
                 90, 0.2)
        self.judge(client.report(), "after a round of all silent connections")


if __name__ == "__main__":
    flow_case.main()
