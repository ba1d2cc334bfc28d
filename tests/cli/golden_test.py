#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs sluice and sluiced as a person would and compares exit code, standard output and standard
error, whole, with tests/golden/cli. The daemon behind it is the real server on a fixed node.

    golden_test.py --sluice PATH --sluiced PATH --fake-daemon PATH [CASE...]

SLUICE_UPDATE_GOLDEN=1 rewrites the files instead; read the diff before you commit it."""

import argparse
import difflib
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

import cases

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "cli"
TIMEOUT_S = 30


class FakeDaemon:
    """The fake daemon on a socket of its own, until the end of the block."""

    def __init__(self, binary, socket, scene):
        self.process = subprocess.Popen([binary, socket, scene], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"fake_daemon {scene} did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=TIMEOUT_S)
        self.process.stdout.close()


def transcript(binaries, case, directory, socket):
    """What the terminal would show, with the exit code on top."""
    name, scene, program, words = case
    words = words.replace("@DIR@", directory)
    command = [binaries[program], *shlex.split(words)]
    if program == "sluice" and "--socket" not in words:
        command[1:1] = ["--socket", socket]
    # A fixed environment: no colours, no locale, no socket of a service manager.
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                          stdin=subprocess.DEVNULL, cwd=directory,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                               "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")})
    text = (f"$ {program} {words}".rstrip() + f"\nexit {done.returncode}\n--- stdout\n{done.stdout}"
            f"--- stderr\n{done.stderr}")
    return text.replace(socket, "@SOCKET@").replace(directory, "@DIR@")


def check(case, got, update):
    """True when it is what the file says."""
    path = GOLDEN / f"{case[0]}.txt"
    want = path.read_text() if path.exists() else ""
    if got == want:
        return True
    if update:
        path.write_text(got)
        print(f"wrote {path.name}")
        return True
    print(f"FAILED {case[0]}")
    sys.stdout.writelines(difflib.unified_diff(want.splitlines(True), got.splitlines(True),
                                               f"golden/cli/{path.name}", "now"))
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--sluiced", required=True)
    parser.add_argument("--fake-daemon", required=True)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    update = os.environ.get("SLUICE_UPDATE_GOLDEN") == "1"
    binaries = {"sluice": os.path.abspath(args.sluice), "sluiced": os.path.abspath(args.sluiced)}
    GOLDEN.mkdir(parents=True, exist_ok=True)
    failed = 0
    chosen = [case for case in cases.CASES if not args.names or case[0] in args.names]
    with tempfile.TemporaryDirectory(prefix="sluice-cli-") as directory:
        for file, text in cases.FILES.items():
            data = text if isinstance(text, bytes) else text.encode()
            pathlib.Path(directory, file).write_bytes(data)
        socket = os.path.join(directory, "api.sock")
        for case in chosen:
            if case[1] is None:
                got = transcript(binaries, case, directory, socket)
            else:
                with FakeDaemon(args.fake_daemon, socket, case[1]):
                    got = transcript(binaries, case, directory, socket)
            failed += not check(case, got, update)
    known = {f"{case[0]}.txt" for case in cases.CASES}
    strays = sorted(path.name for path in GOLDEN.iterdir() if path.name not in known)
    for stray in strays:
        print(f"FAILED no case has the file golden/cli/{stray}")
    failed += len(strays)
    print(f"{len(chosen)} cases, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
