# SPDX-License-Identifier: Apache-2.0
"""Kills a process at a chosen step of what it does: just before its Nth system call of a kind, which
therefore does not happen; or lets that call fail. strace does it; between two system calls a process
changes nothing that outlives it but its mapped memory.
"""

import re

from . import rack
from .node import Node, Process, wait_for

# Those that change something outside of the process, or may.
CALLS = ("bpf", "openat", "rename", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir",
         "ftruncate", "fsync", "fdatasync", "pwrite64", "write", "sendmsg", "sendto")


PROGRAM = "BPF_PROG_LOAD"
_QUESTIONS = {"BPF_MAP_LOOKUP_ELEM", "BPF_MAP_LOOKUP_BATCH", "BPF_MAP_GET_NEXT_KEY",
              "BPF_OBJ_GET_INFO_BY_FD", "BPF_OBJ_GET"}


class Watch:
    """strace on a running process, from now until `end`, or until the process ends."""

    def __init__(self, node: Node, process: Process, *options: str):
        self.tracee = process
        self._trace = node.lab_path("strace")
        self.process = node.spawn("strace", rack.tool("strace"), "-f", "-p", process.pid, "-o",
                                  self._trace, *options)
        wait_for(lambda: "attached" in self.process.log() or self.process.poll() is not None,
                 "strace to attach")
        if self.process.poll() is not None:
            raise AssertionError(f"strace: {self.process.log()}")

    def end(self) -> None:
        """Lets the process go on alone."""
        if self.process.poll() is None:
            self.process.stop()

    def steps(self) -> list:
        """(system call, number, what it is asked): those of each thread, without what only asks,
        none twice. Of many alike in a row (a table is filled) the first two and the last two."""
        self.end()
        made, rows = {}, {}
        for line in self._trace.read_text(errors="replace").splitlines():
            found = re.match(r"(\d+) +(\w+)\((\w*)", line)
            if not found:
                continue
            thread, call, first = found.groups()
            made[thread, call] = made.get((thread, call), 0) + 1
            if call == "bpf" and first in _QUESTIONS or call == "openat" and "O_CREAT" not in line:
                continue
            alike = (call, first, *re.findall(r"map_fd=\d+", line))
            row = rows.setdefault(thread, [])
            if not row or row[-1][0] != alike:
                row.append((alike, []))
            row[-1][1].append((call, made[thread, call], first))
        return sorted({step for row in rows.values() for _, steps in row
                       for step in steps[:2] + steps[-2:]})


def recorded(node: Node, process: Process) -> Watch:
    return Watch(node, process, "-e", "trace=" + ",".join(CALLS))


def failing(step: tuple, error: str) -> str:
    """strace's words for it. A program that is refused is loaded once more, to hear why: then the
    next ones fail, too."""
    call, number, what = step
    last = number + 2 if what == PROGRAM else number
    return f"inject={call}:error={error}:when={number}..{last}"


def fail_at(node: Node, process: Process, step: tuple, error: str) -> Watch:
    """That call, counted from now on, does nothing and fails with that error ("ENOSPC")."""
    return Watch(node, process, "-e", f"trace={step[0]}", "-e", failing(step, error))


def kill_at(node: Node, process: Process, call: str, number: int) -> Watch:
    """SIGKILL instead of its `number`th call from now on."""
    return Watch(node, process, "-e", f"trace={call}",
                 "-e", f"inject={call}:signal=SIGKILL:when={number}")
