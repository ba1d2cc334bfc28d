# SPDX-License-Identifier: Apache-2.0
"""One private world per run, which the kernel itself takes away.

`run_isolated(main)` forks a child that is the first process of a new PID namespace, with mount and
network namespaces of its own, and calls `main` there. Everything a run makes hangs on that child:

    caller -- PID 1 of the run -- every server, daemon and shell of the run
                 |-- mounts (/run, bpffs with its pins), seen by no other process
                 `-- network namespaces, seen by no other process

When the child ends, for whatever reason, the kernel kills every process of its PID namespace; with
the last of them the namespaces go, and with those links, pins, XDP programs and temporary files.
The child is killed when the caller is, SIGKILL included. There is no clean-up code that could be
missed.
"""

import os
import select
import signal
import sys
import traceback
import unittest

from . import syscalls

SKIPPED = 77  # What ctest counts as skipped.

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Unavailable(unittest.SkipTest):
    """This machine lacks something; the text says what, and what helps."""


def require(condition: object, problem: str, remedy: str) -> None:
    if not condition:
        raise Unavailable(f"{problem}; {remedy}")


def _enter(caller_alive: int) -> None:
    """Makes this process the root of a world that ends with it, and it with its caller."""
    syscalls.die_with_parent(signal.SIGKILL)
    poll = select.poll()
    poll.register(caller_alive, select.POLLIN)
    if poll.poll(0):  # The caller ended before the line above took effect.
        os._exit(1)
    os.close(caller_alive)
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
        syscalls.make_mounts_private()
        syscalls.mount("proc", "/proc")
        syscalls.mount("tmpfs", "/run", "mode=0755")
    except OSError as error:
        raise Unavailable(f"{error}; namespaces are closed here: run on a machine of your own, or "
                          "give the container CAP_SYS_ADMIN") from error


def _stop(number, _frame) -> None:
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def _child(main, caller_alive: int, unavailable: str) -> int:
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        _enter(caller_alive)
        return main()
    except Unavailable as error:
        print(f"{unavailable}: {error}", file=sys.stderr)
        return SKIPPED
    except KeyboardInterrupt as stop:
        print(f"stopped by {stop}", file=sys.stderr)
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


def run_isolated(main, unavailable: str = "skipped") -> int:
    """Calls `main() -> exit status` in a world of its own; its status, or 77 with the reason, which
    `unavailable` opens."""
    if os.geteuid() != 0:
        print(f"{unavailable}: network namespaces and XDP need root; run it with sudo",
              file=sys.stderr)
        return SKIPPED
    sys.stdout.flush()
    caller_alive, caller_end = os.pipe()
    try:
        syscalls.unshare(syscalls.CLONE_NEWPID)
    except OSError as error:
        print(f"{unavailable}: {error}; process namespaces are closed here: give the container "
              "CAP_SYS_ADMIN", file=sys.stderr)
        return SKIPPED
    child = os.fork()
    if child == 0:
        os.close(caller_end)
        status = _child(main, caller_alive, unavailable)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    os.close(caller_alive)
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda received, _frame: _forward(child, received))
    _, wait_status = os.waitpid(child, 0)
    os.close(caller_end)
    return os.waitstatus_to_exitcode(wait_status) if os.WIFEXITED(wait_status) else 1


def _forward(child: int, number: int) -> None:
    """A stop signal ends the child; one that does not listen within ten seconds is killed."""
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(10)
