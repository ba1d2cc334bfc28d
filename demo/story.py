# SPDX-License-Identifier: Apache-2.0
"""What the demonstration says: steps, tables, and the live view."""

import mmap
import os
import shutil
import struct
import sys
import time

_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _paint(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if _COLOUR else text


def bold(text: str) -> str:
    return _paint("1", text)


def dim(text: str) -> str:
    return _paint("2", text)


def title(text: str) -> None:
    print(f"\n{bold(text)}", flush=True)


def say(text: str) -> None:
    print(text, flush=True)


def passed(text: str) -> None:
    print(f"{_paint('32', '  ok')}  {text}", flush=True)


def failed(text: str) -> None:
    print(f"{_paint('31', 'FAIL')}  {text}", flush=True)


def check(condition: bool, text: str) -> bool:
    (passed if condition else failed)(text)
    return bool(condition)


class Step:
    """`with Step("servers"):` prints what was done and how long it took, once it is."""

    def __init__(self, text: str):
        self._text = text

    def __enter__(self):
        self._began = time.monotonic()
        return self

    def __exit__(self, kind, *_rest):
        if kind is None:
            passed(f"{self._text} {dim(f'({time.monotonic() - self._began:.1f} s)')}")


def table(header: list, rows: list, right: tuple = ()) -> str:
    """Aligned columns; those with an index in `right` to the right."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for number, row in enumerate(cells):
        line = "  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                         for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
        lines.append("  " + (dim(line) if number == 0 else line))
    return "\n".join(lines)


class Tally:
    """Counts by name that a forked process writes and this one reads."""

    def __init__(self, names: list):
        self._names = list(names)
        self._memory = mmap.mmap(-1, 8 * len(self._names))

    def add(self, name: str) -> None:
        at = 8 * self._names.index(name)
        struct.pack_into("Q", self._memory, at, struct.unpack_from("Q", self._memory, at)[0] + 1)

    def read(self) -> dict:
        return {name: struct.unpack_from("Q", self._memory, 8 * i)[0]
                for i, name in enumerate(self._names)}


class Rates:
    """Per-second rates of counters that only grow."""

    def __init__(self):
        self._last = {}

    def of(self, key, value: int) -> str:
        now = time.monotonic()
        then, before = self._last.get(key, (now, value))
        self._last[key] = (now, value)
        return f"{(value - before) / (now - then):.0f}" if now > then else "-"


def watch(scene, enter: str) -> None:
    """Redraws the scene's view every second until Ctrl-C; without a terminal, every ten."""
    scene.start_traffic()
    live = sys.stdout.isatty()
    if live:
        print("\033[?1049h\033[?25l", end="")
    try:
        while True:
            text = scene.view() + dim(f"\n\n  Ctrl-C ends it and leaves nothing. Look inside from "
                                      f"another terminal: {enter} {scene.entrance}\n")
            if live:
                height = shutil.get_terminal_size().lines
                shown = "\n".join(line + "\033[K" for line in text.split("\n")[:height - 1])
                print("\033[H" + shown + "\033[J", end="", flush=True)
            else:
                print(text, flush=True)
            time.sleep(1 if live else 10)
    except KeyboardInterrupt:
        pass  # The usual end.
    finally:
        if live:
            print("\033[?25h\033[?1049l", end="", flush=True)
