#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A generation that first takes a part of the traffic, then all of it or none: no packet is lost and no
connection cut, and a share of clients is always the same clients.
"""

import generation_case
from lab import town
from lab.api import Refused
from lab.node import wait_for


class Canary(generation_case.GenerationCase):
    """Who answers for the other VIP tells which generation a client meets: b1 the old one, b2 the
    canary. Numbered packets come by eth1, everything else by eth0."""

    def setUp(self):
        self.api.close()
        if self.balancer.daemon.poll() is not None:
            self.start()
        try:
            self.post("canary/back")  # Of a test that failed.
        except Refused as refused:
            self.assertEqual(refused.status, 404, refused)
        self.configure(self.with_later(1))
        self.town.wait_closed()
        wait_for(lambda: self.later() == "b1", "the old generation's answer", 20, 0.1)

    def begin(self, **canary) -> dict:
        """Number of the generation that is the canary."""
        # Another group, so that no slot's owner changes: the answer alone tells.
        document = self.with_later(2)
        document["groups"]["other"] = document["groups"].pop("later")
        document["services"][-1]["group"] = "other"
        report = self.configure(document, canary=canary)
        self.assertEqual(report["outcome"], "canary")
        return report["generation"]

    def status(self) -> dict:
        return self.api.get("/api/v1/config/canary")

    def assert_over(self) -> None:
        with self.assertRaises(Refused) as refused:
            self.status()
        self.assertEqual(refused.exception.status, 404)
        self.assertEqual(self.instance.live_program(1), 0, "a program is left in the canary's slot")

    def end(self, how: str, generation: int) -> None:
        self.post(f"canary/{how}")
        outcomes = {row["generation"]: row["outcome"] for row in self.history()}
        self.assertEqual(outcomes[generation], {"promote": "in_force", "back": "withdrawn"}[how])
        self.assert_over()
        wanted = {"promote": "b2", "back": "b1"}[how]
        wait_for(lambda: self.later() == wanted, f"{wanted} after {how}", 20, 0.1)

    def by_interface(self, how: str) -> None:
        with self.load() as client:
            generation = self.begin(interfaces=["eth1"])
            self.assertEqual(self.later(), "b1")  # Clients come by eth0.
            first = self.status()
            wait_for(lambda: self.status()["traffic"]["packets"] > first["traffic"]["packets"] + 1000
                     and self.status()["others"]["packets"] > first["others"]["packets"] + 100,
                     "packets of the canary and of the rest", 20, 0.1)
            now = self.status()
            self.assertEqual((now["generation"], now["interfaces"]), (generation, ["eth1"]))
            self.assertGreater(now["traffic"]["packets"] - first["traffic"]["packets"],
                               now["others"]["packets"] - first["others"]["packets"])
            self.judge(self.live(client, 1), "with a canary")
            self.end(how, generation)
            self.judge(self.live(client, 1), f"after {how}")
        self.figures_of_load(f"canary by interface, {how}")

    def test_a_canary_on_an_interface_is_promoted(self):
        self.by_interface("promote")

    def test_a_canary_on_an_interface_is_taken_back(self):
        self.by_interface("back")

    def takers(self) -> dict:
        """Who answers each client."""
        return {source: self.later(source) for source in town.sources()[0]}

    def settled(self) -> dict:
        """The same once the canary's own changes of owners are prepared."""
        wait_for(lambda: "b2" in self.takers().values(), "a client of the canary", 20)
        takers = self.takers()
        self.assertEqual(set(takers.values()), {"b1", "b2"}, takers)
        # 32 clients, half of them: beyond these bounds once in 10^5 runs.
        self.assertTrue(4 <= list(takers.values()).count("b2") <= 28, takers)
        return takers

    def test_a_share_of_clients_is_always_the_same(self):
        with self.load() as client:
            for how in ("back", "promote"):
                generation = self.begin(share=0.5)
                takers = self.settled()
                for _ in range(5 if generation_case.LONG else 2):
                    self.assertEqual(self.takers(), takers)
                self.assertGreater(self.status()["traffic"]["packets"], 0)
                self.judge(client.report(), "with a canary")
                self.end(how, generation)
                self.judge(self.live(client, 1), f"after {how}")
        self.figures_of_load("canary by share", share=0.5,
                             canary_of_32=list(takers.values()).count("b2"))

    def test_a_canary_goes_on_without_a_daemon_and_ends_with_the_next_one(self):
        with self.load() as client:
            generation = self.begin(share=0.5)
            takers = self.settled()
            self.balancer.daemon.kill()
            self.assertEqual(self.takers(), takers)
            self.start()
            self.assert_over()
            self.assertEqual(set(self.takers().values()), {"b1"})
            outcomes = {row["generation"]: row["outcome"] for row in self.history()}
            self.assertEqual(outcomes[generation], "withdrawn")
            self.judge(self.live(client, 1), "after a restart")

    def test_nothing_else_is_applied_beside_a_canary(self):
        generation = self.begin(interfaces=["eth1"])
        with self.assertRaises(Refused) as refused:
            self.configure(self.document())
        self.assertEqual(refused.exception.status, 409, refused.exception)
        self.end("back", generation)


if __name__ == "__main__":
    generation_case.main()
