#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The pages agree with the binaries: sluice(1) and sluiced(8) name every command, option and exit
code and format without a warning, docs/reference is what the binaries print, the completion
scripts parse in their shells, log events and API paths are in sluiced(8), fields in api.md.

    pages_test.py --sluice PATH --sluiced PATH

SLUICE_UPDATE_GOLDEN=1 rewrites docs/reference instead."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
EXIT_CODES = ["0", "1", "2", "3", "4", "5", "6", "64"]


def run(*command, stdin=""):
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60,
                          check=False)


def plain(page):
    """The page as text, without roff's marks, so that names can be looked for."""
    text = pathlib.Path(page).read_text()
    text = re.sub(r"\\f[BIRP]|\\&|\\c", "", text)
    return text.replace("\\-", "-")


def check_reference(sluice, problems):
    for page, file in (("cli", "cli.md"), ("reasons", "reasons.md"),
                       ("metrics", "metrics.md")):
        now = run(sluice, "reference", page).stdout
        path = TOP / "docs" / "reference" / file
        if os.environ.get("SLUICE_UPDATE_GOLDEN") == "1":
            path.write_text(now)
        if not now or not path.exists() or path.read_text() != now:
            problems.append(f"docs/reference/{file} is not what `sluice reference {page}` prints")


def check_sluice_page(sluice, problems):
    """Commands are headings of docs/reference/cli.md, options its table rows."""
    reference = run(sluice, "reference", "cli").stdout
    page = plain(TOP / "docs" / "man" / "sluice.1")
    commands = re.findall(r"^## sluice (.+)$", reference, re.M)
    options = sorted(set(re.findall(r"--[a-z][a-z-]*", reference)))
    assert len(commands) > 15 and len(options) > 10, "the reference was not understood"
    for command in commands:
        if not re.search(rf"\b{re.escape(command)}\b", page):
            problems.append(f"sluice(1) does not name the command '{command}'")
    for option in options:
        if option not in page:
            problems.append(f"sluice(1) does not name the option '{option}'")
    for code in EXIT_CODES:
        if not re.search(rf"^\.B {code}$|^\.TP\n\.B {code}$|^{code}\b", page, re.M):
            problems.append(f"sluice(1) does not list the exit code {code}")


def check_sluiced_page(sluiced, problems):
    page = plain(TOP / "docs" / "man" / "sluiced.8")
    options = sorted(set(re.findall(r"--[a-z][a-z-]*", run(sluiced, "--help").stdout)))
    assert len(options) > 8, "sluiced --help was not understood"
    for option in options:
        if option not in page:
            problems.append(f"sluiced(8) does not name the option '{option}'")
    sources = [*(TOP / "daemon").glob("*.cpp"), *(TOP / "src" / "api").glob("*.cpp"),
               *(TOP / "src" / "control").glob("*.cpp")]
    code = "".join(source.read_text() for source in sources)
    events = set(re.findall(r"log_event\([^\"]*?\"([a-z_]+\.[a-z_]+)\"", code))
    paths = set(re.findall(r"\"(/(?:livez|readyz|metrics|api/v1/[a-z]+))/?\"", code))
    assert len(events) > 4 and len(paths) > 6, "the sources were not understood"
    for name in sorted(events | paths):
        if name not in page:
            problems.append(f"sluiced(8) does not name '{name}'")


def check_api_page(problems):
    """Every path that the server knows is listed, and every field that a document of the golden
    files has is explained."""
    page = (TOP / "docs" / "reference" / "api.md").read_text()
    code = "".join(file.read_text() for file in (TOP / "src" / "api").glob("*routes.cpp"))
    paths = set(re.findall(r"\"(/(?:livez|readyz|api/v1/[a-z/]+[a-z]))/?\"", code))
    assert len(paths) > 20, "the routes were not understood"
    for path in sorted(paths):
        if not re.search(rf"{path}\b", page):
            problems.append(f"docs/reference/api.md does not list {path}")
    golden = sorted((TOP / "tests" / "golden" / "cli").glob("*_json.txt"))
    fields = set(re.findall(r"^ *\"([a-z0-9_]+)\":", "".join(f.read_text() for f in golden), re.M))
    assert len(fields) > 40, "the golden files were not understood"
    for field in sorted(fields):
        if f"`{field}`" not in page:
            problems.append(f"docs/reference/api.md does not explain '{field}'")


def check_format(problems):
    pages = sorted((TOP / "docs" / "man").glob("*.[1-8]"))
    for page in pages:
        if shutil.which("groff"):
            done = run("groff", "-man", "-ww", "-z", "-Tutf8", str(page))
            if done.stderr or done.returncode:
                problems.append(f"{page.name}: groff: {done.stderr.strip()}")
        if shutil.which("man"):
            done = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(page))
            if done.stderr or done.returncode:
                problems.append(f"{page.name}: man: {done.stderr.strip()}")
    if len(pages) < 2:
        problems.append("docs/man has no pages")


def check_completions(sluice, problems):
    for shell in ("bash", "zsh", "fish"):
        script = run(sluice, "completion", shell).stdout
        if not script:
            problems.append(f"no completion for {shell}")
        elif shutil.which(shell):
            done = run(shell, "-n", stdin=script)
            if done.returncode or done.stderr:
                problems.append(f"{shell} does not parse its completion: {done.stderr.strip()}")
        else:
            print(f"note: {shell} is not installed: its completion is compared, not parsed")
    for words, want in BASH_COMPLETIONS.items():
        got = complete(sluice, words)
        if got != want:
            problems.append(f"bash completes '{words}' with {got}, not {want}")


# What Tab offers after these words; the last one is being typed.
BASH_COMPLETIONS = {
    "sluice sta": ["status"],
    "sluice service ": ["--help", "--json", "--output", "--socket", "--version", "-h", "-j", "-o",
                        "list", "show"],
    "sluice service sh": ["show"],
    "sluice status -o y": ["yaml"],
    "sluice status --output j": ["json"],
    "sluice -o json reasons --a": ["--all"],
    "sluice completion f": ["fish"],
    "sluice backend set --state d": ["down", "drain"],
    "sluice backend re": ["reset"],
    "sluice health s": ["show"],
    "sluice flow purge --class e": ["embryonic", "established"],
    "sluice flow list --l": ["--limit"],
    "sluice agent run --xdp-mode n": ["native"],
    "sluice agent run --k": ["--keep"],
    "sluice config apply --road e": ["entry"],
    "sluice config apply --c": ["--canary", "--confirm-within"],
    "sluice config canary p": ["promote"],
    "sluice config show --from ": ["kernel"],
    "sluice config ro": ["rollback"],
    "sluice instance r": ["remove"],
}


def complete(sluice, words):
    """Carries the completion function out as bash would."""
    line = words.split(" ")
    script = run(sluice, "completion", "bash").stdout
    quoted = " ".join(f"'{word}'" for word in line)
    done = run("bash", "-c", f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(line) - 1}\n"
               "COMPREPLY=(); _sluice; printf '%s\\n' \"${COMPREPLY[@]}\"")
    return sorted(done.stdout.split())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--sluiced", required=True)
    args = parser.parse_args()
    problems = []
    check_reference(args.sluice, problems)
    check_sluice_page(args.sluice, problems)
    check_sluiced_page(args.sluiced, problems)
    check_api_page(problems)
    check_format(problems)
    check_completions(args.sluice, problems)
    for problem in problems:
        print(f"FAILED {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
