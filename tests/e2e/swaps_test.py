#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Program swaps while packets go through at the full speed of a veth: packets sent = packets received,
and no connection is cut. The short form does 30 swaps, the long one 1,000: one in ten to a program
that was loaded for it, the others back and forth between the last two.
"""

import itertools
import statistics
import time

import generation_case
from lab import rack, town

SWAPS = 1000 if generation_case.LONG else 30
SWAPS_EACH = 10  # With one program loaded.
KEPT = 3  # node.keep_generations, by default.
LATER_VIP = rack.vip4(20)


class Swaps(generation_case.GenerationCase):
    """Each configuration differs from the one before, and takes the road of a whole new program."""

    packets_per_s = generation_case.FULL

    def documents(self):
        """What changes from one swap to the next, over and over."""
        later = town.document((1, 2, 3))
        later["services"].append({"name": "later", "vip": LATER_VIP, "protocol": "tcp", "port": 80,
                                  "forward": "l2", "group": town.GROUP,
                                  "lifetimes": town.LIFETIMES})
        renamed = town.document((1, 2, 3))
        renamed["services"][0]["dscp"] = 10
        return itertools.cycle((
            self.document(icmp_rate=500), later, self.document(), renamed,
            self.document((town.backend_entry(1, weight=3), 2, 3)),
            self.document((town.backend_entry(1, state="drain"), 2, 3)), self.document()))

    def timed(self, programs: list, change) -> float:
        """Carries out a change, after which packets must go to another program; milliseconds."""
        began = time.monotonic()
        self.generation = change()["generation"]
        took = (time.monotonic() - began) * 1e3
        programs.append(self.instance.live_program())
        self.assertNotEqual(programs[-1], programs[-2], f"swap {len(programs) - 1}")
        return took

    def test_swaps_under_load_lose_no_packet_and_cut_no_connection(self):
        loads, swaps = [], []
        programs = [self.instance.live_program()]
        documents = self.documents()
        with self.load() as client:
            before = self.in_force()["generation"]
            while len(programs) <= SWAPS:
                document = next(documents)
                loads.append(self.timed(programs, lambda document=document: self.configure(
                    document, road="program")))
                self.assertNotIn(programs[-1], programs[:-1], "no new program was loaded")
                now = self.generation
                for _ in range(SWAPS_EACH - 1):
                    swaps.append(self.timed(programs, lambda back=before: self.post(
                        "rollback", generation=back)))
                    before, now = now, self.generation
                before = now
                self.judge(client.report(), f"after {len(programs) - 1} swaps")
        self.assertLessEqual(len(self.instance.generations()), KEPT + 1)
        self.figures_of_load("program swaps", swaps=len(programs) - 1, loaded=len(loads),
                             ms_with_load=round(statistics.median(loads), 1),
                             ms_of_swap=round(statistics.median(swaps), 1))

    def test_swaps_leave_nothing_behind(self):
        """The kernel's objects and the daemon's descriptors are as many after more swaps."""
        def after(count: int) -> tuple:
            for document in itertools.islice(self.documents(), count):
                self.configure(document, road="program")
            return len(self.instance.objects()), self.balancer.daemon.open_fds()
        # Windows that are open hold members, never maps; whole rounds end with the same one.
        settled = after(7)
        self.assertEqual(after(7), settled)


if __name__ == "__main__":
    generation_case.main()
