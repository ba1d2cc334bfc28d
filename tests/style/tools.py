# SPDX-License-Identifier: Apache-2.0
"""Rules that need more than one file's text: clang-format, shellcheck, git's history."""

import re
import shutil
import subprocess

from rules import Finding

REASONS = "abi/sluice/reasons.def"


def missing(name, package):
    return [Finding(name, 0, name, "is not installed", f"./dev setup installs {package}")]


def clang_format(root, files):
    names = [file.name for file in files
             if file.language == "c" and file.name.endswith((".c", ".h", ".cpp"))]
    if not names:
        return []
    if shutil.which("clang-format-19") is None:
        return missing("clang-format-19", "clang-format-19")
    halves = [names[0::2], names[1::2]]
    running = [subprocess.Popen(["clang-format-19", "--dry-run", *half], cwd=root, text=True,
                                stderr=subprocess.PIPE) for half in halves if half]
    told = "".join(process.communicate()[1] for process in running)
    found = {}
    for name, line in re.findall(r"^([^:\n]+):(\d+):\d+: (?:warning|error):", told, re.MULTILINE):
        found.setdefault(name, int(line))
    return [Finding(name, line, "format", "not as clang-format-19 writes it", "./dev fmt")
            for name, line in found.items()]


def shellcheck(root, files):
    names = [file.name for file in files if file.language == "shell"]
    if not names:
        return []
    if shutil.which("shellcheck") is None:
        return missing("shellcheck", "shellcheck")
    told = subprocess.run(["shellcheck", "-x", "-f", "gcc", *names], cwd=root,
                          capture_output=True, text=True)
    return [Finding(name, int(line), "shellcheck", what, "the wiki page of that number says what")
            for name, line, what in re.findall(r"^([^:\n]+):(\d+):\d+: (.*)$", told.stdout,
                                               re.MULTILINE)]


def reason_names(text):
    return re.findall(r'^SLC_REASON\((\w+),\s*"([^"]*)"', text, re.MULTILINE)


def moved_reason(older, newer):
    """The first reason of `older` that is not at its place in `newer`, or None."""
    for place, reason in enumerate(older):
        if place >= len(newer) or newer[place] != reason:
            return place, reason
    return None


def reasons_only_grow(root, files):
    """A reason's place is its number on the wire, so every committed list is the beginning of what
    is here now."""
    here = [file for file in files if file.name == REASONS]
    if not here:
        return []
    newer = reason_names(here[0].text)
    log = subprocess.run(["git", "log", "--format=%H", "--", REASONS], cwd=root,
                         capture_output=True, text=True)
    for commit in log.stdout.split():
        shown = subprocess.run(["git", "show", f"{commit}:{REASONS}"], cwd=root,
                               capture_output=True, text=True)
        moved = moved_reason(reason_names(shown.stdout), newer)
        if moved:
            place, (symbol, _) = moved
            return [Finding(REASONS, 1, "reasons", f"{symbol} was number {place} in {commit[:10]}",
                            "append new reasons at the end, keep symbol and label of old ones")]
    return []


ALL = (clang_format, shellcheck, reasons_only_grow)


def check(root, files):
    return [finding for tool in ALL for finding in tool(root, files)]


def git(root, *arguments):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org",
                    "-c", "commit.gpgsign=false", *arguments], cwd=root, check=True,
                   capture_output=True)


def self_test(folder):
    """Each tool finds a fault in a small tree, and none when it is mended."""
    from rules import File
    broken = []

    def expect(tool, name, text, faulty):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if bool(tool(folder, [File(name, text)])) != faulty:
            broken.append(f"{tool.__name__} on {name}: wanted {'a' if faulty else 'no'} finding")

    expect(clang_format, "a.cpp", "int  a ;\n", True)
    expect(clang_format, "a.cpp", "int a;\n", False)
    expect(shellcheck, "a.sh", "#!/bin/bash\nrm $1\n", True)
    expect(shellcheck, "a.sh", '#!/bin/bash\nrm "$1"\n', False)
    one = 'SLC_REASON(A, "a", "x", "")\n'
    two = 'SLC_REASON(B, "b", "x", "")\n'
    git(folder, "init", "-q")
    expect(reasons_only_grow, REASONS, one, False)
    git(folder, "add", REASONS)
    git(folder, "commit", "-q", "-m", "a")
    expect(reasons_only_grow, REASONS, one.replace("x", "y") + two, False)
    expect(reasons_only_grow, REASONS, two + one, True)
    expect(reasons_only_grow, REASONS, two, True)
    return broken
