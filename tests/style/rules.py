# SPDX-License-Identifier: Apache-2.0
"""Rules that look at one file at a time. A rule is a generator of (line, what) and says what to
write instead."""

import ast
import re
from dataclasses import dataclass
from functools import cached_property

import scan

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 700


@dataclass(order=True, frozen=True)
class Finding:
    file: str
    line: int
    rule: str
    what: str
    instead: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.rule}: {self.what}: {self.instead}"


class File:
    """A file's name from the root of the tree, its text, and views of it made when needed."""

    def __init__(self, name, text):
        self.name = name
        self.text = text
        self.lines = text.splitlines()

    @cached_property
    def language(self):
        return scan.language(self.name, self.lines[0] if self.lines else "")

    @cached_property
    def code(self):
        """C and C++ with comments and literals blanked out, line for line; else the lines."""
        if self.language == "c":
            return scan.without_comments(self.text).splitlines()
        return self.lines

    def under(self, *folders):
        return self.name.startswith(tuple(f"{folder}/" for folder in folders))


class Rule:
    def __init__(self, name, instead, finder, bad, good):
        self.name, self.instead, self._finder = name, instead, finder
        self.bad, self.good = bad, good

    def check(self, file):
        for line, what in self._finder(file):
            yield Finding(file.name, line, self.name, what, self.instead)


ALL = []


def rule(name, instead, bad, good):
    """Registers a generator as a rule, with samples (file name, text) that it must find and must
    leave alone."""
    def register(finder):
        ALL.append(Rule(name, instead, finder, bad, good))
        return finder
    return register


SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
PYTHON = "#!/usr/bin/python3\n# SPDX-License-Identifier: Apache-2.0\n"


@rule("bare-verdict", "leave through slc_exit, slc_pass or slc_drop with a reason",
      bad=[("bpf/stage/a.h", "int f(void)\n{\n    return XDP_DROP;\n}\n")],
      good=[("bpf/lib/exit.h", "return XDP_DROP;\n"), ("bpf/a.h", "/* return XDP_DROP */\n")])
def bare_verdict(file):
    if file.under("bpf") and not file.under("bpf/lib"):
        for number, line in enumerate(file.code, 1):
            if re.search(r"\breturn\s+\(?XDP_[A-Z]+", line):
                yield number, line.strip()


def long_c(lines):
    return "int f()\n{\n" + "    g();\n" * lines + "}\n"


@rule("function-length", f"at most {MAX_FUNCTION_LINES} lines; give a part of it a name",
      bad=[("src/a.cpp", long_c(68)), ("bpf/a.h", "static __always_inline " + long_c(70)),
           ("src/b.cpp", "namespace a {\nstruct B {\n" + long_c(70) + "};\n}\n"),
           ("tests/a.py", "def f():\n" + "    g()\n" * 71), ("a.sh", "f() {\n" + "  g\n" * 70 + "}\n")],
      good=[("src/a.cpp", long_c(67)), ("src/c.cpp", "const int k[] = {\n" + "    1,\n" * 90 + "};\n"),
            ("tests/a.py", "def f():\n" + "    g()\n" * 69), ("a.sh", "f() {\n" + "  g\n" * 68 + "}\n")])
def function_length(file):
    for first, last, name in scan.functions(file):
        if last - first + 1 > MAX_FUNCTION_LINES:
            yield first, f"{name} has {last - first + 1} lines"


@rule("file-length", f"at most {MAX_FILE_LINES} lines; split it by subject",
      bad=[("src/a.cpp", "\n" * 701)], good=[("src/a.cpp", "\n" * 700), ("LICENSE", "\n" * 900)])
def file_length(file):
    if file.language and len(file.lines) > MAX_FILE_LINES:
        yield len(file.lines), f"{len(file.lines)} lines"


@rule("spdx", "an SPDX-License-Identifier comment in the first line, or right below #!",
      bad=[("src/a.cpp", "\n" + SPDX), ("dev", "#!/bin/bash\necho\n"), ("a/CMakeLists.txt", "x()\n"),
           ("abi/sluice/a.def", "x\n")],
      good=[("src/a.cpp", SPDX), ("a.py", PYTHON), ("README.md", "# x\n")])
