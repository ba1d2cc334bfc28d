# SPDX-License-Identifier: Apache-2.0
"""Values to YAML: mappings as blocks, short lists and records in one line."""

import json
import re

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*|[0-9]+(\.[0-9]+){3}(/[0-9]+)?")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _scalar(value) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
            return value
        return json.dumps(value)
    return json.dumps(value)


def _flow(value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def dump(document: dict, depth: int = 0) -> str:
    """The document as text that Sluice's parser reads and a person can."""
    pad = "  " * depth
    lines = []
    for key, value in document.items():
        if isinstance(value, dict) and len(_flow(value)) > 60:
            lines += [f"{pad}{key}:\n{dump(value, depth + 1)}"]
        elif isinstance(value, list) and len(_flow(value)) > 60:
            lines += [f"{pad}{key}:\n"] + [f"{pad}  - {_flow(item)}\n" for item in value]
        else:
            lines += [f"{pad}{key}: {_flow(value)}\n"]
    return "".join(lines)
