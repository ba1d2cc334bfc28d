#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Backends that are watched: who fails is found and leaves its slots, who comes back is a planned
change, and a group without anybody does as it says. Checks go to the VIP by the way that clients'
packets take, so that a backend that lost its VIP is found too.
"""

import contextlib
import signal
import socket
import struct
import time

import flow_case
import generation_case
from lab import rack, town
from lab.node import wait_for

INTERVAL, TIMEOUT, FALL = 0.2, 0.1, 3
CHECK = {"type": "tcp", "service": "tcp4", "interval": "200ms", "timeout": "100ms", "fall": FALL,
         "rise": 2}
ROUNDS = 10 if flow_case.LONG else 3
EXTRA = 0.05  # Beyond interval x fall.
_PROBES_FROM = socket.inet_aton(rack.BALANCER4)


def _watch_syns() -> None:
    """On a backend: prints when each SYN of a client came."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    while True:
        packet, where = tap.recvfrom(256)
        if where[2] == socket.PACKET_OUTGOING or packet[9] != 6 or packet[12:16] == _PROBES_FROM:
            continue
        at = (packet[0] & 15) * 4
        port, flags = struct.unpack_from("!H", packet, at + 2)[0], packet[at + 13]
        if port == town.PORT and flags & 0x12 == 0x02:
            print(time.monotonic_ns(), flush=True)


class HealthCase(generation_case.GenerationCase):
    """Three backends; the balancer has a route to the VIPs, as any node with a default route."""

    backends = 4
    first = (1, 2, 3)
    # Short windows: most of these tests wait for the end of a change.
    settings = {"lifetimes": {"embryonic": "1s", "established": "2s", "closing": "1s", "udp": "1s"}}
    checks: object = CHECK
    health: dict = {}

    @classmethod
    def document(cls, backends=None, **settings) -> dict:
        group = {"health": {"checks": cls.checks} | cls.health} | settings.pop("group", {})
        return super().document(backends, group=group, **settings) | {"version": 2}

    @classmethod
    def build(cls) -> None:
        super().build()
        cls.balancer.node.ip(f"route add default via {town.CLIENT4}",
                             f"route add default via {town.CLIENT6}")

    def setUp(self):
        self.api.close()
        for number in self.town.backends:
            if self.town.servers[number].process.poll() is not None:
                self.serve(number)
        if self.balancer.daemon.poll() is not None:
            self.start()
        self.configure(self.document())
        self.wait_states(up=self.first)
        self.town.wait_closed()

    def serve(self, number: int) -> None:
        self.town.servers[number] = town.Tool(self.town.backends[number], self.town.traffic,
                                              "server", name=f"b{number}", port=town.PORT)

    def fail_port(self, number: int) -> int:
        """The server's process ends, its port closes; when that was."""
        process = self.town.servers[number].process
        process.send(signal.SIGKILL)
        process.wait()
        return time.monotonic_ns()

    def block_probes(self, number: int) -> None:
        self.town.backends[number].run(rack.tool("nft"), "-f", "-", stdin=(
            "table inet probes {\n chain in {\n  type filter hook input priority 0\n"
            f"  ip saddr {rack.BALANCER4} drop\n }}\n}}\n"))

    def unblock_probes(self, number: int) -> None:
        self.town.backends[number].run(rack.tool("nft"), "delete", "table", "inet", "probes")

    def states(self) -> dict:
        """By backend's number; of those that are watched."""
        rows = self.api.get("/api/v1/health")["backends"]
        numbers = {rack.backend4(number): number for number in self.town.backends}
        return {numbers[row["address"]]: row["health"] for row in rows
                if row["group"] == town.GROUP}

    def wait_states(self, up=(), down=(), seconds: float = 15.0) -> None:
        wanted = {number: "up" for number in up} | {number: "down" for number in down}
        wait_for(lambda: wanted.items() <= self.states().items(),
                 f"states {wanted}", seconds, 0.05)

    def answers(self, count: int = 24) -> set:
        """Who answers new connections of many sources; "" for none."""
        sources, _ = town.sources(count)
        return {town.who_answers(self.town.client_node, town.VIP4, source, 1.0)
                for source in sources}


