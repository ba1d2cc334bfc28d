#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev demo: verifies, stays on, explains what it lacks, and leaves nothing."""

import pathlib
import signal
import subprocess
import unittest

import case
from lab import rack
from lab_test import check_gone, descendants, namespaces_of

DEMO = pathlib.Path(__file__).resolve().parents[2] / "demo/demo"


class Demo(unittest.TestCase):
    """As a newcomer runs it, through its command line."""

    @classmethod
    def setUpClass(cls):
        rack.Binaries()  # Skips, where nothing is built.

    def start(self, *options):
        run = subprocess.Popen([DEMO, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        return run

    def read_until(self, run, words: str) -> str:
        text = ""
        for line in run.stdout:
            text += line
            if words in line:
                return text
        self.fail(f"no {words!r} in:\n{text}")
        return ""

    def test_once_verifies_both_scenes(self):
        done = subprocess.run([DEMO, "--once"], capture_output=True, text=True, check=False,
                              timeout=150)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("FAIL", done.stdout)
        self.assertIn("the demonstration did what it promises", done.stdout)
        for words in ("Scene 1", "Scene 2", "ipip", "gre", "gue", "l2", "local", "nothing looped"):
            self.assertIn(words, done.stdout)

    def test_killed_in_the_middle_it_leaves_nothing(self):
        for words in ("backends are built", "sluiced is ready", "HTTP connections"):
            with self.subTest(words):
                run = self.start("--once", "--scene", "1")
                self.read_until(run, words)
                children = descendants(run.pid)
                namespaces = namespaces_of(children)
                self.assertGreater(len(namespaces), 5)
                run.kill()
                check_gone(self, children, namespaces)

    def test_the_live_view_counts_until_ctrl_c(self):
        for scene, words in (("1", "answered by  requests"), ("2", "requests that failed: 0")):
            with self.subTest(scene):
                run = self.start("--scene", scene)
                self.read_until(run, words)
                self.read_until(run, "Ctrl-C ends it")
                children = descendants(run.pid)
                run.send_signal(signal.SIGINT)
                self.assertEqual(run.wait(10), 0)
                check_gone(self, children, set())

    def test_another_terminal_can_enter_a_machine(self):
        run = self.start("--scene", "1")
        self.read_until(run, "Ctrl-C ends it")
        entered = subprocess.run([DEMO, "enter", "balancer", "sluice", "status", "-j"], check=False,
                                 capture_output=True, text=True, timeout=30)
        self.assertEqual(entered.returncode, 0, entered.stderr)
        self.assertIn('"services"', entered.stdout)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(10), 0)

    def test_what_is_missing_is_named_with_its_remedy(self):
        no_root = subprocess.run([rack.tool("setpriv"), "--reuid=65534", "--clear-groups", DEMO,
                                  "--once"], capture_output=True, text=True, check=False,
                                 timeout=30)
        self.assertEqual(no_root.returncode, 1)
        self.assertIn("need root; run it with sudo", no_root.stderr)
        no_build = subprocess.run([DEMO, "--once", "--build", "/nonexistent"], capture_output=True,
                                  text=True, check=False, timeout=30)
        self.assertEqual(no_build.returncode, 1)
        self.assertIn("build first: ./dev build", no_build.stderr)


if __name__ == "__main__":
    case.main()
