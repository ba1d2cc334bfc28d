# SPDX-License-Identifier: Apache-2.0
"""Just enough of each language to find comments and functions."""

import ast
import re
from pathlib import Path

SUFFIXES = {".c": "c", ".h": "c", ".cpp": "c", ".hpp": "c", ".def": "c", ".py": "python",
            ".sh": "shell", ".cmake": "cmake"}


def language(name, first_line):
    """c (and C++), python, shell, cmake, or None for what is not code."""
    path = Path(name)
    if path.name == "CMakeLists.txt":
        return "cmake"
    if path.suffix in SUFFIXES:
        return SUFFIXES[path.suffix]
    if first_line.startswith("#!"):
        if "python" in first_line:
            return "python"
        if re.search(r"\b(ba|da|)sh\b", first_line):
            return "shell"
    return None


# Comments, raw strings, strings and characters; a digit separator is no character.
C_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
                     r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)


def without_comments(text):
    """C or C++ with comments and literals replaced by blanks; line numbers stay."""
    return C_TOKEN.sub(lambda found: re.sub(r"[^\n]", " ", found.group(0)), text)


CONTAINER = re.compile(r'\b(namespace|class|struct|union|enum|extern)\b(?![^{]*\))')


def functions_c(lines):
    """(first line, last line, name) of each function body outside of functions."""
    text = "\n".join(line if not line.lstrip().startswith("#") else "" for line in lines)
    depth_of_function = None
    opened = []  # for each open brace: (is a function, line where its statement begins, name)
    start = 0
    line = 1
    for position, letter in enumerate(text):
        if letter == "\n":
            line += 1
        elif letter == "{":
            head = text[start:position]
            called = re.search(r"(~?[\w:]+|operator\W{1,3})\s*\(", head)
            is_function = (depth_of_function is None and called is not None
                           and not re.search(r"=\s*$", head) and not CONTAINER.search(head))
            first = line - head.lstrip().count("\n")
            opened.append((is_function, first, called.group(1) if called else ""))
            if is_function:
                depth_of_function = len(opened)
            start = position + 1
        elif letter == "}" and opened:
            is_function, first, name = opened.pop()
            if is_function:
                depth_of_function = None
                yield first, line, name
            start = position + 1
        elif letter == ";":
            start = position + 1


def functions_python(text):
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return  # the rule `python` says so
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno, node.name


def functions_shell(lines):
    begun = None
    for number, line in enumerate(lines, 1):
        head = re.match(r"(?:function\s+)?([\w-]+)\s*\(\)\s*\{\s*$", line)
        if head:
            begun = (number, head.group(1))
        elif line.startswith("}") and begun:
            yield begun[0], number, begun[1]
            begun = None


def functions(file):
    if file.language == "c":
        return functions_c(file.code)
    if file.language == "python":
        return functions_python(file.text)
    if file.language == "shell":
        return functions_shell(file.lines)
    return iter(())