class Failures(HealthCase):
    """What a failed backend means to connections."""

    def test_no_new_connection_reaches_a_closed_port(self):
        """For longer than interval x fall + 50 ms."""
        taken = []
        for turn in range(ROUNDS):
            number = self.first[turn % len(self.first)]
            with contextlib.ExitStack() as stack:
                syns = self.town.backends[number].fork("syns", _watch_syns)
                stack.callback(syns.kill)
                client = stack.enter_context(self.clients(talk=0, brief_per_s=500, silent=0,
                                                          datagrams=0))
                self.judged = True  # Those that came meanwhile failed.
                wait_for(lambda log=syns: log.log(), "SYNs at the backend", 10)
                closed = self.fail_port(number)
                self.wait_states(down=[number])
                begun = client.report()["brief"]["begun"]
                wait_for(lambda: client.report()["brief"]["begun"] > begun + 200,
                         "connections to the others", 10, 0.1)
                last = int(syns.log().split()[-1])
                taken.append((last - closed) / 1e9)
            self.serve(number)
            self.wait_states(up=self.first)
            self.town.wait_closed()
        self.figures("a port closes", last_syn_after_s=[round(each, 3) for each in taken],
                     asked_s=INTERVAL * FALL + EXTRA)
        self.assertLess(min(taken), INTERVAL * FALL + EXTRA)

    def test_others_keep_their_connections_and_a_return_cuts_none(self):
        with self.load(talk=200, brief_per_s=100, silent=0) as client:
            opened = client.report()
            self.assertGreater(opened["talk"]["opened"], 0)
            # Only the checks fail: what the backend has goes on, and is replaced in time.
            self.block_probes(2)
            self.wait_states(down=[2], up=[1, 3])
            self.unblock_probes(2)
            self.wait_states(up=self.first)
            self.judged = True
            self.town.wait_closed()
            report = client.report()
        broken = {who: row["broken"] for who, row in report["talk"]["backends"].items()}
        self.assertEqual({who for who, count in broken.items() if count} - {"b2"}, set(), report)

    def test_a_backend_that_lost_its_vip_is_found(self):
        node = self.town.backends[3]
        node.ip(f"addr del {town.VIP4}/32 dev lo")
        self.addCleanup(node.run, "ip", "addr", "replace", f"{town.VIP4}/32", "dev", "lo")
        self.wait_states(down=[3], up=[1, 2])
        self.assertEqual(self.answers(), {"b1", "b2"})
        shown = self.balancer.json("health", "show", f"{town.GROUP}/{rack.backend4(3)}")
        self.assertIn("timeout", str(shown))
        self.assertRegex(self.balancer.daemon.log(),
                         f"event=backend.down backend={town.GROUP}/{rack.backend4(3)} was=up")
        node.ip(f"addr add {town.VIP4}/32 dev lo")
        self.wait_states(up=self.first)

    def test_operators_come_first_and_failures_second(self):
        self.order(1, state="maint")
        self.assertEqual(self.answers(), {"b2", "b3"})
        self.order(2, state="ready")
        self.fail_port(2)
        self.wait_states(down=[2])
        self.assertEqual(self.answers(), {"b3"})
        self.api.order(f"{town.GROUP}/{rack.backend4(1)}", reset=True)
        self.api.order(f"{town.GROUP}/{rack.backend4(2)}", reset=True)
        self.town.wait_closed()
        self.assertEqual(self.answers(), {"b1", "b3"})

    def test_a_daemon_that_is_killed_forgets_nobody(self):
        self.fail_port(1)
        self.wait_states(down=[1])
        wait_for(lambda: rack.backend4(1) in self.kept(), "health.json", 5)
        self.balancer.daemon.send(signal.SIGKILL)
        self.balancer.daemon.wait()
        self.start()
        self.assertEqual(self.answers(), {"b2", "b3"})
        self.serve(1)
        self.wait_states(up=self.first)

    def kept(self) -> str:
        return self.balancer.node.run("cat", f"{rack.STATE}/health.json").stdout

    def test_a_rollback_revives_nobody(self):
        self.configure(self.with_later(1))
        before = self.in_force()["generation"]
        self.configure(self.document((1, 2, 4)))
        self.wait_states(up=[1, 2, 4])
        self.fail_port(1)
        self.wait_states(down=[1])
        self.post("rollback", generation=before)
        # Who is not in it any more goes as planned, who failed has no part in it.
        self.assertEqual(self.answers() - {"b2", "b3", "b4"}, set())


