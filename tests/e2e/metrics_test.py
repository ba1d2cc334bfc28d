#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes the node every second while generations are swapped, weights are changed,
services and backends are removed and come back, the daemon is stopped, killed and started, and a change
is rolled back, under traffic: no counter goes back, and every expression of the dashboard is answered.
"""

import json
import pathlib
import re
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request

import generation_case
from lab import rack, town
from lab.node import wait_for

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
import dashboard  # noqa: E402

LISTEN, SERVER = "127.0.0.1:9105", "127.0.0.1:9090"
TIMES = 5 if generation_case.LONG else 1


class Prometheus:
    """On the balancer's node, with a directory of its own; it ends with the laboratory."""

    def __init__(self, node):
        self._node = node
        directory = node.lab_path("prometheus")
        directory.mkdir()
        config = directory / "prometheus.yaml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(dashboard.RULES)],
            "scrape_configs": [{"job_name": "sluice", "static_configs": [{"targets": [LISTEN]}]}]}))
        self.process = node.spawn("prometheus", rack.tool("prometheus"), f"--config.file={config}",
                                  f"--storage.tsdb.path={directory}/data",
                                  f"--web.listen-address={SERVER}", "--log.level=warn")
        wait_for(self._is_ready, "Prometheus", 60, 0.2)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.process.log()
        try:
            return self._get("/-/ready").startswith("Prometheus")
        except urllib.error.URLError:
            return False

    def _get(self, path: str) -> str:
        with self._node.inside():
            with urllib.request.urlopen(f"http://{SERVER}{path}", timeout=20) as answer:
                return answer.read().decode()

    def ask(self, what: str, **query):
        body = self._get(f"/api/v1/{what}?{urllib.parse.urlencode(query)}")
        return json.loads(body)["data"]

    def query(self, expression: str) -> list:
        """[(labels, value)]."""
        return [(row["metric"], float(row["value"][1]))
                for row in self.ask("query", query=expression)["result"]]

    def value(self, expression: str) -> float:
        found = self.query(expression)
        return found[0][1] if len(found) == 1 else float("nan")


