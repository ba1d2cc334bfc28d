# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a laboratory for each class, evidence for each failure."""

import os
import sys
import unittest

from lab import isolation
from lab.node import Lab
from lab.rack import Agent, Balancer, Binaries, Rack


class LabCase(unittest.TestCase):
    """`build` makes the laboratory once for the class; it is gone before the next class."""

    lab: Lab
    rack: Rack
    balancer: Balancer

    @classmethod
    def build(cls) -> None:
        raise NotImplementedError

    @classmethod
    def setUpClass(cls) -> None:
        cls.binaries = Binaries()
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.balancer = None
        try:
            cls.build()
        except Exception:
            _explain(cls)
            raise

    def run(self, result=None):
        before = _bad(result)
        super().run(result)
        if _bad(result) > before:
            # Now: who runs the long form need not wait for its end.
            print(*(text for _, text in (result.failures + result.errors)[-1:]), file=sys.stderr)
            _explain(type(self))
        return result

    @classmethod
    def start_sluice(cls, document, vips, agents=None, **agent_options) -> None:
        """sluiced on the balancer, agents and servers on the backends (or those given)."""
        nodes = list(cls.rack.backends.values()) if agents is None else agents
        cls.agents = [Agent(node, cls.binaries, vips, **agent_options) for node in nodes]
        cls.rack.serve(*nodes)
        cls.balancer = Balancer(cls.rack.balancer, cls.binaries)
        cls.balancer.write(document)
        cls.balancer.start()
        for agent in cls.agents:
            agent.wait_attached()
        cls.balancer.wait_resolved()


def _bad(result) -> int:
    return len(result.failures) + len(result.errors)


def _explain(case) -> None:
    """Everything the daemons said, and the counters that moved."""
    rack = getattr(case, "rack", None)
    if rack is not None:
        print(rack.diagnosis(), file=sys.stderr)
    if case.balancer is None or case.balancer.daemon is None:
        return
    for words in (("status",), ("backend", "list", "-o", "wide")):
        shown = case.balancer.sluice(*words, check=False)
        print(f"--- sluice {' '.join(words)}\n{shown.stdout}{shown.stderr}", file=sys.stderr)


def _run_tests() -> int:
    program = unittest.main(module="__main__", argv=sys.argv, exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        return 1
    if result.skipped:
        for test, reason in result.skipped:
            print(f"skipped: {test}: {reason}", file=sys.stderr)
        return isolation.SKIPPED
    if result.testsRun == 0:
        print("no test ran", file=sys.stderr)
        return 1
    return 0


def main() -> None:
    """The last line of every test file."""
    os.chdir("/")
    sys.exit(isolation.run_isolated(_run_tests))