class Nobody(HealthCase):
    """What a group does that has nobody left."""

    def fail_all(self) -> None:
        for number in self.first:
            self.fail_port(number)
        self.wait_states(down=self.first)

    def condition(self) -> dict:
        rows = self.api.get("/api/v1/health")["groups"]
        return next(row for row in rows if row["group"] == town.GROUP)

    def configure_with(self, **health) -> None:
        self.configure(self.document(group={"health": {"checks": self.checks} | health}))

    def test_panic_keeps_those_who_failed(self):
        self.configure_with(min_healthy="60%")
        self.wait_states(up=self.first)
        for number in (1, 2):
            self.fail_port(number)
        self.wait_states(down=[1, 2])
        self.assertEqual(self.condition()["condition"], "panic")
        self.assertIn("", self.answers())
        for number in (1, 2):
            self.serve(number)
        self.wait_states(up=self.first)
        self.assertEqual(self.condition()["condition"], "healthy")

    def test_another_group_takes_over(self):
        document = self.document(group={"health": {"checks": self.checks, "when_none": "fallback",
                                                   "fallback": "spare"}})
        document["groups"]["spare"] = {"backends": [rack.backend4(4)]}
        self.configure(document)
        self.wait_states(up=self.first)
        self.assertNotIn("b4", self.answers())
        self.fail_all()
        self.assertEqual(self.condition()["condition"], "none")
        self.assertEqual(self.answers(), {"b4"})
        with self.load(talk=100, brief_per_s=50, silent=0):
            # Who comes back takes new connections; those of the spare one live.
            self.serve(1)
            self.wait_states(up=[1])
            self.town.wait_closed()
        self.assertEqual(self.answers(), {"b1"})

    def test_the_last_ones_are_kept(self):
        self.fail_all()
        self.assertEqual(self.condition()["when_none"], "keep")
        self.assertEqual(self.answers(8), {""})
        self.serve(3)  # Its checks say so a moment later, its slots it had all the while.
        self.wait_states(up=[3])
        self.town.wait_closed()
        self.assertEqual(self.answers(), {"b3"})

    def test_clients_are_refused(self):
        self.configure_with(when_none="reject")
        self.wait_states(up=self.first)
        self.fail_all()
        with self.town.client_node.inside():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with sock:
            sock.settimeout(3)
            self.assertRaises(ConnectionRefusedError, sock.connect, (town.VIP4, town.PORT))
        with self.town.client_node.inside():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sock:
            sock.settimeout(3)
            sock.connect((town.VIP4, town.PORT))
            sock.send(b"hello")
            self.assertRaises(ConnectionRefusedError, sock.recv, 16)


