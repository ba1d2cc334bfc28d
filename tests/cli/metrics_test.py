#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The page of metrics, the alert rules and the dashboard as Prometheus' own tool sees them:
`promtool check metrics` has nothing to say of the page of a node that has all metrics, the rules
pass their tests, every expression of the dashboard parses, and rules and dashboard name no metric
that is not on the page.

    metrics_test.py --sluice PATH --fake-daemon PATH"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import dashboard
from wait_test import FakeDaemon

SKIPPED = 77


def run(*command, stdin=None):
    return subprocess.run([str(word) for word in command], input=stdin, capture_output=True,
                          text=True, timeout=60, check=False)


def said(done):
    return f"exit {done.returncode}\n{done.stdout}{done.stderr}"


def check_page(page, problems):
    done = run("promtool", "check", "metrics", stdin=page)
    if done.returncode != 0 or done.stdout or done.stderr:
        problems.append(f"promtool check metrics: {said(done)}")
    # The same tool finds fault with what is wrong: a counter that is not called one.
    bad = page.replace("sluice_service_packets_total", "sluice_service_packets")
    if run("promtool", "check", "metrics", stdin=bad).returncode == 0:
        problems.append("promtool finds nothing in a page with a fault")


def check_rules(problems):
    for words in (("check", "rules", dashboard.RULES), ("test", "rules", dashboard.RULES_TEST)):
        done = run("promtool", *words)
        if done.returncode != 0:
            problems.append(f"promtool {' '.join(map(str, words))}: {said(done)}")
    alerts = {where.removeprefix("rule: ") for where, _ in dashboard.of_rules()}
    tests = dashboard.RULES_TEST.read_text()
    for alert in sorted(alerts):
        lines = re.findall(rf"alertname: {alert}\b.*(?:\n.*)?", tests)
        fires = [line for line in lines if "exp_alerts:" in line and "[]" not in line]
        if not fires:
            problems.append(f"no test in which {alert} fires")


def check_expressions(directory, problems):
    """As recording rules: that is what promtool parses without a server."""
    expressions = dashboard.of_dashboard()
    if len(expressions) < 20 or len(dashboard.of_rules()) < 15:
        problems.append("the expressions were not found")
    path = os.path.join(directory, "expressions.yaml")
    with open(path, "w", encoding="utf-8") as file:
        # JSON is YAML.
        json.dump({"groups": [{"name": "dashboard", "rules": [
            {"record": f"x:{i}", "expr": text} for i, (_, text) in enumerate(expressions)]}]}, file)
    done = run("promtool", "check", "rules", "--lint=none", path)
    if done.returncode != 0:
        problems.append(f"an expression of the dashboard: {said(done)}")


def check_names(page, problems):
    known = set(re.findall(r"^# TYPE (\S+)", page, re.M)) | dashboard.OF_PROMETHEUS
    for name in re.findall(r"^# TYPE (\S+) histogram", page, re.M):
        known |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    used = set()
    for where, text in (dashboard.of_dashboard() + dashboard.of_rules() +
                        dashboard.variable_queries()):
        named = dashboard.names(text)
        if not named:
            problems.append(f"{where} names no metric: {text}")
        used |= named
        for name in sorted(named - known):
            problems.append(f"{where} names {name}, which is not on the page")
    if len(used) < 30:
        problems.append(f"only {len(used)} metrics are used: the names were not understood")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--fake-daemon", required=True)
    args = parser.parse_args()
    if shutil.which("promtool") is None:
        print("skipped: promtool is missing; ./dev setup installs it")
        return SKIPPED
    problems = []
    with tempfile.TemporaryDirectory(prefix="sluice-metrics-") as directory:
        socket = os.path.join(directory, "api.sock")
        with FakeDaemon(args.fake_daemon, socket, "healthy"):
            done = run(args.sluice, "--socket", socket, "metrics")
        if done.returncode != 0:
            problems.append(f"sluice metrics: {said(done)}")
        check_page(done.stdout, problems)
        check_rules(problems)
        check_expressions(directory, problems)
        check_names(done.stdout, problems)
    print("\n".join(problems) or "the page, the rules and the dashboard agree")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
