#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The screen of `sluice top` in a terminal, against the real server on a node whose counters go on
by a second each time that somebody asks: what stands where, what keys do, what a resize, another
kind of terminal and a daemon that goes away do to it.

    top_screen_test.py --sluice PATH --fake-daemon PATH"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import unittest

from terminal import TIMEOUT_S, Terminal

HEIGHT = 16
ARGS = None


class FakeDaemon:
    def __init__(self, socket, scene):
        self.process = subprocess.Popen([ARGS.fake_daemon, socket, scene], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"fake_daemon {scene} did not start")

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=TIMEOUT_S)
        self.process.stdout.close()


class Top(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="sluice-top-")
        self.addCleanup(directory.cleanup)
        self.socket = os.path.join(directory.name, "api.sock")

    def serve(self, scene="healthy"):
        daemon = FakeDaemon(self.socket, scene)
        self.addCleanup(lambda: daemon.process.poll() is None and daemon.close())
        return daemon

    def top(self, *words, **options):
        terminal = Terminal([ARGS.sluice, "--socket", self.socket, "top", *words], height=HEIGHT,
                            **options)
        self.addCleanup(terminal.child.close, force=True)
        return terminal

    def quit(self, terminal):
        terminal.press("q")
        self.assertEqual(terminal.end(), (0, None))

    def with_rates(self, *words, scene="healthy", **options):
        self.serve(scene)
        terminal = self.top(*words, **options)
        terminal.wait_line(1, r"1\.5k packets/s")
        return terminal

    def test_the_first_screen_is_whole(self):
        terminal = self.with_rates()
        lines = terminal.wait(lambda seen: "1.2k" in seen[5], "the rate of web")
        self.assertEqual(lines[:5], [
            "sluice top  edge-1  generation 3  every 1s",
            "1.5k packets/s  12M bits/s  30 drops/s (2.0%)  samples 1 in 1024",
            "[1 Services] 2 Backends  3 Reasons  4 Talkers  5 Maps  6 Interfaces",
            "",
            "SERVICE    VIP            PROTO  PORT  PACKETS/S v  BITS/S  DROPS/S  BACKENDS  PACKETS"])
        self.assertRegex(lines[5],
                         r"^web        192\.0\.2\.10     tcp    443          1\.2k    9\.6M        0"
                         r"       1/2     \d\.\dk$")
        self.assertRegex(lines[6], r'^any "six"  2001:db8::/64  tcp    80            330    2\.6M')
        self.assertEqual(lines[-1], "q quit  ? help  Tab view  < > sort  r reverse  / filter  "
                                    "Space pause  + - interval")
        self.quit(terminal)

    def test_keys_choose_the_view(self):
        terminal = self.with_rates()
        terminal.press("3")
        terminal.wait_line(2, r"\[3 Reasons\]")
        # What is dropped comes first, whatever else there is more of.
        self.assertEqual(terminal.lines()[5].split()[:3], ["no_such_port", "dropped", "30"])
        terminal.press("\t")
        terminal.wait_line(2, r"\[4 Talkers\]")
        self.assertRegex(terminal.lines()[5], r"^198\.51\.100\.7 .* 900 +7\.2M +0 ")
        terminal.press("\x1b\t")
        terminal.wait_line(2, r"\[3 Reasons\]")
        for number, first in (("5", "slc_flows"), ("6", "eth0"), ("2", "web/10.0.0.5")):
            terminal.press(number)
            terminal.wait_line(5, "^" + re.escape(first))
        self.quit(terminal)

    def test_a_table_that_fills_says_until_when(self):
        terminal = self.with_rates("--view", "maps")
        line = terminal.wait_line(5, r"^slc_flows")
        self.assertRegex(line, r" 58\.6% .* 0\.5 +90s$")
        self.quit(terminal)

    def test_keys_sort(self):
        terminal = self.with_rates()
        terminal.wait_rows(["web", "any"])
        terminal.press(">>")
        terminal.wait_line(4, r"DROPS/S v")
        terminal.wait_rows(["any", "web"])
        terminal.press("r")
        terminal.wait_line(4, r"DROPS/S \^")
        terminal.wait_rows(["web", "any"])
        terminal.press("<<<<<<<<")
        terminal.wait_line(4, r"^SERVICE \^")
        self.quit(terminal)

    def test_keys_filter(self):
        terminal = self.with_rates("--view", "backends", scene="crowded")
        terminal.press("/1.3")
        terminal.wait_line(3, r"^filter: 1\.3_$")
        terminal.press("\r")
        terminal.wait_line(3, r"^filter: 1\.3  \(11 of 42\)$")
        terminal.wait(lambda _: all("1.3" in row for row in terminal.rows()), "only what fits")
        terminal.press("\x1b")
        terminal.wait_line(3, r"^$")
        terminal.press("/none\r")
        terminal.wait_line(5, r"^no row holds that text$")
        self.quit(terminal)

    def test_keys_scroll(self):
        terminal = self.with_rates("--view", "backends", scene="crowded")
        terminal.wait_line(5, r"^web/10\.0\.0\.5 ")
        terminal.press("\x1b[6~")  # Page Down
        terminal.wait_line(5, r"^web/10\.0\.1\.31 ")
        terminal.press("\x1b[4~")  # End
        terminal.wait_line(HEIGHT - 2, r"^web/2001:db8:1::7 ")
        terminal.press("\x1b[1~")  # Home
        terminal.wait_line(5, r"^web/10\.0\.0\.5 ")
        terminal.press("\x1b[B")
        terminal.wait_line(5, r"^web/10\.0\.1\.40 ")
        self.quit(terminal)

    def test_keys_pause_and_change_the_interval(self):
        terminal = self.with_rates()
        terminal.press("++")
        terminal.wait_line(0, r"every 3s$")
        terminal.press(" ")
        terminal.wait_line(0, r"every 3s  paused$")
        terminal.press("?")
        terminal.wait(lambda lines: any(line.startswith("<, >  ") for line in lines), "the help")
        terminal.press("x")
        terminal.wait_line(0, r"paused$")
        terminal.press(" ")
        terminal.wait_line(0, r"every 3s$")
        self.quit(terminal)

    def test_it_follows_the_size_of_the_terminal(self):
        terminal = self.with_rates()
        terminal.resize(46, 9)
        terminal.wait_line(4, r"^SERVICE {4}PACKETS/S v  BITS/S  DROPS/S$")
        self.assertEqual(terminal.lines()[2], "[1 Services] 2  3  4  5  6")
        terminal.resize(12, 3)
        terminal.wait(lambda lines: lines[2].startswith("q quit"), "three lines")
        terminal.resize(120, 30)
        terminal.wait_line(4, r"BACKENDS  PACKETS$")
        self.quit(terminal)

    def test_it_goes_on_when_the_daemon_comes_back(self):
        daemon = self.serve()
        terminal = self.top()
        terminal.wait_line(1, r"1\.5k packets/s")
        daemon.close()
        terminal.wait_line(0, r"sluiced does not answer$")
        self.assertEqual(terminal.rows()[0], "web", "what was known stays")
        self.serve()
        # Its counters begin anew: no rate until they were seen twice, and none below zero.
        terminal.wait_line(0, r"every 1s(  waiting for rates)?$")
        terminal.wait_line(1, r"1\.5k packets/s")
        self.assertNotIn("-1", terminal.lines()[5])
        self.quit(terminal)

    def test_it_begins_without_a_daemon(self):
        terminal = self.top()
        terminal.wait_line(0, r"sluiced does not answer$")
        self.serve()
        terminal.wait_line(1, r"1\.5k packets/s")
        self.quit(terminal)

    def test_colours_only_where_they_are_wanted(self):
        terminal = self.with_rates("--view", "reasons")
        self.assertNotEqual(terminal.at("no_such_port").fg, "default")
        self.assertTrue(terminal.at("[3 Reasons]").reverse)
        self.quit(terminal)
        for options in ({"NO_COLOR": "1"}, {"TERM": "vt220"}):
            terminal = self.top("--view", "reasons", **options)
            terminal.wait_line(1, r"1\.5k packets/s")
            colours = {cell.fg for row in terminal.screen.buffer.values() for cell in row.values()}
            self.assertEqual(colours, {"default"})
            self.assertTrue(terminal.at("no_such_port").bold)
            self.assertTrue(terminal.at("[3 Reasons]").reverse)
            self.quit(terminal)

    def test_it_needs_no_utf8(self):
        terminal = self.with_rates(LC_ALL="C")
        self.assertEqual(terminal.lines()[2],
                         "[1 Services] 2 Backends  3 Reasons  4 Talkers  5 Maps  6 Interfaces")
        self.assertTrue("".join(terminal.lines()).isascii())
        self.quit(terminal)

    def test_it_leaves_the_terminal_as_it_was(self):
        terminal = self.with_rates()
        self.assertTrue(terminal.screen.cursor.hidden)
        self.quit(terminal)
        self.assertFalse(terminal.screen.cursor.hidden)

    def test_interrupted_it_ends(self):
        terminal = self.with_rates()
        terminal.child.sendintr()
        self.assertNotEqual(terminal.end(), (0, None))
        self.assertFalse(terminal.screen.cursor.hidden)

    def test_where_there_is_no_screen_it_says_so(self):
        self.serve()
        for term in ("dumb", "no-such-terminal"):
            terminal = self.top(TERM=term)
            self.assertEqual(terminal.end(), (1, None))
            text = "\n".join(terminal.lines())
            self.assertIn(f"error: top: terminal '{term}' cannot show a screen", text)
            self.assertIn("hint: sluice top --once prints a table", text)


def main():
    global ARGS
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--fake-daemon", required=True)
    ARGS, rest = parser.parse_known_args()
    ARGS.sluice, ARGS.fake_daemon = os.path.abspath(ARGS.sluice), os.path.abspath(ARGS.fake_daemon)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
