#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a person sees who waits for a change, against the real server on a fixed node: one line
that is rewritten on a terminal, Ctrl-C, a daemon that restarts; and a list whose reader leaves.

    wait_test.py --sluice PATH --fake-daemon PATH"""

import argparse
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

TIMEOUT_S = 30
COLUMNS = 60


class FakeDaemon:
    """The fake daemon on a socket, until close()."""

    def __init__(self, binary, socket, scene, *more):
        self.process = subprocess.Popen([binary, socket, scene, *more], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"fake_daemon {scene} did not start")

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=TIMEOUT_S)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Terminal:
    """A command whose standard error is a terminal of COLUMNS columns."""

    def __init__(self, command, term="xterm"):
        self.screen, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=terminal,
                                        stdout=subprocess.PIPE, text=True,
                                        env={"PATH": os.environ["PATH"], "TERM": term,
                                             "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")})
        os.close(terminal)
        self.seen = ""

    def read(self):
        """Some more of the screen; False at the end."""
        if not select.select([self.screen], [], [], TIMEOUT_S)[0]:
            raise RuntimeError(f"nothing comes after {self.seen!r}")
        try:
            data = os.read(self.screen, 65536)
        except OSError:  # EIO: the command has closed it.
            return False
        self.seen += data.decode()
        return bool(data)

    def read_until(self, text):
        while text not in self.seen:
            if not self.read():
                raise RuntimeError(f"{text!r} never came: {self.seen!r}")

    def end(self):
        """Exit code and standard output."""
        while self.read():
            pass
        out = self.process.stdout.read()
        code = self.process.wait(timeout=TIMEOUT_S)
        self.process.stdout.close()
        os.close(self.screen)
        return code, out


def wait_command(args, socket, *more):
    return [args.sluice, "--socket", socket, "backend", "set", "web/10.0.0.5", "--state", "drain",
            "--wait", *more]


def one_line_is_rewritten_on_a_terminal(args, socket):
    with FakeDaemon(args.fake_daemon, socket, "healthy"):
        terminal = Terminal(wait_command(args, socket))
        code, out = terminal.end()
    assert code == 0, code
    assert out == ("web/10.0.0.5: drain (configured: ready), weight 1; settled, no flows are "
                   "remembered for it\n"), out
    lines = terminal.seen.split("\r\x1b[K")
    assert lines[0] == "" and len(lines) == 6, lines
    assert terminal.seen.count("\n") == 1 and terminal.seen.endswith("\r\n"), terminal.seen
    assert "1200 flows remembered" in lines[2], lines
    for line in lines[1:]:
        assert len(line.rstrip("\r\n")) < COLUMNS, line


def a_dumb_terminal_gets_lines(args, socket):
    with FakeDaemon(args.fake_daemon, socket, "healthy"):
        terminal = Terminal(wait_command(args, socket), term="dumb")
        code, _ = terminal.end()
    assert code == 0, code
    assert "\x1b" not in terminal.seen, terminal.seen
    assert terminal.seen.count("\n") == 5, terminal.seen


def an_interrupt_leaves_the_change_going_on_and_says_so(args, socket):
    with FakeDaemon(args.fake_daemon, socket, "healthy") as daemon:
        terminal = Terminal(wait_command(args, socket, "--deadline", "1h"))
        terminal.read_until("1300 flows remembered")  # It stays open from here on.
        terminal.process.send_signal(signal.SIGINT)
        code, out = terminal.end()
        assert code == 1, code
        assert "the change goes on without this command: sluice backend show web/10.0.0.5" in (
            terminal.seen), terminal.seen
        assert out.startswith("web/10.0.0.5: drain"), out
        shown = subprocess.run([args.sluice, "--socket", socket, "backend", "show",
                                "web/10.0.0.5"], capture_output=True, text=True, check=True,
                               timeout=TIMEOUT_S)
        assert "state:           drain (configured: ready)" in shown.stdout, shown.stdout
        assert daemon.process.poll() is None


def a_daemon_that_restarts_is_waited_for(args, socket):
    with FakeDaemon(args.fake_daemon, socket, "healthy") as daemon:
        terminal = Terminal(wait_command(args, socket, "--deadline", "1h"))
        terminal.read_until("1200 flows remembered")
        daemon.close()
        terminal.read_until("sluiced does not answer; still waiting")
    # The new one has forgotten the order, so nothing is left to wait for.
    with FakeDaemon(args.fake_daemon, socket, "healthy"):
        code, out = terminal.end()
    assert code == 0, (code, terminal.seen)
    assert out == "web/10.0.0.5: ready, weight 1; settled, no flows are remembered for it\n", out


def a_list_goes_out_at_once_and_its_reader_may_leave(args, socket):
    with FakeDaemon(args.fake_daemon, socket, "healthy", str(10 ** 12)):
        command = [args.sluice, "--socket", socket, "flow", "list", "-j"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        first = process.stdout.readline()
        assert first.startswith('{"schema_version":1,"group":"web"'), first
        process.stdout.close()
        assert process.wait(timeout=TIMEOUT_S) == -signal.SIGPIPE
        began = time.monotonic()
        subprocess.run([args.sluice, "--socket", socket, "status"], capture_output=True,
                       check=True, timeout=TIMEOUT_S)
        assert time.monotonic() - began < TIMEOUT_S


def a_terminated_count_ends_at_the_daemon_too(args, socket):
    with FakeDaemon(args.fake_daemon, socket, "healthy", str(10 ** 12)) as daemon:
        process = subprocess.Popen([args.sluice, "--socket", socket, "flow", "count"])
        deadline = time.monotonic() + TIMEOUT_S
        while cpu_ticks(daemon.process.pid) < 5:
            assert time.monotonic() < deadline, "the daemon does not count"
        process.terminate()
        assert process.wait(timeout=TIMEOUT_S) == -signal.SIGTERM
        while True:
            # Idle: the daemon sleeps, and not only for an instant.
            before = cpu_ticks(daemon.process.pid)
            subprocess.run([args.sluice, "--socket", socket, "status"], capture_output=True,
                           check=True, timeout=TIMEOUT_S)
            if cpu_ticks(daemon.process.pid) - before <= 1 and is_asleep(daemon.process.pid):
                break
            assert time.monotonic() < deadline, "the daemon counts on"


def stat_fields(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()


def cpu_ticks(pid):
    return int(stat_fields(pid)[11]) + int(stat_fields(pid)[12])


def is_asleep(pid):
    return stat_fields(pid)[0] == "S"


TESTS = [one_line_is_rewritten_on_a_terminal, a_dumb_terminal_gets_lines,
         an_interrupt_leaves_the_change_going_on_and_says_so, a_daemon_that_restarts_is_waited_for,
         a_list_goes_out_at_once_and_its_reader_may_leave,
         a_terminated_count_ends_at_the_daemon_too]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--fake-daemon", required=True)
    args = parser.parse_args()
    failed = 0
    for test in TESTS:
        with tempfile.TemporaryDirectory(prefix="sluice-wait-") as directory:
            try:
                test(args, os.path.join(directory, "api.sock"))
            except (AssertionError, RuntimeError, subprocess.SubprocessError) as error:
                print(f"FAILED {test.__name__}: {error}")
                failed += 1
    print(f"{len(TESTS)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
