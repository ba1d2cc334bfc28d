# SPDX-License-Identifier: Apache-2.0
"""A terminal with a command in it, and what a person would read on its screen."""

import os
import re
import time

import pexpect
import pyte

TIMEOUT_S = 30


class Terminal:
    """Of `width` columns; `env` is all that the command has in its environment, beside a PATH."""

    def __init__(self, command, width=100, height=16, **env):
        self.screen = pyte.Screen(width, height)
        self.stream = pyte.ByteStream(self.screen)
        base = {"PATH": os.environ["PATH"], "TERM": "linux", "LC_ALL": "C.UTF-8",
                "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}
        program, *words = (str(word) for word in command)
        self.child = pexpect.spawn(program, words, dimensions=(height, width), env=base | env,
                                   timeout=TIMEOUT_S)

    def read(self):
        """Some more of the screen; False at the end."""
        try:
            self.stream.feed(self.child.read_nonblocking(65536, timeout=0.1))
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def wait(self, condition, what):
        """Until the screen is so."""
        deadline = time.monotonic() + TIMEOUT_S
        while not condition(self.lines()):
            if not self.read() or time.monotonic() > deadline:
                raise AssertionError(f"{what} never came:\n" + "\n".join(self.lines()))
        return self.lines()

    def wait_line(self, number, pattern):
        return self.wait(lambda lines: re.search(pattern, lines[number]),
                         f"{pattern!r} in line {number}")[number]

    def wait_rows(self, names):
        """A screen arrives in pieces: its heading may be there before its rows."""
        self.wait(lambda _: self.rows() == names, f"rows {names}")

    def press(self, keys):
        self.child.send(keys)

    def resize(self, width, height):
        self.screen.resize(height, width)
        self.child.setwinsize(height, width)

    def rows(self):
        """Of `sluice top`: names of the rows that are shown."""
        return [line.split()[0] for line in self.lines()[5:-1] if line]

    def at(self, text):
        """The first character of a text on the screen, with its attributes."""
        for y, line in enumerate(self.screen.display):
            if text in line:
                return self.screen.buffer[y][line.index(text)]
        raise AssertionError(f"no {text!r}:\n" + "\n".join(self.lines()))

    def end(self):
        while self.read():
            pass
        self.child.close()
        return self.child.exitstatus, self.child.signalstatus