def spdx(file):
    if file.language:
        at = 1 if file.lines and file.lines[0].startswith("#!") else 0
        if len(file.lines) <= at or "SPDX-License-Identifier: " not in file.lines[at]:
            yield at + 1, "no license"


@rule("pragma-once", "#pragma once right below the SPDX line",
      bad=[("src/a.h", SPDX + "#ifndef A\n"), ("src/a.h", SPDX + "#include <b>\n#pragma once\n")],
      good=[("src/a.h", SPDX + "#pragma once\n"), ("src/a.h", SPDX + "\n#pragma once\n"),
            ("src/a.cpp", SPDX)])
def pragma_once(file):
    if file.name.endswith((".h", ".hpp")):
        rest = [(number, line) for number, line in enumerate(file.lines, 1) if line.strip()]
        if len(rest) < 2 or rest[1][1] != "#pragma once":
            yield 2, "no #pragma once"


PAUSE = "# A pause between two looks at a condition.\n"


@rule("sleep", "wait for a condition with a deadline; the pause between two looks says so: "
      "'a pause between two looks'",
      bad=[("tests/a.cpp", "std::this_thread::sleep_for(1s);\n"), ("tests/a.py", "time.sleep(1)\n"),
           ("tests/a.sh", "  sleep 0.1\n")],
      good=[("tests/a.py", PAUSE + "time.sleep(0.01)\n"), ("tests/a.cpp", "asleep(1);\n"),
            ("src/a.cpp", "sleep_for(1s);\n"), ("tests/a.sh", "# sleep 1\n")])
def sleep(file):
    if not file.under("tests") or not file.language or file.under("tests/style"):
        return
    call = r"\b(sleep|usleep|nanosleep|sleep_for|sleep_until)\s*\("
    if file.language == "shell":
        call = r"(^|[;&|]\s*|\b(do|then|else|exec)\s+)sleep\s"
    for number, line in enumerate(file.code, 1):
        before = " ".join(file.lines[max(0, number - 3):number])
        code = line if file.language == "c" else line.split("#")[0]
        if re.search(call, code.strip()) and \
                "pause between two looks" not in before.replace("# ", "").replace("/// ", ""):
            yield number, line.strip()


@rule("unfinished", "finish it, or open an issue",
      bad=[("src/a.cpp", "// TO" "DO: later\n"), ("docs/a.md", "FIX" "ME\n")],
      good=[("src/a.cpp", "// mastodon\n")])
