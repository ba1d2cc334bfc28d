#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every server a balancer: two take what ECMP sends them, four answer, nothing loops."""

import collections

import case
from lab import peers, rack
from lab.fleet import ENTRIES, SERVERS, Fleet, moved
from lab.node import wait_for


class FleetCase(case.LabCase):
    """Four servers in one rack."""

    @classmethod
    def build(cls) -> None:
        cls.fleet = Fleet(cls.lab, cls.binaries)
        cls.rack = cls.fleet.rack
        cls.fleet.start()

    def test_every_server_answers_and_each_packet_is_balanced_once(self):
        taps = [peers.Tap(self.rack.router, "rack", self.client_of(vip)) for vip in self.fleet.vips]
        for tap in taps:
            self.addCleanup(tap.close)
        before = self.fleet.reasons()
        answered = collections.Counter()
        with self.rack.client.inside():
            for vip in self.fleet.vips:
                for _ in range(60):
                    answered[peers.http_get(vip)] += 1
        self.assertEqual(set(answered), {f"s{number}" for number in SERVERS})
        after = self.fleet.reasons()
        for number in ENTRIES:  # ECMP reached both.
            self.assertGreater(moved(before, after, "forwarded", [number]), 20)
        forwarded = moved(before, after, "forwarded")
        local = moved(before, after, "delivered_local")
        self.assertEqual(forwarded, moved(before, after, "forwarded", ENTRIES),
                         "a server that the router does not know balanced something")
        self.assertEqual(forwarded + local, sum(tap.frames() for tap in taps))
        self.assertEqual(moved(before, after, "decapsulated"), forwarded)

    def client_of(self, vip: str) -> str:
        return rack.CLIENT6 if ":" in vip else rack.CLIENT4

    def test_a_backend_that_is_the_node_itself_is_no_problem(self):
        for number, balancer in self.fleet.balancers.items():
            status = balancer.json("status")
            self.assertEqual((number, status["state"], status["problems"]), (number, "healthy", []))

    def test_transfers_are_whole(self):
        with self.rack.client.inside():
            for vip in self.fleet.vips * 4:
                with peers.connect(vip, peers.BULK_PORT) as sock:
                    peers.bulk_round(sock, 5_000_000, 5_000_000)
                peers.udp_echo(vip, b"x" * 3000)

    def test_a_server_that_leaves_ecmp_changes_no_answer(self):
        # Both entries compute the same ring: connections go on when the router moves them.
        talks = [peers.Conversation(self.rack.client, vip) for vip in self.fleet.vips * 3]
        for talk in talks:
            wait_for(lambda talk=talk: talk.rounds() >= 2, "first rounds")
        self.fleet.route([2])
        self.addCleanup(self.fleet.route, ENTRIES)
        seen = [talk.rounds() for talk in talks]
        for talk, rounds in zip(talks, seen):
            wait_for(lambda talk=talk, rounds=rounds: talk.rounds() >= rounds + 2,
                          "rounds after the change")
            self.assertIsNone(talk.finish()["error"])


if __name__ == "__main__":
    case.main()
