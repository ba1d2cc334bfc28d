#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon is stopped, killed and started while packets go through: none is lost, no connection is
cut, counters and remembered flows go on, and nothing is swapped when nothing has changed.
"""

import signal

import generation_case
from lab import rack, town
from lab.node import wait_for

TIMES = 20 if generation_case.LONG else 2


class Restarts(generation_case.GenerationCase):
    """One backend is drained all the while, so that flows are remembered."""

    drained = 1

    def setUp(self):
        self.api.close()
        if self.balancer.daemon.poll() is not None:
            self.start()
        self.configure(self.document())

    def remembered(self) -> int:
        words = ("flow", "count", "--backend", f"{town.GROUP}/{rack.backend4(self.drained)}")
        return self.balancer.json(*words)["matched"]

    def drain(self, client) -> int:
        """Until all connections of the drained backend are remembered; how many talk."""
        self.order(self.drained, state="drain")
        talking = client.report()["talk"]["backends"][f"b{self.drained}"]["opened"]
        self.assertGreater(talking, 0)
        wait_for(lambda: self.remembered() >= talking, f"{talking} remembered flows", 60, 0.2)
        return talking

    def end(self, number: int) -> None:
        self.balancer.daemon.send(number)
        status = self.balancer.daemon.wait(20)
        self.assertEqual(status, 0 if number == signal.SIGTERM else -number)
        self.api.close()

    def test_a_new_daemon_takes_over_without_a_swap(self):
        with self.load() as client:
            talking = self.drain(client)
            program, pins = self.instance.live_program(), self.instance.pins()
            objects = self.instance.objects()
            for _ in range(TIMES):
                for how in (signal.SIGTERM, signal.SIGKILL):
                    before, generation = self.counters(), self.generation()
                    self.end(how)
                    self.live(client, 0.3)
                    self.start()
                    self.assert_not_smaller(before, self.counters())
                    self.assertEqual(self.generation(), generation)
                    self.assertEqual(self.instance.live_program(), program, "nothing had changed")
                    self.assertEqual(self.instance.pins(), pins)
                    self.assertEqual(self.instance.objects(), objects)
                    self.assertGreaterEqual(self.remembered(), talking)
                    self.judge(client.report(), f"after {how.name}")
            self.order(self.drained, reset=True)
        self.figures_of_load("restarts", restarts=2 * TIMES)

    def generation(self) -> int:
        return self.api.get("/api/v1/status")["generation"]

    def test_a_file_that_changed_meanwhile_is_applied_at_the_start(self):
        with self.load() as client:
            talking = self.drain(client)
            for entries, how in ((65536, signal.SIGTERM), (262144, signal.SIGKILL)):
                before, program = self.counters(), self.instance.live_program()
                self.end(how)
                self.balancer.write(self.document(flows={"entries": entries}))
                self.start()
                self.assertNotEqual(self.instance.live_program(), program)
                self.assert_not_smaller(before, self.counters())
                wait_for(lambda: self.remembered() >= talking, f"{talking} remembered flows", 30, 0.2)
                self.judge(self.live(client, 0.5), f"with {entries} entries")
            self.order(self.drained, reset=True)
        self.figures_of_load("restarts with another size of the flow table")


if __name__ == "__main__":
    generation_case.main()