class Scraped(generation_case.GenerationCase):
    backends = 4

    @classmethod
    def build(cls) -> None:
        rack.Balancer.always = ("--metrics-listen", LISTEN)
        super().build()
        cls.prometheus = Prometheus(cls.balancer.node)

    def wait_scraped(self) -> None:
        """Until Prometheus has a page that was made after this call."""
        now = self.prometheus.value("vector(time())")
        wait_for(lambda: self.prometheus.value("timestamp(sluice_config_revision)") > now,
                 "a scrape", 20, 0.1)

    def step(self, what: str, **how) -> None:
        """One change, and at least one scrape behind it."""
        self.configure(how.pop("document"), **how)
        self.seen.append(what)
        self.wait_scraped()
        generation = self.in_force()["generation"]
        self.assertEqual(self.prometheus.value("sluice_config_revision"), generation, what)

    def restart(self, how: int) -> None:
        self.balancer.daemon.send(how)
        self.balancer.daemon.wait(20)
        self.start()
        self.seen.append(f"restart by {signal.Signals(how).name}")
        self.wait_scraped()

    def page(self) -> str:
        with self.balancer.node.inside():
            with urllib.request.urlopen(f"http://{LISTEN}/metrics", timeout=20) as answer:
                self.assertEqual(answer.headers["Content-Type"],
                                 "text/plain; version=0.0.4; charset=utf-8")
                return answer.read().decode()

    def counters(self) -> list:
        """Names of all counters that Prometheus has."""
        page = self.page()
        names = set(self.prometheus.ask("label/__name__/values"))
        return sorted(set(re.findall(r"^# TYPE (\S+) counter$", page, re.M)) & names)

    def assert_no_reset(self) -> None:
        counters = self.counters()
        self.assertGreater(len(counters), 30)
        went_back = {name: [(labels, value) for labels, value in
                            self.prometheus.query(f"resets({name}[1h]) > 0")] for name in counters}
        self.assertEqual({name: rows for name, rows in went_back.items() if rows}, {}, self.seen)

    def test_counters_go_on_whatever_happens(self):
        self.seen = []
        with self.load():
            self.wait_scraped()
            for turn in range(TIMES):
                self.step("a service more", document=self.with_later(1), road="program")
                self.later()
                rate = 500 + turn
                self.step("another constant", document=self.with_later(
                    1, self.document(icmp_rate=rate)), road="program")
                self.step("a weight", document=self.with_later(1, self.document(
                    (1, 2, town.backend_entry(3, weight=3)), icmp_rate=rate)), road="map")
                self.order(1, weight=2)
                self.wait_scraped()
                self.order(1, reset=True)
                self.step("a backend more", document=self.with_later(1, self.document(
                    (1, 2, town.backend_entry(3, weight=3), 4), icmp_rate=rate)), road="map")
                self.restart(signal.SIGTERM)
                self.step("a backend less", document=self.document((2, 3, 4)))
                self.step("and back", document=self.document((1, 2, 3)))
                self.restart(signal.SIGKILL)
                self.step("the service is back", document=self.with_later(1))
                self.later()
                self.wait_scraped()
                before = self.in_force()["generation"]
                self.post("rollback")
                self.seen.append("rollback")
                self.assertNotEqual(self.in_force()["generation"], before)
                self.wait_scraped()
            self.assert_no_reset()
        self.assertGreaterEqual(self.prometheus.value("changes(process_start_time_seconds[1h])"),
                                2 * TIMES, "it saw the daemons come and go")
        self.assertEqual(self.prometheus.query("absent_over_time(sluice_node_info[1h])"), [])
        self.figures_of_load("scraped every second", steps=len(self.seen),
                             scrapes=self.prometheus.value("count_over_time(up[1h])"))

    def test_the_page_counts_every_packet_once(self):
        before = self.page()
        with self.load():
            pass
        self.wait_quiet()
        after = self.page()

        def total(name: str, *labels: str) -> int:
            """What was counted between the two: totals hold removed interfaces and services too."""
            return sum(sign * int(line.rpartition(" ")[2])
                       for sign, page in ((1, after), (-1, before)) for line in page.splitlines()
                       if re.match(rf"{name}[{{ ]", line) and all(each in line for each in labels))
        by_reason = total("sluice_reason_packets_total")
        self.assertGreater(by_reason, 1000)
        self.assertEqual(by_reason, total("sluice_xdp_action_packets_total"))
        self.assertEqual(total("sluice_reason_packets_total", 'outcome="dropped"'),
                         total("sluice_xdp_action_packets_total", 'action="drop"'))
        self.assertEqual(total("sluice_reason_packets_total", 'outcome="dropped"'),
                         total("sluice_drop_packets_total"))
        self.assertEqual(total("sluice_reason_bytes_total"), total("sluice_xdp_action_bytes_total"))

    def wait_quiet(self) -> None:
        """Until nothing was counted between two looks."""
        def counted() -> list:
            return [line for line in self.page().splitlines()
                    if line.startswith(("sluice_reason_packets_total", "sluice_xdp_action"))]
        wait_for(lambda: counted() == counted(), "a quiet moment", 30, 0.1)

    def test_an_interface_that_is_made_again_goes_on(self):
        self.seen = ["an interface made again"]
        name = f'sluice_xdp_action_packets_total{{iface="{self.spare()}", action="pass"}}'
        self.wait_scraped()
        before = self.prometheus.value(name)
        self.assertGreater(before, 0)
        self.make_spare(again=True)
        self.wait_scraped()
        wait_for(lambda: self.prometheus.value(name) > before, "packets by the new interface", 30, 0.2)
        self.assert_no_reset()

    def spare(self) -> str:
        """An interface of the balancer that carries nothing but what this test sends."""
        if not hasattr(self, "_spare"):
            self._spare = "spare"
            self.make_spare(again=False)
            document = self.document()
            document["node"]["interfaces"].append(self._spare)
            document["node"]["xdp_mode"] = "auto"
            self.configure(document)
            self.talk()
        return self._spare

    def make_spare(self, again: bool) -> None:
        node = self.balancer.node
        if again:
            node.ip("link del spare")
        node.ip("link add spare type veth peer name far", "link set spare up", "link set far up")
        if again:
            wait_for(lambda: node.json("ip", "-j", "-d", "link", "show", "spare")[0].get("xdp"),
                     "the data plane on the new interface", 20)
            self.talk()

    def talk(self) -> None:
        """Packets that are not ours."""
        self.balancer.node.ip("addr replace 10.99.0.1/24 dev far")
        self.balancer.node.run("ping", "-c", "3", "-i", "0.2", "-W", "1", "-I", "far", "10.99.0.2",
                               check=False)

    def test_promtool_has_nothing_to_say_of_the_page(self):
        done = self.balancer.node.run(rack.tool("promtool"), "check", "metrics", stdin=self.page(),
                                      check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        shown = self.balancer.sluice("metrics").stdout
        for text in (self.page(), shown):
            self.assertIn("\nsluice_config_revision ", text)
        self.assertEqual(set(re.findall(r"^# TYPE (.+)$", shown, re.M)),
                         set(re.findall(r"^# TYPE (.+)$", self.page(), re.M)))

    def test_every_expression_is_answered_by_prometheus(self):
        self.wait_scraped()
        for where, expression in dashboard.of_dashboard() + dashboard.of_rules():
            with self.subTest(where=where):
                self.prometheus.query(expression)
        series = set(self.prometheus.ask("label/__name__/values"))
        for name in ("sluice_service_packets_total", "sluice_backend_up", "sluice_drop_packets_total",
                     "sluice_bpf_map_pressure_ratio"):
            self.assertIn(name, series)
        rules = [rule for group in self.prometheus.ask("rules")["groups"] for rule in group["rules"]]
        self.assertEqual({rule["health"] for rule in rules} - {"ok", "unknown"}, set(),
                         [rule.get("lastError") for rule in rules])

    def test_the_port_answers_nothing_else(self):
        with self.balancer.node.inside():
            for path in ("/api/v1/status", "/api/v1/config", "/"):
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(f"http://{LISTEN}{path}", timeout=20)
                self.assertEqual(refused.exception.code, 404, path)
            for path in ("/livez", "/readyz"):
                with urllib.request.urlopen(f"http://{LISTEN}{path}", timeout=20) as answer:
                    self.assertEqual(answer.status, 200)


if __name__ == "__main__":
    generation_case.main()
