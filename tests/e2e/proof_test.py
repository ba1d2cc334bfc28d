#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A change is proven before it takes effect: tests in the configuration and a replay of live packets,
neither of which the running generation notices.
"""

import generation_case
from lab import rack, town, yaml_text
from lab.api import Refused
from lab.node import wait_for

CLIENT = "198.51.100.7:1234"


def _tests(*expectations) -> list:
    """A test of one packet for each (name, packet, expectation)."""
    return [{"name": name, "packet": packet, "expect": expect}
            for name, packet, expect in expectations]


class Proof(generation_case.GenerationCase):
    """Configurations of version 2, under load."""

    @classmethod
    def document(cls, backends=None, **settings) -> dict:
        return super().document(backends, **({"sampling": 16} | settings)) | {"version": 2}

    def setUp(self):
        self.configure(self.document())
        self.town.wait_closed()

    def looks(self) -> tuple:
        return (self.shown(), self.instance.live_program(), self.instance.pins(),
                self.in_force()["generation"])

    def refusal(self, document) -> Refused:
        """The error; nothing may have changed by what is refused."""
        before = self.looks()
        with self.assertRaises(Refused) as refused:
            self.configure(document)
        self.assertEqual(self.looks(), before)
        return refused.exception

    def with_tests(self, *expectations, **settings) -> dict:
        return self.document(**settings) | {"tests": _tests(*expectations)}

    def test_tests_that_hold_are_counted(self):
        document = self.with_tests(
            ("to the service", f"tcp {CLIENT} > {town.VIP4}:{town.PORT} syn",
             {"verdict": "forward", "reason": "forwarded", "service": "tcp4"}),
            ("no such port", f"tcp {CLIENT} > {town.VIP4}:9 syn",
             {"verdict": "drop", "reason": "no_such_port"}),
            ("not ours", f"udp {CLIENT} > 203.0.113.9:53", {"verdict": "pass"}))
        with self.load():
            report = self.configure(document)
        proof = report["plan"]["proof"]
        self.assertEqual((proof["tests"], proof["packets"], proof["failures"]), (3, 3, []))

    def test_a_test_that_fails_refuses_the_change_at_its_line(self):
        document = self.with_tests(
            ("holds", f"tcp {CLIENT} > {town.VIP4}:{town.PORT} syn", {"verdict": "forward"}),
            ("does not hold", f"tcp {CLIENT} > {town.VIP4}:{town.PORT} syn", {"verdict": "drop"}),
            icmp_rate=500)
        text = yaml_text.dump(document)
        line = next(number for number, each in enumerate(text.splitlines(), 1)
                    if "does not hold" in each)
        with self.load():
            error = self.refusal(document)
        self.assertEqual(error.status, 409, error)
        self.assertIn("does not hold", error.what)
        self.assertIn(f":{line}:", error.what)

    def test_a_sequence_runs_on_the_clock_of_the_test(self):
        sequence = [{"packet": f"tcp {CLIENT} > {town.VIP4}:{town.PORT} syn",
                     "expect": {"verdict": "forward"}},
                    {"after": "3s", "packet": f"tcp {CLIENT} > {town.VIP4}:{town.PORT} ack",
                     "expect": {"backend": "same"}}]
        document = self.document() | {"tests": [{"name": "a connection stays", "sequence": sequence}]}
        report = self.configure(document)
        self.assertEqual(report["plan"]["proof"]["packets"], 2)

    def sampled(self, client) -> None:
        """Until packets of many clients have been sampled."""
        self.live(client, 1)
        wait_for(lambda: self.post("plan", document=self.document(icmp_rate=900))["proof"]["replayed"]
                 > 20, "sampled packets", 30, 0.5)

    def test_more_moved_packets_than_allowed_refuse_the_change(self):
        moved = self.document((town.backend_entry(1, weight=100), 2, 3))
        with self.load(talk=400) as client:
            self.sampled(client)
            plan = self.post("plan", document=moved)
            self.assertGreater(plan["proof"]["moved"], 0, plan["proof"])
            self.assertTrue(plan["holds"])
            bounded = moved | {"proof": {"max_moved": "1%"}}
            self.assertFalse(self.post("plan", document=bounded)["holds"])
            error = self.refusal(bounded)
            self.assertEqual(error.status, 409, error)
            self.assertIn("max_moved", error.what)
            self.configure(moved | {"proof": {"max_moved": "100%"}})
            self.town.wait_moved()
        self.figures_of_load("replay", replayed=plan["proof"]["replayed"],
                             moved=plan["proof"]["moved"])

    def test_a_plan_touches_nothing(self):
        """Without traffic, neither counters nor flows nor pins are others than before."""
        document = self.with_tests(
            ("a packet", f"tcp {CLIENT} > {town.VIP4}:{town.PORT} syn", {"verdict": "forward"}),
            ("a drop", f"tcp {CLIENT} > {town.VIP4}:9 syn", {"verdict": "drop"}))
        document["groups"][town.GROUP]["backends"][0]["state"] = "drain"
        with self.load() as client:
            self.sampled(client)
        quiet = self.quiet()
        plan = self.post("plan", document=document)
        self.assertGreater(plan["proof"]["replayed"], 0)
        self.assertEqual(plan["proof"]["tests"], 2)
        self.assertEqual(self.quiet(), quiet)

    def quiet(self) -> tuple:
        """What nobody may change while nothing is forwarded."""
        counters = {name: value for name, value in self.counters().items()
                    if "not_ours" not in name and "not_ip" not in name and
                    "neighbour_discovery" not in name}
        flows = self.balancer.json("flow", "count")["matched"]
        return counters, flows, self.looks(), self.instance.objects()

    def test_the_command_line_shows_a_plan(self):
        path = rack.CONFIG.with_name("next.yaml")
        self.balancer.write_to(path, self.with_later(2, self.document()))
        shown = self.balancer.sluice("config", "plan", path, "--detailed-exitcode", check=False)
        self.assertEqual(shown.returncode, 2, shown)
        self.assertIn("later", shown.stdout)
        self.assertIn("program", shown.stdout)
        self.balancer.sluice("config", "apply", path, "--dry-run")
        self.assertEqual(self.later(seconds=0.3), "")


if __name__ == "__main__":
    generation_case.main()
