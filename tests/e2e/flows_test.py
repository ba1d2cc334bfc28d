#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""2,000 connections that talk all the while and 500 new ones a second, while backends are drained,
removed, added back and re-weighted by the command line and by the configuration file, changes are
undone half-way, and floods of 1 Mpps pass through the same service: none is cut.

The short form does some changes, without a flood and under one of SYNs; the long form does each to
every backend, and each under every flood, and measures how long a flood delays a drain.
"""

import functools
import itertools
import time

import flow_case
from lab import town


def _drain_and_undo_in_preparation(run, number):
    run.town.set(number, "--state", "drain")
    run.town.reset(number)


def _drain_and_undo_half_way(run, number):
    run.town.set(number, "--state", "drain")
    run.moved()
    run.town.reset(number)
    run.moved()


def _drain_to_the_end_of_the_window(run, number):
    run.town.set(number, "--state", "drain")
    run.closed()
    run.town.reset(number)
    run.closed()


def _drain_in_the_file(run, number):
    run.apply(run.with_backend(number, state="drain"))
    run.moved()
    run.apply(run.everybody())
    run.moved()


def _remove_and_add_back_half_way(run, number):
    run.apply(run.without(number))
    run.moved()
    run.apply(run.everybody())
    run.moved()


def _remove_and_add_back_after_the_window(run, number):
    run.apply(run.without(number))
    run.closed()
    run.apply(run.everybody())
    run.closed()


def _weigh_by_command(run, number):
    run.town.set(number, "--weight", "5")
    run.moved()
    run.town.reset(number)


def _weigh_in_the_file(run, number):
    run.apply(run.with_backend(number, weight=3))
    run.moved()
    run.apply(run.everybody())


def _several_at_once(run, number):
    others = [each for each in run.case.first if each != number]
    run.town.set(number, "--weight", "4")
    run.town.set(others[0], "--state", "drain")
    run.apply(run.without(others[1]))
    run.moved()
    run.apply(run.everybody())
    run.town.reset(others[0])
    run.town.reset(number)


CHANGES = (_drain_and_undo_in_preparation, _drain_and_undo_half_way,
           _drain_to_the_end_of_the_window, _drain_in_the_file, _remove_and_add_back_half_way,
           _remove_and_add_back_after_the_window, _weigh_by_command, _weigh_in_the_file,
           _several_at_once)
# What the short form does, to a backend each.
SAMPLE = ((_drain_and_undo_in_preparation, 1), (_drain_and_undo_half_way, 1),
          (_remove_and_add_back_half_way, 2), (_weigh_by_command, 3))
FLOODED_SAMPLE = ((_drain_and_undo_half_way, 2), (_remove_and_add_back_half_way, 3))


class Run:
    """Changes in one town, judged after each."""

    def __init__(self, test, client, flooded: bool):
        self.case, self.town, self.client = test, test.town, client
        self.flooded = flooded

    def everybody(self) -> dict:
        return self.case.document()

    def without(self, number: int) -> dict:
        return self.case.document([each for each in self.case.first if each != number])

    def with_backend(self, number: int, **settings) -> dict:
        return self.case.document([town.backend_entry(each, **(settings if each == number else {}))
                                   for each in self.case.first])

    def apply(self, document: dict) -> None:
        self.town.apply(document)

    def moved(self) -> None:
        self.town.wait_moved(60)

    def closed(self) -> None:
        """Under a flood a window stays open for as long as flows are refused."""
        if self.flooded:
            self.town.wait_moved(60)
            self.case.live(self.client, 6)
        else:
            self.town.wait_closed(60)

    def do(self, change, number: int) -> None:
        change(self, number)
        self.case.judge(self.client.report(), f"after {change.__name__[1:]} of b{number}")


class PlannedChanges(flow_case.FlowCase):
    """Three backends; every change leaves things as it found them."""

    def setUp(self):
        self.town.apply(self.document())

    def every_change_of_every_backend(self) -> list:
        return [(change, number) for change in CHANGES for number in self.first]

    def every_change(self) -> list:
        """Each once, the backends in turn."""
        return list(zip(CHANGES, itertools.cycle(self.first)))

    def test_planned_changes_cut_no_connection(self):
        with self.clients() as client:
            run = Run(self, client, flooded=False)
            for change, number in (self.every_change_of_every_backend() if flow_case.LONG
                                   else SAMPLE):
                run.do(change, number)
        self.figures("changes", **self.summary(self.last))

    def under_flood(self, kind: str, sweep=None):
        with self.clients() as client:
            with self.flood(kind, sweep) as flood:
                run = Run(self, client, flooded=True)
                for change, number in self.every_change() if flow_case.LONG else FLOODED_SAMPLE:
                    run.do(change, number)
                refused = self.refused()
            self.town.wait_closed(60)
        del flood["began_ns"], flood["ended_ns"]
        self.figures("changes under flood", flood=flood, refused=refused,
                     **self.summary(self.last))

    def refused(self) -> dict:
        """What the flow table says of the group."""
        for row in self.balancer.json("map", "list")["maps"]:
            for group in row.get("groups", ()):
                if group["group"] == town.GROUP:
                    return {what: group[what] for what in ("entries", "inserts", "refused_full",
                                                           "refused_ceiling", "refused_held")}
        self.fail("the group has no row in sluice map list")
        return {}

    def test_planned_changes_under_a_flood_of_syns(self):
        self.under_flood("syn")

    @flow_case.long_only
    def test_a_drain_under_a_flood_of_syns_ends_after_the_flood(self):
        """New connections leave the backend when the flood does, at the latest."""
        with self.clients(talk=500) as client:
            with self.flood("syn") as flood:
                drained = self.town.order(1, state="drain")
                self.assertEqual(drained["status"], 200, drained)
                self.live(client, 30)
                held = self.town.change()["held_slots"]
            self.town.wait_closed(60)
            closed_ns = time.monotonic_ns()
            last = self.live(client, 2)["brief"]["backends"]["b1"]["last_start_ns"]
            self.assertLess(last, closed_ns, "a new connection reached a drained backend")
            self.town.reset(1)
            self.town.wait_closed(60)
        self.figures("delay of a drain under a flood of SYNs", flood=flood["kind"],
                     balanced_mpps=flood["balanced_mpps"], held_slots=held,
                     flood_s=_seconds(flood["began_ns"], flood["ended_ns"]),
                     last_new_after_order_s=_seconds(drained["asked_ns"], last),
                     last_new_after_flood_s=_seconds(flood["ended_ns"], last))

    @flow_case.long_only
    def test_a_drain_stops_new_connections_after_its_preparation(self):
        with self.clients(talk=500) as client:
            drained = self.town.order(1, state="drain")
            self.assertEqual(drained["status"], 200, drained)
            self.town.wait_moved()
            moved_ns = time.monotonic_ns()
            last = self.live(client, 2)["brief"]["backends"]["b1"]["last_start_ns"]
            self.assertLess(last, moved_ns, "a new connection reached a drained backend")
            self.town.reset(1)
            self.town.wait_moved()
        self.figures("delay of a drain", last_new_after_order_s=_seconds(drained["asked_ns"], last))


def _seconds(since_ns: int, until_ns: int) -> float:
    return round((until_ns - since_ns) / 1e9, 3)


def _add_long_tests() -> None:
    """Every other flood, and sweeps over the tuples of all talking connections."""
    if not flow_case.LONG:
        return
    tuples = flow_case.TALK // (2 * town.SOURCES) + 1
    for kind, sweep in (("ack", False), ("udp", False), ("fin", True), ("rst", True),
                        ("syn", True), ("sweep", True)):
        name = f"test_planned_changes_under_{'a_sweep' if sweep else 'a_flood'}_of_{kind}"
        setattr(PlannedChanges, name, functools.partialmethod(
            PlannedChanges.under_flood, kind, (town.TALK_PORTS, tuples) if sweep else None))


_add_long_tests()

if __name__ == "__main__":
    flow_case.main()
