#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The house style as a program: `./dev lint`.

Every finding is one line, `file:line: rule: what: what to write instead`. Each rule carries samples
that it must find and must leave alone; `--self-test` tries all of them, so that no rule can stop
working unseen. With file names only those are looked at.

    style.py [--self-test | --list | FILE...]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import rules  # noqa: E402
import tools  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def known_files(root):
    """Files that git knows or would take, and that are text."""
    told = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                          cwd=root, capture_output=True, text=True)
    if told.returncode != 0:
        sys.exit(f"error: {root} is no git work tree: {told.stderr.strip()}\n"
                 "hint: run it in a clone")
    return sorted(set(filter(None, told.stdout.split("\0"))))


def read(root, names):
    """rules.File for each name that is a text file."""
    files = []
    for name in names:
        path = root / name
        if not path.is_file() or path.is_symlink():
            continue
        try:
            files.append(rules.File(name, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return files


def check(root, names):
    """All findings in the named files, in order."""
    files = read(root, names)
    findings = [finding for file in files for rule in rules.ALL for finding in rule.check(file)]
    findings += tools.check(root, files)
    return sorted(findings)


def self_test():
    """Every rule finds its bad samples and leaves its good ones alone."""
    broken = []
    for rule in rules.ALL:
        for name, text in rule.bad:
            if not list(rule.check(rules.File(name, text))):
                broken.append(f"{rule.name} does not find anything in {name}: {text!r}")
        for name, text in rule.good:
            for finding in rule.check(rules.File(name, text)):
                broken.append(f"{rule.name} finds what is no fault: {finding}: {text!r}")
        if not rule.bad or not rule.good:
            broken.append(f"{rule.name} has no samples")
    with tempfile.TemporaryDirectory() as folder:
        broken += tools.self_test(Path(folder))
    return broken


def main(arguments):
    if arguments == ["--self-test"]:
        broken = self_test()
        print("\n".join(broken) or f"{len(rules.ALL) + len(tools.ALL)} rules can fail")
        return 1 if broken else 0
    if arguments == ["--list"]:
        for rule in rules.ALL:
            print(f"{rule.name}: {rule.instead}")
        return 0
    names = [str(Path(name).resolve().relative_to(ROOT)) for name in arguments]
    findings = check(ROOT, names or known_files(ROOT))
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} findings", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
