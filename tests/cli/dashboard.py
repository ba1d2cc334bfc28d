# SPDX-License-Identifier: Apache-2.0
"""The expressions of the dashboard and of the alert rules, and what they name."""

import json
import pathlib
import re

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"
RULES = PACKAGING / "prometheus" / "sluice.rules.yaml"
RULES_TEST = PACKAGING / "prometheus" / "sluice.rules_test.yaml"
DASHBOARD = PACKAGING / "grafana" / "sluice.json"

# Grafana's own variables, and what stands for "all".
_VARIABLES = {"$__rate_interval": "5m", "$__interval": "1m"}
# Metrics that Prometheus makes for every target.
OF_PROMETHEUS = {"up", "scrape_duration_seconds"}
_NAME = re.compile(r"\b(?:sluice|process|scrape)_[a-z0-9_]+|\bup\b")


def _walk(value):
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _walk(each)


def _plain(expression: str, variables) -> str:
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    for name in variables:
        expression = re.sub(rf"\$(?:{name}\b|{{{name}}})", ".*", expression)
    return expression


def of_dashboard() -> list:
    """(where, PromQL) of all its panels and annotations, variables filled in."""
    document = json.loads(DASHBOARD.read_text())
    variables = [each["name"] for each in document["templating"]["list"]]
    out = []
    for panel in _walk(document):
        for target in panel.get("targets", [panel] if "titleFormat" in panel else []):
            where = panel.get("title") or panel.get("name")
            out.append((f"dashboard: {where}", _plain(target["expr"], variables)))
    return out


def variable_queries() -> list:
    """(where, query) of the dashboard's variables."""
    document = json.loads(DASHBOARD.read_text())
    return [(f"variable {each['name']}", each["definition"])
            for each in document["templating"]["list"] if "definition" in each]


def of_rules() -> list:
    """(alert, PromQL). The file is plain enough to be read without a parser of YAML."""
    out, alert, folded = [], "", None
    for line in RULES.read_text().splitlines():
        key, _, value = line.strip().partition(": ")
        if folded is not None:
            if re.match(r"(for|labels|annotations):", line.strip()):
                out.append((alert, " ".join(folded)))
                folded = None
            else:
                folded.append(line.strip())
        if key == "- alert":
            alert = f"rule: {value}"
        elif key == "expr" and value == ">-":
            folded = []
        elif key == "expr":
            out.append((alert, value))
    return out


def names(expression: str) -> set:
    """Metrics that an expression names: not what stands in strings or behind by, on and the like."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    return set(_NAME.findall(bare))