def unfinished(file):
    for number, line in enumerate(file.lines, 1):
        if re.search(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b", line):
            yield number, line.strip()


@rule("machine-path", "a path below the source or build folder, or an option",
      bad=[("src/a.cpp", 'open("/home/me/x");\n'), ("docs/a.md", "cd /wo" "rk/sluice\n"),
           ("docs/a.md", "see /ro" "ot/notes\n")],
      good=[("src/a.cpp", "a/work/b\n"), ("dev", "HOME=/root TERM=dumb\n"), ("a.md", "/root:\n")])
def machine_path(file):
    for number, line in enumerate(file.lines, 1):
        found = re.search(r"(?<![\w.$}{*/-])/(home|root|work|Users)/\w", line)
        if found and not file.under("tests/style"):
            yield number, line.strip()


# What people say for a noun of docs/glossary.md.
SYNONYMS = {
    r"real-?servers?|back-?ends? servers?|upstream servers?|back-end": "backend",
    r"virtual servers?|vservers?|virtual services?|front-?ends?": "service",
    r"virtual ip( address(es)?)?": "VIP",
    r"tenants?": "customer",
    r"drop codes?|drop reasons?(?!=)|reason codes?": "reason",
    r"hash rings?|hashrings?|lookup tables?": "ring",
    r"pools? of backends?|backend pools?|server pools?": "group",
    r"whitelist\w*|blacklist\w*": "allow or block",
}


@rule("glossary", "the noun of docs/glossary.md",
      bad=[("docs/a.md", "each Realserver\n"), ("src/a.cpp", "// the tenant's\n"),
           ("cli/a.cpp", '"drop reason"\n')],
      good=[("docs/a.md", "each backend is really a server\n"),
            ("docs/b.md", "verdict=drop reason=no_such_port\n"),
            ("docs/glossary.md", "| backend | real server |\n")])
def glossary(file):
    if file.under("tests/style") or file.name.endswith("glossary.md") or file.under("docs/adr"):
        return
    for number, line in enumerate(file.lines, 1):
        for pattern, noun in SYNONYMS.items():
            found = re.search(rf"\b({pattern})\b", line, re.IGNORECASE)
            # A README explains the noun once to those who know another.
            if found and f"({noun})" not in line:
                yield number, f"'{found.group(0)}' is called {noun}"


# Modules of libsluice from the bottom up: each may include itself and those before it.
LAYERS = ("base", "packet", "config", "history", "health", "announce", "plan", "kernel", "proof",
          "control", "api")


@rule("layers", "dependencies point one way: " + " <- ".join(LAYERS),
      bad=[("src/plan/a.cpp", '#include "kernel/b.h"\n'), ("src/base/a.h", '#include "api/b.h"\n')],
      good=[("src/api/a.cpp", '#include "plan/b.h"\n'), ("src/plan/a.cpp", '#include "plan/b.h"\n'),
            ("daemon/a.cpp", '#include "api/b.h"\n')])
def layers(file):
    own = re.match(r"src/(\w+)/", file.name)
    if not own or own.group(1) not in LAYERS:
        return
    for number, line in enumerate(file.lines, 1):
        other = re.match(r'#include "(\w+)/', line)
        if other and other.group(1) in LAYERS[LAYERS.index(own.group(1)) + 1:]:
            yield number, line


@rule("kernel-only", "src/kernel is the only place with <bpf/...> and <linux/...> of netlink",
      bad=[("src/plan/a.cpp", "#include <bpf/libbpf.h>\n"), ("cli/a.cpp", "#include <libmnl/x.h>\n")],
      good=[("src/kernel/a.cpp", "#include <bpf/libbpf.h>\n"), ("src/a.cpp", "#include <bit>\n")])
def kernel_only(file):
    if file.under("src", "cli", "daemon") and not file.under("src/kernel"):
        for number, line in enumerate(file.lines, 1):
            if re.match(r"#include <(bpf/|libmnl/|linux/(bpf|netlink|rtnetlink|if_link)\b)", line):
                yield number, line


@rule("throw", "return fail(...): our code never throws",
      bad=[("src/a.cpp", 'throw std::runtime_error("x");\n'), ("cli/a.cpp", "if (a) throw b();\n")],
      good=[("src/a.cpp", "// throw\n"), ("src/a.cpp", 'x("throw ");\n'), ("tests/a.cpp", "throw 1;\n")])
def throw(file):
    if file.language == "c" and file.under("src", "daemon", "cli"):
        for number, line in enumerate(file.code, 1):
            if re.search(r"\bthrow\b\s*[\w:(;]", line):
                yield number, line.strip()


@rule("python", "#!/usr/bin/python3, and text that this Python reads",
      bad=[("a.py", "#!/usr/bin/env python3\nx = 1\n"), ("a.py", "def f(:\n")],
      good=[("a.py", PYTHON), ("dev", "#!/usr/bin/env bash\n")])
def python(file):
    if file.language != "python":
        return
    if file.lines and file.lines[0].startswith("#!") and \
            file.lines[0] not in ("#!/usr/bin/python3", "#!/usr/bin/python3 -B"):
        yield 1, file.lines[0]
    try:
        ast.parse(file.text)
    except SyntaxError as error:
        yield error.lineno or 1, f"{error.msg}"


@rule("whitespace", "no blanks at the end of a line, no tabs, one newline at the end",
      bad=[("a.py", "x = 1 \n"), ("docs/a.md", "a\n\n\n"), ("src/a.cpp", "int a;"),
           ("a.yaml", "a:\tb\n")],
      good=[("a.py", "x = 1\n"), ("a.def", "")])
def whitespace(file):
    if not file.language and not file.name.endswith((".md", ".yaml", ".yml", ".json", ".in")):
        return  # data of tests may be crooked on purpose
    for number, line in enumerate(file.lines, 1):
        if line != line.rstrip() or "\t" in line and not file.name.endswith(("Makefile", ".tsv")):
            yield number, repr(line[-40:])
    if file.text and (not file.text.endswith("\n") or file.text.endswith("\n\n")):
        yield len(file.lines), "end of the file"
