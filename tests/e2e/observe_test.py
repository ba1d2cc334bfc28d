#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Decisions and events as they come: every filter against live packets, rare drops, losses that are
counted, names across a change of generation, events that a client takes up again.
"""

import calendar
import collections
import contextlib
import ipaddress
import json
import signal
import socket
import time

import case
from lab import rack, yaml_text
from lab.api import SOCKET, Api
from lab.node import wait_for

WEB, DNS, IDLE, WEB6 = rack.vip4(1), rack.vip4(2), rack.vip4(3), rack.vip6(1)
VIPS = {WEB, DNS, IDLE, WEB6}
RARE_S = 0.2  # Longer than 16 jiffies of any kernel at 100 a second.
FLOOD = 60_000

# What is sent once for each: source port, how, and what becomes of it.
Shot = collections.namedtuple("Shot", "port protocol to to_port")
SHOTS = [Shot(port, *what) for port, what in enumerate([
    ("udp", WEB, 80), ("udp", WEB, 443), ("udp", WEB, 9), ("udp", DNS, 53), ("udp", DNS, 54),
    ("udp", IDLE, 80), ("udp", WEB6, 80), ("udp", WEB6, 9)], 20001)]


def _service(name, vip, port, group, **settings) -> dict:
    return {"name": name, "vip": vip, "protocol": "udp", "port": port, "forward": "ipip",
            "group": group} | settings


def _document(sampling=1, backends=(1, 2), service="web", **node) -> dict:
    groups = {"web4": {"backends": [rack.backend4(number) for number in backends]},
              "web6": {"backends": [rack.backend6(1)]},
              "idle": {"backends": [{"address": rack.backend4(3), "state": "maint"}]}}
    services = [_service(service, WEB, "80-443", "web4", customer="acme"),
                _service("dns", DNS, 53, "web4"), _service("idle", IDLE, 80, "idle"),
                _service("web6", WEB6, 80, "web6")]
    return rack.document(services, group_map=groups, sampling=sampling, **node) | {"version": 2}


class Observe(case.LabCase):
    """A rack whose balancer samples every packet, unless a test says otherwise."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab)
        cls.start_sluice(_document(), list(VIPS))
        cls.api = Api(cls.rack.balancer)

    def setUp(self):
        self.configure(_document())

    # Sending.

    def configure(self, document) -> int:
        """The generation in force after it."""
        self.api.post("/api/v1/config/apply", {"text": yaml_text.dump(document), "file": "-"})
        return self.api.get("/api/v1/status")["generation"]

    def send(self, port: int, to: str, to_port: int, count: int = 1) -> None:
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        with self.rack.client.inside(), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind(("", port))
            for number in range(count):
                sock.sendto(b"%08d" % number, (to, to_port))

    def fire(self) -> None:
        for shot in SHOTS:
            self.send(shot.port, shot.to, shot.to_port)

    # Watching.

    def observed(self, *words) -> list:
        """What there is now, of the client's packets to VIPs."""
        out = self.balancer.sluice("observe", "--last", "100000", "-j", *words).stdout
        lines = [json.loads(line) for line in out.splitlines()]
        return [line for line in lines if line.get("destination") in VIPS or
                line.get("reason") == "echo_replied"]  # Of an answer no address is kept.

    @contextlib.contextmanager
    def watching(self, *words):
        """A `sluice observe` that has begun; ends with the block."""
        process = self.rack.balancer.spawn("observe", self.binaries.sluice, "observe", "--follow",
                                           "--last", "0", "-j", *words)
        try:
            before = self.streams()
            wait_for(lambda: self.streams() > 0 or before > 0, "the stream", 10)
            yield process
        finally:
            process.send(signal.SIGCONT)
            process.send(signal.SIGINT)
            process.wait()

    def streams(self) -> int:
        """Connections to the API that are held, this one not."""
        table = self.rack.balancer.run("ss", "-xH", "state", "connected").stdout
        return sum(SOCKET in line for line in table.splitlines())

    @staticmethod
    def lines(process) -> list:
        whole = process.log().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def shots_seen(self, process) -> list:
        return [line["source_port"] for line in self.lines(process)
                if line.get("destination") in VIPS]

    # The tests.

    def test_every_filter_chooses_what_it_says(self):
        self.fire()
        self.rack.client.run("ping", "-c", "1", "-W", "2", WEB)
        everything = wait_for(lambda: self.all_shots(), "a sample of each packet")
        source = rack.CLIENT4
        cases = [
            (("--verdict", "drop"), lambda d: d["verdict"] == "drop"),
            (("--verdict", "forward"), lambda d: d["verdict"] in ("tx", "redirect")),
            (("--verdict", "pass"), lambda d: d["verdict"] == "pass"),
            (("--verdict", "drop", "--verdict", "tx"), lambda d: d["verdict"] in ("drop", "tx")),
            (("--reason", "no_such_port"), lambda d: d["reason"] == "no_such_port"),
            (("--reason", "no_backend", "--reason", "forwarded"),
             lambda d: d["reason"] in ("no_backend", "forwarded")),
            (("--from", f"{source}/24"), lambda d: _is_in(d["source"], "198.51.100.0/24")),
            (("--from", "203.0.113.0/24"), lambda d: False),
            (("--to", f"{WEB}/31"), lambda d: _is_in(d["destination"], "192.0.2.0/31")),
            (("--to", "2001:db8:2::/64"), lambda d: d["destination"] == WEB6),
            (("--service", "web"), lambda d: d["service"] == "web"),
            (("--service", "web", "--service", "dns"), lambda d: d["service"] in ("web", "dns")),
            (("--backend", f"web4/{rack.backend4(1)}"),
             lambda d: d["backend"] == f"web4/{rack.backend4(1)}"),
            (("--customer", "acme"), lambda d: d["customer"] == "acme"),
            (("--interface", "eth0"), lambda d: d["interface"] == "eth0"),
            (("--protocol", "udp"), lambda d: d["protocol"] == "udp"),
            (("--protocol", "icmp"), lambda d: d["protocol"] == "icmp"),
            (("--port", "443"), lambda d: 443 in (d["source_port"], d["destination_port"])),
            (("--port", "20004", "--port", "9"),
             lambda d: {20004, 9} & {d["source_port"], d["destination_port"]}),
            (("--not", "--verdict", "drop"), lambda d: d["verdict"] != "drop"),
            (("--service", "web", "--not", "--port", "443"),
             lambda d: d["service"] == "web" and d["destination_port"] != 443),
            (("--not", "--service", "web", "--not", "--protocol", "icmp", "--verdict", "forward"),
             lambda d: d["service"] != "web" and d["protocol"] != "icmp" and
             d["verdict"] in ("tx", "redirect")),
        ]
        for words, fits in cases:
            with self.subTest(" ".join(words)):
                expected = [_key(each) for each in everything if fits(each)]
                found = self.of_shots(self.observed(*words))
                self.assertEqual([_key(each) for each in found], expected)
        by_port = {each["source_port"]: each for each in everything if each["source_port"]}
        self.check_attribution(by_port)

    def all_shots(self) -> list:
        """Every decision about these packets, once there is one of each."""
        found = self.of_shots(self.observed())
        ports = {each["source_port"] for each in found}
        pinged = any(each["protocol"] == "icmp" for each in found)
        return found if pinged and ports >= {shot.port for shot in SHOTS} else []

    @staticmethod
    def of_shots(lines) -> list:
        ports = {shot.port for shot in SHOTS}
        return [line for line in lines if line["source_port"] in ports or line["protocol"] == "icmp"]

    def check_attribution(self, by_port: dict) -> None:
        wanted = {20001: ("tx", "forwarded", "web"), 20003: ("drop", "no_such_port", ""),
                  20004: ("tx", "forwarded", "dns"), 20005: ("drop", "no_such_port", ""),
                  20006: ("drop", "no_backend", "idle"), 20007: ("tx", "forwarded", "web6"),
                  20008: ("drop", "no_such_port", "")}
        for port, (verdict, reason, service) in wanted.items():
            each = by_port[port]
            shown = (each["verdict"], each["reason"], each["service"])
            self.assertEqual(shown, (verdict, reason, service), each)
            self.assertEqual(bool(each["backend"]), verdict == "tx", each)
            self.assertEqual(each["interface"], "eth0")
            self.assertEqual(each["generation"], self.api.get("/api/v1/status")["generation"])
        one = by_port[20001]
        self.assertTrue(one["packet"].startswith(f"udp {rack.CLIENT4}:20001 > {WEB}:80"), one)
        age_s = time.time() - _seconds(one["time"])
        self.assertTrue(-1 < age_s < 600, one["time"])

    def test_an_unknown_name_and_a_wrong_word_are_said(self):
        done = self.balancer.sluice("observe", "--service", "wob", check=False)
        self.assertEqual(done.returncode, 5, done)
        self.assertIn("no service 'wob'", done.stderr)
        for words in (("--verdict", "dropped"), ("--from", "198.51.100"), ("--not",)):
            done = self.balancer.sluice("observe", *words, check=False)
            self.assertEqual(done.returncode, 64, done)

    def test_rare_drops_are_all_seen_among_many_packets(self):
        """One in 1,024 is sampled, and of drops each that is alone for a while."""
        self.configure(_document(sampling=1024))
        with self.watching("--verdict", "drop", "--to", "192.0.2.0/24") as process:
            last = time.monotonic()
            for number in range(12):
                wait_for(lambda: time.monotonic() - last > RARE_S, "the next one's time")
                self.send(30001 + number, WEB, 9 if number % 2 else 10)
                self.send(40000, WEB, 80, count=200)
                last = time.monotonic()
            ports = [30001 + number for number in range(12)]
            wait_for(lambda: set(self.shots_seen(process)) >= set(ports), "all drops")
        self.assertEqual(self.shots_seen(process), ports)
        self.assertTrue(all(line["extra"] for line in self.lines(process)))

    def total(self) -> int:
        """Packets for all reasons: each is sampled."""
        return sum(row["traffic"]["packets"] for row in self.api.get("/api/v1/reasons")["reasons"])

    def test_what_nobody_reads_in_time_is_counted(self):
        """Read and lost together are all that were sampled."""
        before = self.total()
        with self.watching() as process:
            self.send(50004, WEB, 80)
            wait_for(lambda: 50004 in self.shots_seen(process), "the first sample")
            after = self.total()
            process.send(signal.SIGSTOP)
            self.send(50001, WEB, 80, count=FLOOD)
            process.send(signal.SIGCONT)
            self.send(50002, WEB, 80)
            wait_for(lambda: 50002 in self.shots_seen(process), "the last sample", 60)
            end = self.total()

            def known() -> int:
                lines = self.lines(process)
                lost = sum(line.get("lost", 0) for line in lines)
                self.figures = {"read": sum("lost" not in line for line in lines), "lost": lost}
                return sum(self.figures.values())
            wait_for(lambda: known() >= end - after, "all to be read or lost", 30)
            self.assertLessEqual(known(), self.total() - before, self.figures)
        self.assertGreater(self.figures["lost"], 0, "the flood was too small to lose any")
        self.assertIn("were lost before they were read", process.log())

    def test_a_client_that_does_not_read_disturbs_nobody(self):
        with self.watching() as process:
            process.send(signal.SIGSTOP)
            self.send(50001, WEB, 80, count=FLOOD)
            self.send(50003, WEB, 80)
            wait_for(lambda: any(each["source_port"] == 50003 for each in self.observed()),
                     "another reader's sample")

    def test_names_are_those_of_the_packet_s_time(self):
        """A service gets another name, its backend another address: each decision has its own."""
        first = self.configure(_document(backends=(1,)))
        with self.watching("--port", "443") as process:
            self.send(21001, WEB, 443)
            wait_for(lambda: 21001 in self.shots_seen(process), "a sample of the first")
            second = self.configure(_document(backends=(1, 2), service="shop"))
            self.assertGreater(second, first)
            self.send(21002, WEB, 443)
            wait_for(lambda: 21002 in self.shots_seen(process), "a sample of the second")
        seen = {line["source_port"]: line for line in self.lines(process)
                if line.get("destination") == WEB}
        self.assertEqual((seen[21001]["service"], seen[21001]["generation"]), ("web", first))
        self.assertEqual((seen[21002]["service"], seen[21002]["generation"]), ("shop", second))
        self.assertEqual(seen[21001]["backend"], f"web4/{rack.backend4(1)}")
        # Who comes later and reads the old sample finds the old name, too.
        later = {each["source_port"]: each for each in self.observed("--port", "443")}
        self.assertEqual(later[21001]["service"], "web")
        self.assertEqual(later[21002]["service"], "shop")

    def test_backends_of_changing_generations_are_named_rightly(self):
        """What the names say is what the backends' own counters say."""
        counted = self.backend_packets()
        with self.watching("--port", "443", "--verdict", "forward") as process:
            for number, backends in enumerate(((1,), (1, 2), (2,), (1, 2, 3))):
                self.configure(_document(backends=backends))
                for shot in range(20):
                    self.send(22000 + 100 * number + shot, WEB, 443)
                wait_for(lambda: len(self.shots_seen(process)) == 20 * (number + 1), "20 samples")
        named = collections.Counter(line["backend"] for line in self.lines(process)
                                    if line.get("destination") == WEB)
        now = self.backend_packets()
        grown = {name: now[name] - counted.get(name, 0) for name in now}
        self.assertEqual(dict(named), {name: count for name, count in grown.items() if count})

    def backend_packets(self) -> dict:
        return {f"{row['group']}/{row['address']}": row["traffic"]["packets"]
                for row in self.api.get("/api/v1/backends")["backends"] if row["group"] == "web4"}

    # Events.

    def events(self, *words) -> list:
        out = self.balancer.sluice("events", "--last", "4096", "-j", *words).stdout
        return [json.loads(line) for line in out.splitlines()]

    def test_a_change_leaves_its_events(self):
        generation = self.configure(_document(icmp_rate=777))
        names = [event["event"] for event in self.events()]
        for name in ("daemon.starting", "generation.loaded", "generation.swapped",
                     "interface.attached", "config.applied", "api.request"):
            self.assertIn(name, names)
        applied = self.events("--name", "config.applied")[-1]
        self.assertEqual(applied["fields"]["generation"], str(generation))
        swapped = self.events("--name", "generation.swapped")[-1]
        self.assertEqual(swapped["fields"]["generation"], str(generation))
        self.assertEqual({event["event"].partition(".")[0]
                          for event in self.events("--name", "config.", "--name", "api.")},
                         {"config", "api"})
        numbers = [event["number"] for event in self.events()]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def test_events_come_as_they_happen(self):
        process = self.rack.balancer.spawn("events", self.binaries.sluice, "events", "--follow",
                                           "--last", "0", "--name", "backend.")
        try:
            wait_for(lambda: self.streams() > 0, "the stream")
            backend = f"web4/{rack.backend4(2)}"
            order = {"state": "drain"}

            def ordered() -> bool:
                self.api.order(backend, **order)
                return "backend.ordered" in process.log()
            wait_for(ordered, "the event", 10, 0.2)
            self.assertIn(rack.backend4(2), process.log())
            self.api.order(backend, reset=True)
        finally:
            process.stop()

    def test_server_sent_events_are_taken_up_where_their_client_was(self):
        self.configure(_document(icmp_rate=778))
        first = self.server_sent("")
        ids = [part.partition("\n")[0] for part in first.split("\n\n") if part.startswith("id: ")]
        self.assertGreater(len(ids), 3)
        again = self.server_sent(ids[-3].removeprefix("id: "))
        self.assertTrue(again.startswith(ids[-2] + "\n"), again)
        self.assertNotIn(ids[-3], again)

    def server_sent(self, last_id: str) -> str:
        """The body of one answer."""
        path = f"/proc/{self.rack.balancer.holder}/root{SOCKET}"
        header = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(10)
            sock.connect(path)
            sock.sendall((f"GET /api/v1/events HTTP/1.0\r\nAccept: text/event-stream\r\n{header}"
                          "\r\n").encode())
            text = b""
            while chunk := sock.recv(65536):
                text += chunk
        head, _, body = text.decode().partition("\r\n\r\n")
        self.assertIn("Content-Type: text/event-stream", head)
        return body


def _key(decision: dict) -> tuple:
    """What tells one decision from another, whoever has read it."""
    return tuple(sorted((name, str(value)) for name, value in decision.items()
                        if name not in ("generation", "time")))


def _is_in(address: str, prefix: str) -> bool:
    return bool(address) and ipaddress.ip_address(address) in ipaddress.ip_network(prefix)


def _seconds(text: str) -> float:
    """Of "2026-11-21T13:00:00.123456789Z"."""
    whole = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    return whole + float(f"0.{text[20:29]}")


if __name__ == "__main__":
    case.main()
