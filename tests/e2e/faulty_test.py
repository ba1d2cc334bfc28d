#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Faulty configurations, and good ones that the machine cannot take: each is refused with an error that
says what is wrong, nothing has changed, and nothing is left behind.

The short form tries 40, the long one 500: texts by mutation, limits, refusals by the kernel (programs,
maps, pins), files that cannot be written, a full disk, read-only file systems.
"""

import contextlib
import copy
import itertools
import os
import random
import resource

import generation_case
from lab import faults, rack, town, xdp, yaml_text
from lab.api import Refused
from lab.node import wait_for

SEED = 5
MUTATED, INJECTED = (420, 150) if generation_case.LONG else (16, 10)
FOREIGN = "/sys/fs/bpf/foreign"

# Pieces that change what a text means more often than single letters do.
_PIECES = ("- ", ": ", "{", "}", "[", "]", "\n", "  ", "'", "#", "&a ", "*a", "~", "-1", "65536",
           "99999999999", "any", "local", "weight: 1001", "state: down", "vip: 192.0.2.1", "/129",
           "group: nowhere", "backends: []", "0.0.0.0", "\t", "\x00", "é", "version: 3\n",
           "tests: [{}]\n", "keep_generations: 99", "sampling: 3", "flows: {entries: 513}")


def _mutated(text: str, choice: random.Random) -> str:
    """A text with one to four faults, or none: whoever reads it says."""
    for _ in range(choice.randint(1, 4)):
        at = choice.randrange(len(text) + 1)
        lines = text.splitlines(keepends=True)
        kind = choice.randrange(6)
        if kind == 0 and text:
            text = text[:at] + chr(choice.randrange(32, 127)) + text[at + 1:]
        elif kind == 1:
            text = text[:at] + text[at + choice.randint(1, 8):]
        elif kind == 2 and lines:
            line = choice.randrange(len(lines))
            text = "".join(lines[:line] + [lines[line]] + lines[line:])
        elif kind == 3 and lines:
            del lines[choice.randrange(len(lines))]
            text = "".join(lines)
        else:
            text = text[:at] + choice.choice(_PIECES) + text[at:]
    return text


def _limits(document: dict):
    """(name, document, what the error names): each goes beyond one limit."""
    def changed(change):
        out = copy.deepcopy(document)
        change(out)
        return out

    def backends(entries):
        return lambda out: out["groups"][town.GROUP].update(backends=entries)

    def ranges(count):
        return lambda out: out["services"].extend(
            {"name": f"r{n}", "vip": town.VIP4, "protocol": "tcp", "forward": "l2",
             "port": f"{20 * n + 10000}-{20 * n + 10009}", "group": town.GROUP}
            for n in range(count))

    yield "weight", changed(backends([town.backend_entry(1, weight=1001)])), "weight"
    yield "interfaces", changed(lambda out: out["node"].update(
        interfaces=[f"eth{n}" for n in range(65)])), "interfaces"
    yield "port ranges of a VIP", changed(ranges(65)), "ranges"
    yield "no such flow table", changed(lambda out: out["node"].update(
        flows={"entries": 1 << 40})), "entries"
    yield "a deadline of centuries", changed(lambda out: out["groups"][town.GROUP].update(
        deadline="9999999h")), "deadline"
    yield "shares", changed(lambda out: out["groups"][town.GROUP].update(
        flows={"share": "60%", "ceiling": "50%"})), "ceiling"
    if generation_case.LONG:
        # One light backend among heavy ones makes a ring of 8 MiB; all rings have 512 MiB.
        heavy = {f"heavy{group}": {"backends": [
            {"address": f"10.{100 + group}.{n // 250}.{n % 250 + 1}", "weight": 1000 if n else 1}
            for n in range(270)]} for group in range(70)}
        services = [{"name": f"h{group}", "vip": town.VIP4, "protocol": "udp", "port": 20000 + group,
                     "forward": "ipip", "group": f"heavy{group}"} for group in range(70)]
        yield "rings", changed(lambda out: (out["groups"].update(heavy),
                                            out["services"].extend(services))), "ring slots"


class Faulty(generation_case.GenerationCase):
    """The state directory is a small file system of its own, so that it can be full or read-only."""

    @classmethod
    def build(cls) -> None:
        cls.rack = cls.town = town.Town(cls.lab, cls.backends)
        node = cls.town.balancer.node
        node.run("mkdir", "-p", rack.STATE)
        node.run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", rack.STATE)
        cls.balancer = cls.town.balancer
        cls.town.start(cls.document())
        cls.connect()
        for name, descriptor in (("map", xdp.CountingProgram().map),
                                 ("program", xdp.load_pass("no_frags", frags=False))):
            xdp.pin(descriptor, cls.on_node(f"{FOREIGN}_{name}"))
        cls.refused = 0

    @classmethod
    def on_node(cls, path: str) -> str:
        """A path of the balancer's mount namespace, as the laboratory reaches it."""
        return f"/proc/{cls.balancer.node.holder}/root{path}"

    def setUp(self):
        self.configure(self.document())
        self.town.wait_closed()
        self.seen = set()
        self.rates = itertools.count(100)

    def kernel(self) -> tuple:
        return (self.shown("--from", "kernel"), self.instance.pins(), self.instance.objects(),
                self.instance.links())

    def looks(self) -> tuple:
        return (self.shown(), self.instance.live_program(), self.in_force()["generation"],
                self.balancer.daemon.open_fds(), self.instance.generations())

    def refuse(self, name: str, document, names: str = "", while_=contextlib.nullcontext(),
               **body) -> Refused:
        """Applied in vain. Looks from outside at each, into the kernel's tables now and then."""
        before, kernel = self.looks(), self.refused % 10 == 0 and self.kernel()
        with while_, self.assertRaises(Refused, msg=name) as refused:
            self.configure(document, **body)
        self.check_refusal(name, refused.exception, names)
        self.assertEqual(self.looks(), before, name)
        if kernel:
            self.assertEqual(self.kernel(), kernel, name)
        return refused.exception

    def check_refusal(self, name: str, error: Refused, names: str) -> None:
        type(self).refused += 1
        self.assertGreater(len(error.what), 10, f"{name}: {error}")
        self.assertIn(names, f"{error.what} {error.hint}", name)
        self.assertIn(error.status, (400, 403, 404, 409, 422, 500, 501, 503, 507), name)

    def is_faulty(self, text: str) -> bool:
        try:
            self.post("drift", document=text)
            return False
        except Refused:
            return True

    def test_mutated_texts(self):
        choice, text = random.Random(SEED), yaml_text.dump(self.document() | {"version": 2})
        before, count = self.kernel(), 0
        with self.load(talk=100, brief_per_s=50) as client:
            while count < MUTATED:
                faulty = _mutated(text, choice)
                if faulty.strip() and self.is_faulty(faulty):
                    error = self.refuse(f"mutation {count}:\n{faulty}", faulty)
                    self.assertEqual(error.status, 422, f"{error}\n{faulty}")
                    self.assertRegex(error.what, r"(?m)^-:\d+:\d+: ", faulty)
                    count += 1
            self.judge(client.report(), "after all mutations")
        self.assertEqual(self.kernel(), before)
        self.figures_of_load("mutated configurations", refused=count)

    def test_limits(self):
        for name, document, names in _limits(self.document()):
            self.refuse(name, document, names)

    def test_programs_that_cannot_follow(self):
        """`node.next` names what is no program that can be called."""
        for name in ("map", "program", "nothing"):
            document = self.document(next=f"{FOREIGN}_{name}")
            self.refuse(f"next: {name}", document, f"{FOREIGN}_{name}")

    def test_interfaces_that_are_not_there(self):
        document = self.document()
        document["node"]["interfaces"] = ["eth0", "eth1", "eth9"]
        self.refuse("a missing interface", document, "eth9")

    def test_too_few_descriptors(self):
        pid = self.balancer.daemon.pid
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)

        @contextlib.contextmanager
        def few():
            resource.prlimit(pid, resource.RLIMIT_NOFILE,
                             (self.balancer.daemon.open_fds() + 4, limit[1]))
            try:
                yield
            finally:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        self.refuse("no descriptors", self.document(icmp_rate=500), "open files", few(),
                    road="program")
        self.configure(self.document(icmp_rate=500))

    @contextlib.contextmanager
    def read_only(self, path: str):
        self.balancer.node.run("mount", "-o", "remount,ro", path)
        try:
            yield
        finally:
            self.balancer.node.run("mount", "-o", "remount,rw", path)

    @contextlib.contextmanager
    def full(self):
        path = self.on_node(f"{rack.STATE}/filler")
        with open(path, "wb", 0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        try:
            yield
        finally:
            os.unlink(path)

    def test_a_read_only_bpffs(self):
        self.refuse("bpffs read-only", self.by_road("program"), "", self.read_only("/sys/fs/bpf"),
                    road="program")
        self.configure(self.by_road("program"))

    def test_a_daemon_with_a_read_only_state_directory_says_so(self):
        """What an earlier one left in force stays."""
        before = self.kernel(), self.instance.live_program()
        self.assertEqual(self.balancer.daemon.stop(), 0)
        self.api.close()
        with self.read_only(rack.STATE):
            daemon = self.balancer.start(ready=False)
            self.assertNotEqual(daemon.wait(20), 0)
            self.assertIn(rack.STATE, daemon.log())
        self.assertEqual((self.kernel(), self.instance.live_program()), before)
        self.start()
        self.assertEqual((self.kernel(), self.instance.live_program()), before)

    def by_road(self, road: str) -> dict:
        return {"entry": self.document((town.backend_entry(1, weight=3), 2, 3)),
                "map": self.document((1, 2)), "program": self.document(icmp_rate=500)}[road]

    def test_a_full_disk(self):
        for road in ("entry", "map", "program"):
            error = self.refuse(f"full disk, {road}", self.by_road(road), "", self.full(), road=road)
            self.assertRegex(error.what, r"(?i)full|space", error)
        self.configure(self.by_road("program"))

    def test_refusals_of_the_kernel(self):
        """System calls of an apply fail, one a time, for the reasons that they can have."""
        self.configure(self.document(icmp_rate=900))
        watch = faults.recorded(self.balancer.node, self.balancer.daemon)
        self.addCleanup(watch.end)
        self.configure(self.document(icmp_rate=901), road="program")
        steps = watch.steps()
        choice = random.Random(SEED)
        reasons = {"bpf": ("EACCES", "E2BIG", "ENOMEM", "EINVAL", "ENOSPC", "EPERM"),
                   "openat": ("EMFILE", "EROFS", "ENOSPC"), "pwrite64": ("ENOSPC", "EIO"),
                   "fdatasync": ("EIO",), "fsync": ("EIO",), "mkdir": ("EROFS", "ENOSPC"),
                   "rename": ("EROFS",), "renameat2": ("EROFS",), "ftruncate": ("ENOSPC",)}
        points = [(step, reason) for step in steps for reason in reasons.get(step[0], ())]
        choice.shuffle(points)
        refused = tolerated = 0
        with self.load(talk=100, brief_per_s=50) as client:
            for step, error in points[:INJECTED]:
                happened = self.inject(step, error)
                refused += happened
                tolerated += not happened
            self.judge(client.report(), "after all refusals")
        self.assertGreater(refused, 0)
        self.no_leak()
        self.figures_of_load("system calls that failed", refused=refused, tolerated=tolerated,
                             steps=len(points))

    def inject(self, step: tuple, error: str) -> bool:
        """Whether the apply was refused; then nothing may have changed."""
        name = f"{step}: {error}"
        self.seen |= self.instance.objects() | xdp.ids_of(self.balancer.daemon.pid)
        before, kernel = self.looks(), self.kernel()
        watch = faults.fail_at(self.balancer.node, self.balancer.daemon, step, error)
        self.addCleanup(watch.end)
        try:
            self.configure(self.document(icmp_rate=next(self.rates)), road="program")
            happened = False
        except Refused as refused:
            self.check_refusal(name, refused, "")
            happened = True
        watch.end()
        if happened:
            wait_for(lambda: self.looks() == before, f"{name}: all as before: {before}", 5)
            self.assertEqual(self.kernel(), kernel, name)
        return happened

    def no_leak(self) -> None:
        def orphans() -> set:
            return xdp.alive(self.seen) - self.instance.objects() - xdp.ids_of(
                self.balancer.daemon.pid)
        wait_for(lambda: not orphans(), "end of everything that nobody owns", 20, 0.2)

    @classmethod
    def tearDownClass(cls):
        cls.figures("faulty configurations", refused=cls.refused)
        super().tearDownClass()


if __name__ == "__main__":
    generation_case.main()
