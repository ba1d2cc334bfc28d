#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`sluice top` under real traffic: its rates are those of what was sent, who sends most stands on
top, and a table that fills says so before it is full, on the screen and in the log.
"""

import pathlib
import re
import sys
import time

import generation_case
from lab import town
from lab.node import wait_for

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
import terminal  # noqa: E402

RATE = 40_000  # Of each family.
HEAVY = "198.51.100.77"
UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
ENTRIES, LIFETIME = 4096, "15s"
NEW_FLOWS_PER_S = 350


def number(text: str) -> float:
    """"12k" as 12000."""
    found = re.fullmatch(r"([\d.]+)([kMG]?)", text)
    return float(found[1]) * UNITS[found[2]]


class Top(generation_case.GenerationCase):
    """A town whose flow table is small, with services that remember every flow."""

    @classmethod
    def document(cls, backends=None, **settings) -> dict:
        out = super().document(backends, sampling=16, flows={"entries": ENTRIES},
                               lifetimes={kind: LIFETIME for kind in town.LIFETIMES},
                               group={"flows": {"ceiling": "100%"}}, **settings)
        for service in out["services"]:
            if service["protocol"] == "tcp":
                service["tracking"] = "always"
        return out | {"version": 2}

    def once(self, view: str, seconds: int) -> dict:
        """Rows of a view by their names, with rates over so many seconds."""
        shown = self.balancer.json("top", "--interval", f"{seconds}s")
        key = view[:-1]
        return {row[key]: row for row in shown[view]}

    def screen(self, *words) -> terminal.Terminal:
        node = self.balancer.node
        out = terminal.Terminal(["nsenter", "-t", node.holder, "-n", "-m", "--",
                                 self.binaries.sluice, "top", *words])
        self.addCleanup(out.child.close, force=True)
        return out

    def sent_per_s(self, counting, while_that) -> tuple:
        """What the counted flood sends meanwhile, and what came of it."""
        began, at = counting.sent(), time.monotonic()
        result = while_that()
        return (counting.sent() - began) / (time.monotonic() - at), result

    def cells(self, screen, first: str, heading: str) -> str:
        """What stands below a heading in the row that begins so; "" when it is not there yet."""
        lines = screen.lines()
        # The mark of the order belongs to its column, whose cells end with it.
        found = re.search(re.escape(heading) + r"( [v^])?(?= |$)", lines[4])
        row = next((line for line in lines[5:] if line.split()[:1] == [first]), "")
        return (row[:found.end()].split() or [""])[-1] if found else ""

    def test_rates_are_those_of_what_was_sent(self):
        with self.counted(rate=RATE) as counting:
            sent, rows = self.sent_per_s(counting, lambda: self.once("services", 4))
            shown = rows["udp4"]["packets_per_s"] + rows["udp6"]["packets_per_s"]
            self.assertAlmostEqual(shown / sent, 1, delta=0.1)
            screen = self.screen("--filter", "udp", "--interval", "2s")

            def is_right() -> bool:
                # Updated twice meanwhile: the last rate is of that time.
                until = time.monotonic() + 4.5
                now_sent, _ = self.sent_per_s(counting, lambda: screen.wait(
                    lambda _: time.monotonic() > until, "updates"))
                rates = [self.cells(screen, name, "PACKETS/S") for name in ("udp4", "udp6")]
                if not all(re.fullmatch(r"[\d.]+[kMG]?", rate) for rate in rates):
                    return False
                return abs(sum(map(number, rates)) / now_sent - 1) < 0.1
            wait_for(is_right, "the rate on the screen", 60, 0.1)
            screen.press("q")
            self.assertEqual(screen.end(), (0, None))
        self.figures("top", sent_per_s=round(sent), shown_per_s=round(shown))

    def test_who_sends_most_stands_on_top(self):
        heavy = town.Tool(self.town.flood_node, self.town.traffic, "flood", interface="eth0",
                          to=town.VIP4, port=town.PORT, kind="udp", rate=RATE,
                          mac=self.balancer.node.mac("eth1"), from_count=1, ports=1000,
                          **{"from": HEAVY})
        spoofed = self.town.flood("udp", RATE)

        def on_top() -> bool:
            first = self.balancer.json("top")["talkers"][:1]
            self.talker = first[0] if first else {}
            # Rates are over ten seconds and more: from the end of the first of them on.
            return self.talker.get("source") == HEAVY and self.talker["packets_per_s"] > RATE / 2
        wait_for(on_top, f"{HEAVY} on top", 60, 0.5)
        reports = [flood.finish() for flood in (heavy, spoofed)]
        self.assertEqual(self.talker["service"], "udp4")
        self.assertLess(self.talker["packets_per_s"], RATE * 1.5)
        self.figures("talkers", estimate=self.talker, sent=[each["mpps"] for each in reports])

    def events(self, name: str, table: str) -> list:
        lines = self.balancer.daemon.log().splitlines()
        return [line for line in lines if f"event={name} " in line and f"table={table} " in line]

    def test_a_table_that_fills_says_so_before_it_is_full(self):
        client = self.town.client(talk=0, silent=0, datagrams=0, brief_per_s=NEW_FLOWS_PER_S)
        wait_for(lambda: self.events("table.pressure", "slc_flows"), "table.pressure", 60, 0.1)
        said = self.events("table.pressure", "slc_flows")[0]
        self.assertLess(int(re.search(r" entries=(\d+)", said)[1]), ENTRIES, said)
        row = self.once("maps", 1)["slc_flows"]
        self.assertIsNotNone(row["full_in_s"], row)
        self.assertGreater(row["inserts_per_s"], NEW_FLOWS_PER_S / 2)
        shown = self.balancer.json("map", "show", "slc_flows")
        self.assertIn(shown["trend"]["level"], ("filling", "high", "critical"))
        self.assertEqual(sum(age["entries"] for age in shown["ages"]), shown["entries"])
        self.assertEqual(shown["groups"][0]["group"], town.GROUP)
        screen = self.screen("--view", "maps", "--filter", "slc_flows")
        screen.wait(lambda _: re.fullmatch(r"now|\d+[smh].*", self.cells(screen, "slc_flows",
                                                                         "FULL_IN")),
                    "time until full")
        client.finish()
        wait_for(lambda: self.events("table.relieved", "slc_flows"), "table.relieved", 90, 0.2)
        screen.wait(lambda _: self.cells(screen, "slc_flows", "FULL_IN") == "never", "never")
        after = self.balancer.json("map", "show", "slc_flows")
        self.assertEqual(after["trend"]["level"], "none")
        self.assertGreater(after["trend"]["expired_per_s"][2], 0)


if __name__ == "__main__":
    generation_case.main()
