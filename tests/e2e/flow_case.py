# SPDX-License-Identifier: Apache-2.0
"""What the tests of live connections share: a town for each class, and the judgement of what its
clients have seen. With SLUICE_LONG=1 they do all that the short form samples.

Nothing here depends on how fast the machine is: a client that was held up for longer than a flow may
be idle says so (`overslept`) and proves nothing.
"""

import contextlib
import datetime
import json
import os
import time

import case
from lab import town
from lab.node import wait_for

LONG = os.environ.get("SLUICE_LONG") == "1"
# What short forms draw from what the long ones do all of: other things each day.
SEED = int(os.environ.get("SLUICE_SEED") or datetime.date.today().toordinal())
TALK, BRIEF_PER_S = 2000, 500
KINDS = ("talk", "silent", "brief", "datagrams")
FLOOD_PPS = 1_000_000


def long_only(test):
    """A test that only the long form has."""
    return test if LONG else None


class FlowCase(case.LabCase):
    """`backends` machines in the town, of which `first` are in the configuration at first."""

    backends = 3
    first = (1, 2, 3)
    settings: dict = {}

    @classmethod
    def build(cls) -> None:
        cls.rack = cls.town = town.Town(cls.lab, cls.backends)
        cls.balancer = cls.town.balancer
        cls.town.start(cls.document())

    @classmethod
    def document(cls, backends=None, **settings) -> dict:
        return town.document(cls.first if backends is None else backends,
                             **(cls.settings | settings))

    @contextlib.contextmanager
    def clients(self, talk: int = TALK, brief_per_s: int = BRIEF_PER_S, silent: int = 100,
                datagrams: int = 100, **options):
        """Clients at work, all lasting connections open. At the end none may have had trouble,
        unless `judged` was set."""
        client = self.town.client(talk=talk, brief_per_s=brief_per_s, silent=silent,
                                  datagrams=datagrams, **options)
        self.judged, self.rate = False, brief_per_s
        wait_for(lambda: client.report()["talk"]["opened"] >= talk, "all lasting connections", 60,
                 0.2)
        try:
            yield client
        finally:
            self.last = client.finish()
        if not self.judged:
            self.judge(self.last, "at the end")

    def judge(self, report: dict, when: str) -> None:
        """Nothing broke, nothing failed, no byte was other than it was sent."""
        bad = {f"{kind}.{what}": report[kind][what] for kind in KINDS
               for what in ("broken", "resets", "corrupt", "failed") if report[kind][what]}
        if bad:
            self.fail(f"{when}: {bad}\n{self.evidence(report)}")
        for server in self.town.servers.values():
            if server.process.poll() is None:
                self.assertEqual(server.report()["corrupt"], 0, "bytes at the server")

    def evidence(self, report: dict) -> str:
        first = [trouble for kind in KINDS
                 for trouble in [each for each in report["troubles"] if each["kind"] == kind][:5]]
        lines = [json.dumps(trouble) for trouble in first]
        for trouble in first:
            protocol = "udp" if trouble["kind"] == "datagrams" else "tcp"
            shown = self.balancer.sluice("flow", "show", f"{protocol} {trouble['tuple']}",
                                         check=False)
            lines.append(shown.stdout + shown.stderr)
        lines.append(f"change now: {self.town.change()}")
        lines.append(json.dumps({kind: {what: report[kind][what] for what in (
            "overslept", "slow", "slowest_ms", "longest_gap_ms")} for kind in KINDS}))
        return "\n".join(lines)

    def live(self, client, seconds: float) -> dict:
        """Lets clients open as many connections as they do in that time; the report after it."""
        began = client.report()
        wanted = began["brief"]["begun"] + int(seconds * self.rate)
        reports = []

        def reached() -> bool:
            reports[:] = [client.report()]
            return reports[0]["brief"]["begun"] >= wanted
        wait_for(reached, f"{wanted} connections", 30 + 10 * seconds, 0.1)
        return reports[0]

    @contextlib.contextmanager
    def flood(self, kind: str, sweep=None):
        """A flood of FLOOD_PPS; yields a dict that is filled with what it came to."""
        # Sweeps go over the talking connections of both families; the rest is one family's.
        vips = (town.VIP4, town.VIP6) if sweep else (town.VIP4,)
        before = self.arrived()
        floods = [self.town.flood(kind, FLOOD_PPS // len(vips), vip, sweep) for vip in vips]
        result = {"kind": kind, "began_ns": time.monotonic_ns()}
        try:
            yield result
        finally:
            reports = [flood.finish() for flood in floods]
            result["ended_ns"] = time.monotonic_ns()
        after = self.arrived()
        result["sent_mpps"] = round(sum(report["mpps"] for report in reports), 3)
        seconds = max(report["seconds"] for report in reports)
        result["balanced_mpps"] = round((after - before) / seconds / 1e6, 3)
        self.assertGreater(result["balanced_mpps"], 0, "no flood reached the balancer")

    def arrived(self) -> int:
        """Flood packets that the balancer has sent on to backends."""
        counts = self.town.filter.report()
        return counts["spoofed"] + counts["sweep"]

    @staticmethod
    def figures(name: str, **values) -> None:
        """One line that docs can quote."""
        print("figures: " + json.dumps({"run": name, "long": LONG} | values), flush=True)

    @staticmethod
    def summary(report: dict) -> dict:
        """What of a client's report belongs into the figures."""
        return {kind: {what: report[kind][what] for what in (
            "begun", "broken", "failed", "slow", "overslept", "slowest_ms")} for kind in KINDS} | {
                "seconds": round(report["ran_ms"] / 1000, 1)}


main = case.main
