#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A daemon of another release takes over while packets go through: its own program takes the place of
the old one, and no packet, connection, counter or flow is lost; if it cannot be loaded the old one stays.
"""

import re
import signal

import generation_case
from lab import faults, rack, town
from lab.isolation import require
from lab.node import wait_for

TIMES = 10 if generation_case.LONG else 1


class Upgrades(generation_case.GenerationCase):
    """One backend is drained all the while, so that flows are remembered."""

    drained = 1

    @classmethod
    def build(cls) -> None:
        super().build()
        cls.releases = (cls.binaries.sluiced, cls.binaries.sluiced_next)
        require(cls.releases[1].exists(), f"{cls.releases[1]} is missing", "build first: ./dev build")

    def setUp(self):
        self.api.close()
        self.balancer.daemon.stop()
        self.start(program=self.releases[0])

    def version(self) -> str:
        return self.api.get("/api/v1/status")["version"]

    def remembered(self) -> int:
        words = ("flow", "count", "--backend", f"{town.GROUP}/{rack.backend4(self.drained)}")
        return self.balancer.json(*words)["matched"]

    def test_releases_take_over_from_each_other(self):
        with self.load() as client:
            self.order(self.drained, state="drain")
            talking = client.report()["talk"]["backends"][f"b{self.drained}"]["opened"]
            wait_for(lambda: self.remembered() >= talking > 0, "remembered flows", 60, 0.2)
            versions, programs = [self.version()], [self.instance.live_program()]
            shown = self.shown("--from", "kernel")
            for number in range(2 * TIMES):
                before = self.counters()
                self.balancer.daemon.send(signal.SIGTERM if number % 2 == 0 else signal.SIGKILL)
                self.balancer.daemon.wait()
                self.start(program=self.releases[(number + 1) % 2])
                self.assert_not_smaller(before, self.counters())
                self.assertGreaterEqual(self.remembered(), talking)
                versions.append(self.version())
                programs.append(self.instance.live_program())
                self.assertNotEqual(versions[-1], versions[-2])
                self.assertNotEqual(programs[-1], programs[-2], "the old program is still there")
                self.assertEqual(self.shown("--from", "kernel"), shown)
                self.judge(self.live(client, 0.3), f"with {versions[-1]}")
            self.order(self.drained, reset=True)
        self.figures_of_load("upgrades", upgrades=2 * TIMES, versions=versions[:2])

    def test_a_program_that_is_refused_leaves_the_old_one(self):
        """The first, or the last, program that the new release loads is refused by the kernel."""
        loads = self.loads_of_next()
        self.start(program=self.releases[0])
        program, pins = self.instance.live_program(), self.instance.pins()
        with self.load() as client:
            for number in loads:
                self.balancer.daemon.stop()
                self.start(program=self.releases[1], wrapper=self.strace(
                    "-e", "trace=bpf", "-e", faults.failing(("bpf", number, faults.PROGRAM), "EACCES")))
                self.assertEqual(self.instance.live_program(), program)
                self.assertEqual(self.instance.pins(), pins)
                self.assertIn("event=code.refused", self.balancer.daemon.log())
                self.assertNotEqual(self.api.get("/api/v1/status")["problems"], [])
                self.judge(self.live(client, 0.3), f"with load {number} refused")
        self.figures_of_load("upgrade refused", loads=len(loads))

    def strace(self, *options: str) -> tuple:
        """In front of a command; the command is the process that is started."""
        self.trace = self.balancer.node.lab_path("trace")
        return (rack.tool("strace"), "-D", "-f", "-o", self.trace, *options)

    def loads_of_next(self) -> list:
        """Which of its calls of bpf() load its own programs, when it takes over; the first and
        the last of them."""
        self.balancer.daemon.stop()
        self.start(program=self.releases[1], wrapper=self.strace("-e", "trace=bpf"))
        self.balancer.daemon.stop()
        calls = [line for line in self.trace.read_text(errors="replace").splitlines()
                 if re.match(r"\d+ +bpf\(", line)]
        # Not those by which it asks what the kernel can do.
        loads = [number for number, line in enumerate(calls, 1)
                 if (found := re.search(r"BPF_PROG_LOAD.*TYPE_XDP, insn_cnt=(\d+)", line)) and
                 int(found[1]) > 500]
        self.assertGreater(len(loads), 1, "no program was loaded")
        return [loads[0], loads[-1]]


if __name__ == "__main__":
    generation_case.main()
