#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The systemd units are valid, and hardened: `systemd-analyze verify` has nothing to say about them
once their commands exist, and `systemd-analyze security` stays below a bound.

    units_test.py --sluice PATH --sluiced PATH --units DIR

Exits 77 (skipped) where systemd-analyze is not installed."""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
MAX_EXPOSURE = 3.0
UNITS = ["sluiced.service", "sluice-agent.service"]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--sluiced", required=True)
    parser.add_argument("--units", required=True)
    args = parser.parse_args()
    if not shutil.which("systemd-analyze"):
        print("skipped: systemd-analyze is not installed")
        return 77
    problems = []
    with tempfile.TemporaryDirectory(prefix="sluice-units-") as directory:
        for name in UNITS:
            text = pathlib.Path(args.units, name).read_text()
            # The commands as they are built, for they are not installed yet.
            text = re.sub(r"/\S*/sluice/prepare-bpffs", str(TOP / "packaging/prepare-bpffs"), text)
            text = re.sub(r"/\S*/sluiced ", f"{args.sluiced} ", text)
            text = re.sub(r"/\S*/bin/sluice ", f"{args.sluice} ", text)
            path = pathlib.Path(directory, name)
            path.write_text(text)
            code, output = run("systemd-analyze", "verify", "--man=no", str(path))
            if code or output:
                problems.append(f"{name}: {output.strip()}")
            _, output = run("systemd-analyze", "security", "--offline=true", str(path))
            score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", output)
            if not score or float(score.group(1)) > MAX_EXPOSURE:
                problems.append(f"{name}: exposure {score.group(1) if score else 'unknown'}, "
                                f"at most {MAX_EXPOSURE} is allowed")
    for problem in problems:
        print(f"FAILED {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