class Changes(HealthCase):
    """Configurations and orders that change while backends are down."""

    def falling_back(self, to: str, **spares) -> dict:
        """With groups of one backend each, `to` being the one that stands in."""
        document = self.document(group={"health": {"checks": self.checks, "when_none": "fallback",
                                                   "fallback": to}})
        for name, number in spares.items():
            document["groups"][name] = {"backends": [rack.backend4(number)]}
        return document

    def fail_all(self) -> None:
        for number in self.first:
            self.fail_port(number)
        self.wait_states(down=self.first)

    def test_checks_that_are_taken_away_leave_nobody_down(self):
        self.fail_port(1)
        self.wait_states(down=[1])
        self.serve(1)
        unwatched = self.document()
        del unwatched["groups"][town.GROUP]["health"]
        self.configure(unwatched)
        self.town.wait_closed()
        self.assertEqual(self.answers(), {"b1", "b2", "b3"})

    def test_a_policy_that_changes_in_an_outage_holds_at_once(self):
        for when_none in ("reject", "withdraw"):
            with self.subTest(when_none):
                self.configure(self.document(group={"health": {"checks": self.checks,
                                                               "when_none": when_none}}))
                self.wait_states(up=self.first)
                self.fail_all()
                self.configure(self.falling_back("spare", spare=4))
                self.town.wait_closed()
                self.assertEqual(self.answers(8), {"b4"})
                for number in self.first:
                    self.serve(number)
                self.wait_states(up=self.first)

    def test_a_rollback_in_an_outage_goes_to_its_own_fallback(self):
        self.configure(self.falling_back("spare", spare=4, other=2))
        before = self.in_force()["generation"]
        with contextlib.ExitStack() as stack:
            self.configure(self.falling_back("other", spare=4, other=2))
            for number in self.first:
                self.block_probes(number)
                stack.callback(self.unblock_probes, number)
            self.wait_states(down=self.first)
            self.town.wait_closed()
            self.assertEqual(self.answers(8), {"b2"})
            self.post("rollback", generation=before)
            self.town.wait_closed()
            self.assertEqual(self.answers(8), {"b4"})

    def test_an_order_that_ends_announces_again(self):
        document = self.document(group={"health": {"checks": self.checks,
                                                   "when_none": "withdraw"}})
        document["announce"] = {"kernel": {"table": 77}}
        self.configure(document)
        self.wait_vips("announced")
        for number in (1, 2):
            self.fail_port(number)
        self.wait_states(down=[1, 2], up=[3])
        self.order(3, state="maint", keep_s=2)
        self.wait_vips("withdrawn")
        self.wait_vips("announced")
        self.assertEqual(self.answers(8), {"b3"})

    def test_vips_of_this_node_are_checked_where_it_takes_their_answers(self):
        node = self.balancer.node
        document = self.document()
        document["announce"] = {"kernel": {}}
        self.configure(document)
        self.wait_vips("announced")
        # It hears nothing of them, and so says nothing: they stay announced.
        wait_for(lambda: "accept_local" in str(self.balancer.json("status")["problems"]),
                 "the problem", 10)
        self.assertEqual(set(self.states().values()), {"up"})
        node.sysctl(net_ipv4_conf_all_accept_local=1)
        self.addCleanup(node.sysctl, net_ipv4_conf_all_accept_local=0)
        wait_for(lambda: "accept_local" not in str(self.balancer.json("status")["problems"]),
                 "its end", 15)
        self.fail_port(2)
        self.wait_states(down=[2], up=[1, 3])
        self.assertNotIn("event=vip.withdrawn", self.balancer.daemon.log().partition(
            "health.probes")[2])

    def test_a_restart_in_a_panic_cuts_nobody(self):
        self.configure(self.document(group={"health": {"checks": self.checks,
                                                       "min_healthy": "60%"}}))
        self.wait_states(up=self.first)
        with contextlib.ExitStack() as stack:
            for number in (1, 2):
                self.block_probes(number)
                stack.callback(self.unblock_probes, number)
            self.wait_states(down=[1, 2])
            with self.load(talk=200, brief_per_s=50, silent=0):
                self.balancer.daemon.send(signal.SIGTERM)
                self.balancer.daemon.wait()
                self.start()
                self.wait_states(down=[1, 2], up=[3])

    def wait_vips(self, state: str) -> None:
        def states() -> set:
            rows = self.api.get("/api/v1/announcements")["announcements"]
            return {row["state"] for row in rows}
        wait_for(lambda: states() == {state}, f"VIPs {state}", 20)


class Conflicts(HealthCase):
    """VIPs of the balancer's own subnet, as an active node has them."""

    VIP = "10.0.0.100"

    def test_a_backend_that_answers_for_a_vip_is_found(self):
        document = self.document()
        document["services"].append({"name": "near", "vip": self.VIP, "protocol": "tcp",
                                     "port": town.PORT, "forward": "l2", "group": town.GROUP})
        quiet, loud = self.town.backends[1], self.town.backends[4]
        for node in (quiet, loud):
            node.ip(f"addr add {self.VIP}/32 dev lo")
        loud.sysctl(net_ipv4_conf_all_arp_ignore=0)
        self.configure(document)
        # Whoever has not got the address is a standby, and the other one may answer.
        self.balancer.node.ip(f"addr add {self.VIP}/32 dev eth0")
        mac = loud.json("ip", "-j", "link", "show", "dev", "eth0")[0]["address"]
        wait_for(lambda: "event=vip.conflict" in self.balancer.daemon.log(), "the conflict", 30)
        told = [line for line in self.balancer.daemon.log().splitlines() if "vip.conflict" in line]
        self.assertEqual(len(told), 1)
        self.assertIn(f"vip={self.VIP} interface=eth0 mac={mac}", told[0])
        self.assertIn(mac, str(self.balancer.json("status")["problems"]))


main = generation_case.main

if __name__ == "__main__":
    main()
